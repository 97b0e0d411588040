r"""Gadgets: one transformer block each, designed as maps between named rows.

A gadget holds what a block needs (heads, MLP), what it means (`semantics`, plain numpy
in float64 on named rows) and what to say about it (`explain`). The proof that weights
and meaning agree stands in the docstring of its function; tests compare the two, and
both with the Flax forward.

Notation: receiver j, sender i (data) or l (registers); score
:math:`\langle Q h_j, K h_i \rangle`, update :math:`\sum_i relu(score) V h_i`, no factor
1/T: the rows were scaled to :math:`\sum_i |x_i|^2 = 1`, so
:math:`\sum_i x_i x_i^\top = S/tr S =: \Sigma`, of which every eigenvalue is <= 1.
(The paper's 1/N is absorbed there, which lets one set of weights serve every N.)

Three facts used throughout:

* **linear head**: heads with scores +z and -z and opposite values add to
  :math:`relu(z) V - relu(-z) V = z V`, exactly.
* **gate**: a score term :math:`-B\,1[\text{pair is closed}]` that is exactly zero on
  open pairs closes the others when B exceeds every score there, since relu of a
  negative number is 0. (+B - B instead would round the open scores to ulp(B).)
* **moves**: :math:`z = relu(z) - relu(-z)` makes any linear map exact in a relu MLP
  (`assign`).
"""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from spectral_tf.constructive.residual_layout import ResidualLayout, Stream

GATE = 4.0
"""B for scores of vectors of length <= 1 (|score| <= 1, and some rounding)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Head:
    """One attention head as maps on a token of width D.

    Attributes:
        query: `[c, D]`, acts on the receiver.
        key: `[c, D]`, acts on the sender.
        value: `[v, D]`, reads the sender.
        out: `[D, v]`, writes the receiver.
    """

    query: np.ndarray
    key: np.ndarray
    value: np.ndarray
    out: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReluMLP:
    """`h + down relu(up h)`: biases come from the row `one`.

    Attributes:
        up: `[M, D]`.
        down: `[D, M]`.
    """

    up: np.ndarray
    down: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Gadget:
    """One block of the construction; the same one wherever this very object stands.

    Attributes:
        name: what programs and explanations call it.
        heads: what attention adds.
        mlp: the moves after the heads; `no_mlp` where there are none.
        semantics: named rows in, named rows out, float64.
        explain: one line per head and for the MLP.
    """

    name: str
    heads: tuple[Head, ...]
    mlp: ReluMLP
    semantics: Callable[[Stream], Stream]
    explain: tuple[str, ...]


def no_mlp(layout: ResidualLayout) -> ReluMLP:
    """An MLP without hidden units."""
    return ReluMLP(up=np.zeros((0, layout.width)), down=np.zeros((layout.width, 0)))


def joined(*mlps: ReluMLP) -> ReluMLP:
    """The hidden units of several MLPs, side by side: their updates add."""
    return ReluMLP(
        up=np.concatenate([mlp.up for mlp in mlps]),
        down=np.concatenate([mlp.down for mlp in mlps], axis=1),
    )


def assign(layout: ResidualLayout, **rows: Mapping[str, float]) -> ReluMLP:
    r"""MLP after which each named row is a combination of old rows, exactly (moves).

    `assign(layout, u={"w": 1.0}, w={})` is :math:`u \leftarrow w, w \leftarrow 0`.

    Args:
        layout: the rows.
        **rows: row -> {old row of the same size: coefficient}.

    Returns:
        The MLP, of two units per entry of an assigned row.
    """
    reads, writes = [], []
    for name, sources in rows.items():
        change = sum(
            (layout.read(source, factor) for source, factor in sources.items()),
            layout.read(name, -1.0),
        )
        for sign in (1.0, -1.0):
            reads.append(sign * change)
            writes.append(layout.write(name, sign))
    return ReluMLP(
        up=np.concatenate(reads, axis=0), down=np.concatenate(writes, axis=1)
    )


def stacked(*parts: np.ndarray) -> np.ndarray:
    """Rows of several maps, one below the other: their scores add."""
    return np.concatenate(parts, axis=0)


def linear_pair(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    out: np.ndarray,
    gate: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[Head, Head]:
    """The + and - heads of a linear head; a gate keeps its sign in both."""
    heads = []
    for sign in (1.0, -1.0):
        signed, plain = sign * query, key
        if gate is not None:
            signed, plain = stacked(signed, gate[0]), stacked(key, gate[1])
        heads.append(Head(query=signed, key=plain, value=value, out=sign * out))
    return heads[0], heads[1]


def self_gate(
    layout: ResidualLayout, bound: float, code: str = "pos", flag: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    r"""Query and key rows of the gate -B 1[l != j], exactly zero for l = j.

    Receiver j offers :math:`-B(1 - code_j)`, sender l offers :math:`code_l`, with
    one-hot codes; their inner product is :math:`-B(1 - 1[l=j])`. A receiver without a
    code (a data token, where 1 is the row `one`) is closed against every coded sender.

    Args:
        layout: the rows.
        bound: B, above every score that must be closed.
        code: row of the one-hot codes.
        flag: row that is 1 on the receivers; None takes `one`.

    Returns:
        `(query rows, key rows)`.
    """
    codes = layout.size(code)
    ones = np.ones((codes, 1)) @ layout.read(flag or "one")
    return bound * (layout.read(code) - ones), layout.read(code)


def followed_by_norm(gadget: Gadget, eps: float) -> Gadget:
    r"""The same block in a network that normalises u after each of its sublayers.

    The post-norm of the module, restricted to the rows of u (`norm_groups=(1, d)`,
    gain :math:`d^{-1/2}`), is :math:`u \leftarrow u/\sqrt{|u|^2+\epsilon}` and leaves
    every other row alone. *After the attention sublayer* it changes nothing: u was not
    written, and is of unit length (or zero) since the sublayer before. *After the MLP*
    it normalises what was moved into u. Data tokens have u = 0, which stays 0, and
    their x is not covered, so S is untouched. The only error is
    :math:`\epsilon / 2|u|^2`, relative.

    Args:
        gadget: a block that writes u in its MLP only.
        eps: `ModelConfig.norm_eps`.

    Returns:
        The gadget, with the norm in its meaning.

    Source: Zhang & Sennrich (2019) for the norm.
    """

    def semantics(stream: Stream) -> Stream:
        after = gadget.semantics(stream)
        length = np.sqrt(np.sum(after["u"] ** 2, axis=-1, keepdims=True) + eps)
        return after | {"u": after["u"] / length}

    explain = (*gadget.explain, "norm: u <- u / |u|")
    return dataclasses.replace(gadget, semantics=semantics, explain=explain)
