"""Scores on instances that no step trains on: the same ones at every evaluation."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from spectral_tf.config import TrainConfig
from spectral_tf.training.batch import Draw, Metrics, draw, instance_loss, parts_of
from spectral_tf.training.streams import heldout_key, shape_key

CHUNK = 64
"""Instances at once: bounds the memory."""


class Heldout:
    """Held-out evaluation of a run; compiled at the first call.

    The registers start where they start in use (fixed vectors), and a mixture has its
    last weights. A run on a table is scored on blocks of the rows that it holds out:
    distinct rows, not rescaled or turned, nothing synthetic.

    Args:
        config: `shapes`, families, `eval_instances` of each shape and `seed` are read.
        rows: `[H, D]` held out of the run's table; None without one.

    Example:
        >>> import spectral_tf
        >>> from spectral_tf.training.heldout import Heldout
        >>> config = spectral_tf.TrainConfig(
        ...     model=spectral_tf.ModelConfig(num_blocks=1), shapes=((4, 8),),
        ...     eval_instances=4)
        >>> from spectral_tf.model.params import init_params
        >>> import jax
        >>> sorted(Heldout(config)(init_params(config.model, jax.random.key(0))))
        ['cosine', 'eigenvalue_error', 'loss', 'shapes']
    """

    def __init__(self, config: TrainConfig, rows: np.ndarray | None = None) -> None:
        self.config = config
        key = heldout_key(config.seed)
        indices = jnp.arange(config.eval_instances)
        plain = config.table.replace(
            synthetic_share=0.0, replacement=False, rescale=0.0, rotate=False
        )
        self.parts = [part._replace(table=plain) for part in parts_of(config)]
        placed = None if rows is None else jnp.asarray(rows)
        self.batches = [
            draw(part, Draw(shape_key(key, place), 0, 1.0, placed), indices)
            for place, part in enumerate(self.parts)
        ]

    def __call__(self, params: Any) -> dict[str, Any]:
        """Score parameters of `config.model`.

        Args:
            params: on a device or on the host.

        Returns:
            JSON-ready: `loss`, the mean over shapes; `cosine` and `eigenvalue_error`,
            per rank, means over the shapes that have it; `shapes`, the same for each
            shape, by its name `d=10 N=50`.
        """
        params = jax.tree.map(jnp.asarray, params)
        shapes: dict[str, dict[str, Any]] = {}
        for place, (dim, num_samples) in enumerate(self.config.shapes):
            scores = _scores(self.config, place, params, self.batches[place])
            means = {name: np.asarray(leaf).tolist() for name, leaf in scores.items()}
            shapes[f"d={dim} N={num_samples}"] = means
        ranked = ("cosine", "eigenvalue_error")
        return {
            "loss": float(np.mean([shape["loss"] for shape in shapes.values()])),
            **{name: _by_rank([x[name] for x in shapes.values()]) for name in ranked},
            "shapes": shapes,
        }


@functools.partial(jax.jit, static_argnums=(0, 1))
def _scores(config: TrainConfig, place: int, params: Any, batch: Any) -> Metrics:
    part = parts_of(config)[place]

    def score(instance: Any) -> dict[str, Array]:
        loss, metrics = instance_loss(config, part, params, instance, None)
        return metrics | {"loss": loss}

    scores = jax.lax.map(score, batch, batch_size=CHUNK)
    return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), scores)


def _by_rank(lists: list[list[float]]) -> list[float]:
    """Mean over the shapes that have each rank."""
    most = max(map(len, lists))
    have = [
        [per_rank[rank] for per_rank in lists if rank < len(per_rank)]
        for rank in range(most)
    ]
    return [float(np.mean(values)) for values in have]
