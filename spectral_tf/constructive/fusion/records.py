"""What a plan is made of: at each place, what is computed between which token groups.

All of it is constants and sets of indices; a plan prints itself, see `plan.py`.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from spectral_tf.config import ModelConfig
from spectral_tf.constructive.fusion.maps import Block, Partition
from spectral_tf.constructive.fusion.order import Leaf, Nodes
from spectral_tf.constructive.fusion.terms import MlpTerms

Place = tuple[int, int]
"""(token group, span)."""


@dataclasses.dataclass
class SiteFacts:
    """What holds at every visit of one leaf.

    Attributes:
        before: `[T, spans]` zero before the block.
        middle: `[T, spans]` zero after the attention.
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
        by_receiver: span of the sender -> `[n, size]`.
        by_sender: span of the receiver -> `[m, size]`.
        both: (span of the receiver, span of the sender) -> map.
        value: (span, target span) -> map.
        constant: target span -> `[m, size]`.
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

    def text(self, live: frozenset[Place]) -> str:
        """What it adds to the live spans, as formulas."""
        scores = [f"<s{a}, s{b}>" for a, b in self.both]
        scores += [f"<fixed, s{b}>" for b in self.by_receiver]
        scores += [f"<s{a}, fixed>" for a in self.by_sender]
        score = " + ".join(scores) or "fixed"
        if self.gates.any() and scores:
            score += " + gate"
        score = score if self.kind == "linear" else f"{self.kind}({score})"
        values = [(target, f"s{source}") for source, target in self.value]
        values += [(target, "fixed") for target in self.constant]
        return "; ".join(
            f"s{target} += {score} {value}"
            for target, value in values
            if (self.receiver, target) in live
        )

    def targets(self) -> set[Place]:
        """Rows that it writes."""
        spans = {span for _, span in self.value} | set(self.constant)
        return {(self.receiver, span) for span in spans}

    def sources(self, live: set[Place]) -> set[Place]:
        """Rows that it reads to write what is live."""
        places = {(self.sender, span) for span in self.by_receiver}
        places |= {(self.receiver, span) for span in self.by_sender}
        places |= {(self.receiver, a) for a, _ in self.both}
        places |= {(self.sender, b) for _, b in self.both}
        return places | {
            (self.sender, a) for a, span in self.value if (self.receiver, span) in live
        }


@dataclasses.dataclass(frozen=True)
class MlpPlan:
    """The MLP on one group: cut to its tokens and to rows that may be non-zero."""

    group: int
    terms: MlpTerms

    def text(self, live: frozenset[Place]) -> str:
        """What it adds to the live spans, as formulas."""
        parts: dict[int, list[str]] = {}
        for (source, target), block in self.terms.linear.items():
            factor = "M" if isinstance(block, np.ndarray) else f"{block:g}"
            parts.setdefault(target, []).append(f"{factor} s{source}")
        for target in self.terms.constant:
            parts.setdefault(target, []).append("fixed")
        for target, matrix in self.terms.down.items():
            parts.setdefault(target, []).append(f"{len(matrix)} relu units")
        return "; ".join(
            f"s{target} += {' + '.join(terms)}"
            for target, terms in parts.items()
            if (self.group, target) in live
        )

    def targets(self) -> set[Place]:
        """Rows that it writes."""
        terms = self.terms
        spans = (
            {span for _, span in terms.linear} | set(terms.constant) | set(terms.down)
        )
        return {(self.group, span) for span in spans}

    def sources(self, live: set[Place]) -> set[Place]:
        """Rows that it reads to write what is live."""
        places = {
            (self.group, a)
            for a, span in self.terms.linear
            if (self.group, span) in live
        }
        if any((self.group, span) in live for span in self.terms.down):
            places |= {(self.group, span) for span in self.terms.up}
        return places


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
        partition: how the stream is cut.
        groups: slices of the register tokens.
        nodes: the order of the leaves.
        sites: leaf -> what it computes.
        live: rows that matter.
        start: (group, span) -> `[n, size]` register rows before the first block.
        params: outer parameters, float64.
        uses: (span, span) of a moment of the data -> vectors that it multiplies.
    """

    config: ModelConfig
    partition: Partition
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

    def __str__(self) -> str:
        """Spans, token groups, and what every block computes; s1 is span 1."""
        spans = [
            f"s{span} {part.start}:{part.stop}"
            for span, part in enumerate(self.partition.spans)
        ]
        groups = [
            f"{group} is registers {part.start}:{part.stop}"
            for group, part in enumerate(self.groups)
        ]
        groups.append(f"{self.data} is data")
        head = [f"spans: {', '.join(spans)}", f"groups: {', '.join(groups)}"]
        return "\n".join([*head, *self._lines(self.nodes)])

    def _lines(self, nodes: Nodes) -> Iterator[str]:
        for node in nodes:
            if not isinstance(node, Leaf):
                yield f"{node.times} times:"
                yield from (f"    {line}" for line in self._lines(node.body))
                continue
            yield f"block {node.block}"
            site = self.sites[node.site]
            for head in site.heads:
                if head.targets() & self.live:
                    ends = f"{head.receiver} reads {head.sender}"
                    yield f"    {ends}: {head.text(self.live)}"
            for mlp in site.mlps:
                if mlp.targets() & self.live:
                    yield f"    {mlp.group} mlp: {mlp.text(self.live)}"
