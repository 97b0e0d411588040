"""The parameter tree: where a weight lives, and whether a tree fits its module.

Blocks of equal shape are stacked: every leaf below `blocks` has a leading axis of
length `config.num_unique_blocks`, so that `lax.scan` runs them and compile time does
not grow with depth. A path is addressed by `block_path`, never by string surgery.
"""

import functools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.core import unfreeze

from spectral_tf.config import AnyModel, ClusterModelConfig, ModelConfig, model_config
from spectral_tf.model.cluster import ClusterTransformer
from spectral_tf.model.network import Network
from spectral_tf.model.transformer import SpectralTransformer
from spectral_tf.settings import random_key, standard_settings, typed_keys

Params = Mapping[str, Any]
TYPES = np.dtype(np.float32), np.dtype(np.float64)
"""Of parameters, whether or not JAX is in double precision now."""


class ParamsError(ValueError):
    """A parameter tree does not fit its module; the message names the leaf."""


def block_path(
    config: ModelConfig, sublayer: int, role: str, part: str | None = None
) -> str:
    """Path of a stacked block parameter, e.g. `blocks/0_attention/attention/query`.

    Args:
        config: the model.
        sublayer: position in `config.block`.
        role: name of the parameter: `query`, `up_kernel`, `skip`, ...
        part: `attention`, `mlp` or `norm`; None for a parameter of the residual.

    Returns:
        The path, parts joined by `/`.
    """
    parts = ["blocks", f"{sublayer}_{config.block[sublayer]}", part, role]
    return "/".join(name for name in parts if name is not None)


def flatten_params(params: Params) -> dict[str, Any]:
    """Nested dictionaries to one dictionary of `/`-joined paths, sorted.

    Args:
        params: nested mappings with arrays (or shapes) as leaves.

    Returns:
        path -> leaf.
    """
    flat: dict[str, Any] = {}
    for name in sorted(params):
        leaf = params[name]
        if isinstance(leaf, Mapping):
            below = flatten_params(leaf).items()
            flat |= {f"{name}/{rest}": value for rest, value in below}
        else:
            flat[name] = leaf
    return flat


def unflatten_params(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Inverse of `flatten_params`.

    Args:
        flat: path -> leaf.

    Returns:
        Nested dictionaries.
    """
    tree: dict[str, Any] = {}
    for path, leaf in flat.items():
        *parents, name = path.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = leaf
    return tree


@typed_keys
@standard_settings()
def init_params(config: AnyModel, key: jax.Array) -> dict[str, Any]:
    """Fresh parameters of the network of a configuration.

    Args:
        config: the model.
        key: typed PRNG key; consumed.

    Returns:
        Nested dictionaries of arrays, in the default float type of JAX.
    """
    return _jitted_init(config, key)


@functools.partial(jax.jit, static_argnums=0)
def _jitted_init(config: AnyModel, key: jax.Array) -> dict[str, Any]:
    if isinstance(config, ClusterModelConfig):
        # No parameter has a size of the table: three rows of two columns will do.
        rows = jnp.ones((3, 2)).at[0].set(0.0)
        return unfreeze(ClusterTransformer(config).init(key, rows, rows[1:]))["params"]
    x = jnp.ones((config.num_samples or 2, config.dim or config.num_components))
    return unfreeze(SpectralTransformer(config).init(key, x))["params"]


@standard_settings()
def parameter_shapes(config: AnyModel) -> dict[str, jax.ShapeDtypeStruct]:
    """Path -> shape and dtype of every parameter, without computing any.

    Args:
        config: the model.

    Returns:
        Sorted dictionary; the leading axis of `blocks/...` counts unique blocks.
    """
    return dict(_parameter_shapes(config, jnp.result_type(float).name))


@functools.lru_cache(maxsize=256)
def _parameter_shapes(config: AnyModel, number: str) -> dict[str, jax.ShapeDtypeStruct]:
    """Traced once for a configuration and a precision: every forward pass asks for it.

    Args:
        config: the model.
        number: the type of floats that JAX gives now; another, other shapes.

    Returns:
        As `parameter_shapes`.
    """
    del number
    shapes = jax.eval_shape(lambda key: init_params(config, key), random_key(0))
    return flatten_params(shapes)


def check_params(config: AnyModel, params: Params) -> None:
    """Refuse a tree that is not exactly that of the network of a configuration.

    Args:
        config: the model.
        params: nested dictionaries of arrays.

    Raises:
        ParamsError: naming every missing, extra, misshapen or mistyped leaf.
    """
    wanted, flat = parameter_shapes(config), flatten_params(params)
    faults = [f"missing {path}" for path in wanted if path not in flat]
    faults += [f"unexpected {path}" for path in flat if path not in wanted]
    for path in wanted.keys() & flat.keys():
        leaf, want = flat[path], wanted[path]
        if tuple(np.shape(leaf)) != tuple(want.shape):
            faults.append(f"{path} has shape {np.shape(leaf)}, expected {want.shape}")
        elif np.dtype(leaf.dtype) not in (np.dtype(want.dtype), *TYPES):
            faults.append(f"{path} has dtype {leaf.dtype}, expected {want.dtype}")
    if faults:
        raise ParamsError(
            "parameters do not fit the model: "
            + "; ".join(sorted(faults))
            + ". Build them with the same configuration that you pass here."
        )


def count_params(params: Params) -> int:
    """Number of scalars in a parameter tree.

    Args:
        params: nested dictionaries of arrays or shapes.

    Returns:
        The count.
    """
    return sum(int(np.prod(leaf.shape)) for leaf in flatten_params(params).values())


@standard_settings()
def unroll(network: Network[ModelConfig]) -> Network[ModelConfig]:
    """The same network with weights of its own for every block.

    Args:
        network: looped, or with a schedule.

    Returns:
        The same function, without shared weights: each block can now be trained by
        itself.

    Example:
        >>> import spectral_tf
        >>> network = spectral_tf.power_method_params(5, 2, 3)
        >>> spectral_tf.unroll(network).config.num_unique_blocks
        33
    """
    config, params = network
    order = jnp.array(config.block_order)
    blocks = jax.tree.map(lambda leaf: leaf[order], params["blocks"])
    unrolled = config.replace(looped=False, schedule=None)
    return Network(unrolled, {**params, "blocks": blocks})


def save_weights(folder: Path, network: Network[Any]) -> None:
    """Write `config.json` and `params.npz`, in one step.

    Args:
        folder: must not exist; it appears whole or not at all.
        network: of either kind.

    Raises:
        FileExistsError: if the folder exists; nothing is overwritten.
        ParamsError: if the parameters do not fit the configuration.
    """
    config, params = network
    check_params(config, params)
    if folder.exists():
        raise FileExistsError(f"{folder} exists; choose another folder or remove it.")
    temporary = folder.with_name(f".{folder.name}-{os.getpid()}")
    temporary.mkdir(parents=True)
    (temporary / "config.json").write_text(json.dumps(config.to_dict(), indent=1))
    arrays: dict[str, Any] = {
        path: np.asarray(leaf) for path, leaf in flatten_params(params).items()
    }
    np.savez(temporary / "params.npz", **arrays)
    temporary.rename(folder)


def load_weights(folder: Path) -> Network[Any]:
    """Inverse of `save_weights`.

    Args:
        folder: with `config.json` and `params.npz`.

    Returns:
        The network, its parameters checked against its configuration.

    Raises:
        ParamsError: if a file is missing or unreadable, or a leaf does not fit.
    """
    try:
        config = model_config(json.loads((folder / "config.json").read_text()))
        with np.load(folder / "params.npz", allow_pickle=False) as file:
            flat = {path: jnp.asarray(file[path]) for path in file.files}
    except (OSError, ValueError) as error:
        raise ParamsError(
            f"{folder} is not a folder of weights ({error}); expected config.json and "
            "params.npz as `spectral-tf construct --out` writes them."
        ) from error
    params = unflatten_params(flat)
    check_params(config, params)
    return Network(config, params)
