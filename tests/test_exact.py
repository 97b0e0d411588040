"""Digits that a float64 has not are subtracted before they are rounded away."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectral_tf.certificate.certify import certify
from spectral_tf.config import DataError
from spectral_tf.exact import (
    column_relative,
    differences,
    exact_number,
    middle_of,
    restored,
    shifted,
    side_by_side,
)
from spectral_tf.moments import moments_of

WORDS = {np.int64: (-(2**63), 2**63 - 1), np.uint64: (0, 2**64 - 1)}
SIX = [2**53 + i for i in (1, 2, 3, 4, 10, 11)]


@pytest.mark.parametrize("dtype", WORDS)
@given(st.data())
def test_differences_are_rounded_once(dtype, data):
    whole = st.integers(*WORDS[dtype])
    values = data.draw(st.lists(whole, min_size=1, max_size=5))
    centre = data.draw(st.one_of(whole, st.integers(-(2**70), 2**70)))
    away = differences(np.array(values, dtype), centre)
    assert away.tolist() == [float(value - centre) for value in values]


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False), min_size=1))
def test_decimals_are_what_they_say(values):
    numbers = [exact_number(value) for value in values]
    for value, number in zip(values, numbers, strict=True):
        if number is not None:
            assert number == Fraction(value)
            assert exact_number(str(value)) == number


@pytest.mark.parametrize(
    "value", [None, "a", "", "nan", "inf", float("inf"), Decimal("1e999999999"), 1j]
)
def test_what_is_no_number(value):
    assert exact_number(value) is None


def test_the_middle_is_an_entry():
    assert middle_of(np.array([3, 1, 2**62, 2])) == 2
    assert middle_of(np.array([Decimal("0.1"), 5, 2**70], object)) == 5
    assert middle_of(np.array([None, 5], object)) is None


@pytest.mark.parametrize(
    "kind", [np.int64, np.uint64, np.longdouble, object, "list", "Decimal", "text"]
)
def test_a_table_of_whole_numbers(kind):
    rows = [[value, i] for i, value in enumerate(SIX)]
    make = {"Decimal": Decimal, "text": str}.get(kind, int)
    table = [[make(value) for value in row] for row in rows]
    if kind != "list":
        table = np.array(table, kind if isinstance(kind, type) else object)
    values = np.array(rows, float)
    x, origin = shifted(table, values, choose=True)
    assert origin is not None
    assert origin[1] == 0
    assert x.tolist() == [[value - origin[0], i] for value, i in rows]
    again, same = shifted(table, values, origin, choose=False)
    assert same == origin
    assert np.array_equal(again, x)
    assert np.array_equal(restored(x, origin), values)


def test_ordinary_tables_stay_what_they_are():
    for x in (np.random.default_rng(0).normal(size=(5, 2)), np.full((3, 2), 1e300)):
        same, origin = shifted(x, x, choose=True)
        assert same is x
        assert origin is None


def test_a_column_of_texts():
    texts = [f"1700000000.{i:09d}" for i in range(50)]
    column = column_relative(texts, np.array(texts, float))
    assert column is not None
    steps = np.diff(column.values)
    np.testing.assert_allclose(steps, 1e-9, rtol=1e-12)
    assert float(column.centre) == pytest.approx(1.7e9)
    for plain in (["1", "2"], ["2000", "2001"], ["0.1", "-0.2"], ["x"], ["inf", "1"]):
        values = np.array([exact_number(t) or np.nan for t in plain], float)
        assert column_relative(plain, values) is None


def test_gaps_stay_gaps():
    entries = [2**60 + 1, None, 2**60 + 4]
    column = column_relative(entries, np.array([2.0**60, np.nan, 2.0**60]))
    assert column is not None
    assert np.isnan(column.values[1])
    assert column.values[2] - column.values[0] == 3


def test_columns_beside_one_another_keep_their_digits():
    whole, share = np.array([2**53 + 1, 2**53 + 2]), np.array([0.5, 0.25])
    assert side_by_side([whole, share])[0].tolist() == [2**53 + 1, 0.5]
    assert side_by_side([whole - 2**53, share]).dtype == np.float64
    assert side_by_side([whole, whole]).dtype == np.int64


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_moments_of_whole_numbers(dtype):
    rows = np.array([[value, i] for i, value in enumerate(SIX)])
    small = (rows - [2**53, 0]).astype(float)
    moments = moments_of([rows[:2].astype(dtype), rows[2:].astype(dtype)])
    covariance = np.cov(small.T, bias=True)
    np.testing.assert_allclose(moments.scaled_covariance, covariance, rtol=1e-15)


def test_a_claim_about_rounded_numbers_is_not_certified():
    table = np.array([[2**53 + i, i - 1] for i in (1, 2, 3, 4)])
    rounded = np.array([[0.8348, 0.5505]])
    assert not certify(table, [2.5], rounded).is_certified
    right = np.full((1, 2), 0.5**0.5)
    assert certify(table, [2.5], right).is_certified
    assert certify(table[:, ::-1].astype(object), [2.5], right).is_certified
    for kind in (str, bytes):
        assert certify(table.astype(kind), [2.5], right).is_certified
        assert not certify(table.astype(kind), [2.5], rounded).is_certified
    with pytest.raises(DataError, match="no numbers"):
        certify(np.array([["1", "a"], ["2", "3"]]), [1.0], right)
