r"""Mixtures with known labels, written for one instance and lifted by `jax.vmap`.

`bi_class`: :math:`x_i = y_i \mu + s \circ e_i` with :math:`y_i = \pm 1` and
:math:`|\mu|` = `signal` in a random direction. `classes`: :math:`x_i = \mu_{z_i} +
s_{z_i} \circ e_i` with K means in a box. The noise e is normal, or normal over
:math:`\sqrt{\chi^2_\nu/\nu}`, one factor for each row (multivariate t). With
`outlier_share`, each row is by that chance uniform in a box instead, with label -1.

*Means by rejection.* One mean after the other: the first of `proposals` uniform draws
whose cosine with every mean before it is below `max_cosine`. If none of them is, the
draw with the smallest such cosine is taken, so that every key gives an instance; its
field `closest` then is above `max_cosine` and tells. That is rare for a few classes in
two or more dimensions. In one dimension all cosines are 1 or -1, so it is the rule for
K > 2; eight classes in the plane do not fit either.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from spectral_tf.config import ClusterConfig, require
from spectral_tf.sampling.ensembles import valid_rows
from spectral_tf.sampling.sampler import instance_keys
from spectral_tf.settings import random_category, standard_settings, typed_keys
from spectral_tf.spectra import einsum, unit


class ClusterInstance(NamedTuple):
    """One mixture and its rows; with a leading axis `[B, ...]` everywhere, a batch.

    Attributes:
        x: `[N, d]` rows are samples; zero where masked.
        mask: `[N]` True for valid rows.
        labels: `[N]` class of each row, 0 to K - 1; -1 for outliers and masked rows.
        means: `[K, d]` of the classes, units of x.
        scales: `[K, d]` of the noise, units of x: its standard deviations if normal.
        weights: `[K]` of the classes among rows that are no outliers, sum 1; 0 for a
            class that is not there (`min_classes`).
        degrees_of_freedom: `[]` of the noise; infinity if normal.
        closest: `[]` largest cosine between two of the means.
    """

    x: Array
    mask: Array
    labels: Array
    means: Array
    scales: Array
    weights: Array
    degrees_of_freedom: Array
    closest: Array


def apart_means(key: Array, config: ClusterConfig) -> Float[Array, "K d"]:
    """Means in the box of which no two point the same way, by bounded rejection.

    Args:
        key: consumed.
        config: `num_classes`, `dim`, `box`, `max_cosine` and `proposals` are read.

    Returns:
        `[K, d]`; see the top of this file for what happens when no draw fits.

    Source: arXiv:2505.11918 (TGMM) for the law.
    """
    classes = config.num_classes
    shape = (classes, config.proposals, config.dim)
    draws = jax.random.uniform(key, shape, minval=-config.box, maxval=config.box)

    def place(means: Array, step: tuple[Array, Array]) -> tuple[Array, None]:
        index, proposals = step
        cosine = einsum("pd,kd->pk", unit(proposals), unit(means))
        is_before = (jnp.arange(classes) < index)[None]
        largest = jnp.max(jnp.where(is_before, cosine, -1.0), axis=1)
        fits = largest < config.max_cosine
        # The first that fits; where none does, the one that comes nearest to it.
        choice = jnp.where(jnp.any(fits), jnp.argmax(fits), jnp.argmin(largest))
        return means.at[index].set(proposals[choice]), None

    start = jnp.zeros((classes, config.dim))
    return jax.lax.scan(place, start, (jnp.arange(classes), draws))[0]


def largest_cosine(means: Float[Array, "K d"]) -> Float[Array, ""]:
    """Largest cosine between two different rows."""
    rows, count = unit(means), means.shape[0]
    cosine = einsum("kd,ld->kl", rows, rows)
    return jnp.max(jnp.where(jnp.eye(count, dtype=bool), -1.0, cosine))


def _separation(key: Array, config: ClusterConfig) -> Float[Array, ""]:
    if config.min_separation is None:
        return jnp.asarray(config.separation)
    low, high = math.log(config.min_separation), math.log(config.separation)
    return jnp.exp(jax.random.uniform(key, minval=low, maxval=high))


def _means(key: Array, config: ClusterConfig) -> Float[Array, "K d"]:
    separation = _separation(jax.random.fold_in(key, 1), config)
    if config.family == "classes":
        return apart_means(key, config) * separation
    direction = unit(jax.random.normal(key, (config.dim,)))
    mean = separation * config.signal * direction
    return jnp.stack([mean, -mean])


def _weights(key: Array, config: ClusterConfig) -> Float[Array, " K"]:
    weights, classes = _all_weights(key, config), config.num_classes
    if config.min_classes is not None:
        key_count = jax.random.fold_in(key, 1)
        count = jax.random.randint(key_count, (), config.min_classes, classes + 1)
        weights = jnp.where(jnp.arange(classes) < count, weights, 0.0)
    return weights / jnp.sum(weights)


def _all_weights(key: Array, config: ClusterConfig) -> Float[Array, " K"]:
    if config.weights:
        weights = jnp.array(config.weights)
    elif config.family == "bi_class":
        weights = jnp.ones(config.num_classes)
    else:
        low, high = config.weight_range
        weights = jax.random.uniform(
            key, (config.num_classes,), minval=low, maxval=high
        )
    return weights


def _scales(key: Array, config: ClusterConfig) -> Float[Array, "K d"]:
    low, high = config.scale_range
    classes, dim = config.num_classes, config.dim
    shape = (classes, dim if config.covariance == "diagonal" else 1)
    scales = jax.random.uniform(key, shape, minval=low, maxval=high)
    return jnp.broadcast_to(scales, (classes, dim))


def _noise(key: Array, config: ClusterConfig) -> Float[Array, "N d"]:
    key_normal, key_factor = jax.random.split(key)
    noise = jax.random.normal(key_normal, (config.num_samples, config.dim))
    if config.noise == "normal":
        return noise
    nu = config.degrees_of_freedom
    chi2 = 2 * jax.random.gamma(key_factor, nu / 2, (config.num_samples, 1))
    return noise * jnp.sqrt(nu / chi2)


def sample_cluster_instance(key: Array, config: ClusterConfig) -> ClusterInstance:
    """One mixture and its rows. _Unbatched_.

    Args:
        key: typed PRNG key; consumed.
        config: family and sizes; static.

    Returns:
        The instance. A class may have no row at all where N is small.

    Source: see the top of this file.
    """
    names = ("means", "weights", "scales", "labels", "noise", "outliers", "count")
    keys = dict(zip(names, jax.random.split(key, len(names)), strict=True))
    num, shape = config.num_samples, (config.num_samples, config.dim)
    means, scales = _means(keys["means"], config), _scales(keys["scales"], config)
    weights = _weights(keys["weights"], config)
    labels = random_category(keys["labels"], jnp.log(weights), (num,))
    x = means[labels] + scales[labels] * _noise(keys["noise"], config)
    if config.outlier_share > 0:
        key_which, key_where = jax.random.split(keys["outliers"])
        is_outlier = jax.random.uniform(key_which, (num,)) < config.outlier_share
        edge = config.outlier_box
        places = jax.random.uniform(key_where, shape, minval=-edge, maxval=edge)
        x = jnp.where(is_outlier[:, None], places, x)
        labels = jnp.where(is_outlier, -1, labels)
    mask = jnp.ones(num, bool)
    if config.min_samples is not None:
        mask = valid_rows(keys["count"], config.min_samples, num)
    is_normal = config.noise == "normal"
    return ClusterInstance(
        x=jnp.where(mask[:, None], x, 0.0),
        mask=mask,
        labels=jnp.where(mask, labels, -1),
        means=means,
        scales=scales,
        weights=weights,
        degrees_of_freedom=jnp.array(
            jnp.inf if is_normal else config.degrees_of_freedom, x.dtype
        ),
        closest=largest_cosine(means),
    )


@typed_keys
@functools.partial(jax.jit, static_argnames="config")
def cluster_batch_at(
    key: Array,
    step: int | Int[Array, ""],
    indices: Int[Array, " B"],
    config: ClusterConfig,
) -> ClusterInstance:
    """The mixtures with these global indices at this step.

    Args:
        key: typed PRNG key of the run; not consumed: the same call gives the same
            instances.
        step: training step, any integer.
        indices: `[B]` global indices; each instance depends on its own index alone.
        config: family and sizes; static.

    Returns:
        `ClusterInstance` with a leading axis B on every field.

    Source: as `sampling.sampler.batch_at`.
    """
    keys = instance_keys(key, step, indices)
    sample = lambda instance_key: sample_cluster_instance(instance_key, config)
    return jax.vmap(sample)(keys)


@typed_keys
@standard_settings()
def sample_clusters(
    key: Array, config: ClusterConfig, batch_size: int
) -> ClusterInstance:
    """A batch of mixtures.

    Args:
        key: typed PRNG key; the same key gives the same batch.
        config: family and sizes.
        batch_size: B >= 1.

    Returns:
        `ClusterInstance` with a leading axis B on every field.

    Raises:
        ConfigError: if batch_size < 1.

    Example:
        >>> import jax
        >>> config = ClusterConfig(dim=2, num_classes=3, num_samples=20)
        >>> sample_clusters(jax.random.key(0), config, 8).means.shape
        (8, 3, 2)
    """
    require(
        batch_size >= 1, f"batch_size={batch_size} must be >= 1; ask for at least one."
    )
    return cluster_batch_at(key, 0, jnp.arange(batch_size), config)
