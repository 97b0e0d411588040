r"""Weights as maps between spans of rows of the residual stream.

**Merging.** A head is the bilinear form :math:`M = Q^\top K` and the map O V. Two heads
with scores z + g and -z + g and opposite values are one head of weight :math:`relu(z+g)
- relu(-z+g)`; if g is 0, that is z: a *linear* head. Heads that differ in g alone, and
in a factor of the value, compute z once. Two hidden units that are each other's
negatives are the linear map down * up.

**Rows.** A row that no block writes and no input reaches is *fixed*: on each token a
number known before any data come. The others are cut into *spans*: neighbours that all
maps treat alike, so that a map between two of them is a number times the identity, or
is kept as a matrix. Moving a span to another one then costs nothing.
"""

import dataclasses
import itertools
from typing import Any

import numpy as np
from scipy import sparse

from spectral_tf.config import ModelConfig

Span = slice
"""Neighbouring rows of the residual stream that all maps treat alike."""
Block = float | np.ndarray
"""A map between two spans: a number times the identity, or a matrix."""
Sparse = Any


@dataclasses.dataclass(frozen=True)
class RawHead:
    """A merged head; its weight is the sum of `factors` times what `kind` says.

    `relu`: relu(z + g); `linear`: z + g; `soft`: relu(z + g) - relu(-z + g).
    """

    score: Sparse  # [D receiver, D sender], z + g, or z alone where there are gates
    value: Sparse  # [D source, D target]
    kind: str
    gates: tuple[Sparse, ...] = ()  # of fixed rows alone
    factors: tuple[float, ...] = (1.0,)


@dataclasses.dataclass(frozen=True)
class RawBlock:
    """Heads, the linear part of the MLP (T - I), its other units, whether it norms."""

    heads: tuple[RawHead, ...]
    linear: Sparse  # [D source, D target]
    constant: np.ndarray  # [D]
    up: Sparse  # [units, D]
    bias: np.ndarray  # [units]
    down: Sparse  # [units, D target]
    gains: tuple[np.ndarray | None, ...]  # after attention, after the MLP


def _csr(matrix: Any) -> Sparse:
    compressed = sparse.csr_matrix(matrix)
    compressed.eliminate_zeros()
    return compressed


def _same(left: Sparse, right: Sparse, sign: float) -> bool:
    difference = left - sign * right
    return difference.nnz == 0 or not np.any(difference.data)


def raw_block(
    config: ModelConfig, block: dict[str, np.ndarray], fixed: np.ndarray | None = None
) -> RawBlock:
    """Merge the heads and units of one block.

    Args:
        config: dense, joint model with plain relu MLPs.
        block: path below `blocks/` -> array.
        fixed: `[D]` bool, rows known to be fixed (None: not known yet).

    Returns:
        The maps.
    """
    attention = {
        role: block[f"0_attention/attention/{role}"]
        for role in ("query", "key", "value", "out")
    }
    heads = [
        RawHead(
            _csr(attention["query"][:, h]) @ _csr(attention["key"][:, h]).T,
            _csr(attention["value"][:, h]) @ _csr(attention["out"][h]),
            config.attention,
        )
        for h in range(config.num_heads)
    ]
    heads = [head for head in heads if head.value.nnz and head.score.nnz]
    gains = tuple(
        block.get(f"{place}_{kind}/norm/gain")
        for place, kind in enumerate(config.block)
    )
    width = config.dense.width
    if "mlp" not in config.block:
        nothing = sparse.csr_matrix((0, width))
        linear = sparse.csr_matrix((width, width))
        zero = np.zeros(width)
        heads = _merged_heads(heads, fixed)
        return RawBlock(heads, linear, zero, nothing, zero[:0], nothing, gains)
    up = block["1_mlp/mlp/up_kernel"].T
    down = block["1_mlp/mlp/down_kernel"]
    bias = block["1_mlp/mlp/up_bias"]
    paired, rest = _paired_units(up, bias, down)
    linear = _csr(up[paired]).T @ _csr(down[paired])
    constant = block["1_mlp/mlp/down_bias"] + bias[paired] @ down[paired]
    return RawBlock(
        _merged_heads(heads, fixed),
        _csr(linear),
        constant,
        _csr(up[rest]),
        bias[rest],
        _csr(down[rest]),
        gains,
    )


def _merged_heads(
    heads: list[RawHead], fixed: np.ndarray | None
) -> tuple[RawHead, ...]:
    merged: list[RawHead] = []
    waiting = list(heads)
    while waiting:
        head = waiting.pop(0)
        for other in waiting:
            if head.kind != "relu" or not _same(head.value, other.value, -1.0):
                continue
            kind = _pair_kind(head.score, other.score, fixed)
            if kind is not None:
                waiting.remove(other)
                head = dataclasses.replace(head, kind=kind)
                break
        merged.append(head)
    return tuple(merged) if fixed is None else _stacked_heads(merged, fixed)


def _stacked_heads(heads: list[RawHead], fixed: np.ndarray) -> tuple[RawHead, ...]:
    """Split every score into z and g; heads of one z and one value become one head."""
    both = sparse.diags(fixed.astype(float))
    merged: dict[Any, RawHead] = {}
    for head in heads:
        gate = _csr(both @ head.score @ both)
        inner, value = _csr(head.score - gate), _csr(head.value)
        factor = float(value.data[0])
        key = (head.kind, *_content(inner), *_content(_csr(value / factor)))
        if head.kind == "relu" and key in merged:
            other = merged[key]
            merged[key] = dataclasses.replace(
                other,
                gates=(*other.gates, gate),
                factors=(*other.factors, factor / float(other.value.data[0])),
            )
        else:
            unique = key if head.kind == "relu" else (*key, len(merged))
            merged[unique] = dataclasses.replace(head, score=inner, gates=(gate,))
    return tuple(merged.values())


def _content(matrix: Sparse) -> tuple[bytes, ...]:
    matrix.sort_indices()
    parts = (matrix.indptr, matrix.indices, matrix.data)
    return tuple(np.ascontiguousarray(part).tobytes() for part in parts)


def _pair_kind(left: Sparse, right: Sparse, fixed: np.ndarray | None) -> str | None:
    if _same(left, right, -1.0):
        return "linear"
    if fixed is None:
        return None
    both = sparse.diags(fixed.astype(float))
    gates = both @ left @ both, both @ right @ both
    is_pair = _same(gates[0], gates[1], 1.0) and _same(
        left - gates[0], right - gates[1], -1.0
    )
    return "soft" if is_pair else None


def _paired_units(
    up: np.ndarray, bias: np.ndarray, down: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One unit of each +- pair, and the units of no pair; idle units are dropped."""
    rows = np.concatenate([up, bias[:, None], down], axis=1) + 0.0
    seen: dict[bytes, int] = {}
    paired, rest = [], set()
    for unit in range(len(rows)):
        if not down[unit].any() or not rows[unit, : up.shape[1] + 1].any():
            continue
        partner = seen.pop((0.0 - rows[unit]).tobytes(), None)
        if partner is None:
            seen[rows[unit].tobytes()] = unit
            rest.add(unit)
        else:
            rest.discard(partner)
            paired.append(partner)
    return np.array(sorted(paired), int), np.array(sorted(rest), int)


@dataclasses.dataclass(frozen=True)
class Partition:
    """How the residual stream is cut, into fixed rows and spans of the others.

    Attributes:
        fixed: `[D]` bool.
        spans: slices of the rows that are not fixed, in order.
        values: `[R + 1, fixed]` the fixed rows on each register token, and (last) on
            data tokens.
    """

    fixed: np.ndarray
    spans: tuple[Span, ...]
    values: np.ndarray

    def size(self, span: int) -> int:
        """How many rows a span has."""
        return self.spans[span].stop - self.spans[span].start


def cut_stream(
    config: ModelConfig, params: Any, blocks: list[RawBlock]
) -> tuple[np.ndarray, tuple[Span, ...]]:
    """Which rows are fixed, and the spans of the others.

    Args:
        config: dense model.
        params: all parameters.
        blocks: the distinct blocks.

    Returns:
        `(fixed [D], spans)`.
    """
    embed = np.asarray(params["embed_kernel"], np.float64)
    written = _written(config, embed, blocks)
    free = sparse.diags(written.astype(float))
    square, one_sided = [], [_csr(embed) @ free]
    for block in blocks:
        square += [free @ head.score @ free for head in block.heads]
        square += [free @ head.value @ free for head in block.heads]
        square.append(free @ block.linear @ free)
        one_sided += [block.up @ free, block.down @ free]
    for name in ("vector_kernel", "value_kernel"):
        if name in params:
            one_sided.append(_csr(np.asarray(params[name], np.float64).T) @ free)
    cuts = set(np.flatnonzero(np.diff(written.astype(int))) + 1)
    if config.dense.norm_groups is not None:
        groups, size = config.dense.norm_groups
        cuts |= {size * (group + 1) for group in range(groups)}
    for matrix in square:
        cuts |= _cuts(matrix.tocsr()) | _cuts(matrix.T.tocsr())
    for matrix in one_sided:
        cuts |= _cuts(matrix.T.tocsr())
    edges = sorted({0, config.dense.width, *cuts})
    pairs = itertools.pairwise(edges)
    return ~written, tuple(Span(int(a), int(b)) for a, b in pairs if written[a])


def _written(
    config: ModelConfig, embed: np.ndarray, blocks: list[RawBlock]
) -> np.ndarray:
    """`[D]` rows that the input, a block or a norm writes."""
    written = np.any(embed != 0, axis=0)
    for block in blocks:
        targets = [head.value for head in block.heads] + [block.linear, block.down]
        for target in targets:
            written[np.unique(target.tocoo().col)] = True
        written |= block.constant != 0
    if config.layout.norm != "none":
        groups, size = config.dense.norm_groups or (1, config.dense.width)
        written[: groups * size] = True
    return written


def _cuts(matrix: Sparse) -> set[int]:
    """Places between rows that are not each other's copy, moved by one column."""
    matrix.eliminate_zeros()
    matrix.sort_indices()
    edges = set()
    starts, columns, entries = matrix.indptr, matrix.indices, matrix.data
    lengths = np.diff(starts)
    for row in range(1, matrix.shape[0]):
        a, b = starts[row - 1], starts[row]
        count = lengths[row]
        alike = lengths[row - 1] == count and (
            count == 0
            or (
                np.array_equal(columns[a : a + count] + 1, columns[b : b + count])
                and np.array_equal(entries[a : a + count], entries[b : b + count])
            )
        )
        if not alike:
            edges.add(row)
    return edges


def as_block(matrix: Sparse) -> Block | None:
    """A number if the matrix is a multiple of the identity, None if it is 0."""
    if matrix.nnz == 0:
        return None
    rows, columns = matrix.shape
    coordinates = matrix.tocoo()
    if rows == columns == matrix.nnz and np.array_equal(
        coordinates.row, coordinates.col
    ):
        entries = coordinates.data
        if np.all(entries == entries[0]):
            return float(entries[0])
    return matrix.toarray()
