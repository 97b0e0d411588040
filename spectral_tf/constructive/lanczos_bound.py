r"""How far `krylov` is from the eigenpairs of a table: bounds from the start's angle.

*Eigenvalues.* Let :math:`\lambda_1 \ge \dots \ge \lambda_d` be those of :math:`\Sigma`,
:math:`e_i` their vectors, and U the b orthonormal start rows. For :math:`j \le m \le b`
the span of U has vectors :math:`y_1, \dots, y_j` with :math:`\langle y_i, e_l\rangle =
1[i = l]` for all :math:`l \le m`: the first j rows of :math:`A^+ U`, A being the
coordinates of U on :math:`e_1..e_m`, which are the shortest. Let G be their part beyond
:math:`E_m`. With n products the space holds :math:`w_i = \phi(\Sigma) y_i` for every
polynomial of degree n, here Chebyshev's on :math:`[\lambda_d, \lambda_{m+1}]`, at most
1 there and at least :math:`T_n(\gamma_j)` at :math:`\lambda_1..\lambda_j`, where

.. math:: \gamma_j = 1 + 2\,\frac{\lambda_j - \lambda_{m+1}}{\lambda_{m+1} - \lambda_d},
   \qquad t_j = \frac{|G|_2}{T_n(\gamma_j)} .

So :math:`\sum_i a_i w_i` has in :math:`E_j` at least :math:`T_n |a|` and outside at
most :math:`|G| |a|`: its quotient is at least :math:`\lambda_j - (\lambda_j -
\lambda_d)\,t_j^2/(1 + t_j^2)`. By Courant and Fischer the j-th Ritz value is not below
the least of these, nor above :math:`\lambda_j`:

.. math:: 0 \le \lambda_j - \theta_j \le (\lambda_j - \lambda_d)
   \frac{t_j^2}{1 + t_j^2}, \qquad \text{for the best } m \text{ and } n \le P - 1 .

*Vectors.* Let :math:`v_1, v_2, \dots` be orthonormal with quotients that sum to
:math:`\sum_{i \le j} \lambda_i - \delta_j`, :math:`\Pi` the projector on the first j,
and :math:`p_r = \langle e_r, \Pi e_r\rangle \in [0, 1]`, of sum j. Then

.. math:: \delta_j = \sum_{r \le j} \lambda_r (1 - p_r) - \sum_{r > j} \lambda_r p_r
   \ge (\lambda_j - \lambda_{m+1}) \sum_{r > m} p_r, \quad
   \delta_j \ge (\lambda_l - \lambda_{j+1}) \sum_{r \le l} (1 - p_r) .

The first sum bounds the squared sine from :math:`v_j` to :math:`E_m, m \ge j`; the
second, with h in place of j, that between :math:`E_l` and the first h vectors, to which
:math:`v_j` is orthogonal for :math:`l \le h < j`. Together they bound the sine to
:math:`\operatorname{span}(e_{l+1}..e_m)`. An angle is of the order of the root of an
error of the values, here as ever.

*The read-out* answers with columns of :math:`T^q, q = 2^s`. A column of the largest
diagonal entry, of a matrix of M live rows with :math:`\mu_i = \theta_i / \theta_1`, has
a quotient short of :math:`\theta_1` by at most :math:`M \max_i (\theta_1 - \theta_i)
\mu_i^q \le M \theta_1 / (e q)`; deflation interlaces, so that holds for each in turn.
It counts as approximation.

*Rounding.* Let f bound the distance from :math:`\Sigma q` to the kept vectors, for all
q that was multiplied: the rounding of a product and of b + 2 rounds, and where
candidates are dropped the floor. The blocks of :math:`\Sigma` in the basis of the kept
vectors that block Lanczos leaves out then form a symmetric E with :math:`|E|_F \le
\sqrt{2 b (P - 1)}\, f`, and :math:`\phi(\Sigma - E)\,y` lies in the space exactly.
Since :math:`|\phi(\Sigma) - \phi(\Sigma - E)|_F \le |E|_F \max |\phi'| =: D` (divided
differences in the two eigenbases), with :math:`s = \sqrt{1 + |G|^2}`

.. math:: t_j \le \frac{|G| + D s}{T_n(\gamma_j) - D s} .

What rounding does to T and to the mixtures is added to the values.

Source: Saad (1980), SIAM J. Numer. Anal. 17, for the choice of the y (block Lanczos);
Kaniel (1966), Math. Comp. 20, for the polynomial; Fan (1949), PNAS 35, for the sum.
"""

from typing import NamedTuple

import numpy as np

from spectral_tf.constructive.lanczos_reference import krylov_recursion


class KrylovSpace(NamedTuple):
    """What `error_bound` must know of `krylov`.

    Attributes:
        start: `[b, d]` orthonormal rows.
        floor: of the norm.
        squarings: of the read-out.
    """

    start: np.ndarray
    floor: float
    squarings: int


class Spectrum(NamedTuple):
    """A covariance of unit trace.

    Attributes:
        values: `[d]` descending.
        basis: `[d, d]` eigenvectors, columns.
    """

    values: np.ndarray
    basis: np.ndarray


def chebyshev(degree: int, x: float) -> tuple[float, float]:
    """T_n and its derivative at x >= 1; infinity where they are beyond the range."""
    angle = float(np.arccosh(x))
    if degree * angle > 300:
        return np.inf, np.inf
    if angle < 1e-6:
        return 1.0, float(degree**2)
    return float(np.cosh(degree * angle)), degree * float(
        np.sinh(degree * angle) / np.sinh(angle)
    )


def ritz_losses(
    spectrum: Spectrum, start: np.ndarray, num_products: int, k: int, error: float = 0.0
) -> np.ndarray:
    """`[k]` bounds of lambda_j - theta_j, the theorem at the top of this file.

    Args:
        spectrum: of the matrix, of any trace.
        start: `[b, d]` orthonormal rows.
        num_products: P.
        k: at most b.
        error: |E|_F; 0 in exact arithmetic.

    Returns:
        The bounds; at most lambda_j - lambda_d.
    """
    values, dim = spectrum.values, len(spectrum.values)
    coordinates = start @ spectrum.basis
    sines = np.ones(k)
    for m in range(1, len(start) + 1):
        inside = coordinates[:, :m]
        if np.linalg.cond(inside) > 1e12:
            continue
        inverse = np.linalg.pinv(inside)
        for j in range(1, min(m, k) + 1):
            # The y are orthonormal in E_m, so what is longer than 1 is G.
            longest = np.linalg.norm(inverse[:j], 2)
            beyond = np.sqrt(max(longest**2 - 1, 0.0)) + 1e-15 * longest
            tangent = min(
                _tangent(values, (j, m), 0.0 if m == dim else beyond, degree, error)
                for degree in range(num_products)
            )
            known = min(tangent, 1e150)
            sines[j - 1] = min(sines[j - 1], known / np.sqrt(1 + known**2))
    return (values[:k] - values[-1]) * sines**2


def _tangent(
    values: np.ndarray, place: tuple[int, int], beyond: float, degree: int, error: float
) -> float:
    """(|G| + D s) / (T_n(gamma_j) - D s), or infinity."""
    j, m = place
    if beyond == 0:
        return 0.0  # m = d: the start is the whole space
    # Rounding of the eigenvalues themselves keeps the interval from closing.
    half = max((values[m] - values[-1]) / 2, 1e-15 * values[0] + 1e-300)
    size, _ = chebyshev(degree, 1 + max(values[j - 1] - values[m], 0.0) / half)
    _, slope = chebyshev(degree, 1 + max(values[0] - values[m] + error, 0.0) / half)
    if np.isinf(slope) and error > 0:
        return np.inf
    off = error * slope / half * np.sqrt(1 + beyond**2) if error > 0 else 0.0
    return (beyond + off) / (size - off) if size > off else np.inf


def leaves_out(
    spectrum: Spectrum, space: KrylovSpace, num_products: int, noise: float
) -> float:
    """|E|_F: what the network's space leaves out of that of exact block Lanczos.

    Args:
        spectrum: of unit trace.
        space: the network.
        num_products: P.
        noise: rounding of a product and of the rounds after it.

    Returns:
        The bound; the floor counts where a candidate comes near it.
    """
    if num_products == 1:
        return 0.0
    values, basis = spectrum
    sigma = basis * values @ basis.T
    *_, last = krylov_recursion(sigma, space.start, num_products - 1, 1e-13)
    block = len(space.start)
    images = np.linalg.norm(last.images, axis=1)
    # What deflation leaves of the image of a vector: its part along its successor.
    left = np.abs(np.sum(last.basis[block:] * last.images, axis=1))
    used = np.any(last.basis[: len(images)] != 0, axis=1)
    near = used & (left < 10 * space.floor * np.maximum(images, 1 / len(values)))
    # u <- d w is dropped at the floor, and what is left of it at that of its length.
    dropped = space.floor * (values[0] + 1 / len(values)) if near.any() else 0.0
    return float(np.sqrt(2 * block * (num_products - 1)) * (noise + dropped))


class Claims(NamedTuple):
    """Bounds over the trace, see `ErrorBound`; `sines` `[k, k + 1, d + 1]` of clusters.

    Attributes:
        iteration: `[k]` error of the values in exact arithmetic.
        approximation: `[k]` with that of the read-out.
        total: `[k]` with rounding.
        deficits: `[k + 1]` delta_j, j = 0 to k.
    """

    iteration: np.ndarray
    approximation: np.ndarray
    total: np.ndarray
    deficits: np.ndarray


def krylov_claims(
    spectrum: Spectrum,
    space: KrylovSpace,
    num_products: int,
    k: int,
    noise: tuple[float, float],
) -> Claims:
    """All bounds on the values.

    Args:
        spectrum: of unit trace.
        space: the network.
        num_products: P.
        k: components.
        noise: of one product, over the trace; unit roundoff.

    Returns:
        The bounds.
    """
    product, unit = noise
    dim, block, top = len(spectrum.values), len(space.start), spectrum.values[0]
    rows = min(block * num_products, dim)
    one_round = 2 * (dim + 4 * rows + 20) * unit
    error = leaves_out(
        spectrum, space, num_products, product + (block + 2) * one_round * top
    )
    # Entries of T and of the mixtures, squarings, and the shift.
    reading = 2 * np.sqrt(rows) * (product + dim * unit * top)
    reading += (8 * rows + 50) * k * unit * top + 16 * unit
    exact = ritz_losses(spectrum, space.start, num_products, k)
    # 1.02: a column within a hundredth of the longest is read.
    read_out = 1.02 * rows * top / (np.e * 2.0**space.squarings)
    noisy = ritz_losses(spectrum, space.start, num_products, k, error)
    losses = exact, exact + read_out, np.maximum(exact, noisy) + read_out + reading
    deficits = [np.append(0.0, np.cumsum(loss)) for loss in losses]
    # Below by the loss, above by what those before have lost.
    bounds = [
        np.maximum(loss, deficit[:-1])
        for loss, deficit in zip(losses, deficits, strict=True)
    ]
    return Claims(bounds[0], bounds[1], bounds[2] + reading, deficits[2])


def cluster_sines(values: np.ndarray, deficits: np.ndarray) -> np.ndarray:
    """`[k, k, d]`: sine from vector j to span(e_{l+1}..e_m) at [j - 1, l, m - 1].

    Args:
        values: `[d]` descending.
        deficits: `[k + 1]` delta_j.

    Returns:
        The bounds; 1 where nothing is known.
    """
    dim, k = len(values), len(deficits) - 1
    after = np.append(values, -np.inf)  # nothing lies beyond E_d
    sines = np.ones((k, k, dim))
    with np.errstate(divide="ignore", invalid="ignore"):
        for j in range(1, k + 1):
            # delta_j / (lambda_j - lambda_{m+1}) for m >= j
            gaps = values[j - 1] - after[j : dim + 1]
            outer = np.where(gaps > 0, deficits[j] / gaps, 1.0)
            for l in range(j):
                inner = 0.0 if l == 0 else 1.0
                for h in range(max(l, 1), j if l else 0):
                    gap = values[l - 1] - values[h]
                    inner = min(inner, deficits[h] / gap if gap > 0 else 1.0)
                sines[j - 1, l, j - 1 :] = np.sqrt(np.minimum(outer + inner, 1.0))
    return sines
