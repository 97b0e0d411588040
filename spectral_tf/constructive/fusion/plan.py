"""What is computed, at each place, between which token groups, on which rows.

Register tokens that ever hold the same rows form a group; data tokens form the last
one. A row of a group is *live* if the answer depends on it; nothing else is computed.

The plan of `register` with d = 4, k = 1 and 20 iterations, s1 standing for span 1:

    >>> from spectral_tf.constructive.power_method import power_method_params
    >>> print(make_plan(*power_method_params(4, 1, 20)))
    spans: s0 0:4, s1 4:8, s2 8:12, s3 12:13, s4 13:14, s5 15:16, s6 16:17
    groups: 0 is registers 0:1, 1 is data
    block 0
        1 reads 1: s0 += <s5, s5> s0
    20 times:
        block 1
            0 reads 1: s2 += <s1, s0> s0
            0 mlp: s1 += -1 s1 + 1 s2; s2 += -1 s2
        block 2
            0 reads 0: s3 += relu(<s1, s1>) fixed
            0 mlp: s3 += -1 s3; s4 += fixed + 144 relu units
        block 3
            0 reads 0: s2 += relu(<fixed, s4>) s1
            0 mlp: s1 += -1 s1 + 1 s2; s2 += -1 s2; s4 += -1 s4
        block 4
            0 reads 0: s2 += soft(<s1, s1> + gate) s1
            0 mlp: s1 += 1 s2; s2 += -1 s2
    block 2
        0 reads 0: s3 += relu(<s1, s1>) fixed
        0 mlp: s3 += -1 s3; s4 += fixed + 144 relu units
    block 3
        0 reads 0: s2 += relu(<fixed, s4>) s1
        0 mlp: s1 += -1 s1 + 1 s2; s2 += -1 s2; s4 += -1 s4
    2 times:
        block 5
            0 reads 0: s2 += relu(<s1, s1>) s1
            0 mlp: s1 += 0.5 s1 + -0.5 s2; s2 += -1 s2
    block 6
        0 reads 1: s2 += <s1, s0> s0
    block 7
        0 reads 0: s6 += relu(<s1, s2>) fixed
        0 mlp: s2 += -1 s2

Read with the layout of `register` (x, u, w, s, r, one, c, lam, ...): the rows `one`,
14:15, and the codes, 17:, are fixed, so they are constants of the plan and no span.
Block 0 centres the data; its two heads have become one linear head, evaluated as a sum
over the data (rule 2), once. In the loop, block 1 is u <- Sigma u: x is not written
there, so the moment sum x x^T is computed before the loop (rule 3) and 20 times applied
to one vector. Block 2 is the squared norm and the 144 knots of the normaliser, 3 scales
and 4 deflates. Every read by a data token has gone but that of block 0, and so has
every read of a data token by a register where the sender holds zeros (rule 4).
"""

import itertools
from typing import Any

import numpy as np

from spectral_tf.config import ModelConfig
from spectral_tf.constructive.fusion import facts
from spectral_tf.constructive.fusion.maps import (
    Partition,
    RawBlock,
    cut_stream,
    raw_block,
)
from spectral_tf.constructive.fusion.order import (
    Leaf,
    Nodes,
    Repeat,
    distinct_blocks,
    folded,
    leaves,
    visits,
)
from spectral_tf.constructive.fusion.records import (
    HeadPlan,
    MlpPlan,
    Place,
    Plan,
    SiteFacts,
    SitePlan,
)
from spectral_tf.constructive.fusion.terms import (
    BlockTerms,
    HeadTerms,
    MlpTerms,
    head_terms,
    mlp_terms,
)

MOST_SPANS = 40
"""More spans than this, besides those of a norm and as many images, is no structure:
dense weights, kept as they are."""
UNROLLED = 12
"""Loops of at most so many blocks are written out, if they have few heads."""
HEADS_UNROLLED = 3 * UNROLLED


def make_plan(config: ModelConfig, params: Any) -> Plan | None:
    """Analyse a network.

    Args:
        config: dense, joint, relu or linear attention, plain relu MLP.
        params: its parameters.

    Returns:
        The plan; None if the stream falls into too many spans.
    """
    blocks, order = distinct_blocks(config, params)
    raw = [raw_block(config, block) for block in blocks]
    fixed, spans = cut_stream(config, params, raw)
    if len(spans) > MOST_SPANS + 2 * (config.dense.norm_groups or (0, 0))[0]:
        return None
    raw = [raw_block(config, block, fixed) for block in blocks]
    outer = {
        name: np.asarray(leaf, np.float64)
        for name, leaf in params.items()
        if name != "blocks"
    }
    registers, bias = outer["registers"], outer["embed_bias"]
    values = np.concatenate([registers[:, fixed], bias[None, fixed]])
    partition = Partition(fixed=fixed, spans=spans, values=values)
    terms = [_block_terms(block, partition) for block in raw]
    nodes = folded(order)
    sites, ever = _follow(nodes, raw, terms, partition, _first_held(partition, outer))
    groups = _token_groups(ever[:-1])
    plans = {
        leaf.site: _site_plan(
            raw[leaf.block], terms[leaf.block], sites[leaf.site], partition, groups
        )
        for leaf in leaves(nodes)
    }
    start = {
        (group, span): registers[tokens, part]
        for group, tokens in enumerate(groups)
        for span, part in enumerate(spans)
        if registers[tokens, part].any()
    }
    live = _live(plans, groups, partition, config, outer)
    uses = _uses(nodes, plans, groups)
    return Plan(config, partition, groups, nodes, plans, live, start, outer, uses)


def _uses(
    nodes: Nodes, plans: dict[int, SitePlan], groups: tuple[slice, ...]
) -> dict[tuple[int, int], int]:
    """How many vectors of register tokens each moment of the data multiplies."""
    uses: dict[tuple[int, int], int] = {}
    for leaf in visits(nodes):
        for head in plans[leaf.site].heads:
            if head.sender != len(groups) or head.receiver == len(groups):
                continue
            tokens = groups[head.receiver]
            count = int(tokens.stop - tokens.start)
            for key in {*head.by_receiver, *(b for _, b in head.both)}:
                for source, _ in head.value:
                    uses[key, source] = uses.get((key, source), 0) + count
    return uses


def _block_terms(block: RawBlock, partition: Partition) -> BlockTerms:
    none = np.zeros(block.up.shape[0], bool)
    heads = tuple(head_terms(head, partition) for head in block.heads)
    return BlockTerms(heads, mlp_terms(block, partition, none), block.gains)


def _first_held(partition: Partition, outer: dict[str, np.ndarray]) -> facts.Held:
    """Intervals before the first block."""
    registers, bias = outer["registers"], outer["embed_bias"]
    shape = (len(registers) + 1, len(partition.spans))
    held = facts.Held(np.zeros(shape), np.zeros(shape))
    for span, part in enumerate(partition.spans):
        tokens = np.concatenate([registers[:, part], bias[None, part]])
        held.set(span, (tokens.min(axis=1), tokens.max(axis=1)))
        if outer["embed_kernel"][:, part].any():
            held.lo[-1, span], held.hi[-1, span] = facts.UNKNOWN
    return held


def _follow(
    nodes: Nodes,
    raw: list[RawBlock],
    terms: list[BlockTerms],
    partition: Partition,
    held: facts.Held,
) -> tuple[dict[int, SiteFacts], np.ndarray]:
    """Facts of every leaf, and `[T, spans]` of what is ever not zero."""
    known: dict[Any, tuple[SiteFacts, facts.Held]] = {}
    sites: dict[int, SiteFacts] = {}
    ever = ~held.zero()
    for leaf in visits(nodes):
        signature = (leaf.block, held.lo.tobytes(), held.hi.tobytes())
        if signature not in known:
            known[signature] = _visit(
                raw[leaf.block], terms[leaf.block], held, partition
            )
        visit, held = known[signature]
        ever |= ~visit.middle | ~held.zero()
        if leaf.site in sites:
            sites[leaf.site].join(visit)
        else:
            sites[leaf.site] = SiteFacts(
                visit.before.copy(), visit.middle.copy(), visit.pairs, visit.linear
            )
    return sites, ever


def _visit(
    block: RawBlock, terms: BlockTerms, held: facts.Held, partition: Partition
) -> tuple[SiteFacts, facts.Held]:
    middle, pairs = facts.after_heads(terms, held, partition)
    middle = facts.after_norm(middle, partition, terms.gains[0])
    after, linear = facts.after_mlp(block, terms.mlp, middle, partition)
    for gain in terms.gains[1:]:
        after = facts.after_norm(after, partition, gain)
    everywhere = np.asarray(linear.all(axis=0))
    return SiteFacts(held.zero(), middle.zero(), pairs, everywhere), after


def _token_groups(ever: np.ndarray) -> tuple[slice, ...]:
    """Neighbouring register tokens that ever hold the same rows."""
    edges = [0, *(np.flatnonzero(np.any(np.diff(ever, axis=0), axis=1)) + 1), len(ever)]
    return tuple(slice(int(a), int(b)) for a, b in itertools.pairwise(edges))


def _site_plan(
    block: RawBlock,
    terms: BlockTerms,
    known: SiteFacts,
    partition: Partition,
    groups: tuple[slice, ...],
) -> SitePlan:
    every = [*groups, slice(len(known.before) - 1, None)]
    heads = []
    for head, pairs in zip(terms.heads, known.pairs, strict=True):
        for receiver, to in enumerate(every):
            for sender, source in enumerate(every):
                if pairs[to, source].any():
                    heads.append(
                        _head_plan(head, (receiver, sender), every, known, pairs)
                    )
    mlp = mlp_terms(block, partition, known.linear)
    mlps = [
        MlpPlan(
            group, _cut_mlp(mlp, tokens, np.asarray(known.middle[tokens].all(axis=0)))
        )
        for group, tokens in enumerate(every)
    ]
    zero = {
        (group, span)
        for group, tokens in enumerate(every)
        for span in np.flatnonzero(known.before[tokens].all(axis=0))
    }
    return SitePlan(
        tuple(heads),
        tuple(plan for plan in mlps if plan.targets()),
        terms.gains,
        frozenset((group, int(span)) for group, span in zero),
    )


def _head_plan(
    head: HeadTerms,
    ends: tuple[int, int],
    every: list[slice],
    known: SiteFacts,
    pairs: np.ndarray,
) -> HeadPlan:
    receiver, sender = ends
    to, source = every[receiver], every[sender]
    zero_here = np.asarray(known.before[to].all(axis=0))
    zero_there = np.asarray(known.before[source].all(axis=0))
    is_data = receiver == len(every) - 1 or sender == len(every) - 1
    inner = pairs[to, source]
    return HeadPlan(
        receiver=receiver,
        sender=sender,
        kind=head.kind,
        is_diagonal=receiver == sender
        and not is_data
        and not np.any(inner & ~np.eye(len(inner), dtype=bool)),
        gates=head.gates[:, to, source],
        factors=head.factors,
        by_receiver={
            span: factors[to]
            for span, factors in head.by_receiver.items()
            if factors[to].any() and not zero_there[span]
        },
        by_sender={
            span: factors[source]
            for span, factors in head.by_sender.items()
            if factors[source].any() and not zero_here[span]
        },
        both={
            (a, b): block
            for (a, b), block in head.both.items()
            if not (zero_here[a] or zero_there[b])
        },
        value={
            (a, b): block for (a, b), block in head.value.items() if not zero_there[a]
        },
        constant={
            span: values[source]
            for span, values in head.constant.items()
            if values[source].any()
        },
    )


def _cut_mlp(mlp: MlpTerms, tokens: slice, zero: np.ndarray) -> MlpTerms:
    up = {span: matrix for span, matrix in mlp.up.items() if not zero[span]}
    bias = mlp.bias[tokens]
    # A unit that reads only zeros, with a bias of at most 0, is off.
    read = np.zeros(bias.shape[1], bool)
    for matrix in up.values():
        read |= matrix.any(axis=0)
    active = read | (bias > 0).any(axis=0)
    down = {span: matrix[active] for span, matrix in mlp.down.items()}
    linear = {(a, b): block for (a, b), block in mlp.linear.items() if not zero[a]}
    constant = {span: values[tokens] for span, values in mlp.constant.items()}
    return MlpTerms(
        linear=linear,
        constant={span: values for span, values in constant.items() if values.any()},
        up={span: matrix[:, active] for span, matrix in up.items()},
        bias=bias[:, active],
        down={span: matrix for span, matrix in down.items() if matrix.any()},
    )


def _live(
    plans: dict[int, SitePlan],
    groups: tuple[slice, ...],
    partition: Partition,
    config: ModelConfig,
    outer: dict[str, np.ndarray],
) -> frozenset[Place]:
    """Rows on which the answer depends, by repeated looking back."""
    read = rows_read(config, outer)
    live = {
        (group, span)
        for group, tokens in enumerate(groups)
        for span, part in enumerate(partition.spans)
        if tokens.start < tokens_read(config) and read[part].any()
    }
    while True:
        more = set(live)
        for plan in plans.values():
            for part in (*plan.heads, *plan.mlps):
                if part.targets() & live:
                    more |= part.sources(live)
            if any(gain is not None for gain in plan.gains):
                more |= _normed_together(partition, config, more)
        if more == live:
            return frozenset(live)
        live = more


def tokens_read(config: ModelConfig) -> int:
    """How many register tokens the read-out reads: the first k, or all of them."""
    is_ritz = config.layout.readout == "ritz"
    return config.num_registers if is_ritz else config.num_components


def rows_read(config: ModelConfig, outer: dict[str, np.ndarray]) -> np.ndarray:
    """`[D]` bool: rows of a register token that the read-out reads."""
    if config.layout.readout == "ritz":
        groups, size = config.dense.norm_groups or (1, config.dim or 0)
        place = np.arange(config.dense.width)
        # Vectors and images but those of the last block.
        return (place < 2 * groups * size) & (place % (groups * size) >= size)
    read = np.asarray(outer["vector_kernel"].any(axis=1))
    if "value_kernel" in outer:
        read |= outer["value_kernel"].any(axis=1)
    return read


def normed_spans(partition: Partition, config: ModelConfig) -> list[list[int]]:
    """Spans of each group of features that is normalised together."""
    count, size = config.dense.norm_groups or (1, config.dense.width)
    parts = [(size * group, size * (group + 1)) for group in range(count)]
    return [
        [r for r, part in enumerate(partition.spans) if lo <= part.start < hi]
        for lo, hi in parts
    ]


def _normed_together(
    partition: Partition, config: ModelConfig, live: set[Place]
) -> set[Place]:
    places = set()
    for spans in normed_spans(partition, config):
        for group in {group for group, span in live if span in spans}:
            places |= {(group, span) for span in spans}
    return places


def makes_unit(plan: Plan, rounding: float) -> bool:
    """Whether all norms of a plan make unit vectors, so that a second changes nothing.

    Args:
        plan: of the network.
        rounding: of the type.

    Returns:
        True if every gain is `size ** -0.5` and epsilon is below the rounding.
    """
    size = (plan.config.dense.norm_groups or (1, plan.config.dense.width))[1]
    gains = [gain for site in plan.sites.values() for gain in site.gains]
    return plan.config.norm_eps < rounding and all(
        gain is not None and np.allclose(gain * size**0.5, 1.0, rtol=0, atol=1e-7)
        for gain in gains
    )


def is_short(plan: Plan, node: Repeat) -> bool:
    """Whether a loop is written out: more to compile, less to launch.

    Args:
        plan: of the network.
        node: the loop.

    Returns:
        True for at most `UNROLLED` blocks that have few heads.
    """
    inside = leaves(node.body)
    heads = node.times * sum(len(plan.sites[leaf.site].heads) for leaf in inside)
    return heads <= HEADS_UNROLLED and node.times * len(inside) <= UNROLLED


def first_leaf(nodes: Nodes) -> Leaf:
    """The leaf that runs first."""
    node = nodes[0]
    return node if isinstance(node, Leaf) else first_leaf(node.body)
