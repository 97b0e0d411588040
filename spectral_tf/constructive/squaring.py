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

from spectral_tf.config import require
from spectral_tf.constructive import column_gadgets
from spectral_tf.constructive import squaring_gadgets as make
from spectral_tf.constructive.columns import ring_and_worker
from spectral_tf.constructive.composition import Composition
from spectral_tf.constructive.program import series
from spectral_tf.constructive.register_gadgets import centre
from spectral_tf.constructive.registers import start_rows
from spectral_tf.constructive.residual_layout import squaring_layout
from spectral_tf.constructive.tolerance import (
    CHOSEN,
    SQUARING_ACCURACY,
    Tolerance,
    polish_steps,
    squaring_normalisers,
)

MOST_SQUARINGS = 40


def squaring(
    dim: int, k: int, num_iters: int, tolerance: Tolerance = CHOSEN
) -> Composition:
    """The `squaring` composition.

    Args:
        dim: d.
        k: components.
        num_iters: t, the squarings per vector, 1 <= t <= 40.
        tolerance: of both normalisers, whose error only scales.

    Returns:
        2 + k (3 t + 11 + polishing) blocks.

    Raises:
        ConfigError: if t > 40, or for a tolerance that cannot hold.
    """
    require(
        num_iters <= MOST_SQUARINGS,
        f"num_iters={num_iters} is the number of squarings per vector of `squaring`; "
        f"it must be <= {MOST_SQUARINGS}: 12 are 4096 power steps.",
    )
    layout = squaring_layout(dim, k)
    root, reciprocal = squaring_normalisers(dim, tolerance)
    accuracy = tolerance.accuracy_or(SQUARING_ACCURACY)
    divide = series(
        make.trace(layout, reciprocal), make.scale_columns(layout, reciprocal.peak)
    )
    # A <- B^n over its trace, n = 2^t.
    power = series(divide, series(make.square(layout), divide) * num_iters)
    normalise = series(make.worker_norm(layout, root), make.scale_worker(layout))
    # v <- unit(B unit(A g)): n + 1 power steps from g.
    vector = series(
        column_gadgets.apply_columns(layout),
        normalise,
        column_gadgets.apply_columns(layout, row="base"),
        normalise,
        series(column_gadgets.head_polish(layout)) * polish_steps(accuracy),
    )
    # lam = <v, B v>, and B <- (I - v v^T) B (I - v v^T).
    removal = series(
        column_gadgets.apply_columns(layout, row="base", keep=True),
        make.worker_rayleigh(layout),
        make.halve(layout),
        make.deflate_columns(layout),
        column_gadgets.shift(layout),
    )
    rows = ring_and_worker(layout, start_rows(dim, k))
    rows["one"] += 1.0
    rows["col"][k:-1] = 1.0
    rows["off"][k:-1] = 1.0 - np.eye(dim)
    return Composition(
        layout=layout,
        program=series(
            centre(layout),
            make.base_covariance(layout),
            series(power, vector, removal) * k,
        ),
        registers=rows,
        embed=("x", "one", "c"),
        vector_row="q",
    )
