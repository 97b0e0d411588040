"""The published generator of faults: what is done to which item on which days.

A fault changes the quantities of one item on consecutive days after the past. The kinds
(X is the true quantity, s the days since the fault began, from 0):

* stock-out: X becomes 0 on 7 to 14 days;
* double booking: X becomes 2 X on one day on which at least 3 were sold;
* unit error: X becomes 10 X on one day on which at least 1 was sold;
* drift: X becomes floor(f X + U), f = 1 + 2 (s + 1) / 28, U uniform in [0, 1), on 28
  days: demand grows to three times what it was;
* missing days: X becomes 0 on 3 to 5 days, as if a till had not reported.

Items are drawn uniformly from those that sell at least `LEAST_MEAN` a day in the past
(`MISSING_MEAN` for missing days), because nothing can be seen in others; days
uniformly; faults of one item are at least 28 days apart.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from spectral_tf.config import DataError
from spectral_tf.config.wording import counted

LEAST_MEAN = 0.5
MISSING_MEAN = 1.0
DISTANCE = 28
"""Days between two faults of an item, at least."""
DRIFT_DAYS = 28
TRIES = 20_000


@dataclasses.dataclass(frozen=True)
class Event:
    """One fault.

    Attributes:
        kind: see the top of this file.
        item: index.
        first, last: indices of days, both affected.
    """

    kind: str
    item: int
    first: int
    last: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class _Kind:
    days: tuple[int, int]
    least_mean: float
    least_first: float
    change: Callable[[np.ndarray, np.random.Generator], np.ndarray]


def _zero(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    del rng
    return np.zeros_like(values)


def _times(factor: float) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    return lambda values, _: factor * values


def _drift(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    grown = 1 + 2 * (np.arange(len(values)) + 1) / DRIFT_DAYS
    return np.floor(grown * values + rng.random(len(values)))


KINDS: dict[str, _Kind] = {
    "stock-out": _Kind((7, 14), LEAST_MEAN, 0.0, _zero),
    "double booking": _Kind((1, 1), LEAST_MEAN, 3.0, _times(2.0)),
    "unit error": _Kind((1, 1), LEAST_MEAN, 1.0, _times(10.0)),
    "drift": _Kind((DRIFT_DAYS, DRIFT_DAYS), LEAST_MEAN, 0.0, _drift),
    "missing days": _Kind((3, 5), MISSING_MEAN, 0.0, _zero),
}


def inject(
    quantity: np.ndarray, start: int, events: int, seed: int
) -> tuple[np.ndarray, list[Event]]:
    """Inject faults of every kind.

    Args:
        quantity: `[T, n]` true demand.
        start: index of the first day after the past; no fault begins before.
        events: of each kind.
        seed: of the draws.

    Returns:
        `[T, n]` demand with faults, and the faults in the order of their days.

    Raises:
        DataError: if the table has no room for so many.

    Source: the top of this file.
    """
    rng = np.random.default_rng(seed)
    changed, means = quantity.copy(), quantity[:start].mean(axis=0)
    taken = np.zeros(quantity.shape, bool)
    found: list[Event] = []
    for name, kind in KINDS.items():
        for _ in range(events):
            event = _placed(name, kind, (quantity, means, taken), start, rng)
            rows = slice(event.first, event.last + 1)
            changed[rows, event.item] = kind.change(quantity[rows, event.item], rng)
            taken[rows, event.item] = True
            found.append(event)
    return changed, sorted(found, key=lambda one: (one.first, one.item))


def _placed(
    name: str,
    kind: _Kind,
    table: tuple[np.ndarray, np.ndarray, np.ndarray],
    start: int,
    rng: np.random.Generator,
) -> Event:
    """A place that is free and where the fault changes something."""
    quantity, means, taken = table
    items = np.flatnonzero(means >= kind.least_mean)
    for _ in range(TRIES if len(items) else 0):
        length = int(rng.integers(kind.days[0], kind.days[1] + 1))
        item, last_start = int(rng.choice(items)), len(quantity) - length
        if last_start <= start:
            break
        first = int(rng.integers(start, last_start))
        near = taken[max(start, first - DISTANCE) : first + length + DISTANCE, item]
        rows = quantity[first : first + length, item]
        if not near.any() and rows[0] >= kind.least_first and rows.any():
            return Event(name, item, first, first + length - 1)
    raise DataError(
        f"no place is left for another {name}: {counted(len(quantity) - start, 'day')} "
        f"after the past, {counted(len(items), 'item')} selling at least "
        f"{kind.least_mean} a day. Inject fewer faults (--stock.events), or give a "
        "longer table."
    )


def fault_days(shape: tuple[int, int], events: list[Event]) -> np.ndarray:
    """`[T, n]` True where a fault changed a quantity."""
    found = np.zeros(shape, bool)
    for one in events:
        found[one.first : one.last + 1, one.item] = True
    return found


def after_days(shape: tuple[int, int], events: list[Event], days: int) -> np.ndarray:
    """`[T, n]` True on the days after a fault, while a window still holds it."""
    found = np.zeros(shape, bool)
    for one in events:
        found[one.last + 1 : one.last + 1 + days, one.item] = True
    return found & ~fault_days(shape, events)
