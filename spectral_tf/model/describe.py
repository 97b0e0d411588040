"""What a model costs: parameters and floating-point operations, row by row."""

import dataclasses

import numpy as np

from spectral_tf.config import Channels, ModelConfig, require
from spectral_tf.model.params import parameter_shapes


@dataclasses.dataclass(frozen=True, kw_only=True)
class CostRow:
    """One line of the cost table.

    Attributes:
        name: part of the network.
        params: scalars stored (a looped block counts once).
        flops: of one forward pass on one instance, all blocks, 2 per multiply-add;
            element-wise work is not counted.
    """

    name: str
    params: int
    flops: int


def cost_table(
    config: ModelConfig, *, num_samples: int, dim: int | None = None
) -> list[CostRow]:
    """Parameters and FLOPs of a forward pass on one `[N, d]` instance.

    Args:
        config: the model.
        num_samples: N >= 1.
        dim: d; None takes `config.dim`.

    Returns:
        One row per sublayer of a block (summed over blocks), then `embedding`,
        `readout` and `total`.

    Raises:
        ConfigError: if d is given neither here nor by config, or contradicts it.

    Example:
        >>> import spectral_tf
        >>> from spectral_tf.model.describe import cost_table
        >>> config = spectral_tf.model_preset("theory")
        >>> cost_table(config, num_samples=50)[0].name
        'block: attention'

    A test compares it with XLA's cost analysis.
    """
    require(num_samples >= 1, f"num_samples={num_samples} must be >= 1.")
    dim = config.dim if dim is None else dim
    require(
        dim is not None,
        "an equivariant model takes any d: say for which one with dim=d.",
    )
    assert dim is not None
    require(
        config.dim in (None, dim),
        f"dim={dim} contradicts the model's dim={config.dim}; leave dim out.",
    )
    shapes = parameter_shapes(config)
    size = lambda prefix: sum(
        int(np.prod(leaf.shape))
        for path, leaf in shapes.items()
        if path.startswith(prefix)
    )
    rows = []
    for index, kind in enumerate(config.block):
        params = size(f"blocks/{index}_{kind}/")
        flops = 2 * config.num_blocks * _sublayer(config, kind, num_samples, dim)
        rows.append(CostRow(name=f"block: {kind}", params=params, flops=flops))
    features = dim + (config.inputs.centre == "network")
    embed = 2 * num_samples * features * config.dense.width if config.is_dense else 0
    names = ("embed_", "positions", "registers")
    rows.append(CostRow(name="embedding", params=sum(map(size, names)), flops=embed))
    read = size("vector_") + size("value_")
    rows.append(
        CostRow(name="readout", params=read, flops=_readout(config, num_samples, dim))
    )
    total = CostRow(
        name="total",
        params=sum(row.params for row in rows),
        flops=sum(row.flops for row in rows),
    )
    return [*rows, total]


def total_flops(config: ModelConfig, *, num_samples: int, dim: int) -> int:
    """FLOPs of one forward pass on one `[N, d]` instance: the last row's.

    Args:
        config: the model.
        num_samples: N >= 1.
        dim: d.

    Returns:
        The count.

    Source: `cost_table`.
    """
    return cost_table(config, num_samples=num_samples, dim=dim)[-1].flops


def _sublayer(config: ModelConfig, kind: str, n: int, d: int) -> int:
    """Multiply-adds of one sublayer of one block."""
    if not config.is_dense:
        return _channel_sublayer(config, kind, n, d)
    k = 0 if config.layout.readout == "flatten" else config.num_registers
    tokens = n + k if config.is_joint else k
    dense = config.dense
    width, size, value = dense.width, dense.head_dim, dense.head_value_dim
    if kind == "mlp":
        maps = 3 if dense.mlp == "gated" else 2
        return maps * tokens * width * config.mlp_width
    heads = config.cross_heads if kind == "cross" else config.num_heads
    senders = n if kind == "cross" else tokens
    # Queries and outputs of receivers, keys and values of senders; then a score and a
    # mixture for every pair of the two.
    project = tokens * width * (size + value) + senders * width * (size + value)
    return heads * (project + tokens * senders * (size + value))


def _channel_sublayer(config: ModelConfig, kind: str, n: int, d: int) -> int:
    k, big, small = (
        min(config.num_registers, d),
        config.channels.vectors,
        config.channels.scalars,
    )
    hidden, gates = config.mlp_width, config.register_rows
    if kind == "cross":
        heads = config.cross_heads
        # Mixtures of C channels in and out; scores <q, x_n> and sums over the x_n.
        return heads * (2 * k * big * d + 2 * n * k * d)
    if kind == "self":
        project = 4 * k * big * d + 2 * k * small * gates + 2 * k * small
        return config.num_heads * (project + k * k * (2 * d + gates + 1))
    # The mixing matrix of each register, C x C from the hidden units; inner products,
    # their mixture, and what they give to the scalars.
    vectors = k * big * big * (hidden + 2 * d + small)
    return vectors + 2 * k * small * hidden


def _readout(config: ModelConfig, n: int, d: int) -> int:
    k = config.num_components
    if config.layout.readout == "ritz":
        return 2 * _ritz(config, d)
    if not config.is_dense:
        return 2 * n * d * k
    width = config.dense.width
    if config.layout.readout == "flatten":
        return 2 * n * width * (k * d + k)
    scores = n * d * k if config.layout.readout == "rayleigh" else k * width
    return 2 * (k * width * d + scores)


def _ritz(config: ModelConfig, d: int) -> int:
    """Multiply-adds of Rayleigh-Ritz among the registers."""
    k, layout = config.num_components, config.layout
    if isinstance(layout, Channels):
        blocks = layout.vectors // 2
    else:
        blocks, _ = layout.norm_groups or (1, d)
    m = min(config.num_registers, d) * (blocks - (not config.terminator))
    # Twice: scores, and mixtures of vectors and of images; then T; squarings; answers.
    span = 7 * m * m * d + 2 * m**3
    return span + k * config.squarings * m**3 + k * m * (m + d)
