r"""Eigenvectors that are nearly right, made right to rounding by a product or two.

Iteration leaves two errors: the vectors are mixed among themselves where their gaps are
small, and something of the eigenvectors beyond is left. Rayleigh-Ritz in their span
undoes the first without a product. For the second the span is widened by the residuals
:math:`S v - \theta v`, in which just what is wrong stands out, at the cost of one
product with all of them; that is one step of block Lanczos from vectors that are good
already.
"""

import numpy as np

from spectral_tf.certificate.sources import Source

MOST_STEPS = 3
"""Products, at most: one is enough for most tables."""
NEGLIGIBLE = 1e-13
"""Shares of a residual direction that are rounding."""


def polished(
    source: Source, vectors: np.ndarray, k: int, goal: float
) -> tuple[np.ndarray, np.ndarray]:
    """The Ritz pairs of a span, widened by residuals until they are accurate.

    Args:
        source: S.
        vectors: `[m, d]` rows near the leading eigenvectors, m >= k, independent.
        k: how many are wanted; the others guard the last gap.
        goal: radians; no further product where residuals over gaps are below.

    Returns:
        `(eigenvalues [k] descending, eigenvectors [k, d])`, orthonormal rows.

    Source: Golub & Van Loan (2013), section 10.3 (block Lanczos, restarted).
    """
    basis = np.linalg.qr(vectors.T)[0]
    image, count = source.product(basis), basis.shape[1]
    steps = 0
    while True:
        inner = basis.T @ image
        values, turn = np.linalg.eigh((inner + inner.T) / 2)
        values, turn = values[: -count - 1 : -1], turn[:, : -count - 1 : -1]
        pairs = basis @ turn
        left = image @ turn - pairs * values
        wider = directions(left, basis)
        is_last = steps == MOST_STEPS or wider.shape[1] == 0
        if is_last or angle(left, values, k) <= goal:
            return values[:k], pairs.T[:k]
        steps += 1
        basis = np.concatenate([basis, wider], axis=1)
        image = np.concatenate([image, source.product(wider)], axis=1)


def directions(left: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """`[d, r]` orthonormal columns that span the residuals outside a basis."""
    sizes = np.linalg.norm(left, axis=0)
    columns = left[:, sizes > 0] / sizes[sizes > 0]
    for _ in range(2):
        columns = columns - basis @ (basis.T @ columns)
        columns, scales, _ = np.linalg.svd(columns, full_matrices=False)
        columns = columns[:, scales > NEGLIGIBLE]
    return columns


def angle(left: np.ndarray, values: np.ndarray, k: int) -> float:
    """Largest residual over its gap among the first k; not a proof."""
    sizes = np.linalg.norm(left[:, :k], axis=0)
    gaps = np.r_[np.inf, values[:-1] - values[1:], np.inf]
    nearest = np.minimum(gaps[:k], gaps[1 : k + 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.max(np.where(sizes == 0, 0.0, sizes / nearest)))
