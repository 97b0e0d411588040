r"""The paper's theorem, executable: attention alone, L = 1 + 2 tau + 4 k layers.

One layer builds the covariance on d column tokens; each iteration is two layers,
`apply`
(multiply into the other buffer) and `normalise`; each eigenvector takes four more:
`polish`, `keep` (w = A v), `remove` (eigenvalue, and :math:`A \leftarrow A - vv^\top
A`) and `shift` (copy out, next start vector).

*What it computes*. Vector j is the power method on :math:`A_j = P_{j-1}\Sigma` with
:math:`P_{j-1} = (I - v_{j-1}v_{j-1}^\top)\cdots(I - v_1v_1^\top)`; every iterate lies
in the orthogonal complement of the vectors found (up to the length error of `polish`),
so deflation is exact even if they have not converged, and the limit is the top
eigenvector of :math:`P\Sigma P`. The paper keeps the identity columns in the data
tokens, which needs N >= d; here they are register tokens of their own, so any N will
do.
"""

import math

import numpy as np

from spectral_tf.config import repeated, require
from spectral_tf.constructive import column_gadgets as make
from spectral_tf.constructive.composition import Composition
from spectral_tf.constructive.normaliser import Normaliser
from spectral_tf.constructive.registers import (
    default_smallest,
    root_normaliser,
    start_rows,
)
from spectral_tf.constructive.residual_layout import ResidualLayout, columns_layout


def ring_and_worker(layout: ResidualLayout, start: np.ndarray) -> dict[str, np.ndarray]:
    """Start values of the k ring tokens, d column tokens and the worker, in this order.

    Args:
        layout: `columns_layout` or `squaring_layout`.
        start: `[k, d]` start vectors: the first on the worker, the rest on the ring.

    Returns:
        row -> `[k + d + 1, size]`.

    Source: ours.
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


def columns_normaliser(
    dim: int, accuracy: float | None, smallest: float | None
) -> Normaliser:
    r"""The normaliser of `columns`, of one head per knot.

    `polish` turns an error :math:`\epsilon` of a length into at most
    :math:`\frac32\epsilon^2`, and the removal then leaves :math:`3\epsilon^2\lambda_1`
    of the vector in the matrix, which must stay below the eigenvalues that count.

    Args:
        dim: d.
        accuracy: relative error; None takes 1e-3, or less if that is too much.
        smallest: as in `root_normaliser`; None takes `default_smallest`.

    Returns:
        The interpolant.

    Raises:
        ConfigError: if accuracy and smallest cannot hold together.

    Source: ours.
    """
    smallest = default_smallest(dim) if smallest is None else smallest
    if accuracy is None:
        accuracy = min(1e-3, math.sqrt(max(smallest, 0) / 12))
    normaliser = root_normaliser(accuracy, smallest, dim)
    require(
        3 * accuracy**2 < smallest,
        f"accuracy={accuracy} cannot hold for eigenvalues down to smallest={smallest}: "
        "removal needs 3 accuracy^2 < smallest; leave accuracy None.",
    )
    return normaliser


def columns(
    dim: int,
    k: int,
    num_iters: int,
    accuracy: float | None = None,
    smallest: float | None = None,
) -> Composition:
    """The `columns` composition.

    Args:
        dim: d.
        k: components.
        num_iters: tau >= k, the total over the k vectors, shared out evenly.
        accuracy: of the normaliser; decides the number of heads; None chooses.
        smallest: eigenvalue over trace that is still normalised; None chooses.

    Returns:
        1 + 2 tau + 4 k layers.

    Raises:
        ConfigError: if tau < k.

    Source: He et al. (2025), arXiv:2501.01312, theorem on PCA.
    """
    require(
        num_iters >= k,
        f"num_iters={num_iters} is the total over the {k} vectors of `columns`; it "
        f"must be >= num_components={k}, e.g. {60 * k}.",
    )
    layout = columns_layout(dim, k)
    normaliser = columns_normaliser(dim, accuracy, smallest)
    gadgets = (
        make.covariance(layout),
        make.apply_columns(layout, in_heads=True),
        make.hinge_norm(layout, normaliser),
        make.head_polish(layout),
        make.apply_columns(layout, keep=True),
        make.rayleigh_remove(layout),
        make.shift(layout),
    )
    each, more = divmod(num_iters, k)
    turn = lambda count: f"{repeated((1, 2), count)} 3 4 5 6"
    parts = ["0"]
    for count, times in ((each + 1, more), (each, k - more)):
        if times:
            parts.append(f"({turn(count)})*{times}")
    return Composition(
        layout=layout,
        gadgets=gadgets,
        schedule=" ".join(parts),
        registers=ring_and_worker(layout, start_rows(dim, k)),
        embed=("x",),
        vector_row="q",
    )
