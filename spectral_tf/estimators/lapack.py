"""Leading eigenpairs by LAPACK, with a second way where the first one fails.

For some of the pairs LAPACK's `syevr` counts eigenvalues by bisection. In a cluster of
equal ones, which every one-hot table has, the count can go wrong: scipy 1.17.1 then
returns fewer pairs than asked for without a word, or raises "Internal Error."
(`findings/scipy_eigh_subset_fewer_pairs.sh`). All pairs at once, by divide and conquer,
need no count.
"""

import numpy as np
import scipy.linalg


def top_pairs(matrix: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k largest eigenpairs of a symmetric matrix.

    Args:
        matrix: `[d, d]` symmetric, finite.
        k: how many, 1 to d.

    Returns:
        `(values [k] descending, vectors [k, d] as rows)`, orthonormal.

    Raises:
        LinAlgError: if LAPACK finds no eigenpairs even when it is asked for all.

    Source: LAPACK `syevr`; `syevd` for all pairs, and where that one fails.
    """
    size = len(matrix)
    pairs = _subset(matrix, k) if k < size else None
    if pairs is None:
        pairs = scipy.linalg.eigh(matrix, driver="evd")
    values, columns = pairs
    return values[: -k - 1 : -1], columns.T[: -k - 1 : -1]


def _subset(matrix: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray] | None:
    """The last k pairs, ascending; None unless just those came back, and finite."""
    size = len(matrix)
    try:
        values, columns = scipy.linalg.eigh(
            matrix, subset_by_index=(size - k, size - 1)
        )
    except np.linalg.LinAlgError:
        return None
    is_whole = values.shape == (k,) and columns.shape == (size, k)
    if not is_whole or not np.all(np.isfinite(columns)):
        return None
    return values, columns
