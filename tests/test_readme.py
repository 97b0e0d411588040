"""What the documentation shows is run: README code, README commands, docstrings."""

import doctest
import importlib
import pkgutil
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import tyro

import spectral_tf
from spectral_tf.apps.cli import Command, main

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
SHELL = [text for kind, text in BLOCKS if kind == "bash"]
COMMANDS = [
    line.split("#")[0].strip()
    for kind, text in BLOCKS
    if kind == "bash"
    for line in text.splitlines()
    if line.startswith("spectral-tf")
]
# What makes a command short; the commands themselves are the README's.
SHORTER = {
    "pretrain": "--max-seconds 1",
    "evaluate": "--num-instances 8",
    "poc stock": "--quick",
    "poc shipping": "--max-clusters 3 --resamples 4 --resample-rows 200 --draws 20 "
    "--sweep-resamples 4 --sweep-rows 200 --most-rows 600 --graph-rows 100 "
    "--common-rows 200",
}


@pytest.mark.slow
def test_the_python_code_runs(capsys):
    code = [text for kind, text in BLOCKS if kind == "python"]
    assert len(code) == 2
    networks, tables = (compile(text, "README.md", "exec") for text in code)
    exec(networks, {})
    shown = capsys.readouterr().out
    assert shown.startswith("Network(eigenpairs, dense, 291 blocks")
    scores = [line for line in shown.splitlines() if line.startswith("['")]
    assert len(scores) == 3
    # 60 iterations; of some of 64 tables two eigenvalues are nearly equal.
    assert min(map(float, re.findall(r"\d\.\d+", scores[0]))) > 0.98
    exec(tables, {})
    shown = capsys.readouterr().out
    assert shown.startswith("Certificate(3 certified; tol 0.001 rad;")
    # The listing in the README is what was printed, but for the last digits.
    listing = next(t for k, t in BLOCKS if k == "text" and t.startswith("Certificate"))
    for ours, theirs in zip(listing.splitlines(), shown.splitlines(), strict=False):
        assert ours.split()[:3] == theirs.split()[:3]


@pytest.mark.slow
def test_the_commands_run_in_their_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(COMMANDS) == 14
    rows = np.random.default_rng(0).normal(size=(60, 4)) * [4.0, 3.0, 2.0, 1.0]
    np.savetxt("FILE.csv", rows, delimiter=",", header="a,b,c,d", comments="")
    for command in COMMANDS:
        _, *arguments = shlex.split(command)
        if "mnist" in arguments:
            arguments += ["--svd", "0", "--num-components", "2"]
            arguments[arguments.index("mnist")] = "digits"
        if arguments[0] == "demo":  # a minute; tests/apps/test_demo.py runs it
            tyro.cli(Command, args=arguments)
            continue
        name = " ".join(arguments[: 2 if arguments[0] == "poc" else 1])
        extra = shlex.split(SHORTER.get(name, ""))
        assert main([*arguments, *extra]) == 0, command


def test_every_command_of_the_program_is_in_the_readme():
    shown = set(re.findall(r"spectral-tf ([a-z]+)", " ".join(SHELL)))
    networks = {"demo", "pretrain", "evaluate", "construct", "describe"}
    networks |= {"runs", "models", "audit", "poc", "report"}
    assert shown == networks | {"pca", "cluster", "detect"}


def test_the_set_up_lines_are_two_and_name_real_extras():
    shell = "\n".join(text for kind, text in BLOCKS if kind == "bash")
    setup = re.findall(r"^python3 -m venv .*$", shell, re.MULTILINE)
    assert len(setup) == 2
    project = (Path(__file__).parents[1] / "pyproject.toml").read_text()
    for extra in re.findall(r"\.\[(\w+)\]", README):
        assert f"\n{extra} = [" in project


def test_every_file_the_readme_names_exists():
    root = Path(__file__).parents[1]
    for name in re.findall(r"`([\w/]+\.py)`", README):
        assert (root / "spectral_tf" / name).exists(), name
    for figure in re.findall(r"\]\((\w[^)]*\.png)\)", README):
        assert (root / figure).exists(), figure


MODULES = [
    module.name
    for module in pkgutil.walk_packages(spectral_tf.__path__, "spectral_tf.")
    if not module.name.endswith("__main__")
]


@pytest.mark.slow
@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, raise_on_error=False)
    assert result.failed == 0


def test_there_are_examples():
    count = sum(
        len(doctest.DocTestFinder().find(importlib.import_module(name)))
        for name in MODULES
    )
    assert count > 20


def test_it_fits_a_screen_and_a_terminal():
    lines = README.splitlines()
    assert len(lines) <= 150
    assert [line for line in lines if len(line) > 110] == []


def test_code_of_the_library_comes_first():
    lines = README.splitlines()
    assert lines.index("import spectral_tf") < 40
