"""From designed gadgets to the parameters of the one module.

All blocks of a construction have the same shapes, so that they run under one
`lax.scan`: gadgets with fewer heads, smaller heads or narrower MLPs are padded with
zeros, which change nothing (relu(0) = 0).
"""

from collections.abc import Sequence
from typing import Any, TypedDict

import chex
import jax.numpy as jnp
import numpy as np

from spectral_tf.config import ModelConfig, require
from spectral_tf.constructive.composition import Composition
from spectral_tf.constructive.gadgets import Gadget, Head
from spectral_tf.constructive.gated import GatedMLP, gate_params
from spectral_tf.model.params import block_path, check_params, unflatten_params


class HeadSizes(TypedDict):
    """Fields of `ModelConfig` that the gadgets decide."""

    num_heads: int
    head_dim: int
    value_dim: int
    mlp_width: int


def head_sizes(gadgets: Sequence[Gadget]) -> HeadSizes:
    """`num_heads`, `head_dim`, `value_dim` and `mlp_width` that fit all gadgets.

    Args:
        gadgets: the blocks.

    Returns:
        Keyword arguments of `ModelConfig`.
    """
    heads = [head for gadget in gadgets for head in gadget.heads]
    return {
        "num_heads": max(len(gadget.heads) for gadget in gadgets),
        "head_dim": max(head.query.shape[0] for head in heads),
        "value_dim": max(head.value.shape[0] for head in heads),
        "mlp_width": max(1, *(gadget.mlp.up.shape[0] for gadget in gadgets)),
    }


def block_params(config: ModelConfig, gadget: Gadget) -> dict[str, np.ndarray]:
    """One gadget as path -> float64 array, without the leading block axis.

    Args:
        config: a dense model with block `("attention", "mlp")` or `("attention",)`.
        gadget: fits the sizes of `config`.

    Returns:
        Every parameter of one block.

    Source: tracr, for the order design -> parameters.
    """
    _check_maps(gadget, config.dense.width)
    zero = np.zeros((0, config.dense.width))
    none = Head(query=zero, key=zero, value=zero, out=zero.T)
    heads = gadget.heads + (none,) * (config.num_heads - len(gadget.heads))
    padded = {
        "query": [_pad(head.query, config.dense.head_dim).T for head in heads],
        "key": [_pad(head.key, config.dense.head_dim).T for head in heads],
        "value": [_pad(head.value, config.dense.head_value_dim).T for head in heads],
        "out": [_pad(head.out.T, config.dense.head_value_dim) for head in heads],
    }
    attention = {
        block_path(config, 0, role, "attention"): np.stack(
            leaves, axis=0 if role == "out" else 1
        )
        for role, leaves in padded.items()
    }
    if "mlp" not in config.block:
        return attention | _norm_gains(config)
    mlp = {
        "up_kernel": _pad(gadget.mlp.up, config.mlp_width).T,
        "up_bias": np.zeros(config.mlp_width),
        "down_kernel": _pad(gadget.mlp.down.T, config.mlp_width),
        "down_bias": np.zeros(config.dense.width),
    }
    if isinstance(gadget.mlp, GatedMLP):
        mlp |= gate_params(gadget.mlp, config.mlp_width)
    named = {block_path(config, 1, role, "mlp"): leaf for role, leaf in mlp.items()}
    return attention | _norm_gains(config) | named


def _check_maps(gadget: Gadget, width: int) -> None:
    """Maps of a gadget that do not fit one another are a fault of its author."""
    for head in gadget.heads:
        chex.assert_shape([head.query, head.key, head.value], (None, width))
        chex.assert_equal_shape([head.query, head.key])
        chex.assert_shape(head.out, (width, len(head.value)))
    chex.assert_shape(gadget.mlp.up, (None, width))
    chex.assert_shape(gadget.mlp.down, (width, len(gadget.mlp.up)))


def _norm_gains(config: ModelConfig) -> dict[str, np.ndarray]:
    """Gains that make the rms norm of each group a division by its length."""
    if config.dense.norm_groups is None:
        return {}
    groups, size = config.dense.norm_groups
    gain = np.full(groups * size, size**-0.5)
    places = range(len(config.block))
    return {block_path(config, place, "gain", "norm"): gain for place in places}


def _pad(matrix: np.ndarray, rows: int) -> np.ndarray:
    """Zero rows below until there are `rows`."""
    return np.pad(matrix, ((0, rows - matrix.shape[0]), (0, 0)))


def model_config(composition: Composition, dim: int, k: int) -> ModelConfig:
    """The configuration of a composition, with the weights of equal blocks shared.

    Args:
        composition: the network.
        dim: d.
        k: eigenpairs read, from the first k register tokens.

    Returns:
        The configuration: relu attention, plain relu MLPs and no norm, unless the
        composition says otherwise.

    Source: He et al. (2025), arXiv:2501.01312, section 2, for the model.
    """
    registers = composition.num_registers
    has_mlp = any(len(gadget.mlp.up) for gadget in composition.gadgets)
    fields: dict[str, Any] = {
        "block": ("attention", "mlp") if has_mlp else ("attention",),
        "attention": "relu",
        "attention_scale": "sum",
        "norm": "none",
        "norm_position": "pre",
        "activation": "relu",
        "mlp": "plain",
        "centre": "network" if "c" in composition.embed else "input",
        "readout": "linear",
        **composition.config,
    }
    return ModelConfig.from_flat(
        parameterisation="dense",
        dim=dim,
        num_components=k,
        register_tokens=None if registers == k else registers,
        num_blocks=len(composition.order),
        schedule=composition.schedule,
        skip_gain=False,
        width=composition.layout.width,
        **head_sizes(composition.gadgets),
        **fields,
    )


def assemble(composition: Composition, config: ModelConfig) -> dict[str, Any]:
    """Parameters of the module, checked against `eval_shape(init)`.

    Args:
        composition: the network.
        config: `model_config` of it.

    Returns:
        Nested dictionaries of JAX arrays in the default float type.

    Raises:
        ConfigError: if a weight is beyond the range of the float type.
        ParamsError: if a leaf is missing, extra or misshapen.
    """
    blocks = [block_params(config, gadget) for gadget in composition.gadgets]
    flat = {path: np.stack([block[path] for block in blocks]) for path in blocks[0]}
    leaves = flat | _outer_params(composition, config)
    params = unflatten_params(
        {path: _cast(path, leaf) for path, leaf in leaves.items()}
    )
    check_params(config, params)
    return params


def _cast(path: str, leaf: np.ndarray) -> jnp.ndarray:
    """A float64 leaf in the default float type."""
    dtype = jnp.result_type(float)
    largest = float(np.max(np.abs(leaf), initial=0.0))
    require(
        largest <= float(jnp.finfo(dtype).max),
        f"a weight of {path} is {largest:.3g}, beyond the range of {dtype}: the "
        "normaliser starts at lengths that are too short for it; choose a larger "
        "`smallest` (1e-12 fits float32), or enable float64.",
    )
    return jnp.asarray(leaf, dtype)


def _outer_params(
    composition: Composition, config: ModelConfig
) -> dict[str, np.ndarray]:
    """Embedding (x, c, rows that are 1), registers, read-out of vector_row and lam."""
    layout, inputs = composition.layout, ("x", "c")
    features = [layout.read(name) for name in inputs if name in composition.embed]
    bias = np.zeros(layout.width)
    for name in set(composition.embed) - {*inputs}:
        bias[layout[name]] = 1.0
    tokens = {
        "embed_kernel": np.concatenate(features),
        "embed_bias": bias,
        "registers": composition.register_rows(),
    }
    if config.layout.readout == "ritz":
        return tokens  # it reads the rows of the norm, and has no weights
    has_value = "lam" in dict(layout.sizes)
    return tokens | {
        "vector_kernel": layout.write(composition.vector_row),
        "value_kernel": layout.write("lam")
        if has_value
        else np.zeros_like(bias)[:, None],
        "value_bias": np.zeros(1),
    }
