"""What a user's type checker sees: the names, with their types, and misspelt ones."""

import json
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]

SNIPPET = """\
import spectral_tf
from spectral_tf import ModelConfig, fuse, power_method_params, pretrain
from spectral_tf.apps.report import plain_table
from spectral_tf.estimators import SpectralPCA
from spectral_tf.sampling import Instance
from spectral_tf.training import parallel_steps

reveal_type(ModelConfig(num_blocks=2).num_blocks)
reveal_type(spectral_tf.load_pretrained)
reveal_type(spectral_tf.training.TrainState)
reveal_type(SpectralPCA(3).n_components)
reveal_type(plain_table)
reveal_type(Instance)
shown = [fuse, power_method_params, pretrain, parallel_steps]
"""
WRONG = """\
import spectral_tf
from spectral_tf import predict_clusters
from spectral_tf.training import paralel_steps

spectral_tf.pretrian
ModelConfig = spectral_tf.ModelConfig(num_block=2)
"""


def test_the_wheel_says_that_it_has_types():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    data = project["tool"]["setuptools"]["package-data"]["spectral_tf"]
    assert "py.typed" in data
    assert (REPOSITORY / "spectral_tf" / "py.typed").read_bytes() == b""


def installed(folder: Path) -> Path:
    """Where pip unpacks the wheel in an environment of its own; not this repository."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    command = [python, "-m", "pip", "install", "-q", "--no-deps", REPOSITORY]
    subprocess.run(command, check=True)
    return next(folder.glob("lib/python*/site-packages"))


@pytest.mark.long
def test_a_type_checker_of_a_user_sees_the_public_names(tmp_path):
    pytest.importorskip("pyright", reason="of the extra `dev`")
    site = installed(tmp_path / "venv")
    assert (site / "spectral_tf" / "py.typed").is_file()
    user = tmp_path / "user"
    user.mkdir()
    (user / "right.py").write_text(SNIPPET)
    (user / "wrong.py").write_text(WRONG)
    # As for any package of the environment: its private imports are no names.
    settings = {"extraPaths": [str(site)], "typeCheckingMode": "standard"}
    (user / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--project", str(user)]
    command += ["--pythonpath", sys.executable]
    report = json.loads(
        subprocess.run(command, capture_output=True, text=True, check=False).stdout
    )
    said = {"right.py": [], "wrong.py": []}
    for entry in report["generalDiagnostics"]:
        text = f"{entry['range']['start']['line'] + 1} {entry['message']}"
        said[Path(entry["file"]).name].append((entry["severity"], text))
    assert {severity for severity, _ in said["right.py"]} == {"information"}
    revealed = [text.split('" is "')[1] for _, text in said["right.py"]]
    assert len(revealed) == 6
    assert revealed[0] == 'int"'
    assert "Network" in revealed[1]
    assert revealed[2] == 'type[TrainState]"'
    assert not any("Unknown" in text for text in revealed)
    errors = [text for severity, text in said["wrong.py"] if severity == "error"]
    assert [text.split()[0] for text in errors] == ["2", "3", "5", "6"]
