r"""How wrong a constructed network can be on a given table: a bound that is computed.

Three sources, for `register` and `rms`, whose registers span
:math:`\Sigma^\tau \operatorname{span}(U_0)` (proof at the top of `registers.py`):

*Iteration.* Write the first j start vectors in the eigenbasis of :math:`\Sigma`,
:math:`[A\,|\,B]` with A the coefficients of :math:`e_1..e_j`, and :math:`T_{jm} =
|A^{-1}B_{>m}|_2`. A vector of the span after tau steps is :math:`y = \Sigma^\tau(a +
T^\top a)`, so its part beyond :math:`E_m = \operatorname{span} (e_1..e_m)`, over its
part in :math:`E_j`, is at most

.. math:: t_{jm} = (\lambda_{m+1}/\lambda_j)^\tau\, T_{jm}, \qquad m \ge j.

*Rounding.* One product adds to each register noise of length at most :math:`\epsilon =
(3N + d + 20)\,u\,\rho` (u the unit roundoff, :math:`\rho` the length of the rows before
centring over that after), a round of normalising and deflating :math:`\eta = (d + 2k +
12)\,u`. In the span of the first j rows U of condition :math:`1/\sigma_j` that is
relative noise :math:`\nu = \sqrt j\,\epsilon/\sigma_j`, hence with :math:`s = \sqrt{1 +
t_{jj}^2}`, the length of a vector over its part in :math:`E_j`,

.. math:: t_{jm} \leftarrow \frac{\lambda_{m+1} t_{jm} + \nu s}{\lambda_j - \nu s}.

:math:`\sigma_j` comes from the same recursion, run in float64.

*Approximation.* An error of the normaliser does not move a span; what it leaves in the
lengths and inner products of the rows is measured in the float64 run.

Rank j then obeys, for every :math:`l < j \le m` (:math:`\operatorname{sn} t` is the
sine of the angle with tangent t, :math:`\delta` the largest inner product of two rows):

* it lies in :math:`\operatorname{span}(e_{l+1}..e_m)` up to an angle of sine
  :math:`\sqrt{\operatorname{sn}^2 t_{jm} + i_l^2}`,
  :math:`i_l = \min_{l\le h<j} \operatorname{sn} t_{hh} + \delta\sqrt h`, since it is
  orthogonal (up to delta) to spans that contain :math:`E_l` up to the angle
  :math:`t_{hh}`;
* its Rayleigh quotient is at least :math:`\lambda_m(1 - \operatorname{sn}^2 t_{jm})`
  and at most :math:`\lambda_{l+1} + (\lambda_1 - \lambda_{l+1}) i_l^2`.

Where eigenvalues are (nearly) equal, no single vector is determined, and the claim is
about the span of the cluster l + 1..m.

`krylov` has another theorem, on top of `lanczos_bound.py`.
"""

from typing import Any, NamedTuple

import numpy as np

from spectral_tf.config import require
from spectral_tf.constructive.lanczos_bound import (
    KrylovSpace,
    Spectrum,
    cluster_sines,
    krylov_claims,
)
from spectral_tf.constructive.power_method import VARIANTS, variant_of
from spectral_tf.constructive.registers import start_rows
from spectral_tf.constructive.tolerance import Tolerance
from spectral_tf.constructive.variant import Rounds, Variant
from spectral_tf.model.inputs import check_rows
from spectral_tf.settings import standard_settings

CLAIM = 0.1
"""An angle (radians) below which a cluster is claimed."""


class ErrorBound(NamedTuple):
    """Bounds for each rank of a constructed network on one table.

    Attributes:
        eigenvalue: `[k]` of the error of the eigenvalue, in the units of x squared.
        iteration: `[k]` the part of it that tau = infinity would remove.
        approximation: `[k]` the part that more knots would remove.
        rounding: `[k]` the rest, which a longer float type would remove.
        first: `[k]` first rank (from 1) of the cluster in whose span the vector lies.
        last: `[k]` last rank of the cluster; (1, d) if nothing is claimed.
        angle: `[k]` largest angle between vector and that span, radians.
        subspace: `[k]` largest angle between the span of the first j vectors and that
            of the first j eigenvectors; pi/2 if nothing is claimed.
    """

    eigenvalue: np.ndarray
    iteration: np.ndarray
    approximation: np.ndarray
    rounding: np.ndarray
    first: np.ndarray
    last: np.ndarray
    angle: np.ndarray
    subspace: np.ndarray


class _Problem(NamedTuple):
    """The table in its eigenbasis, scaled to unit trace."""

    values: np.ndarray  # [d], descending
    sigma: np.ndarray  # [d, d]
    basis: np.ndarray  # [d, d], columns
    trace: float
    spread: float  # rho
    start: np.ndarray  # [k, d]

    @property
    def doubt(self) -> np.ndarray:
        """`[d]`: sine of the error of span(e_1..e_m) as float64 computes it."""
        gaps = np.append(-np.diff(self.values), np.inf)
        small = 4 * len(self.values) * np.finfo(np.float64).eps
        return np.minimum(small / np.maximum(gaps, 1e-300), 1.0)


class _Run(NamedTuple):
    """What the float64 run of the recursion tells."""

    tangents: np.ndarray  # [k, d]: t_jm at [j - 1, m - 1]
    defect: float
    length: np.ndarray  # [k]


@standard_settings()
def error_bound(
    x: Any,
    num_components: int,
    num_iters: int,
    variant: str | Variant = "register",
    accuracy: float | None = None,
    smallest: float | None = None,
) -> ErrorBound:
    """Bound the error of a constructed network on a table.

    Args:
        x: `[N, d]`, in the float type in which the network will run.
        num_components: k.
        num_iters: tau.
        variant: `register`, `rms`, `krylov`, or a `Variant` of yours that has a bound.
        accuracy: as for `power_method_params`.
        smallest: as for `power_method_params`.

    Returns:
        The bounds.

    Raises:
        ConfigError: for another variant, or what `power_method_params` refuses.
        DataError: if x is not a finite table.

    Example:
        >>> import numpy as np, spectral_tf
        >>> x = np.random.default_rng(0).standard_normal((100, 5)).astype(np.float32)
        >>> bound = spectral_tf.error_bound(x * [5, 3, 2, 1, 1], 2, 60)
        >>> bool(bound.eigenvalue[0] < 0.01)
        True

    Source: Golub & Van Loan (2013), theorem 8.2.2, for the iteration.
    """
    check_rows(x)
    x = np.asarray(x)
    bound = variant_of(variant).bound
    bounded = [name for name, known in VARIANTS.items() if known.bound is not None]
    require(
        bound is not None,
        f"no bound is known for {_called(variant)}; choose {' or '.join(bounded)}.",
    )
    assert bound is not None
    dim, k = x.shape[1], num_components
    require(1 <= k <= dim, f"num_components={k} must lie in 1..dim={dim}.")
    require(num_iters >= 1, f"num_iters={num_iters} must be >= 1.")
    problem = _problem(x, k)
    rounds = bound(dim, k, Tolerance(accuracy=accuracy, smallest=smallest))
    unit = float(np.finfo(x.dtype).eps) / 2
    if isinstance(rounds, KrylovSpace):
        product = (3 * len(x) + dim + 20) * unit * problem.spread
        return _krylov(problem, rounds, num_iters, (product, unit))
    # epsilon of one product, eta of one round
    noise = (3 * len(x) + dim + 20) * unit * problem.spread, (dim + 2 * k + 12) * unit
    exact, rounded = _run(problem, rounds, num_iters, noise)
    ideal = exact._replace(defect=0.0, length=np.ones(k))
    iteration = _eigenvalue_bound(problem, ideal, 0.0)
    approximate = _eigenvalue_bound(problem, exact, 0.0)
    total = _eigenvalue_bound(problem, rounded, 2 * noise[0])
    first, last, angle = _clusters(problem, rounded)
    sines = _sine(np.diagonal(rounded.tangents)[:k]) + problem.doubt[:k]
    # A vector that shrank to nothing makes no span.
    sines = np.where(np.minimum.accumulate(rounded.length) < 0.5, 1.0, sines)
    return ErrorBound(
        eigenvalue=total * problem.trace,
        iteration=iteration * problem.trace,
        approximation=(approximate - iteration) * problem.trace,
        rounding=(total - approximate) * problem.trace,
        first=first,
        last=last,
        angle=angle,
        subspace=np.arcsin(np.minimum(sines, 1.0)),
    )


def _krylov(
    problem: _Problem, space: KrylovSpace, num_iters: int, noise: tuple[float, float]
) -> ErrorBound:
    """The bounds of `lanczos_bound.py`, in the units of x squared."""
    spectrum = Spectrum(problem.values, problem.basis)
    k, dim = len(problem.start), len(problem.values)
    claims = krylov_claims(spectrum, space, num_iters, k, noise)
    sines = cluster_sines(problem.values, claims.deficits)
    # Orthogonal to rounding; and the basis itself is known to `doubt` alone.
    below = np.append(0.0, problem.doubt)[:k]
    sines = sines + problem.doubt + below[:, None] + 8 * (dim + k) * noise[1]
    first, last, angle = np.ones(k, int), np.full(k, dim), np.zeros(k)
    for j in range(k):
        width = np.arange(1, dim + 1)[None] - np.arange(k)[:, None]
        is_cluster = (sines[j] <= np.sin(CLAIM)) & (np.arange(k)[:, None] <= j)
        width = np.where(is_cluster, width, dim)
        low, high = np.unravel_index(np.argmin(width), width.shape)
        if width[low, high] < dim:
            first[j], last[j] = low + 1, high + 1
            angle[j] = np.arcsin(min(sines[j, low, high], 1.0))
    subspace = np.minimum(sines[range(k), 0, range(k)], 1.0)
    return ErrorBound(
        eigenvalue=claims.total * problem.trace,
        iteration=claims.iteration * problem.trace,
        approximation=(claims.approximation - claims.iteration) * problem.trace,
        rounding=(claims.total - claims.approximation) * problem.trace,
        first=first,
        last=last,
        angle=angle,
        subspace=np.arcsin(subspace),
    )


def _called(variant: str | Variant) -> str:
    return f"variant {variant!r}" if isinstance(variant, str) else "this variant"


def _problem(x: np.ndarray, k: int) -> _Problem:
    rows = x.astype(np.float64)
    scale = np.max(np.abs(rows)) or 1.0
    rows = rows / scale
    relative = rows - rows[0]
    centred = relative - relative.mean(axis=0)
    total = float(np.sum(centred**2))
    spread = np.sqrt(np.sum(relative**2) / total) if total > 0 else 1.0
    sigma = centred.T @ centred / (total or 1.0)
    values, basis = np.linalg.eigh(sigma)
    values = np.clip(values[::-1], 0.0, None)
    start = start_rows(x.shape[1], k)
    trace = total / len(x) * scale**2
    return _Problem(values, sigma, basis[:, ::-1], trace, max(spread, 1.0), start)


def _polished(rows: np.ndarray) -> np.ndarray:
    return 1.5 * rows - 0.5 * np.sum(rows**2, axis=1, keepdims=True) * rows


def _lengths(rows: np.ndarray) -> np.ndarray:
    return np.linalg.norm(rows, axis=1, keepdims=True)


def _smallest_singular(rows: np.ndarray) -> np.ndarray:
    """`[k]` smallest singular value of the first j rows, each over its length."""
    rows = rows / np.maximum(_lengths(rows), 1e-300)
    count = range(1, len(rows) + 1)
    last = lambda j: np.linalg.svd(rows[:j], compute_uv=False)[-1] if j > 1 else 1.0
    smallest = [last(j) for j in count]
    # Its own rounding: a smaller value cannot be told from this.
    return np.maximum(np.array(smallest), 1e-15)


def _run(
    problem: _Problem, rounds: Rounds, num_iters: int, noise: tuple[float, float]
) -> tuple[_Run, _Run]:
    """Run the recursion, and the tangents along with it: without noise, and with."""
    rows, k = problem.start, len(problem.start)
    normalise, polish, full = rounds
    # lambda_{m+1} and lambda_j of one product; both are 1 in a round
    beyond, within = np.append(problem.values[1:], 0.0), problem.values[:k, None]
    # [2, k, d] and [2, k]: exact, with noise.
    tangents = np.stack([_start_tangents(problem)] * 2)
    product, one_round = (
        np.array([0.0, 1.0])[:, None] * np.sqrt(np.arange(1, k + 1)) * size
        for size in noise
    )

    def turned(rows: np.ndarray, tangents: np.ndarray, count: int) -> tuple:
        for _ in range(count):
            rows = normalise(rows)
            nu = one_round / _smallest_singular(rows)
            tangents = _moved(1.0, tangents, nu, 1.0)
            rows = rows - np.tril(rows @ rows.T, -1) @ rows
        return rows, tangents

    with np.errstate(all="ignore"):
        for index in range(num_iters):
            nu = product / _smallest_singular(rows)
            tangents = _moved(beyond, tangents, nu, within)
            # U <- U Sigma
            rows = rows @ problem.sigma
            rows, tangents = turned(rows, tangents, k if index < full else 1)
        rows, tangents = turned(rows, tangents, k - 1 if polish else k)
        rows = normalise(rows)
        for _ in range(polish):
            rows = _polished(rows)
        if polish and k > 1:
            rows = _polished(rows - np.tril(rows @ rows.T, -1) @ rows)
        tangents = _moved(1.0, tangents, 4 * one_round, 1.0)
    tangents[:, :, -1] = 0.0
    lengths = _lengths(rows)[:, 0]
    unit_rows = rows / np.maximum(lengths, 1e-300)[:, None]
    defect = float(np.max(np.abs(np.tril(unit_rows @ unit_rows.T, -1)), initial=0.0))
    more = 4 * noise[1] * np.sqrt(k)
    return _Run(tangents[0], defect, lengths), _Run(tangents[1], defect + more, lengths)


def _start_tangents(problem: _Problem) -> np.ndarray:
    """`[k, d]`: T_jm at [j - 1, m - 1], infinite for m < j."""
    k, dim = problem.start.shape
    coefficients = problem.start @ problem.basis
    tangents = np.full((k, dim), np.inf)
    for j in range(1, k + 1):
        inside = coefficients[:j, :j]
        if np.linalg.cond(inside) > 1e14:
            continue
        # A^{-1} B
        outside = np.linalg.solve(inside, coefficients[:j, j:])
        for m in range(j, dim + 1):
            part = outside[:, m - j :]
            tangents[j - 1, m - 1] = np.linalg.norm(part, 2) if part.size else 0.0
    return tangents


def _moved(
    beyond: Any, tangents: np.ndarray, nu: np.ndarray, within: Any
) -> np.ndarray:
    """(beyond t + nu s) / (own - nu s), infinite where the noise is as large."""
    k = tangents.shape[1]
    own_tangent = np.diagonal(tangents, axis1=1, axis2=2)[:, :k]
    # nu s, s = sqrt(1 + t_jj^2)
    push = np.where(nu > 0, nu * np.sqrt(1 + own_tangent**2), 0.0)[:, :, None]
    below = within - push
    # t_jm <- (lambda_{m+1} t_jm + nu s) / (lambda_j - nu s)
    moved = (beyond * tangents + push) / below
    return np.where((below > 0) & np.isfinite(moved), moved, np.inf)


def _sine(tangent: np.ndarray) -> np.ndarray:
    known = np.minimum(tangent, 1e150)
    return known / np.sqrt(1 + known**2)


def _inner(run: _Run) -> np.ndarray:
    """`[k, k]`: i_l of rank j at [j - 1, l]; 0 for l = 0."""
    k = len(run.tangents)
    with np.errstate(invalid="ignore"):
        sines = _sine(np.diagonal(run.tangents)[:k])
    # sn t_hh + delta sqrt(h), of which i_l is the least over l <= h < j
    spans = sines + run.defect * np.sqrt(np.arange(1, k + 1))
    inner = np.ones((k, k))
    for j in range(1, k + 1):
        inner[j - 1, 0] = 0.0
        if np.all(np.isinf(run.tangents[j - 1, :-1])):
            continue  # the vector may be nothing but noise
        for low in range(1, j):
            inner[j - 1, low] = min(1.0, float(np.min(spans[low - 1 : j - 1])))
    return inner


def _eigenvalue_bound(problem: _Problem, run: _Run, noise: float) -> np.ndarray:
    """`[k]`, over the trace."""
    values, inner = problem.values, _inner(run)
    with np.errstate(invalid="ignore"):
        outer = _sine(run.tangents)
    bounds = []
    for j in range(len(run.tangents)):
        spread = np.abs(run.length[j] - 1) * 3
        upper = min(
            values[low] + (values[0] - values[low]) * inner[j, low] ** 2
            for low in range(j + 1)
        )
        # lambda_m (1 - sn^2 t_jm), at the best m
        lower = max(values[m] * (1 - outer[j, m] ** 2) for m in range(j, len(values)))
        lower = lower * (1 - spread) if spread < 1 else 0.0
        upper = upper * (1 + spread)
        bounds.append(max(values[j] - lower, upper - values[j], 0.0) + noise)
    return np.array(bounds)


def _clusters(
    problem: _Problem, run: _Run
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Narrowest cluster of each rank whose angle is below `CLAIM`."""
    k, dim = run.tangents.shape
    inner = _inner(run)
    with np.errstate(invalid="ignore"):
        outer = _sine(run.tangents)
    first, last, angle = np.ones(k, int), np.full(k, dim), np.zeros(k)
    for j in range(k):
        if run.length[j] < 0.5:
            continue  # the vector of a vanishing eigenvalue came out as 0
        # sqrt(sn^2 t_jm + i_l^2) for every cluster l + 1..m
        sines = np.sqrt(outer[j, None, j:] ** 2 + inner[j, : j + 1, None] ** 2)
        below = np.insert(problem.doubt, 0, 0.0)[: j + 1]
        sines = sines + problem.doubt[None, j:] + below[:, None]
        width = np.arange(j, dim)[None] - np.arange(j + 1)[:, None]
        width = np.where(sines <= np.sin(CLAIM), width, dim)
        low, high = np.unravel_index(np.argmin(width), width.shape)
        if width[low, high] < dim:
            first[j], last[j] = low + 1, j + high + 1
            angle[j] = np.arcsin(min(sines[low, high], 1.0))
    return first, last, angle
