"""The loss of a batch of mixtures, as `batch.py` has it for eigenpairs."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from spectral_tf.clustering.instances import ClusterInstance, sample_cluster_instance
from spectral_tf.clustering.objective import renamed
from spectral_tf.config import ClusterFamily, ClusterTrainConfig
from spectral_tf.model.cluster import ClusterEstimate, ClusterTransformer
from spectral_tf.sampling.sampler import instance_keys
from spectral_tf.settings import random_category
from spectral_tf.training.batch import Draw, Metrics
from spectral_tf.training.streams import shape_key, start_key


class ClusterPart(NamedTuple):
    """The share of one `(d, N)` shape in a batch, all of it static.

    Attributes:
        families: to draw from; one of them is drawn for each instance.
        dim: d.
        num_classes: the largest K.
    """

    families: tuple[ClusterFamily, ...]
    dim: int
    num_classes: int


def cluster_parts(config: ClusterTrainConfig) -> tuple[ClusterPart, ...]:
    """What each of `config.shapes` contributes to a step."""
    return tuple(_part(config, *shape) for shape in config.shapes)


def _part(config: ClusterTrainConfig, dim: int, num_samples: int) -> ClusterPart:
    least = int(config.least_rows * num_samples)
    sized = lambda family: family.replace(
        instances=family.instances.replace(
            dim=dim, num_samples=num_samples, min_samples=least
        )
    )
    families = tuple(map(sized, config.families_at(dim)))
    most = max(family.instances.num_classes for family in families)
    return ClusterPart(families, dim, most)


def with_classes(instance: ClusterInstance, count: int) -> ClusterInstance:
    """The same instance with absent classes, of weight 0, up to `count`."""
    more = count - len(instance.weights)
    pad = lambda leaf: jnp.pad(leaf, ((0, more), *[(0, 0)] * (leaf.ndim - 1)))
    return instance._replace(
        means=pad(instance.means),
        scales=pad(instance.scales),
        weights=pad(instance.weights),
    )


def draw_clusters(
    part: ClusterPart, origin: Draw, indices: Int[Array, " B"]
) -> ClusterInstance:
    """The mixtures of a part with these global indices.

    Args:
        part: of the run.
        origin: key and step are read.
        indices: `[B]`; each instance depends on its own alone.

    Returns:
        With a leading axis B on every field; K is that of the part.
    """
    shares = jnp.log(jnp.array([family.weight for family in part.families]))

    def mixture_of(key: Array) -> ClusterInstance:
        choose, sample = jax.random.split(key)
        mixtures = [
            with_classes(
                sample_cluster_instance(sample, family.instances), part.num_classes
            )
            for family in part.families
        ]
        place = random_category(choose, shares)
        return jax.tree.map(lambda *leaves: jnp.stack(leaves)[place], *mixtures)

    return jax.vmap(mixture_of)(instance_keys(origin.key, origin.step, indices))


def cluster_loss(
    config: ClusterTrainConfig, params: Any, instance: ClusterInstance, start: Any
) -> tuple[Float[Array, ""], Metrics]:
    r"""Loss of one mixture from one start, and its metrics.

    Cross-entropy of the classes under the best renaming, after every block with weights
    that fall backwards; that of the clusters' weights, and that of the confidence with
    the share of rows that are right. The last does not move the answer.

    Args:
        config: the run.
        params: of `config.model`.
        instance: one.
        start: `[K, d]` start vectors.

    Returns:
        `(loss, {"cross_entropy", "accuracy", "confidence_error"})`.

    Source: Lee et al. (2015), deeply-supervised nets, for a loss after every layer.
    """
    network, is_active = ClusterTransformer(config.model), instance.weights > 0
    answers: Any = network.apply(
        {"params": params}, instance.x, start, instance.mask, is_active, capture=True
    )
    estimate, blocks = answers
    rename = lambda logs: renamed(logs, instance)
    matched = jax.vmap(rename)(blocks.log_probabilities)
    depth = jnp.arange(config.model.num_blocks)[::-1]
    weights = config.depth_decay**depth
    loss = jnp.sum(weights * matched.cost) / jnp.sum(weights)
    classes = matched.classes[-1]
    right = accuracy(estimate, classes, instance)
    shares = -jnp.sum(
        jnp.where(is_active, instance.weights[classes] * estimate.log_weights, 0.0)
    )
    sure = jnp.clip(estimate.confidence, 1e-4, 1 - 1e-4)
    confidence = optax.losses.sigmoid_binary_cross_entropy(
        jnp.log(sure) - jnp.log1p(-sure), jax.lax.stop_gradient(right)
    )
    loss += config.share_weight * shares + config.confidence_weight * confidence
    return loss, {
        "cross_entropy": matched.cost[-1],
        "accuracy": right,
        "confidence_error": jnp.abs(estimate.confidence - right),
    }


def accuracy(
    estimate: ClusterEstimate, classes: Int[Array, " K"], instance: ClusterInstance
) -> Float[Array, ""]:
    """Share of the rows of a class that are called so, under a renaming."""
    labels = classes[jnp.argmax(estimate.log_probabilities, axis=1)]
    scored = instance.labels >= 0
    right = jnp.sum((labels == instance.labels) & scored)
    return right / jnp.maximum(jnp.sum(scored), 1)


def cluster_batch_loss(
    config: ClusterTrainConfig, params: Any, origin: Draw, indices: Int[Array, " B"]
) -> tuple[Float[Array, ""], Metrics]:
    """Sum of the losses of the mixtures with these global indices, over all shapes.

    Args:
        config: the run.
        params: of `config.model`.
        origin: where the instances come from.
        indices: `[B]` global indices.

    Returns:
        `(sum of losses, name -> [number of shapes] sums)`.
    """
    total, sums = jnp.zeros(()), []
    for place, part in enumerate(cluster_parts(config)):
        shape_origin = origin._replace(key=shape_key(origin.key, place))
        with jax.named_scope("sampling"):
            batch = draw_clusters(part, shape_origin, indices)
            key = start_key(origin.key, place, origin.step)
            starts = random_starts(key, indices, part)
        losses, metrics = jax.vmap(
            lambda instance, start: cluster_loss(config, params, instance, start)
        )(batch, starts)
        total += jnp.sum(losses)
        sums.append(jax.tree.map(jnp.sum, metrics))
    return total, jax.tree.map(lambda *leaves: jnp.stack(leaves), *sums)


def random_starts(
    key: Array, indices: Int[Array, " B"], part: ClusterPart
) -> Float[Array, "B K d"]:
    """Gaussian start vectors for each instance, keyed by its global index."""
    shape = (part.num_classes, part.dim)
    gaussian = lambda g: jax.random.normal(jax.random.fold_in(key, g), shape)
    return jax.vmap(gaussian)(indices)


def cluster_counts(config: ClusterTrainConfig) -> Float[Array, " s"]:
    """Every shape has every metric."""
    return jnp.ones(len(config.shapes))
