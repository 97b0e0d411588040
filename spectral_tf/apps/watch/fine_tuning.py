"""A run on the user's own table: what is filled in, and whether it helped."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from spectral_tf.apps.watch.read import read_run
from spectral_tf.config import MixturePart, TrainConfig
from spectral_tf.model.network import Network
from spectral_tf.model.params import save_weights
from spectral_tf.sampling.past import PastTable
from spectral_tf.training.checkpoint import CheckpointError, restore_best

BEST = "best"
"""Folder in the run's folder: the weights of the lowest held-out loss."""
MOST_ROWS = 50
"""Rows of a block where `shapes` is not given, at most."""

RECIPE: dict[str, Any] = {
    "learning_rate": 1e-4,
    "max_grad_norm": 0.05,
    "warmup_steps": 20,
    "num_steps": 300,
    "batch_size": 16,
    "ema_decay": 0.99,
    "calls_per_eval": 2,
}
"""What weights that are trained already bear; at 1e-3 they are lost."""


def table_shapes(past: PastTable) -> tuple[tuple[int, int], ...]:
    """The shape of a run on a table, where none is given.

    Args:
        past: the table.

    Returns:
        One `(d, N)`: all columns, and half of the held-out rows, at most 50.
    """
    least = min(len(past.heldout), len(past.training))
    return ((past.training.shape[1], max(2, min(MOST_ROWS, least // 2))),)


def filled_in(
    train: TrainConfig, past: PastTable, origin: TrainConfig | None, *, is_hot: bool
) -> TrainConfig:
    """The run on a table; a field at its default takes what suits such a run.

    Args:
        train: as the user gave it.
        past: the table.
        origin: what the first weights were trained by, where that is known: its
            families are the synthetic share.
        is_hot: the first weights are given, so that `RECIPE` holds, and the gradient
            of each instance is limited as in the training of the shipped checkpoints.

    Returns:
        The configuration. Without `is_hot`, shapes and `calls_per_eval` alone.
    """
    recipe = dict(RECIPE) if is_hot else {"calls_per_eval": RECIPE["calls_per_eval"]}
    recipe["shapes"] = table_shapes(past)
    is_equivariant = not train.model.is_dense
    if is_hot and is_equivariant and train.model.channels.gradient_limit is None:
        recipe["model"] = train.model.replace(
            layout=train.model.channels.replace(gradient_limit=1.0)
        )
    if is_hot and origin is not None and train.ensemble == TrainConfig().ensemble:
        recipe["mixture"] = origin.mixture or (MixturePart(ensemble=origin.ensemble),)
        if len(origin.rank_weights) == train.model.num_components:
            recipe["rank_weights"] = origin.rank_weights
    given, default = train.to_dict(), TrainConfig().to_dict()
    return train.replace(
        **{
            name: value
            for name, value in recipe.items()
            if name == "model" or given[name] == default[name]
        }
    )


def outcome(run_dir: Path) -> tuple[dict[str, Any], str]:
    """Whether a run on a table helped; the best weights go to `RUN/best`.

    Args:
        run_dir: of a run that was scored before its first step.

    Returns:
        `(JSON-ready document, sentences)`. Where nothing was better than the start,
        there is no `RUN/best`.
    """
    metrics = read_run(run_dir).metrics
    (scored,) = np.nonzero(np.isfinite(metrics["heldout/loss"]))
    losses, steps = metrics["heldout/loss"][scored], metrics["step"][scored].astype(int)
    cosines = metrics["heldout/cosine"][scored]
    best = int(np.argmin(losses))
    document = {
        "step": int(steps[best]),
        "helped": best > 0,
        "loss_before": float(losses[0]),
        "loss_best": float(losses[best]),
        "cosine_before": cosines[0].tolist(),
        "cosine_best": cosines[best].tolist(),
    }
    told = [f"held-out |cos| by rank, step 0     {_row(cosines[0])}"]
    if best == 0:
        told.append(
            f"Fine-tuning did not help: the held-out loss was {losses[0]:.4f} before "
            f"and at best {min(losses[1:], default=np.inf):.4f} after. The weights "
            "that the run started from are the better ones; keep them."
        )
    else:
        told[1:] = [
            f"held-out |cos| by rank, step {steps[best]:<5} {_row(cosines[best])}",
            f"The held-out loss fell from {losses[0]:.4f} to {losses[best]:.4f} at "
            f"step {steps[best]}. Those weights: {_write_best(run_dir)}",
        ]
    return document, "\n".join(told) + "\n"


def _row(cosines: np.ndarray) -> str:
    return " ".join(f"{value:.4f}" for value in cosines)


def _write_best(run_dir: Path) -> Path:
    """The best weights as a folder that `--weights` takes."""
    restored, folder = restore_best(run_dir), run_dir / BEST
    try:
        shutil.rmtree(folder, ignore_errors=True)
        save_weights(folder, Network(restored.train.model, restored.state.averaged))
    except OSError as error:
        raise CheckpointError(
            f"cannot write {folder}: {error}. The checkpoints are intact; free some "
            "space and resume."
        ) from error
    return folder
