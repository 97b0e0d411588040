"""Leading columns without a name: the index of a data frame that was saved with it."""

import itertools
import re
from collections.abc import Sequence

from spectral_tf.tables.cells import is_whole, parse_column

LOOKS_LIKE_INDEX = "it has no name and looks like the index of a saved data frame"
_UNNAMED = re.compile(r"(Unnamed: \d+(\.\d+)?)?")
"""No name; pandas reads it as `Unnamed: 0` and writes that."""


def is_unnamed(name: str) -> bool:
    """Whether a column has no name, or the one that pandas gives to such a column."""
    return _UNNAMED.fullmatch(name) is not None


def leading_unnamed(names: Sequence[str]) -> int:
    """How many columns before the first one with a name have none.

    Args:
        names: as they stand in the file.

    Returns:
        The count; an index of several levels has several, and so has a frame that was
        saved, read and saved again.
    """
    return len(list(itertools.takewhile(is_unnamed, names)))


def index_places(names: Sequence[str], columns: Sequence[Sequence[str]]) -> set[int]:
    """Places of the leading columns that look like an index.

    A column does if its whole numbers are all different, or count up again and again
    as in frames that were joined; the levels of an index do if no two rows have the
    same.

    Args:
        names: of the columns as they stand in the file.
        columns: their cells.

    Returns:
        Places from 0.
    """
    count = leading_unnamed(names)
    leading = columns[:count]
    places = {place for place, cells in enumerate(leading) if _is_index(cells)}
    rows = list(zip(*leading, strict=True))
    is_nested = count > 1 and len(rows) > 1 and len(set(rows)) == len(rows)
    if is_nested and all(map(_is_level, leading)):
        return set(range(count))
    return places


def _is_index(cells: Sequence[str]) -> bool:
    """Whether whole numbers are those of one index, or of some that were joined."""
    if len(cells) < 2 or not all(map(is_whole, cells)):
        return False
    numbers = [int(cell) for cell in cells]
    starts = [b for a, b in itertools.pairwise(numbers) if b != a + 1]
    is_joined = set(starts) == {numbers[0]} and len(starts) < len(numbers) - 1
    return len(set(numbers)) == len(numbers) or is_joined


def _is_level(cells: Sequence[str]) -> bool:
    """Whether cells may be one level of an index: whole numbers, or text."""
    return all(map(is_whole, cells)) or parse_column(cells).kind == "text"
