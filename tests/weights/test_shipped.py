"""The checkpoints in the package: whole, small, licensed, recorded; in the wheel."""

import fnmatch
import subprocess
import sys
import tomllib
import zipfile
from importlib.resources import files
from pathlib import Path
from shutil import copy, copytree, ignore_patterns

import numpy as np
import pytest

from spectral_tf.weights import (
    load_manifest,
    load_pretrained,
    models_table,
    pretrained_names,
)
from spectral_tf.weights.manifest import record_faults
from tests.problems import forward, table
from tests.weights.helpers import write_small

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "spectral_tf" / "weights"
NAMES = pretrained_names("eigenpairs")


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_checkpoint_is_in_order(name):
    load_pretrained(name)  # digest, tensors, finite
    manifest = load_manifest(name)
    assert manifest["name"] == name
    assert manifest["bytes"] <= 8_000_000
    assert manifest["licence"] == "Apache-2.0"
    assert record_faults(manifest["record"]) == []


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_checkpoint_answers(name):
    found = load_pretrained(name)
    config, params = found.config, found.params
    answer, _ = forward(config, params, table(60, config.dim or 10))
    assert np.all(np.isfinite(answer.eigenvectors))


def test_names_are_those_of_the_folder():
    names = {*pretrained_names()}
    assert names == {*NAMES, *pretrained_names("clusters")}
    assert {file.stem for file in WEIGHTS.glob("*.json")} == names
    assert {file.stem for file in WEIGHTS.glob("*.safetensors")} == names
    assert [row.name for row in models_table()] == sorted(names)
    assert Path(str(files("spectral_tf.weights"))) == WEIGHTS


def test_the_globs_of_the_wheel_take_the_checkpoints(tmp_path):
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    globs = config["package-data"]["spectral_tf"]
    manifest = write_small(tmp_path / "spectral_tf" / "weights")
    there = {path.name for path in manifest.parent.iterdir()}
    taken = {path.name for glob in globs for path in manifest.parents[1].glob(glob)}
    assert taken == there == {"pca-tiny.json", "pca-tiny.safetensors"}
    data = {path for path in WEIGHTS.iterdir() if path.suffix not in (".py", "")}
    names = [f"weights/{path.name}" for path in data]
    assert [n for n in names if not any(fnmatch.fnmatch(n, g) for g in globs)] == []


@pytest.mark.long
def test_a_wheel_carries_the_checkpoints_and_serves_them(tmp_path):
    source, out = tmp_path / "source", tmp_path / "out"
    left_out = ignore_patterns("__pycache__")
    copytree(ROOT / "spectral_tf", source / "spectral_tf", ignore=left_out)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        copy(ROOT / name, source)
    write_small(source / "spectral_tf" / "weights", "pca-dummy")
    pip = [sys.executable, "-m", "pip", "-q", "wheel", "--no-deps"]
    subprocess.run([*pip, "-w", str(out), str(source)], check=True, timeout=300)
    (wheel,) = out.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        inside = {name for name in file.namelist() if "/weights/pca" in name}
        file.extractall(tmp_path / "site")
    both = {f"spectral_tf/weights/pca-dummy.{end}" for end in ("json", "safetensors")}
    assert both <= inside
    code = (
        "import spectral_tf.weights as w; print(w.__file__, "
        "w.load_pretrained('pca-dummy').name, w.models_table()[0].purpose)"
    )
    for site in (tmp_path / "site", wheel):  # installed, and from the zip itself
        run = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONPATH": str(site), "JAX_PLATFORMS": "cpu"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
        where, *words = run.stdout.split()
        assert where.startswith(str(site))
        assert words[0] == "pca-dummy"
