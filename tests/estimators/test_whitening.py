"""Whitened columns have unit variance, or are 0 where there is nothing but rounding."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_low_rank_matrix

from spectral_tf.estimators import SpectralPCA

UNITS = [1.0, 1e-150, 1e-20, 1e-9, 1e9, 1e150]


def dependent(rows: int = 300, *, mean: float = 0.0) -> np.ndarray:
    parts = np.random.default_rng(rows).gamma(5, 20, (rows, 3)) + mean
    return np.c_[parts, parts.sum(axis=1), parts[:, 0] + parts[:, 1]]


def whitened(x: np.ndarray) -> tuple[SpectralPCA, np.ndarray]:
    found = SpectralPCA(None, whiten=True)
    return found, found.fit(x).transform(x)


@pytest.mark.parametrize("unit", UNITS)
def test_a_table_whose_variances_fall_to_nothing(unit):
    x = unit * make_low_rank_matrix(
        1000, 10, effective_rank=2, tail_strength=0.0, random_state=0
    )
    found, scores = whitened(x)
    assert np.max(np.abs(scores)) < 10
    deviations = scores.std(axis=0, ddof=1)
    is_null = deviations == 0
    assert_allclose(deviations[~is_null], 1, atol=1e-4)
    assert 2 <= is_null.sum() <= 3
    back = found.inverse_transform(scores)
    assert_allclose(back, x, atol=2e-7 * np.max(np.abs(x)))


@pytest.mark.parametrize("mean", [0.0, 1e6])
@pytest.mark.parametrize("unit", UNITS)
def test_dependent_columns(unit, mean):
    found, scores = whitened(unit * dependent(mean=mean))
    assert_allclose(np.cov(scores[:, :3].T), np.eye(3), atol=1e-6)
    assert_array_equal(scores[:, 3:], 0)
    new = unit * dependent(50, mean=mean)
    assert_array_equal(found.transform(new)[:, 3:], 0)
    assert_allclose(
        found.inverse_transform(found.transform(new)),
        new,
        atol=1e-11 * np.max(np.abs(new)),
    )


def test_fewer_rows_than_columns():
    """Of N centred rows N - 1 directions are left."""
    x = np.random.default_rng(0).normal(size=(8, 30)) + 100
    _, scores = whitened(x)
    assert_allclose(scores[:, :7].std(axis=0, ddof=1), 1, rtol=1e-9)
    assert_array_equal(scores[:, 7:], 0)


def test_a_constant_table():
    _, scores = whitened(np.full((20, 3), 0.1))
    assert_array_equal(scores, 0)


def test_columns_of_unlike_units_are_not_null():
    x = np.random.default_rng(0).normal(size=(300, 3)) * [1e6, 1.0, 1e-1]
    _, scores = whitened(x)
    assert_allclose(scores.std(axis=0, ddof=1), 1, rtol=1e-3)


def test_single_precision():
    _, scores = whitened(dependent(mean=1e3).astype(np.float32))
    assert scores.dtype == np.float32
    assert_allclose(scores[:, :3].std(axis=0, ddof=1), 1, rtol=1e-3)
    assert_array_equal(scores[:, 3:], 0)
