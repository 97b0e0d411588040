"""Merged maps, cut along the rows: what is a constant, and what depends on the data.

T = R + 1 counts the register tokens and, last, one stand-in for all data tokens (fixed
rows are equal on them).
"""

import dataclasses
from typing import Any

import numpy as np

from spectral_tf.constructive.fusion.maps import (
    Block,
    Partition,
    RawBlock,
    RawHead,
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
        by_receiver: span b of the sender -> `[T, size]`, times the sender's rows.
        by_sender: span a of the receiver -> `[T, size]`, times the receiver's rows.
        both: (span of the receiver, span of the sender) -> map.
        value: (span, target span) -> map.
        constant: target span -> `[T, size]`, sent whatever the data.
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
        linear: (span, target span) -> map, T - I.
        constant: target span -> `[T, size]`.
        up: span -> `[size, units]`.
        bias: `[T, units]`, fixed rows included.
        down: target span -> `[units, size]`.
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


def _between(matrix: Any, partition: Partition) -> dict[Pair, Block]:
    blocks: dict[Pair, Block] = {}
    for a, source in enumerate(partition.spans):
        strip = matrix[source]
        if strip.nnz == 0:
            continue
        for b, target in enumerate(partition.spans):
            block = as_block(strip[:, target].tocsr())
            if block is not None:
                blocks[a, b] = block
    return blocks


def _from_fixed(matrix: Any, partition: Partition) -> dict[int, np.ndarray]:
    strip = matrix[np.flatnonzero(partition.fixed)]
    if strip.nnz == 0:
        return {}
    product = np.asarray(partition.values @ strip)
    constants = {span: product[:, part] for span, part in enumerate(partition.spans)}
    return {span: block for span, block in constants.items() if block.any()}


def head_terms(head: RawHead, partition: Partition) -> HeadTerms:
    """Cut one head.

    Args:
        head: merged.
        partition: of the stream.

    Returns:
        Its terms.
    """
    at = np.flatnonzero(partition.fixed)
    gates = [partition.values @ (g[at][:, at] @ partition.values.T) for g in head.gates]
    return HeadTerms(
        kind=head.kind,
        gates=np.stack([np.asarray(gate) for gate in gates]),
        factors=np.array(head.factors),
        by_receiver=_from_fixed(head.score.tocsr(), partition),
        by_sender=_from_fixed(head.score.T.tocsr(), partition),
        both=_between(head.score.tocsr(), partition),
        value=_between(head.value.tocsr(), partition),
        constant=_from_fixed(head.value.tocsr(), partition),
    )


def mlp_terms(
    block: RawBlock, partition: Partition, linear_units: np.ndarray
) -> MlpTerms:
    """Cut the MLP, with some units known to be linear.

    Args:
        block: merged.
        partition: of the stream.
        linear_units: `[units]` bool: their input is never negative.

    Returns:
        Its terms, without those units.
    """
    rest = ~linear_units
    lines = np.flatnonzero(linear_units)
    linear = block.linear + block.up[lines].T @ block.down[lines]
    offset = block.constant + block.bias[lines] @ block.down[lines]
    linear = linear.tocsr()
    constant = _from_fixed(linear, partition)
    for span, part in enumerate(partition.spans):
        if offset[part].any():
            more = np.broadcast_to(
                offset[part], (len(partition.values), partition.size(span))
            )
            constant[span] = constant.get(span, 0.0) + more
    up, down = block.up[rest], block.down[rest]
    inner = np.asarray(partition.values @ up[:, np.flatnonzero(partition.fixed)].T)
    parts = list(enumerate(partition.spans))
    reads = {span: up[:, part].T.toarray() for span, part in parts}
    writes = {span: down[:, part].toarray() for span, part in parts}
    return MlpTerms(
        linear=_between(linear, partition),
        constant=constant,
        up={span: matrix for span, matrix in reads.items() if matrix.any()},
        bias=inner + block.bias[rest][None],
        down={span: matrix for span, matrix in writes.items() if matrix.any()},
    )
