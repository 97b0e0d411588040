"""What is imported when: nothing slow before it is used."""

import ast
import inspect
import json
import os
import resource
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import spectral_tf
from spectral_tf.apps import cli

REPOSITORY = Path(__file__).parents[1]
SLOW = {"pandas", "matplotlib", "sklearn", "rich", "tyro", "pyarrow", "plotly"}


def python(code: str) -> str:
    """What another interpreter prints."""
    command = [sys.executable, "-c", code]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment
    ).stdout


def cpu_seconds(code: str) -> float:
    """CPU time of another interpreter: the least of three, as the machine is shared."""
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        python(code)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(
            after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        )
    return min(times)


def roots(code: str) -> set[str]:
    """The top-level modules that an interpreter has after some code."""
    shown = (
        "import json, sys; print(json.dumps([m.split('.')[0] for m in sys.modules]))"
    )
    return set(json.loads(python(f"{code}\n{shown}").splitlines()[-1]))


def test_importing_the_package_imports_nothing_else():
    assert roots("import spectral_tf") & (SLOW | {"jax", "flax", "numpy"}) == set()


def test_the_public_names_need_nothing_that_only_tables_and_figures_need():
    code = "import spectral_tf\nfor n in spectral_tf.__all__: getattr(spectral_tf, n)"
    # flax itself imports rich.
    assert roots(code) & (SLOW - {"rich"}) == set()


def test_a_room_is_an_attribute_without_an_import_of_its_own():
    code = "import spectral_tf; print(spectral_tf.estimators.SpectralPCA.__name__)"
    assert python(code).strip() == "SpectralPCA"
    code = "import spectral_tf; print(spectral_tf.config.DataError.__name__)"
    assert python(code).strip() == "DataError"


def test_the_names_are_the_same_for_readers_of_types_and_when_they_run():
    tree = ast.parse(inspect.getsource(spectral_tf))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    typed = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        assert node.module
        home = node.module.partition(".")[2]
        typed |= {alias.name: home for alias in node.names}
    rooms = {name for name, home in typed.items() if not home}
    assert rooms == set(spectral_tf._ROOMS)
    assert {n: h for n, h in typed.items() if h} == spectral_tf._HOMES
    assert set(spectral_tf._HOMES) == set(spectral_tf.__all__)
    assert {*spectral_tf.__all__, *rooms} <= {*dir(spectral_tf)}
    with pytest.raises(AttributeError, match="has no attribute 'estimator'"):
        spectral_tf.estimator  # noqa: B018


@pytest.mark.slow
def test_importing_takes_no_longer_than_what_it_is_built_on():
    ours = cpu_seconds("import spectral_tf")
    assert ours <= 1.2 * cpu_seconds("import jax, flax.linen, optax")


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_the_overview_takes_less_than_importing_jax(option):
    run = "import contextlib\nfrom spectral_tf.apps.cli import main\n"
    run += f"with contextlib.suppress(SystemExit): main([{option!r}])"
    assert roots(run) & (SLOW - {"tyro", "rich"} | {"jax", "numpy"}) == set()
    # On a machine where importing JAX takes .6 s, this allows .3 s of the 1 s.
    assert cpu_seconds(run) <= 0.5 * cpu_seconds("import jax")


def test_the_version_is_that_of_the_package(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"spectral-tf {spectral_tf.__version__}\n"
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    assert project["project"]["version"] == spectral_tf.__version__


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_overview_says_what_the_command_says_of_itself(name, capsys):
    entry = cli.COMMANDS[name]
    kind = entry.load()
    assert kind.__name__.lower() == name
    assert inspect.getdoc(kind) == entry.summary
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    assert stop.value.code == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert f"• {name} {entry.summary}" in shown


def test_completion_knows_the_options_of_every_command(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--tyro-print-completion", "bash"])
    shown = capsys.readouterr().out
    for option in ("--n-components", "--run-dir", "--preset", "--seconds"):
        assert option in shown


def test_an_unknown_command_is_named_with_those_there_are(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["pcaa", "table.csv"])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert "pcaa" in said
    assert "construct" in said
