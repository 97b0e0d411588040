"""What is asked of the normaliser, and the interpolants that keep it.

Whoever builds a composition says at most two numbers, `accuracy` and `smallest`; what
they mean for the knots depends on what the composition does with a length that is
slightly wrong, and is proved at each function below.
"""

import dataclasses
import math

from spectral_tf.config import require
from spectral_tf.constructive.normaliser import Normaliser, knots_for

LENGTH_ERROR = 1e-9
"""`polish` runs until the proven error of the lengths is below this."""
SQUARING_ACCURACY = 0.05
"""Relative error that `squaring` chooses: it only scales."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tolerance:
    """What a network may get wrong.

    Attributes:
        accuracy: relative error of the normaliser, in (0, 0.5); None lets the
            composition choose what it needs.
        smallest: smallest eigenvalue, over the trace, whose vector is normalised; None
            is a thousandth, or a quarter of the mean eigenvalue if that is less.
    """

    accuracy: float | None = None
    smallest: float | None = None

    def smallest_of(self, dim: int) -> float:
        """`smallest`, or what None stands for with d features."""
        return min(1e-3, 0.25 / dim) if self.smallest is None else self.smallest

    def accuracy_or(self, choice: float) -> float:
        """`accuracy`, or the choice of the composition where it is None."""
        return choice if self.accuracy is None else self.accuracy


CHOSEN = Tolerance()
"""The composition chooses."""


def root_normaliser(
    accuracy: float, smallest: float, dim: int, num_registers: int = 1
) -> Normaliser:
    r"""The interpolant of :math:`s^{-1/2}` on the squared norms that can occur.

    :math:`\Sigma` has unit trace, so :math:`|\Sigma u| \le |u|`, and a register that
    has found an eigenvalue :math:`\lambda` has :math:`|\Sigma u| = \lambda`. Longest is
    a register after `deflate` took from it R - 1 others that all held the same: with
    lengths of at most 1 + accuracy =: a before, :math:`|u| \le a + (R - 1) a^3`.

    Args:
        accuracy: relative error on the range, in (0, 0.5).
        smallest: smallest eigenvalue, over the trace, that is normalised; the range is
            [smallest^2, that bound squared]. Vectors of smaller ones shrink to 0.
        dim: d; the largest eigenvalue is at least 1/d, so smallest must be below.
        num_registers: R, registers that deflate one another in parallel.

    Returns:
        The interpolant with the fewest knots that keeps the proven bound.

    Raises:
        ConfigError: if accuracy or smallest is outside its bounds.
    """
    require(
        0 < accuracy < 0.5,
        f"accuracy={accuracy} must lie in (0, 0.5); it is the relative error of the "
        "normaliser, e.g. 1e-3.",
    )
    require(
        1e-15 <= smallest <= 1 / (2 * dim),
        f"smallest={smallest} cannot hold: the squared norms would have the range "
        f"[smallest^2, 1], and a leading eigenvalue may be 1/d={1 / dim:.3g} of the "
        f"trace; choose smallest in [1e-15, {1 / (2 * dim):.3g}], or leave it None.",
    )
    longest = 1 + accuracy
    # |u| <= a + (R - 1) a^3 after deflation; one register is never deflated.
    longest += (num_registers - 1) * longest**3 if num_registers > 1 else 0
    low, high = smallest**2, longest**2
    return Normaliser(low=low, high=high, num_knots=knots_for(accuracy, low, high))


def deflating_normaliser(
    dim: int, num_registers: int, tolerance: Tolerance = CHOSEN
) -> Normaliser:
    r"""The normaliser of registers that deflate one another.

    A register of length :math:`1 + \epsilon` takes from a later one all but :math:`1 -
    (1 + \epsilon)^2 \approx -2\epsilon` of what that has along :math:`v_l`, and the
    next product enlarges it by :math:`\lambda_l/\lambda_j`. It dies out if
    :math:`2\epsilon\lambda_l < \lambda_j`; so the accuracy must be below half the
    smallest eigenvalue, and is a quarter of it unless said otherwise.

    Args:
        dim: d.
        num_registers: R.
        tolerance: an accuracy of None is smallest / 4 (1e-3 for one register).

    Returns:
        The interpolant.

    Raises:
        ConfigError: if accuracy and smallest cannot hold together.
    """
    smallest = tolerance.smallest_of(dim)
    if num_registers == 1:
        return root_normaliser(tolerance.accuracy_or(1e-3), smallest, dim)
    accuracy = tolerance.accuracy_or(smallest / 4)
    normaliser = root_normaliser(accuracy, smallest, dim, num_registers)
    require(
        2 * accuracy < smallest,  # 2 epsilon lambda_l < lambda_j, with lambda_l <= 1
        f"accuracy={accuracy} cannot hold for eigenvalues down to smallest={smallest}: "
        "deflation needs 2 accuracy < smallest; leave accuracy None.",
    )
    return normaliser


def columns_normaliser(dim: int, tolerance: Tolerance = CHOSEN) -> Normaliser:
    r"""The normaliser of `columns`, of one head per knot.

    `polish` turns an error :math:`\epsilon` of a length into at most
    :math:`\frac32\epsilon^2`, and the removal then leaves :math:`3\epsilon^2\lambda_1`
    of the vector in the matrix, which must stay below the eigenvalues that count.

    Args:
        dim: d.
        tolerance: an accuracy of None is 1e-3, or less if that is too much.

    Returns:
        The interpolant.

    Raises:
        ConfigError: if accuracy and smallest cannot hold together.
    """
    smallest = tolerance.smallest_of(dim)
    # 3 epsilon^2 = smallest / 4
    accuracy = tolerance.accuracy_or(min(1e-3, math.sqrt(max(smallest, 0) / 12)))
    normaliser = root_normaliser(accuracy, smallest, dim)
    require(
        3 * accuracy**2 < smallest,
        f"accuracy={accuracy} cannot hold for eigenvalues down to smallest={smallest}: "
        "removal needs 3 accuracy^2 < smallest; leave accuracy None.",
    )
    return normaliser


def squaring_normalisers(
    dim: int, tolerance: Tolerance = CHOSEN
) -> tuple[Normaliser, Normaliser]:
    """The normalisers of `squaring`: of lengths, and of traces.

    The error of either only scales, see `squaring.py`, so an accuracy of 0.05 will do.

    Args:
        dim: d.
        tolerance: an accuracy of None is 0.05; `smallest` holds for eigenvalues and for
            the trace of a deflated matrix.

    Returns:
        The interpolant of the inverse root, and that of 1/t on [min(smallest,
        1/(2 d)), (1 + accuracy)^2], with the fewest knots.

    Raises:
        ConfigError: if accuracy or smallest is outside its bounds.
    """
    smallest = tolerance.smallest_of(dim)
    accuracy = tolerance.accuracy_or(SQUARING_ACCURACY)
    root = root_normaliser(accuracy, smallest, dim)
    # 1/d <= tr(A^2) <= (1 + epsilon)^2 for a matrix of trace 1 to 1 + epsilon.
    low, high = min(smallest, 0.5 / dim), (1 + accuracy) ** 2
    knots = knots_for(accuracy, low, high, 1.0)
    return root, Normaliser(low=low, high=high, num_knots=knots, power=1.0)


def polish_steps(accuracy: float) -> int:
    """Newton steps that take a length from 1 +- accuracy to 1 +- `LENGTH_ERROR`."""
    steps, error = 0, accuracy
    while error > LENGTH_ERROR:
        # (3 - |u|^2) |u| / 2 = 1 - 3/2 epsilon^2 - 1/2 epsilon^3 for |u| = 1 + epsilon
        steps, error = steps + 1, 1.5 * error**2 + 0.5 * error**3
    return steps
