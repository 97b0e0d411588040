r"""Gadgets of the register compositions: all register tokens iterate at once.

The rows are those of `register_layout`, `rms_layout` and `accelerated_layout`; the
facts that the proofs use stand at the top of `gadgets.py`.
"""

import numpy as np

from spectral_tf.config.wording import counted
from spectral_tf.constructive.gadgets import (
    GATE,
    Gadget,
    Head,
    ReluMLP,
    assign,
    linear_pair,
    no_mlp,
    self_gate,
    stacked,
)
from spectral_tf.constructive.normaliser import Normaliser
from spectral_tf.constructive.residual_layout import ResidualLayout, Stream


def zeros(stream: Stream, *names: str) -> Stream:
    """The named rows, all zero."""
    return {name: np.zeros_like(stream[name]) for name in names}


def is_register(layout: ResidualLayout) -> np.ndarray:
    """`[1, D]` map that reads 1 off a register and 0 off a data token."""
    return np.ones((1, layout.size("pos"))) @ layout.read("pos")


def centre(layout: ResidualLayout) -> Gadget:
    r"""x <- x - mean on every data token.

    Data tokens carry :math:`c = N^{-1/2}`. Heads +,- with score :math:`c_j c_i = 1/N`
    and V: x -> x (minus) add :math:`-\frac1N\sum_i x_i`, exactly (linear head).
    Registers have c = 0: they neither send nor receive.

    Args:
        layout: rows with `x` and `c`.

    Returns:
        The gadget.
    """
    weight, x = layout.read("c"), layout.read("x")

    def semantics(stream: Stream) -> Stream:
        # c_j sum_i c_i x_i = sum_i x_i / N
        mean = stream["c"] * (stream["c"].T @ stream["x"])
        return stream | {"x": stream["x"] - mean}

    return Gadget(
        name="centre",
        heads=linear_pair(weight, weight, x, layout.write("x", -1.0)),
        mlp=no_mlp(layout),
        semantics=semantics,
        explain=(
            "heads 0, 1 (data read data): x -= sum_i x_i / N, scores +-c c = +-1/N",
            "mlp: nothing",
        ),
    )


def multiply(layout: ResidualLayout, *, is_accelerated: bool = False) -> Gadget:
    r"""u <- Sigma u on every register; accelerated: the two-term recursion.

    Heads +,- with Q: u, K: x, V: x -> w give
    :math:`w_j = \sum_i x_i \langle x_i, u_j\rangle = \Sigma u_j` exactly (linear head).
    Registers send nothing, since their x is 0; data tokens receive nothing, since their
    u is 0. The MLP moves :math:`u \leftarrow w,\ w \leftarrow 0`, exactly (moves).

    Accelerated: two more heads gated to l = j have scores :math:`b_l \ge 0` and
    :math:`b_j b_l = b_j^2`, which relu keeps, and add :math:`-\frac12 b u` and
    :math:`-\frac1{16} b^2 p` to w, exactly; the MLP also moves :math:`p \leftarrow u`.
    So :math:`u \leftarrow (\Sigma - b/2) u - (b^2/16) p`: with b = 0 the power method,
    with b > 0 the Chebyshev recursion for [0, b], scaled by :math:`(b/4)^t`.

    Args:
        layout: rows of a register composition.
        is_accelerated: the layout has rows b, p, y.

    Returns:
        The gadget.

    Source: He et al. (2025), power iteration layer; Saad
    (2011), Numerical Methods for Large Eigenvalue Problems, section 7.4 (Chebyshev).
    """
    u, x = layout.read("u"), layout.read("x")
    heads = linear_pair(u, x, x, layout.write("w"))
    explain = (
        "head 0 (registers read data): w += sum_i x_i relu(<x_i, u>)",
        "head 1 (registers read data): w -= sum_i x_i relu(-<x_i, u>)",
    )
    if not is_accelerated:
        mlp = assign(layout, u={"w": 1.0}, w={})
        explain += ("mlp: u <- w, w <- 0",)
    else:
        gate, b = self_gate(layout, GATE), layout.read("b")
        flag = is_register(layout)
        for query, row, factor in ((flag, u, -0.5), (b, None, -1 / 16)):
            head = Head(
                query=stacked(query, gate[0]),
                key=stacked(b, gate[1]),
                value=layout.read("p") if row is None else row,
                out=layout.write("w", factor),
            )
            heads += (head,)
        mlp = assign(layout, p={"u": 1.0}, u={"w": 1.0}, w={})
        explain += (
            "head 2 (register to itself): w -= b u / 2",
            "head 3 (register to itself): w -= b^2 p / 16",
            "mlp: p <- u, u <- w, w <- 0",
        )

    def semantics(stream: Stream) -> Stream:
        # w_j = sum_i x_i <x_i, u_j> = Sigma u_j
        image = stream["w"] + (stream["u"] @ stream["x"].T) @ stream["x"]
        if not is_accelerated:
            return stream | {"u": image} | zeros(stream, "w")
        b = stream["b"]
        # (Sigma - b/2) u - (b^2/16) p
        image = image - b * stream["u"] / 2 - b**2 * stream["p"] / 16
        return stream | {"u": image, "p": stream["u"]} | zeros(stream, "w")

    return Gadget(
        name="multiply", heads=heads, mlp=mlp, semantics=semantics, explain=explain
    )


def normaliser_mlp(
    layout: ResidualLayout, normaliser: Normaliser, s: str, flag: str = "one"
) -> ReluMLP:
    """r += f(s) where `flag` is 1: a unit per knot; s <- 0 by one more, as s >= 0."""
    # t_i - s, of which relu is taken; then f(s) = f(t_m) + sum_i b_i relu(t_i - s)
    hinges = normaliser.knots[:, None] * layout.read(flag) - layout.read(s)
    writes = [
        layout.write("r") * normaliser.coefficients[None],
        layout.write("r", normaliser.offset),
        layout.write(s, -1.0),
    ]
    return ReluMLP(
        up=stacked(hinges, layout.read(flag), layout.read(s)),
        down=np.concatenate(writes, axis=1),
    )


def squared_norm(layout: ResidualLayout, normaliser: Normaliser) -> Gadget:
    r"""r <- f(|u|^2) on every register, f the interpolant of the inverse root.

    One head with score :math:`\langle u_j, u_l\rangle` gated to l = j and value `one`
    gives :math:`s_j = |u_j|^2` exactly, since it is >= 0 and relu keeps it; data
    senders have u = 0 and score 0. B must exceed
    :math:`|\langle u_l,u_j\rangle|`, so it is twice the end of the normaliser's range.
    The MLP adds
    :math:`f(t_m) + \sum_i b_i relu(t_i - s)` to r (r is 0 before) and resets s, which
    is >= 0, with one unit. On data tokens r becomes f(0); nobody reads it.

    Args:
        layout: rows with `u, s, r, one, pos`.
        normaliser: f.

    Returns:
        The gadget. The only approximate one: relative error `normaliser.error_bound`.
    """
    gate = self_gate(layout, 2 * normaliser.high)
    head = Head(
        query=stacked(layout.read("u"), gate[0]),
        key=stacked(layout.read("u"), gate[1]),
        value=layout.read("one"),
        out=layout.write("s"),
    )

    def semantics(stream: Stream) -> Stream:
        squared = stream["s"] + np.sum(stream["u"] ** 2, axis=-1, keepdims=True)
        # r = f(|u|^2)
        inverse = stream["r"] + normaliser(squared)
        return stream | {"s": np.zeros_like(squared), "r": inverse}

    return Gadget(
        name="squared_norm",
        heads=(head,),
        mlp=normaliser_mlp(layout, normaliser, "s"),
        semantics=semantics,
        explain=(
            "head 0 (register to itself): s = |u|^2",
            "mlp: r <- f(s), f ~ 1/sqrt(s) on "
            f"{counted(normaliser.num_knots, 'knot')}; s <- 0",
        ),
    )


def scale(
    layout: ResidualLayout, peak: float, *, is_accelerated: bool = False
) -> Gadget:
    r"""u <- r u on every register (and p <- r p if accelerated).

    One head with score :math:`r_l \cdot 1` gated to l = j and V: u -> w gives
    :math:`w_j = r_j u_j` exactly, since r > 0. The gate needs B > r, so B = 2 f(0).
    Data senders have u = 0 and send nothing, whatever their r. The MLP moves
    :math:`u \leftarrow w,\ w \leftarrow 0,\ r \leftarrow 0`. The accelerated head
    carries p -> y as well, so that the pair (u, p) keeps its ratio.

    Args:
        layout: rows of a register composition.
        peak: f(0), the largest value of r.
        is_accelerated: the layout has rows p, y.

    Returns:
        The gadget.
    """
    gate = self_gate(layout, 2 * peak)
    value, out = _carried(layout, 1.0, is_accelerated)
    head = Head(
        query=stacked(layout.read("one"), gate[0]),
        key=stacked(layout.read("r"), gate[1]),
        value=value,
        out=out,
    )
    past = {"p": {"y": 1.0}, "y": {}} if is_accelerated else {}

    def semantics(stream: Stream) -> Stream:
        # u <- r u, and p <- r p with the same r
        after = stream | {"u": stream["w"] + stream["r"] * stream["u"]}
        if is_accelerated:
            after |= {"p": stream["y"] + stream["r"] * stream["p"]}
            after |= zeros(stream, "y")
        return after | zeros(stream, "w", "r")

    also = (
        ("w = r u, y = r p", "; p <- y, y <- 0") if is_accelerated else ("w = r u", "")
    )
    return Gadget(
        name="scale",
        heads=(head,),
        mlp=assign(layout, u={"w": 1.0}, w={}, r={}, **past),
        semantics=semantics,
        explain=(
            f"head 0 (register to itself): {also[0]}",
            f"mlp: u <- w, w <- 0, r <- 0{also[1]}",
        ),
    )


def _carried(
    layout: ResidualLayout, sign: float, is_accelerated: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Value and out maps u -> w, and p -> y where there is a past."""
    value, out = layout.read("u"), layout.write("w", sign)
    if not is_accelerated:
        return value, out
    past = layout.write("y", sign)
    return stacked(value, layout.read("p")), np.concatenate([out, past], axis=1)


def deflate(layout: ResidualLayout, *, is_accelerated: bool = False) -> Gadget:
    r"""Remove from each register what the registers before it hold.

    Heads +,- with score :math:`\pm\langle u_l, u_j\rangle - B\,1[l \ge j]` and V:
    u -> w give :math:`w_j = -\sum_{l<j} u_l\langle u_l,u_j\rangle` exactly: the gate
    term is :math:`\langle pos_l, -B\,low_j\rangle` with
    :math:`low_j[m] = 1[m \ge j]`, zero for l < j, and B exceeds
    :math:`|\langle u_l,u_j\rangle| \le 1` for unit vectors (so deflation comes after
    `scale`). Data tokens have u = 0: they neither send nor receive. The MLP adds w to
    u and resets w. Accelerated: the same scores combine p (V: p -> y), so that u and p
    stay two iterates of one recursion.

    Args:
        layout: rows of a register composition.
        is_accelerated: the layout has rows p, y.

    Returns:
        The gadget.

    Source: Sanger (1989) for deflating all at once.
    """
    gate = (layout.read("low", -GATE), layout.read("pos"))
    value, out = _carried(layout, -1.0, is_accelerated)
    u = layout.read("u")
    past = {"p": {"p": 1.0, "y": 1.0}, "y": {}} if is_accelerated else {}

    def semantics(stream: Stream) -> Stream:
        rows = stream["u"]
        # low[j, l] = 1[l >= j] on registers; data tokens have u = 0 anyway.
        is_open = 1.0 - stream["low"] @ stream["pos"].T
        # u_j <- u_j - sum_{l<j} u_l <u_l, u_j>
        overlap = (rows @ rows.T) * is_open
        after = stream | {"u": rows + stream["w"] - overlap @ rows}
        if is_accelerated:
            past = stream["p"] + stream["y"] - overlap @ stream["p"]
            after |= {"p": past} | zeros(stream, "y")
        return after | zeros(stream, "w")

    also = "; the same for p" if is_accelerated else ""
    return Gadget(
        name="deflate",
        heads=linear_pair(u, u, value, out, gate),
        mlp=assign(layout, u={"u": 1.0, "w": 1.0}, w={}, **past),
        semantics=semantics,
        explain=(
            f"head 0 (register j reads l < j): w -= u_l relu(<u_l, u_j>){also}",
            f"head 1 (register j reads l < j): w += u_l relu(-<u_l, u_j>){also}",
            f"mlp: u <- u + w, w <- 0{also}",
        ),
    )


def polish(layout: ResidualLayout) -> Gadget:
    r"""One Newton step for the length: u <- (3 - |u|^2) u / 2.

    One head with score :math:`\langle u_j,u_l\rangle` gated to l = j and V: u -> w
    gives :math:`w = |u|^2 u` exactly; the MLP moves
    :math:`u \leftarrow \frac32 u - \frac12 w`. With :math:`|u| = 1 + \epsilon` the new
    length is :math:`1 - \frac32\epsilon^2 - \frac12\epsilon^3`.

    Args:
        layout: rows of a register composition.

    Returns:
        The gadget.

    Source: Newton's iteration for the inverse square root.
    """
    gate, u = self_gate(layout, GATE), layout.read("u")
    head = Head(
        query=stacked(u, gate[0]),
        key=stacked(u, gate[1]),
        value=u,
        out=layout.write("w"),
    )

    def semantics(stream: Stream) -> Stream:
        squared = np.sum(stream["u"] ** 2, axis=-1, keepdims=True)
        # (3 - |u|^2) u / 2
        cubed = stream["w"] + squared * stream["u"]
        return stream | {"u": 1.5 * stream["u"] - 0.5 * cubed} | zeros(stream, "w")

    return Gadget(
        name="polish",
        heads=(head,),
        mlp=assign(layout, u={"u": 1.5, "w": -0.5}, w={}),
        semantics=semantics,
        explain=(
            "head 0 (register to itself): w = |u|^2 u",
            "mlp: u <- (3 u - w) / 2, w <- 0",
        ),
    )


def image(layout: ResidualLayout) -> Gadget:
    r"""w <- Sigma u, and u is kept: the heads of `multiply` without its move.

    Args:
        layout: rows of a register composition.

    Returns:
        The gadget.
    """
    u, x = layout.read("u"), layout.read("x")

    def semantics(stream: Stream) -> Stream:
        # sum_i x_i <x_i, u> = Sigma u
        product = (stream["u"] @ stream["x"].T) @ stream["x"]
        return stream | {"w": stream["w"] + product}

    return Gadget(
        name="image",
        heads=linear_pair(u, x, x, layout.write("w")),
        mlp=no_mlp(layout),
        semantics=semantics,
        explain=("heads 0, 1 (registers read data): w = Sigma u", "mlp: nothing"),
    )


def rayleigh(layout: ResidualLayout) -> Gadget:
    r"""lam <- <u, w> on every register: the eigenvalue, from w = Sigma u.

    One head with score :math:`\langle u_j, w_l\rangle` gated to l = j and value `one`.
    :math:`u^\top \Sigma u \ge 0`, so relu keeps it; and
    :math:`|\langle u_j, \Sigma u_l\rangle| \le 1 < B`. The MLP resets w.

    Args:
        layout: rows of a register composition.

    Returns:
        The gadget. Exact where :math:`|u| = 1`.

    Source: Golub & Van Loan (2013), section 8.2 for the quotient.
    """
    gate = self_gate(layout, GATE)
    head = Head(
        query=stacked(layout.read("u"), gate[0]),
        key=stacked(layout.read("w"), gate[1]),
        value=layout.read("one"),
        out=layout.write("lam"),
    )

    def semantics(stream: Stream) -> Stream:
        value = np.sum(stream["u"] * stream["w"], axis=-1, keepdims=True)
        # <u, Sigma u> with |u| = 1
        return stream | {"lam": stream["lam"] + value} | zeros(stream, "w")

    return Gadget(
        name="rayleigh",
        heads=(head,),
        mlp=assign(layout, w={}),
        semantics=semantics,
        explain=("head 0 (register to itself): lam = <u, w>", "mlp: w <- 0"),
    )


def broadcast(layout: ResidualLayout, factor: float) -> Gadget:
    r"""b <- factor * lam of the last register, on every register; lam <- 0.

    One head with score :math:`1\cdot pos_l[R] = 1[l = R]` and V: lam -> b; the 1 of the
    receiver is the sum of its code, which data tokens do not have. The last register is
    a guard: its quotient estimates an eigenvalue below those asked for.

    Args:
        layout: rows of the accelerated composition.
        factor: in (0, 1).

    Returns:
        The gadget.
    """
    head = Head(
        query=is_register(layout),
        key=layout.read("pos")[-1:],
        value=layout.read("lam"),
        out=layout.write("b", factor),
    )

    def semantics(stream: Stream) -> Stream:
        # sum_l 1[l = R] lam_l
        guard = stream["pos"][:, -1:].T @ stream["lam"]
        flag = np.sum(stream["pos"], axis=-1, keepdims=True)
        bound = stream["b"] + factor * flag * guard
        return stream | {"b": bound} | zeros(stream, "lam")

    return Gadget(
        name="broadcast",
        heads=(head,),
        mlp=assign(layout, lam={}),
        semantics=semantics,
        explain=(
            f"head 0 (registers read the last one): b = {factor:g} lam of it",
            "mlp: lam <- 0",
        ),
    )
