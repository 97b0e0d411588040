"""Batches that depend on (key, step, global index) and on nothing else.

Instance g of step s is drawn from `fold_in(fold_in(key, s), g)`, so a run sees the
same data on 1, 2 or 400 devices, and a resumed run sees what it would have seen.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from spectral_tf.config import EnsembleConfig, MixturePart, require
from spectral_tf.sampling.ensembles import sample_instance
from spectral_tf.sampling.instance import Instance
from spectral_tf.sampling.mixtures import sample_mixture
from spectral_tf.settings import standard_settings, typed_keys


@typed_keys
@functools.partial(jax.jit, static_argnames="config")
@standard_settings()
def batch_at(
    key: Array,
    step: int | Int[Array, ""],
    indices: Int[Array, " B"],
    config: EnsembleConfig,
) -> Instance:
    """The instances with these global indices at this step.

    Args:
        key: typed PRNG key of the run; not consumed: the same call gives the same
            instances.
        step: training step, any integer.
        indices: `[B]` global indices; each instance depends on its own index alone.
        config: family and sizes; static.

    Returns:
        `Instance` with a leading axis B on every field.

    Source: JAX documentation, which advises the two-fold `fold_in` for reproducible
    data-parallel sampling.
    """
    keys = instance_keys(key, step, indices)
    return jax.vmap(lambda instance_key: sample_instance(instance_key, config))(keys)


@typed_keys
@functools.partial(jax.jit, static_argnames="parts")
@standard_settings()
def mixture_batch_at(
    key: Array,
    step: int | Int[Array, ""],
    indices: Int[Array, " B"],
    parts: tuple[MixturePart, ...],
    progress: float | Float[Array, ""],
) -> Instance:
    """The instances of a mixture with these global indices at this step.

    Args:
        key: typed PRNG key of the run; not consumed.
        step: training step, any integer.
        indices: `[B]` global indices; each instance depends on its own index alone.
        parts: families with the same d, N and k, and their weights; static.
        progress: of the run, in [0, 1]: weights go linearly from `weight` to
            `final_weight`.

    Returns:
        `Instance` with a leading axis B on every field. An instance depends on
        (key, step, index) and, for its family, on the progress.

    Raises:
        ConfigError: if there is no part, if their sizes differ, or if all weights
            are zero.
    """
    keys = instance_keys(key, step, indices)
    sample = lambda instance_key: sample_mixture(instance_key, parts, progress)
    return jax.vmap(sample)(keys)


def instance_keys(
    key: Array, step: int | Int[Array, ""], indices: Int[Array, " B"]
) -> Array:
    """`[B]` keys, one for each instance, of its step and global index alone."""
    step_key = jax.random.fold_in(key, step)
    return jax.vmap(lambda index: jax.random.fold_in(step_key, index))(indices)


@typed_keys
@standard_settings()
def sample_batch(key: Array, config: EnsembleConfig, batch_size: int) -> Instance:
    """A batch of synthetic instances.

    Args:
        key: typed PRNG key; the same key gives the same batch.
        config: family and sizes.
        batch_size: B >= 1.

    Returns:
        `Instance` with a leading axis B on every field.

    Raises:
        ConfigError: if batch_size < 1.

    Example:
        >>> import jax, spectral_tf
        >>> config = spectral_tf.EnsembleConfig(dim=4, num_samples=20)
        >>> spectral_tf.sample_batch(jax.random.key(0), config, 8).x.shape
        (8, 20, 4)
    """
    require(
        batch_size >= 1, f"batch_size={batch_size} must be >= 1; ask for at least one."
    )
    return batch_at(key, 0, jnp.arange(batch_size), config)
