"""The loss of a batch: what is drawn, what runs, and what is summed.

Sums, not means, are differentiated: the gradient that reaches one instance's network
is then that of its own loss whatever the batch size, which is what
`ModelConfig.gradient_limit` is measured against. The step divides by the count.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from spectral_tf.config import MixturePart, ModelConfig, TableConfig, TrainConfig
from spectral_tf.model.moment import Moment, reads_moment_only, scaled_moment
from spectral_tf.model.transformer import Estimate, SpectralTransformer
from spectral_tf.objective import LOSSES, eigenvalue_loss
from spectral_tf.sampling.blocks import block_batch
from spectral_tf.sampling.instance import Instance
from spectral_tf.sampling.sampler import batch_at, instance_keys, mixture_batch_at
from spectral_tf.spectra import abs_cosine, covariance
from spectral_tf.training.streams import shape_key, start_key, warm_key

Metrics = dict[str, Array]


class Draw(NamedTuple):
    """Where a batch comes from.

    Attributes:
        key: of the run.
        step: of the run.
        progress: of the run, in [0, 1].
        rows: `[R, D]` of the run's table, or None without one.
    """

    key: Array
    step: int | Int[Array, ""]
    progress: float | Float[Array, ""]
    rows: Float[Array, "R D"] | None = None


class Part(NamedTuple):
    """The share of one `(d, N)` shape in a batch, all of it static.

    Attributes:
        model: of this shape: k at most d, and its own depth if `depths` are given.
        families: to draw from; one of them is drawn for each instance.
        rank_weights: `[k]`, summing to 1.
        table: how blocks of the run's table are drawn, if it has one.
    """

    model: ModelConfig
    families: tuple[MixturePart, ...]
    rank_weights: tuple[float, ...]
    table: TableConfig


def parts_of(config: TrainConfig) -> tuple[Part, ...]:
    """What each of `config.shapes` contributes to a step."""
    return tuple(_part(config, place) for place in range(len(config.shapes)))


def _part(config: TrainConfig, place: int) -> Part:
    dim, num_samples = config.shapes[place]
    k = min(config.model.num_components, dim)
    model = config.model.replace(num_components=k)
    if config.depths:
        depth = config.depths[place % len(config.depths)]
        model = model.replace(num_blocks=depth)
    sized = lambda ensemble: ensemble.sized(dim, num_samples, k)
    parts = config.mixture or (MixturePart(ensemble=config.ensemble),)
    families = tuple(part.replace(ensemble=sized(part.ensemble)) for part in parts)
    weights = (config.rank_weights or (1.0,) * k)[:k]
    total = sum(weights)
    weights = tuple(weight / total for weight in weights)
    return Part(model, families, weights, config.table)


def draw(part: Part, origin: Draw, indices: Int[Array, " B"]) -> Instance:
    """The instances of a part with these global indices."""
    key, step, progress, rows = origin
    if rows is not None:
        keys, table = instance_keys(key, step, indices), part.table
        return block_batch(
            keys, indices, part.families, progress, table=table, rows=rows
        )
    if len(part.families) == 1:
        return batch_at(key, step, indices, part.families[0].ensemble)
    return mixture_batch_at(key, step, indices, part.families, progress)


def start_vectors(
    model: ModelConfig, key: Array, indices: Int[Array, " B"], dim: int
) -> Float[Array, "B R d"]:
    """Gaussian start vectors of all registers per instance, keyed by global index."""
    count = min(model.num_registers, dim)
    gaussian = lambda g: jax.random.normal(jax.random.fold_in(key, g), (count, dim))
    return jax.vmap(gaussian)(indices)


def warm_start(key: Array, start: Float[Array, "R d"], instance: Instance) -> Array:
    r"""Start vectors as if the loop had already run: near the eigenvectors.

    Args:
        key: typed PRNG key; consumed.
        start: `[R, d]` Gaussian vectors, which give the directions of the distance.
        instance: with the eigenvectors of the first registers.

    Returns:
        `[R, d]`: :math:`v_j + \epsilon\, g_j / \sqrt d` with epsilon log-uniform in
        [1e-4, 1]; registers beyond k keep their Gaussian vectors.

    So a loop of any depth learns to hold the answer that it has reached.
    """
    size = 10.0 ** jax.random.uniform(key, minval=-4.0, maxval=0.0)
    count = min(len(instance.eigenvectors), len(start))
    # |g| / sqrt(d) is about 1, so epsilon is about the tangent of the angle.
    noise = size * start[:count] * start.shape[1] ** -0.5
    return start.at[:count].set(instance.eigenvectors[:count] + noise)


def draw_starts(
    config: TrainConfig, part: Part, key: Array, indices: Array, batch: Instance
) -> Array:
    """`[B, R, d]` start vectors, `config.warm_starts` of them near the answer."""
    starts = start_vectors(part.model, key, indices, batch.x.shape[2])
    if not config.warm_starts:
        return starts

    def start_of(index: Array, start: Array, instance: Instance) -> Array:
        chosen, size = jax.random.split(warm_key(key, index))
        is_warm = jax.random.bernoulli(chosen, config.warm_starts)
        return jnp.where(is_warm, warm_start(size, start, instance), start)

    return jax.vmap(start_of)(indices, starts, batch)


def network_input(model: ModelConfig, instance: Instance) -> tuple[Array | Moment, Any]:
    """What the network is given: the rows and mask, or the moment if it reads no more.

    Args:
        model: of the network.
        instance: one.

    Returns:
        `(x, mask)` for `SpectralTransformer`; the answers are the same.

    Source: `model/moment.py`.
    """
    if not reads_moment_only(model):
        return instance.x, instance.mask
    return scaled_moment(model, covariance(instance.x, instance.mask)), None


def answer(
    config: TrainConfig, part: Part, params: Any, inputs: Any, start: Any
) -> Estimate:
    """The network's estimate at the run's `compute_dtype`, cast back to float32."""
    dtype = jnp.dtype(config.compute_dtype)
    lower = lambda leaf: (
        leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf
    )
    if dtype != jnp.float32:
        params, inputs, start = jax.tree.map(lower, (params, inputs, start))
    model = SpectralTransformer(part.model, unroll=config.unroll)
    estimate, _ = model.apply({"params": params}, *inputs, start)
    return Estimate(*(leaf.astype(jnp.float32) for leaf in estimate))


def instance_loss(
    config: TrainConfig, part: Part, params: Any, instance: Instance, start: Any
) -> tuple[Float[Array, ""], Metrics]:
    """Loss of one instance, weighted over ranks, and its metrics per rank."""
    inputs = network_input(part.model, instance)
    estimate = answer(config, part, params, inputs, start)
    weights = jnp.asarray(part.rank_weights)
    error = eigenvalue_loss(estimate, instance)
    # sum_j w_j loss_j + eigenvalue_weight sum_j w_j ((lambda^ - lambda) / lambda)^2.
    loss = jnp.sum(weights * LOSSES[config.loss](estimate, instance))
    if config.eigenvalue_weight:
        loss += config.eigenvalue_weight * jnp.sum(weights * error)
    cosine = abs_cosine(estimate.eigenvectors, instance.eigenvectors)
    return loss, {"cosine": cosine, "eigenvalue_error": error}


def batch_loss(
    config: TrainConfig, params: Any, origin: Draw, indices: Int[Array, " B"]
) -> tuple[Float[Array, ""], Metrics]:
    """Sum of the losses of the instances with these global indices, over all shapes.

    Args:
        config: the run.
        params: of `config.model`.
        origin: where the instances come from.
        indices: `[B]` global indices.

    Returns:
        `(sum of losses, name -> [k] sums over the instances that have that rank)`.
    """
    total, sums = jnp.zeros(()), []
    for place, part in enumerate(parts_of(config)):
        shape_origin = origin._replace(key=shape_key(origin.key, place))
        # Scopes are names for profiles and counts (`benchmarks/accelerator/hlo.py`).
        with jax.named_scope("sampling"):
            batch = draw(part, shape_origin, indices)
            starts = None
            if config.random_starts and not part.model.is_dense:
                key = start_key(origin.key, place, origin.step)
                starts = draw_starts(config, part, key, indices, batch)
        loss_of = lambda instance, start, part=part: instance_loss(
            config, part, params, instance, start
        )
        axes = (0, None if starts is None else 0)
        losses, metrics = jax.vmap(loss_of, in_axes=axes)(batch, starts)
        total += jnp.sum(losses)
        short = config.model.num_components - part.model.num_components
        sums.append(
            {
                name: jnp.pad(jnp.sum(leaf, axis=0), (0, short))
                for name, leaf in metrics.items()
            }
        )
    return total, jax.tree.map(lambda *leaves: sum(leaves), *sums)


def counts(config: TrainConfig) -> Float[Array, " k"]:
    """How many of the shapes have each rank."""
    ranks = jnp.arange(config.model.num_components)
    dims = jnp.array([dim for dim, _ in config.shapes])
    return jnp.sum(ranks[:, None] < dims[None], axis=1).astype(jnp.float32)
