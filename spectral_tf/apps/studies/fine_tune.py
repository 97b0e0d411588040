"""A shipped network, fine-tuned on past rows for a few steps."""

import tempfile
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from spectral_tf.apps.studies.methods import NETWORK
from spectral_tf.apps.watch.read import read_run
from spectral_tf.config import ModelConfig, TableConfig, TrainConfig
from spectral_tf.estimators.networks import load_network, trained_on
from spectral_tf.model.network import Network
from spectral_tf.training.checkpoint import restore_best
from spectral_tf.training.hot_start import trainable
from spectral_tf.training.loop import pretrain

BLOCK = 50
"""Rows of a block, at most."""
RATE = 1e-4
AUGMENTED = TableConfig(replacement=True, rescale=0.3)
"""Rows with replacement, columns rescaled at random."""


class FineTuned(NamedTuple):
    """What fine-tuning gave.

    Attributes:
        weights: the network of the lowest held-out loss.
        loss_before, loss_best: on blocks of the last fifth of the rows.
        steps: taken.
    """

    weights: Network[ModelConfig]
    loss_before: float
    loss_best: float
    steps: int


def fine_tuned(
    past: np.ndarray, steps: int, seed: int, *, augmented: bool = False
) -> FineTuned:
    """Train `NETWORK` on blocks of past rows, half of every batch synthetic.

    The rows are in a temporary file meanwhile; nothing of them is kept.

    Args:
        past: `[R, d]`, in the order of time.
        steps: how many.
        seed: of the draws.
        augmented: bootstrap the rows of a block and rescale its columns.

    Returns:
        The weights with the lowest loss on the last fifth of the rows; those at the
        start, if no step helped.
    """
    model, params = trainable(load_network(NETWORK))
    origin = trained_on(NETWORK)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "past.npy"
        np.save(path, past)
        base = AUGMENTED if augmented else TableConfig()
        block = max(2, min(BLOCK, len(past) // 10))
        config = TrainConfig(
            model=model.replace(layout=model.channels.replace(gradient_limit=1.0)),
            table=base.replace(source=str(path)),
            shapes=((past.shape[1], block),),
            mixture=() if origin is None else origin.mixture,
            learning_rate=RATE,
            max_grad_norm=0.05,
            warmup_steps=min(10, steps - 1),
            num_steps=steps,
            steps_per_call=max(1, steps // 4),
            batch_size=16,
            ema_decay=0.9,
            calls_per_eval=1,
            eval_instances=64,
            seed=seed,
        )
        run = Path(folder) / "run"
        pretrain(config, run, init_params=params)
        return _best(run, steps)


def _best(run: Path, steps: int) -> FineTuned:
    found = read_run(run).metrics["heldout/loss"]
    scored = found[np.isfinite(found)]
    restored = restore_best(run)
    params = jax.tree.map(jax.numpy.asarray, restored.state.averaged)
    return FineTuned(
        Network(restored.train.model, params),
        float(scored[0]),
        float(scored.min()),
        steps,
    )
