r"""Gadgets of `columns` and `squaring`: d column tokens hold a matrix.

Four kinds of token (see `columns_layout`):

* data tokens hold x;
* **column** token i holds column i of a matrix A in its row a, and e_i in `id`;
* the one **worker** holds the vector that iterates, in v;
* the k **ring** tokens hold, in q, first start vectors and in the end the answers.

Every matrix product is a linear head (`gadgets.py`):

* :math:`A v = \sum_i a_i v_i`: the worker reads the columns, score
  :math:`\langle id_i, v\rangle = v_i`, value :math:`a_i`;
* :math:`(A B)_j = \sum_i a_i B_{ij}`: column j reads the columns, score
  :math:`\langle id_i, b_j\rangle`, value :math:`a_i`.

Rows that belong to one kind of token are 0 on the others, so nobody else takes part.
"""

import numpy as np

from spectral_tf.constructive.gadgets import (
    Gadget,
    Head,
    assign,
    linear_pair,
    no_mlp,
    stacked,
)
from spectral_tf.constructive.normaliser import Normaliser
from spectral_tf.constructive.register_gadgets import zeros
from spectral_tf.constructive.residual_layout import ResidualLayout, Stream


def _wide(*outs: np.ndarray) -> np.ndarray:
    """Several `out` maps side by side."""
    return np.concatenate(outs, axis=1)


def times(matrix: np.ndarray, codes: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """`A v` for every token's v, from the tokens' columns and codes."""
    # A v = sum_i a_i <id_i, v>
    return (vector @ codes.T) @ matrix


def covariance(layout: ResidualLayout, row: str = "a") -> Gadget:
    r"""Column token j: row <- column j of Sigma.

    Heads +,- with score :math:`\langle id_j, x_i\rangle = x_{ij}` and V: x -> row give
    :math:`\sum_i x_i x_{ij}`, exactly.

    Args:
        layout: `columns_layout` or `squaring_layout`.
        row: where to.

    Returns:
        The gadget.

    Source: He et al. (2025), proof of the theorem on PCA, first layer.
    """
    x, code = layout.read("x"), layout.read("id")

    def semantics(stream: Stream) -> Stream:
        # column j of Sigma: sum_i x_i <id_j, x_i>
        matrix = stream[row] + (stream["id"] @ stream["x"].T) @ stream["x"]
        return stream | {row: matrix}

    return Gadget(
        name="covariance",
        heads=linear_pair(code, x, x, layout.write(row)),
        mlp=no_mlp(layout),
        semantics=semantics,
        explain=(f"heads 0, 1 (columns read data): {row}_j = sum_i x_i x_ij",),
    )


def apply_columns(
    layout: ResidualLayout,
    *,
    row: str = "a",
    keep: bool = False,
    in_heads: bool = False,
) -> Gadget:
    r"""v <- A v on the worker, or w = A v with v kept.

    Heads +,- as at the top of this file write :math:`A v` to w. Then the MLP moves it
    to v; or (`in_heads`, the attention-only network) one more head, score
    :math:`work\cdot work = 1`, subtracts v from v, and the iterate now is in w.

    Args:
        layout: `columns_layout` or `squaring_layout`.
        row: of the matrix.
        keep: v stays.
        in_heads: clear v in the same layer, without an MLP.

    Returns:
        The gadget.

    Source: He et al. (2025), proof of the theorem on PCA, power iteration layer.
    """
    v, work = layout.read("v"), layout.read("work")
    heads = linear_pair(v, layout.read("id"), layout.read(row), layout.write("w"))
    explain = (f"heads 0, 1 (worker reads columns): w = sum_i {row}_i v_i",)
    mlp = no_mlp(layout)
    if in_heads and not keep:
        heads += (Head(query=work, key=work, value=v, out=layout.write("v", -1.0)),)
        explain += ("head 2 (worker to itself): v <- 0",)
    elif not keep:
        mlp = assign(layout, v={"w": 1.0}, w={})
        explain += ("mlp: v <- w, w <- 0",)

    def semantics(stream: Stream) -> Stream:
        product = stream["w"] + times(stream[row], stream["id"], stream["v"])
        after = stream | {"w": product}
        if keep:
            return after
        if in_heads:
            return after | {"v": stream["v"] - stream["work"] * stream["v"]}
        return after | {"v": product} | zeros(stream, "w")

    name = "keep" if keep else "apply"
    return Gadget(name=name, heads=heads, mlp=mlp, semantics=semantics, explain=explain)


def hinge_norm(layout: ResidualLayout, normaliser: Normaliser) -> Gadget:
    r"""v <- f(|w|^2) w, w <- 0 on the worker, by heads alone.

    One head per knot: score :math:`t_m\,work\,work - \langle w,w\rangle`, which relu
    turns into the hinge :math:`relu(t_m - |w|^2)`, and V: b_m w -> v. One more head,
    score work work = 1, adds :math:`f(t_m) w` to v and subtracts w from w. Every other
    token has work = 0 and w = 0, hence scores 0.

    Args:
        layout: `columns_layout`.
        normaliser: f.

    Returns:
        The gadget; relative error `normaliser.error_bound`. This is where the paper's
        proof spends its heads.

    Source: He et al. (2025), lemma on approximating the norm.
    """
    w, work = layout.read("w"), layout.read("work")
    pairs = zip(normaliser.knots, normaliser.coefficients, strict=True)
    heads = [
        Head(
            query=stacked(knot * work, -w),
            key=stacked(work, w),
            value=w,
            out=layout.write("v", factor),
        )
        for knot, factor in pairs
        if factor > 0
    ]
    finish = layout.write("v", normaliser.offset) + layout.write("w", -1.0)
    heads.append(Head(query=work, key=work, value=w, out=finish))

    def semantics(stream: Stream) -> Stream:
        squared = np.sum(stream["w"] ** 2, axis=-1, keepdims=True)
        # f(|w|^2) w = (f(t_M) + sum_m b_m relu(t_m - |w|^2)) w
        scaled = stream["work"] * normaliser(squared) * stream["w"]
        left = stream["w"] - stream["work"] * stream["w"]
        return stream | {"v": stream["v"] + scaled, "w": left}

    return Gadget(
        name="normalise",
        heads=tuple(heads),
        mlp=no_mlp(layout),
        semantics=semantics,
        explain=(
            f"heads 0..{len(heads) - 2} (worker to itself): "
            "v += b_m relu(t_m - |w|^2) w",
            f"head {len(heads) - 1} (worker to itself): v += f(t_M) w, w <- 0",
        ),
    )


def head_polish(layout: ResidualLayout) -> Gadget:
    r"""v <- (3 - |v|^2) v / 2 on the worker, by two heads.

    Scores :math:`\langle v,v\rangle` (value :math:`-v/2`) and work work = 1 (value
    :math:`v/2`); the skip path holds v itself.

    Args:
        layout: `columns_layout` or `squaring_layout`.

    Returns:
        The gadget.

    Source: as `register_gadgets.polish`.
    """
    v, work = layout.read("v"), layout.read("work")
    heads = (
        Head(query=v, key=v, value=v, out=layout.write("v", -0.5)),
        Head(query=work, key=work, value=v, out=layout.write("v", 0.5)),
    )

    def semantics(stream: Stream) -> Stream:
        squared = np.sum(stream["v"] ** 2, axis=-1, keepdims=True)
        # (3 - |v|^2) v / 2
        return stream | {"v": 1.5 * stream["v"] - 0.5 * squared * stream["v"]}

    return Gadget(
        name="polish",
        heads=heads,
        mlp=no_mlp(layout),
        semantics=semantics,
        explain=(
            "head 0 (worker to itself): v -= |v|^2 v / 2",
            "head 1 (worker to itself): v += v / 2",
        ),
    )


def rayleigh_remove(layout: ResidualLayout) -> Gadget:
    r"""lam <- <v, w> on the worker, and A <- A - v v^T A on the columns, at once.

    Head 0: score :math:`\langle v, w\rangle = v^\top A v \ge 0`, value `work`. Heads 1,
    2: column i reads the worker with score :math:`\pm\langle a_i, v\rangle` and value
    v: :math:`a_i - v\, v^\top a_i`. Both read what stood before the layer.

    Args:
        layout: `columns_layout`.

    Returns:
        The gadget. Afterwards every iterate A v is orthogonal to v: deflation is exact
        even where v is not yet an eigenvector.

    Source: He et al. (2025), proof of the theorem on PCA, removal layer.
    """
    v, a = layout.read("v"), layout.read("a")
    quotient = Head(
        query=v,
        key=layout.read("w"),
        value=layout.read("work"),
        out=layout.write("lam"),
    )

    def semantics(stream: Stream) -> Stream:
        value = np.sum(stream["v"] * stream["w"], axis=-1, keepdims=True)
        # a_i - v <v, a_i>: the columns of (I - v v^T) A
        removed = stream["a"] - (stream["a"] @ stream["v"].T) @ stream["v"]
        return stream | {"lam": stream["lam"] + value, "a": removed}

    return Gadget(
        name="remove",
        heads=(quotient, *linear_pair(a, v, v, layout.write("a", -1.0))),
        mlp=no_mlp(layout),
        semantics=semantics,
        explain=(
            "head 0 (worker to itself): lam = <v, w>",
            "heads 1, 2 (columns read worker): a_i -= v <v, a_i>",
        ),
    )


def shift(layout: ResidualLayout) -> Gadget:
    r"""Copy the answer out and the next start vector in: the ring turns by one.

    Ring token j takes (q, lam) of ring token j + 1, the last one (v, lam) of the
    worker, the worker q of the first one; everything old is cleared by self-reading
    heads. The scores are inner products of constant 0/1 codes, so each is exactly 1 or
    0. The ring starts with the start vectors of ranks 2..k; after k turns token j holds
    v_j.

    Args:
        layout: `columns_layout` or `squaring_layout`.

    Returns:
        The gadget: the same weights for every vector, which makes the network periodic.

    He et al. (2025) copy out with position codes.
    """
    q, v, lam = layout.read("q"), layout.read("v"), layout.read("lam")
    work, pos = layout.read("work"), layout.read("pos")
    into = lambda sign: _wide(layout.write("q", sign), layout.write("lam", sign))
    leaving = stacked(v, layout.read("w"), lam)
    gone = _wide(*(layout.write(name, -1.0) for name in ("v", "w", "lam")))
    follow = layout.read("next")
    heads = (
        Head(query=follow, key=pos, value=stacked(q, lam), out=into(1.0)),
        Head(
            query=layout.read("entry"), key=work, value=stacked(v, lam), out=into(1.0)
        ),
        Head(query=pos, key=pos, value=stacked(q, lam), out=into(-1.0)),
        Head(query=work, key=pos[:1], value=q, out=layout.write("v")),
        Head(query=work, key=work, value=leaving, out=gone),
    )

    def semantics(stream: Stream) -> Stream:
        is_ring = np.sum(stream["pos"], axis=-1, keepdims=True)
        work = stream["work"]
        after = {}
        for row, source in (("q", "v"), ("lam", "lam")):
            # q_j <- q_{j+1}; the last one takes v of the worker
            ahead = stream["next"] @ (stream["pos"].T @ stream[row])
            ahead = ahead + stream["entry"] * (work.T @ stream[source])
            after[row] = stream[row] * (1 - is_ring) + ahead
        after["lam"] = after["lam"] - work * stream["lam"]
        first = stream["pos"][:, :1].T @ stream["q"]
        after["v"] = stream["v"] * (1 - work) + work * first
        after["w"] = stream["w"] * (1 - work)
        return stream | after

    return Gadget(
        name="shift",
        heads=heads,
        mlp=no_mlp(layout),
        semantics=semantics,
        explain=(
            "head 0 (ring token j reads j + 1): q, lam += those of j + 1",
            "head 1 (last ring token reads worker): q += v, lam += lam",
            "head 2 (ring to itself): q, lam <- 0",
            "head 3 (worker reads first ring token): v += q, the next start vector",
            "head 4 (worker to itself): v, w, lam <- 0",
        ),
    )
