"""Block Lanczos in plain float64: what `krylov` must be, and what P products allow."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

FLOOR = 1e-10
"""A remainder shorter than this, of a unit vector, is rounding in float64."""


class Krylov(NamedTuple):
    """What is kept after some products.

    Attributes:
        basis: `[m, d]` orthonormal rows, the newest block last; 0 where a candidate
            vanished.
        images: `[n, d]` S times the first n of them.
    """

    basis: np.ndarray
    images: np.ndarray


def krylov_recursion(
    matrix: np.ndarray, start: np.ndarray, num_products: int, floor: float = FLOOR
) -> Iterator[Krylov]:
    """Block Lanczos with full reorthogonalisation, product by product.

    Args:
        matrix: S, `[d, d]` symmetric.
        start: `[b, d]` orthonormal rows.
        num_products: P.
        floor: of what a candidate keeps of its length.

    Yields:
        What is kept after each product: n = p b images and m = n + b rows.

    Source: Golub & Underwood (1977), in Mathematical Software III.
    """
    basis = np.asarray(start, np.float64)
    block, images = basis, np.zeros((0, basis.shape[1]))
    for _ in range(num_products):
        image = block @ matrix
        images = np.concatenate([images, image])
        rows = []
        for row in image:
            before = np.concatenate([basis, *[r[None] for r in rows]])
            rows.append(deflated(row, before, floor))
        block = np.stack(rows)
        basis = np.concatenate([basis, block])
        yield Krylov(basis, images)


def deflated(row: np.ndarray, basis: np.ndarray, floor: float) -> np.ndarray:
    """The unit vector of what is left of a row beside orthonormal ones, or 0.

    Args:
        row: `[d]`.
        basis: `[m, d]` orthonormal or 0.
        floor: a unit vector of which less is left becomes 0.

    Returns:
        `[d]`.
    """
    for _ in range(3):  # twice is enough; the first one finds what vanishes
        length = np.linalg.norm(row)
        if length <= floor:
            return np.zeros_like(row)
        row = row / length
        row = row - (basis @ row) @ basis
    return row / max(np.linalg.norm(row), np.finfo(float).tiny)


def block_lanczos(
    matrix: np.ndarray, start: np.ndarray, num_products: int, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The best k eigenpairs that P products with S allow from given start vectors.

    Args:
        matrix: S, `[d, d]` symmetric positive semi-definite.
        start: `[b, d]` orthonormal rows.
        num_products: P.
        k: how many pairs.

    Returns:
        `(eigenvalues [k] descending, eigenvectors [k, d])`: Ritz pairs of the Krylov
        space, by LAPACK; 0 where the space has fewer dimensions.

    Source: Parlett (1998), The Symmetric Eigenvalue Problem, chapters 11 and 13.
    """
    *_, last = krylov_recursion(matrix, start, num_products)
    rows = last.basis[: len(last.images)]
    live = np.any(rows != 0, axis=1)
    rows, images = rows[live], last.images[live]
    projected = rows @ images.T
    values, mixtures = np.linalg.eigh((projected + projected.T) / 2)
    top = np.argsort(-values)[:k]
    short = ((0, k - len(top)),)
    vectors = mixtures[:, top].T @ rows
    return np.pad(values[top], short), np.pad(vectors, (*short, (0, 0)))
