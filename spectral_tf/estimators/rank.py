r"""Which directions of a table vary, and which only seem to: rank by proven rounding.

Computed eigenvalues of a covariance are off by at most `Source.slack`: what rounding
changed in the covariance, and what a product with it may lose (Weyl's inequality). An
eigenvalue that is no larger is not proven to differ from zero; whatever divides by it
divides by rounding.

Tables with exactly dependent columns (totals, shares, a copy in other units) have such
directions, and there rounding is of a second kind: the entries themselves were rounded
when the columns were made, by c u relative to their own size, which leaves a variance
of at most :math:`c^2 u^2 \frac1N \sum_i |x_i|^2`. A sum of d terms has c^2 <= d where
its roundings are independent (Higham, 2002, section 2.8).
"""

import dataclasses
from typing import Any

import numpy as np

from spectral_tf.certificate.sources import Source
from spectral_tf.estimators.robust import lengths

MADE = 4
"""Roundings of an entry beside those of a sum of d: to read it, to scale it, ..."""
STEPS = 4
"""Roundings of an entry of a residual beside those of its two products."""


def proven_floor(source: Source, size: float = 0.0, dtype: Any = np.float64) -> float:
    """The largest eigenvalue that rounding alone can make of zero.

    Args:
        source: S.
        size: root of the mean squared length of the rows, not centred, in the units of
            the source; 0 where nothing is known of how the entries were made.
        dtype: in which the entries came, float32 or float64.

    Returns:
        The floor, in the units of the source; at least a few roundings of the largest
        eigenvalue of S.

    Source: Weyl (1912); Higham (2002), sections 2.8 and 3.5.
    """
    made = float(np.finfo(dtype).eps) / 2 * size
    return source.slack + (source.dim + MADE) * made * made


@dataclasses.dataclass(frozen=True)
class Floor:
    r"""How far rounding alone can put a row from the plane of the components.

    A row x, at the distance r from the centre c, is off the plane by

    .. math:: \tau r + \sqrt{d + 4}\, u\, (|x| + |c|) + 2 \sqrt{d + k + 4}\, u\, r :

    the plane is tilted by at most :math:`\tau`, what was proven of the error of the
    covariance over its smallest eigenvalue that is not rounding (Davis & Kahan, 1970);
    the entries of x and c were rounded; and so are the two products of a residual. The
    last two are no worst cases: roundings of many terms are independent (Higham, 2002,
    section 2.8), and what is proven of a sum of N rows is hundreds of times as much.

    Attributes:
        tilt: tau, radians; 0 where the complement of the plane is more than rounding.
        unit: u of the type of the table.
        dim: d.
        size: k.
    """

    tilt: float
    unit: float
    dim: int
    size: int

    def entries(self, rows: np.ndarray, centre: np.ndarray) -> np.ndarray:
        """`[N]` what rounding of the entries `[N, d]` and of the centre can do."""
        size = lengths(rows) + lengths(centre[None])
        return (self.dim + MADE) ** 0.5 * self.unit * size

    def of(self, rows: np.ndarray, centre: np.ndarray) -> np.ndarray:
        """`[N]` distances that are no larger may be rounding.

        Args:
            rows: `[N, d]`.
            centre: `[d]`.
        """
        steps = 2 * (self.dim + self.size + STEPS) ** 0.5 * self.unit
        away = lengths(rows - centre)
        return (self.tilt + steps) * away + self.entries(rows, centre)


def numerical_rank(eigenvalues: np.ndarray, floor: float) -> int:
    """How many eigenvalues are larger than rounding can make of zero.

    Args:
        eigenvalues: `[k]` descending.
        floor: of `proven_floor`, in the same units.

    Returns:
        0 to k.

    Source: ours.
    """
    return int(np.count_nonzero(np.asarray(eigenvalues) > floor))
