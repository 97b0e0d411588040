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

from typing import Any

import numpy as np

from spectral_tf.certificate.sources import Source

MADE = 4
"""Roundings of an entry beside those of a sum of d: to read it, to scale it, ..."""


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
    rounding = float(np.finfo(dtype).eps) / 2 * size
    return source.slack + (source.dim + MADE) * rounding * rounding


def numerical_rank(eigenvalues: np.ndarray, floor: float | np.ndarray) -> int:
    """How many leading eigenvalues are larger than rounding can make of zero.

    Args:
        eigenvalues: `[k]` descending.
        floor: of `proven_floor`, in the same units; or `[k]`, one for each.

    Returns:
        0 to k.
    """
    is_null = np.append(np.asarray(eigenvalues) <= floor, True)
    return int(np.argmax(is_null))
