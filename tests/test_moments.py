"""Means and covariances against integers: no rounding but what the bound allows."""

from fractions import Fraction

import numpy as np
import pytest

from spectral_tf.config import DataError
from spectral_tf.moments import (
    MOST_ROWS,
    UNIT_ROUNDOFF,
    Moments,
    empty_moments,
    moments_of,
    split,
)

DEEPEST = 1074
"""Every float64 is a whole multiple of 2^-1074."""
DIM = 3


class Exact:
    """Mean and covariance (1/N) of a table, as fractions."""

    def __init__(self, table: np.ndarray) -> None:
        whole = [[to_int(value) for value in row] for row in table.astype(float)]
        rows = np.array(whole, object).reshape(table.shape)
        count, sums = len(rows), rows.sum(axis=0)
        second = count * (rows.T @ rows) - np.outer(sums, sums)
        unit = Fraction(1, count * count * 2 ** (2 * DEEPEST))
        self.mean = [Fraction(int(one), count * 2**DEEPEST) for one in sums]
        self.covariance = [[int(one) * unit for one in row] for row in second]
        self.trace = sum(self.covariance[i][i] for i in range(len(sums)))

    def excess(self, moments: Moments) -> float:
        """The 2-norm of the error of the covariance over the bound that is stated."""
        unit = Fraction(moments.scale) ** 2
        off = [
            [
                Fraction(float(ours)) * unit - true
                for ours, true in zip(*rows, strict=True)
            ]
            for rows in zip(moments.scaled_covariance, self.covariance, strict=True)
        ]
        largest = max(abs(one) for row in off for one in row)
        bound = Fraction(moments.scaled_error) * unit
        if largest == 0:
            return 0.0
        if bound == 0:
            return np.inf
        relative = [[float(one / largest) for one in row] for row in off]
        norm = Fraction(float(np.linalg.norm(np.array(relative), 2)) * (1 - 1e-12))
        return float(min(norm * largest / bound, Fraction(10) ** 300))


def to_int(value: float) -> int:
    """`value * 2^1074`."""
    above, below = value.as_integer_ratio()
    return above * (2**DEEPEST // below)


def gaussian(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.normal(size=(count, DIM)) @ rng.normal(size=(DIM, DIM))


def late(scale: float):
    """Zeros, and then numbers of this size: the first rows say nothing about them."""

    def make(rng: np.random.Generator, count: int) -> np.ndarray:
        rows = scale * gaussian(rng, count)
        rows[: count // 2] = 0
        return rows

    return make


def times(scale: float, shift: float = 0.0):
    return lambda rng, count: shift + scale * gaussian(rng, count)


def multiples_of_the_smallest(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.integers(-9, 10, (count, DIM)) * 5e-324


def largest(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.finfo(float).max * rng.choice([-1.0, 1.0], (count, DIM))


def heavy(rng: np.random.Generator, count: int) -> np.ndarray:
    return gaussian(rng, count) * 10.0 ** rng.uniform(-40, 40, (count, 1))


def growing(rng: np.random.Generator, count: int) -> np.ndarray:
    return gaussian(rng, count) * np.geomspace(1e-60, 1e60, count)[:, None]


def mixed(rng: np.random.Generator, count: int) -> np.ndarray:
    return gaussian(rng, count) * [1e-150, 1.0, 1e-8] + [0, 1e8, 1e8]


def duplicated(rng: np.random.Generator, count: int) -> np.ndarray:
    return 0.1 + gaussian(rng, count)[:, :1].repeat(DIM, axis=1)


def constant(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.tile(rng.normal(size=DIM), (count, 1))


def biased(count: int) -> np.ndarray:
    """Rows whose sums are all rounded the same way, after two that say 0.

    Falling, so that the sum over the sums is large beside the sum of squares.
    """
    wanted = 3**-0.5 + (count - np.arange(count)) / count
    found, total = wanted.copy(), wanted[0]
    for i in range(1, count):
        step = np.spacing(total + wanted[i])
        found[i] = np.floor(wanted[i] / step) * step + 0.499 * step
        total += found[i]
    rows = np.repeat(found[:, None], DIM, axis=1)
    return np.concatenate([-np.ones((1, DIM)), np.ones((1, DIM)), rows])


FAMILIES = {
    "gaussian": gaussian,
    "mean 1e8": times(1.0, 1e8),
    "mean 1e15": times(1.0, 1e15),
    "mean 1e300": times(1e290, 1e300),
    "1e300": times(1e300),
    "1e-140": times(1e-140),
    "1e-200": times(1e-200),
    "1e-305": times(1e-305),
    "1e-310": times(1e-310),
    "subnormal": multiples_of_the_smallest,
    "largest": largest,
    "heavy": heavy,
    "growing": growing,
    "mixed": mixed,
    "duplicated": duplicated,
    "constant": constant,
    "late 1e-30": late(1e-30),
    "late 1e-200": late(1e-200),
    "late 1e-310": late(1e-310),
}


CUTS = {
    "whole": lambda *_: [],
    "anywhere": lambda count, rng: np.sort(rng.choice(np.arange(1, count), 5)),
    "two rows first": lambda *_: [2],
    "row by row": lambda count, _: range(1, count),
}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_error_is_within_its_bound(family, cut):
    for count in (2, 3, 7, 60):
        for seed in range(5):
            rng = np.random.default_rng([seed, count])
            table = FAMILIES[family](rng, count)
            cuts = [*CUTS[cut](count, rng)]
            chunks = [chunk for chunk in np.split(table, cuts) if len(chunk)]
            moments = moments_of(chunks)
            assert moments.count == count
            assert Exact(table).excess(moments) <= 1, (count, seed)


@pytest.mark.parametrize("cuts", [[], [2], [2, 3000, 3001, 6000], range(1, 8194)])
def test_the_bound_holds_where_every_rounding_goes_the_same_way(cuts):
    table = biased(8192)
    excess = Exact(table).excess(moments_of(np.split(table, cuts)))
    assert excess <= 1


@pytest.mark.parametrize("family", ["gaussian", "mean 1e8", "1e300", "heavy"])
def test_the_bound_is_of_use(family):
    rng = np.random.default_rng(0)
    moments = moments_of([FAMILIES[family](rng, 500)])
    trace = np.trace(moments.scaled_covariance)
    assert 0 < moments.scaled_error <= 2e3 * UNIT_ROUNDOFF * trace


def test_more_rows_than_a_part_has():
    rng = np.random.default_rng(0)
    table = 1e8 + rng.normal(size=(2 * MOST_ROWS + 5, DIM))
    assert [len(part) for part in split(table)] == [MOST_ROWS, MOST_ROWS, 5]
    moments = moments_of([table])
    assert (moments.parts, moments.part_rows) == (3, MOST_ROWS)
    assert Exact(table).excess(moments) <= 1


def test_a_part_has_at_least_as_many_rows_as_columns():
    wide = np.zeros((1500, 1000))
    assert [len(part) for part in split(wide)] == [1000, 500]


@pytest.mark.parametrize("family", ["gaussian", "mean 1e8", "growing", "mixed"])
def test_the_order_of_merging_does_not_matter_beyond_the_bounds(family):
    rng = np.random.default_rng(0)
    chunks = np.array_split(FAMILIES[family](rng, 60), 6)
    found = [
        moments_of([chunks[i] for i in order])
        for order in (range(6), range(5, -1, -1), rng.permutation(6))
    ]
    units = [moments.scale**2 for moments in found]
    bounds = [m.scaled_error * unit for m, unit in zip(found, units, strict=True)]
    covariances = [
        m.scaled_covariance * unit for m, unit in zip(found, units, strict=True)
    ]
    for other in (1, 2):
        off = np.linalg.norm(covariances[0] - covariances[other], 2)
        assert off <= bounds[0] + bounds[other]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_mean_is_right(family):
    rng = np.random.default_rng(1)
    table = FAMILIES[family](rng, 60)
    moments = moments_of([table])
    for column in range(DIM):
        exact = Exact(table).mean[column]
        size = Fraction(float(np.max(np.abs(table[:, column]))))
        off = abs(Fraction(float(moments.mean[column])) - exact)
        assert off <= 100 * Fraction(UNIT_ROUNDOFF) * size + Fraction(5e-324)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8, np.uint64, bool])
def test_other_types_are_what_they_are_in_float64(dtype):
    table = (100 * np.random.default_rng(0).uniform(size=(20, DIM))).astype(dtype)
    ours, wide = moments_of([table]), moments_of([table.astype(np.float64)])
    assert np.array_equal(ours.scaled_covariance, wide.scaled_covariance)
    assert np.array_equal(ours.mean, wide.mean)


def test_whole_numbers_have_no_error():
    table = np.random.default_rng(0).integers(-50, 50, (64, DIM)).astype(float)
    table[0] = 64  # the first row is the shift
    moments = moments_of([table[:1], table[1:]])
    assert Exact(table).excess(moments) == 0


def test_layout_and_writability_do_not_matter():
    table = np.random.default_rng(0).normal(size=(40, DIM))
    wanted = moments_of([table]).scaled_covariance
    wide = np.zeros((80, 2 * DIM))
    wide[::-2, ::2] = table
    frozen = table.copy()
    frozen.setflags(write=False)
    for view in (np.asfortranarray(table), wide[::-2, ::2], frozen):
        np.testing.assert_allclose(
            moments_of([view]).scaled_covariance, wanted, rtol=0, atol=1e-14
        )


def test_updating_leaves_what_was_there():
    first, second = np.random.default_rng(0).normal(size=(2, 30, DIM))
    moments = moments_of([first])
    kept = moments.second.copy(), moments.total.copy()
    moments.updated(second)
    assert moments.count == 30
    assert np.array_equal(moments.second, kept[0])
    assert np.array_equal(moments.total, kept[1])


@pytest.mark.parametrize(
    ("first", "then"), [(1e-200, 1e60), (1.0, 1e200), (1e-300, 1e-20), (1e-160, 1e160)]
)
def test_rows_too_far_apart_are_refused_or_right(first, then):
    table = np.random.default_rng(0).normal(size=(60, DIM))
    chunks = [table[:30] * first, table[30:] * then]
    try:
        moments = moments_of(chunks)
    except DataError as error:
        message = str(error)
    else:
        message = "right"
        assert Exact(np.concatenate(chunks)).excess(moments) <= 1
    assert message == "right" or "too far apart" in message


def test_no_rows_are_refused():
    with pytest.raises(DataError, match="no rows"):
        moments_of([])


def test_sums_over_no_rows():
    rows = np.random.default_rng(0).normal(size=(5, DIM))
    moments = empty_moments(rows)
    assert (moments.count, moments.parts, moments.dim) == (0, 0, DIM)
    assert not moments.second.any()


def test_updating_with_larger_rows_leaves_what_was_there():
    first, second = np.random.default_rng(0).normal(size=(2, 30, DIM))
    moments = moments_of([first * 1e-200])
    kept = moments.second.copy(), moments.total.copy(), moments.scale
    grown = moments.updated(second)
    assert grown.scale != moments.scale
    assert np.array_equal(moments.second, kept[0])
    assert np.array_equal(moments.total, kept[1])
    assert moments.scale == kept[2]
