"""Merged maps, cut along the rows: what is a constant, and what depends on the data.

T = R + 1 counts the register tokens and, last, one stand-in for all data tokens (fixed
rows are equal on them).
"""

import dataclasses
from typing import Any

import numpy as np

from spectral_tf.constructive.fusion.maps import (
    Block,
    RawBlock,
    RawHead,
    Rows,
    as_block,
)

Pair = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class HeadTerms:
    """One head: score of (receiver j, sender i), and what the sender sends.

    Attributes:
        kind: `relu`, `linear` or `soft`.
        gates: `[m, T, T]` fixed against fixed, g of each of m heads of one z.
        factors: `[m]` their factors.
        by_receiver: run b of the sender -> `[T, size]`, times the sender's rows.
        by_sender: run a of the receiver -> `[T, size]`, times the receiver's rows.
        both: (run of the receiver, run of the sender) -> map.
        value: (run, target run) -> map.
        constant: target run -> `[T, size]`, sent whatever the data.
    """

    kind: str
    gates: np.ndarray
    factors: np.ndarray
    by_receiver: dict[int, np.ndarray]
    by_sender: dict[int, np.ndarray]
    both: dict[Pair, Block]
    value: dict[Pair, Block]
    constant: dict[int, np.ndarray]


@dataclasses.dataclass(frozen=True)
class MlpTerms:
    """The MLP: linear part, and units of relu.

    Attributes:
        linear: (run, target run) -> map, T - I.
        constant: target run -> `[T, size]`.
        up: run -> `[size, units]`.
        bias: `[T, units]`, fixed rows included.
        down: target run -> `[units, size]`.
    """

    linear: dict[Pair, Block]
    constant: dict[int, np.ndarray]
    up: dict[int, np.ndarray]
    bias: np.ndarray
    down: dict[int, np.ndarray]


@dataclasses.dataclass(frozen=True)
class BlockTerms:
    """One distinct block."""

    heads: tuple[HeadTerms, ...]
    mlp: MlpTerms
    gains: tuple[np.ndarray | None, ...]


def _between(matrix: Any, rows: Rows) -> dict[Pair, Block]:
    found: dict[Pair, Block] = {}
    for a, source in enumerate(rows.runs):
        strip = matrix[source]
        if strip.nnz == 0:
            continue
        for b, target in enumerate(rows.runs):
            block = as_block(strip[:, target].tocsr())
            if block is not None:
                found[a, b] = block
    return found


def _from_fixed(matrix: Any, rows: Rows) -> dict[int, np.ndarray]:
    strip = matrix[np.flatnonzero(rows.fixed)]
    if strip.nnz == 0:
        return {}
    product = np.asarray(rows.values @ strip)
    found = {run: product[:, part] for run, part in enumerate(rows.runs)}
    return {run: block for run, block in found.items() if block.any()}


def head_terms(head: RawHead, rows: Rows) -> HeadTerms:
    """Cut one head.

    Args:
        head: merged.
        rows: of the network.

    Returns:
        Its terms.

    Source: ours.
    """
    at = np.flatnonzero(rows.fixed)
    gates = [rows.values @ (g[at][:, at] @ rows.values.T) for g in head.gates]
    return HeadTerms(
        kind=head.kind,
        gates=np.stack([np.asarray(gate) for gate in gates]),
        factors=np.array(head.factors),
        by_receiver=_from_fixed(head.score.tocsr(), rows),
        by_sender=_from_fixed(head.score.T.tocsr(), rows),
        both=_between(head.score.tocsr(), rows),
        value=_between(head.value.tocsr(), rows),
        constant=_from_fixed(head.value.tocsr(), rows),
    )


def mlp_terms(block: RawBlock, rows: Rows, linear_units: np.ndarray) -> MlpTerms:
    """Cut the MLP, with some units known to be linear.

    Args:
        block: merged.
        rows: of the network.
        linear_units: `[units]` bool: their input is never negative.

    Returns:
        Its terms, without those units.

    Source: ours.
    """
    rest = ~linear_units
    lines = np.flatnonzero(linear_units)
    linear = block.linear + block.up[lines].T @ block.down[lines]
    offset = block.constant + block.bias[lines] @ block.down[lines]
    linear = linear.tocsr()
    constant = _from_fixed(linear, rows)
    for run, part in enumerate(rows.runs):
        if offset[part].any():
            more = np.broadcast_to(offset[part], (len(rows.values), rows.size(run)))
            constant[run] = constant.get(run, 0.0) + more
    up, down = block.up[rest], block.down[rest]
    inner = np.asarray(rows.values @ up[:, np.flatnonzero(rows.fixed)].T)
    parts = list(enumerate(rows.runs))
    reads = {run: up[:, part].T.toarray() for run, part in parts}
    writes = {run: down[:, part].toarray() for run, part in parts}
    return MlpTerms(
        linear=_between(linear, rows),
        constant=constant,
        up={run: matrix for run, matrix in reads.items() if matrix.any()},
        bias=inner + block.bias[rest][None],
        down={run: matrix for run, matrix in writes.items() if matrix.any()},
    )
