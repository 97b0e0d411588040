"""Columns of numbers as a file has them: names, what was left out, what is missing."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from spectral_tf.config.wording import agreed, counted
from spectral_tf.exact import Relative

LAST_DIGITS = 10 * np.finfo(float).eps
"""A spread below this share of the largest value is rounding."""


MOST_NOTES = 20
"""Columns of which it is said, each in a sentence, that they were left out."""


class LeftOut(NamedTuple):
    """A column that is not used: its `name`, and the `reason` as half a sentence."""

    name: str
    reason: str

    def sentence(self) -> str:
        """The note about it."""
        return f"Left out column {self.name!r}: {self.reason}."


@dataclasses.dataclass(frozen=True)
class BadCells:
    """Cells of a column of numbers that are neither numbers nor missing.

    Attributes:
        name: of the column.
        count: such cells.
        rows: all cells.
        numbers: cells that are numbers.
        examples: the first few, with their places.
        other_notation: such cells that are numbers if commas are decimal marks or part
            thousands.
    """

    name: str
    count: int
    rows: int
    numbers: int
    examples: tuple[str, ...]
    other_notation: int

    @property
    def may_be_missing(self) -> bool:
        """Whether they are few enough to be filled in, if a user wishes."""
        return self.numbers >= self.count

    def reason(self) -> str:
        """Why the column is no feature, where it is left out."""
        verb = agreed(self.count, "is no number", "are not numbers")
        return (
            f"{self.count:,} of its {counted(self.rows, 'cell')} {verb}, for example "
            f"{self.examples[0]}"
        )

    def words(self) -> str:
        """The column, the cells and their places."""
        some = f"{self.count:,} of {counted(self.rows, 'cell')} of column {self.name!r}"
        verb = agreed(self.count, "is not a number", "are not numbers")
        more = ", ..." if self.count > len(self.examples) else ""
        return f"{some} {verb} ({', '.join(self.examples)}{more})"


class Columns(NamedTuple):
    """Numeric columns as they stand in a source: nothing filled in or refused yet.

    Attributes:
        name: the source as asked for, or the file's name without its folder.
        x: `[rows, features]` float64; NaN where a number is missing.
        columns: a name for each feature, no two alike.
        left_out: the columns that are no features, and why.
        notes: one sentence for each other thing that was left out or is doubtful.
        bad: columns of `x` with cells that are neither numbers nor missing; NaN there.
        exact: name -> the column relative to a centre that was subtracted before it
            was rounded to float64, where the rounding may matter.
        row_names: a text for each row; empty if no column is said to hold them.
    """

    name: str
    x: np.ndarray
    columns: tuple[str, ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    bad: tuple[BadCells, ...] = ()
    exact: Mapping[str, Relative] = MappingProxyType({})
    row_names: tuple[str, ...] = ()


def left_out_notes(left_out: Sequence[LeftOut]) -> list[str]:
    """A sentence for each column, for the first few where there are many."""
    more = len(left_out) - MOST_NOTES
    sentences = [column.sentence() for column in left_out[:MOST_NOTES]]
    if more > 0:
        sentences.append(f"Left out {counted(more, 'more column')}.")
    return sentences


def numbered(count: int) -> tuple[str, ...]:
    """`column_1`, `column_2`, ...: names of columns that have none."""
    return tuple(f"column_{index + 1}" for index in range(count))


def listed(items: Sequence[str], most: int = 8) -> str:
    """The first few items, and how many follow."""
    more = [f"and {len(items) - most} more"] if len(items) > most else []
    return ", ".join([*items[:most], *more])


def made_unique(names: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """Names no two of which are alike: `a`, `a` becomes `a`, `a.2`.

    Args:
        names: of columns; an empty one is called after its place.

    Returns:
        `(names, notes)`, a note for each name that was changed.
    """
    wanted = [
        name or default
        for name, default in zip(names, numbered(len(names)), strict=True)
    ]
    taken, unique, notes = set(wanted), [], []
    seen: set[str] = set()
    for name in wanted:
        chosen, count = name, 1
        while chosen in seen or (count > 1 and chosen in taken):
            count += 1
            chosen = f"{name}.{count}"
        if chosen != name:
            notes.append(f"Two columns are called {name!r}; one is now {chosen!r}.")
        seen.add(chosen)
        unique.append(chosen)
    return tuple(unique), notes


def columns_digest(read: Columns) -> str:
    """Digest of a table as it was read.

    Args:
        read: the columns.

    Returns:
        Sha256 of the names, the shape and the numbers, little-endian.
    """
    digest = hashlib.sha256(repr((read.columns, read.x.shape)).encode())
    digest.update(np.ascontiguousarray(read.x, "<f8").tobytes())
    return digest.hexdigest()


def bad_counts(columns: Sequence[str], is_bad: np.ndarray, most: int) -> str:
    """Which columns have bad values, and how many.

    Args:
        columns: names.
        is_bad: `[rows, features]` of truth values.
        most: columns that are named, at most.

    Returns:
        `'a': 2, 'b': 1`; empty if there is none.
    """
    counts = np.sum(is_bad, axis=0).tolist()
    pairs = zip(columns, counts, strict=True)
    return listed([f"{name!r}: {count}" for name, count in pairs if count], most)


def column_scaling(
    x: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, list[str | None]]:
    """Mean and standard deviation of each column, and whether it is a feature.

    Args:
        x: `[rows, features]` float64; a column is empty if all of it is NaN.

    Returns:
        `(mean, scale, reasons)`: 1/N deviations; why a column is no feature (it is
        empty, constant, or varies in its last digits only), or None.
    """
    is_empty = np.asarray(np.all(np.isnan(x), axis=0))
    x = np.where(is_empty, 0.0, x)
    peak = np.max(np.abs(x), axis=0)
    unit = x / np.where(peak > 0, peak, 1.0)  # tiny numbers have squares, too
    spread = unit.std(axis=0)
    reasons: list[str | None] = []
    for index, deviation in enumerate(spread.tolist()):
        reason = None
        if is_empty[index]:
            reason = "it is empty"
        elif np.ptp(x[:, index]) == 0:
            reason = f"it is constant ({x[0, index]:g})"
        elif deviation <= LAST_DIGITS:
            reason = "it varies in its last digits only"
        reasons.append(reason)
    return unit.mean(axis=0) * peak, spread * peak, reasons
