"""What the sources of the library may be called and say: names, symbols, lists."""

import ast
import functools
import re
from pathlib import Path

import pytest

import spectral_tf
from spectral_tf.constructive.em_gadgets import em_layout
from spectral_tf.constructive.mixture import mixture_composition
from spectral_tf.constructive.power_method import VARIANTS, power_method_composition

PACKAGE = Path(spectral_tf.__file__).parent
ROOMS = (
    *("config", "model", "weights", "sampling", "clustering", "training"),
    *("certificate", "constructive", "tables", "estimators"),
)
"""Folders whose names are nouns of the field, beside the modules of the package."""
FILES = [
    *PACKAGE.glob("*.py"),
    *(f for r in ROOMS for f in (PACKAGE / r).rglob("*.py")),
]
VAGUE = {
    *("found", "one", "each", "own", "told", "kept", "drawn"),
    *("said", "given", "there", "made", "asked"),
}
PUBLIC = {("model/cluster.py", "asked")}
"""A field of `ClusterTable` and the argument of that name: users write them."""
MATRICES = {"A", "B"}


def place_of(path):
    return path.relative_to(PACKAGE).as_posix()


def bindings(tree):
    """Names that are bound, and the lines where."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, node.lineno


def docstrings(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            yield ast.get_docstring(node) or ""


@functools.cache
def row_names():
    """Rows of all layouts: the symbols that formulas of the gadgets are about."""
    layouts = [power_method_composition(3, 2, 9, name).layout for name in VARIANTS]
    layouts += [em_layout(3, 2), mixture_composition(3, 2).layout]
    return {name for layout in layouts for name, _ in layout.sizes}


def false_symbols(text, rows=None):
    """Symbols that begin a docstring and are none: a capital that a formatter made.

    Args:
        text: of the docstring.
        rows: symbols that there are; None lets every lower-case one pass.
    """
    if re.fullmatch(r"[A-Z]\.", text):  # of a property `dim`, which is d
        return [text[0]]
    match = re.match(r"`?(\w+)`? *(<-|\+=|-=)", text)
    if match is None or match[1] in MATRICES:
        return []
    is_symbol = match[1] in rows if rows is not None else match[1].islower()
    return [] if is_symbol else [match[1]]


def broken_lists(text):
    """Lines of a list that a formatter has filled up as if they were a paragraph."""
    broken, is_item = [], False
    for line in text.splitlines():
        begins = re.match(r"(\* |[1-9]\. )", line)
        # `3. first. 4. second` in one line; an item goes on without an indent.
        if begins and re.search(r"[.:] [1-9]\. ", line):
            broken.append(line)
        if is_item and line and not begins and not line.startswith(" "):
            broken.append(line)
        is_item = bool(begins) or (is_item and line.startswith(" "))
    return broken


@pytest.mark.parametrize("path", FILES, ids=place_of)
def test_names_and_docstrings(path):
    tree, place = ast.parse(path.read_text(encoding="utf-8")), place_of(path)
    assert [
        (name, line)
        for name, line in bindings(tree)
        if name.strip("_") in VAGUE and (place, name) not in PUBLIC
    ] == []
    rows = row_names() if place.startswith("constructive/") else None
    for text in docstrings(tree):
        assert false_symbols(text, rows) == []
        assert broken_lists(text) == []


def test_rows_are_named_by_what_they_mean():
    """`Rows` once meant six things."""
    for path in FILES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert "Rows" not in {name for name, _ in bindings(tree)}, path


@pytest.mark.parametrize(
    "code",
    [
        "found = 1",
        "def f(one): ...",
        "def one(): ...",
        "for each in x: ...",
        "(lambda own: own)",
        "[kept for kept in x]",
        "self.said = 0",
    ],
)
def test_a_vague_name_is_seen(code):
    assert {name for name, _ in bindings(ast.parse(code))} & VAGUE


def test_a_false_docstring_is_seen():
    rows = row_names()
    assert {"u", "lam", "base", "near", "y"} <= rows
    for text in ("U <- Sigma u on", "Lam <- <u, w> on", "R += f(s)", "`Near` <- |x|"):
        assert false_symbols(text, rows) != [], text
        assert false_symbols(text[0].lower() + text[1:].lower(), rows) == []
    assert false_symbols("X <- x - mean") == ["X"]
    assert false_symbols("x <- x - mean") == []
    assert false_symbols("D.") == ["D"]
    assert false_symbols("A <- A A on the columns", rows) == []
    assert broken_lists("* a\n  b\n\nc\n1. d\n2. e\n") == []
    assert broken_lists("3. is done. 4. What is\n   zero.") != []
    assert broken_lists("* a of\nwhich\n  b") == ["which"]
