r"""Gadgets of the Lloyd and EM networks; `em.py` has the derivation and the proofs.

Rows: `x` data row; on registers `c` centre and `b` = |c|^2 / 2; `m` what a head wrote;
on data tokens `s` = sum_k r_k b_k, `near` = squared distance to the nearest centre, `r`
responsibilities, and the two parts of L: `energy` = sum_k r_k a_k and `entropy` of r.
(In one row, thousands of small terms would be rounded to the digits of a large one.)
`data` and `register` are 1 on the tokens so named, `on` is 1 on registers that hold a
centre, `pos` = e_k on register k.
"""

import dataclasses

import numpy as np

from spectral_tf.config.wording import counted
from spectral_tf.constructive.gadgets import Gadget, Head, ReluMLP, stacked
from spectral_tf.constructive.gated import (
    GatedMLP,
    inner_product,
    moves,
    plain,
    together,
)
from spectral_tf.constructive.register_gadgets import zeros
from spectral_tf.constructive.residual_layout import ResidualLayout, Stream

HARD = 1e22
"""Inverse temperature of a choice: for lengths above 1e-6 one rounding unit decides."""
CLOSED = 1e36
"""B: above `HARD` times every score, for lengths of at most `LONGEST`."""
LONGEST = 1e6


def em_layout(dim: int, num_classes: int) -> ResidualLayout:
    """Rows of the Lloyd and EM networks.

    Args:
        dim: d.
        num_classes: K.

    Returns:
        The layout, of width 3 d + 8 + 2 K.
    """
    scalars = ("s", "b", "energy", "entropy", "near", "data", "register", "on")
    sizes = [(name, dim) for name in ("x", "c", "m")]
    sizes += [(name, 1) for name in scalars]
    sizes += [("pos", num_classes), ("r", num_classes)]
    return ResidualLayout(sizes=tuple(sizes))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entropy:
    r"""The linear interpolant f of :math:`g(r) = -r \log r` on :math:`t_j = (j/m)^2`.

    :math:`f(r) = \sum_{i=1}^m \beta_i\, relu(t_i - r)` with :math:`\beta_m =
    -\sigma_{m-1}` and :math:`\beta_i = \sigma_i - \sigma_{i-1}`, where
    :math:`\sigma_j` is the slope on :math:`[t_j, t_{j+1}]`: as in `normaliser.py`, and
    the constant is g(1) = 0.

    Attributes:
        num_knots: m >= 2.
    """

    num_knots: int

    @property
    def knots(self) -> np.ndarray:
        """`[m]` t_1 to t_m = 1."""
        return (np.arange(1, self.num_knots + 1) / self.num_knots) ** 2

    @property
    def coefficients(self) -> np.ndarray:
        """`[m]` the beta_i."""
        places = np.append(0.0, self.knots)
        values = np.append(0.0, -self.knots * np.log(self.knots))
        slopes = np.diff(values) / np.diff(places)
        return np.append(np.diff(slopes), -slopes[-1])

    @property
    def error_bound(self) -> float:
        """Largest value of g - f on [0, 1], which is nowhere negative."""
        return 9 / (8 * self.num_knots**2)

    def __call__(self, share: np.ndarray) -> np.ndarray:
        """f(r) in float64, from the very sum that the MLP evaluates."""
        hinges = np.maximum(self.knots - np.asarray(share)[..., None], 0.0)
        return hinges @ self.coefficients

    def mlp(self, layout: ResidualLayout) -> ReluMLP:
        """Units that add the sum of f(r_k) to `entropy`; 0 on registers."""
        hinges = [
            self.knots[:, None] * layout.read("data") - row[None]
            for row in layout.read("r")
        ]
        down = layout.write("entropy") * self.coefficients[None]
        return ReluMLP(
            up=np.concatenate(hinges),
            down=np.concatenate([down] * len(hinges), axis=1),
        )


def _everyone(layout: ResidualLayout) -> np.ndarray:
    """`[1, D]` map that reads 1 off every token."""
    return layout.read("data") + layout.read("register")


def _apart(layout: ResidualLayout) -> tuple[np.ndarray, np.ndarray]:
    """Gate -B 1[both are data] - B 1[both are registers]."""
    query = stacked(layout.read("data", -CLOSED), layout.read("register", -CLOSED))
    return query, stacked(layout.read("data"), layout.read("register"))


def _half_square(layout: ResidualLayout, row: str) -> GatedMLP:
    """Add |row|^2 / 2 to b."""
    return inner_product(layout.read(row), layout.read(row), layout.write("b", 0.5))


def _squares(rows: np.ndarray) -> np.ndarray:
    return np.sum(rows**2, axis=-1, keepdims=True)


def begin(layout: ResidualLayout) -> Gadget:
    """`near` <- |x|^2 on data tokens: the distance from the mean; no head.

    Args:
        layout: `em_layout`.

    Returns:
        The gadget, exact.
    """
    x = layout.read("x")

    def semantics(stream: Stream) -> Stream:
        return stream | {"near": stream["near"] + _squares(stream["x"])}

    return Gadget(
        name="begin",
        heads=(),
        mlp=inner_product(x, x, layout.write("near")),
        semantics=semantics,
        explain=("heads: nothing", "mlp: near <- |x|^2"),
    )


def choose(layout: ResidualLayout, index: int) -> Gadget:
    """Register `index` takes the row with the largest `near` as its centre.

    Its scores are `HARD` times near over the data. Every other token reads registers,
    whose x is 0. The MLP moves c <- c + m (c is 0), b <- |m|^2 / 2 (b is 0), m <- 0 and
    on <- 1 where `pos` says so.

    Args:
        layout: `em_layout`.
        index: k.

    Returns:
        The gadget. Exact where one row is the farthest.

    Source: Gonzalez (1985), Theoretical Computer Science 38.
    """
    mine = layout.read("pos")[index : index + 1]
    head = Head(
        query=stacked(
            HARD * mine, -CLOSED * mine, -CLOSED * (_everyone(layout) - mine)
        ),
        key=stacked(layout.read("near"), layout.read("register"), layout.read("data")),
        value=layout.read("x"),
        out=layout.write("m"),
    )
    switch = plain(ReluMLP(up=mine, down=layout.write("on")))
    mlp = together(
        moves(layout, c={"c": 1.0, "m": 1.0}, m={}),
        _half_square(layout, "m"),
        switch,
    )

    def semantics(stream: Stream) -> Stream:
        near, data = stream["near"][:, 0], stream["data"][:, 0] == 1
        rows = data & (near == near[data].max())
        chosen = stream["pos"][:, index : index + 1]
        taken = chosen * stream["x"][rows].mean(axis=0)
        return stream | {
            "c": stream["c"] + taken,
            "b": stream["b"] + _squares(taken) / 2,
            "on": stream["on"] + chosen,
        }

    return Gadget(
        name=f"choose {index}",
        heads=(head,),
        mlp=mlp,
        semantics=semantics,
        explain=(
            f"head 0 (register {index} reads data): m = the row with the largest near",
            "mlp: c <- c + m, b <- |m|^2 / 2, m <- 0, on <- 1",
        ),
    )


def _expect_head(layout: ResidualLayout, inverse: float) -> Head:
    """Data read registers that are on: scores (<x, c> - b) times `inverse`."""
    return Head(
        query=stacked(
            layout.read("x", inverse),
            layout.read("data", -inverse),
            layout.read("data", -CLOSED),
            layout.read("register", -CLOSED),
        ),
        key=stacked(
            layout.read("c"),
            layout.read("b"),
            _everyone(layout) - layout.read("on"),
            layout.read("register"),
        ),
        value=stacked(layout.read("c"), layout.read("b"), layout.read("pos")),
        out=np.concatenate([layout.write(name) for name in ("m", "s", "r")], axis=1),
    )


def _expected(stream: Stream, sigma: float | None) -> Stream:
    """What that head writes: `m`, `s` and `r` of the data tokens."""
    data, is_on = stream["data"][:, 0] == 1, stream["on"][:, 0] == 1
    centres, halves = stream["c"][is_on], stream["b"][is_on, 0]
    # a_ik sigma^2 = <x_i, c_k> - |c_k|^2 / 2
    scores = stream["x"][data] @ centres.T - halves
    top = scores.max(axis=1, keepdims=True)
    if sigma is None:
        shares = (scores == top).astype(np.float64)
    else:
        shares = np.exp((scores - top) / sigma**2)
    shares /= shares.sum(axis=1, keepdims=True)
    written = {name: np.array(stream[name]) for name in ("m", "s", "r")}
    written["m"][data] += shares @ centres
    written["s"][data, 0] += shares @ halves
    written["r"][data] += shares @ stream["pos"][is_on]
    return written


def nearest(layout: ResidualLayout) -> Gadget:
    """`near` <- squared distance from x to the nearest centre that is on.

    A Lloyd E step puts that centre into m. The MLP adds |x - m|^2 to near, takes away
    what was there (>= 0), and clears m, s and r; registers have x = m = 0.

    Args:
        layout: `em_layout`.

    Returns:
        The gadget, exact unless two centres are equally near.
    """
    away = layout.read("x") - layout.read("m")
    mlp = together(
        moves(layout, near={}, m={}, s={}, r={}),
        inner_product(away, away, layout.write("near")),
    )

    def semantics(stream: Stream) -> Stream:
        # near = |x - m|^2, m the nearest centre
        apart = stream["x"] - _expected(stream, None)["m"]
        return stream | {"near": _squares(apart)} | zeros(stream, "m", "s", "r")

    return Gadget(
        name="nearest",
        heads=(_expect_head(layout, HARD),),
        mlp=mlp,
        semantics=semantics,
        explain=(
            "head 0 (data read registers): m = the nearest centre",
            "mlp: near <- |x - m|^2, m <- 0, s <- 0, r <- 0",
        ),
    )


def expect(
    layout: ResidualLayout, sigma: float | None, entropy: Entropy | None
) -> Gadget:
    r"""E step: responsibilities, and for EM their log-sum-exp.

    Args:
        layout: `em_layout`.
        sigma: of the noise; None for Lloyd.
        entropy: f; None for Lloyd.

    Returns:
        The gadget; exact but for f.

    Source: `em.py`; He et al. (2025), arXiv:2502.06007.
    """
    inverse = HARD if sigma is None else sigma**-2
    mlp = moves(layout, m={}, s={})
    if entropy is not None:
        into = layout.write("energy", inverse)
        product = inner_product(layout.read("x"), layout.read("m"), into)
        # s >= 0, so one plain unit takes it.
        minus = ReluMLP(up=layout.read("s"), down=-into)
        mlp = together(mlp, product, plain(minus, entropy.mlp(layout)))

    def semantics(stream: Stream) -> Stream:
        after = stream | _expected(stream, sigma)
        if entropy is not None:
            # sum_k r_k a_k = (<x, m> - s) / sigma^2
            energy = np.sum(after["x"] * after["m"], axis=1, keepdims=True) - after["s"]
            # sum_k g(r_k), g(r) = -r log r
            spread = np.sum(entropy(after["r"]), axis=1, keepdims=True)
            after |= {
                "energy": stream["energy"] + energy * inverse,
                "entropy": stream["entropy"] + spread * stream["data"],
            }
        return after | zeros(stream, "m", "s")

    also = (
        ""
        if entropy is None
        else f", L to energy and entropy, {counted(entropy.num_knots, 'knot')}"
    )
    return Gadget(
        name="expect",
        heads=(_expect_head(layout, inverse),),
        mlp=mlp,
        semantics=semantics,
        explain=(
            "head 0 (data read registers): r = responsibilities, m = sum_k r_k c_k, "
            "s = sum_k r_k b_k",
            f"mlp: m <- 0, s <- 0{also}",
        ),
    )


def maximise(layout: ResidualLayout, sigma: float | None) -> Gadget:
    r"""M step: each centre moves to the mean of the rows, weighted by responsibility.

    Args:
        layout: `em_layout`.
        sigma: of the noise; None for Lloyd.

    Returns:
        The gadget, exact for the L and r that it reads.

    Source: `em.py`; He et al. (2025), arXiv:2502.06007.
    """
    gate = _apart(layout)
    if sigma is None:
        score = layout.read("pos", HARD), layout.read("r")
    else:
        score = (
            stacked(layout.read("c", sigma**-2), layout.read("register", -1.0)),
            stacked(layout.read("x"), layout.read("energy") + layout.read("entropy")),
        )
    head = Head(
        query=stacked(score[0], gate[0]),
        key=stacked(score[1], gate[1]),
        value=layout.read("x"),
        out=layout.write("m"),
    )
    mlp = together(
        moves(layout, c={"m": 1.0}, b={}, m={}, r={}, energy={}, entropy={}),
        _half_square(layout, "m"),
    )

    def semantics(stream: Stream) -> Stream:
        data, registers = stream["data"][:, 0] == 1, stream["register"][:, 0] == 1
        rows = stream["x"][data]
        if sigma is None:
            shares = HARD * stream["pos"][registers] @ stream["r"][data].T
        else:
            # <x_i, c_k> / sigma^2 - L_i; what all rows share cancels in the softmax
            shares = stream["c"][registers] @ rows.T / sigma**2
            shares -= (stream["energy"] + stream["entropy"])[data].T
        shares = np.exp(shares - shares.max(axis=1, keepdims=True))
        centres = np.zeros_like(stream["c"])
        # c_k <- sum_i r_ik x_i / sum_i r_ik
        centres[registers] = shares @ rows / shares.sum(axis=1, keepdims=True)
        after = stream | {"c": centres, "b": _squares(centres) / 2}
        return after | zeros(stream, "m", "r", "energy", "entropy")

    return Gadget(
        name="maximise",
        heads=(head,),
        mlp=mlp,
        semantics=semantics,
        explain=(
            "head 0 (registers read data): m = sum_i r_ik x_i / sum_i r_ik",
            "mlp: c <- m, b <- |m|^2 / 2, m <- 0, r <- 0, energy <- 0, entropy <- 0",
        ),
    )
