"""Trained networks for tables: where from, whether they fit, how many registers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from spectral_tf.config import (
    AnyModel,
    ConfigError,
    ModelConfig,
    TrainConfig,
    require,
)
from spectral_tf.model.moment import check_reads_moment_only
from spectral_tf.model.network import Network
from spectral_tf.model.params import flatten_params, load_weights
from spectral_tf.model.transformer import gaussian_start
from spectral_tf.settings import compiled_settings
from spectral_tf.training.checkpoint import restore_latest
from spectral_tf.weights import (
    load_manifest,
    load_pretrained,
    most_components,
    pretrained_names,
    with_components,
)
from spectral_tf.weights.tensors import check_tensors

DEFAULT = "pca-base"
"""The checkpoint of `engine="pretrained"` where no weights are named."""

Weights = str | Path | Network[Any] | tuple[AnyModel, Any]
"""A shipped name; the path of a manifest (`.json`), of a run (its newest good
checkpoint, averaged weights where they are kept), or of a folder of weights; a network;
`(config, params)`."""


def default_weights() -> Weights:
    """`DEFAULT`, if this version ships it.

    Returns:
        Its name.

    Raises:
        ConfigError: if not; the message says what weights may be.
    """
    names = pretrained_names("eigenpairs")
    if DEFAULT not in names:
        raise ConfigError(
            "engine='pretrained' needs weights=: the folder of a run of `spectral-tf "
            "pretrain`, a folder of weights, (config, params), or a shipped name "
            f"({', '.join(names) or 'none in this version'})."
        )
    return DEFAULT


@compiled_settings()
def load_network(weights: Weights, kind: str = "eigenpairs") -> Network[Any]:
    """A trained network by name, from a file or a folder, or as it is.

    A text that is a shipped name is that checkpoint, even where a folder is called the
    same; `./NAME` or a `Path` is the folder.

    Args:
        weights: see `Weights`.
        kind: what the network must answer, `"eigenpairs"` or `"clusters"`.

    Returns:
        The network.

    Raises:
        ConfigError: if there is nothing of the kind.
        PretrainedError: for a checkpoint that is damaged, or parameters that do not fit
            their configuration.
    """
    if isinstance(weights, str | Path):
        network, where = _read(weights, kind), f"weights={str(weights)!r}"
    else:
        network, where = _from_value(weights), "weights="
    require(
        network.config.kind == kind,
        f"{where} is a network that {_ANSWERS[network.config.kind]}, and one that "
        f"{_ANSWERS[kind]} is needed here; shipped: {_shipped(kind)}.",
    )
    return network


_ANSWERS = {"eigenpairs": "finds eigenpairs", "clusters": "clusters rows"}


def _shipped(kind: str) -> str:
    """Shipped names of a kind, for a message."""
    return ", ".join(pretrained_names(kind)) or "none in this version"


def _from_value(weights: Any) -> Network[Any]:
    """A network, or a pair, that was given as a value."""
    if isinstance(weights, Network):
        weights = tuple(weights)
    if isinstance(weights, tuple) and len(weights) == 2:
        config, params = weights
        if isinstance(config, AnyModel) and isinstance(params, Mapping):
            check_tensors(config, flatten_params(params), "weights=")
            return Network(config, params)
    raise ConfigError(
        f"weights= is {type(weights).__name__}; give a shipped name, the folder of a "
        "run of `spectral-tf pretrain` or of saved weights, a Network, or (config, "
        "params)."
    )


def _read(weights: str | Path, kind: str) -> Network[Any]:
    """A network by name or path."""
    is_shipped = isinstance(weights, str) and weights in pretrained_names()
    path = Path(weights).expanduser()
    if is_shipped or (path.suffix == ".json" and not path.is_dir()):
        return load_pretrained(weights)
    require(
        path.is_dir(),
        f"weights={str(weights)!r} is not a folder (looked in {Path.cwd()}), nor a "
        f"shipped name ({_shipped(kind)}); give the folder of a run of `spectral-tf "
        "pretrain`, or of saved weights.",
    )
    if (path / "checkpoints").is_dir():
        restored = restore_latest(path)
        averaged = jax.tree.map(jnp.asarray, restored.state.averaged)
        return Network(restored.train.model, averaged)
    return load_weights(path)


def trained_on(weights: Weights) -> TrainConfig | None:
    """The training of a network, where it is known.

    Args:
        weights: a shipped name, or the path of a manifest or of a run; see `Weights`.

    Returns:
        Its configuration; None for all other weights.
    """
    if not isinstance(weights, str | Path):
        return None
    path = Path(weights)
    if weights not in pretrained_names():
        if (path / "checkpoints").is_dir():
            return restore_latest(path).train
        if path.suffix != ".json" or path.is_dir():
            return None
    record = load_manifest(weights)["record"].get("train")
    return None if record is None else TrainConfig.from_dict(record)


def misfit(config: ModelConfig, k: int) -> str | None:
    """Why a trained network cannot propose k eigenpairs; None if it can.

    Args:
        config: the model.
        k: how many.

    Returns:
        One sentence, or None.
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
    """
    count, dim = config.num_registers, start.shape[1]
    if count <= len(start):
        return start
    rest = np.asarray(gaussian_start(config, count, dim, np.float32))[len(start) :]
    return np.concatenate([start, rest])
