"""The rows that `partial_fit` has seen: themselves while they are few, then sums.

Of N rows with d columns, N < d, the rows are less than a covariance, and what is found
of them is what `fit` finds. From N = d on, the mean and the covariance are kept.
"""

import dataclasses

import numpy as np

from spectral_tf.estimators.solution import Summary
from spectral_tf.moments import Moments, check_memory, empty_moments


@dataclasses.dataclass(frozen=True)
class FewRows:
    """Fewer rows than columns: `chunks` of `[n, d]`, in the order in which they came.

    Source: ours.
    """

    chunks: tuple[np.ndarray, ...]

    @property
    def count(self) -> int:
        """N, rows so far."""
        return sum(map(len, self.chunks))


Seen = FewRows | Moments


def seen_with(seen: Seen | None, rows: np.ndarray) -> Seen:
    """What is kept of all rows so far and some more.

    Args:
        seen: of the rows so far; None of none.
        rows: `[n, d]`, copied where they are kept.

    Returns:
        The rows while they are fewer than their columns, else their moments.

    Raises:
        DataError: if there is not memory enough for either.

    Source: ours.
    """
    if isinstance(seen, Moments):
        return seen.updated(rows)
    before = () if seen is None else seen.chunks
    count, dim = sum(map(len, before)) + len(rows), rows.shape[1]
    if count < dim:
        check_memory(count, dim, "the rows")
        return FewRows((*before, rows.copy()))
    chunks = *before, rows
    moments = empty_moments(chunks[0])
    for chunk in chunks:
        moments = moments.updated(chunk)
    return moments


def summary_of(seen: Seen) -> Summary:
    """What principal components are found of.

    Args:
        seen: at least two rows.

    Returns:
        The summary, as that of `fit` on the same rows.

    Source: ours.
    """
    if isinstance(seen, Moments):
        return Summary.of_moments(seen)
    return Summary.of_rows(np.concatenate(seen.chunks))
