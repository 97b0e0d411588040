"""Tables as instances: reduce the features, cut the rows into blocks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from spectral_tf.sampling.instance import Instance, make_instance
from spectral_tf.settings import standard_settings, typed_keys
from spectral_tf.spectra import canonical_sign
from spectral_tf.tables.load import DataError

CHUNK_SIZE = 64
"""Blocks whose targets are computed at once; it bounds the memory."""


def svd_reduce(x: Float[np.ndarray, "rows features"], dim: int) -> np.ndarray:
    """Project centred rows on their leading right singular vectors, unwhitened.

    Args:
        x: `[rows, features]`, finite.
        dim: features to keep, `1 <= dim <= min(rows, features)`.

    Returns:
        `[rows, dim]` float32, columns of descending variance and mean zero.

    Raises:
        DataError: if dim is outside its bounds.

    Numerics:
        In float64. The singular vectors are those of the R of a QR factorisation:
        exact as an SVD of the whole, and cheap where rows are many.

    Source: Chan (1982), ACM Trans. Math. Softw. 8(1); the reduction of images is
    He et al. (2025), arXiv:2501.01312, section 4, without its whitening.
    """
    _require_within("dim", dim, (1, min(x.shape)), "the smaller side of the table")
    rows = x.astype(np.float64)
    rows -= rows.mean(axis=0)
    directions = np.linalg.svd(np.linalg.qr(rows, mode="r"), full_matrices=False)[2]
    signed = np.asarray(canonical_sign(jnp.asarray(directions[:dim])), np.float64)
    return (rows @ signed.T).astype(np.float32)


@typed_keys
@standard_settings()
def row_blocks(
    key: Array,
    x: Float[np.ndarray, "rows d"],
    *,
    block_size: int,
    num_components: int,
    max_blocks: int | None = None,
) -> Instance:
    """Cut shuffled rows into instances; no row is used twice.

    Args:
        key: typed PRNG key of the shuffle; consumed.
        x: `[rows, d]`, finite.
        block_size: N >= 2, rows of each instance; an unfilled last block is dropped.
        num_components: k, `1 <= k <= d`.
        max_blocks: B at most; None means all, `rows // block_size`.

    Returns:
        `Instance` with a leading axis B on every field, x in float32.

    Raises:
        DataError: if a size is outside its bounds or the rows fill no block.

    Numerics:
        Targets are computed `CHUNK_SIZE` blocks at a time, so the memory for their
        `[d, d]` matrices does not grow with B.

    Source: He et al. (2025), arXiv:2501.01312, section 4 (blocks of images).
    """
    rows, dim = x.shape
    _require_within("block_size", block_size, (2, rows), "the rows of the table")
    _require_within("num_components", num_components, (1, dim), "the features")
    if max_blocks is not None and max_blocks < 1:
        raise DataError(f"max_blocks={max_blocks} must be >= 1; None takes all blocks.")
    count = min(rows // block_size, max_blocks or rows)
    order = np.asarray(jax.random.permutation(key, rows))[: count * block_size]
    blocks = x[order].astype(np.float32).reshape(count, block_size, dim)
    return _instances(jnp.asarray(blocks), num_components)


def _require_within(name: str, value: int, bounds: tuple[int, int], most: str) -> None:
    low, high = bounds
    if not low <= value <= high:
        change = "raise" if value < low else "lower"
        raise DataError(
            f"{name}={value} must lie in {low}..{high} ({high} is {most}); {change} "
            "it, or bring a larger table."
        )


@functools.partial(jax.jit, static_argnames="num_components")
def _instances(blocks: Float[Array, "B N d"], num_components: int) -> Instance:
    """Targets of each block, `CHUNK_SIZE` blocks at a time."""
    instance_of = lambda rows: make_instance(rows, None, num_components)
    return jax.lax.map(instance_of, blocks, batch_size=CHUNK_SIZE)
