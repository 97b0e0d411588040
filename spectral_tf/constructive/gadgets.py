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

Two facts used throughout:

* **linear head**: heads with scores +z and -z and opposite values add to
  :math:`relu(z) V - relu(-z) V = z V`, exactly.
* **gate**: a score term :math:`-B\,1[\text{pair is closed}]` that is exactly zero on
  open pairs closes the others when B exceeds every score there, since relu of a
  negative number is 0. (+B - B instead would round the open scores to ulp(B).)
* **moves**: :math:`z = relu(z) - relu(-z)` makes any linear map exact in a relu MLP.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from spectral_tf.constructive.normaliser import Normaliser
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gadget:
    """One block of the construction.

    Attributes:
        name: shown by `describe`.
        heads: at most two.
        mlp: the moves after the heads.
        semantics: named rows in, named rows out, float64.
        explain: one line per head and for the MLP.
    """

    name: str
    heads: tuple[Head, ...]
    mlp: ReluMLP
    semantics: Callable[[Stream], Stream]
    explain: tuple[str, ...]


def linear_mlp(*maps: tuple[np.ndarray, np.ndarray]) -> ReluMLP:
    """MLP adding `sum write (read h)` over pairs `(write [D, n], read [n, D])`."""
    up = np.concatenate([sign * read for _, read in maps for sign in (1.0, -1.0)])
    down = np.concatenate(
        [sign * write for write, _ in maps for sign in (1.0, -1.0)], axis=1
    )
    return ReluMLP(up=up, down=down)


def _stack(*parts: np.ndarray) -> np.ndarray:
    return np.concatenate(parts, axis=0)


def _linear_heads(
    query: np.ndarray, key: np.ndarray, gates: tuple[np.ndarray, np.ndarray] | None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """(query, key) of the + and - heads; the gate keeps its sign in both."""
    if gates is None:
        return [(query, key), (-query, key)]
    return [(_stack(sign * query, gates[0]), _stack(key, gates[1])) for sign in (1, -1)]


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

    Source: ours; Zhang & Sennrich (2019) for the norm.
    """

    def semantics(stream: Stream) -> Stream:
        after = gadget.semantics(stream)
        length = np.sqrt(np.sum(after["u"] ** 2, axis=-1, keepdims=True) + eps)
        return after | {"u": after["u"] / length}

    explain = (*gadget.explain, "norm: u <- u / |u|")
    return dataclasses.replace(gadget, semantics=semantics, explain=explain)


def multiply(layout: ResidualLayout) -> Gadget:
    r"""U <- Sigma u on every register.

    Heads +,- with Q: u, K: x, V: x -> w give
    :math:`w_j = \sum_i x_i \langle x_i, u_j\rangle = \Sigma u_j` exactly (linear head).
    Registers send nothing, since their x is 0; data tokens receive nothing, since their
    u is 0. The MLP moves :math:`u \leftarrow w,\ w \leftarrow 0`, exactly (moves).

    Args:
        layout: rows of the `register` construction.

    Returns:
        The gadget.

    Source: DESIGN section 5 (ours); He et al. (2025), power iteration layer.
    """
    pairs = _linear_heads(layout.read("u"), layout.read("x"), None)
    heads = tuple(
        Head(query=query, key=key, value=layout.read("x"), out=layout.write("w", sign))
        for (query, key), sign in zip(pairs, (1.0, -1.0), strict=True)
    )

    def semantics(stream: Stream) -> Stream:
        image = (stream["u"] @ stream["x"].T) @ stream["x"]
        return stream | {"u": stream["w"] + image, "w": np.zeros_like(image)}

    return Gadget(
        name="multiply",
        heads=heads,
        mlp=_move_w_to_u(layout),
        semantics=semantics,
        explain=(
            "head 0 (registers read data): w += sum_i x_i relu(<x_i, u>)",
            "head 1 (registers read data): w -= sum_i x_i relu(-<x_i, u>)",
            "mlp: u <- w, w <- 0",
        ),
    )


def _move_w_to_u(
    layout: ResidualLayout, *more: tuple[np.ndarray, np.ndarray]
) -> ReluMLP:
    swap = layout.write("u") - layout.write("w")
    return linear_mlp(
        (layout.write("u", -1.0), layout.read("u")), (swap, layout.read("w")), *more
    )


def _self_gate(layout: ResidualLayout, bound: float) -> tuple[np.ndarray, np.ndarray]:
    """Query and key rows of the gate -B 1[l != j], exactly zero for l = j.

    Receiver j offers :math:`-B(1 - pos_j)`, sender l offers :math:`pos_l`; their inner
    product is :math:`-B(1 - 1[l=j])`. A data receiver has pos = 0, so the gate is
    closed for it against every register.
    """
    k = layout.size("pos")
    ones = np.tile(layout.read("one"), (k, 1))
    return -bound * (ones - layout.read("pos")), layout.read("pos")


def squared_norm(layout: ResidualLayout, normaliser: Normaliser) -> Gadget:
    r"""R <- f(|u|^2) on every register, f the interpolant of the inverse root.

    One head with score :math:`\langle u_j, u_l\rangle` gated to l = j and value `one`
    gives :math:`s_j = |u_j|^2` exactly, since it is >= 0 and relu keeps it; data
    senders have u = 0 and score 0. B must exceed
    :math:`|\langle u_l,u_j\rangle| \le 1`. The MLP adds
    :math:`f(t_m) + \sum_i b_i relu(t_i - s)` to r (r is 0 before) and resets s, which
    is >= 0, with one unit. On data tokens r becomes f(0); nobody reads it.

    Args:
        layout: rows of the `register` construction.
        normaliser: f.

    Returns:
        The gadget. The only approximate one: relative error `normaliser.error_bound`.

    Source: DESIGN section 5 (ours).
    """
    gate_query, gate_key = _self_gate(layout, GATE)
    head = Head(
        query=_stack(layout.read("u"), gate_query),
        key=_stack(layout.read("u"), gate_key),
        value=layout.read("one"),
        out=layout.write("s"),
    )
    hinges = normaliser.knots[:, None] * layout.read("one") - layout.read("s")
    up = _stack(hinges, layout.read("one"), layout.read("s"))
    down = np.concatenate(
        [
            layout.write("r") * normaliser.coefficients[None],
            layout.write("r", normaliser.offset),
            layout.write("s", -1.0),
        ],
        axis=1,
    )

    def semantics(stream: Stream) -> Stream:
        squared = stream["s"] + np.sum(stream["u"] ** 2, axis=-1, keepdims=True)
        inverse = stream["r"] + normaliser(squared)
        return stream | {"s": np.zeros_like(squared), "r": inverse}

    return Gadget(
        name="squared_norm",
        heads=(head,),
        mlp=ReluMLP(up=up, down=down),
        semantics=semantics,
        explain=(
            "head 0 (register to itself): s = |u|^2",
            f"mlp: r <- f(s), f ~ 1/sqrt(s) on {normaliser.num_knots} knots; s <- 0",
        ),
    )


def scale(layout: ResidualLayout, peak: float) -> Gadget:
    r"""U <- r u on every register.

    One head with score :math:`r_l \cdot 1` gated to l = j and V: u -> w gives
    :math:`w_j = r_j u_j` exactly, since r > 0. The gate needs B > r, so B = 2 f(0).
    Data senders have u = 0 and send nothing, whatever their r. The MLP moves
    :math:`u \leftarrow w,\ w \leftarrow 0,\ r \leftarrow 0`.

    Args:
        layout: rows of the `register` construction.
        peak: f(0), the largest value of r.

    Returns:
        The gadget.

    Source: DESIGN section 5 (ours).
    """
    gate_query, gate_key = _self_gate(layout, 2 * peak)
    head = Head(
        query=_stack(layout.read("one"), gate_query),
        key=_stack(layout.read("r"), gate_key),
        value=layout.read("u"),
        out=layout.write("w"),
    )

    def semantics(stream: Stream) -> Stream:
        scaled = stream["w"] + stream["r"] * stream["u"]
        zeros = {"w": np.zeros_like(scaled), "r": np.zeros_like(stream["r"])}
        return stream | {"u": scaled} | zeros

    return Gadget(
        name="scale",
        heads=(head,),
        mlp=_move_w_to_u(layout, (layout.write("r", -1.0), layout.read("r"))),
        semantics=semantics,
        explain=("head 0 (register to itself): w = r u", "mlp: u <- w, w <- 0, r <- 0"),
    )


def deflate(layout: ResidualLayout) -> Gadget:
    r"""Remove from each register what the registers before it hold.

    Heads +,- with score :math:`\pm\langle u_l, u_j\rangle - B\,1[l \ge j]` and V:
    u -> w give :math:`w_j = -\sum_{l<j} u_l\langle u_l,u_j\rangle` exactly: the gate
    term is :math:`\langle pos_l, -B\,low_j\rangle` with
    :math:`low_j[m] = 1[m \ge j]`, zero for l < j, and B exceeds
    :math:`|\langle u_l,u_j\rangle| \le 1` for unit vectors (so deflation comes after
    `scale`). Data tokens have u = 0: they neither send nor receive. The MLP adds w to
    u and resets w.

    Args:
        layout: rows of the `register` construction.

    Returns:
        The gadget.

    Source: DESIGN section 5 (ours); Sanger (1989) for deflating all at once.
    """
    gates = (layout.read("low", -GATE), layout.read("pos"))
    pairs = _linear_heads(layout.read("u"), layout.read("u"), gates)
    heads = tuple(
        Head(query=query, key=key, value=layout.read("u"), out=layout.write("w", sign))
        for (query, key), sign in zip(pairs, (-1.0, 1.0), strict=True)
    )
    add = layout.write("u") - layout.write("w")

    def semantics(stream: Stream) -> Stream:
        rows = stream["u"]
        # low[j, l] = 1[l >= j] on registers; data tokens have u = 0 anyway.
        is_open = 1.0 - stream["low"] @ stream["pos"].T
        overlap = (rows @ rows.T) * is_open
        total = rows + stream["w"] - overlap @ rows
        return stream | {"u": total, "w": np.zeros_like(total)}

    return Gadget(
        name="deflate",
        heads=heads,
        mlp=linear_mlp((add, layout.read("w"))),
        semantics=semantics,
        explain=(
            "head 0 (register j reads l < j): w -= u_l relu(<u_l, u_j>)",
            "head 1 (register j reads l < j): w += u_l relu(-<u_l, u_j>)",
            "mlp: u <- u + w, w <- 0",
        ),
    )
