r"""Gated MLPs of constructed blocks: exact products, and gated moves.

A unit is :math:`relu(\langle u, h\rangle)\,(\langle v, h\rangle + \beta)`. With v = 0
and :math:`\beta = 1` it is a plain relu unit; and :math:`z\,w = relu(z)\,w +
relu(-z)(-w)` makes every product of two linear maps of a token exact.
"""

import dataclasses

import numpy as np

from spectral_tf.constructive.gadgets import ReluMLP, assign
from spectral_tf.constructive.residual_layout import ResidualLayout


@dataclasses.dataclass(frozen=True, kw_only=True)
class GatedMLP(ReluMLP):
    """`h + down (relu(up h) * (gate h + bias))`.

    Attributes:
        gate: `[M, D]`.
        bias: `[M]`.

    Source: Shazeer (2020), arXiv:2002.05202 (GLU).
    """

    gate: np.ndarray
    bias: np.ndarray


def plain(*mlps: ReluMLP) -> GatedMLP:
    """The plain relu units of several MLPs, with a gate that is 1."""
    up = np.concatenate([mlp.up for mlp in mlps])
    down = np.concatenate([mlp.down for mlp in mlps], axis=1)
    return GatedMLP(up=up, down=down, gate=np.zeros_like(up), bias=np.ones(len(up)))


def inner_product(first: np.ndarray, second: np.ndarray, out: np.ndarray) -> GatedMLP:
    r"""Add :math:`\langle A h, B h\rangle` to a row, exactly.

    Args:
        first: A, `[n, D]`.
        second: B, `[n, D]`.
        out: `[D, 1]`, where the product goes, with its factor.

    Returns:
        The MLP of 2 n units: the sum of relu(a) b + relu(-a)(-b) over the entries.
    """
    up = np.concatenate([first, -first])
    return GatedMLP(
        up=up,
        down=np.repeat(out, len(up), axis=1),
        gate=np.concatenate([second, -second]),
        bias=np.zeros(len(up)),
    )


def moves(layout: ResidualLayout, **rows: dict[str, float]) -> GatedMLP:
    """`assign` of gadgets.py as a gated MLP."""
    return plain(assign(layout, **rows))


def together(*mlps: GatedMLP) -> GatedMLP:
    """The units of several MLPs, side by side: their updates add."""
    return GatedMLP(
        up=np.concatenate([mlp.up for mlp in mlps]),
        down=np.concatenate([mlp.down for mlp in mlps], axis=1),
        gate=np.concatenate([mlp.gate for mlp in mlps]),
        bias=np.concatenate([mlp.bias for mlp in mlps]),
    )


def gate_params(mlp: GatedMLP, width: int) -> dict[str, np.ndarray]:
    """`gate_kernel [D, M]` and `gate_bias [M]`, padded with zeros to M = `width`."""
    more = width - len(mlp.bias)
    return {
        "gate_kernel": np.pad(mlp.gate, ((0, more), (0, 0))).T,
        "gate_bias": np.pad(mlp.bias, (0, more)),
    }
