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

import functools

import numpy as np

from spectral_tf.config import Channels, ModelConfig
from spectral_tf.constructive import register_gadgets as make
from spectral_tf.constructive.composition import Composition
from spectral_tf.constructive.gadgets import Gadget, followed_by_norm
from spectral_tf.constructive.normaliser import Normaliser
from spectral_tf.constructive.program import Series, series
from spectral_tf.constructive.residual_layout import (
    ResidualLayout,
    accelerated_layout,
    register_layout,
    rms_layout,
)
from spectral_tf.constructive.tolerance import (
    CHOSEN,
    Tolerance,
    deflating_normaliser,
    polish_steps,
)
from spectral_tf.constructive.variant import Rounds
from spectral_tf.model.transformer import gaussian_start

RMS_EPS = 1e-30
"""Under the root of the norm of `rms`: exact to rounding for |u|^2 >= 1e-14."""
WARM_UP = 6
"""Iterations that orthonormalise fully, see above."""
GUARD_FACTOR = 0.9
"""b over the guard register's Rayleigh quotient in `accelerated`."""


def start_rows(dim: int, count: int) -> np.ndarray:
    """`[count, d]` start vectors of the registers, the package's default ones."""
    layout = Channels(scalars=2 * count + 2)
    config = ModelConfig(num_components=count, layout=layout)
    rows = np.asarray(gaussian_start(config, count, dim, np.float32), np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def register_start(layout: ResidualLayout) -> dict[str, np.ndarray]:
    """Start values of the registers of a layout: unit vectors in u, and their codes."""
    count = layout.size("pos")
    return {
        "u": start_rows(layout.size("x"), count),
        "one": np.ones((count, 1)),
        "pos": np.eye(count),
        "low": np.triu(np.ones((count, count))),
    }


def warm_up(k: int, num_iters: int) -> int:
    """Iterations that orthonormalise fully; one register has nothing to deflate."""
    return min(num_iters, WARM_UP) if k > 1 else 0


def iterations(
    multiply: Gadget, one_round: Series[Gadget], k: int, num_iters: int
) -> Series[Gadget]:
    """A product and rounds of normalising and deflating: k in the warm-up, then one.

    Args:
        multiply: the product.
        one_round: normalise and deflate.
        k: registers.
        num_iters: tau.

    Returns:
        The program.
    """
    warm = warm_up(k, num_iters)
    return series(
        series(multiply, one_round * k) * warm,
        series(multiply, one_round) * (num_iters - warm),
    )


def orthonormal(
    layout: ResidualLayout,
    normalise: Series[Gadget],
    deflate: Gadget,
    normaliser: Normaliser,
) -> Series[Gadget]:
    """What makes the rows orthonormal at the end; see *Orthonormality* above.

    Args:
        layout: rows of a register composition.
        normalise: the two blocks that scale u to unit length.
        deflate: the block after them.
        normaliser: f, whose error is polished away.

    Returns:
        The program.
    """
    k, polish = layout.size("pos"), make.polish(layout)
    return series(
        series(normalise, deflate) * (k - 1),
        normalise,
        series(polish) * polish_steps(normaliser.error_bound),
        # One last deflation, of rows whose lengths are right.
        series(deflate, polish) * (1 if k > 1 else 0),
    )


def register(
    dim: int, k: int, num_iters: int, tolerance: Tolerance = CHOSEN
) -> Composition:
    """The `register` composition: ReLU attention, ReLU MLPs, no norm.

    Args:
        dim: d.
        k: components.
        num_iters: tau.
        tolerance: of the normaliser.

    Returns:
        1 + 4 tau + 3 (k - 1) (1 + min(tau, 6)) blocks, and 6 to 8 that polish and read
        off.

    Raises:
        ConfigError: for a tolerance that cannot hold.
    """
    layout = register_layout(dim, k)
    normaliser = deflating_normaliser(dim, k, tolerance)
    normalise = series(
        make.squared_norm(layout, normaliser), make.scale(layout, normaliser.peak)
    )
    multiply, deflate = make.multiply(layout), make.deflate(layout)
    program = series(
        make.centre(layout),
        iterations(multiply, series(normalise, deflate), k, num_iters),
        orthonormal(layout, normalise, deflate, normaliser),
        make.image(layout),
        make.rayleigh(layout),
    )
    return Composition(
        layout=layout,
        program=program,
        registers=register_start(layout),
        embed=("x", "one", "c"),
        vector_row="u",
    )


def _scaled(normaliser: Normaliser, rows: np.ndarray) -> np.ndarray:
    """f(|w|^2) w."""
    return np.asarray(normaliser(np.sum(rows**2, axis=1)))[:, None] * rows


def register_rounds(dim: int, k: int, tolerance: Tolerance = CHOSEN) -> Rounds:
    """What `error_bound` must know of `register`."""
    normaliser = deflating_normaliser(dim, k, tolerance)
    return Rounds(
        normalise=functools.partial(_scaled, normaliser),
        polish=polish_steps(normaliser.error_bound),
        full=WARM_UP,
    )


def rms(dim: int, k: int, num_iters: int, tolerance: Tolerance = CHOSEN) -> Composition:
    """The `rms` composition: the norm layer normalises.

    Args:
        dim: d.
        k: components.
        num_iters: tau.
        tolerance: not used: nothing is approximate, every length is normalised.

    Returns:
        1 + 2 tau + (k - 1) min(tau, 6) + k + 3 blocks.
    """
    del tolerance
    layout = rms_layout(dim, k)
    deflate = make.deflate(layout)
    program = series(
        make.centre(layout),
        iterations(make.multiply(layout), series(deflate), k, num_iters),
        series(deflate) * (k + 1),
        make.image(layout),
        make.rayleigh(layout),
    )
    with_norm = {
        gadget: followed_by_norm(gadget, RMS_EPS) for gadget in program.steps()
    }
    norm = {"norm": "rms", "norm_position": "post", "norm_eps": RMS_EPS}
    return Composition(
        layout=layout,
        program=program.mapped(with_norm.__getitem__),
        registers=register_start(layout),
        embed=("x", "one", "c"),
        vector_row="u",
        config=norm | {"norm_groups": (1, dim)},
    )


def _unit_rows(rows: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.maximum(lengths, 1e-300)


def rms_rounds(dim: int, k: int, tolerance: Tolerance = CHOSEN) -> Rounds:
    """What `error_bound` must know of `rms`: as `register`, with exact lengths."""
    register_rounds(dim, k, tolerance)  # refuses what `register` refuses
    return Rounds(normalise=_unit_rows, polish=0, full=WARM_UP)


def guarded(k: int, dim: int) -> int:
    """Registers of `accelerated`: one more than k, where d leaves room for it."""
    return min(k + 1, dim)


def plain_iterations(k: int, dim: int, num_iters: int) -> int:
    """Iterations of `accelerated` before b is known; all of them without a guard."""
    if guarded(k, dim) == k:
        return num_iters
    return min(num_iters, max(WARM_UP, num_iters // 4))


def accelerated(
    dim: int, k: int, num_iters: int, tolerance: Tolerance = CHOSEN
) -> Composition:
    """The `accelerated` composition: Chebyshev after a quarter of the iterations.

    Args:
        dim: d.
        k: components.
        num_iters: tau, those before the acceleration included.
        tolerance: of the normaliser.

    Returns:
        As `register`, and 3 k + 5 blocks that estimate b. One register more than k;
        with k = d there is no room for a guard, b stays 0 and nothing is accelerated.

    Raises:
        ConfigError: for a tolerance that cannot hold.

    Source: Rutishauser (1970) and Saad (2011), section 7.4, for Chebyshev
    subspace iteration.
    """
    count = guarded(k, dim)
    layout = accelerated_layout(dim, count)
    normaliser = deflating_normaliser(dim, count, tolerance)
    centre = make.centre(layout)
    multiply = make.multiply(layout, is_accelerated=True)
    normalise = series(
        make.squared_norm(layout, normaliser),
        make.scale(layout, normaliser.peak, is_accelerated=True),
    )
    deflate = make.deflate(layout, is_accelerated=True)
    one_round = series(normalise, deflate)
    ending = orthonormal(layout, normalise, deflate, normaliser)
    read_off = series(make.image(layout), make.rayleigh(layout))
    plain = plain_iterations(k, dim, num_iters)
    # b: 0.9 times the Rayleigh quotient of the guard, once the rows are orthonormal.
    estimate = series(
        one_round * (count - 1),
        normalise,
        read_off,
        make.broadcast(layout, GUARD_FACTOR),
    )
    program = series(
        centre,
        iterations(multiply, one_round, count, plain),
        estimate * (1 if num_iters > plain else 0),
        series(multiply, one_round) * (num_iters - plain),
        ending,
        read_off,
    )
    return Composition(
        layout=layout,
        program=program,
        registers=register_start(layout),
        embed=("x", "one", "c"),
        vector_row="u",
        # Weights in the order of those of `register`, `broadcast` behind them.
        stacked_first=(centre, multiply, *one_round.steps(), *ending.steps()),
    )
