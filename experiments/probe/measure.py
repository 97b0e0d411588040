r"""What an iterate is: of which power, in which Krylov space, by which polynomial.

Everything here is numpy in float64 on what the network left behind, batch first.
"""

from typing import Any, NamedTuple

import numpy as np
from networks import Subject, Trace

from spectral_tf.sampling import Instance


class Spectrum(NamedTuple):
    """`matrix [B, d, d]` covariances, `values [B, d]` descending, `vectors` as rows."""

    matrix: np.ndarray
    values: np.ndarray
    vectors: np.ndarray


def spectrum(x: Any) -> Spectrum:
    rows = np.asarray(x, np.float64)
    rows = rows - rows.mean(axis=1, keepdims=True)
    matrix = np.einsum("bni,bnj->bij", rows, rows) / rows.shape[1]
    values, columns = np.linalg.eigh(matrix)
    return Spectrum(matrix, values[:, ::-1], columns[:, :, ::-1].transpose(0, 2, 1))


def cosines(answers: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """`[B, L, k]` |cos| of register j to eigenvector j."""
    found = np.einsum("blkd,bkd->blk", answers, vectors[:, : answers.shape[2]])
    return np.minimum(np.abs(found), 1.0)


def log_tangents(answers: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """`[B, L]` log tan of the angle of register 1 to eigenvector 1.

    By the sine, which keeps its digits where the angle is small.
    """
    first, wanted = answers[:, :, 0], vectors[:, None, 0]
    along = np.sum(first * wanted, axis=-1)
    beside = np.linalg.norm(first - along[..., None] * wanted, axis=-1)
    return np.log(np.maximum(beside, 1e-30) / np.maximum(np.abs(along), 1e-30))


def orthogonal_iteration(
    matrix: np.ndarray, start: np.ndarray, orders: int
) -> np.ndarray:
    """`[B, M + 1, k, d]` the rows after 0, 1, ..., M products."""
    rows = np.broadcast_to(start, (len(matrix), *start.shape))
    kept = []
    for order in range(orders + 1):
        rows = rows @ matrix if order else rows
        rows = np.linalg.qr(rows.transpose(0, 2, 1))[0].transpose(0, 2, 1)
        kept.append(rows)
    return np.stack(kept, axis=1)


class Match(NamedTuple):
    """`order [L, k]` of the power that fits best, its `cosine [L, k]`."""

    order: np.ndarray
    cosine: np.ndarray


def best_order(answers: np.ndarray, classic: np.ndarray) -> Match:
    """The order of orthogonal iteration with the largest mean |cos| to an iterate."""
    product = np.abs(np.einsum("blkd,bmkd->blmk", answers, classic)).mean(axis=0)
    return Match(product.argmax(axis=1), np.minimum(product.max(axis=1), 1.0))


def krylov_bases(
    matrix: np.ndarray, start: np.ndarray, degree: int
) -> list[np.ndarray]:
    """Orthonormal bases `[B, d, w (l + 1)]` of span{U, S U, .., S^l U}, l = 0..degree.

    The list ends where the space is all of R^d.
    """
    count, dim = len(matrix), matrix.shape[1]
    columns = np.linalg.qr(start.T)[0]
    last = np.broadcast_to(columns, (count, *columns.shape))
    bases = [last]
    for _ in range(degree):
        if bases[-1].shape[2] + last.shape[2] > dim:
            break
        last = matrix @ last
        for _ in range(2):
            last = last - bases[-1] @ (bases[-1].transpose(0, 2, 1) @ last)
        last = np.linalg.qr(last)[0]
        bases.append(np.concatenate([bases[-1], last], axis=2))
    return bases


def shares(bases: list[np.ndarray], iterates: np.ndarray) -> np.ndarray:
    """`[L]` mean share of iterate l, `[B, L, d]`, that lies in space l; then 1."""
    found = [
        np.sum(np.einsum("bdw,bd->bw", basis, iterates[:, place]) ** 2, axis=1).mean()
        for place, basis in enumerate(bases)
    ]
    return np.array(found + [1.0] * (iterates.shape[1] - len(found)))


def polynomial(
    found: Spectrum, basis: np.ndarray, iterate: np.ndarray, grid: np.ndarray
) -> np.ndarray:
    r"""`[B, G]` the p of the best p(S) u for an iterate, p(1) = 1, at `grid`.

    The projection on the Krylov space is the least-squares fit of the amplifications
    of all components. In the Lanczos basis q_j = p_j(S) u with orthonormal polynomials,
    :math:`\beta_{j+1} p_{j+1} = (\lambda - \alpha_j) p_j - \beta_j p_{j-1}`.

    Args:
        found: matrices and eigenpairs.
        basis: `[B, d, l + 1]` of one start vector.
        iterate: `[B, d]`.
        grid: `[G]` eigenvalues over the largest; the last is 1.
    """
    largest = found.values[:, :1, None]
    small = basis.transpose(0, 2, 1) @ (found.matrix / largest) @ basis
    weights = np.einsum("bdw,bd->bw", basis, iterate)
    size = basis.shape[2]
    before, now = np.zeros((2, len(basis), len(grid)))
    now = now + 1.0
    total = weights[:, :1] * now
    for j in range(size - 1):
        back = small[:, j, j - 1, None] * before if j else 0.0
        step = (grid[None] - small[:, j, j, None]) * now - back
        before, now = now, step / small[:, j + 1, j, None]
        total = total + weights[:, j + 1, None] * now
    return total / total[:, -1:]


def chebyshev(grid: np.ndarray, degree: int, edge: float) -> np.ndarray:
    """The polynomial of this degree that is smallest on [0, edge] and 1 at 1."""
    at = lambda t: np.polynomial.chebyshev.Chebyshev.basis(degree)(2 * t / edge - 1)
    return at(grid) / at(np.ones(1))


def response(registers: np.ndarray, found: Spectrum, edges: np.ndarray) -> np.ndarray:
    """`[L, bins]` root mean square of register 1 along v_i, by lambda_i / lambda_1.

    Times the root of d, so that the start has about 1 everywhere.
    """
    along = np.einsum("bld,bid->bli", registers[:, :, 0], found.vectors) ** 2
    place = np.digitize(found.values / found.values[:, :1], edges) - 1
    dim, rows = registers.shape[-1], []
    for at in range(len(edges) - 1):
        chosen = place == at
        mean = np.mean(along.transpose(0, 2, 1)[chosen], axis=0) if chosen.any() else 0
        rows.append(np.sqrt(dim * mean) * np.ones(registers.shape[1]))
    return np.stack(rows, axis=1)


def trace_report(
    trace: Trace, batch: Instance, found: Spectrum, orders: int
) -> dict[str, Any]:
    """Question 1 for one network and one set of instances, start included."""
    subject: Subject = trace.subject
    answers, registers = trace(batch.x)
    start, k = registers[0, 0], answers.shape[2]
    classic = orthogonal_iteration(found.matrix, start[:k], orders)
    match = best_order(answers, classic)
    image = np.einsum("blki,bij->blkj", answers, found.matrix)
    rayleigh = np.sum(image * answers, axis=-1) / found.values[:, None, :k]
    degree, first = answers.shape[1] - 1, answers[:, :, 0]
    single = krylov_bases(found.matrix, start[:1], degree)
    block = krylov_bases(found.matrix, start, degree)
    # One product fewer: what must not suffice while the space is smaller than R^d.
    fewer = [block[0], *block[:-1]]
    return {
        "network": subject.name,
        "is_equivariant": subject.is_equivariant,
        "dim": batch.x.shape[2],
        "count": len(answers),
        "cosine": cosines(answers, found.vectors).mean(axis=0),
        "rayleigh": rayleigh.mean(axis=0),
        "order": match.order,
        "match": match.cosine,
        "single": shares(single, first),
        "block": shares(block, first),
        "fewer": shares(fewer, first),
        "block_sizes": [basis.shape[2] for basis in block],
    }
