"""Blocks of rows of a table as instances, drawn on the devices.

A block depends on (key, step, global index) and the table alone, as all data of a run
do. The rows are an argument of the compiled program, not a part of it.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from spectral_tf.config import EnsembleConfig, MixturePart, TableConfig
from spectral_tf.sampling.instance import Instance, make_instance
from spectral_tf.sampling.mixtures import mixture_rows
from spectral_tf.sampling.orientation import turned, uniform_rotation
from spectral_tf.spectra import einsum

BLOCK_STREAM = 1_000_037
"""Folded into an instance's key, so that its block has keys of its own."""


def distinct(key: Array, count: int, most: int) -> Int[Array, " n"]:
    """Uniformly drawn distinct integers, at a cost that does not grow with the range.

    Args:
        key: typed PRNG key; consumed.
        count: n, how many, at most `most`.
        most: they lie in `0..most - 1`.

    Returns:
        `[n]`; the set is uniform among all of its size, the order is not.

    Source: Floyd, in Bentley & Floyd (1987), Communications of the ACM 30(9).
    """
    last = most - count + jnp.arange(count)
    draws = jax.random.randint(key, (count,), 0, last + 1)

    def take(place: Array, taken: Int[Array, " n"]) -> Int[Array, " n"]:
        is_old = jnp.any(taken == draws[place])
        return taken.at[place].set(jnp.where(is_old, last[place], draws[place]))

    return jax.lax.fori_loop(0, count, take, jnp.full(count, -1, last.dtype))


def block_rows(
    key: Array, rows: Float[Array, "R D"], size: tuple[int, int], table: TableConfig
) -> Float[Array, "N d"]:
    """One block: rows and columns of a table, changed as the configuration says.

    Args:
        key: typed PRNG key; consumed.
        rows: `[R, D]` to draw from.
        size: `(d, N)`, d at most D; N at most R unless drawn with replacement.
        table: how rows and columns are drawn and changed; static. `rotate` changes
            nothing for an equivariant network with random starts, whose answers turn
            with the table; it matters for dense ones.

    Returns:
        `[N, d]`.

    Source: Efron (1979), Annals of Statistics 7(1), for the bootstrap.
    """
    (dim, count), (most, columns) = size, rows.shape
    key_rows, key_columns, key_scale, key_turn = jax.random.split(key, 4)
    if table.replacement:
        chosen = jax.random.randint(key_rows, (count,), 0, most)
    else:
        chosen = distinct(key_rows, count, most)
    is_subset = dim < columns and table.narrow == "subset"
    if is_subset:
        places = distinct(key_columns, dim, columns)
        x = rows[chosen[:, None], places[None]]
    else:
        x = rows[chosen]
    if table.rescale:
        factors = jax.random.normal(key_scale, (x.shape[1],), x.dtype)
        x = x * jnp.exp(table.rescale * factors)[None]
    if x.shape[1] > dim:
        x = einsum("nj,ij->ni", x, uniform_rotation(key_columns, columns)[:dim])
    return turned(x, uniform_rotation(key_turn, dim)) if table.rotate else x


def is_synthetic(indices: Int[Array, " B"], share: float) -> Bool[Array, " B"]:
    """Which instances are synthetic: evenly spread, by the global index alone.

    Args:
        indices: `[B]` global indices.
        share: in [0, 1].

    Returns:
        `[B]`; of the first n indices `floor(share * n)` are True.
    """
    # The margin makes up for what float32 loses of a share.
    passed = lambda count: jnp.floor(share * count.astype(jnp.float32) + 1e-4)
    return passed(indices + 1) > passed(indices)


@functools.partial(jax.jit, static_argnames=("parts", "table"))
def block_batch(
    keys: Array,
    indices: Int[Array, " B"],
    parts: tuple[MixturePart, ...],
    progress: float | Float[Array, ""],
    *,
    table: TableConfig,
    rows: Float[Array, "R D"],
) -> Instance:
    """The instances of a run on a table with these keys and global indices.

    Args:
        keys: `[B]` of `instance_keys`; consumed.
        indices: `[B]` global indices, which decide what is synthetic. Each instance
            depends on its own key and index alone.
        parts: families of the synthetic share, and d, N and k of all instances; static.
        progress: of the run, in [0, 1]; see `mixture_weights`.
        table: how blocks are drawn, and the synthetic share; static.
        rows: `[R, D]` of the table.

    Returns:
        `Instance` with a leading axis B on every field. The synthetic ones are those
        that a run without a table would have at the same indices.
    """
    config, share = parts[0].ensemble, table.synthetic_share

    def instance_of(key: Array, synthetic: Bool[Array, ""]) -> Instance:
        block_key = jax.random.fold_in(key, BLOCK_STREAM)
        x, mask = block_rows(block_key, rows, _size(config), table), None
        if share:
            other, valid = mixture_rows(key, parts, progress)
            x = jnp.where(synthetic, other, x)
            mask = None if valid is None else valid | ~synthetic
        return make_instance(x, mask, config.num_components)

    return jax.vmap(instance_of)(keys, is_synthetic(indices, share))


def _size(config: EnsembleConfig) -> tuple[int, int]:
    return config.dim, config.num_samples
