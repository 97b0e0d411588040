r"""From quantities to rows: one row for an item on a day, one column for a window.

Sales are counts, so their spread grows with their mean. With :math:`X_{ti}` the
quantity of item i on day t and :math:`\mu_{ti}` what is expected of it (the item's mean
times the factor of the weekday, both of the past alone),

.. math:: z_{ti} = 2\sqrt{X_{ti} + 3/8} - 2\sqrt{\mu_{ti} + 3/8}

has a variance near 1 for Poisson counts (Anscombe, 1948). From it the mean over the
items of the day is subtracted: what the whole shop did is no item's anomaly. The column
of window w is :math:`w^{-1/2}\sum_{l<w} z_{t-l,i}`, scaled by the past.
"""

from typing import NamedTuple

import numpy as np

from spectral_tf.apps.studies.stock.config import StockConfig
from spectral_tf.apps.studies.stock.demand import Demand


class Rows(NamedTuple):
    """The rows of all item-days from `offset` on.

    Attributes:
        x: `[T - offset, n, w]` rows, scaled by the past: mean 0, deviation 1.
        expected: `[T, n]` quantities that the past makes one expect, the day's level of
            the shop included.
        offset: index of the first day that has all windows.
        start: index of the first day after the past.
    """

    x: np.ndarray
    expected: np.ndarray
    offset: int
    start: int

    @property
    def past(self) -> np.ndarray:
        """`[R, w]` the rows that methods learn from."""
        return self.x[: self.start - self.offset].reshape(-1, self.x.shape[2])

    @property
    def later(self) -> np.ndarray:
        """`[D, n, w]` the rows after the past."""
        return self.x[self.start - self.offset :]


def item_days(quantity: np.ndarray, demand: Demand, config: StockConfig) -> Rows:
    """The rows of a demand.

    Args:
        quantity: `[T, n]`, with faults or without; the past is the same in both.
        demand: its dates.
        config: share of the past, windows.

    Returns:
        The rows.

    Source: Anscombe (1948) for the transform; the top of this file.
    """
    start = round(config.past * len(quantity))
    expected = expected_quantity(quantity, demand.weekdays, start)
    z = 2 * (np.sqrt(quantity + 0.375) - np.sqrt(expected + 0.375))
    z = z - z.mean(axis=1, keepdims=True)
    offset = config.memory - 1
    x = np.stack([window_sum(z, days) for days in config.windows], axis=-1)[offset:]
    past = x[: start - offset].reshape(-1, len(config.windows))
    spread = past.std(axis=0)
    x = (x - past.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    level = quantity.sum(axis=1) / expected.sum(axis=1)
    return Rows(x, expected * level[:, None], offset, start)


def expected_quantity(
    quantity: np.ndarray, weekdays: np.ndarray, start: int
) -> np.ndarray:
    """`[T, n]` mean of each item in the past times the factor of the weekday."""
    past, days = quantity[:start], weekdays[:start]
    overall = past.mean()
    factor = np.ones(7)
    for day in range(7):
        if np.any(days == day) and overall > 0:
            factor[day] = past[days == day].mean() / overall
    return factor[weekdays][:, None] * past.mean(axis=0)


def window_sum(z: np.ndarray, days: int) -> np.ndarray:
    """`[T, n]` sum over the last days, over the root of their number."""
    total = np.cumsum(np.concatenate([np.zeros((1, z.shape[1])), z]), axis=0)
    ends = np.arange(1, len(z) + 1)
    return (total[ends] - total[np.maximum(ends - days, 0)]) / days**0.5
