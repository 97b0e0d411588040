"""What the sources of `constructive/` may be called and say: names, symbols, lists."""

import ast
import functools
import re
from pathlib import Path

import pytest

import spectral_tf
from spectral_tf.constructive.em_gadgets import em_layout
from spectral_tf.constructive.mixture import mixture_composition
from spectral_tf.constructive.power_method import VARIANTS, power_method_composition

ROOM = Path(spectral_tf.__file__).parent / "constructive"
FILES = sorted(ROOM.rglob("*.py"))
VAGUE = {"found", "one", "each", "own", "told", "kept", "drawn"}
MATRICES = {"A", "B"}


def bindings(tree):
    """Names that are bound, and the lines where."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno


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


def false_symbols(text, rows):
    """Symbols that begin a docstring as a formula and name no row and no matrix."""
    match = re.match(r"`?(\w+)`? *(<-|\+=|-=)", text)
    if match is None or match[1] in rows | MATRICES:
        return []
    return [match[1]]


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


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOM)))
def test_names_and_docstrings(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert [(name, line) for name, line in bindings(tree) if name in VAGUE] == []
    rows = row_names()
    for text in docstrings(tree):
        assert false_symbols(text, rows) == []
        assert broken_lists(text) == []


@pytest.mark.parametrize(
    "code",
    [
        "found = 1",
        "def f(one): ...",
        "for each in x: ...",
        "(lambda own: own)",
        "[kept for kept in x]",
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
    assert false_symbols("A <- A A on the columns", rows) == []
    assert broken_lists("* a\n  b\n\nc\n1. d\n2. e\n") == []
    assert broken_lists("3. is done. 4. What is\n   zero.") != []
    assert broken_lists("* a of\nwhich\n  b") == ["which"]
