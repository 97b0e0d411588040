"""Bootstrap intervals of key figures."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Estimate(NamedTuple):
    """A key figure with its 95% bootstrap interval; None where there is none.

    Source: Efron (1979), percentile interval.
    """

    value: float | None
    low: float | None
    high: float | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return self._asdict()


def bootstrap(
    units: int,
    figure: Callable[[np.ndarray], float],
    resamples: int,
    rng: np.random.Generator,
) -> Estimate:
    """A key figure and its interval over resampled units.

    Args:
        units: how many there are: weeks, items, faults.
        figure: of indices of units `[units]`, with repeats; NaN where it has no value.
        resamples: how many.
        rng: draws them.

    Returns:
        The figure of all units once, and the 2.5% and 97.5% points of the others.

    Source: Efron (1979).
    """
    if units == 0:
        return Estimate(None, None, None)
    value = figure(np.arange(units))
    drawn = [figure(rng.integers(units, size=units)) for _ in range(resamples)]
    good = [one for one in drawn if math.isfinite(one)]
    if not math.isfinite(value) or not good:
        return Estimate(None, None, None)
    low, high = np.percentile(good, [2.5, 97.5]).tolist()
    return Estimate(float(value), low, high)
