"""Trained networks for tables: where from, whether they fit, how many registers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from spectral_tf.config import (
    AnyModel,
    ClusterModelConfig,
    ConfigError,
    ModelConfig,
    TrainConfig,
    require,
)
from spectral_tf.model.moment import check_reads_moment_only
from spectral_tf.model.params import check_params, flatten_params, load_weights
from spectral_tf.model.transformer import gaussian_start
from spectral_tf.settings import compiled_settings
from spectral_tf.training.checkpoint import restore_latest
from spectral_tf.weights import (
    Pretrained,
    PretrainedClusterer,
    clusterer_names,
    load_clusterer,
    load_pretrained,
    most_components,
    pretrained_names,
    with_components,
)
from spectral_tf.weights.tensors import check_tensors

DEFAULT = "pca-base"
"""The checkpoint of `engine="pretrained"` where no weights are named."""

Weights = str | Path | Pretrained | tuple[ModelConfig, Any]
"""A shipped name; the path of a manifest (`.json`), of a run (its newest good
checkpoint, averaged weights where they are kept), or of a folder of weights; what
`load_pretrained` returned; `(config, params)`."""

ClusterWeights = str | Path | PretrainedClusterer | tuple[ClusterModelConfig, Any]
"""The same for a network that clusters."""


def default_weights() -> Weights:
    """`DEFAULT`, if this version ships it.

    Returns:
        Its name.

    Raises:
        ConfigError: if not; the message says what weights may be.

    Source: ours.
    """
    names = pretrained_names()
    if DEFAULT not in names:
        raise ConfigError(
            "engine='pretrained' needs weights=: the folder of a run of `spectral-tf "
            "pretrain`, a folder of weights, (config, params), or a shipped name "
            f"({', '.join(names) or 'none in this version'})."
        )
    return DEFAULT


@compiled_settings()
def load_network(weights: Weights) -> tuple[ModelConfig, Any]:
    """A trained network by name, from a file or a folder, or as it is.

    A text that is a shipped name is that checkpoint, even where a folder is called the
    same; `./NAME` or a `Path` is the folder.

    Args:
        weights: see `Weights`.

    Returns:
        `(config, params)`.

    Raises:
        ConfigError: if there is nothing of the kind.
        PretrainedError: for a checkpoint that is damaged.

    Source: ours.
    """
    if isinstance(weights, Pretrained):
        _, config, params, _ = weights
        where = f"weights={weights.name!r}"
        check_tensors(config, flatten_params(params), where)
        return config, params
    if isinstance(weights, tuple) and len(weights) == 2:
        config, params = weights
        if isinstance(config, ModelConfig) and isinstance(params, Mapping):
            if config.parameterisation == "equivariant":
                check_params(config, params)
            return config, params
    if not isinstance(weights, str | Path):
        raise ConfigError(
            f"weights= is {type(weights).__name__}; give a shipped name, the folder of "
            "a run of `spectral-tf pretrain` or of saved weights, or (ModelConfig, "
            "params)."
        )
    is_shipped = isinstance(weights, str) and weights in pretrained_names()
    path = Path(weights).expanduser()
    if is_shipped or (path.suffix == ".json" and not path.is_dir()):
        return load_pretrained(weights)[1:3]
    require(
        path.is_dir(),
        f"weights={str(weights)!r} is not a folder (looked in {Path.cwd()}), nor a "
        f"shipped name ({', '.join(pretrained_names()) or 'none in this version'}); "
        "give the folder of a run of `spectral-tf pretrain`, or of saved weights.",
    )
    if (path / "checkpoints").is_dir():
        restored = restore_latest(path)
        averaged = jax.tree.map(jnp.asarray, restored.state.averaged)
        return restored.train.model, averaged
    return load_weights(path)


@compiled_settings()
def load_cluster_network(weights: ClusterWeights) -> tuple[ClusterModelConfig, Any]:
    """A trained network that clusters: by name, from a file or a folder, or as it is.

    Args:
        weights: see `ClusterWeights`.

    Returns:
        `(config, params)`.

    Raises:
        ConfigError: if there is nothing of the kind.
        PretrainedError: for an unknown or damaged checkpoint.

    Source: ours.
    """
    if isinstance(weights, PretrainedClusterer):
        return weights.config, weights.params
    if isinstance(weights, tuple) and len(weights) == 2:
        config, params = weights
        if isinstance(config, ClusterModelConfig) and isinstance(params, Mapping):
            check_params(config, params)
            return config, params
    if not isinstance(weights, str | Path):
        raise ConfigError(
            f"weights= is {type(weights).__name__}; give a shipped name "
            f"({', '.join(clusterer_names())}), the path of a manifest or of a run "
            "that trained a clusterer, or (ClusterModelConfig, params)."
        )
    folder = Path(weights).expanduser()
    if weights in clusterer_names() or not (folder / "checkpoints").is_dir():
        return load_clusterer(weights)[1:3]
    restored = restore_latest(folder)
    config: AnyModel = restored.train.model
    if not isinstance(config, ClusterModelConfig):
        raise ConfigError(
            f"weights={str(weights)!r} is a run that finds eigenpairs and does not "
            "cluster; give one of a ClusterTrainConfig."
        )
    return config, jax.tree.map(jnp.asarray, restored.state.averaged)


def trained_on(weights: Weights) -> TrainConfig | None:
    """The training of a network, where it is known.

    Args:
        weights: a shipped name, or the path of a manifest or of a run; see `Weights`.

    Returns:
        Its configuration; None for all other weights.

    Source: ours.
    """
    if isinstance(weights, Pretrained):
        found = weights
    elif isinstance(weights, tuple):
        return None
    else:
        path = Path(weights)
        if weights not in pretrained_names():
            if (path / "checkpoints").is_dir():
                return restore_latest(path).train
            if path.suffix != ".json" or path.is_dir():
                return None
        found = load_pretrained(weights)
    record = found.manifest["record"].get("train")
    return None if record is None else TrainConfig.from_dict(record)


def misfit(config: ModelConfig, k: int) -> str | None:
    """Why a trained network cannot propose k eigenpairs; None if it can.

    Args:
        config: the model.
        k: how many.

    Returns:
        One sentence, or None.

    Source: ours.
    """
    try:
        check_reads_moment_only(config)
    except ConfigError as error:
        return str(error)
    if k > most_components(config):
        return (
            f"n_components={k} is beyond the {most_components(config)} that the "
            "weights are trained for; ask for fewer, or train with more "
            "max_components."
        )
    return None


def for_table(config: ModelConfig, k: int, dim: int) -> ModelConfig:
    """The model for k pairs of a table with d columns.

    Columns are filled up with zeros on the way to the device, so the model cannot see
    that a table has fewer columns than it has registers: it is said here.

    Args:
        config: the model, equivariant.
        k: how many pairs, <= d.
        dim: d.

    Returns:
        The configuration; the parameters stay.

    Source: ours.
    """
    config = with_components(config, k)
    if config.register_tokens is None:
        return config
    return config.replace(register_tokens=min(config.register_tokens, dim))


def register_starts(config: ModelConfig, start: np.ndarray) -> np.ndarray:
    """Start vectors of all registers; beyond the first those that the model has.

    The model's own would reach into the zero columns.

    Args:
        config: of `for_table`.
        start: `[k, d]` of the first registers.

    Returns:
        `[R, d]`.

    Source: ours.
    """
    count, dim = config.num_registers, start.shape[1]
    if count <= len(start):
        return start
    rest = np.asarray(gaussian_start(config, count, dim, np.float32))[len(start) :]
    return np.concatenate([start, rest])
