"""The recursions that the compositions must follow, in plain float64.

Written from the mathematics at the top of `power_method.py` and sharing nothing with
the gadgets but the normaliser, so that tests can compare the two block by block.
"""

import numpy as np

from spectral_tf.constructive.normaliser import Normaliser


def register_recursion(
    sigma: np.ndarray, start: np.ndarray, normaliser: Normaliser, num_iters: int
) -> np.ndarray:
    """Iterates of all registers after each of the four blocks of every iteration.

    Args:
        sigma: `[d, d]` covariance over its trace.
        start: `[k, d]` start vectors.
        normaliser: f, in place of the inverse square root.
        num_iters: tau.

    Returns:
        `[4 tau, k, d]` float64: u after multiply, squared_norm, scale, deflate.

    Source: ours.
    """
    rows, history = np.asarray(start, np.float64), []
    for _ in range(num_iters):
        rows = rows @ np.asarray(sigma, np.float64)
        history += [rows, rows]
        inverse = normaliser(np.einsum("kd,kd->k", rows, rows))
        rows = inverse[:, None] * rows
        history.append(rows)
        rows = rows - np.tril(rows @ rows.T, -1) @ rows
        history.append(rows)
    return np.stack(history)


def rms_recursion(sigma: np.ndarray, start: np.ndarray, num_iters: int) -> np.ndarray:
    """Iterates of all registers after each of the two blocks of every iteration.

    Args:
        sigma: `[d, d]` covariance over its trace.
        start: `[k, d]` start vectors.
        num_iters: tau.

    Returns:
        `[2 tau, k, d]` float64: u after multiply and after deflate, unit or zero rows.

    Source: ours.
    """
    rows, history = np.asarray(start, np.float64), []
    for _ in range(num_iters):
        rows = _unit_rows(rows @ np.asarray(sigma, np.float64))
        history.append(rows)
        rows = _unit_rows(rows - np.tril(rows @ rows.T, -1) @ rows)
        history.append(rows)
    return np.stack(history)


def _unit_rows(rows: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1.0)
