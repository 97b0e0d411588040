r"""Block Lanczos as ordinary tokens: the composition `krylov`, for one d.

b register tokens start from orthonormal vectors. With P products the program is

    centre (multiply deflate*(b + 2))*(P - 1) multiply

and the answer is the read-out `ritz`: Rayleigh-Ritz among what the registers keep. It
is a read-out and no sublayers, since it divides by sizes of the whole R x R matrix T of
their scores, and a norm over all registers is no part of the module.

*What it computes.* `multiply` gives every register its image, which becomes the next u,
and keeps the rest. Then b + 2 times `deflate` with its norm: at turn 0 u loses what is
kept, at turns 1 to b - 1 what candidate t - 1 holds, and at the last two what all
candidates before it hold. That is the recursion whose proof stands at the top of
`lanczos.py`: in exact arithmetic the rows kept after P products are an orthonormal
basis of the span of :math:`U, \Sigma U, \dots, \Sigma^{P-1} U` (or of less, where it is
exhausted, and 0 elsewhere), their images are exact, and the answer is that of block
Lanczos with full reorthogonalisation. The last block has no image and no use, so its
deflation is left out.

*Three things differ from the equivariant network* of the same answer. Turns are a row
of the stream and not weights, so all rounds are one block: three blocks have weights of
their own, whatever b and P are. The network subtracts the mean itself. And tokens are
in units of the trace, so the floor is told in units of the mean eigenvalue 1/d.
"""

import functools

import jax.numpy as jnp
import numpy as np

from spectral_tf.config import require
from spectral_tf.constructive import lanczos_gadgets as make
from spectral_tf.constructive.composition import Composition
from spectral_tf.constructive.lanczos import EPS, FLOOR
from spectral_tf.constructive.lanczos_bound import KrylovSpace
from spectral_tf.constructive.lanczos_reference import FLOOR as DOUBLE_FLOOR
from spectral_tf.constructive.program import series
from spectral_tf.constructive.register_gadgets import centre
from spectral_tf.constructive.registers import start_rows
from spectral_tf.constructive.residual_layout import krylov_layout
from spectral_tf.constructive.tolerance import CHOSEN, Tolerance

BLOCK = 8
"""b where nothing is said, or k if that is more; at most d."""
SQUARINGS = 16
"""Of the read-out: values that differ by a share of 2^-16 are told apart. More would
turn rounding, which doubles with each, into a choice among vectors of equal ones."""


def block_of(dim: int, k: int, block: int | None = None) -> int:
    """b, the registers that run.

    Args:
        dim: d.
        k: components.
        block: as asked for; None takes `BLOCK`, or k if that is more.

    Returns:
        At most d: more start vectors would depend on one another.

    Raises:
        ConfigError: for block < k.
    """
    count = max(BLOCK, k) if block is None else block
    require(
        count >= k,
        f"block={block} must be >= num_components={k}: the answer is of at most as "
        "many vectors as it starts from; leave it None for max(8, k).",
    )
    return min(count, dim)


def floor_of_type() -> float:
    """The floor of the norm, for the float type that parameters have now."""
    return FLOOR if jnp.result_type(float) == jnp.float32 else DOUBLE_FLOOR


def check_tolerance(tolerance: Tolerance) -> None:
    """Refuse what is said of a normaliser: the norm layer needs none."""
    limits = {
        name: value for name, value in vars(tolerance).items() if value is not None
    }
    named = " and ".join(f"{name}={value}" for name, value in limits.items())
    require(
        not limits,
        f"{named} is about the normaliser of other variants; 'krylov' has a norm "
        "layer, which is exact: leave accuracy and smallest None.",
    )


def orthonormal_start(dim: int, block: int) -> np.ndarray:
    """`[b, d]` the package's start vectors, made orthonormal in order."""
    rows = start_rows(dim, block)
    basis, triangle = np.linalg.qr(rows.T)
    return (basis * np.sign(np.diagonal(triangle))).T


def krylov_dense(
    dim: int,
    k: int,
    num_iters: int,
    tolerance: Tolerance = CHOSEN,
    block: int | None = None,
) -> Composition:
    """The `krylov` composition.

    Args:
        dim: d.
        k: components.
        num_iters: P, products with S.
        tolerance: nothing may be said in it.
        block: b, start vectors; None takes max(8, k). At most d run.

    Returns:
        1 + P + (P - 1) (b + 2) blocks.

    Raises:
        ConfigError: for a tolerance, or block < k.
    """
    check_tolerance(tolerance)
    count, floor = block_of(dim, k, block), floor_of_type()
    layout = krylov_layout(dim, count, num_iters)
    normed = functools.partial(make.normalised, eps=EPS, floor=floor)
    multiply, deflate = normed(make.multiply(layout)), normed(make.deflate(layout))
    program = series(
        centre(layout),
        series(multiply, series(deflate) * (count + 2)) * (num_iters - 1),
        multiply,
    )
    return Composition(
        layout=layout,
        program=program,
        registers={
            "u": orthonormal_start(dim, count),
            "one": np.ones((count, 1)),
            "pos": np.eye(count),
            "low": np.triu(np.ones((count, count))),
            "turn": np.eye(1, count + 2).repeat(count, axis=0),
        },
        embed=("x", "one", "c"),
        vector_row="u",
        config={
            "norm": "rms",
            "norm_position": "post",
            "norm_eps": EPS,
            "norm_floor": floor,
            "norm_groups": (num_iters + 1, dim),
            "readout": "ritz",
            "squarings": SQUARINGS,
        },
    )


def krylov_space(
    dim: int, k: int, tolerance: Tolerance = CHOSEN, block: int | None = None
) -> KrylovSpace:
    """What `error_bound` must know of `krylov`."""
    check_tolerance(tolerance)
    start = orthonormal_start(dim, block_of(dim, k, block))
    return KrylovSpace(start, floor_of_type(), SQUARINGS)
