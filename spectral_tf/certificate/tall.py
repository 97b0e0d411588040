"""Products with tall, thin matrices: memory is what takes the time, not arithmetic.

BLAS reads a table twice for X^T (X q), and its threads wait for one another after each
small product. Here rows are taken in parts that stay in the cache between the two
products, by as many Python threads as there are processors.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import scipy.linalg

from spectral_tf.moments import UNIT_ROUNDOFF

PART = 1 << 17
"""Numbers of a part that stay in the cache."""
SMALL = 1 << 20
"""Numbers of a table up to which one thread does it at once."""
MOST_WORKERS = 16
LONG = 2048
"""Rows from which a basis is made by Cholesky factors: it reads them less often."""


def workers() -> int:
    """Threads that can run at a time."""
    known = getattr(os, "sched_getaffinity", None)
    return min(len(known(0)) if known else os.cpu_count() or 1, MOST_WORKERS)


def normal_product(x: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """`[d, m]` X^T (X columns) of a table `[N, d]`; a long one is read once."""
    if x.size <= SMALL:
        return x.T @ (x @ columns)
    if x.shape[0] < x.shape[1]:
        return _wide_product(x, columns)
    step = max(16, PART // x.shape[1])

    def total(low: int, high: int) -> np.ndarray:
        result = np.zeros((x.shape[1], columns.shape[1]))
        for start in range(low, high, step):
            part = x[start : min(start + step, high)]
            result += part.T @ (part @ columns)
        return result

    first, *others = in_threads(total, len(x))
    for other in others:
        first += other
    return first


def _wide_product(x: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The same of few rows, read twice: no thread needs a result of its own."""
    inner = np.concatenate(in_threads(lambda a, b: x[a:b] @ columns, len(x)))
    result = np.empty((x.shape[1], columns.shape[1]))

    def fill(low: int, high: int) -> np.ndarray:
        return np.matmul(x[:, low:high].T, inner, out=result[low:high])

    in_threads(fill, x.shape[1])
    return result


def matrix_product(matrix: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """`[d, m]` of a large matrix `[d, d]` and few columns."""
    if matrix.size <= SMALL:
        return matrix @ columns
    parts = in_threads(lambda low, high: matrix[low:high] @ columns, len(matrix))
    return np.concatenate(parts)


def in_threads(work: Callable[[int, int], np.ndarray], count: int) -> list[np.ndarray]:
    """What `work(low, high)` gives for equal parts of `range(count)`, in order."""
    number = min(workers(), count)
    bounds = [count * place // number for place in range(number + 1)]
    # Made anew: a pool of the process would not survive a fork.
    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(work, bounds[:-1], bounds[1:]))


def orthonormal(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """QR of tall, thin columns.

    Args:
        columns: `[d, m]`.

    Returns:
        `(Q [d, m], R [m, m] upper triangular)`. By two Cholesky factorisations where
        the columns are many times longer than many, and that gives an orthonormal Q;
        else by reflections.

    Source: Yamamoto et al. (2015), on the CholeskyQR2 algorithm.
    """
    size = columns.shape[1]
    if len(columns) < LONG or size == 0:
        return np.linalg.qr(columns)
    basis, upper = columns, np.eye(size)
    for _ in range(2):
        try:
            factor = np.linalg.cholesky(basis.T @ basis).T
        except np.linalg.LinAlgError:
            return np.linalg.qr(columns)
        inverse = scipy.linalg.solve_triangular(factor, np.eye(size))
        basis, upper = basis @ inverse, factor @ upper
    loss = np.abs(basis.T @ basis - np.eye(size)).max()
    is_sound = loss <= 32 * size * UNIT_ROUNDOFF and np.all(np.isfinite(upper))
    return (basis, upper) if is_sound else np.linalg.qr(columns)
