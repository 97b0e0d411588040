"""What is computed, at each place, between which token groups, on which rows.

Register tokens that ever hold the same rows form a group; data tokens form the last
one. A row of a group is *live* if the answer depends on it; nothing else is computed.
"""

import dataclasses
import itertools
from typing import Any

import numpy as np

from spectral_tf.config import ModelConfig
from spectral_tf.constructive.fusion import facts
from spectral_tf.constructive.fusion.maps import (
    Block,
    RawBlock,
    Rows,
    cut_rows,
    raw_block,
)
from spectral_tf.constructive.fusion.order import (
    Leaf,
    Nodes,
    distinct_blocks,
    folded,
    leaves,
    visits,
)
from spectral_tf.constructive.fusion.terms import (
    BlockTerms,
    HeadTerms,
    MlpTerms,
    head_terms,
    mlp_terms,
)

Place = tuple[int, int]
"""(token group, run)."""


@dataclasses.dataclass
class SiteFacts:
    """What holds at every visit of one leaf.

    Attributes:
        before: `[T, runs]` zero before the block.
        middle: `[T, runs]` zero after the attention.
        pairs: `[T, T]` open pairs of each head.
        linear: `[units]` units that are linear.
    """

    before: np.ndarray
    middle: np.ndarray
    pairs: list[np.ndarray]
    linear: np.ndarray

    def join(self, other: "SiteFacts") -> None:
        """Keep what holds in both."""
        self.before &= other.before
        self.middle &= other.middle
        self.pairs = [a | b for a, b in zip(self.pairs, other.pairs, strict=True)]
        self.linear &= other.linear


@dataclasses.dataclass(frozen=True)
class HeadPlan:
    """One head between two groups; constants are cut to their tokens.

    Attributes:
        receiver: group.
        sender: group.
        kind: `relu`, `linear` or `soft`.
        is_diagonal: every token reads itself alone.
        gates: `[h, n, m]`, of h heads that share a score.
        factors: `[h]`.
        by_receiver: run of the sender -> `[n, size]`.
        by_sender: run of the receiver -> `[m, size]`.
        both: (run of the receiver, run of the sender) -> map.
        value: (run, target run) -> map.
        constant: target run -> `[m, size]`.
    """

    receiver: int
    sender: int
    kind: str
    is_diagonal: bool
    gates: np.ndarray
    factors: np.ndarray
    by_receiver: dict[int, np.ndarray]
    by_sender: dict[int, np.ndarray]
    both: dict[tuple[int, int], Block]
    value: dict[tuple[int, int], Block]
    constant: dict[int, np.ndarray]

    def targets(self) -> set[Place]:
        """Rows that it writes."""
        runs = {run for _, run in self.value} | set(self.constant)
        return {(self.receiver, run) for run in runs}

    def sources(self, live: set[Place]) -> set[Place]:
        """Rows that it reads to write what is live."""
        found = {(self.sender, run) for run in self.by_receiver}
        found |= {(self.receiver, run) for run in self.by_sender}
        found |= {(self.receiver, a) for a, _ in self.both}
        found |= {(self.sender, b) for _, b in self.both}
        return found | {
            (self.sender, a) for a, run in self.value if (self.receiver, run) in live
        }


@dataclasses.dataclass(frozen=True)
class MlpPlan:
    """The MLP on one group: cut to its tokens and to rows that may be non-zero."""

    group: int
    terms: MlpTerms

    def targets(self) -> set[Place]:
        """Rows that it writes."""
        terms = self.terms
        runs = {run for _, run in terms.linear} | set(terms.constant) | set(terms.down)
        return {(self.group, run) for run in runs}

    def sources(self, live: set[Place]) -> set[Place]:
        """Rows that it reads to write what is live."""
        found = {
            (self.group, a) for a, run in self.terms.linear if (self.group, run) in live
        }
        if any((self.group, run) in live for run in self.terms.down):
            found |= {(self.group, run) for run in self.terms.up}
        return found


@dataclasses.dataclass(frozen=True)
class SitePlan:
    """One block at one place.

    Attributes:
        heads: between pairs of groups.
        mlps: one for each group that it changes.
        gains: of the norm after the attention, after the MLP.
        zero: rows known to be zero before the block.
    """

    heads: tuple[HeadPlan, ...]
    mlps: tuple[MlpPlan, ...]
    gains: tuple[np.ndarray | None, ...]
    zero: frozenset[Place]

    def written(self) -> set[Place]:
        """Rows that the block may change (norms aside)."""
        parts = (*self.heads, *self.mlps)
        return set().union(*(part.targets() for part in parts))


@dataclasses.dataclass(frozen=True)
class Plan:
    """The whole network.

    Attributes:
        config: the model.
        rows: how the stream is cut.
        groups: slices of the register tokens.
        nodes: the order of the leaves.
        sites: leaf -> what it computes.
        live: rows that matter.
        start: (group, run) -> `[n, size]` register rows before the first block.
        params: outer parameters, float64.
        uses: (run, run) of a moment of the data -> vectors that it multiplies, in all.
    """

    config: ModelConfig
    rows: Rows
    groups: tuple[slice, ...]
    nodes: Nodes
    sites: dict[int, SitePlan]
    live: frozenset[Place]
    start: dict[Place, np.ndarray]
    params: dict[str, np.ndarray]
    uses: dict[tuple[int, int], int]

    @property
    def data(self) -> int:
        """Index of the group of data tokens."""
        return len(self.groups)


MOST_RUNS = 40
"""More runs than this is no structure: dense weights, kept as they are."""


def make_plan(config: ModelConfig, params: Any) -> Plan | None:
    """Analyse a network.

    Args:
        config: dense, joint, relu or linear attention, plain relu MLP.
        params: its parameters.

    Returns:
        The plan; None if the stream falls into too many runs.

    Source: DESIGN of the package, section 5 (ours).
    """
    blocks, order = distinct_blocks(config, params)
    raw = [raw_block(config, block) for block in blocks]
    fixed, runs = cut_rows(config, params, raw)
    if len(runs) > MOST_RUNS:
        return None
    raw = [raw_block(config, block, fixed) for block in blocks]
    outer = {
        name: np.asarray(leaf, np.float64)
        for name, leaf in params.items()
        if name != "blocks"
    }
    registers, bias = outer["registers"], outer["embed_bias"]
    values = np.concatenate([registers[:, fixed], bias[None, fixed]])
    rows = Rows(fixed=fixed, runs=runs, values=values)
    terms = [_block_terms(block, rows) for block in raw]
    nodes = folded(order)
    sites, ever = _follow(nodes, raw, terms, rows, _first_held(rows, outer))
    groups = _token_groups(ever[:-1])
    plans = {
        leaf.site: _site_plan(
            raw[leaf.block], terms[leaf.block], sites[leaf.site], rows, groups
        )
        for leaf in leaves(nodes)
    }
    start = {
        (group, run): registers[tokens, part]
        for group, tokens in enumerate(groups)
        for run, part in enumerate(runs)
        if registers[tokens, part].any()
    }
    live = _live(plans, groups, rows, config, outer)
    uses = _uses(nodes, plans, groups)
    return Plan(config, rows, groups, nodes, plans, live, start, outer, uses)


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


def _block_terms(block: RawBlock, rows: Rows) -> BlockTerms:
    none = np.zeros(block.up.shape[0], bool)
    heads = tuple(head_terms(head, rows) for head in block.heads)
    return BlockTerms(heads, mlp_terms(block, rows, none), block.gains)


def _first_held(rows: Rows, outer: dict[str, np.ndarray]) -> facts.Held:
    """Intervals before the first block."""
    registers, bias = outer["registers"], outer["embed_bias"]
    shape = (len(registers) + 1, len(rows.runs))
    held = facts.Held(np.zeros(shape), np.zeros(shape))
    for run, part in enumerate(rows.runs):
        tokens = np.concatenate([registers[:, part], bias[None, part]])
        held.set(run, (tokens.min(axis=1), tokens.max(axis=1)))
        if outer["embed_kernel"][:, part].any():
            held.lo[-1, run], held.hi[-1, run] = facts.UNKNOWN
    return held


def _follow(
    nodes: Nodes,
    raw: list[RawBlock],
    terms: list[BlockTerms],
    rows: Rows,
    held: facts.Held,
) -> tuple[dict[int, SiteFacts], np.ndarray]:
    """Facts of every leaf, and `[T, runs]` of what is ever not zero."""
    known: dict[Any, tuple[SiteFacts, facts.Held]] = {}
    sites: dict[int, SiteFacts] = {}
    ever = ~held.zero()
    for leaf in visits(nodes):
        signature = (leaf.block, held.lo.tobytes(), held.hi.tobytes())
        if signature not in known:
            known[signature] = _visit(raw[leaf.block], terms[leaf.block], held, rows)
        found, held = known[signature]
        ever |= ~found.middle | ~held.zero()
        if leaf.site in sites:
            sites[leaf.site].join(found)
        else:
            sites[leaf.site] = SiteFacts(
                found.before.copy(), found.middle.copy(), found.pairs, found.linear
            )
    return sites, ever


def _visit(
    block: RawBlock, terms: BlockTerms, held: facts.Held, rows: Rows
) -> tuple[SiteFacts, facts.Held]:
    middle, pairs = facts.after_heads(terms, held, rows)
    middle = facts.after_norm(middle, rows, terms.gains[0])
    after, linear = facts.after_mlp(block, terms.mlp, middle, rows)
    for gain in terms.gains[1:]:
        after = facts.after_norm(after, rows, gain)
    everywhere = np.asarray(linear.all(axis=0))
    return SiteFacts(held.zero(), middle.zero(), pairs, everywhere), after


def _token_groups(ever: np.ndarray) -> tuple[slice, ...]:
    """Neighbouring register tokens that ever hold the same rows."""
    edges = [0, *(np.flatnonzero(np.any(np.diff(ever, axis=0), axis=1)) + 1), len(ever)]
    return tuple(slice(int(a), int(b)) for a, b in itertools.pairwise(edges))


def _site_plan(
    block: RawBlock,
    terms: BlockTerms,
    found: SiteFacts,
    rows: Rows,
    groups: tuple[slice, ...],
) -> SitePlan:
    every = [*groups, slice(len(found.before) - 1, None)]
    heads = []
    for head, pairs in zip(terms.heads, found.pairs, strict=True):
        for receiver, to in enumerate(every):
            for sender, source in enumerate(every):
                if pairs[to, source].any():
                    heads.append(
                        _head_plan(head, (receiver, sender), every, found, pairs)
                    )
    mlp = mlp_terms(block, rows, found.linear)
    mlps = [
        MlpPlan(
            group, _cut_mlp(mlp, tokens, np.asarray(found.middle[tokens].all(axis=0)))
        )
        for group, tokens in enumerate(every)
    ]
    zero = {
        (group, run)
        for group, tokens in enumerate(every)
        for run in np.flatnonzero(found.before[tokens].all(axis=0))
    }
    return SitePlan(
        tuple(heads),
        tuple(plan for plan in mlps if plan.targets()),
        terms.gains,
        frozenset((group, int(run)) for group, run in zero),
    )


def _head_plan(
    head: HeadTerms,
    ends: tuple[int, int],
    every: list[slice],
    found: SiteFacts,
    pairs: np.ndarray,
) -> HeadPlan:
    receiver, sender = ends
    to, source = every[receiver], every[sender]
    zero_here = np.asarray(found.before[to].all(axis=0))
    zero_there = np.asarray(found.before[source].all(axis=0))
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
            run: factors[to]
            for run, factors in head.by_receiver.items()
            if factors[to].any() and not zero_there[run]
        },
        by_sender={
            run: factors[source]
            for run, factors in head.by_sender.items()
            if factors[source].any() and not zero_here[run]
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
            run: values[source]
            for run, values in head.constant.items()
            if values[source].any()
        },
    )


def _cut_mlp(mlp: MlpTerms, tokens: slice, zero: np.ndarray) -> MlpTerms:
    up = {run: matrix for run, matrix in mlp.up.items() if not zero[run]}
    bias = mlp.bias[tokens]
    # A unit that reads only zeros, with a bias of at most 0, is off.
    read = np.zeros(bias.shape[1], bool)
    for matrix in up.values():
        read |= matrix.any(axis=0)
    kept = read | (bias > 0).any(axis=0)
    down = {run: matrix[kept] for run, matrix in mlp.down.items()}
    linear = {(a, b): block for (a, b), block in mlp.linear.items() if not zero[a]}
    constant = {run: values[tokens] for run, values in mlp.constant.items()}
    return MlpTerms(
        linear=linear,
        constant={run: values for run, values in constant.items() if values.any()},
        up={run: matrix[:, kept] for run, matrix in up.items()},
        bias=bias[:, kept],
        down={run: matrix for run, matrix in down.items() if matrix.any()},
    )


def _live(
    plans: dict[int, SitePlan],
    groups: tuple[slice, ...],
    rows: Rows,
    config: ModelConfig,
    outer: dict[str, np.ndarray],
) -> frozenset[Place]:
    """Rows on which the answer depends, by repeated looking back."""
    read = np.asarray(outer["vector_kernel"].any(axis=1))
    if "value_kernel" in outer:
        read |= outer["value_kernel"].any(axis=1)
    live = {
        (group, run)
        for group, tokens in enumerate(groups)
        for run, part in enumerate(rows.runs)
        if tokens.start < config.num_components and read[part].any()
    }
    while True:
        more = set(live)
        for plan in plans.values():
            for part in (*plan.heads, *plan.mlps):
                if part.targets() & live:
                    more |= part.sources(live)
            if any(gain is not None for gain in plan.gains):
                more |= _normed_together(rows, config, more)
        if more == live:
            return frozenset(live)
        live = more


def normed_runs(rows: Rows, config: ModelConfig) -> list[list[int]]:
    """Runs of each group of features that is normalised together."""
    count, size = config.norm_groups or (1, config.width)
    parts = [(size * one, size * (one + 1)) for one in range(count)]
    return [
        [r for r, part in enumerate(rows.runs) if lo <= part.start < hi]
        for lo, hi in parts
    ]


def _normed_together(rows: Rows, config: ModelConfig, live: set[Place]) -> set[Place]:
    found = set()
    for runs in normed_runs(rows, config):
        for group in {group for group, run in live if run in runs}:
            found |= {(group, run) for run in runs}
    return found


def first_leaf(nodes: Nodes) -> Leaf:
    """The leaf that runs first."""
    node = nodes[0]
    return node if isinstance(node, Leaf) else first_leaf(node.body)
