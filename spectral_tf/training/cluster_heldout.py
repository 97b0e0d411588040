"""Scores of the network that clusters on mixtures that no step trains on."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from spectral_tf.clustering.instances import ClusterInstance
from spectral_tf.config import ClusterTrainConfig
from spectral_tf.model.cluster import cluster_start
from spectral_tf.training.batch import Draw, Metrics
from spectral_tf.training.cluster_batch import (
    cluster_loss,
    cluster_parts,
    draw_clusters,
)
from spectral_tf.training.heldout import CHUNK
from spectral_tf.training.streams import heldout_key, shape_key


class ClusterHeldout:
    """Held-out evaluation of a run; compiled at the first call.

    The registers start at the first of the starts that they have in use.

    Args:
        config: `shapes`, `families`, `eval_instances` of each shape and `seed` are
            read.
    """

    def __init__(self, config: ClusterTrainConfig) -> None:
        self.config = config
        key = heldout_key(config.seed)
        indices = jnp.arange(config.eval_instances)
        draw = jax.jit(draw_clusters, static_argnums=0)
        self.batches = [
            draw(part, Draw(shape_key(key, place), 0, 1.0), indices)
            for place, part in enumerate(cluster_parts(config))
        ]

    def __call__(self, params: Any) -> dict[str, Any]:
        """Score parameters of `config.model`.

        Args:
            params: on a device or on the host.

        Returns:
            JSON-ready: `loss`, the mean over shapes; `cross_entropy`, `accuracy` and
            `confidence_error`, of each shape.
        """
        params = jax.tree.map(jnp.asarray, params)
        shapes = [
            jax.tree.map(float, _scores(self.config, place, params, batch))
            for place, batch in enumerate(self.batches)
        ]
        scores = {name: [shape[name] for shape in shapes] for name in shapes[0]}
        return {**scores, "loss": float(np.mean(scores["loss"]))}


@functools.partial(jax.jit, static_argnums=(0, 1))
def _scores(
    config: ClusterTrainConfig, place: int, params: Any, batch: ClusterInstance
) -> Metrics:
    part = cluster_parts(config)[place]
    start = cluster_start(config.model, part.num_classes, part.dim)

    def score(instance: ClusterInstance) -> dict[str, Array]:
        loss, metrics = cluster_loss(config, params, instance, start)
        return metrics | {"loss": loss}

    scores = jax.lax.map(score, batch, batch_size=CHUNK)
    return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), scores)
