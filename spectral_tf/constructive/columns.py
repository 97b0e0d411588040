r"""The paper's theorem, executable: attention alone, L = 1 + 2 tau + 4 k layers.

One layer builds the covariance on d column tokens; each iteration is two layers; each
eigenvector takes four more:

* `apply` (multiply into the other buffer) and `normalise`, in every iteration;
* `polish`, `keep` (w = A v), `remove` (eigenvalue, and :math:`A \leftarrow A -
  vv^\top A`) and `shift` (copy out, next start vector), for every vector.

*What it computes*. Vector j is the power method on :math:`A_j = P_{j-1}\Sigma` with
:math:`P_{j-1} = (I - v_{j-1}v_{j-1}^\top)\cdots(I - v_1v_1^\top)`; every iterate lies
in the orthogonal complement of the vectors found (up to the length error of `polish`),
so deflation is exact even if they have not converged, and the limit is the top
eigenvector of :math:`P\Sigma P`. The paper keeps the identity columns in the data
tokens, which needs N >= d; here they are register tokens of their own, so any N will
do.
"""

import numpy as np

from spectral_tf.config import require
from spectral_tf.constructive import column_gadgets as make
from spectral_tf.constructive.composition import Composition
from spectral_tf.constructive.gadgets import Gadget
from spectral_tf.constructive.program import Series, series
from spectral_tf.constructive.registers import start_rows
from spectral_tf.constructive.residual_layout import ResidualLayout, columns_layout
from spectral_tf.constructive.tolerance import CHOSEN, Tolerance, columns_normaliser


def ring_and_worker(layout: ResidualLayout, start: np.ndarray) -> dict[str, np.ndarray]:
    """Start values of the k ring tokens, d column tokens and the worker, in this order.

    Args:
        layout: `columns_layout` or `squaring_layout`.
        start: `[k, d]` start vectors: the first on the worker, the rest on the ring.

    Returns:
        row -> `[k + d + 1, size]`.
    """
    k, dim = start.shape
    total = k + dim + 1
    rows = {name: np.zeros((total, size)) for name, size in layout.sizes}
    rows["q"][: k - 1] = start[1:]
    rows["v"][-1] = start[0]
    rows["id"][k:-1] = np.eye(dim)
    rows["work"][-1] = 1.0
    rows["entry"][k - 1] = 1.0
    rows["pos"][:k] = np.eye(k)
    rows["next"][:k] = np.eye(k, k=1)
    return rows


def shares(num_iters: int, k: int) -> list[int]:
    """Iterations of the k vectors, tau in all; the first ones get what is over."""
    share, rest = divmod(num_iters, k)
    return [share + 1] * rest + [share] * (k - rest)


def columns(
    dim: int, k: int, num_iters: int, tolerance: Tolerance = CHOSEN
) -> Composition:
    """The `columns` composition.

    Args:
        dim: d.
        k: components.
        num_iters: tau >= k, the total over the k vectors, shared out evenly.
        tolerance: of the normaliser; decides the number of heads.

    Returns:
        1 + 2 tau + 4 k layers.

    Raises:
        ConfigError: if tau < k, or for a tolerance that cannot hold.

    Source: He et al. (2025), arXiv:2501.01312, theorem on PCA.
    """
    require(
        num_iters >= k,
        f"num_iters={num_iters} is the total over the {k} vectors of `columns`; it "
        f"must be >= num_components={k}, e.g. {60 * k}.",
    )
    layout = columns_layout(dim, k)
    iteration = series(
        make.apply_columns(layout, in_heads=True),
        make.hinge_norm(layout, columns_normaliser(dim, tolerance)),
    )
    ending = series(
        make.head_polish(layout),
        make.apply_columns(layout, keep=True),
        make.rayleigh_remove(layout),
        make.shift(layout),
    )
    vector = lambda count: series(iteration * count, ending)
    counts = shares(num_iters, k)
    turns: list[Series[Gadget]] = [
        vector(count) * counts.count(count) for count in dict.fromkeys(counts)
    ]
    return Composition(
        layout=layout,
        program=series(make.covariance(layout), *turns),
        registers=ring_and_worker(layout, start_rows(dim, k)),
        embed=("x",),
        vector_row="q",
    )
