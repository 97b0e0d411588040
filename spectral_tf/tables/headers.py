"""Whether the first line of a table holds column names, where the names are numbers.

A name is mostly text. But pandas names columns 0, 1, 2, ..., spectra are named by
wavelengths and tables by years: then the line looks like the data below it, and taken
for data it is the strangest row. What gives it away is compared here with up to
`MOST_LINES` lines below.
"""

import itertools
import math
import re
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from spectral_tf.tables.cells import (
    TRUTH,
    Mark,
    Parsed,
    is_missing,
    is_whole,
    number,
    parse_column,
)

MOST_LINES, LEAST_LINES = 1000, 50
"""Lines that the first one is compared with: as many as have `MOST_CELLS` cells."""
MOST_CELLS = 2_000_000
CHANCE = 0.05
"""A row of numbers that is rarer than that is no row of data where it may be names."""
YEARS = 1800, 2200
SURE = 5
"""So many evenly spaced whole numbers are names even if the columns have them, too."""
MANY, MANY_LINES = 7, 20
"""So many numbers in order are names, over so many lines none of which is."""
VERY_FAR = 50.0
"""Ranges of a column's values by which a few decimals in order are names."""
LEAST_BELOW = 5
"""Lines that give a range to be very far from."""
ROUNDER = 8
"""Decimals that the values have more than a name; programs write about 16."""
SMOOTH = 0.05
"""Steps in a column that runs on smoothly, in ranges of its values."""


class Verdict(NamedTuple):
    """Whether a first line `is_names`, and whether a reader might doubt it."""

    is_names: bool
    is_doubtful: bool


class _Place(NamedTuple):
    """A number of the first line, over a column of numbers.

    Attributes:
        is_far: it lies beyond the values of the column by more than their range.
        is_very_far: by more than `VERY_FAR` ranges.
        frequency: share of the values that are equal to it; never 0.
        is_familiar: some are.
        goes_on: it and the values count on in equal steps.
        is_other_kind: it is a whole number, and no value is written as one.
        is_rounder: it has far fewer decimals than any value, and is no round start of
            values that run on smoothly.
    """

    is_far: bool
    is_very_far: bool
    frequency: float
    is_familiar: bool
    goes_on: bool
    is_other_kind: bool
    is_rounder: bool


class _Line(NamedTuple):
    """The numbers of the first line, and what is below them.

    Attributes:
        numbers: of the first line.
        is_whole: all are written as whole numbers.
        places: those over columns of numbers.
        others: the same cells of the lines below; NaN where there is no number.
    """

    numbers: list[float]
    is_whole: bool
    places: list[_Place]
    others: list[list[float]]


def judge_first_line(
    first: Sequence[str], rest: Sequence[Sequence[str]], decimal: Mark | None = None
) -> Verdict:
    """Whether the first line of a table holds names.

    It does if it has no number, if it has text, or if its numbers are spaced, ordered
    or written as those of the columns are not.

    Args:
        first: cells of the first line.
        rest: cells of the lines below, as many in each.
        decimal: as for `cells.number`.

    Returns:
        The verdict.
    """
    values = [number(cell, decimal) for cell in first]
    indices = [i for i, v in enumerate(values) if v is not None and not math.isnan(v)]
    truths = [i for i, cell in enumerate(first) if cell.strip().lower() in TRUTH]
    texts = [i for i, v in enumerate(values) if v is None and i not in truths]
    if texts or not (indices or truths):
        return Verdict(True, bool(indices))
    count = min(MOST_LINES, max(LEAST_LINES, MOST_CELLS // len(first)))
    columns = [list(cells) for cells in zip(*rest[:count], strict=True)]
    if truths:
        kinds = {parse_column(columns[i]).kind for i in truths} if columns else set()
        return Verdict("truth" not in kinds, bool(indices))
    if not columns or len(columns[0]) < 2:
        below = [cells[0] for cells in columns]
        return Verdict(False, bool(below) and _may_be_alone(first, below, decimal))
    line = _line(first, indices, columns, decimal)
    are_names = _number_names(line) or _is_index_corner(first, line, columns)
    return Verdict(are_names, are_names or _may_be_names(line))


def _may_be_alone(
    first: Sequence[str], below: Sequence[str], decimal: Mark | None
) -> bool:
    """Whether whole numbers in order stand over a single row that is not like them.

    One row has no range, so that nothing can be far from it.
    """
    numbers, others = (
        [number(cell, decimal) for cell in row] for row in (first, below)
    )
    values = [math.nan if value is None else value for value in numbers]
    if values == list(range(len(values))):
        return True
    if not all(map(is_whole, first)) or not _direction(values):
        return False
    rest = [math.nan if value is None else value for value in others]
    is_alike = _direction(rest) == _direction(values) and all(map(is_whole, below))
    return not is_alike


def _line(
    first: Sequence[str],
    indices: Sequence[int],
    columns: Sequence[Sequence[str]],
    decimal: Mark | None,
) -> _Line:
    parsed = {i: parse_column(columns[i], decimal) for i in indices}
    places = [_place(first[i], columns[i], parsed[i]) for i in indices]
    numbers = [number(first[i], parsed[i].decimal) for i in indices]
    return _Line(
        numbers=[math.nan if v is None else v for v in numbers],
        is_whole=all(is_whole(first[i]) for i in indices),
        places=[place for place in places if place is not None],
        others=[
            [parsed[i].values[row] for i in indices] for row in range(len(columns[0]))
        ],
    )


def _may_be_names(line: _Line) -> bool:
    """Whether a line that was taken for data deserves a word."""
    if line.places and all(place.is_far for place in line.places):
        return True
    if not line.is_whole and len(line.numbers) < SURE:
        return False
    if line.numbers == list(range(len(line.numbers))):
        return True
    is_usual = abs(sum(map(_direction, line.others))) == len(line.others)
    return _direction(line.numbers) != 0 and not is_usual


def _number_names(line: _Line) -> bool:
    """Whether the numbers of the first line are names of columns."""
    places = line.places
    if not places or len(set(line.numbers)) < len(line.numbers):
        return False
    if all(place.goes_on for place in places):
        return False
    if _is_spaced_otherwise(line):
        return True
    if any(place.goes_on for place in places):
        return False
    if _direction(line.numbers) and all(place.is_rounder for place in places):
        return True
    if _is_count(line) or _is_far_and_ordered(line):
        return True
    return _is_other_kind(line) or _is_only_ordered(line)


def _is_spaced_otherwise(line: _Line) -> bool:
    """Whether the numbers are evenly spaced, as those of no other line."""
    if len(line.numbers) < 3 or not _is_even(line.numbers):
        return False
    if any(map(_is_even, line.others)):
        return False
    is_sure = line.is_whole and len(line.numbers) >= SURE
    return is_sure or not all(place.is_familiar for place in line.places)


def _is_other_kind(line: _Line) -> bool:
    """Whether whole numbers stand over columns that have none."""
    if not line.is_whole:
        return False
    count = sum(place.is_other_kind for place in line.places)
    if len(line.numbers) == 1:
        return count == 1 and (line.numbers[0] == 0 or line.places[0].is_far)
    return 2 * count >= len(line.places)


def _is_count(line: _Line) -> bool:
    """Whether the numbers are 0, 1, 2, ..., or years, and hardly a row of such data."""
    numbers = line.numbers
    is_count = numbers == list(range(len(numbers)))
    is_years = all(YEARS[0] <= year <= YEARS[1] for year in numbers) and not any(
        _is_consecutive(other) for other in line.others
    )
    if not line.is_whole or not (is_count or (is_years and _is_consecutive(numbers))):
        return False
    if len(numbers) == 1 and not all(place.is_far for place in line.places):
        return False
    # How often independent columns would make such a row.
    return math.prod(place.frequency for place in line.places) < CHANCE


def _is_far_and_ordered(line: _Line) -> bool:
    """Whether the numbers rise, or fall, and lie far from those below."""
    way, count = _direction(line.numbers), len(line.numbers)
    if way == 0:
        return False
    same = sum(_direction(other) == way for other in line.others)
    if count > 2 and 2 * same > len(line.others):
        return False
    if not (line.is_whole or count > 3):
        is_enough = len(line.others) >= LEAST_BELOW
        return is_enough and all(place.is_very_far for place in line.places)
    far = sum(place.is_far for place in line.places)
    return far == len(line.places) or (count > 3 and 2 * far >= len(line.places))


def _is_only_ordered(line: _Line) -> bool:
    """Whether many numbers rise, or fall, and those of no other line do."""
    if len(line.numbers) < MANY or len(line.others) < MANY_LINES:
        return False
    return _direction(line.numbers) != 0 and not any(map(_direction, line.others))


def _is_index_corner(
    first: Sequence[str], line: _Line, columns: Sequence[Sequence[str]]
) -> bool:
    """Whether only the first cell is blank, over a column that names the rows."""
    is_corner = not first[0].strip() and len(line.numbers) == len(first) - 1
    if not is_corner or len(set(line.numbers)) < len(line.numbers):
        return False
    below = columns[0]
    if any(map(is_missing, below)) or len(set(below)) < len(below):
        return False
    return all(number(cell) is None or is_whole(cell) for cell in below)


def _place(cell: str, below: Sequence[str], column: Parsed) -> _Place | None:
    value, values = number(cell, column.decimal), column.values
    finite = [v for v in values if math.isfinite(v)]
    if value is None or column.kind != "number" or not finite:
        return None
    low, high = min(finite), max(finite)
    return _Place(
        is_far=_is_beyond(value, low, high, 1.0),
        is_very_far=low < high and _is_beyond(value, low, high, VERY_FAR),
        frequency=(finite.count(value) + 0.5) / (len(finite) + 1),
        is_familiar=value in finite,
        goes_on=len(finite) > 1 and _is_even([value, *finite]),
        is_other_kind=is_whole(cell) and not any(map(is_whole, below)),
        is_rounder=_is_rounder(cell, below) and not _is_smooth(finite),
    )


def _is_beyond(value: float, low: float, high: float, ranges: float) -> bool:
    """Whether a value lies beyond low..high by so many times their distance."""
    slack = ranges * (high - low)
    return not low - slack <= value <= high + slack


def _is_rounder(cell: str, below: Sequence[str]) -> bool:
    """Whether a cell has far fewer decimals than any number below it."""
    numbers = [text for text in below if not is_missing(text)]
    return _decimals(cell) + ROUNDER <= min(map(_decimals, numbers))


def _decimals(cell: str) -> int:
    """Digits behind the decimal mark of a number."""
    places = re.search(r"[.,](\d*)", cell)
    return len(places[1]) if places else 0


def _is_smooth(values: Sequence[float]) -> bool:
    """Whether most values are close to those before them."""
    steps = [abs(b - a) for a, b in itertools.pairwise(values)]
    spread = max(values) - min(values)
    return not steps or statistics.median(steps) < SMOOTH * spread


def _is_even(values: Sequence[float]) -> bool:
    """Whether at least three numbers go up or down in equal steps."""
    if len(values) < 3 or not all(map(math.isfinite, values)):
        return False
    step = values[1] - values[0]
    # Steps of decimals differ by rounding.
    slack = 1e-9 * max(map(abs, values))
    pairs = itertools.pairwise(values)
    return abs(step) > slack and all(abs(b - a - step) <= slack for a, b in pairs)


def _is_consecutive(values: Sequence[float]) -> bool:
    """Whether at least two numbers count up by one."""
    return len(values) > 1 and all(b == a + 1 for a, b in itertools.pairwise(values))


def _direction(values: Sequence[float]) -> int:
    """1 if at least two numbers rise strictly, -1 if they fall, else 0."""
    pairs = list(itertools.pairwise(values))
    if not pairs:
        return 0
    if all(a < b for a, b in pairs):
        return 1
    return -1 if all(a > b for a, b in pairs) else 0
