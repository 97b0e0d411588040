r"""The piecewise-linear inverse power that a relu MLP can hold.

With knots :math:`t_1 < \dots < t_m` and f their linear interpolant of
:math:`s^{-p}` (p = 1/2 for lengths, p = 1 for traces),

.. math:: f(s) = f(t_m) + \sum_i b_i\, relu(t_i - s),\qquad
   b_m = -\sigma_{m-1},\quad b_i = \sigma_i - \sigma_{i-1},\quad b_1 = 0,

where :math:`\sigma_i` is the slope on :math:`[t_i, t_{i+1}]`. *Proof*: for s in
:math:`[t_j, t_{j+1}]` the slope of the sum is
:math:`-\sum_{i>j} b_i = \sigma_{m-1} - \sum_{j<i<m}(\sigma_i-\sigma_{i-1}) = \sigma_j`,
and the value at :math:`t_m` is right. Left of :math:`t_1` the first segment is
continued, right of :math:`t_m` f is constant. Since :math:`s^{-p}` is convex, every
:math:`b_i \ge 0`: nothing cancels. (With hinges relu(s - t_i) the terms alternate in
sign and float32 loses every digit.)

*Error*: on :math:`[a, qa]` interpolation errs by at most
:math:`\frac{(q-1)^2a^2}{8}\max f'' = \frac{p(p+1)}{8}(q-1)^2 a^{-p}`, so relative to
:math:`s^{-p} \ge (qa)^{-p}` by at most

.. math:: \epsilon(q) = \tfrac{p(p+1)}8 (q-1)^2 q^p ,

with q the ratio of neighbouring knots. Hence :math:`m = O(\epsilon^{-1/2})` units,
whatever d is.
"""

import dataclasses
import math
from typing import Any

import numpy as np

from spectral_tf.config import require


def relative_error_bound(ratio: float, power: float = 0.5) -> float:
    """Largest relative error of the interpolant for knots with this ratio."""
    # p (p + 1) / 8 (q - 1)^2 q^p
    return power * (power + 1) / 8 * (ratio - 1) ** 2 * ratio**power


def knots_for(accuracy: float, low: float, high: float, power: float = 0.5) -> int:
    """Fewest log-spaced knots on [low, high] that keep the bound <= accuracy.

    Args:
        accuracy: relative error asked for, in (0, 1).
        low: smallest squared norm, > 0.
        high: largest squared norm, > low.
        power: p of the function :math:`s^{-p}`.

    Returns:
        m >= 2.

    Raises:
        ConfigError: if a bound above does not hold.

    The bound is proved at the top of this file.
    """
    require(
        0 < accuracy < 1,
        f"accuracy={accuracy} must lie in (0, 1); it is the relative error of the "
        "normaliser, e.g. 1e-3.",
    )
    require(
        0 < low < high < math.inf,
        f"the range of squared norms [{low}, {high}] must satisfy 0 < low < high; "
        "e.g. (1e-8, 1).",
    )
    decades = math.log(high / low)
    small, large = 1, 2
    fits = lambda gaps: (
        relative_error_bound(math.exp(decades / gaps), power) <= accuracy
    )
    while decades / large > 50 or not fits(large):
        small, large = large, 2 * large
    while large - small > 1:
        middle = (small + large) // 2
        is_safe = decades / middle <= 50 and fits(middle)
        small, large = (small, middle) if is_safe else (middle, large)
    return large + 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Normaliser:
    """The interpolant of `s ** -power` on log-spaced knots, as relu units.

    Attributes:
        low: first knot.
        high: last knot.
        num_knots: m.
        power: p.

    He et al. (2025), lemma on approximating the norm, use lambda_1^d C / eps^2
    attention heads for it.
    """

    low: float
    high: float
    num_knots: int
    power: float = 0.5

    @property
    def knots(self) -> np.ndarray:
        """`[m]` float64, ascending."""
        return np.geomspace(self.low, self.high, self.num_knots)

    @property
    def coefficients(self) -> np.ndarray:
        """`[m]` the b_i, all >= 0."""
        # b_i = sigma_i - sigma_{i-1}, b_m = -sigma_{m-1}
        slopes = np.diff(self.knots**-self.power) / np.diff(self.knots)
        return np.concatenate([[0.0], np.diff(slopes), [-slopes[-1]]])

    @property
    def offset(self) -> float:
        """f at and beyond the last knot."""
        return self.high**-self.power

    @property
    def error_bound(self) -> float:
        """Relative error on [low, high], at most."""
        return relative_error_bound(
            (self.high / self.low) ** (1 / (self.num_knots - 1)), self.power
        )

    @property
    def peak(self) -> float:
        """f(0): no output is larger, whatever s >= 0 comes in."""
        return float(self(np.float64(0.0)))

    def __call__(self, squared: Any) -> Any:
        """f(s) in float64, from the very sum that the MLP evaluates."""
        hinges = np.maximum(self.knots - np.asarray(squared)[..., None], 0.0)
        return self.offset + hinges @ self.coefficients
