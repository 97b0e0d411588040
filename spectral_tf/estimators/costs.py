"""What a fit and a proof cost, in multiplications and additions, by shapes alone.

The same table is then treated alike on every machine. A fit takes `PRODUCTS` products
with a block of vectors, straight from the rows; a proof needs a covariance or a Gram
matrix, whichever is smaller, and a Cholesky factor of it.
"""

import math

from spectral_tf.certificate.sources import LARGEST_FACTOR

PRODUCTS = 13
"""Of a fit of most tables: a pass, what checks it, and what polishes it."""
MOST_TIMES = 3
"""So many fits a proof may cost before a probable statement is the default."""
ALWAYS = 5e10
"""A proof that costs less, about a second of two cores, is the default in any case."""
SKINNY = 2
"""A product with few columns takes so many times as long as its count: it waits for
memory."""
MOST_GUARDS = 8


def block_size(k: int, most: int) -> int:
    """Vectors that iterate for k wanted ones; the others guard the last gap.

    Args:
        k: at least 1.
        most: no more, min(N, d).
    """
    return min(k + max(2, min(k, MOST_GUARDS)), most)


def rows_cost(shape: tuple[int, ...], count: int) -> float:
    """Of a fit with blocks of `count` vectors, from rows `[N, d]`."""
    return 4.0 * shape[0] * shape[1] * count * PRODUCTS


def square_cost(shape: tuple[int, ...]) -> float:
    """Of half the covariance, or half the Gram matrix."""
    return float(min(shape)) ** 2 * max(shape)


def proof_cost(shape: tuple[int, ...]) -> float:
    """Of a proof for a table `[N, d]`; infinite where its factor is too large."""
    small = min(shape)
    if small > LARGEST_FACTOR:
        return math.inf
    return square_cost(shape) + small**3 / 3


def is_proof_dear(shape: tuple[int, ...], count: int) -> bool:
    """Whether a probable statement is the default for a table `[N, d]`."""
    cost = proof_cost(shape)
    return cost > max(MOST_TIMES * rows_cost(shape, count), ALWAYS)
