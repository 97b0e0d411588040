r"""What must hold whatever the data: intervals of rows, followed through the network.

For each token (data tokens share one) and each span an interval that contains every
entry. [0, 0] is a row known to be zero. The rules are those of interval arithmetic,
with two consequences that make constructions fast:

* a pair of tokens whose score cannot be positive is *closed* (relu gives 0), and so is
  one whose sender sends zeros;
* a hidden unit whose input cannot be negative is linear.

`np.inf` bounds what is not known; 0 times infinity is 0 here, since a zero row is zero.
"""

import dataclasses

import numpy as np

from spectral_tf.constructive.fusion.maps import Block, Partition, RawBlock
from spectral_tf.constructive.fusion.terms import (
    BlockTerms,
    HeadTerms,
    MlpTerms,
    mlp_terms,
)

Interval = tuple[np.ndarray, np.ndarray]
UNKNOWN = (-np.inf, np.inf)


def times(left: Interval, right: Interval) -> Interval:
    """Product of intervals, element by element, 0 times infinity being 0."""
    with np.errstate(invalid="ignore"):
        products = [a * b for a in left for b in right]
    products = [
        np.nan_to_num(p, nan=0.0, posinf=np.inf, neginf=-np.inf) for p in products
    ]
    return np.minimum.reduce(products), np.maximum.reduce(products)


def plus(left: Interval, right: Interval) -> Interval:
    """Sum of intervals."""
    return left[0] + right[0], left[1] + right[1]


def relu(interval: Interval) -> Interval:
    """relu of an interval."""
    return np.maximum(interval[0], 0.0), np.maximum(interval[1], 0.0)


def exactly(value: np.ndarray) -> Interval:
    """The interval of a number."""
    return value, value


def through(block: Block, interval: Interval) -> Interval:
    """A bound of every entry of `rows @ block`, from one of every entry of the rows."""
    if isinstance(block, float):
        return times(interval, exactly(np.asarray(block)))
    positive = np.clip(block, 0, None).sum(axis=0)
    negative = np.clip(block, None, 0).sum(axis=0)
    column = lambda bound: bound[..., None]
    wide = column(interval[0]), column(interval[1])
    total = plus(times(wide, exactly(positive)), times(wide, exactly(negative)))
    return total[0].min(axis=-1), total[1].max(axis=-1)


def _spread(values: np.ndarray) -> Interval:
    """Smallest and largest entry of each token's rows."""
    return values.min(axis=-1), values.max(axis=-1)


def is_zero(interval: Interval) -> np.ndarray:
    """Where an interval is [0, 0]."""
    return (interval[0] == 0) & (interval[1] == 0)


@dataclasses.dataclass
class Held:
    """Intervals of every token and span: `lo`, `hi` `[T, spans]`."""

    lo: np.ndarray
    hi: np.ndarray

    def of(self, span: int) -> Interval:
        """`[T]` interval of a span."""
        return self.lo[:, span], self.hi[:, span]

    def set(self, span: int, interval: Interval) -> None:
        """Replace the interval of a span."""
        self.lo[:, span], self.hi[:, span] = interval

    def copy(self) -> "Held":
        """A copy to change."""
        return Held(self.lo.copy(), self.hi.copy())

    def zero(self) -> np.ndarray:
        """`[T, spans]` bool."""
        return is_zero((self.lo, self.hi))


def score_bounds(head: HeadTerms, held: Held, partition: Partition) -> Interval:
    """`[T, T]` interval of the weights of (receiver, sender).

    Args:
        head: the head.
        held: before the block.
        partition: of the stream.

    Returns:
        The interval of relu(score), of the score if linear, of the difference if soft.
    """
    inner = np.zeros_like(head.gates[0]), np.zeros_like(head.gates[0])
    for span, factors in head.by_receiver.items():
        inner = plus(inner, _bilinear(factors, held.of(span), partition.size(span)))
    for span, factors in head.by_sender.items():
        lo, hi = _bilinear(factors, held.of(span), partition.size(span))
        inner = plus(inner, (lo.T, hi.T))
    for (a, b), block in head.both.items():
        receiver, sender = held.of(a), held.of(b)
        if partition.size(a) == partition.size(b) == 1 and isinstance(block, float):
            column = receiver[0][:, None], receiver[1][:, None]
            product = times(times(column, sender), exactly(np.asarray(block)))
        else:
            both = ~is_zero(receiver)[:, None] & ~is_zero(sender)[None]
            product = np.where(both, -np.inf, 0.0), np.where(both, np.inf, 0.0)
        inner = plus(inner, product)
    total = exactly(np.zeros_like(inner[0]))
    for gate, factor in zip(head.gates, head.factors, strict=True):
        weight = _weight(head.kind, gate, inner)
        total = plus(total, times(weight, exactly(np.asarray(factor))))
    return total


def _weight(kind: str, gate: np.ndarray, inner: Interval) -> Interval:
    if kind == "linear":
        return plus(exactly(gate), inner)
    up = relu(plus(exactly(gate), inner))
    if kind == "relu":
        return up
    # relu(z + g) - relu(g - z), for z in the interval
    down = relu((gate - inner[1], gate - inner[0]))
    return up[0] - down[1], up[1] - down[0]


def _bilinear(factors: np.ndarray, interval: Interval, size: int) -> Interval:
    """`[T, T]` interval of <factors of j, rows of i>."""
    if size == 1:
        return times(exactly(factors), (interval[0][None], interval[1][None]))
    both = np.any(factors, axis=1, keepdims=True) & ~is_zero(interval)[None]
    return np.where(both, -np.inf, 0.0), np.where(both, np.inf, 0.0)


def sent(head: HeadTerms, held: Held) -> dict[int, Interval]:
    """Target span -> `[T]` interval of what each sender sends there."""
    messages = {span: _spread(values) for span, values in head.constant.items()}
    for (source, target), block in head.value.items():
        more = through(block, held.of(source))
        messages[target] = plus(messages[target], more) if target in messages else more
    return messages


def after_heads(
    terms: BlockTerms, held: Held, partition: Partition
) -> tuple[Held, list[np.ndarray]]:
    """Intervals after the attention, and `[T, T]` open pairs of each head.

    Args:
        terms: of the block.
        held: before it.
        partition: of the stream.

    Returns:
        `(held, open pairs per head)`.
    """
    after, pairs = held.copy(), []
    for head in terms.heads:
        weights = score_bounds(head, held, partition)
        values = sent(head, held)
        something = np.zeros(len(held.lo), bool)
        for target, value in values.items():
            something |= ~is_zero(value)
            lo, hi = times(weights, (value[0][None], value[1][None]))
            # The stand-in sends as often as there are data tokens: from once up.
            lo[:, -1] = np.where(lo[:, -1] < 0, -np.inf, lo[:, -1])
            hi[:, -1] = np.where(hi[:, -1] > 0, np.inf, hi[:, -1])
            more = lo.sum(axis=1), hi.sum(axis=1)
            after.set(target, plus(after.of(target), more))
        pairs.append(~is_zero(weights) & something[None])
    return after, pairs


def linear_units(terms: MlpTerms, held: Held) -> tuple[np.ndarray, Interval]:
    """`[T, units]`: units whose input is >= 0, and the interval of every unit's input.

    Args:
        terms: with every unit.
        held: after the attention.

    Returns:
        `(is linear, interval)`.
    """
    total = exactly(terms.bias)
    for span, matrix in terms.up.items():
        positive = np.clip(matrix, 0, None).sum(axis=0)
        negative = np.clip(matrix, None, 0).sum(axis=0)
        interval = held.of(span)
        wide = interval[0][:, None], interval[1][:, None]
        total = plus(total, times(wide, exactly(positive)))
        total = plus(total, times(wide, exactly(negative)))
    return total[0] >= 0, total


def after_mlp(
    block: RawBlock, terms: MlpTerms, held: Held, partition: Partition
) -> tuple[Held, np.ndarray]:
    """Intervals after the MLP, and `[T, units]` of the units that are linear.

    Args:
        block: merged.
        terms: of the MLP with every unit.
        held: after the attention.
        partition: of the stream.

    Returns:
        `(held, is linear)`.
    """
    is_linear, inner = linear_units(terms, held)
    everywhere = np.asarray(is_linear.all(axis=0))
    cut = mlp_terms(block, partition, everywhere) if everywhere.any() else terms
    rest = ~everywhere
    hidden = relu((inner[0][:, rest], inner[1][:, rest]))
    after = held.copy()
    touched = {target for _, target in cut.linear} | set(cut.constant) | set(cut.down)
    for target in touched:
        total = np.zeros(len(held.lo)), np.zeros(len(held.lo))
        factor = 1.0
        for (source, to), matrix in cut.linear.items():
            if to != target:
                continue
            if source == target and isinstance(matrix, float):
                factor += matrix
                continue
            total = plus(total, through(matrix, held.of(source)))
        total = plus(total, through(factor, held.of(target)))
        if target in cut.constant:
            total = plus(total, _spread(cut.constant[target]))
        if target in cut.down:
            total = plus(total, _projected(hidden, cut.down[target]))
        after.set(target, total)
    return after, is_linear


def _projected(hidden: Interval, down: np.ndarray) -> Interval:
    """Bound of every entry of `hidden @ down`."""
    positive, negative = np.clip(down, 0, None), np.clip(down, None, 0)

    def product(bound: np.ndarray, matrix: np.ndarray, sign: float) -> np.ndarray:
        known = np.where(np.isfinite(bound), bound, 0.0) @ matrix
        infinite = (~np.isfinite(bound)).astype(float) @ np.abs(matrix)
        return np.where(infinite > 0, sign * np.inf, known)

    lo = product(hidden[0], positive, 1.0) + product(hidden[1], negative, -1.0)
    hi = product(hidden[1], positive, 1.0) + product(hidden[0], negative, -1.0)
    return lo.min(axis=-1), hi.max(axis=-1)


def after_norm(held: Held, partition: Partition, gain: np.ndarray | None) -> Held:
    """Zero stays zero; what the norm covers is not known otherwise."""
    if gain is None:
        return held
    after = held.copy()
    for span, part in enumerate(partition.spans):
        if part.start < len(gain):
            zero = is_zero(held.of(span))
            lo, hi = np.where(zero, 0.0, -np.inf), np.where(zero, 0.0, np.inf)
            after.set(span, (lo, hi))
    return after
