"""The recursions that the compositions must follow, in plain float64.

Written from the mathematics at the top of `registers.py`, `columns.py` and
`squaring.py` and sharing nothing with the gadgets but the normalisers, so that tests
can compare the two block by block. Each is a generator of what the tokens hold after
every block; `register`, `columns`, ... run them from the same start vectors as the
networks, for the table of variants.
"""

from collections.abc import Callable, Iterator

import numpy as np

from spectral_tf.constructive.lanczos_dense import (
    SQUARINGS,
    block_of,
    floor_of_type,
    orthonormal_start,
)
from spectral_tf.constructive.lanczos_reference import dense_rounds, leading_by_squaring
from spectral_tf.constructive.registers import (
    WARM_UP,
    guarded,
    start_rows,
    warm_up,
)
from spectral_tf.constructive.tolerance import (
    CHOSEN,
    SQUARING_ACCURACY,
    Tolerance,
    columns_normaliser,
    deflating_normaliser,
    polish_steps,
    squaring_normalisers,
)

Function = Callable[[np.ndarray], np.ndarray | np.floating]
Held = dict[str, np.ndarray]


def deflated(rows: np.ndarray, other: np.ndarray | None = None) -> np.ndarray:
    """Each row of `other` minus what `rows` before it have in common with that row."""
    other = rows if other is None else other
    return other - np.tril(rows @ rows.T, -1) @ other


def _scaled(rows: np.ndarray, normaliser: Function) -> np.ndarray:
    return np.asarray(normaliser(np.sum(rows**2, axis=1)))[:, None] * rows


def _newton(rows: np.ndarray) -> np.ndarray:
    return 1.5 * rows - 0.5 * np.sum(rows**2, axis=-1, keepdims=True) * rows


def register_recursion(
    sigma: np.ndarray,
    start: np.ndarray,
    normaliser: Function,
    num_iters: int,
    polish: int,
    warm_up: int,
) -> Iterator[Held]:
    """`register`, block by block.

    Args:
        sigma: `[d, d]` covariance over its trace.
        start: `[k, d]` start vectors.
        normaliser: f, in place of the inverse square root.
        num_iters: tau.
        polish: Newton steps.
        warm_up: iterations with k rounds.

    Yields:
        `u [k, d]`, `lam [k]` after every block.
    """
    rows, lam = np.asarray(start, np.float64), np.zeros(len(start))
    k = len(start)
    held = lambda: {"u": rows, "lam": lam}
    yield held()  # centre
    for index in range(num_iters):
        rows = rows @ sigma
        yield held()
        for _ in range(k if index < warm_up else 1):
            yield held()  # squared_norm
            rows = _scaled(rows, normaliser)
            yield held()
            rows = deflated(rows)
            yield held()
    for index in range(k):
        yield held()
        rows = _scaled(rows, normaliser)
        yield held()
        if index < k - 1:
            rows = deflated(rows)
            yield held()
    yield from _read_off(sigma, rows, polish)


def _read_off(sigma: np.ndarray, rows: np.ndarray, polish: int) -> Iterator[Held]:
    lam = np.zeros(len(rows))
    for _ in range(polish):
        rows = _newton(rows)
        yield {"u": rows, "lam": lam}
    if len(rows) > 1:
        rows = deflated(rows)
        yield {"u": rows, "lam": lam}
        rows = _newton(rows)
        yield {"u": rows, "lam": lam}
    yield {"u": rows, "lam": lam}  # image
    yield {"u": rows, "lam": np.einsum("kd,de,ke->k", rows, sigma, rows)}


def rms_recursion(
    sigma: np.ndarray, start: np.ndarray, num_iters: int, warm_up: int
) -> Iterator[Held]:
    """`rms`, block by block.

    Args:
        sigma: `[d, d]` covariance over its trace.
        start: `[k, d]` start vectors.
        num_iters: tau.
        warm_up: iterations with k rounds.

    Yields:
        `u [k, d]`, `lam [k]` after every block; unit or zero rows.
    """
    rows, lam = np.asarray(start, np.float64), np.zeros(len(start))
    yield {"u": rows, "lam": lam}
    for index in range(num_iters):
        rows = _unit_rows(rows @ sigma)
        yield {"u": rows, "lam": lam}
        for _ in range(len(start) if index < warm_up else 1):
            rows = _unit_rows(deflated(rows))
            yield {"u": rows, "lam": lam}
    for _ in range(len(start) + 1):
        rows = _unit_rows(deflated(rows))
        yield {"u": rows, "lam": lam}
    yield {"u": rows, "lam": lam}
    yield {"u": rows, "lam": np.einsum("kd,de,ke->k", rows, sigma, rows)}


def _unit_rows(rows: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1.0)


def accelerated_recursion(
    sigma: np.ndarray,
    start: np.ndarray,
    normaliser: Function,
    num_iters: int,
    polish: int,
    warm_up: int,
) -> Iterator[Held]:
    """`accelerated`, block by block.

    Args:
        sigma: `[d, d]` covariance over its trace.
        start: `[R, d]` start vectors, the last one the guard's; R > k.
        normaliser: f.
        num_iters: tau > warm_up.
        polish: Newton steps.
        warm_up: iterations with R rounds.

    Yields:
        `u [R, d]`, `lam [R]`, `b []` after every block.
    """
    rows, count = np.asarray(start, np.float64), len(start)
    past, b, lam = np.zeros_like(rows), 0.0, np.zeros(count)
    held = lambda: {"u": rows, "lam": lam, "b": np.asarray(b)}
    plain = max(warm_up, num_iters // 4)
    yield held()  # centre
    for stage, iters in enumerate((plain, num_iters - plain)):
        for index in range(iters + 1):
            is_over = index == iters
            if not is_over:
                rows, past = rows @ sigma - b / 2 * rows - b**2 / 16 * past, rows
                yield held()
            is_warm = stage == 0 and index < warm_up
            rounds = count if is_warm or is_over else 1
            for turn in range(rounds):
                yield held()  # squared_norm
                factor = np.asarray(normaliser(np.sum(rows**2, axis=1)))[:, None]
                rows, past = factor * rows, factor * past
                yield held()
                if not (is_over and turn == rounds - 1):
                    rows, past = deflated(rows), deflated(rows, past)
                    yield held()
        if stage == 0:
            yield held()  # image
            lam = np.einsum("kd,de,ke->k", rows, sigma, rows)
            yield held()
            b, lam = 0.9 * lam[-1], np.zeros(count)
            yield held()
    for state in _read_off(sigma, rows, polish):
        yield state | {"b": np.asarray(b)}


def columns_recursion(
    sigma: np.ndarray, start: np.ndarray, normaliser: Function, num_iters: int
) -> Iterator[Held]:
    """`columns`, layer by layer.

    Args:
        sigma: `[d, d]` covariance over its trace.
        start: `[k, d]` start vectors.
        normaliser: f.
        num_iters: tau, in all.

    Yields:
        `a [d, d]` (row i is column i), `v [d]`, `w [d]` of the worker, and
        `vectors [j, d]`, `lam [j]`: what is finished, in order.
    """
    matrix, k = np.array(sigma, np.float64), len(start)
    dim, nothing = len(matrix), np.zeros(len(matrix))
    vectors, lam = np.zeros((0, dim)), np.zeros(0)
    share, rest = divmod(num_iters, k)
    held = lambda v, w: {"a": matrix.T, "v": v, "w": w, "vectors": vectors, "lam": lam}
    v = np.asarray(start[0], np.float64)
    yield held(v, nothing)
    for j in range(k):
        for _ in range(share + (j < rest)):
            w = matrix @ v
            yield held(nothing, w)
            v = normaliser(w @ w) * w
            yield held(v, nothing)
        v = _newton(v)
        yield held(v, nothing)
        w = matrix @ v
        yield held(v, w)
        value, matrix = v @ w, matrix - np.outer(v, v @ matrix)
        yield held(v, w)
        vectors, lam = np.vstack([vectors, v]), np.append(lam, value)
        v = np.asarray(start[j + 1], np.float64) if j + 1 < k else nothing
        yield held(v, nothing)


def squaring_recursion(
    sigma: np.ndarray,
    start: np.ndarray,
    normalisers: tuple[Function, Function],
    num_squarings: int,
    polish: int,
) -> Iterator[Held]:
    """`squaring`, block by block.

    Args:
        sigma: `[d, d]` covariance over its trace.
        start: `[k, d]` start vectors.
        normalisers: of the inverse square root, and of the reciprocal.
        num_squarings: t.
        polish: Newton steps.

    Yields:
        `a [d, d]`, `base [d, d]`, `v [d]` of the worker, `vectors [j, d]`, `lam [j]`.
    """
    root, reciprocal = normalisers
    base, k = np.array(sigma, np.float64), len(start)
    power, dim = base, len(base)
    vectors, lam = np.zeros((0, dim)), np.zeros(0)
    v = np.asarray(start[0], np.float64)
    held = lambda: {"a": power, "base": base, "v": v, "vectors": vectors, "lam": lam}
    yield held() | {"a": 0 * base, "base": 0 * base}  # centre
    yield held()  # covariance
    for j in range(k):
        for squarings in range(num_squarings + 1):
            if squarings:
                power = power @ power
                yield held()
            yield held()  # trace
            power = reciprocal(np.trace(power)) * power
            yield held()
        for matrix in (power, base):
            v = matrix @ v
            yield held()
            yield held()  # norm
            v = root(v @ v) * v
            yield held()
        for _ in range(polish):
            v = _newton(v)
            yield held()
        yield held()  # keep
        value = v @ base @ v
        yield held()  # rayleigh
        yield held()  # halve
        z = base @ v - value / 2 * v
        base = base - np.outer(v, z) - np.outer(z, v)
        power = base
        yield held()
        vectors, lam = np.vstack([vectors, v]), np.append(lam, value)
        v = np.asarray(start[j + 1], np.float64) if j + 1 < k else np.zeros(dim)
        yield held()


def register(
    sigma: np.ndarray, k: int, num_iters: int, tolerance: Tolerance = CHOSEN
) -> Iterator[Held]:
    """`register_recursion` as the network of these sizes runs it."""
    dim, warm = len(sigma), warm_up(k, num_iters)
    root = deflating_normaliser(dim, k, tolerance)
    polish = polish_steps(root.error_bound)
    return register_recursion(sigma, start_rows(dim, k), root, num_iters, polish, warm)


def rms(
    sigma: np.ndarray, k: int, num_iters: int, tolerance: Tolerance = CHOSEN
) -> Iterator[Held]:
    """`rms_recursion` as the network of these sizes runs it."""
    del tolerance
    start = start_rows(len(sigma), k)
    return rms_recursion(sigma, start, num_iters, warm_up(k, num_iters))


def accelerated(
    sigma: np.ndarray, k: int, num_iters: int, tolerance: Tolerance = CHOSEN
) -> Iterator[Held]:
    """`accelerated_recursion` as the network of these sizes runs it.

    Without room for a guard it is that of `register`.
    """
    dim = len(sigma)
    count = guarded(k, dim)
    if count == k:
        return register(sigma, k, num_iters, tolerance)
    root = deflating_normaliser(dim, count, tolerance)
    polish = polish_steps(root.error_bound)
    return accelerated_recursion(
        sigma, start_rows(dim, count), root, num_iters, polish, WARM_UP
    )


def columns(
    sigma: np.ndarray, k: int, num_iters: int, tolerance: Tolerance = CHOSEN
) -> Iterator[Held]:
    """`columns_recursion` as the network of these sizes runs it."""
    root = columns_normaliser(len(sigma), tolerance)
    return columns_recursion(sigma, start_rows(len(sigma), k), root, num_iters)


def squaring(
    sigma: np.ndarray, k: int, num_iters: int, tolerance: Tolerance = CHOSEN
) -> Iterator[Held]:
    """`squaring_recursion` as the network of these sizes runs it."""
    normalisers = squaring_normalisers(len(sigma), tolerance)
    polish = polish_steps(tolerance.accuracy_or(SQUARING_ACCURACY))
    start = start_rows(len(sigma), k)
    return squaring_recursion(sigma, start, normalisers, num_iters, polish)


def krylov(
    sigma: np.ndarray,
    k: int,
    num_iters: int,
    tolerance: Tolerance = CHOSEN,
    block: int | None = None,
) -> Iterator[Held]:
    """`dense_rounds` as the network of these sizes runs them, and its read-out."""
    del tolerance
    dim = len(sigma)
    start = orthonormal_start(dim, block_of(dim, k, block))
    yield {"u": start}  # centred
    rounds = [*dense_rounds(sigma, start, num_iters, floor_of_type())]
    yield from rounds[:-1]
    last, oldest_first = rounds[-1], range(num_iters, 0, -1)
    rows = np.concatenate([last[f"q{i}"] for i in oldest_first])
    scores = rows @ np.concatenate([last[f"c{i}"] for i in oldest_first]).T
    live = np.any(rows != 0, axis=1).astype(float)
    values, mixtures = leading_by_squaring((scores + scores.T) / 2, live, k, SQUARINGS)
    yield last | {"lam": values, "vectors": mixtures @ rows}
