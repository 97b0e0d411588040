"""What a run trains: the functions that step, loop and checkpoints call by its kind."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int

from spectral_tf.config import AnyRun, ClusterTrainConfig
from spectral_tf.training.batch import Draw, Metrics, batch_loss, counts
from spectral_tf.training.cluster_batch import cluster_batch_loss, cluster_counts
from spectral_tf.training.cluster_heldout import ClusterHeldout
from spectral_tf.training.heldout import Heldout

Evaluate = Callable[[Any], dict[str, Any]]
"""Parameters to JSON-ready scores; `loss` is among them."""


class Task(NamedTuple):
    """What differs between runs.

    Attributes:
        loss: `(params, Draw, indices) -> (sum of losses, sums of metrics)`.
        counts: `[m]` how many of the shapes each entry of a metric sums over.
        heldout: makes the evaluation, from the held-out rows of a table or None.
    """

    loss: Callable[[Any, Draw, Int[Array, " B"]], tuple[Float[Array, ""], Metrics]]
    counts: Callable[[], Array]
    heldout: Callable[[np.ndarray | None], Evaluate]


def task_of(config: AnyRun) -> Task:
    """The task of a run, by the kind of its configuration.

    Args:
        config: of the run.

    Returns:
        Its functions.
    """
    if isinstance(config, ClusterTrainConfig):
        clusters = config
        return Task(
            loss=lambda *args: cluster_batch_loss(clusters, *args),
            counts=lambda: cluster_counts(clusters),
            heldout=lambda _: ClusterHeldout(clusters),
        )
    pairs = config
    return Task(
        loss=lambda *args: batch_loss(pairs, *args),
        counts=lambda: counts(pairs),
        heldout=lambda rows: Heldout(pairs, rows),
    )
