"""Key figures of a method on the days after the past.

*Alarms.* Every week the `alarms_per_week` item-days with the largest scores are alarms;
an item is not alarmed again within the memory of the windows, since someone looks at it
already, unless its score is larger than at that alarm. An alarm is right if the item
has a fault that a window of that day still holds; everything else is a false alarm,
also where the true demand was strange: nobody labelled it.

*Average precision* is over all item-days; those on which a window still holds a fault
that is over count for neither side.
"""

import dataclasses
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score

from spectral_tf.apps.studies.intervals import Estimate, bootstrap
from spectral_tf.apps.studies.stock.config import StockConfig
from spectral_tf.apps.studies.stock.faults import KINDS, Event, after_days, fault_days

WEEK = 7
MONTH = 30.4


@dataclasses.dataclass(frozen=True)
class Truth:
    """What was injected, seen from the days after the past.

    Attributes:
        events: the faults, days counted from the first day after the past.
        is_fault: `[D, n]`.
        is_after: `[D, n]` a window still holds a fault that is over.
    """

    events: tuple[Event, ...]
    is_fault: np.ndarray
    is_after: np.ndarray


def truth_of(
    events: list[Event], shape: tuple[int, int], start: int, memory: int
) -> Truth:
    """The truth of the days after the past.

    Args:
        events: days counted from the first of the table.
        shape: `(D, n)`.
        start: index of the first day after the past.
        memory: days of the longest window.

    Returns:
        The truth.
    """
    moved = [
        dataclasses.replace(one, first=one.first - start, last=one.last - start)
        for one in events
    ]
    after = after_days(shape, moved, memory - 1)
    return Truth(tuple(moved), fault_days(shape, moved), after)


@dataclasses.dataclass(frozen=True)
class Alarm:
    """One item on one day that a person shall look at.

    Attributes:
        day: index from the first day after the past.
        item: index.
        score: of the method.
        event: index of the fault that it found, or None.
    """

    day: int
    item: int
    score: float
    event: int | None


def alarms_of(scores: np.ndarray, truth: Truth, config: StockConfig) -> list[Alarm]:
    """The alarms of a method, by their days.

    Args:
        scores: `[D, n]`.
        truth: what was injected.
        config: how many a week, how long the windows remember.

    Returns:
        The alarms.
    """
    silent_until = np.zeros(scores.shape[1], int)
    level = np.zeros(scores.shape[1])
    found: list[Alarm] = []
    for first in range(0, len(scores), WEEK):
        days = scores[first : first + WEEK]
        left = config.alarms_per_week
        chosen: list[Alarm] = []
        for place in np.argsort(-days, axis=None, kind="stable").tolist():
            day, item = divmod(place, scores.shape[1])
            day += first
            if day < silent_until[item] and scores[day, item] <= level[item]:
                continue
            silent_until[item] = day + config.memory
            level[item] = scores[day, item]
            event = _event_of(day, item, truth, config.memory)
            chosen.append(Alarm(day, item, float(scores[day, item]), event))
            left -= 1
            if left == 0:
                break
        found += sorted(chosen, key=lambda one: (one.day, -one.score))
    return found


def _event_of(day: int, item: int, truth: Truth, memory: int) -> int | None:
    for index, one in enumerate(truth.events):
        if one.item == item and one.first <= day < one.last + memory:
            return index
    return None


def key_figures(
    scores: np.ndarray, truth: Truth, config: StockConfig
) -> dict[str, Any]:
    """Every key figure of a method, with bootstrap intervals.

    Args:
        scores: `[D, n]`.
        truth: what was injected.
        config: alarms a week, resamples, seed.

    Returns:
        JSON-ready: `average_precision` (over items), `precision` and
        `false_alarms_per_month` (over weeks), `recall` and `recall_of` each kind (over
        faults), `days_until_detection` (over the faults found).

    Source: the top of this file.
    """
    rng = np.random.default_rng(config.seed)
    alarms = alarms_of(scores, truth, config)
    weeks = -(-len(scores) // WEEK)
    right, wrong = np.zeros(weeks), np.zeros(weeks)
    for one in alarms:
        (wrong if one.event is None else right)[one.day // WEEK] += 1
    first_seen = _first_seen(alarms, len(truth.events))
    waits = first_seen - np.array([one.first for one in truth.events])
    seen = np.isfinite(first_seen)
    kinds = np.array([one.kind for one in truth.events])
    more = config.resamples, rng

    def share(who: np.ndarray) -> float:
        return float(np.mean(seen[who]))

    return {
        "average_precision": _precision(scores, truth, config, rng).to_dict(),
        "precision": bootstrap(
            weeks, lambda w: float(right[w].sum() / (right[w] + wrong[w]).sum()), *more
        ).to_dict(),
        "false_alarms_per_month": bootstrap(
            weeks, lambda w: float(wrong[w].mean() / WEEK * MONTH), *more
        ).to_dict(),
        "recall": bootstrap(len(seen), share, *more).to_dict(),
        "recall_of": {
            kind: bootstrap(
                int(np.sum(kinds == kind)),
                lambda who, kind=kind: share(np.flatnonzero(kinds == kind)[who]),
                *more,
            ).to_dict()
            for kind in KINDS
        },
        "days_until_detection": bootstrap(
            int(seen.sum()), lambda who: float(np.mean(waits[seen][who])), *more
        ).to_dict(),
        "alarms": len(alarms),
        "found": int(seen.sum()),
    }


def _first_seen(alarms: list[Alarm], events: int) -> np.ndarray:
    """`[E]` day of the first alarm of each fault; infinite where there is none."""
    found = np.full(events, np.inf)
    for one in alarms:
        if one.event is not None:
            found[one.event] = min(found[one.event], one.day)
    return found


def _precision(
    scores: np.ndarray, truth: Truth, config: StockConfig, rng: np.random.Generator
) -> Estimate:
    """Average precision, resampling items."""
    figure = lambda items: _precision_of(scores, truth, items)
    return bootstrap(scores.shape[1], figure, config.resamples, rng)


def _precision_of(scores: np.ndarray, truth: Truth, items: np.ndarray) -> float:
    counted = ~truth.is_after[:, items]
    labels = truth.is_fault[:, items][counted]
    if not labels.any():
        return float("nan")
    return float(average_precision_score(labels, scores[:, items][counted]))


def average_precision(scores: np.ndarray, truth: Truth) -> float:
    """Average precision without an interval; `scores` is `[D, n]`."""
    return _precision_of(scores, truth, np.arange(scores.shape[1]))


def paired_precision(
    one: np.ndarray, other: np.ndarray, truth: Truth, config: StockConfig
) -> Estimate:
    """How much larger one method's average precision is than another's.

    Args:
        one: `[D, n]` scores.
        other: `[D, n]` scores.
        truth: what was injected.
        config: resamples, seed.

    Returns:
        The difference; both methods see the same resampled items.

    Source: Efron (1979).
    """

    def figure(items: np.ndarray) -> float:
        first, second = (_precision_of(s, truth, items) for s in (one, other))
        return first - second

    rng = np.random.default_rng(config.seed)
    return bootstrap(one.shape[1], figure, config.resamples, rng)
