"""Where a network comes from: a run, a folder of weights, or a shipped checkpoint."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from spectral_tf.config import ModelConfig
from spectral_tf.model.params import load_weights
from spectral_tf.training.checkpoint import restore_latest
from spectral_tf.weights import load_pretrained, pretrained_names


def network(source: Path) -> tuple[ModelConfig, Any]:
    """The network that a path or a name means.

    Args:
        source: the name of a shipped checkpoint, its manifest (`.json`), a folder of
            weights, or of a run (its newest good checkpoint, the averaged weights
            where they are kept). `./NAME` is the folder where NAME is shipped too.

    Returns:
        `(ModelConfig, params)`.

    Raises:
        ParamsError, PretrainedError, CheckpointError: if it cannot be read.

    Source: ours.
    """
    is_name = str(source) in pretrained_names()
    if is_name or source.suffix == ".json":
        found = load_pretrained(str(source) if is_name else source)
        return found.config, found.params
    if (source / "checkpoints").is_dir():
        restored = restore_latest(source)
        return restored.config.model, jax.tree.map(jnp.asarray, restored.state.averaged)
    return load_weights(source)
