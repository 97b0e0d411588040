"""Columns of numbers as a file has them: names, what was left out, what is missing."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class LeftOut(NamedTuple):
    """A column that is not used: its `name`, and the `reason` as half a sentence."""

    name: str
    reason: str

    def sentence(self) -> str:
        """The note about it."""
        return f"Left out column {self.name!r}: {self.reason}."


class Columns(NamedTuple):
    """Numeric columns as they stand in a source: nothing filled in or refused yet.

    Attributes:
        name: the source as asked for, or the file's name without its folder.
        x: `[rows, features]` float64; NaN where a number is missing.
        columns: a name for each feature, no two alike.
        left_out: the columns that are no features, and why.
        notes: one sentence for each other thing that was left out or is doubtful.
    """

    name: str
    x: np.ndarray
    columns: tuple[str, ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


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

    Source: ours.
    """
    wanted = [
        name or default
        for name, default in zip(names, numbered(len(names)), strict=True)
    ]
    taken, found, notes = set(wanted), [], []
    seen: set[str] = set()
    for name in wanted:
        chosen, count = name, 1
        while chosen in seen or (count > 1 and chosen in taken):
            count += 1
            chosen = f"{name}.{count}"
        if chosen != name:
            notes.append(f"Two columns are called {name!r}; one is now {chosen!r}.")
        seen.add(chosen)
        found.append(chosen)
    return tuple(found), notes
