r"""An equivariant network written as a dense one: `w (x) I_d`, equal output.

The dense residual stream is `[v_1 (d) | ... | v_C (d) | s (c)]`, the registers are the
start vectors and codes, a data token is x in the place of v_1. Sublayer by sublayer:

* **cross**: query :math:`q \otimes I_d`, key and value read v_1 of a data token (x).
* **self**: a head is :math:`[q \otimes I_d;\ \text{gates}]`: the score of
  concatenated parts is the sum of both scores; its value is `[d | 1]`.
* **mlp**, gated, :math:`W_2(act(W_a h) \circ (W_b h))`:
  :math:`act(a_m) v_c[i]` is one unit for each (m, c, i), summed into v_e[i] with
  weight gate[m, c, e]; :math:`\langle v_c, v_e\rangle` is, for each i, the two units
  :math:`act(v_c[i])\,v_e[i] + act(-v_c[i])\,(-v_e[i])`, since
  :math:`act(z) - act(-z) = z` for relu and for gelu; act(a_m) is a unit whose other
  factor is the bias 1; and the constant mixing is a unit whose activated factor is
  constant, :math:`act(1)\,v_c[i] / act(1)`.
* **norm**: rms over groups of d features, with gain :math:`d^{-1/2}`.

So the equivariant network *is* a transformer of the ordinary kind, with tied weights.
"""

import jax.numpy as jnp
import numpy as np

from spectral_tf.config import Dense, ModelConfig, require
from spectral_tf.model.channels import first_scratch_scalar, register_codes
from spectral_tf.model.dense import ACTIVATIONS
from spectral_tf.model.network import Network
from spectral_tf.model.params import (
    check_params,
    flatten_params,
    unflatten_params,
)
from spectral_tf.model.transformer import register_starts
from spectral_tf.settings import standard_settings

Flat = dict[str, np.ndarray]


@standard_settings()
def expand(network: Network[ModelConfig], dim: int) -> Network[ModelConfig]:
    """The same network as dense weights of the general module, for one d.

    Args:
        network: equivariant.
        dim: d.

    Returns:
        A dense network with the same estimates for every N and mask, up to rounding.

    Raises:
        ConfigError: if the network is dense already, or k > dim.
        ParamsError: if its parameters do not fit its configuration.

    Example:
        >>> import spectral_tf
        >>> network = spectral_tf.load_pretrained("pca-small", num_components=3)
        >>> spectral_tf.expand(network, 5).config.layout.kind
        'dense'
    """
    config, params = network
    require(
        not config.is_dense,
        "this network is dense already (ModelConfig.layout is a Dense); expand takes "
        "an equivariant one.",
    )
    check_params(config, params)
    dense = _dense_config(config, dim)
    flat = {path: np.asarray(leaf) for path, leaf in flatten_params(params).items()}
    expanded: Flat = {}
    for index, kind in enumerate(config.block):
        prefix = f"blocks/{index}_{kind}/"
        inner = {
            path.removeprefix(prefix): leaf
            for path, leaf in flat.items()
            if path.startswith(prefix)
        }
        stacked = [
            _sublayer(
                config, dense, kind, {name: leaf[b] for name, leaf in inner.items()}
            )
            for b in range(config.num_unique_blocks)
        ]
        expanded |= {
            prefix + name: np.stack([leaves[name] for leaves in stacked])
            for name in stacked[0]
        }
    dtype = jnp.result_type(float)
    everything = expanded | _outer(config, dim)
    if config.layout.readout == "ritz":
        # It reads all channels as they stand, where `rayleigh` takes out the first.
        del everything["vector_kernel"]
    if config.terminator:
        everything["terminator"] = flat["terminator"]
    arrays = {path: jnp.asarray(leaf, dtype) for path, leaf in everything.items()}
    tree = unflatten_params(arrays)
    check_params(dense, tree)
    return Network(dense, tree)


def without_idle_units(network: Network[ModelConfig]) -> Network[ModelConfig]:
    """The same dense network without hidden units that write nothing.

    `expand` gives every product that a gated MLP on channels *could* form its units;
    units whose row of `down_kernel` is zero in a block add nothing there. As all blocks
    have the same shapes, the block with most units in use sets the width.

    Args:
        network: dense.

    Returns:
        A network with the same estimates up to rounding.

    Raises:
        ConfigError: if the network is equivariant.
        ParamsError: if its parameters do not fit its configuration.
    """
    config, params = network
    require(
        config.is_dense,
        "this network has no dense hidden units (ModelConfig.layout is a Channels); "
        "expand it first.",
    )
    check_params(config, params)
    flat = flatten_params(params)
    downs = [path for path in flat if path.endswith("mlp/down_kernel")]
    used = {path: np.any(np.asarray(flat[path]) != 0, axis=2) for path in downs}
    width = max([1, *(int(is_used.sum(axis=1).max()) for is_used in used.values())])
    for path, is_used in used.items():
        units = np.argsort(~is_used, axis=1, kind="stable")[:, :width]
        prefix = path.removesuffix("down_kernel")
        for name, axis in HIDDEN_AXES.items():
            if prefix + name in flat:
                leaf = np.asarray(flat[prefix + name])
                shape = [len(leaf), *(1,) * (leaf.ndim - 1)]
                shape[axis] = width
                index = units.reshape(shape)
                flat[prefix + name] = jnp.asarray(np.take_along_axis(leaf, index, axis))
    small = config.replace(mlp_width=width)
    tree = unflatten_params(flat)
    check_params(small, tree)
    return Network(small, tree)


HIDDEN_AXES = {
    "up_kernel": 2,
    "up_bias": 1,
    "gate_kernel": 2,
    "gate_bias": 1,
    "down_kernel": 1,
}
"""Where the hidden units stand in the stacked parameters of a dense MLP."""


def _dense_config(config: ModelConfig, dim: int) -> ModelConfig:
    big, small = config.channels.vectors, config.channels.scalars
    # Each hidden unit gates C d features and adds to scalars; C d constant units move
    # channels; two units, of either sign, make each product v_ci v_ei.
    units = config.mlp_width * (big * dim + 1) + big * dim + 2 * big * big * dim
    layout = Dense(
        dim=dim,
        width=big * dim + small,
        head_dim=dim + config.register_rows,
        value_dim=dim + 1,
        norm=config.layout.norm,
        norm_groups=(big - config.channels.raw, dim),
        readout=config.layout.readout,
    )
    return config.replace(
        layout=layout,
        mlp_width=units,
        register_tokens=config.register_tokens and min(config.num_registers, dim),
    )


def _outer(config: ModelConfig, dim: int) -> Flat:
    """Embedding of x into v_1, registers, and the read-out of v_1."""
    big, small = config.channels.vectors, config.channels.scalars
    width, count = big * dim + small, min(config.num_registers, dim)
    registers = np.zeros((count, width))
    start = register_starts(config, dim, jnp.result_type(float))
    registers[:, :dim] = np.asarray(start)
    registers[:, big * dim :] = np.asarray(register_codes(config))[:count]
    # Channel 0 is the first d features: x goes in there, and vectors come out of it.
    first = np.eye(dim, width)
    return {
        "embed_kernel": first,
        "embed_bias": np.zeros(width),
        "registers": registers,
        "vector_kernel": first.T,
    }


def _sublayer(config: ModelConfig, dense: ModelConfig, kind: str, leaves: Flat) -> Flat:
    dim = dense.dim or 0
    if config.channels.fixed_codes:
        leaves = _with_fixed_codes(config, leaves)
    # A gain of a vector channel is that of its d coordinates: g (x) 1_d.
    skip = np.concatenate([np.repeat(leaves["skip"], dim), leaves["skip_scalars"]])
    out = {"skip": skip}
    if config.layout.norm == "rms":
        normed = config.channels.vectors - config.channels.raw
        # Unit vectors per group: gamma sqrt(d) = 1.
        out["norm/gain"] = np.full(normed * dim, dim**-0.5)
    if kind == "mlp":
        return out | _mlp(config, dim, leaves)
    build = _cross if kind == "cross" else _self
    return out | build(config, dim, leaves)


def _with_fixed_codes(config: ModelConfig, leaves: Flat) -> Flat:
    """The sublayer with gains of 1 on the codes, and nothing written there."""
    codes = first_scratch_scalar(config)
    fixed = {name: np.array(leaf) for name, leaf in leaves.items()}
    fixed["skip_scalars"][:codes] = 1.0
    for name, leaf in fixed.items():
        if name.endswith(("scalar_out", "products", "down")):
            leaf[..., :codes] = 0.0
    return fixed


def _spread(weights: np.ndarray, dim: int) -> np.ndarray:
    """`[C, H]` channel weights to `[C d, H, d]`: w (x) I_d."""
    big, heads = weights.shape
    return np.einsum("ch,ij->cihj", weights, np.eye(dim)).reshape(big * dim, heads, dim)


def _place(array: np.ndarray, axis: int, before: int, size: int) -> np.ndarray:
    """Pad one axis with zeros to `size`, the array starting at `before`."""
    widths = [(0, 0)] * array.ndim
    widths[axis] = (before, size - before - array.shape[axis])
    return np.pad(array, widths)


def _cross(config: ModelConfig, dim: int, leaves: Flat) -> Flat:
    big, heads = config.channels.vectors, config.cross_heads
    width, head = big * dim + config.channels.scalars, dim + config.register_rows
    x_of = np.broadcast_to(np.eye(width, dim)[:, None], (width, heads, dim))
    # Keys and values are the row itself, which stands in the first d features.
    query = _place(_spread(leaves["attention/query"], dim), 0, 0, width)
    out = _spread(leaves["attention/out"].T, dim).transpose(1, 2, 0)
    return {
        "attention/query": _place(query, 2, 0, head),
        "attention/key": _place(x_of, 2, 0, head),
        "attention/value": _place(x_of, 2, 0, dim + 1),
        "attention/out": _place(_place(out, 2, 0, width), 1, 0, dim + 1),
    }


def _self(config: ModelConfig, dim: int, leaves: Flat) -> Flat:
    big = config.channels.vectors
    width, head = big * dim + config.channels.scalars, dim + config.register_rows

    def scores(role: str) -> np.ndarray:
        # <v, v'> in the first d features of a head, <s, s'> in those behind them.
        vectors = _place(_spread(leaves[f"attention/{role}"], dim), 0, 0, width)
        gates = _place(leaves[f"attention/gate_{role}"], 0, big * dim, width)
        return _place(vectors, 2, 0, head) + _place(gates, 2, dim, head)

    value = _place(_spread(leaves["attention/value"], dim), 0, 0, width)
    scalar = _place(leaves["attention/scalar_value"][..., None], 0, big * dim, width)
    out = _spread(leaves["attention/out"].T, dim).transpose(1, 2, 0)
    scalar_out = leaves["attention/scalar_out"][:, None]
    return {
        "attention/query": scores("query"),
        "attention/key": scores("key"),
        "attention/value": np.concatenate([value, scalar], axis=2),
        "attention/out": np.concatenate(
            [_place(out, 2, 0, width), _place(scalar_out, 2, big * dim, width)], axis=1
        ),
    }


def _mlp(config: ModelConfig, dim: int, leaves: Flat) -> Flat:
    """Units in four groups: gated mixing, constant mixing, inner products, scalars."""
    big, small, hidden = (
        config.channels.vectors,
        config.channels.scalars,
        config.mlp_width,
    )
    width = big * dim + small
    leaves = {name.removeprefix("mlp/"): leaf for name, leaf in leaves.items()}
    # A gated unit writes act(first) * second; act_one divides out act(1).
    vector, eye = np.eye(width)[:, : big * dim], np.eye(dim)
    up_scalar = _place(leaves["up"], 0, big * dim, width)
    act_one = float(ACTIVATIONS[config.activation](jnp.ones(())))
    zeros = lambda n: np.zeros((width, n))

    gate = np.einsum("mce,ij->mciej", leaves["gate"], eye)
    gate = _place(gate.reshape(hidden * big * dim, big * dim), 1, 0, width)
    move = np.einsum("ce,ij->ciej", leaves["move"], eye) / act_one
    move = _place(move.reshape(big * dim, big * dim), 1, 0, width)
    # For each pair (c, e) and coordinate i: act(v_c) v_e, then act(-v_c) (-v_e).
    first = np.repeat(vector.reshape(width, big, 1, dim), big, 2).reshape(width, -1)
    second = np.repeat(vector.reshape(width, 1, big, dim), big, 1).reshape(width, -1)
    products = np.repeat(leaves["products"].reshape(big * big, small), dim, axis=0)
    products = _place(products, 1, big * dim, width)
    down = _place(leaves["down"], 1, big * dim, width)

    count, pairs = big * dim, big * big * dim
    biases = [np.repeat(leaves["bias"], count), np.ones(count), np.zeros(2 * pairs)]
    return {
        "mlp/up_kernel": np.concatenate(
            [
                np.repeat(up_scalar, count, axis=1),
                zeros(count),
                first,
                -first,
                up_scalar,
            ],
            axis=1,
        ),
        "mlp/up_bias": np.concatenate([*biases, leaves["bias"]]),
        "mlp/gate_kernel": np.concatenate(
            [np.tile(vector, (1, hidden)), vector, second, -second, zeros(hidden)],
            axis=1,
        ),
        "mlp/gate_bias": np.concatenate(
            [np.zeros(count * (hidden + 1) + 2 * pairs), np.ones(hidden)]
        ),
        "mlp/down_kernel": np.concatenate([gate, move, products, products, down]),
        "mlp/down_bias": np.zeros(width),
    }
