r"""Compositions in which k register tokens iterate at once: orthogonal iteration.

`register`: centre the data; tau times `multiply, squared_norm, scale, deflate`; then
make the vectors exactly orthonormal and read the eigenvalues off. With f the
normaliser, one iteration is

.. math:: w_j = \Sigma u_j,\quad \hat w_j = f(|w_j|^2)\, w_j,\quad
   u_j \leftarrow \hat w_j - \sum_{l<j} \hat w_l \langle \hat w_l, \hat w_j\rangle .

*What it computes*. The new u's are the old ones times :math:`\Sigma`, then a triangular
matrix with a non-zero diagonal. Such a matrix does not change the span of the first j
rows, for any j, whatever f is. So after tau iterations, and any number of further
rounds `squared_norm, scale, deflate`, the first j registers span :math:`\Sigma^\tau
\operatorname{span}(\text{first } j \text{ start vectors})`: that of orthogonal
iteration, for every j at once, and an error of f does not bias it.

*Orthonormality*. If registers l < j are orthonormal, `deflate` makes register j
orthogonal to them. So after k - 1 rounds (each: normalise, deflate) all are orthogonal
up to the error of f, and `polish` (Newton) squares that error; one last `deflate` with
lengths right to 1e-9 leaves the rows of Gram-Schmidt of :math:`\Sigma^\tau U_0`, row by
row what orthogonal iteration computes.

*Conditioning*. While the vectors still turn, one round per iteration leaves them far
from orthogonal, and rounding is amplified by the condition number of the rows: beyond
1e16 for k = 8 and eigenvalues that fall tenfold from one to the next but one. So the
first `WARM_UP` iterations have k rounds each; after them the condition number stays
near 1.

`rms`: the norm layer normalises, so a round is one block (`deflate`, then the norm), an
iteration two, and nothing is approximate.

`accelerated`: as `register`, with the recursion :math:`u_{t+1} = (\Sigma - b/2) u_t -
(b^2/16) u_{t-1}`, whose t-th iterate is a polynomial of degree t in :math:`\Sigma` that
is (up to its scale) a Chebyshev polynomial bounded on [0, b] and growing fast above.
The pair (u, p) is scaled and deflated by the same numbers, so spans are
:math:`q_t(\Sigma)\operatorname{span}(U_0)`, by the same argument. b is found by the
network: after a quarter of the iterations, at least `WARM_UP`, 0.9 times the Rayleigh
quotient of a guard register, which lies below the k-th eigenvalue.
"""

import numpy as np

from spectral_tf.config import ModelConfig, repeated, require
from spectral_tf.constructive import register_gadgets as make
from spectral_tf.constructive.composition import Composition
from spectral_tf.constructive.gadgets import followed_by_norm
from spectral_tf.constructive.normaliser import Normaliser, knots_for
from spectral_tf.constructive.residual_layout import (
    ResidualLayout,
    accelerated_layout,
    register_layout,
    rms_layout,
)
from spectral_tf.model.transformer import gaussian_start

RMS_EPS = 1e-30
"""Under the root of the norm of `rms`: exact to rounding for |u|^2 >= 1e-14."""
WARM_UP = 6
"""Iterations that orthonormalise fully, see above."""
GUARD_FACTOR = 0.9
"""b over the guard register's Rayleigh quotient in `accelerated`."""
LENGTH_ERROR = 1e-9
"""`polish` runs until the proven error of the lengths is below this."""


def root_normaliser(
    accuracy: float, smallest: float, dim: int, num_registers: int = 1
) -> Normaliser:
    r"""The interpolant of :math:`s^{-1/2}` on the squared norms that can occur.

    :math:`\Sigma` has unit trace, so :math:`|\Sigma u| \le |u|`, and a register that
    has found an eigenvalue :math:`\lambda` has :math:`|\Sigma u| = \lambda`. Longest is
    a register after `deflate` took from it R - 1 others that all held the same: with
    lengths of at most 1 + accuracy =: a before, :math:`|u| \le a + (R - 1) a^3`.

    Args:
        accuracy: relative error on the range, in (0, 0.5).
        smallest: smallest eigenvalue, over the trace, that is normalised; the range is
            [smallest^2, that bound squared]. Vectors of smaller ones shrink to 0.
        dim: d; the largest eigenvalue is at least 1/d, so smallest must be below.
        num_registers: R, registers that deflate one another in parallel.

    Returns:
        The interpolant with the fewest knots that keeps the proven bound.

    Raises:
        ConfigError: if accuracy or smallest is outside its bounds.

    Source: ours.
    """
    require(
        0 < accuracy < 0.5,
        f"accuracy={accuracy} must lie in (0, 0.5); it is the relative error of the "
        "normaliser, e.g. 1e-3.",
    )
    require(
        1e-15 <= smallest <= 1 / (2 * dim),
        f"smallest={smallest} cannot hold: the squared norms would have the range "
        f"[smallest^2, 1], and a leading eigenvalue may be 1/d={1 / dim:.3g} of the "
        f"trace; choose smallest in [1e-15, {1 / (2 * dim):.3g}], or leave it None.",
    )
    longest = 1 + accuracy
    longest += (num_registers - 1) * longest**3 if num_registers > 1 else 0
    low, high = smallest**2, longest**2
    return Normaliser(low=low, high=high, num_knots=knots_for(accuracy, low, high))


def default_smallest(dim: int) -> float:
    """Eigenvalues down to a thousandth of the trace, or a quarter of their mean."""
    return min(1e-3, 0.25 / dim)


def deflating_normaliser(
    dim: int, num_registers: int, accuracy: float | None, smallest: float | None
) -> Normaliser:
    r"""The normaliser of registers that deflate one another.

    A register of length :math:`1 + \epsilon` takes from a later one all but :math:`1 -
    (1 + \epsilon)^2 \approx -2\epsilon` of what that has along :math:`v_l`, and the
    next product enlarges it by :math:`\lambda_l/\lambda_j`. It dies out if
    :math:`2\epsilon\lambda_l < \lambda_j`; so the accuracy must be below half the
    smallest eigenvalue, and is a quarter of it unless said otherwise.

    Args:
        dim: d.
        num_registers: R.
        accuracy: relative error; None takes smallest / 4 (1e-3 for one register).
        smallest: as in `root_normaliser`; None takes `default_smallest`.

    Returns:
        The interpolant.

    Raises:
        ConfigError: if accuracy and smallest cannot hold together.

    Source: ours.
    """
    smallest = default_smallest(dim) if smallest is None else smallest
    if num_registers == 1:
        return root_normaliser(accuracy or 1e-3, smallest, dim)
    if accuracy is None:
        accuracy = smallest / 4
    normaliser = root_normaliser(accuracy, smallest, dim, num_registers)
    require(
        2 * accuracy < smallest,
        f"accuracy={accuracy} cannot hold for eigenvalues down to smallest={smallest}: "
        "deflation needs 2 accuracy < smallest; leave accuracy None.",
    )
    return normaliser


def polish_steps(accuracy: float) -> int:
    """Newton steps that take a length from 1 +- accuracy to 1 +- `LENGTH_ERROR`."""
    steps, error = 0, accuracy
    while error > LENGTH_ERROR:
        steps, error = steps + 1, 1.5 * error**2 + 0.5 * error**3
    return steps


def start_rows(dim: int, count: int) -> np.ndarray:
    """`[count, d]` start vectors of the registers, the package's default ones."""
    config = ModelConfig(num_components=count, scalar_channels=2 * count + 2)
    rows = np.asarray(gaussian_start(config, count, dim, np.float32), np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _codes(layout: ResidualLayout) -> dict[str, np.ndarray]:
    count = layout.size("pos")
    return {
        "u": start_rows(layout.size("x"), count),
        "one": np.ones((count, 1)),
        "pos": np.eye(count),
        "low": np.triu(np.ones((count, count))),
    }


def iterations(multiply: str, one_round: tuple[int, ...], k: int, num: int) -> str:
    """Schedule of `num` iterations: a product, then k rounds in the warm-up, then one.

    Args:
        multiply: index of the block that multiplies.
        one_round: blocks that normalise and deflate.
        k: registers.
        num: iterations.

    Returns:
        Text of the schedule.

    Source: ours.
    """
    warm = min(num, WARM_UP) if k > 1 else 0
    parts = [(repeated(one_round, k), warm), (repeated(one_round, 1), num - warm)]
    return " ".join(f"({multiply} {rounds})*{n}" for rounds, n in parts if n)


def register(
    dim: int,
    k: int,
    num_iters: int,
    accuracy: float | None = None,
    smallest: float | None = None,
) -> Composition:
    """The `register` composition: ReLU attention, ReLU MLPs, no norm.

    Args:
        dim: d.
        k: components.
        num_iters: tau.
        accuracy: of the normaliser; None chooses.
        smallest: eigenvalue over trace that is still normalised; None chooses.

    Returns:
        1 + 4 tau + 3 (k - 1) (1 + min(tau, 6)) blocks, and 6 to 8 that polish and read
        off.

    Source: DESIGN of the package, section 5 (ours).
    """
    layout = register_layout(dim, k)
    normaliser = deflating_normaliser(dim, k, accuracy, smallest)
    gadgets = (
        make.centre(layout),
        make.multiply(layout),
        make.squared_norm(layout, normaliser),
        make.scale(layout, normaliser.peak),
        make.deflate(layout),
        make.polish(layout),
        make.image(layout),
        make.rayleigh(layout),
    )
    schedule = ["0", iterations("1", (2, 3, 4), k, num_iters), *_finish(k, normaliser)]
    return Composition(
        layout=layout,
        gadgets=gadgets,
        schedule=" ".join(filter(None, schedule)),
        registers=_codes(layout),
        embed=("x", "one", "c"),
        vector_row="u",
    )


def _finish(k: int, normaliser: Normaliser) -> list[str]:
    """Orthonormalise (2 3 4), normalise (2 3), polish (5), eigenvalues (6 7)."""
    steps = polish_steps(normaliser.error_bound)
    last = "4 5" if k > 1 else ""
    return [repeated((2, 3, 4), k - 1), "2 3", repeated((5,), steps), last, "6 7"]


def rms(
    dim: int,
    k: int,
    num_iters: int,
    accuracy: float | None = None,
    smallest: float | None = None,
) -> Composition:
    """The `rms` composition: the norm layer normalises.

    Args:
        dim: d.
        k: components.
        num_iters: tau.
        accuracy: not used; nothing is approximate.
        smallest: not used; every length is normalised.

    Returns:
        1 + 2 tau + (k - 1) min(tau, 6) + k + 3 blocks.

    Source: ours.
    """
    del accuracy, smallest
    layout = rms_layout(dim, k)
    blocks = (
        make.centre(layout),
        make.multiply(layout),
        make.deflate(layout),
        make.image(layout),
        make.rayleigh(layout),
    )
    norm = {"norm": "rms", "norm_position": "post", "norm_eps": RMS_EPS}
    return Composition(
        layout=layout,
        gadgets=tuple(followed_by_norm(block, RMS_EPS) for block in blocks),
        schedule=f"0 {iterations('1', (2,), k, num_iters)} 2*{k + 1} 3 4",
        registers=_codes(layout),
        embed=("x", "one", "c"),
        vector_row="u",
        config=norm | {"norm_groups": (1, dim)},
    )


def accelerated(
    dim: int,
    k: int,
    num_iters: int,
    accuracy: float | None = None,
    smallest: float | None = None,
) -> Composition:
    """The `accelerated` composition: Chebyshev after a quarter of the iterations.

    Args:
        dim: d.
        k: components.
        num_iters: tau, those before the acceleration included.
        accuracy: of the normaliser; None chooses.
        smallest: eigenvalue over trace that is still normalised; None chooses.

    Returns:
        As `register`, and 3 k + 5 blocks that estimate b. One register more than k;
        with k = d there is no room for a guard, b stays 0 and nothing is accelerated.

    Source: ours; Rutishauser (1970) and Saad (2011), section 7.4, for Chebyshev
    subspace iteration.
    """
    count = min(k + 1, dim)
    layout = accelerated_layout(dim, count)
    normaliser = deflating_normaliser(dim, count, accuracy, smallest)
    gadgets = (
        make.centre(layout),
        make.multiply(layout, is_accelerated=True),
        make.squared_norm(layout, normaliser),
        make.scale(layout, normaliser.peak, is_accelerated=True),
        make.deflate(layout, is_accelerated=True),
        make.polish(layout),
        make.image(layout),
        make.rayleigh(layout),
        make.broadcast(layout, GUARD_FACTOR),
    )
    plain = min(num_iters, max(WARM_UP, num_iters // 4)) if count > k else num_iters
    schedule = ["0", iterations("1", (2, 3, 4), count, plain)]
    if num_iters > plain:
        schedule += [repeated((2, 3, 4), count - 1), "2 3 6 7 8"]
        schedule += [repeated((1, 2, 3, 4), num_iters - plain)]
    else:
        gadgets = gadgets[:-1]
    return Composition(
        layout=layout,
        gadgets=gadgets,
        schedule=" ".join(filter(None, [*schedule, *_finish(count, normaliser)])),
        registers=_codes(layout),
        embed=("x", "one", "c"),
        vector_row="u",
    )
