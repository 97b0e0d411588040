r"""A span near the leading eigenvectors: how near, and made right to rounding.

Iteration leaves two errors: the vectors are mixed among themselves where their gaps are
small, and something of the eigenvectors beyond is left. Rayleigh-Ritz in their span
undoes the first without a product. For the second the span is widened by the residuals
:math:`S v - \theta v`, in which just what is wrong stands out, at the cost of one
product with all of them; that is one step of block Lanczos from vectors that are good
already.
"""

import dataclasses

import numpy as np

from spectral_tf.certificate.sources import Source
from spectral_tf.certificate.tall import orthonormal

MOST_STEPS = 3
"""Products, at most: one is enough for most tables."""
NEGLIGIBLE = 1e-13
"""Shares of a residual direction that are rounding."""


@dataclasses.dataclass(frozen=True)
class Span:
    """A span, its image, and the leading Ritz pairs in it.

    Attributes:
        basis: `[d, n]` orthonormal.
        image: `[d, n]` S times the basis.
        values: `[m]` leading Ritz values, descending.
        vectors: `[m, d]` their vectors, orthonormal rows.
        left: `[d, m]` what S times them is off their multiples.
    """

    basis: np.ndarray
    image: np.ndarray
    values: np.ndarray
    vectors: np.ndarray
    left: np.ndarray

    @classmethod
    def of(cls, source: Source, vectors: np.ndarray) -> "Span":
        """That of independent rows `[m, d]`; one product."""
        basis = orthonormal(vectors.T)[0]
        return cls._solved(basis, source.product(basis), len(vectors))

    @classmethod
    def _solved(cls, basis: np.ndarray, image: np.ndarray, count: int) -> "Span":
        inner = basis.T @ image
        values, turn = np.linalg.eigh((inner + inner.T) / 2)
        values, turn = values[: -count - 1 : -1], turn[:, : -count - 1 : -1]
        pairs = basis @ turn
        return cls(basis, image, values, pairs.T, image @ turn - pairs * values)

    def angle(self, k: int) -> float:
        """Largest residual over its gap among the first k; not a proof."""
        sizes = np.linalg.norm(self.left[:, :k], axis=0)
        gaps = np.r_[np.inf, self.values[:-1] - self.values[1:], np.inf]
        nearest = np.minimum(gaps[:k], gaps[1 : k + 1])
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.max(np.where(sizes == 0, 0.0, sizes / nearest)))

    def polished(self, source: Source, k: int, goal: float) -> "Span":
        """Widened by residuals until the first k are accurate.

        Args:
            source: S.
            k: how many are wanted; the others guard the last gap.
            goal: radians; no further product where residuals over gaps are below.

        Returns:
            A span with as many pairs.

        Source: Golub & Van Loan (2013), section 10.3 (block Lanczos, restarted).
        """
        span = self
        for _ in range(MOST_STEPS):
            if span.angle(k) <= goal:
                break
            wider = directions(span.left, span.basis)
            if wider.shape[1] == 0:
                break
            basis = np.concatenate([span.basis, wider], axis=1)
            image = np.concatenate([span.image, source.product(wider)], axis=1)
            span = self._solved(basis, image, len(self.values))
        return span


def directions(left: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """`[d, r]` orthonormal columns that span the residuals outside a basis."""
    sizes = np.linalg.norm(left, axis=0)
    columns = left[:, sizes > 0] / sizes[sizes > 0]
    for _ in range(2):
        columns = columns - basis @ (basis.T @ columns)
        columns, upper = orthonormal(columns)
        # The left singular vectors, from those of R.
        turn, scales, _ = np.linalg.svd(upper)
        columns = columns @ turn[:, scales > NEGLIGIBLE]
    return columns
