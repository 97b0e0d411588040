"""Block Lanczos in plain float64: what `krylov` must be, and what P products allow."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

FLOOR = 1e-10
"""A remainder shorter than this, of a unit vector, is rounding in float64."""
NEARLY = 0.99
"""As `model/ritz.py` has it."""


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


def dense_rounds(
    sigma: np.ndarray, start: np.ndarray, num_products: int, floor: float
) -> Iterator[dict[str, np.ndarray]]:
    """The rows of `krylov` after every block but the first: candidates in turn.

    Args:
        sigma: `[d, d]` of unit trace.
        start: `[b, d]` orthonormal rows.
        num_products: P.
        floor: of the norm.

    Yields:
        `u` and `w`, the rows before them and their images.
    """
    dim, block = len(sigma), len(start)
    past, images = [np.array(start)], [np.zeros_like(start)]
    for product in range(num_products):
        images[0] = past[0] @ sigma
        past.insert(0, unit_or_zero(dim * images[0], floor))
        images.insert(0, np.zeros_like(start))
        yield named_rows(past, images, num_products)
        for turn in range(block + 2 if product < num_products - 1 else 0):
            rows = past[0]
            left = np.array(rows)
            for older in past[1:]:
                left -= (rows @ older.T) @ older
            for j in range(block):
                for l in range(j):
                    if l == turn - 1 or turn >= block:
                        left[j] -= rows[l] * (rows[l] @ rows[j])
            past[0] = unit_or_zero(left, floor)
            yield named_rows(past, images, num_products)


def unit_or_zero(rows: np.ndarray, floor: float) -> np.ndarray:
    """Rows of unit length, or 0 where they are no longer than the floor."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.where(lengths > floor, rows / np.maximum(lengths, 1e-300), 0.0)


def named_rows(
    past: list[np.ndarray], images: list[np.ndarray], num_products: int
) -> dict[str, np.ndarray]:
    """Blocks, newest first, by the names of `krylov_layout`; 0 for those to come."""
    rows = {}
    for newest, older, blocks in (("u", "q", past), ("w", "c", images)):
        for place in range(num_products + 1):
            name = f"{older}{place}" if place else newest
            is_there = place < len(blocks)
            rows[name] = blocks[place] if is_there else np.zeros_like(past[0])
    return rows


def leading_by_squaring(
    matrix: np.ndarray, live: np.ndarray, k: int, squarings: int
) -> tuple[np.ndarray, np.ndarray]:
    """The read-out of `model/ritz.py` in float64: a column of a high power, k times.

    Args:
        matrix: `[m, m]` T.
        live: `[m]` 1 for rows in use, else 0.
        k: how many pairs.
        squarings: of T for each vector.

    Returns:
        `(values [k], vectors [k, m])`.
    """
    info = np.finfo(np.float64)
    shift = 8 * info.eps * np.trace(matrix) + info.tiny
    matrix = matrix + shift * np.diag(live)
    rest, pairs = matrix, []
    for _ in range(k):
        power = rest
        for step in range(squarings + 1):
            power = power @ power.T if step else power
            power = power / max(np.max(np.abs(power)), info.tiny)
            power = power / max(np.linalg.norm(power), info.tiny)
        diagonal = np.diagonal(power)
        # The first of those that are about as long as the longest.
        vector = power[:, np.argmax(diagonal >= NEARLY * np.max(diagonal))]
        for _ in range(2):
            for _, before in pairs:
                vector = vector - before * (before @ vector)
            vector = vector / max(np.linalg.norm(vector), info.tiny)
        pairs.append((vector @ matrix @ vector - shift, vector))
        for _ in range(2):
            away = np.eye(len(matrix)) - np.outer(vector, vector)
            rest = away @ rest @ away
    values, vectors = zip(*pairs, strict=True)
    return np.array(values), np.stack(vectors)
