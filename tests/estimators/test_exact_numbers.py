"""A certificate is about the numbers that were given, not about their float64."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pyarrow import parquet

from spectral_tf.estimators import (
    NetworkClusterer,
    SpectralClusterer,
    SpectralOutlierDetector,
    SpectralPCA,
    read_chunks,
)

BASE = 1_700_000_000_000_000_000
"""Nanoseconds."""


def small(rows: int = 60, seed: int = 0) -> np.ndarray:
    """Whole numbers; the first column varies with the second."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 400, (rows, 3))
    x[:, 0] += 2 * x[:, 1]
    return x


def large(base: int, rows: int = 60, seed: int = 0) -> np.ndarray:
    return small(rows, seed) + np.array([base, 0, 0])


def decimals(x: np.ndarray) -> np.ndarray:
    digits = [[Decimal(int(value)).scaleb(-9) for value in row] for row in x]
    return np.array(digits, object)


KINDS = {
    "int64": lambda x: x,
    "uint64": lambda x: x.astype(np.uint64),
    "big-endian": lambda x: x.astype(">i8"),
    "objects": lambda x: x.astype(object),
    "list": lambda x: x.tolist(),
    "list of mixed numbers": lambda x: [[int(a), float(b), c] for a, b, c in x],
    "longdouble": lambda x: x.astype(np.longdouble),
    "frame": pd.DataFrame,
    "mixed frame": lambda x: pd.DataFrame(
        {"t": x[:, 0], "a": x[:, 1] / 1, "b": x[:, 2]}
    ),
    "nullable": lambda x: pd.DataFrame(x).astype("Int64"),
    "arrow": lambda x: pd.DataFrame(x).astype("int64[pyarrow]"),
    "texts": lambda x: x.astype(str).astype(object),
    "array of texts": lambda x: x.astype(str),
    "array of bytes": lambda x: x.astype(bytes),
}


@pytest.mark.parametrize("rows", [2, 60])
@pytest.mark.parametrize("base", [2**53, BASE, -BASE])
@pytest.mark.parametrize("kind", KINDS)
def test_components_do_not_depend_on_a_constant(kind, base, rows):
    if kind == "uint64" and base < 0:
        pytest.skip("no negative numbers")
    x = small(rows)
    expected = SpectralPCA(1).fit(x)
    table = KINDS[kind](large(base, rows))
    found = SpectralPCA(1).fit(table)
    assert_allclose(found.components_, expected.components_, atol=1e-14)
    assert_allclose(found.explained_variance_, expected.explained_variance_, rtol=1e-13)
    scores = expected.transform(x)
    assert_allclose(found.transform(table), scores, atol=1e-10)
    assert_array_equal(found.mean_[0], float(base + round(expected.mean_[0] - 1e-9)))
    back = found.inverse_transform(found.transform(table))
    assert_allclose(
        back[:, 0], large(base, rows)[:, 0].astype(float), rtol=1e-15, atol=512
    )
    assert found.certificate_ is not None
    assert found.certificate_.is_certified


def test_the_reported_table():
    table = np.array([[2**53 + 1, 0], [2**53 + 2, 1], [2**53 + 3, 2], [2**53 + 4, 3]])
    found = SpectralPCA(1).fit(table)
    assert_allclose(found.components_, [[0.5**0.5, 0.5**0.5]], atol=1e-15)


def test_python_integers_beyond_a_machine_word():
    x = small()
    table = x.astype(object) + np.array([10**30, 0, 0], object)
    found = SpectralPCA(2).fit(table)
    assert_allclose(found.components_, SpectralPCA(2).fit(x).components_, atol=1e-13)


@pytest.mark.parametrize("base", [0, BASE])
def test_decimals_with_many_digits(base):
    x = small()
    found = SpectralPCA(2).fit(decimals(large(base)))
    expected = SpectralPCA(2).fit(x / 1e9)
    assert_allclose(found.components_, expected.components_, atol=1e-13)
    assert_allclose(
        found.transform(decimals(large(base))), expected.transform(x / 1e9), atol=1e-20
    )


def test_more_columns_than_rows():
    x = np.random.default_rng(0).integers(0, 100, (6, 20))
    found = SpectralPCA(2).fit(x + BASE)
    assert_allclose(found.components_, SpectralPCA(2).fit(x).components_, atol=1e-13)


@pytest.mark.parametrize("first", ["whole", "rounded", "near zero", "decimals"])
def test_parts(first):
    """Also where it turns out with a later part that float64 is too narrow."""
    x = small()
    start = {
        "whole": large(BASE)[:20],
        "rounded": np.full((2, 3), float(BASE)),
        "near zero": np.zeros((2, 3)),
        "decimals": np.full((2, 3), 1e9),
    }[first]
    rest = decimals(large(BASE)) if first == "decimals" else large(BASE)[20:]
    found = SpectralPCA(1).partial_fit(start).partial_fit(rest)
    rows = [[Decimal(str(v)) for v in row] for row in np.asarray(start).tolist()]
    rows += [[Decimal(str(v)) for v in row] for row in rest.tolist()]
    whole = SpectralPCA(1).fit(np.array(rows, object))
    assert_allclose(found.components_, whole.components_, atol=1e-12)
    assert found.certificate_ is not None
    assert found.certificate_.is_certified
    assert len(x) == 60


@pytest.mark.parametrize("robust", [True, False])
@pytest.mark.parametrize("judge", ["residual", "combined"])
def test_outliers(judge, robust):
    options = {"robust": robust, "judge": judge}
    x, table = small(), large(BASE)
    expected = SpectralOutlierDetector(2, **options).fit(x)
    found = SpectralOutlierDetector(2, **options).fit(table)
    assert_allclose(found.score_samples(table), expected.score_samples(x), rtol=1e-7)
    assert_array_equal(found.predict(table), expected.predict(x))
    assert_allclose(
        found.explain(table).residual, expected.explain(x).residual, atol=1e-6
    )
    assert_allclose(found.center_, expected.center_ + np.eye(3)[0] * BASE, rtol=1e-15)


@pytest.mark.parametrize("make", [SpectralClusterer, NetworkClusterer])
def test_clusters(make):
    x, table = small(), large(BASE)
    x[::2] += 5000
    table[::2] += 5000
    expected, found = make(2).fit(x), make(2).fit(table)
    assert_array_equal(found.labels_, expected.labels_)
    assert_array_equal(found.predict(table), expected.labels_)
    centres = expected.cluster_centers_ + np.eye(3)[0] * BASE
    assert_allclose(found.cluster_centers_, centres, rtol=1e-5)


@pytest.mark.parametrize("kind", ["whole", "decimal", "array"])
def test_files_in_chunks(kind, tmp_path):
    x, t = small(), large(BASE)[:, 0]
    path = tmp_path / ("t.npy" if kind == "array" else "t.parquet")
    stamps = pa.array(t)
    if kind == "decimal":
        stamps = pa.array(decimals(t[:, None])[:, 0].tolist(), pa.decimal128(28, 9))
        x = x / [1e9, 1, 1]
    if kind == "array":
        np.save(path, large(BASE))
    else:
        columns = {"t": stamps, "a": x[:, 1] / 1, "b": x[:, 2]}
        parquet.write_table(pa.table(columns), path)
    found = SpectralPCA(2).partial_fit(read_chunks(path, rows=25))
    assert_allclose(found.components_, SpectralPCA(2).fit(x).components_, atol=1e-13)
