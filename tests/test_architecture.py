"""The house rules, read from the source: which room may import which, and sizes."""

import ast
import importlib
import inspect
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "spectral_tf"
FILES = sorted(PACKAGE.rglob("*.py"))

# room -> what it may import besides itself, low to high. A dotted name opens that
# one module of a room. A new room needs a row here: put it as low as it can go.
ROOMS: dict[str, set[str]] = {
    "lazy": set(),
    "forks": set(),
    "settings": {"forks"},
    "config": set(),
    "exact": set(),
    "moments": {"config", "exact"},
    "certificate": {"config", "exact", "moments"},
    "spectra": {"config"},
    "tables": {"config", "exact"},
    "model": {"config", "spectra"},
    "weights": {"config", "model"},
    "sampling": {"config", "spectra", "tables"},
    "objective": {"config", "spectra", "model.transformer", "sampling.instance"},
    "constructive": {"config", "spectra", "model"},
    "evaluation": {"config", "spectra", "sampling", "model"},
    "clustering": {"config", "spectra", "sampling", "evaluation"},
    "training": {
        *("config", "spectra", "sampling", "tables", "model", "objective"),
        *("clustering.instances", "clustering.objective"),
    },
    "estimators": {
        *("config", "exact", "spectra", "moments", "certificate", "model"),
        *("constructive", "weights", "training.checkpoint", "tables"),
    },
}
LIBRARY = {*ROOMS}
"""What the applications stand on; none of it may import one."""
ROOMS |= {
    "apps.__init__": set(),
    "__init__": {*LIBRARY, "apps.__init__"},
    "apps.terminal": set(),
    "apps.audit": {"config"},
    "apps.report": {*LIBRARY},
    "apps.analysis": {*LIBRARY, "apps.audit", "apps.report"},
    "apps.watch": {*LIBRARY, "apps.report", "apps.analysis"},
    "apps.demo": {*LIBRARY, "apps.report", "apps.watch"},
    "apps.studies": {
        *(*LIBRARY, "apps.audit", "apps.report", "apps.analysis", "apps.watch"),
    },
}
ROOMS["apps.commands"] = {*ROOMS}
ROOMS["apps.cli"] = {*ROOMS}
ROOMS["__main__"] = {"apps.cli"}
for room in {*ROOMS} - {"lazy", "forks", "settings"}:
    ROOMS[room] |= {"lazy", "settings"}


def room_of(module: str) -> str:
    """`model` of `model.dense`, `apps.audit` of `apps.audit.head`."""
    parts = [*module.split("."), "__init__"]
    return ".".join(parts[: 2 if parts[0] == "apps" else 1])


def module_of(path: Path) -> str:
    """`model.dense` of `spectral_tf/model/dense.py`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    is_folder = len(parts) > 1 and parts[-1] == "__init__"
    return ".".join(parts[:-1] if is_folder else parts)


MODULES = {module_of(path) for path in FILES}


def imported(tree: ast.AST) -> Iterator[str]:
    """Modules of the package imported anywhere in a file, without `spectral_tf.`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = ["spectral_tf.<relative import>"]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == "spectral_tf":
                # `from spectral_tf import X`: a module of that name, or the front door.
                is_module = room_of(rest) in ROOMS or rest.startswith("<")
                inside = "apps.__init__" if rest == "apps" else rest
                yield inside if is_module else "__init__"


def upward_arrows(module: str, tree: ast.AST) -> list[str]:
    room = room_of(module)
    if room not in ROOMS:
        return [f"{module} is in no room: give {room!r} a row in ROOMS"]
    allowed = ROOMS[room] | {room}
    return [
        f"{module} imports {name}; {room} may import {sorted(allowed)}"
        for name in imported(tree)
        if not any(f"{name}.".startswith(f"{one}.") for one in allowed)
    ]


def exported(room: str) -> set[str] | None:
    """What a room that is a folder lists in `__all__`; None for a room of one file."""
    module = importlib.import_module(f"spectral_tf.{room}".removesuffix(".__init__"))
    is_folder = hasattr(module, "__path__")
    return {*module.__all__, *getattr(module, "_ROOMS", ())} if is_folder else None


def deep_imports(tree: ast.AST) -> list[str]:
    """Imports of the package that are of neither the front door nor of one room."""
    deep = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            rooms = {f"spectral_tf.{room}" for room in ROOMS} | {"spectral_tf"}
            names = [alias.name for alias in node.names]
            ours = [n for n in names if f"{n}.".startswith("spectral_tf.")]
            deep += [name for name in ours if name not in rooms]
        elif isinstance(node, ast.ImportFrom) and node.module:
            package, _, room = f"{node.module}.".partition(".")
            room = room.rstrip(".") or "__init__"
            names = [alias.name for alias in node.names]
            if package != "spectral_tf":
                continue
            if room == "apps":
                deep += [f"apps.{n}" for n in names if f"apps.{n}" not in ROOMS]
            elif room not in ROOMS:
                deep.append(node.module)
            elif (public := exported(room)) is not None:
                deep += [f"{node.module}: {n}" for n in names if n not in public]
            else:
                deep += [f"{node.module}: {n}" for n in names if n.startswith("_")]
    return deep


def named_pmap(tree: ast.AST) -> list[int]:
    """Lines that use pmap as code; a string "pmap" is none."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr == "pmap")
        or (isinstance(node, ast.Name) and node.id == "pmap")
        or (isinstance(node, ast.ImportFrom) and "pmap" in {a.name for a in node.names})
    ]


def nameless_keys(tree: ast.AST) -> list[int]:
    """Lines that make a key of whatever generator JAX is set to."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if (
            isinstance(node, ast.Attribute)
            and ast.unparse(node) in ("jax.random.key", "random.key")
        )
        or (isinstance(node, ast.Attribute) and node.attr == "PRNGKey")
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "jax.random"
            and {"key", "PRNGKey"} & {alias.name for alias in node.names}
        )
    ]


def prints(tree: ast.AST) -> list[int]:
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id == "print"
    ]


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def long_functions(tree: ast.AST, most: int) -> list[str]:
    sizes = {f: (f.end_lineno or f.lineno) - f.lineno + 1 for f in functions(tree)}
    return [f"{f.name}: {size} lines" for f, size in sizes.items() if size > most]


def defaulted_keys(tree: ast.AST) -> list[str]:
    """Public functions in which the argument `key` may be left out."""
    found = []
    for function in functions(tree):
        arguments = function.args
        positional = arguments.posonlyargs + arguments.args
        optional = positional[len(positional) - len(arguments.defaults) :]
        pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        optional += [arg for arg, default in pairs if default is not None]
        if not function.name.startswith("_") and "key" in {a.arg for a in optional}:
            found.append(function.name)
    return found


@pytest.fixture(params=FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def source(request) -> tuple[str, str]:
    return module_of(request.param), request.param.read_text(encoding="utf-8")


def hollow_sources(tree: ast.AST) -> list[str]:
    """Sections `Source:` that name no publication, program or other place to look."""
    texts = [
        ast.get_docstring(node) or ""
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    ]
    sources = [re.split(r"^Source:", text, flags=re.M)[1:] for text in texts]
    return [
        source
        for source in itertools.chain(*sources)
        if re.search(r"\bours\b", source.split("\n\n")[0]) or len(source.strip()) < 4
    ]


def test_file_obeys_the_house_rules(source):
    module, text = source
    tree = ast.parse(text)
    assert upward_arrows(module, tree) == []
    assert len(text.splitlines()) <= 500
    assert long_functions(tree, 80) == []
    assert defaulted_keys(tree) == []
    assert module == "training.parallel" or named_pmap(tree) == []
    assert module == "apps.cli" or prints(tree) == []
    assert module == "settings" or nameless_keys(tree) == []
    assert hollow_sources(tree) == []


SCRIPTS = [
    path
    for folder in ("experiments", "benchmarks")
    for path in sorted((PACKAGE.parent / folder).rglob("*.py"))
]


@pytest.mark.parametrize(
    "script", SCRIPTS, ids=lambda path: str(path.relative_to(PACKAGE.parent))
)
def test_a_script_names_its_generator_and_imports_from_rooms_alone(script):
    tree = ast.parse(script.read_text(encoding="utf-8"))
    assert nameless_keys(tree) == []
    assert deep_imports(tree) == []


@pytest.mark.parametrize(
    ("code", "is_deep"),
    [
        ("import spectral_tf, spectral_tf.training", False),
        ("from spectral_tf import fuse, spectra", False),
        ("from spectral_tf.training import parallel_steps", False),
        ("from spectral_tf.spectra import einsum", False),
        ("from spectral_tf.apps.report import plain_table", False),
        ("from spectral_tf.apps.demo import run_demo", False),
        ("from spectral_tf.apps import demo", False),
        ("import spectral_tfx.a.b", False),
        ("import spectral_tf.training.loop", True),
        ("import numpy, spectral_tf.apps.report.tables as t", True),
        ("from spectral_tf import predict_clusters", True),
        ("from spectral_tf import lazy", True),
        ("from spectral_tf.training import loop", True),
        ("from spectral_tf.training.loop import pretrain", True),
        ("from spectral_tf.training import calls_ahead", True),
        ("from spectral_tf.spectra import _scaled", True),
        ("from spectral_tf.apps.report.tables import plain_table", True),
        ("from spectral_tf.apps.report import tables", True),
        ("from spectral_tf.apps import curves", True),
        ("from spectral_tf.attic import old", True),
        ("def f():\n    from spectral_tf.model.params import unroll", True),
    ],
)
def test_an_import_from_deeper_than_one_room_is_seen(code, is_deep):
    assert bool(deep_imports(ast.parse(code))) == is_deep


def test_rooms_are_listed_low_to_high():
    order = list(ROOMS)
    for room, allowed in ROOMS.items():
        below = order[: order.index(room)]
        assert {*map(room_of, allowed)} <= {*below}, room


@pytest.mark.parametrize(
    ("module", "code", "is_allowed"),
    [
        ("spectra", "from spectral_tf.config import require", True),
        ("config", "import spectral_tf.spectra", False),
        ("model.dense", "from spectral_tf.model.attention import relu", True),
        ("model.dense", "from spectral_tf.sampling.instance import Instance", False),
        ("sampling.real", "from spectral_tf import model", False),
        ("objective", "from spectral_tf.sampling.instance import Instance", True),
        ("objective", "from spectral_tf.sampling import instance", True),
        ("objective", "from spectral_tf.sampling.sampler import batch_at", False),
        ("objective", "from spectral_tf.model.transformers import Estimate", False),
        ("constructive.fuse", "def f():\n    import spectral_tf.training", False),
        ("constructive.fuse", "from spectral_tf.objective import LOSSES", False),
        ("training.loop", "from spectral_tf.constructive import gadgets", False),
        ("training.loop", "from spectral_tf.evaluation import evaluate", False),
        ("evaluation", "from spectral_tf.training.state import TrainState", False),
        ("estimators.pca", "from spectral_tf.apps.report import tables", False),
        ("training.loop", "import spectral_tf.apps.watch.read", False),
        ("sampling.past", "from spectral_tf import apps", False),
        ("apps.report.tables", "from spectral_tf.evaluation import Report", True),
        ("apps.report.tables", "from spectral_tf.apps.cli import main", False),
        ("apps.demo", "from spectral_tf.apps.cli import main", False),
        ("training.loop", "from spectral_tf import predict", False),
        ("training.loop", "from . import state", False),
        ("__init__", "from spectral_tf.apps.cli import main", False),
        ("__init__", "from spectral_tf.apps.demo import run", False),
        ("apps.cli", "from spectral_tf.apps.demo import run", True),
        ("apps.cli", "from spectral_tf import pretrain", True),
        ("apps.attic", "import jax", False),
        ("attic.old", "import jax", False),
        ("config", "import spectral_tfx.spectra, jax", True),
    ],
)
def test_an_arrow_that_goes_up_is_seen(module, code, is_allowed):
    assert (upward_arrows(module, ast.parse(code)) == []) == is_allowed


def test_the_other_rules_see_what_they_forbid():
    for text in ("Source: ours.", "Source: ours; Saad (2011).", "Source:", "Source: -"):
        assert hollow_sources(ast.parse(f'"""Do.\n\n{text}\n"""')), text
    assert hollow_sources(ast.parse('"""Do.\n\nSource: Saad (2011).\n\nOurs"""')) == []
    assert named_pmap(ast.parse("import jax\njax.pmap(f)")) == [2]
    assert named_pmap(ast.parse("from jax import pmap")) == [1]
    assert named_pmap(ast.parse("parallel = 'pmap'")) == []
    assert prints(ast.parse("printer = print")) == [1]
    assert nameless_keys(ast.parse("import jax\nf(jax.random.key)")) == [2]
    assert nameless_keys(ast.parse("jr.PRNGKey(0)")) == [1]
    assert nameless_keys(ast.parse("from jax.random import key")) == [1]
    assert nameless_keys(ast.parse("jax.random.key_data(random_key(0))")) == []
    assert prints(ast.parse("console.print('print')")) == []
    assert long_functions(ast.parse("def f():\n" + "    x\n" * 80), 80)
    assert long_functions(ast.parse("def f():\n" + "    x\n" * 79), 80) == []
    for arguments in ("key=None", "x, /, key=0", "*, key=None"):
        assert defaulted_keys(ast.parse(f"def f({arguments}): ...")) == ["f"]
    for arguments in ("key", "key, x=None", "*, key, x=1"):
        assert defaulted_keys(ast.parse(f"def f({arguments}): ...")) == []


def test_the_table_covers_the_package():
    assert {"config", "spectra", "model.transformer", "sampling.sampler"} <= MODULES
    assert {"__init__", "apps.cli", "training.parallel", "model"} <= MODULES


def missing_sections(name: str, value: object) -> list[str]:
    """What the docstring of a public name lacks."""
    if not callable(value):
        return []  # a constant has no docstring of its own
    text, needed = inspect.getdoc(value) or "", []
    if not inspect.isclass(value):
        signature = inspect.signature(value)
        needed += ["Args:"] if signature.parameters else []
        needed += ["Returns:"] if signature.return_annotation is not None else []
    lacking = [f"{name} has no {section}" for section in needed if section not in text]
    # A NamedTuple or dataclass without a docstring gets its signature as one.
    is_generated = text.startswith(f"{name}(")
    return lacking + ([f"{name} has no docstring"] if is_generated or not text else [])


def test_every_public_name_says_args_and_returns():
    import spectral_tf

    assert len(set(spectral_tf.__all__)) == len(spectral_tf.__all__) > 0
    lacking = []
    for name in spectral_tf.__all__:
        lacking += missing_sections(name, getattr(spectral_tf, name))
    assert lacking == []


def test_a_thin_docstring_is_seen():
    def documented(x: int) -> int:
        """Do.

        Args:
            x: number.

        Returns:
            x.
        """
        return x

    assert missing_sections("documented", documented) == []
    assert len(missing_sections("f", lambda x: x)) == 3
