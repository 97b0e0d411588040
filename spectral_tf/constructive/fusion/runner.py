"""Executing a plan: arrays for live rows, loops as scans, moments of the data once."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from spectral_tf.constructive.fusion.maps import Block
from spectral_tf.constructive.fusion.order import Leaf, Nodes, Repeat, leaves
from spectral_tf.constructive.fusion.plan import (
    first_leaf,
    is_short,
    makes_unit,
    normed_spans,
)
from spectral_tf.constructive.fusion.records import HeadPlan, MlpPlan, Place, Plan
from spectral_tf.model.attention import unit_rows
from spectral_tf.model.inputs import ScaledRows as Inputs
from spectral_tf.model.inputs import embedded_rows
from spectral_tf.model.products import small_products

State = dict[Place, Any]
ONE = -1
"""Stands for the constant 1 among the spans of data tokens, in a moment."""
THIN = 1.5
"""Cost of a multiplication by a few vectors over one in a large product."""


class Runner:
    """One evaluation of a plan on one instance. _Unbatched_."""

    def __init__(self, plan: Plan, inputs: Inputs, masked: bool) -> None:
        self.plan, self.inputs, self.masked = plan, inputs, masked
        self.einsum = small_products(plan.config, tpu_only=True)
        self.dtype = inputs.x.dtype
        self.moments: dict[tuple[int, int], Any] = {}
        # Whether every row that a norm covers is of unit length, or 0.
        self.is_normed = False
        self.is_idempotent = makes_unit(plan, float(jnp.finfo(self.dtype).eps))

    def constant(self, values: np.ndarray) -> Any:
        """A constant in the type of the data."""
        return jnp.asarray(values, self.dtype)

    def start(self) -> State:
        """Live rows before the first block."""
        state: State = {
            place: self.constant(values)
            for place, values in self.plan.start.items()
            if place in self.plan.live
        }
        kernel, bias = self.plan.params["embed_kernel"], self.plan.params["embed_bias"]
        features = embedded_rows(self.plan.config, self.inputs)
        for span, part in enumerate(self.plan.partition.spans):
            place = (self.plan.data, span)
            if place not in self.plan.live:
                continue
            if not (kernel[:, part].any() or bias[part].any()):
                continue
            rows = self._embedded(features, kernel[:, part])
            state[place] = rows + self.constant(bias[part])[None]
        return state

    def _embedded(self, features: Any, kernel: np.ndarray) -> Any:
        used = np.flatnonzero(kernel.any(axis=1))
        low, high = (used[0], used[-1] + 1) if len(used) else (0, 0)
        inner = kernel[low:high]
        if (
            np.array_equal(inner, np.eye(*inner.shape))
            and high - low == kernel.shape[1]
        ):
            return features[:, low:high]
        return self.einsum("nf,fs->ns", features, self.constant(kernel))

    def nodes(self, nodes: Nodes, state: State) -> State:
        """Run some nodes."""
        for node in nodes:
            if isinstance(node, Leaf):
                state = self.block(node, state)
            elif is_short(self.plan, node):
                for _ in range(node.times):
                    state = self.nodes(node.body, state)
            else:
                state = self.loop(node, state)
        return state

    def loop(self, node: Repeat, state: State) -> State:
        """Run a loop as a scan; rows that the body does not write stay outside."""
        sites = [self.plan.sites[leaf.site] for leaf in leaves(node.body)]
        written = set().union(*(site.written() for site in sites))
        has_norm = any(gain is not None for site in sites for gain in site.gains)
        has_norm, is_normed = has_norm and not self.is_normed, self.is_normed
        data = self.plan.data
        is_inside = lambda place: place in written or (has_norm and place[0] != data)
        zero = self.plan.sites[first_leaf(node.body).site].zero
        for head in (head for site in sites for head in site.heads):
            if self._is_reassociated(head):
                self._prepare(head, state, written)
        outside = {p: rows for p, rows in state.items() if not is_inside(p)}
        moments = dict(self.moments)

        def body(inside: State, _: None) -> tuple[State, None]:
            self.moments, self.is_normed = dict(moments), is_normed
            after = self.nodes(node.body, outside | inside)
            after = {p: r for p, r in after.items() if p not in outside}
            # What is gone is zero: the carry keeps its shape.
            gone = {p: jnp.zeros_like(r) for p, r in inside.items() if p not in after}
            # A row that is zero before every turn can come to be in the last one.
            return after | gone, None

        inside = {p: r for p, r in state.items() if is_inside(p) and p not in zero}
        inside = self._closed_carry(body, inside)
        finished, _ = jax.lax.scan(body, inside, None, length=node.times)
        self.moments = moments
        return outside | finished

    def _closed_carry(self, body: Any, inside: State) -> State:
        """Add zeros for rows that come to be in the body, until there are no more."""
        while True:
            after, _ = jax.eval_shape(body, inside, None)
            new = {
                place: jnp.zeros(leaf.shape, leaf.dtype)
                for place, leaf in after.items()
                if place not in inside
            }
            if not new:
                return inside
            inside = inside | new

    def block(self, leaf: Leaf, state: State) -> State:
        """Run one block."""
        site = self.plan.sites[leaf.site]
        state = {place: rows for place, rows in state.items() if place not in site.zero}
        updates: dict[Place, list[Any]] = {}
        for head in site.heads:
            wanted = head.targets() & self.plan.live
            if wanted:
                self.head(head, wanted, state, updates)
        state = self._added(state, updates)
        state = self.norm(state, site.gains[0], set(updates))
        for mlp in site.mlps:
            state = self.mlp(mlp, state)
        written = set().union(*(mlp.targets() for mlp in site.mlps))
        for gain in site.gains[1:]:
            state = self.norm(state, gain, written)
        return state

    def _added(self, state: State, updates: dict[Place, list[Any]]) -> State:
        state = dict(state)
        for place, terms in updates.items():
            total = terms[0]
            for term in terms[1:]:
                total = total + term
            self._put(state, place, state[place] + total if place in state else total)
        return state

    def _put(self, state: State, place: Place, rows: Any) -> None:
        if place[0] == self.plan.data:
            if len(rows) == 1:
                rows = jnp.broadcast_to(rows, (len(self.inputs.x), rows.shape[1]))
            self.moments = {
                pair: moment
                for pair, moment in self.moments.items()
                if place[1] not in pair
            }
        state[place] = rows

    # Heads -----------------------------------------------------------------------

    def head(
        self,
        head: HeadPlan,
        wanted: set[Place],
        state: State,
        updates: dict[Place, list[Any]],
    ) -> None:
        """Add what one head sends to the live rows of its receivers."""
        if self._is_reassociated(head):
            sums = self.reassociated(head, wanted, state)
        else:
            sums = self.direct(head, wanted, state)
        for span, rows in sums.items():
            if self.plan.config.attention_scale == "mean":
                rows = rows / self._num_tokens()
            updates.setdefault((head.receiver, span), []).append(rows)

    def _is_reassociated(self, head: HeadPlan) -> bool:
        """Whether a head goes by moments of the data: linear, and cheaper so.

        Few vectors and few loops over many columns are cheaper one by one.
        """
        if head.sender != self.plan.data or head.kind != "linear":
            return False
        if head.receiver == self.plan.data:
            return True
        moments, vectors, count = 0, 0, len(self.inputs.x)
        for key in {*head.by_receiver, *(b for _, b in head.both)}:
            for source, _ in head.value:
                a, b = self.plan.partition.size(key), self.plan.partition.size(source)
                uses = self.plan.uses[key, source]
                moments += (count + uses) * a * b
                vectors += count * uses * (a + b)
        return THIN * vectors >= moments

    def _num_tokens(self) -> Any:
        registers = self.plan.groups[-1].stop
        return jnp.sum(self.inputs.mask) + registers

    def direct(
        self, head: HeadPlan, wanted: set[Place], state: State
    ) -> dict[int, Any]:
        """Scores first: `[n, m]` weights times what the senders send."""
        weights = self._weights(head, state)
        sums: dict[int, Any] = {}
        for target, value in self._values(head, wanted, state).items():
            sums[target] = self._mixed(head, weights, value)
        return sums

    def _weights(self, head: HeadPlan, state: State) -> Any:
        gates = head.gates
        if head.is_diagonal:
            gates = np.diagonal(gates, axis1=1, axis2=2)[:, :, None]
        score = self._score(head, state)
        if score is None:
            if head.kind == "soft":
                return np.zeros_like(gates[0])
            values = gates if head.kind == "linear" else np.maximum(gates, 0.0)
            return np.tensordot(head.factors, values, axes=1)
        if len(gates) > 1:
            # sum_h factor_h relu(z + g_h)
            hinges = jax.nn.relu(score[None] + self.constant(gates))
            return self.einsum("h,hnm->nm", self.constant(head.factors), hinges)
        bias = self.constant(gates[0]) if gates.any() else None
        # z + g, and for `soft` relu(z + g) - relu(g - z)
        plus = score if bias is None else score + bias
        if head.kind == "linear" or (head.kind == "soft" and bias is None):
            return plus
        if head.kind == "relu":
            return jax.nn.relu(plus)
        assert bias is not None
        return jax.nn.relu(plus) - jax.nn.relu(bias - score)

    def _score(self, head: HeadPlan, state: State) -> Any | None:
        """Inner products that depend on the data; None if there are none."""
        terms = []
        for span, factors in head.by_receiver.items():
            rows = state.get((head.sender, span))
            if rows is not None:
                terms.append(self._product(factors, rows, head.is_diagonal))
        for span, factors in head.by_sender.items():
            rows = state.get((head.receiver, span))
            if rows is not None:
                product = self._product(factors, rows, head.is_diagonal)
                terms.append(product if head.is_diagonal else product.T)
        for (a, b), block in head.both.items():
            query, key = state.get((head.receiver, a)), state.get((head.sender, b))
            if query is None or key is None:
                continue
            query = self._mapped(query, block)
            if head.is_diagonal:
                terms.append(jnp.sum(query * key, axis=1, keepdims=True))
            else:
                terms.append(self.einsum("ns,ms->nm", query, key))
        return sum(terms[1:], terms[0]) if terms else None

    def _product(self, factors: np.ndarray, rows: Any, is_diagonal: bool) -> Any:
        """`factors rows^T` `[n, m]`, or its diagonal `[n, 1]`."""
        count, size = factors.shape
        if is_diagonal:
            return jnp.sum(self.constant(factors) * rows, axis=1, keepdims=True)
        if size == 1:
            return self.constant(factors) * rows.T
        if count == size and np.array_equal(factors, factors[0, 0] * np.eye(size)):
            return float(factors[0, 0]) * rows.T if factors[0, 0] != 1 else rows.T
        return self.einsum("ns,ms->nm", self.constant(factors), rows)

    def _mapped(self, rows: Any, block: Block) -> Any:
        if not isinstance(block, np.ndarray):
            return rows if block == 1.0 else block * rows
        return self.einsum("ns,st->nt", rows, self.constant(block))

    def _values(
        self, head: HeadPlan, wanted: set[Place], state: State
    ) -> dict[int, Any]:
        sent: dict[int, Any] = {}
        for (source, target), block in head.value.items():
            rows = state.get((head.sender, source))
            if rows is not None and (head.receiver, target) in wanted:
                value = self._mapped(rows, block)
                sent[target] = sent[target] + value if target in sent else value
        for target, values in head.constant.items():
            if (head.receiver, target) in wanted:
                value: Any = values
                if head.sender == self.plan.data:
                    shape = (len(self.inputs.x), values.shape[1])
                    value = jnp.broadcast_to(self.constant(values), shape)
                sent[target] = sent[target] + value if target in sent else value
        if head.sender == self.plan.data and self.masked:
            return {
                t: jnp.where(self.inputs.mask[:, None], v, 0.0) for t, v in sent.items()
            }
        return sent

    def _mixed(self, head: HeadPlan, weights: Any, value: Any) -> Any:
        if head.is_diagonal:
            return jnp.asarray(weights, self.dtype) * value
        if isinstance(weights, np.ndarray):
            count = len(weights)
            is_square = head.sender != self.plan.data and count == weights.shape[1]
            if is_square and np.array_equal(weights, np.eye(count)):
                return value
            weights = self.constant(weights)
        if isinstance(value, np.ndarray):
            if value.shape[1] == 1 and np.all(value == value[0]):  # a sum of weights
                total = jnp.sum(weights, axis=1, keepdims=True)
                return float(value[0, 0]) * total if value[0, 0] != 1 else total
            value = self.constant(value)
        if weights.shape[1] == 1:  # one sender, or data tokens that all weigh the same
            return weights * jnp.sum(value, axis=0, keepdims=True)
        return self.einsum("nm,mt->nt", weights, value)

    # Linear heads that read the data ------------------------------------------------

    def _factors(self, head: HeadPlan, state: State) -> dict[int, Any]:
        """The score, linear in each sender: span of the data -> `[n, size]`."""
        scores: dict[int, Any] = {
            span: self.constant(factors) for span, factors in head.by_receiver.items()
        }
        for (a, b), block in head.both.items():
            rows = state.get((head.receiver, a))
            if rows is not None:
                term = self._mapped(rows, block)
                scores[b] = scores[b] + term if b in scores else term
        constant = self.constant(head.gates[0]) if head.gates.any() else None
        for span, factors in head.by_sender.items():
            rows = state.get((head.receiver, span))
            if rows is not None:
                term = self.einsum("ns,ms->nm", rows, self.constant(factors))
                constant = term if constant is None else constant + term
        if constant is not None:
            scores[ONE] = constant
        return scores

    def reassociated(
        self, head: HeadPlan, wanted: set[Place], state: State
    ) -> dict[int, Any]:
        """Moments first, `sum_i key_i value_i^T`, then each receiver: O(N)."""
        sums: dict[int, Any] = {}
        factors = self._factors(head, state)
        sources = [
            (source, target, block)
            for (source, target), block in head.value.items()
            if (head.receiver, target) in wanted and (self.plan.data, source) in state
        ]
        sources += [
            (ONE, target, values)
            for target, values in head.constant.items()
            if (head.receiver, target) in wanted
        ]
        for source, target, block in sources:
            for key, factor in factors.items():
                if key != ONE and (self.plan.data, key) not in state:
                    continue
                mixed = self.einsum(
                    "ns,st->nt", factor, self.moment(key, source, state)
                )
                mixed = self._mapped(mixed, block)
                sums[target] = sums[target] + mixed if target in sums else mixed
        return sums

    def moment(self, key: int, source: int, state: State) -> Any:
        """`[size, size]` sum over data tokens of the outer product of two spans."""
        if (key, source) in self.moments:
            return self.moments[key, source]
        left, right = self._of_data(key, state), self._of_data(source, state)
        if min(left.shape[1], right.shape[1]) == 1:  # a sum, which fuses with its input
            moment = jnp.sum(left * right, axis=0, keepdims=True)
            moment = moment.reshape(left.shape[1], right.shape[1])
        else:
            moment = self.einsum("ns,nt->st", left, right)
        self.moments[key, source] = moment
        return moment

    def _of_data(self, span: int, state: State) -> Any:
        valid = self.inputs.mask[:, None]
        if span == ONE:
            return valid.astype(self.dtype)
        rows = state[self.plan.data, span]
        return jnp.where(valid, rows, 0.0) if self.masked else rows

    def _prepare(self, head: HeadPlan, state: State, written: set[Place]) -> None:
        """Moments that a loop needs and does not change, before it starts."""
        data = self.plan.data
        keys = {*head.by_receiver, *(b for _, b in head.both)}
        keys |= {ONE} if head.by_sender or head.gates.any() else set()
        sources = {a for a, _ in head.value} | ({ONE} if head.constant else set())
        for key in keys:
            for source in sources:
                used = {(data, span) for span in (key, source) if span != ONE}
                if not used & written and used <= set(state):
                    self.moment(key, source, state)

    # MLP and norm -------------------------------------------------------------------

    def mlp(self, plan: MlpPlan, state: State) -> State:
        """Run the MLP on one group."""
        group, terms = plan.group, plan.terms
        wanted = plan.targets() & self.plan.live
        if not wanted:
            return state
        new: dict[int, Any] = {}
        for _, span in wanted:
            new[span] = self._linear(plan, span, state)
        hidden = (
            self._hidden(plan, state) if any(r in new for r in terms.down) else None
        )
        if hidden is not None:
            for span, matrix in terms.down.items():
                if span in new:
                    more = self._projected(hidden, matrix)
                    new[span] = more if new[span] is None else new[span] + more
        after = {p: r for p, r in state.items() if p[0] != group or p[1] not in new}
        for span, rows in new.items():
            if rows is not None:
                self._put(after, (group, span), rows)
        return after

    def _linear(self, plan: MlpPlan, target: int, state: State) -> Any | None:
        """The new rows without hidden units; None if they are zero."""
        group, gain, total = plan.group, 1.0, None
        for (source, to), block in plan.terms.linear.items():
            rows = state.get((group, source))
            if to != target or rows is None:
                continue
            if source == target and isinstance(block, float):
                gain += block
                continue
            term = self._mapped(rows, block)
            total = term if total is None else total + term
        rows = state.get((group, target))
        if rows is not None and gain != 0.0:
            term = self._mapped(rows, gain)
            total = term if total is None else total + term
        if target in plan.terms.constant:
            term = self.constant(plan.terms.constant[target])
            total = term if total is None else total + term
        return total

    def _hidden(self, plan: MlpPlan, state: State) -> Any:
        total = self.constant(plan.terms.bias)
        for span, matrix in plan.terms.up.items():
            rows = state.get((plan.group, span))
            if rows is None:
                continue
            size, units = matrix.shape
            if size == 1:
                term = rows * self.constant(matrix)
            elif size == units and np.array_equal(matrix, matrix[0, 0] * np.eye(size)):
                term = rows if matrix[0, 0] == 1.0 else float(matrix[0, 0]) * rows
            else:
                term = self.einsum("ns,su->nu", rows, self.constant(matrix))
            total = total + term
        return jax.nn.relu(total)

    def _projected(self, hidden: Any, matrix: np.ndarray) -> Any:
        if matrix.shape[1] == 1:
            return jnp.sum(hidden * self.constant(matrix.T), axis=1, keepdims=True)
        return self.einsum("nu,us->ns", hidden, self.constant(matrix))

    def norm(self, state: State, gain: np.ndarray | None, written: set[Place]) -> State:
        """The post-norm of what is written, and first of all that is there."""
        if gain is None:
            return state
        state, config = dict(state), self.plan.config
        touched = written if self.is_normed else set(state)
        for spans in normed_spans(self.plan.partition, config):
            for group in {group for group, span in state if span in spans}:
                if any((group, span) in touched for span in spans):
                    self._normed(state, group, spans, gain)
        self.is_normed = self.is_idempotent
        return state

    def _normed(
        self, state: State, group: int, spans: list[int], gain: np.ndarray
    ) -> None:
        held = [span for span in spans if (group, span) in state]
        size = sum(self.plan.partition.size(span) for span in spans)
        joined = jnp.concatenate([state[group, span] for span in held], axis=1)
        parts = [gain[self.plan.partition.spans[span]] for span in held]
        scale = self.constant(size**0.5 * np.concatenate(parts))
        config = self.plan.config
        joined = unit_rows(joined, config.norm_eps, config.norm_floor) * scale[None]
        first = 0
        for span in held:
            width = self.plan.partition.size(span)
            self._put(state, (group, span), joined[:, first : first + width])
            first += width
