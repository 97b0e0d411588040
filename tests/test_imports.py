"""What is imported when: nothing slow before it is used."""

import ast
import importlib
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


FOLDERS = [
    ".".join(path.parent.relative_to(REPOSITORY).parts)
    for path in sorted((REPOSITORY / "spectral_tf").rglob("__init__.py"))
]
"""Every package: the front door, the rooms and what is inside them."""
LATE = [name for name in FOLDERS if hasattr(importlib.import_module(name), "_HOMES")]


def typed_names(module) -> dict[str, str]:
    """Name -> module below the package, as `if TYPE_CHECKING:` says; "" for a room."""
    tree = ast.parse(inspect.getsource(module))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    typed = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        home = f"{node.module}.".removeprefix(f"{module.__name__}.").rstrip(".")
        typed |= {alias.name: home for alias in node.names}
    return typed


@pytest.mark.parametrize("package", LATE)
def test_the_names_are_the_same_for_readers_of_types_and_when_they_run(package):
    module = importlib.import_module(package)
    typed = typed_names(module)
    homes = {name: home for home, names in module._HOMES.items() for name in names}
    modules = {name for name, home in typed.items() if not home}
    assert modules == {*getattr(module, "_ROOMS", ())}
    assert {name: home for name, home in typed.items() if home} == homes
    assert sorted(module.__all__) == sorted(homes)
    assert {*module.__all__, *modules} <= {*dir(module)}
    # Importing such a module would put it in the place of the name.
    folders = {
        path.name.removesuffix(".py") for path in Path(module.__path__[0]).iterdir()
    }
    assert folders.isdisjoint(homes)
    for name, home in homes.items():
        value = getattr(module, name)
        assert value is getattr(importlib.import_module(f"{package}.{home}"), name)


def test_every_room_exports_its_names_late_but_for_one_reason():
    # `certify` is a module of its room, too; `apps` and `fusion` export nothing.
    early = {"certificate", "apps", "constructive.fusion"}
    assert {*FOLDERS} - {*LATE} == {f"spectral_tf.{name}" for name in early}


@pytest.mark.parametrize("package", ["spectral_tf", "spectral_tf.training"])
def test_a_name_that_is_not_there_is_refused_with_the_nearest(package):
    module = importlib.import_module(package)
    with pytest.raises(AttributeError, match="has no attribute 'pretrian'") as error:
        module.pretrian  # noqa: B018
    # Of these two Python makes "Did you mean: 'pretrain'?".
    assert (error.value.name, error.value.obj) == ("pretrian", module)
    with pytest.raises(ImportError, match="cannot import name 'pretrian'"):
        exec(f"from {package} import pretrian")


def test_the_front_door_is_small_and_what_it_leaves_out_is_in_a_room():
    assert len(spectral_tf.__all__) <= 28
    for room, name in (
        ("model", "Intermediates predict_clusters predict_from_covariance"),
        ("training", "TrainState Trained parallel_steps"),
        ("weights", "PretrainedError load_manifest models_table"),
        ("sampling", "Instance"),
        ("constructive", "ErrorBound Trace"),
        ("config", "ClusterConfig ClusterModelConfig ClusterTrainConfig"),
    ):
        module = importlib.import_module(f"spectral_tf.{room}")
        assert {*name.split()} <= {*module.__all__}


@pytest.mark.parametrize(
    ("module", "others"),
    [
        ("config.base", {"jax", "numpy"}),
        ("apps.audit.lines", {"jax", "numpy"}),
        ("apps.report.tables", {"matplotlib"}),
        ("sampling.instance", {"pandas", "sklearn", "pyarrow"}),
        ("estimators.lapack", {"sklearn"}),
        # The help of an analysis needs nothing that it computes with.
        ("apps.analysis.pca", {"jax", "sklearn", "matplotlib", "scipy"}),
        ("apps.analysis.cluster", {"jax", "sklearn", "matplotlib", "scipy"}),
        ("apps.analysis.detect", {"jax", "sklearn", "matplotlib", "scipy"}),
    ],
)
def test_a_module_of_a_room_does_not_import_the_room(module, others):
    assert roots(f"import spectral_tf.{module}") & others == set()


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
    for option in ("--n-components", "--run-dir", "--preset", "--max-seconds"):
        assert option in shown


def test_an_unknown_command_is_named_with_those_there_are(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["pcaa", "table.csv"])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert "pcaa" in said
    assert "construct" in said
