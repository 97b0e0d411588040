"""Moments of parts, merged in any order, within the bound that they state."""

from fractions import Fraction

import numpy as np
import pytest

from spectral_tf.config import DataError
from spectral_tf.moments import Moments, moments_of

RNG = np.random.default_rng(0)
TABLES = {
    "plain": RNG.normal(size=(60, 4)),
    "a large mean": RNG.normal(size=(60, 4)) + 1e6,
    "drifting": RNG.normal(size=(60, 4)) + np.arange(60)[:, None] * 1e3,
    "tiny": RNG.normal(size=(60, 4)) * 1e-180,
    "huge": RNG.normal(size=(60, 4)) * 1e170,
    "of unlike scales": RNG.normal(size=(60, 4)) * 10.0 ** np.r_[-200, 0, 3, 150],
    "constant parts": np.repeat([[1.0, 2, 3, 4], [1e9, 0, -5, 2]], 30, axis=0),
    "whole numbers": RNG.integers(0, 2**40, size=(60, 4)),
}


def parts_of(x: np.ndarray, sizes: list[int]) -> list[Moments]:
    """Each with the shift and the scale of its first rows."""
    return [moments_of([part]) for part in np.split(x, np.cumsum(sizes)[:-1])]


def merged_at_random(parts: list[Moments], rng: np.random.Generator) -> Moments:
    """Any two at a time until one is left: a random tree in a random order."""
    parts = list(parts)
    while len(parts) > 1:
        first = parts.pop(int(rng.integers(len(parts))))
        second = parts.pop(int(rng.integers(len(parts))))
        parts.append(first.merged(second))
    return parts[0]


def exact_covariance(x: np.ndarray) -> list[list[Fraction]]:
    rows = [[Fraction(float(value)) for value in row] for row in x]
    count, dim = len(rows), len(rows[0])
    means = [sum((row[i] for row in rows), Fraction(0)) / count for i in range(dim)]
    return [
        [
            sum(((r[i] - means[i]) * (r[j] - means[j]) for r in rows), Fraction(0))
            / count
            for j in range(dim)
        ]
        for i in range(dim)
    ]


def off(moments: Moments, exact: list[list[Fraction]]) -> float:
    """Frobenius norm, at least the 2-norm, of the error over the scale's square."""
    unit = Fraction(moments.scale) ** 2
    values = moments.scaled_covariance
    errors = [
        float(Fraction(float(values[i, j])) - exact[i][j] / unit)
        for i in range(len(exact))
        for j in range(len(exact))
    ]
    return float(np.linalg.norm(errors))


@pytest.mark.parametrize("name", TABLES)
def test_any_order_is_within_the_stated_bound(name):
    x = TABLES[name]
    exact = exact_covariance(x)
    parts = parts_of(x, [1, 7, 2, 20, 13, 17])
    rng = np.random.default_rng(1)
    for _ in range(20):
        whole = merged_at_random(parts, rng)
        assert whole.count == len(x)
        assert off(whole, exact) <= whole.scaled_error
        size = np.abs(x).max()
        np.testing.assert_allclose(whole.mean / size, x.mean(axis=0) / size, atol=1e-14)


@pytest.mark.parametrize("name", ["plain", "a large mean", "tiny", "whole numbers"])
def test_the_bound_stays_of_use(name):
    whole = merged_at_random(
        parts_of(TABLES[name], [1, *[10] * 5, 9]), np.random.default_rng(2)
    )
    once = moments_of([TABLES[name]])
    ratio = (once.scale / whole.scale) ** 2
    assert whole.scaled_error <= 100 * once.scaled_error * ratio
    assert 0 < whole.scaled_error <= 1e-11 * np.trace(whole.scaled_covariance)


def test_merged_moments_take_more_rows():
    x = TABLES["drifting"]
    first, second = moments_of([x[:20]]), moments_of([x[20:30]])
    whole = first.merged(second).updated(x[30:])
    assert off(whole, exact_covariance(x)) <= whole.scaled_error
    assert np.array_equal(first.second, moments_of([x[:20]]).second)


def test_equal_shifts_are_added_without_a_further_error():
    x = TABLES["plain"]
    start = moments_of([x[:10]])
    again = Moments(0, start.shift, start.scale, np.zeros(4), np.zeros((4, 4)), 0, 0)
    assert start.merged(again.updated(x[10:])).moved == 0.0


def test_other_columns_are_refused():
    with pytest.raises(DataError, match="4 columns and of 3 cannot be merged"):
        moments_of([np.ones((2, 4))]).merged(moments_of([np.ones((2, 3))]))
