r"""What rounding alone can do to a component, and to the distance of a row.

*A component.* The covariance of sums over rows is off by E with :math:`|E_{ij}| \le e_i
e_j`, where :math:`e_i` is in the units of column i (Cauchy-Schwarz in the bound of
`moments.py`), an eigensolver's answer by at most s, a few roundings of the largest
eigenvalue, and the entries that were given by :math:`r_i`. So for a unit vector v a
variance up to :math:`(|v| \cdot e)^2 + s + (|v| \cdot r)^2` is not proven to be more
than rounding. Columns of unlike units do not spoil one another but for s.

*A row.* Where the components leave nothing but rounding, a computed distance is
rounding too. With P the projector on what is left, :math:`p_i = \sqrt{P_{ii}}`, t the
coordinates of a row x and c the centre, it is at most

.. math:: \textstyle\sum_j a_j |t_j| + \sum_i p_i\, r_i(x) + 2 \sqrt{d + k + 4}\, u\,
   |x - c|, \qquad \lambda_j a_j = (|v_j| \cdot e)(p \cdot e) + s + \frac{(|v_j| \cdot
   D)(p \cdot r) + (|v_j| \cdot r)(p \cdot D)}{\sqrt N} :

the plane is tilted by E, s and the rounding of the N rows that it was found of, whose
deviations are D (first-order perturbation; Davis & Kahan, 1970); the entries of x were
rounded; and so are the products. A sum of d terms is off by :math:`\sqrt d` roundings,
which are independent (Higham, 2002, section 2.8).
"""

import dataclasses
from typing import Any

import numpy as np

from spectral_tf.certificate.sources import Source
from spectral_tf.estimators.rank import MADE
from spectral_tf.estimators.robust import lengths

STEPS = 4
"""Roundings of an entry of a residual beside those of its two products."""
FARTHEST = 16
"""Of sound rows: the largest distance that is rounding, in medians."""
PLAUSIBLE = 32
"""A distance is rounding up to sqrt(u) / 32 of its row: columns that were centred may
have lost so much, where their mean was that much larger than their deviation."""


def unit_of(dtype: Any) -> float:
    """Largest relative error of a rounding."""
    return float(np.finfo(dtype).eps) / 2


def entry_rounding(sizes: np.ndarray, dtype: Any) -> np.ndarray:
    """`[..., d]` what rounding did to entries of these sizes as they were made."""
    return (sizes.shape[-1] + MADE) ** 0.5 * unit_of(dtype) * sizes


@dataclasses.dataclass(frozen=True)
class Rounding:
    """What rounding did to a covariance, in its units.

    Attributes:
        spread: `[d]` D, deviations of the columns.
        error: `[d]` e.
        entry: `[d]` r, root mean square over the rows.
        solver: s.
        count: N.
        values: `[k]` lambda, of the components.
    """

    spread: np.ndarray
    error: np.ndarray
    entry: np.ndarray
    solver: float
    count: int
    values: np.ndarray

    @classmethod
    def of(
        cls,
        source: Source,
        spread: np.ndarray,
        entry: np.ndarray,
        count: int,
        values: np.ndarray,
    ) -> "Rounding":
        """Of a source whose columns deviate by `spread` from what was subtracted."""
        total = float(np.sum(spread**2))
        error = spread * (source.error / total) ** 0.5 if total > 0 else 0 * spread
        return cls(spread, error, entry, source.slack - source.error, count, values)

    def floors(self, vectors: np.ndarray) -> np.ndarray:
        """`[k]` variances along unit vectors `[k, d]` that may be rounding."""
        sizes = np.abs(vectors)
        return (sizes @ self.error) ** 2 + self.solver + (sizes @ self.entry) ** 2

    def tilts(self, vectors: np.ndarray) -> np.ndarray:
        """`[m]` a: what the plane of the first m is off, for a unit of a coordinate."""
        sizes, left = np.abs(vectors), left_of(vectors)
        crossed = (sizes @ self.spread) * (left @ self.entry)
        crossed = crossed + (sizes @ self.entry) * (left @ self.spread)
        off = (sizes @ self.error) * (left @ self.error) + self.solver
        return (off + crossed / self.count**0.5) / self.values[: len(vectors)]


def left_of(vectors: np.ndarray) -> np.ndarray:
    """`[d]` p: how much of each column the unit rows `[k, d]` leave."""
    wide = np.asarray(vectors, np.float64)
    rounding = 4 * unit_of(vectors.dtype)
    return np.sqrt(np.maximum(1 - np.sum(wide**2, axis=0), rounding))


@dataclasses.dataclass(frozen=True)
class Floor:
    """How far rounding alone can put a row from the plane of the components.

    Attributes:
        centre: `[d]`.
        vectors: `[k, d]` components.
        tilts: `[k]` a; 0 where the complement of the plane is more than rounding.
        noise: a distance that sound rows have by rounding, by what was seen.
        reach: how far from the centre those rows are.
    """

    centre: np.ndarray
    vectors: np.ndarray
    tilts: np.ndarray
    noise: float = 0.0
    reach: float = 1.0

    def of(self, rows: np.ndarray) -> np.ndarray:
        """`[N]` distances of rows `[N, d]` that are no larger may be rounding."""
        dtype, centred = self.centre.dtype, rows - self.centre
        away = lengths(centred)
        steps = 2 * (sum(self.vectors.shape) + STEPS) ** 0.5 * unit_of(dtype)
        entries = entry_rounding(np.abs(rows) + np.abs(self.centre), dtype)
        bound = entries @ left_of(self.vectors) + steps * away
        bound = bound + np.abs(centred @ self.vectors.T) @ self.tilts
        return np.maximum(bound, self.noise * np.maximum(away / self.reach, 1.0))

    def with_noise(
        self, distances: np.ndarray, away: np.ndarray, least: float
    ) -> "Floor":
        """Also what rounding is seen to be, in rows that are sound for the most part.

        Of a table that was standardised, what its columns were is not known, so nothing
        is proven of the rounding of their entries; but their distances show it.

        Args:
            distances: `[N]` of rows from the plane, as computed.
            away: `[N]` from the centre.
            least: a distance that is rounding, for a row as far away as most.
        """
        middle, reach = float(np.median(distances)), float(np.median(away))
        most = unit_of(self.centre.dtype) ** 0.5 / PLAUSIBLE
        noise = FARTHEST * middle if middle <= most * reach else 0.0
        noise = max(noise, least)
        return dataclasses.replace(self, noise=noise, reach=reach) if noise else self
