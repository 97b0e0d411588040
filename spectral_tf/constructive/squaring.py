r"""The power method in logarithmic depth: d column tokens square the covariance.

`square` replaces the matrix A by A A; after t squarings, each followed by a division by
the trace, the columns hold :math:`B^{2^t}` up to its scale, and the worker reads
:math:`B^{2^t} g` off with its start vector g: the iterate of :math:`n = 2^t` power
steps, after 3 t blocks instead of 4 n. One more product with B (so :math:`n = 2^t +
1`), two normalisations and Newton steps make it a unit vector; then :math:`B \leftarrow
(I - vv^\top) B (I - vv^\top)`, and the next vector starts.

*The trace*. If A is positive semi-definite with trace t, then :math:`t^2/d \le tr(A^2)
\le t^2` (Cauchy-Schwarz on the eigenvalues). The interpolant of 1/t lies above it, by
at most its relative error :math:`\epsilon`; so after a division :math:`1 \le t \le 1 +
\epsilon`, and the next trace lies in :math:`[1/d, (1+\epsilon)^2]`, which is the range
of its knots: nothing accumulates, and the error only changes the scale of A, never its
eigenvectors. (With the last knot at 1 the trace would square itself from there on.) The
first division, of the deflated matrix, has the range [smallest, 1].
"""

import numpy as np

from spectral_tf.config import repeated, require
from spectral_tf.constructive import column_gadgets, squaring_gadgets
from spectral_tf.constructive.columns import ring_and_worker
from spectral_tf.constructive.composition import Composition
from spectral_tf.constructive.normaliser import Normaliser, knots_for
from spectral_tf.constructive.register_gadgets import centre
from spectral_tf.constructive.registers import (
    default_smallest,
    polish_steps,
    root_normaliser,
    start_rows,
)
from spectral_tf.constructive.residual_layout import squaring_layout

MOST_SQUARINGS = 40


def trace_normaliser(accuracy: float, smallest: float, dim: int) -> Normaliser:
    """The interpolant of 1/t on the traces that can occur.

    Args:
        accuracy: relative error on the range.
        smallest: smallest trace of a deflated matrix that is scaled to 1.
        dim: d.

    Returns:
        The interpolant on [min(smallest, 1/(2 d)), (1 + accuracy)^2], with the fewest
        knots.

    Source: ours.
    """
    low, high = min(smallest, 0.5 / dim), (1 + accuracy) ** 2
    knots = knots_for(accuracy, low, high, 1.0)
    return Normaliser(low=low, high=high, num_knots=knots, power=1.0)


def squaring(
    dim: int,
    k: int,
    num_iters: int,
    accuracy: float | None = None,
    smallest: float | None = None,
) -> Composition:
    """The `squaring` composition.

    Args:
        dim: d.
        k: components.
        num_iters: t, the squarings per vector, 1 <= t <= 40.
        accuracy: of both normalisers, whose error only scales; None chooses 0.05.
        smallest: eigenvalue, or trace of the deflated matrix, over the trace that is
            still normalised; None chooses.

    Returns:
        2 + k (3 t + 11 + polishing) blocks.

    Raises:
        ConfigError: if t > 40.

    Source: ours.
    """
    require(
        num_iters <= MOST_SQUARINGS,
        f"num_iters={num_iters} is the number of squarings per vector of `squaring`; "
        f"it must be <= {MOST_SQUARINGS}: 12 are 4096 power steps.",
    )
    smallest = default_smallest(dim) if smallest is None else smallest
    accuracy = 0.05 if accuracy is None else accuracy
    layout = squaring_layout(dim, k)
    root = root_normaliser(accuracy, smallest, dim)
    reciprocal = trace_normaliser(accuracy, smallest, dim)
    gadgets = (
        centre(layout),
        squaring_gadgets.base_covariance(layout),
        squaring_gadgets.trace(layout, reciprocal),
        squaring_gadgets.scale_columns(layout, reciprocal.peak),
        squaring_gadgets.square(layout),
        column_gadgets.apply_columns(layout),
        squaring_gadgets.worker_norm(layout, root),
        squaring_gadgets.scale_worker(layout),
        column_gadgets.apply_columns(layout, row="base"),
        column_gadgets.head_polish(layout),
        column_gadgets.apply_columns(layout, row="base", keep=True),
        squaring_gadgets.worker_rayleigh(layout),
        squaring_gadgets.halve(layout),
        squaring_gadgets.deflate_columns(layout),
        column_gadgets.shift(layout),
    )
    powers = f"2 3 {repeated((4, 2, 3), num_iters)}"
    vector = f"5 6 7 8 6 7 {repeated((9,), polish_steps(accuracy))}"
    rows = ring_and_worker(layout, start_rows(dim, k))
    rows["one"] += 1.0
    rows["col"][k:-1] = 1.0
    rows["off"][k:-1] = 1.0 - np.eye(dim)
    return Composition(
        layout=layout,
        gadgets=gadgets,
        schedule=f"0 1 ({powers} {vector} 10 11 12 13 14)*{k}",
        registers=rows,
        embed=("x", "one", "c"),
        vector_row="q",
    )
