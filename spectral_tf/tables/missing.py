"""Codes of missing values: numbers that stand for no number, as -999 in a sensor's log.

A value is suspected if it is repeated, the largest or smallest of its column, and apart
from all others. For a number that people use as a code (99, -999, 1e20, the limits of
integers, ...), apart is a gap as wide as the spread of the others, or, where a column
has many levels, a gap beyond which it is several times as frequent as its neighbours
(99 among ages); the latter is enough for any number, as -1 or -200, that is the only
negative one. For any other number it is a gap many times as wide, on a logarithmic
scale, too: the levels of a design (0.1, 1, 10, 1000) are no codes. Zero is never
suspected. A suspicion changes nothing; `without_codes` reads as missing what a user
says is.
"""

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from spectral_tf.config import ConfigError
from spectral_tf.tables.columns import Columns, listed

LEAST_ROWS = 5
"""Numbers that a column needs beside its codes."""
MOST_CODES = 3
"""Codes on one side of a column, at most: 97, 98 and 99."""
FAR, VERY_FAR = 1.0, 10.0
"""Gap of a usual code and of another value, in spreads of the others."""
OUTSIZE = 1.5
"""A usual code of the same sign as its neighbours is so many times as large."""
LEAST_LEVELS, LEAST_COUNT = 8, 3
"""Different values that a column, and cells that an unusual code needs."""
SMALL_CODE, SMALL_COUNT = 10, 5
"""Codes below it, as 9, and those in one cell of a column need so many in the table."""
LARGE_CODE = 99
"""Codes in a column that has one other value are as large as this."""
HEAPED, HEAPED_GAP = 3, 0.05
"""Frequency of a heaped code beside its neighbours', and its gap in spreads."""
_LIMITS = frozenset(
    float(limit)
    for bits in (16, 32, 64)
    for limit in (2 ** (bits - 1) - 1, -(2 ** (bits - 1)), 2**bits - 1)
)
_DIGITS = re.compile(
    r"-?(9+|9{2,}0|8{2,}|7{2,}|6{3,})(\.(9+|25))?"
)  # -999.25: well logs
Missing = Any
"""What a user says is missing: a number, the text of a cell, or several; `codes_of`
refuses anything else."""


class Suspect(NamedTuple):
    """A value that may mark missing cells: in which column, and how often."""

    column: str
    value: float
    cells: int


@dataclasses.dataclass(frozen=True)
class Codes:
    """What stands for a missing value: numbers, and texts of cells in lower case."""

    numbers: tuple[float, ...] = ()
    texts: frozenset[str] = frozenset()


def codes_of(missing: Missing) -> Codes:
    """What a user says is missing, as numbers and texts.

    Args:
        missing: a number, a text, or several; a text that is a number is one.

    Returns:
        The codes.

    Raises:
        ConfigError: for anything else.
    """
    if isinstance(missing, str) or not isinstance(missing, Iterable):
        missing = [missing]
    numbers, texts = [], set()
    for code in missing:
        if isinstance(code, str):
            try:
                numbers.append(float(code))
            except ValueError:
                texts.add(code.strip().lower())
        elif isinstance(code, int | float | np.number) and not isinstance(code, bool):
            numbers.append(float(code))
        else:
            raise ConfigError(
                f"missing={code!r} must be a number or the text of a cell, e.g. -999 "
                "or 'n.a.'."
            )
    return Codes(tuple(n for n in numbers if not math.isnan(n)), frozenset(texts))


def is_code(column: np.ndarray, code: float) -> np.ndarray:
    """Which values of a column are a code, also where it was rounded to float32.

    Args:
        column: `[rows]`.
        code: the number.

    Returns:
        `[rows]` of truth values.
    """
    same = np.asarray(column == code)
    with np.errstate(over="ignore", under="ignore"):
        rounded = float(np.float32(code))
        if same.any() or rounded == code or rounded == 0 or math.isinf(rounded):
            return same
        is_single = np.asarray(column == column.astype(np.float32))
    return (column == rounded) & bool(np.all(is_single | np.isnan(column)))


def marked(column: np.ndarray, codes: Codes) -> np.ndarray:
    """A column with NaN for every value that is a code.

    Args:
        column: `[rows]`.
        codes: `numbers` are read.

    Returns:
        `[rows]`, a copy.
    """
    clear = column.copy()
    for code in codes.numbers:
        clear[is_code(column, code)] = np.nan
    return clear


def without_codes(read: Columns, codes: Codes) -> Columns:
    """Columns with NaN for every cell that is a code, and a note for each code.

    Args:
        read: the columns; what is `exact` of them has no codes.
        codes: `numbers` are read; those of texts are the reader's.

    Returns:
        New columns; the same where there is no code.
    """
    if not codes.numbers:
        return read
    x, cells = cleared(read.x, codes)
    notes = []
    for code, counts in zip(codes.numbers, cells, strict=True):
        pairs = zip(read.columns, counts, strict=True)
        by_column = {name: count for name, count in pairs if count}
        notes.append(code_note(shortest(code), by_column))
    return read._replace(x=x, notes=(*read.notes, *notes))


def cleared(x: np.ndarray, codes: Codes) -> tuple[np.ndarray, list[list[int]]]:
    """A table with NaN for every cell that is a code.

    Args:
        x: `[rows, features]` of any real type.
        codes: `numbers` are read.

    Returns:
        `(x, cells)`: a copy, float32 where x is, else float64; and for each code how
        many cells of each column it was.
    """
    clear = x.astype(np.float32 if x.dtype == np.float32 else np.float64)
    cells = []
    for code in codes.numbers:
        marks = [is_code(column, code) for column in x.T]
        for place, mark in enumerate(marks):
            clear[mark, place] = np.nan
        cells.append([int(mark.sum()) for mark in marks])
    return clear, cells


def code_note(code: str, counts: Mapping[str, int]) -> str:
    """What was read as missing: column -> cells.

    Args:
        code: as a user writes it.
        counts: of the columns that have it.

    Returns:
        One sentence.
    """
    if not counts:
        return f"No cell is {code}, which --missing names."
    cells = listed([f"{name!r}: {count}" for name, count in counts.items()])
    return f"Read {code} as missing, cells by column: {cells}."


def suspicions(x: np.ndarray, columns: Sequence[str]) -> list[str]:
    """A sentence for each value that stands apart: where, and how often.

    Args:
        x: `[rows, features]`; NaN where a number is missing.
        columns: names.

    Returns:
        Sentences.
    """
    by_value: dict[float, list[str]] = {}
    for suspect in suspects(x, columns):
        where = f"{suspect.column!r}: {suspect.cells}"
        by_value.setdefault(suspect.value, []).append(where)
    return [
        f"{shortest(value)} is repeated and stands far apart from the other values, "
        f"cells by column: {listed(cells)}; if it marks missing values, give --missing "
        f"{shortest(value)} (in Python missing=[{shortest(value)}])."
        for value, cells in by_value.items()
    ]


def shortest(value: float) -> str:
    """A number as people write it; that of float32 without the digits of float64."""
    if value.is_integer() and abs(value) < 1e15:
        return f"{value:.0f}"
    text = f"{value:.7g}"
    with np.errstate(over="ignore"):
        is_same = value in (float(text), float(np.float32(text)))
    return text if is_same else repr(value)


def suspects(x: np.ndarray, columns: Sequence[str]) -> list[Suspect]:
    """Repeated extreme values that stand apart.

    Args:
        x: `[rows, features]`; NaN where a number is missing.
        columns: names.

    Returns:
        By column, then by value; a usual code may be repeated over the columns.
    """
    suspected = []
    x = np.asarray(x, np.float64)
    for name, column in zip(columns, x.T, strict=True):
        pairs = _apart(column[np.isfinite(column)])
        suspected += [Suspect(name, *pair) for pair in pairs]
    counts: dict[float, list[int]] = {}
    for suspect in suspected:
        counts.setdefault(suspect.value, []).append(suspect.cells)
    return [
        suspect
        for suspect in suspected
        if _is_repeated(suspect.value, counts[suspect.value])
    ]


def _is_repeated(value: float, counts: Sequence[int]) -> bool:
    """Whether a value is frequent enough, in one column or over all of them."""
    is_enough = max(counts) > 1 and abs(value) >= SMALL_CODE
    return is_enough or sum(counts) >= SMALL_COUNT


def is_usual(value: float) -> bool:
    """Whether people use a number as a code."""
    if abs(value) >= 1e9 and value not in _LIMITS:
        power = math.log10(abs(value))
        is_power = abs(power - round(power)) < 1e-6
        return is_power or abs(value) > 1e30 or _is_nines(value)
    return value in _LIMITS or _is_nines(value)


def _has_company(value: float, codes: Sequence[tuple[float, int]]) -> bool:
    """Whether a value is one of a series: 97 and 98 beside 99, -8 beside -9."""
    series = [code for code, _ in codes if code * value > 0 and is_usual(code)]
    return any(0 < abs(code) - abs(value) < MOST_CODES for code in series)


def _is_nines(value: float) -> bool:
    return _DIGITS.fullmatch(shortest(value)) is not None


def _apart(column: np.ndarray) -> list[tuple[float, int]]:
    """Values of a column that stand apart, with their counts."""
    if len(column) <= LEAST_ROWS:
        return []
    low = _tail(column)
    high = [(-value, count) for value, count in _tail(-column)]
    best: list[tuple[float, int]] = []
    for below in range(len(low)):
        for above in range(len(high)):
            codes, body = [*low[:below], *high[:above]], (low[below][0], high[above][0])
            if len(codes) <= len(best) or body[0] > body[1]:
                continue
            if any(value == 0 for value, _ in codes):
                continue
            inside = column[(column >= body[0]) & (column <= body[1])]
            if len(inside) >= LEAST_ROWS and _are_codes(codes, inside):
                best = codes
    return best


def _tail(column: np.ndarray) -> list[tuple[float, int]]:
    """The smallest values with their counts, one more than there may be codes."""
    tail = []
    while len(column) and len(tail) <= MOST_CODES:
        least = column.min()
        others = column[column > least]
        tail.append((float(least), len(column) - len(others)))
        column = others
    return tail


def _are_codes(codes: Sequence[tuple[float, int]], inside: np.ndarray) -> bool:
    """Whether values outside of the others are apart from them, each in its way."""
    low, high = float(inside.min()), float(inside.max())
    gap = min(max(low - value, value - high) for value, _ in codes)
    spread = high - low
    least = min(abs(value) for value, _ in codes)
    if spread == 0 and (low == 0 or least < LARGE_CODE):  # 0 and 65535: a mask
        return False
    if gap < HEAPED_GAP * spread:
        return False
    return all(
        (gap >= FAR * spread and _is_outsize(value, low, high))
        or _is_heaped(value, count, inside)
        if is_usual(value) or _has_company(value, codes)
        else (value < 0 <= low and _is_heaped(value, count, inside))
        or (gap >= VERY_FAR * spread and _is_very_far(value, count, inside))
        for value, count in codes
    )


def _is_outsize(value: float, low: float, high: float) -> bool:
    """Whether a value is larger than its neighbours, or of another sign."""
    side = high if value > high else low
    return value * side <= 0 or abs(value) >= OUTSIZE * abs(side)


def _is_heaped(value: float, count: int, inside: np.ndarray) -> bool:
    """Whether a value is far more frequent than the quarter of the others by it."""
    levels, counts = np.unique(inside, return_counts=True)
    if len(levels) < LEAST_ROWS or count < LEAST_COUNT:
        return False
    away = np.abs(levels - value)
    steps = 3 * float(np.median(np.diff(levels)))
    near = counts[away <= away.min() + np.ptp(levels) / 4]
    usual = max(HEAPED * float(near.mean()), HEAPED / 2 * float(near.max()))
    return bool(away.min() >= steps and count >= usual)


def _is_very_far(value: float, count: int, inside: np.ndarray) -> bool:
    """Whether an unusual value is apart on a logarithmic scale, too."""
    if not LEAST_COUNT <= count <= len(inside):
        return False
    if len(np.unique(inside)) < LEAST_LEVELS:
        return False
    if not np.all(inside * np.sign(value) > 0):
        return True
    sizes = np.abs(inside)
    small, large = float(sizes.min()), float(sizes.max())
    near = large if abs(value) > large else small
    gap = abs(math.log(abs(value) / near))
    return gap >= math.log(large / small)
