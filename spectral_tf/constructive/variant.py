"""What there is to know about a power method, in one row of a table.

`power_method.VARIANTS` is that table. Its functions also take a `Variant` itself in
place of a name, so a composition of yours needs no row.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from spectral_tf.constructive.composition import Composition
from spectral_tf.constructive.lanczos_bound import KrylovSpace
from spectral_tf.constructive.tolerance import Tolerance

Build = Callable[[int, int, int, Tolerance], Composition]
"""(d, k, tau, tolerance) to the composition."""

Reference = Callable[[np.ndarray, int, int, Tolerance], Iterator[dict[str, np.ndarray]]]
"""(sigma `[d, d]` of unit trace, k, tau, tolerance) to rows after every block.

The last one has `lam`, and the eigenvectors as `u` or `vectors`.
"""


class Rounds(NamedTuple):
    r"""How a composition keeps its registers orthonormal, for `error_bound`.

    It must be one of registers: tau products with :math:`\Sigma`, each followed by
    rounds of `normalise, deflate`; see the top of `registers.py`.

    Attributes:
        normalise: `[k, d]` rows to rows, in float64.
        polish: Newton steps at the end; 0 where lengths are exact.
        full: iterations of k rounds; the others have one.
    """

    normalise: Callable[[np.ndarray], np.ndarray]
    polish: int
    full: int


Bound = Callable[[int, int, Tolerance], Rounds | KrylovSpace]
"""(d, k, tolerance) to what `error_bound` has to know."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Variant:
    """A power method.

    Attributes:
        build: its composition.
        reference: its recursion in plain float64, for tests.
        bound: what `error_bound` must know; None where no bound is proved.
        fair_iters: a number of iterations to start from.
    """

    build: Build
    reference: Reference
    bound: Bound | None = None
    fair_iters: int = 60
