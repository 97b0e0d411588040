"""From designed gadgets to the parameters of the one module.

All blocks of a construction have the same shapes, so that they run under one
`lax.scan`: gadgets with fewer heads, smaller heads or narrower MLPs are padded with
zeros, which change nothing (relu(0) = 0).
"""

from collections.abc import Sequence
from typing import Any, TypedDict

import jax.numpy as jnp
import numpy as np

from spectral_tf.config import ModelConfig
from spectral_tf.constructive.gadgets import Gadget, Head
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

    Source: ours.
    """
    heads = [head for gadget in gadgets for head in gadget.heads]
    return {
        "num_heads": max(len(gadget.heads) for gadget in gadgets),
        "head_dim": max(head.query.shape[0] for head in heads),
        "value_dim": max(head.value.shape[0] for head in heads),
        "mlp_width": max(gadget.mlp.up.shape[0] for gadget in gadgets),
    }


def block_params(config: ModelConfig, gadget: Gadget) -> dict[str, np.ndarray]:
    """One gadget as path -> float64 array, without the leading block axis.

    Args:
        config: a dense model with block `("attention", "mlp")`, plain MLP.
        gadget: fits the sizes of `config`.

    Returns:
        Every parameter of one block.

    Source: ours; the order design -> parameters is that of tracr.
    """
    zero = np.zeros((0, config.width))
    none = Head(query=zero, key=zero, value=zero, out=zero.T)
    heads = gadget.heads + (none,) * (config.num_heads - len(gadget.heads))
    padded = {
        "query": [_pad(head.query, config.head_dim).T for head in heads],
        "key": [_pad(head.key, config.head_dim).T for head in heads],
        "value": [_pad(head.value, config.head_value_dim).T for head in heads],
        "out": [_pad(head.out.T, config.head_value_dim) for head in heads],
    }
    attention = {
        block_path(config, 0, role, "attention"): np.stack(
            leaves, axis=0 if role == "out" else 1
        )
        for role, leaves in padded.items()
    }
    path = lambda role: block_path(config, 1, role, "mlp")
    return (
        attention
        | _norm_gains(config)
        | {
            path("up_kernel"): _pad(gadget.mlp.up, config.mlp_width).T,
            path("up_bias"): np.zeros(config.mlp_width),
            path("down_kernel"): _pad(gadget.mlp.down.T, config.mlp_width),
            path("down_bias"): np.zeros(config.width),
        }
    )


def _norm_gains(config: ModelConfig) -> dict[str, np.ndarray]:
    """Gains that make the rms norm of each group a division by its length."""
    if config.norm_groups is None:
        return {}
    groups, size = config.norm_groups
    gain = np.full(groups * size, size**-0.5)
    return {block_path(config, place, "gain", "norm"): gain for place in (0, 1)}


def _pad(matrix: np.ndarray, rows: int) -> np.ndarray:
    """Zero rows below until there are `rows`."""
    return np.pad(matrix, ((0, rows - matrix.shape[0]), (0, 0)))


def assemble(
    config: ModelConfig, gadgets: Sequence[Gadget], outer: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Parameters of the module, checked against `eval_shape(init)`.

    Args:
        config: dense model with `len(gadgets)` unique blocks.
        gadgets: one for each unique block, in order.
        outer: path -> array of what is not a block: embedding, registers, read-out.

    Returns:
        Nested dictionaries of JAX arrays in the default float type.

    Raises:
        ParamsError: if a leaf is missing, extra or misshapen.

    Source: ours.
    """
    blocks = [block_params(config, gadget) for gadget in gadgets]
    flat = {path: np.stack([block[path] for block in blocks]) for path in blocks[0]}
    dtype = jnp.result_type(float)
    arrays = {path: jnp.asarray(leaf, dtype) for path, leaf in (outer | flat).items()}
    params = unflatten_params(arrays)
    check_params(config, params)
    return params
