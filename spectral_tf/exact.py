r"""Numbers with more digits than a float64 holds, relative to an exact centre.

A float64 has 53 bits: of nanosecond stamps, identifiers, or decimals with 17 digits it
drops the last ones, and where a column varies in just those, it drops the column. A
covariance does not change when a constant is subtracted. So a column v is taken as

.. math:: y_i = \operatorname{fl}(v_i - a), \qquad a \text{ exact, the median of } v,

with the difference in integers or fractions, rounded once: y has a relative error of
at most u = 2^-53, which is what the bounds of `moments.py` allow for, whatever |a| is.
What is given back in the table's own numbers is a + y, rounded once.
"""

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

Exact = int | Fraction
Origin = tuple[Exact, ...]
"""What was subtracted from each column."""

LARGE = 2**50
"""Whole numbers up to here and their differences are exact in float64."""
LARGEST_WORD = 2**64
"""Beyond the largest integer of a machine word."""
MOST_EXPONENT = 400
"""Beyond this power of ten nothing is a float64."""
WRITTEN = "OUS"
"""Kinds of arrays whose entries are converted one by one: objects, texts, bytes."""
NEAR = 2
"""A column that varies by half its largest entry loses nothing by a rounding of it."""


class Relative(NamedTuple):
    """A column relative to an exact centre: `values` `[N]` float64, and the `centre`.

    NaN where a number is missing.
    """

    values: np.ndarray
    centre: Exact


def exact_number(value: Any) -> Exact | None:
    """The number that is meant, exactly; None if it is none or not finite.

    Args:
        value: an int, float, Decimal, Fraction, numpy scalar, or their text or bytes.

    Returns:
        An int where it is whole.
    """
    if isinstance(value, bool | int | np.integer | np.bool_):
        return int(value)
    try:
        if isinstance(value, bytes):
            value = value.decode()
        if isinstance(value, str):
            value = Decimal(value.strip())
        if isinstance(value, Decimal):
            is_far = value and abs(value.adjusted()) > MOST_EXPONENT
            if not value.is_finite() or is_far:
                return None
            number = Fraction(value) if value else Fraction(0)
        elif isinstance(value, float | np.floating):
            number = Fraction(*value.as_integer_ratio())
        else:
            number = Fraction(value)
    except (TypeError, ValueError, OverflowError, InvalidOperation):
        return None
    return number.numerator if number.denominator == 1 else number


def differences(column: np.ndarray, centre: Exact) -> np.ndarray:
    """`column - centre`, exact and then rounded once; twice for floats or fractions.

    Args:
        column: `[N]` of integers, floats, or objects that are numbers; a None among
            objects is missing.
        centre: exact.

    Returns:
        `[N]` float64.
    """
    if column.dtype.kind in "iu" and isinstance(centre, int):
        limits = np.iinfo(column.dtype)
        if limits.min <= centre <= limits.max:
            return _word_differences(column, centre)
    if column.dtype.kind in "iu" and not isinstance(centre, int):
        whole = math.floor(centre)
        return differences(column, whole) - float(centre - whole)
    if column.dtype.kind == "f":
        high, low = halves(centre)
        return (column - column.dtype.type(high)).astype(np.float64) - low
    numbers = (exact_number(value) for value in column.tolist())
    return np.array([np.nan if v is None else float(v - centre) for v in numbers])


def _word_differences(column: np.ndarray, centre: int) -> np.ndarray:
    """Of integers of one type; modulo 2^64, so that nothing overflows."""
    is_above = column >= column.dtype.type(centre)
    words, middle = column.astype(np.uint64), np.uint64(centre % LARGEST_WORD)
    away = np.where(is_above, words - middle, middle - words).astype(np.float64)
    return np.where(is_above, away, -away)


def halves(centre: Exact) -> tuple[float, float]:
    """The nearest float64, and what is left."""
    high = float(centre)
    return high, float(centre - Fraction(high))


def restored(values: np.ndarray, origin: Origin | None) -> np.ndarray:
    """Columns in the table's own numbers, rounded to float64.

    Args:
        values: `[..., d]` relative to the origin.
        origin: `[d]`; None for zeros.

    Returns:
        `[..., d]`; the values themselves where there is no origin.
    """
    if origin is None:
        return values
    pairs = [halves(centre) for centre in origin]
    high, low = np.array(pairs, np.float64).reshape(-1, 2).T
    return (values + low) + high


def middle_of(column: np.ndarray) -> Exact | None:
    """The lower median, exactly; None if an entry is no number."""
    place = (len(column) - 1) // 2
    if column.dtype.kind in "iuf":
        return exact_number(np.partition(column, place)[place].item())
    numbers = [exact_number(value) for value in column.tolist()]
    known = sorted(number for number in numbers if number is not None)
    return known[place] if len(known) == len(numbers) else None


def centre_for(column: np.ndarray) -> Exact:
    """What has to be subtracted before a column becomes float64; 0 for nothing.

    Args:
        column: `[N]` of integers, floats or objects, N >= 1.

    Returns:
        The median where float64 does not hold every entry, or where entries of later
        rows may be such (beyond `LARGE`); else 0.
    """
    kind = column.dtype.kind
    if kind == "O":
        loses = any(map(_loses_digits, column.tolist()))
    elif kind == "f" and column.dtype.itemsize > 8:
        loses = bool(np.any(column.astype(np.float64) != column))
    elif kind == "f":
        # Where a float column varies by its size, nothing is lost by its last digits.
        least, most = float(np.min(column)), float(np.max(column))
        near, far = min(abs(least), abs(most)), max(abs(least), abs(most))
        loses = least * most > 0 and near >= LARGE and far < LARGEST_WORD
    else:
        far = max(abs(int(np.min(column))), abs(int(np.max(column))))
        loses = far > LARGE
    return (middle_of(column) or 0) if loses else 0


def _loses_digits(value: Any) -> bool:
    number = exact_number(value)
    if number is None:
        return False
    with contextlib.suppress(OverflowError):
        return abs(number) > LARGE or float(number) != number
    return False


def exact_columns(table: Any) -> Iterator[tuple[int, np.ndarray]]:
    """The columns that float64 may not hold: number and entries as they were given.

    Args:
        table: an array, a list of rows, or a frame of pandas, polars or pyarrow.

    Yields:
        `(index, column [N])`, integers of 64 bits, wide floats, or objects.
    """
    if hasattr(table, "columns"):
        for index, series in enumerate(_series(table)):
            column = _entries(series)
            if _is_wide(column):
                yield index, column
        return
    rows = np.asarray(table, object if isinstance(table, list | tuple) else None)
    if rows.ndim == 2 and _is_wide(rows[:, :1].ravel()):
        yield from enumerate(_tightened(column) for column in rows.T)


def _series(frame: Any) -> Iterable[Any]:
    if hasattr(frame, "iloc"):
        return (frame.iloc[:, index] for index in range(frame.shape[1]))
    names = "iter_columns", "itercolumns"
    iterate = next((getattr(frame, n) for n in names if hasattr(frame, n)), None)
    return () if iterate is None else iterate()


def _entries(series: Any) -> np.ndarray:
    """A column of a frame, its integers and decimals as such."""
    kind = str(getattr(series, "dtype", getattr(series, "type", ""))).lower()
    column = np.asarray(series)
    is_whole = column.dtype.kind in "iu"
    if kind.startswith(("int", "uint", "decimal")) and not is_whole:
        names = "to_pylist", "to_list", "tolist"
        to_list = next(getattr(series, n) for n in names if hasattr(series, n))
        column = np.array([*to_list(), None], object)[:-1]
    return _tightened(column)


def _tightened(column: np.ndarray) -> np.ndarray:
    """Objects that are all floats, or all integers of 64 bits, as those.

    Texts and bytes become objects.
    """
    if column.dtype.kind in "US":
        return column.astype(object)
    if column.dtype.kind != "O":
        return column
    kinds = set(map(type, column.tolist()))
    if kinds == {float}:
        return column.astype(np.float64)
    if kinds <= {int, bool}:
        with contextlib.suppress(OverflowError):
            return np.array(column.tolist(), np.int64)
    return column


def _is_wide(column: np.ndarray) -> bool:
    kind, size = column.dtype.kind, column.dtype.itemsize
    is_long = (kind in "iu" and size == 8) or (kind == "f" and size > 8)
    return kind in WRITTEN or is_long


def shifted(
    table: Any, values: np.ndarray, origin: Origin | None = None, *, choose: bool
) -> tuple[np.ndarray, Origin | None]:
    """A table relative to an exact origin, where it needs one.

    Args:
        table: as it was given.
        values: `[N, d]` the same in float32 or float64, finite.
        origin: `[d]` to subtract, if it is not to be chosen.
        choose: whether the origin is chosen by this table.

    Returns:
        `(values, origin)`; the values themselves and None where nothing is subtracted.
    """
    wide = dict(exact_columns(table)) if choose or origin else {}
    if choose:
        centres: list[Exact] = [0] * values.shape[1]
        big = (np.abs(values[0]) >= LARGE) & (values.dtype == np.float64)
        for index in sorted({*wide, *np.flatnonzero(big).tolist()}):
            centres[index] = centre_for(wide.get(index, values[:, index]))
        origin = tuple(centres) if any(centres) else None
    if origin is None:
        return values, None
    out = np.array(values, np.float64)
    for index, centre in enumerate(origin):
        if centre:
            out[:, index] = differences(wide.get(index, values[:, index]), centre)
    return out, origin


def column_relative(
    entries: Sequence[Any] | np.ndarray, values: np.ndarray
) -> Relative | None:
    """A column relative to an exact centre, if float64 may drop digits that matter.

    Args:
        entries: `[N]` as they were given: numbers, or their texts.
        values: `[N]` the same in float64, NaN where one is missing.

    Returns:
        The column; None if its own float64 numbers are as good.
    """
    is_there = ~np.isnan(values)
    known = values[is_there] / 2  # halves do not overflow
    if not len(known) or not np.isfinite(known).all():
        return None
    if np.max(np.abs(known)) <= NEAR * float(np.ptp(known)):
        return None
    if (
        is_there.all()
        and isinstance(entries, np.ndarray)
        and entries.dtype.kind in "biuf"
    ):
        return _words_relative(entries)
    if np.all(values[is_there] % 1 == 0) and max(map(len, map(str, entries))) < 16:
        return None  # whole numbers of up to 15 digits
    numbers = [exact_number(entries[i]) for i in np.flatnonzero(is_there).tolist()]
    exact = [number for number in numbers if number is not None]
    centre = sorted(exact)[len(exact) // 2] if exact else 0
    away = [number - centre for number in exact]
    is_held = all(map(_is_equal, exact, values[is_there].tolist()))
    if len(exact) < len(numbers) or is_held or not any(away):
        return None
    out = np.full(len(values), np.nan)
    out[is_there] = [float(number) for number in away]
    return Relative(out, centre)


def _words_relative(entries: np.ndarray) -> Relative | None:
    """Of numbers of a machine's type."""
    centre = centre_for(entries) if _is_wide(entries) else 0
    away = differences(entries, centre)
    return Relative(away, centre) if centre and away.any() else None


def _is_equal(number: Exact | None, value: float) -> bool:
    return number == value


def side_by_side(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Columns as a table, of objects where a common type of numbers would drop digits.

    Args:
        columns: each `[N]`.

    Returns:
        `[N, d]`.
    """
    kinds = {column.dtype.kind for column in columns}
    is_mixed = len({column.dtype for column in columns}) > 1
    loses = is_mixed and any(
        _is_wide(column) and len(column) and centre_for(column) for column in columns
    )
    if "O" in kinds or loses:
        return np.column_stack([column.astype(object) for column in columns])
    return np.column_stack(columns)


def columns_relative(
    x: np.ndarray, names: Sequence[str], exact: Mapping[str, Relative]
) -> tuple[np.ndarray, Origin | None]:
    """A table whose columns in `exact` are replaced by relative ones.

    Args:
        x: `[N, d]`.
        names: of the columns.
        exact: name -> column.

    Returns:
        `(x, origin)`; x itself and None where there is none.
    """
    if not any(name in exact for name in names):
        return x, None
    x, centres = x.copy(), []
    for index, name in enumerate(names):
        if name in exact:
            x[:, index] = exact[name].values
        centres.append(exact[name].centre if name in exact else 0)
    return x, tuple(centres)
