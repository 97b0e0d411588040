"""LAPACK may return fewer pairs than asked for: one place asks, and counts them."""

import ast
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
COUNTS = Path("spectral_tf/estimators/lapack.py")
ASKS = {
    *("subset_by_index", "subset_by_value", "eigvals", "select", "select_range"),
    *("iu", "il"),
}
"""Arguments of solvers by which some of the pairs are asked for."""
SOLVERS = {
    *("eigh", "eigvalsh", "eigh_tridiagonal", "eigvalsh_tridiagonal", "eig_banded"),
    *("eigvals_banded", "syevr", "syevx", "ssyevr", "dsyevr", "ssyevx", "dsyevx"),
}


def subsets(tree: ast.AST) -> list[int]:
    """Lines of calls that ask for some of the eigenpairs."""
    lines = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        given = {keyword.arg for keyword in node.keywords}
        is_sure = any(str(key).startswith("subset_by") for key in given)
        if is_sure or (name in SOLVERS and given & ASKS):
            lines.append(node.lineno)
    return lines


def test_one_place_asks_for_some_of_the_pairs():
    rooms = ("spectral_tf", "benchmarks", "experiments")
    files = [path for room in rooms for path in sorted((ROOT / room).rglob("*.py"))]
    assert len(files) > 100
    found = {
        path.relative_to(ROOT): subsets(ast.parse(path.read_text("utf-8")))
        for path in files
    }
    asking = {path: lines for path, lines in found.items() if lines}
    assert list(asking) == [COUNTS], f"use spectral_tf.estimators.top_pairs: {asking}"


@pytest.mark.parametrize(
    "text",
    [
        "scipy.linalg.eigh(a, subset_by_index=(0, 1))",
        "eigh(a, b, subset_by_value=(0, 1))",
        "linalg.eigh_tridiagonal(d, e, select='i', select_range=(0, 1))",
        "solve(a, subset_by_index=[3, 4])",
    ],
)
def test_that_check_sees_a_subset(text):
    assert subsets(ast.parse(text)) == [1]
    assert not subsets(ast.parse("scipy.linalg.eigh(a, driver='evd')"))


def test_the_benchmarks_truth_has_all_pairs_of_a_cluster(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import bench_estimators

    x = np.tile(np.eye(8), (9, 1))
    for k in range(1, 8):
        vectors = bench_estimators.truth(x, k)
        np.testing.assert_allclose(vectors @ vectors.T, np.eye(k), atol=1e-12)
