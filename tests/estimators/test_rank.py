"""The rank that is counted is the one that the table was made with."""

import numpy as np
import pytest

from spectral_tf.estimators.rank import numerical_rank
from spectral_tf.estimators.solution import Summary


def dependent(
    rows: int, *, mean: float = 0.0, unit: float = 1.0, dtype: type = np.float64
):
    """Four columns, their total, a part of it, and a copy in other units."""
    parts = (np.random.default_rng(rows).gamma(5, 20, (rows, 4)) + mean) * unit
    parts = parts.astype(dtype)
    pair = parts[:, 0] + parts[:, 1]
    return np.c_[parts, parts.sum(axis=1), pair, 2.54 * parts[:, 2]].astype(dtype)


def rank_of(x: np.ndarray) -> int:
    summary = Summary.of_rows(x)
    values = np.linalg.svd(x - x.mean(axis=0, dtype=np.float64), compute_uv=False)
    scaled = values**2 / len(x) / summary.scale**2
    return numerical_rank(scaled, summary.floor(x.dtype))


@pytest.mark.parametrize("rows", [10, 400, 20_000])
@pytest.mark.parametrize("mean", [0.0, 1e6, 1e9])
def test_dependent_columns_add_nothing(rows, mean):
    assert rank_of(dependent(rows, mean=mean)) == 4


@pytest.mark.parametrize("unit", [1e-150, 1e-12, 1e12, 1e150])
def test_units_do_not_matter(unit):
    assert rank_of(dependent(400, unit=unit)) == 4


@pytest.mark.parametrize("mean", [0.0, 1e3])
def test_single_precision(mean):
    assert rank_of(dependent(400, mean=mean, dtype=np.float32)) == 4


@pytest.mark.parametrize("size", [1e-3, 1e-2, 1.0])
def test_a_small_variation_counts(size):
    x = dependent(400)
    x[:, 4] += size * np.random.default_rng(0).normal(size=len(x))
    assert rank_of(x) == 5


def test_fewer_rows_than_columns():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 3)) @ rng.normal(size=(3, 30)) + 5
    assert rank_of(x) == 3


def test_a_constant_table_has_none():
    assert rank_of(np.full((20, 4), 0.1)) == 0
