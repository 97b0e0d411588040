"""The rows that `partial_fit` has seen: themselves while they are few, then sums.

Of N rows with d columns, N < d, the rows are less than a covariance, and what is found
of them is what `fit` finds. From N = d on, the mean and the covariance are kept.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from spectral_tf.estimators.solution import Summary
from spectral_tf.exact import Exact, Origin, differences, exact_number
from spectral_tf.moments import Moments, check_memory, empty_moments


@dataclasses.dataclass(frozen=True)
class FewRows:
    """Fewer rows than columns: `chunks` of `[n, d]`, in the order of their arrival."""

    chunks: tuple[np.ndarray, ...]

    @property
    def count(self) -> int:
        """N, rows so far."""
        return sum(map(len, self.chunks))

    @property
    def dim(self) -> int:
        """d, columns."""
        return self.chunks[0].shape[1]


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


def shifted_to(seen: Seen, columns: Sequence[int]) -> tuple[Seen, Origin]:
    """The same rows relative to an exact number in some columns.

    Args:
        seen: of the rows so far.
        columns: their indices.

    Returns:
        `(seen, origin [d])`: what was subtracted, 0 in all other columns.
    """
    origin: list[Exact] = [0] * seen.dim
    if isinstance(seen, Moments):
        shift = seen.shift.copy()
        for index in columns:
            origin[index], shift[index] = exact_number(shift[index].item()) or 0, 0.0
        return dataclasses.replace(seen, shift=shift), tuple(origin)
    chunks = [chunk.astype(np.float64) for chunk in seen.chunks]
    for index in columns:
        centre = origin[index] = exact_number(chunks[0][0, index].item()) or 0
        for chunk in chunks:
            chunk[:, index] = differences(chunk[:, index], centre)
    return FewRows(tuple(chunks)), tuple(origin)


def summary_of(seen: Seen) -> Summary:
    """What principal components are found of.

    Args:
        seen: at least two rows.

    Returns:
        The summary, as that of `fit` on the same rows.
    """
    if isinstance(seen, Moments):
        return Summary.of_moments(seen)
    return Summary.of_rows(np.concatenate(seen.chunks))
