"""Cells of text to numbers: what is missing, what is a truth value, what is neither."""

import math
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

MISSING = frozenset(
    {
        *("", "-", "--", "\u2013", "\u2014", ".", "?", "null", "none", "nan", "-nan"),
        *("na", "n/a", "n.a.", "<na>", "#na", "#n/a", "#n/a n/a"),
        *("1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"),
    }
)
"""Cells without a number, in small letters: those of pandas, and dashes."""
TRUTH = {"true": 1.0, "false": 0.0}
"""Truth values, in small letters."""
Mark = Literal[".", ","]
_PARTING = "' \u2019\u00a0\u2009\u202f"
"""Apostrophes and spaces, which part thousands whatever the decimal mark is."""
_BETWEEN_THREES = {
    mark: re.compile(
        rf"[+-]?[1-9]\d{{0,2}}(?P<part>[{other}{_PARTING}])\d{{3}}((?P=part)\d{{3}})*"
        rf"([{mark}]\d*)?([eE][+-]?\d+)?"
    )
    for mark, other in ((".", ","), (",", "."))
}
"""Decimal mark -> a number whose thousands are parted by another one."""
_NO_NUMBER = math.nan


class Parsed(NamedTuple):
    """A column of text as numbers.

    Attributes:
        values: a number for each row; NaN where it is missing or is none.
        bad: indices of the rows whose cell is neither a number nor missing.
        kind: `number` or `truth` if more than half of the cells that are not missing
            are such values, in whatever notation; else `text`, or `empty`.
        other_notation: how many of the bad cells are numbers if commas are decimal
            marks or part thousands.
        decimal: what it was read with, as for `number`.
    """

    values: list[float]
    bad: list[int]
    kind: Literal["number", "truth", "text", "empty"]
    other_notation: int = 0
    decimal: Mark | None = None


def is_missing(cell: str) -> bool:
    """Whether a cell stands for no number."""
    return cell.strip().replace("\u2212", "-").lower() in MISSING


def plain_text(cell: str, decimal: Mark | None = None) -> str:
    """A number as programs write it: a minus sign, a decimal point, no thousands.

    Args:
        cell: text.
        decimal: as for `number`.

    Returns:
        The text; that of a cell that is no number is of no use.
    """
    text = cell.strip().replace("\u2212", "-")
    if decimal is not None:
        parted = _BETWEEN_THREES[decimal].fullmatch(text)
        text = text.replace(parted["part"], "") if parted else text
    if decimal == ",":
        # A point is no decimal mark here: what has one is no number.
        text = text.replace(".", "_").replace(",", ".")
    return text


def number(cell: str, decimal: Mark | None = None) -> float | None:
    """The number in a cell.

    Args:
        cell: text.
        decimal: mark before the decimals; if given, the other one, a space or an
            apostrophe may part thousands. None is a point, and nothing parts them.

    Returns:
        The number, NaN if it is missing, None if the cell is text.
    """
    if is_missing(cell):
        return _NO_NUMBER
    text = plain_text(cell, decimal)
    try:
        return None if "_" in text else float(text)  # float() reads 1_2 as 12
    except ValueError:
        return None


def _is_truth(cell: str) -> bool:
    return cell.strip().lower() in TRUTH


def is_whole(cell: str) -> bool:
    """Whether a cell is written as a whole number, without sign or decimals."""
    text = cell.strip()
    return text.isascii() and text.isdigit()


def parse_column(cells: Sequence[str], decimal: Mark | None = None) -> Parsed:
    """Read a column.

    Args:
        cells: one for each row.
        decimal: as for `number`. A column that has only numbers with the other mark
            alone is read with that one.

    Returns:
        The column.
    """
    parsed = _parsed(cells, decimal)
    if decimal == "," and parsed.bad:
        other = _parsed(cells, None)
        parsed = parsed if other.bad else other
    return parsed


def _parsed(cells: Sequence[str], decimal: Mark | None) -> Parsed:
    values = [number(cell, decimal) for cell in cells]
    bad = [index for index, value in enumerate(values) if value is None]
    numbers = sum(value is not None and not math.isnan(value) for value in values)
    if not numbers + len(bad):
        return Parsed([_NO_NUMBER] * len(cells), [], "empty")
    filled = [_NO_NUMBER if value is None else value for value in values]
    if not bad:
        return Parsed(filled, [], "number", decimal=decimal)
    present = numbers + len(bad)
    if 2 * sum(_is_truth(cells[index]) for index in bad) > present:
        filled = [TRUTH.get(cell.strip().lower(), _NO_NUMBER) for cell in cells]
        bad = [
            index
            for index, cell in enumerate(cells)
            if not (_is_truth(cell) or is_missing(cell))
        ]
        return Parsed(filled, bad, "truth", decimal=decimal)
    others = sum(
        any(number(cells[index], mark) is not None for mark in (",", "."))
        for index in bad
    )
    kind = "number" if 2 * (numbers + others) > present else "text"
    return Parsed(filled, bad, kind, others, decimal)
