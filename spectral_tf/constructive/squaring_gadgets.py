r"""Gadgets of `squaring` that `columns` does not have: powers of a matrix, by squaring.

Tokens, and the facts about products, are those of `column_gadgets.py`; here the base
matrix stays in the row `base`, and `a` holds its powers.
"""

import dataclasses

import numpy as np

from spectral_tf.config.wording import counted
from spectral_tf.constructive.column_gadgets import covariance, times
from spectral_tf.constructive.gadgets import (
    GATE,
    Gadget,
    Head,
    ReluMLP,
    assign,
    joined,
    linear_pair,
    no_mlp,
    self_gate,
    stacked,
)
from spectral_tf.constructive.normaliser import Normaliser
from spectral_tf.constructive.register_gadgets import normaliser_mlp, zeros
from spectral_tf.constructive.residual_layout import ResidualLayout, Stream


def diagonal_mlp(layout: ResidualLayout, row: str) -> ReluMLP:
    r"""s += the diagonal entry of the matrix in `row`, on every column token.

    Column token j adds :math:`\sum_m relu(row_j[m] - B\,off_j[m])`, where `off` is 1
    but for a 0 at m = j. There the entry is >= 0 (the matrix is positive
    semi-definite), so relu keeps it; for m != j it is below B, and relu gives 0. (With
    1 - id instead of `off` one sum would hold +B - B and lose digits.)

    Args:
        layout: `squaring_layout`.
        row: of the matrix.

    Returns:
        The MLP, of d units.
    """
    ones = np.ones((1, layout.size(row)))
    # relu(a_j[m] - B 1[m != j]), summed over m, is a_jj
    up = layout.read(row) - layout.read("off", GATE)
    return ReluMLP(up=up, down=layout.write("s") @ ones)


def _diagonal(stream: Stream, row: str) -> np.ndarray:
    entries = np.sum(stream[row] * stream["id"], axis=-1, keepdims=True)
    return np.maximum(entries, 0.0)


def base_covariance(layout: ResidualLayout) -> Gadget:
    r"""base <- Sigma on the column tokens, and the first vector starts.

    The heads of `covariance`; the MLP copies base to a and takes the diagonal.

    Args:
        layout: `squaring_layout`.

    Returns:
        The gadget.
    """
    heads = covariance(layout, "base")

    def semantics(stream: Stream) -> Stream:
        return _restarted(heads.semantics(stream))

    return dataclasses.replace(
        heads,
        mlp=_restart_mlp(layout),
        semantics=semantics,
        explain=(*heads.explain, "mlp: a <- base, s <- its diagonal"),
    )


def _restart_mlp(layout: ResidualLayout) -> ReluMLP:
    return joined(assign(layout, a={"base": 1.0}, s={}), diagonal_mlp(layout, "base"))


def _restarted(stream: Stream) -> Stream:
    return stream | {"a": stream["base"], "s": _diagonal(stream, "base")}


def square(layout: ResidualLayout) -> Gadget:
    r"""A <- A A on the column tokens, and s <- its diagonal.

    Heads +,- : column j reads the columns with score :math:`\langle id_i,a_j\rangle`
    and value :math:`a_i`, to w. The MLP moves a <- w and takes the diagonal of w.

    Args:
        layout: `squaring_layout`.

    Returns:
        The gadget.
    """
    a = layout.read("a")

    def semantics(stream: Stream) -> Stream:
        # (A A)_j = sum_i a_i a_ij
        product = stream["w"] + times(stream["a"], stream["id"], stream["a"])
        after = stream | {"w": product}
        trace = stream["s"] + _diagonal(after, "w")
        return after | {"a": product, "s": trace} | zeros(stream, "w")

    return Gadget(
        name="square",
        heads=linear_pair(a, layout.read("id"), a, layout.write("w")),
        mlp=joined(assign(layout, a={"w": 1.0}, w={}), diagonal_mlp(layout, "w")),
        semantics=semantics,
        explain=(
            "heads 0, 1 (columns read columns): w_j = sum_i a_i a_ji",
            "mlp: a <- w, w <- 0, s <- diagonal entry",
        ),
    )


def trace(layout: ResidualLayout, normaliser: Normaliser) -> Gadget:
    r"""r <- f(tr A) on the column tokens, f the interpolant of 1/t.

    One head with score :math:`col_j\,col_i = 1` and V: s -> t sums the diagonal. The
    MLP adds f(t) to r and resets t and s.

    Args:
        layout: `squaring_layout`.
        normaliser: f, of power 1. After a squaring of a matrix of trace 1 the trace
            lies in [1/d, 1], up to the square of f's error.

    Returns:
        The gadget; r is written where it is read alone, since what a later reset leaves
        of it, in short arithmetic, would be read with it.
    """
    col = layout.read("col")
    head = Head(query=col, key=col, value=layout.read("s"), out=layout.write("t"))
    divide = normaliser_mlp(layout, normaliser, "t", "col")
    mlp = joined(divide, assign(layout, s={}))

    def semantics(stream: Stream) -> Stream:
        # t = sum_j a_jj
        total = stream["t"] + stream["col"] * (stream["col"].T @ stream["s"])
        inverse = stream["r"] + stream["col"] * normaliser(total)
        return stream | {"r": inverse} | zeros(stream, "s", "t")

    return Gadget(
        name="trace",
        heads=(head,),
        mlp=mlp,
        semantics=semantics,
        explain=(
            "head 0 (columns read columns): t = sum_i s_i",
            f"mlp: r <- f(t), f ~ 1/t on {counted(normaliser.num_knots, 'knot')}; s, t "
            "<- 0",
        ),
    )


def scale_columns(layout: ResidualLayout, peak: float) -> Gadget:
    r"""A <- r A on the column tokens.

    One head gated to i = j by the one-hot codes `id`: score :math:`col_j r_i`, V: a ->
    w, exact since r > 0. The MLP moves a <- w and resets r.

    Args:
        layout: `squaring_layout`.
        peak: f(0), the largest value of r; the gate is B = 2 f(0).

    Returns:
        The gadget.

    Source: as `register_gadgets.scale`.
    """
    gate = self_gate(layout, 2 * peak, "id", "col")
    head = Head(
        query=stacked(layout.read("col"), gate[0]),
        key=stacked(layout.read("r"), gate[1]),
        value=layout.read("a"),
        out=layout.write("w"),
    )

    def semantics(stream: Stream) -> Stream:
        scaled = stream["w"] + stream["col"] * stream["r"] * stream["a"]
        return stream | {"a": scaled} | zeros(stream, "w", "r")

    return Gadget(
        name="scale columns",
        heads=(head,),
        mlp=assign(layout, a={"w": 1.0}, w={}, r={}),
        semantics=semantics,
        explain=(
            "head 0 (column to itself): w = r a",
            "mlp: a <- w, w <- 0, r <- 0",
        ),
    )


def worker_norm(layout: ResidualLayout, normaliser: Normaliser) -> Gadget:
    r"""r <- f(|v|^2), f the interpolant of the inverse root, on the worker.

    Score :math:`\langle v,v\rangle`, value `work`; no gate, since only the worker has
    v.

    Args:
        layout: `squaring_layout`.
        normaliser: f, of power 1/2.

    Returns:
        The gadget; r is written where it is read alone, since what a later reset leaves
        of it, in short arithmetic, would be read with it.

    Source: as `register_gadgets.squared_norm`.
    """
    v = layout.read("v")
    head = Head(query=v, key=v, value=layout.read("work"), out=layout.write("t"))

    def semantics(stream: Stream) -> Stream:
        squared = stream["t"] + np.sum(stream["v"] ** 2, axis=-1, keepdims=True)
        inverse = stream["r"] + stream["work"] * normaliser(squared)
        return stream | {"r": inverse} | zeros(stream, "t")

    return Gadget(
        name="norm",
        heads=(head,),
        mlp=normaliser_mlp(layout, normaliser, "t", "work"),
        semantics=semantics,
        explain=(
            "head 0 (worker to itself): t = |v|^2",
            "mlp: r <- f(t), f ~ 1/sqrt(t) on "
            f"{counted(normaliser.num_knots, 'knot')}; t <- 0",
        ),
    )


def scale_worker(layout: ResidualLayout) -> Gadget:
    r"""v <- r v on the worker.

    Score :math:`work_j r_l`, V: v -> w: tokens other than the worker have v = 0 and
    send nothing, whatever their r. The MLP moves v <- w and resets r.

    Args:
        layout: `squaring_layout`.

    Returns:
        The gadget.
    """
    head = Head(
        query=layout.read("work"),
        key=layout.read("r"),
        value=layout.read("v"),
        out=layout.write("w"),
    )

    def semantics(stream: Stream) -> Stream:
        scaled = stream["w"] + stream["work"] * stream["r"] * stream["v"]
        return stream | {"v": scaled} | zeros(stream, "w", "r")

    return Gadget(
        name="scale worker",
        heads=(head,),
        mlp=assign(layout, v={"w": 1.0}, w={}, r={}),
        semantics=semantics,
        explain=("head 0 (worker to itself): w = r v", "mlp: v <- w, w <- 0, r <- 0"),
    )


def worker_rayleigh(layout: ResidualLayout) -> Gadget:
    r"""lam <- <v, w> on the worker, from w = B v, which is >= 0.

    Args:
        layout: `squaring_layout`.

    Returns:
        The gadget.

    Source: as `register_gadgets.rayleigh`.
    """
    head = Head(
        query=layout.read("v"),
        key=layout.read("w"),
        value=layout.read("work"),
        out=layout.write("lam"),
    )

    def semantics(stream: Stream) -> Stream:
        value = np.sum(stream["v"] * stream["w"], axis=-1, keepdims=True)
        return stream | {"lam": stream["lam"] + value}

    return Gadget(
        name="rayleigh",
        heads=(head,),
        mlp=no_mlp(layout),
        semantics=semantics,
        explain=("head 0 (worker to itself): lam = <v, w>", "mlp: nothing"),
    )


def halve(layout: ResidualLayout) -> Gadget:
    r"""w <- w - lam v / 2 on the worker: score lam work >= 0, value -v/2.

    Args:
        layout: `squaring_layout`.

    Returns:
        The gadget.

    Source: as `deflate_columns`.
    """
    head = Head(
        query=layout.read("work"),
        key=layout.read("lam"),
        value=layout.read("v"),
        out=layout.write("w", -0.5),
    )

    def semantics(stream: Stream) -> Stream:
        # z = B v - lam v / 2
        half = stream["work"] * stream["lam"] * stream["v"] / 2
        return stream | {"w": stream["w"] - half}

    return Gadget(
        name="halve",
        heads=(head,),
        mlp=no_mlp(layout),
        semantics=semantics,
        explain=("head 0 (worker to itself): w -= lam v / 2", "mlp: nothing"),
    )


def deflate_columns(layout: ResidualLayout) -> Gadget:
    r"""base <- (I - v v^T) base (I - v v^T), from v and z = base v - lam v / 2.

    With |v| = 1 and :math:`\lambda = v^\top B v`, :math:`(I - vv^\top)B(I - vv^\top) =
    B - v z^\top - z v^\top`: the products of v with :math:`-\lambda v/2` in z add to
    the :math:`+\lambda vv^\top` of the left side. Column i receives :math:`-v z_i` and
    :math:`-z v_i` by two linear heads with scores :math:`\langle id_i, z\rangle` and
    :math:`\langle id_i, v\rangle`. The MLP starts the next vector: a <- base, and s <-
    its diagonal. Symmetric, so the powers that follow stay positive semi-definite,
    whatever the error of v.

    Args:
        layout: `squaring_layout`; z stands in w.

    Returns:
        The gadget.
    """
    code, v, w = (layout.read(name) for name in ("id", "v", "w"))
    out = layout.write("base", -1.0)

    def semantics(stream: Stream) -> Stream:
        # v z^T + z v^T, column i: v z_i + z v_i
        change = (stream["id"] @ stream["w"].T) @ stream["v"]
        change = change + (stream["id"] @ stream["v"].T) @ stream["w"]
        return _restarted(stream | {"base": stream["base"] - change})

    return Gadget(
        name="deflate",
        heads=(*linear_pair(code, w, v, out), *linear_pair(code, v, w, out)),
        mlp=_restart_mlp(layout),
        semantics=semantics,
        explain=(
            "heads 0, 1 (columns read worker): base_i -= v w_i",
            "heads 2, 3 (columns read worker): base_i -= w v_i",
            "mlp: a <- base, s <- its diagonal",
        ),
    )
