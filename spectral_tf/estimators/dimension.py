r"""How many components a table has of itself: by a share of its variance, or Minka's.

Neither depends on the unit of the table, on a constant added to it, or on columns that
say nothing new. What rounding alone can make is `rank.py`'s floor: eigenvalues up to it
are null directions and are taken out first, and sums are compared to that precision.

*Minka's evidence* of k components among the r directions that vary, with eigenvalues
:math:`\lambda_i` and v the mean of those after the k-th, is (Minka, 2000, eq. 77)

.. math:: \log p(U) - \frac N2 \sum_{i \le k} \log \lambda_i - \frac{N (r - k)}2 \log v
   + \frac{m + k}2 \log 2 \pi - \frac12 \log |A| - \frac k2 \log N .

Where rounding cannot tell two eigenvalues apart, turning one vector to the other
changes no likelihood: the integral over that angle is of the prior alone, and its share
of p(U) and of A is left out. Their difference would be a logarithm of rounding.

*Where the evidence says nothing*, because no direction stands out of the others
(k = 0 would be the most probable) or all but the last do (k = r - 1, the most that it
can tell), the noise of the model is not to be seen among the r. Then the directions
that do not vary are the rest, if there are any, and the r are the components: so
scikit-learn chooses, too.
"""

import math

import numpy as np
from scipy.special import gammaln

from spectral_tf.certificate.sources import Matrix
from spectral_tf.estimators.rank import numerical_rank
from spectral_tf.estimators.solution import Summary


def size_of(summary: Summary) -> float:
    """Root of the mean squared length of the rows, not centred, in source units."""
    with np.errstate(over="ignore"):
        mean = float(np.linalg.norm(summary.mean / summary.scale))
        return float(np.hypot(mean, math.sqrt(max(summary.total, 0.0))))


def blur_of(summary: Summary, dtype: np.dtype) -> float:
    """By how much rounding of the entries can move an eigenvalue, in source units.

    Args:
        summary: of a table.
        dtype: in which the table came.

    Returns:
        To first order: entries that are off by u times their size move the covariance
        by twice that times its root, with a factor of 4 to be on the safe side.
    """
    unit = float(np.finfo(dtype).eps) / 2
    moved = 2 * math.sqrt(max(summary.total, 0.0)) * unit * size_of(summary)
    return summary.floor(dtype) + 4 * moved


def varying_directions(x: np.ndarray) -> int:
    """How many directions of a table vary; all of one with fewer rows than columns.

    Args:
        x: `[N, d]`.

    Returns:
        0 to d.
    """
    if len(x) < x.shape[1]:
        return x.shape[1]
    summary = Summary.of_rows(x)
    assert isinstance(summary.source, Matrix)
    values = np.linalg.eigvalsh(summary.source.values)[::-1]
    return numerical_rank(values, summary.floor(x.dtype))


def minka_of(summary: Summary, dtype: np.dtype) -> int:
    """Minka's number of components of a table with at least as many rows as columns.

    Args:
        summary: of the table.
        dtype: in which it came.

    Returns:
        k, 1 to d.

    Source: Minka (2000), Automatic choice of dimensionality for PCA.
    """
    source = summary.source
    assert isinstance(source, Matrix)
    floor = summary.floor(dtype)
    different = first_of_copies(source.values, 2 * floor)
    part = source.values[np.ix_(different, different)]
    values = np.linalg.eigvalsh(part)[::-1]
    rank = numerical_rank(values, floor)
    blur = blur_of(summary, dtype)
    return minka(values[:rank], summary.count, blur, rank < source.dim)


def first_of_copies(covariance: np.ndarray, floor: float) -> np.ndarray:
    """Columns that are no copy, up to sign and a constant, of one before them.

    Args:
        covariance: `[d, d]`.
        floor: largest variance of a difference that counts as none.

    Returns:
        Their indices, ascending.
    """
    variances = np.diag(covariance)
    apart = variances[:, None] + variances - 2 * np.abs(covariance)
    is_copy = np.tril(apart <= floor, -1).any(axis=1)
    return np.flatnonzero(~is_copy)


def minka(values: np.ndarray, count: int, blur: float, has_null: bool) -> int:
    """The number of components with the largest evidence.

    Args:
        values: `[r]` variances that are not null, descending.
        count: N.
        blur: differences up to this are rounding.
        has_null: whether the table has further directions, that do not vary.

    Returns:
        k, 1 to r; 1 if r is 0.

    Source: see the module.
    """
    rank = len(values)
    if rank < 2:
        return 1
    scaled, tied = values / values[0], blur / values[0]
    logs = [evidence(scaled, k, count, tied) for k in range(rank)]
    k = 1 + int(np.argmax(logs[1:]))
    says_nothing = k == rank - 1 or logs[0] >= logs[k]
    return rank if has_null and says_nothing else k


def evidence(values: np.ndarray, k: int, count: int, tied: float = 0.0) -> float:
    """Logarithm of the evidence of k components.

    Args:
        values: `[r]` positive variances, descending.
        k: 0 to r - 1.
        count: N.
        tied: differences up to this count as none.

    Returns:
        Nats, up to what does not depend on k.

    Source: Minka (2000), eqs. 64 to 77; the numbers are scikit-learn's.
    """
    size = len(values)
    noise = float(np.mean(values[k:]))
    fit = np.sum(np.log(values[:k])) + (size - k) * math.log(noise)
    model = np.where(np.arange(size) < k, values, noise)
    apart = values[:k, None] - values
    curvature = apart * (1 / model - 1 / model[:k, None])
    is_pair = np.arange(size) > np.arange(k)[:, None]
    is_told = is_pair & (np.abs(apart) > tied) & (curvature > 0)
    halves = (size - np.arange(k)) / 2
    prior = gammaln(halves) - halves * math.log(math.pi) - math.log(2)
    prior = prior * is_told.sum(axis=1) / (size - 1 - np.arange(k))
    volume = np.sum(np.log(count * curvature, where=is_told, out=np.zeros_like(apart)))
    gauss = (np.sum(is_told) + k) * math.log(2 * math.pi) - k * math.log(count)
    return float(np.sum(prior) - count * fit / 2 + (gauss - volume) / 2)


def enough_for(
    share: float, values: np.ndarray, summary: Summary, dtype: np.dtype
) -> int | None:
    """How many leading components exceed a share of the variance.

    Args:
        share: in (0, 1); to be exceeded, as in scikit-learn, by more than rounding.
        values: `[k]` leading eigenvalues, descending.
        summary: of the table.
        dtype: in which it came.

    Returns:
        1 to k; None if more eigenvalues are needed. Null directions are never needed.
    """
    total = summary.total
    if not total > 0:
        return 1
    rank = numerical_rank(values, summary.floor(dtype))
    exceeds = np.cumsum(values) > share * total + blur_of(summary, dtype)
    if exceeds.any():
        return int(np.argmax(exceeds)) + 1
    return max(rank, 1) if rank < len(values) else None
