r"""A symmetric matrix as a certificate sees it: products, a norm, a bound on the rest.

`Matrix` holds S itself; `CentredRows` a table, mostly with fewer rows than columns,
whose S is not formed. What both must answer, for columns Q that are (nearly)
orthonormal, is an upper bound of the largest eigenvalue of S on the orthogonal
complement of their span.

*From a Cholesky factor.* Let :math:`A = \sigma I - S + Q C Q^\top` for any symmetric C.
If A is positive definite, then :math:`x^\top S x < \sigma |x|^2` for every x orthogonal
to Q. A floating-point Cholesky factorisation that runs to completion proves that A has
no eigenvalue below :math:`-\gamma_{n+1}/(1-\gamma_{n+1}) \operatorname{tr} A`; so
:math:`\sigma` plus that and the rounding of A's entries is a bound. (Rump, 2006, BIT
46, "Verification of positive definiteness".) For a table, with P the projector on the
complement, :math:`P S P` has the non-zero eigenvalues of :math:`X P X^\top / N =
G - W W^\top`, with :math:`G = X X^\top / N` and :math:`W = X Q / \sqrt N`.

*From what is left.* On the complement, the largest eigenvalue is at most the Frobenius
norm of :math:`P S P`, whose square is :math:`|S|_F^2 - 2 |S Q|_F^2 + |Q^\top S Q|_F^2`;
and, S being semi-definite, at most its trace, :math:`\operatorname{tr} S -
\operatorname{tr} Q^\top S Q`. Cheap, and used alone where a factorisation is too large.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.linalg import get_blas_funcs, get_lapack_funcs

from spectral_tf.certificate.tall import matrix_product, normal_product
from spectral_tf.moments import UNIT_ROUNDOFF, mirrored

LARGEST_FACTOR = 6144
"""Largest matrix that is factorised."""
SMALL = 64
"""Up to this size the complement's eigenvalue is computed to choose sigma."""
LANCZOS_STEPS = 12
"""Beyond, it is estimated by so many steps."""


class Complement(NamedTuple):
    """An upper bound on the orthogonal complement of a span, and how it was proven."""

    bound: float
    method: str


@dataclasses.dataclass(frozen=True)
class Matrix:
    """S as it is.

    Attributes:
        values: `[d, d]` exactly symmetric.
        error: bound on the 2-norm of its error.
        is_semidefinite: whether the matrix that it stands for is a covariance.
    """

    values: np.ndarray
    error: float
    is_semidefinite: bool

    @property
    def dim(self) -> int:
        """d, the number of features."""
        return len(self.values)

    @functools.cached_property
    def norm(self) -> float:
        """Frobenius."""
        return float(np.linalg.norm(self.values))

    @property
    def trace(self) -> float:
        """Sum of the eigenvalues."""
        return float(np.trace(self.values))

    @property
    def slack(self) -> float:
        """For products of d terms."""
        return self.error + 2 * (self.dim + 4) * UNIT_ROUNDOFF * self.norm

    def product(self, columns: np.ndarray) -> np.ndarray:
        """`[d, m]` S times the columns."""
        return matrix_product(self.values, columns)

    def complement(
        self, basis: np.ndarray, image: np.ndarray, target: float
    ) -> Complement:
        """A bound of S on the complement of `basis`."""
        # |P S P|_F^2 = |S|_F^2 - 2 |S Q|_F^2 + |Q^T S Q|_F^2, P = I - Q Q^T.
        inner = basis.T @ image
        top = float(np.linalg.norm(inner))
        rest = self.norm**2 - 2 * np.linalg.norm(image) ** 2 + top**2
        # The difference of squares is exact to a few roundings of the largest.
        rest += 16 * (self.dim + 4) * UNIT_ROUNDOFF * self.norm**2
        left = math.sqrt(max(rest, 0.0))
        if self.is_semidefinite:
            # lambda_1(P S P) <= tr(P S P) = tr S - tr Q^T S Q.
            trace = self.trace - float(np.trace(inner))
            rounding = 4 * self.dim * UNIT_ROUNDOFF * self.trace
            left = min(left, trace + rounding + self.dim * self.slack)
        cheap = Complement(left + self.slack, "trace")
        if self.dim > LARGEST_FACTOR or self.dim == basis.shape[1]:
            return cheap
        # The span itself is moved down, far enough below the target: A = sigma I - S +
        # Q C Q^T with C = Q^T S Q + lift I.
        lift = max(top, self.norm / self.dim) if target > 0 else self.norm
        spread = basis @ (inner + lift * np.eye(len(inner)))

        def deflated() -> np.ndarray:
            product = spread @ basis.T
            return np.subtract(product, self.values, out=product)

        size = self.norm + float(np.linalg.norm(spread))
        rounding = 4 * (basis.shape[1] + 8) * UNIT_ROUNDOFF * size
        return proven(deflated, rounding + self.slack, target, cheap)


@dataclasses.dataclass(frozen=True)
class CentredRows:
    """A centred table X; S = X^T X / N is not formed.

    Attributes:
        x: `[N, d]` centred rows.
        error: bound on the 2-norm of the error of S that comes with them.
        squares: `[d]` sums of the squares of the columns.
    """

    x: np.ndarray
    error: float
    squares: np.ndarray

    @property
    def dim(self) -> int:
        """d, the number of features."""
        return self.x.shape[1]

    @property
    def norm(self) -> float:
        """The trace."""
        return float(np.sum(self.squares)) / len(self.x)

    @functools.cached_property
    def gram(self) -> np.ndarray:
        """`[N, N]` X X^T / N, symmetric: the non-zero eigenvalues of S."""
        (syrk,) = get_blas_funcs(("syrk",), (self.x,))
        upper = syrk(1.0 / len(self.x), self.x.T, trans=1)
        return mirrored(upper)

    @property
    def covariance(self) -> np.ndarray:
        """`[d, d]` S itself, symmetric."""
        (syrk,) = get_blas_funcs(("syrk",), (self.x,))
        return mirrored(syrk(1.0 / len(self.x), self.x.T))

    @property
    def trace(self) -> float:
        """Sum of the eigenvalues."""
        return self.norm

    @property
    def slack(self) -> float:
        """For a product of d and one of N terms."""
        steps = sum(self.x.shape) + 8
        return self.error + 2 * steps * UNIT_ROUNDOFF * self.norm

    def product(self, columns: np.ndarray) -> np.ndarray:
        """`[d, m]` S times the columns."""
        product = normal_product(self.x, columns)
        return np.divide(product, len(self.x), out=product)

    def complement(
        self, basis: np.ndarray, image: np.ndarray, target: float
    ) -> Complement:
        """A bound of S on the complement of `basis`."""
        # lambda_1(P S P) <= tr S - tr Q^T S Q, with S semi-definite by its form.
        trace = self.norm - float(np.trace(basis.T @ image))
        cheap = Complement(max(trace, 0.0) + (self.dim + 1) * self.slack, "trace")
        if len(self.x) > LARGEST_FACTOR:
            return cheap
        # P S P and G - W W^T have the same non-zero eigenvalues; part is sqrt(N) W.
        part = self.x @ basis

        def deflated() -> np.ndarray:
            product = part @ (part.T / len(self.x))
            return np.subtract(product, self.gram, out=product)

        return proven(deflated, 2 * self.slack, target, cheap)


Source = Matrix | CentredRows
"""Whose `dim`, `norm` (at least that of |S|), `slack` (rounding of a product and the
error of S), `product` and `complement` a certificate is made of."""


def proven(
    negative: Callable[[], np.ndarray],
    rounding: float,
    target: float,
    cheap: Complement,
) -> Complement:
    """A bound of the largest eigenvalue, proven by Cholesky factorisations.

    Args:
        negative: makes minus the matrix `[n, n]`, whose upper triangle counts. It is
            made anew for each factorisation, which overwrites it: one array at a time.
        rounding: bound on the 2-norm of the error of its entries.
        target: a bound above this is of no use.
        cheap: a bound that is known already, returned if nothing better is found.

    Returns:
        The smallest bound found.

    Source: see the module.
    """
    shifted = negative()
    size = len(shifted)
    estimate = -smallest_eigenvalue(shifted)
    spread = max(float(np.linalg.norm(shifted)) / size, abs(estimate)) or 1.0
    floor = estimate + 1e-6 * spread
    # Sigma must lie above lambda_1, by little for a tight bound, by more to succeed.
    if size <= SMALL:
        tries = [estimate + 1e-10 * spread, floor, estimate + 1e-3 * spread]
    else:
        tries = [floor + share * (target - floor) for share in (0.05, 0.4, 0.8)]
    (potrf,) = get_lapack_funcs(("potrf",), (shifted,))
    for sigma in tries:
        shifted = negative() if shifted is None else shifted
        shifted.flat[:: size + 1] += sigma
        total = float(np.trace(shifted))
        # The transpose is in the order that LAPACK wants, so that nothing is copied.
        is_bad = potrf(shifted.T, lower=1, clean=0, overwrite_a=1)[1] != 0
        shifted = None
        if total <= 0 or is_bad:
            continue
        # It ran to completion: lambda_1 <= sigma + gamma_{n+1} tr A + rounding.
        steps = (size + 2) * UNIT_ROUNDOFF
        bound = sigma + 1.1 * steps * total + 2 * UNIT_ROUNDOFF * spread + rounding
        bound += 2 * UNIT_ROUNDOFF * abs(sigma)
        return Complement(bound, "inertia") if bound < cheap.bound else cheap
    return cheap


def smallest_eigenvalue(matrix: np.ndarray) -> float:
    """An estimate from above: exact for small matrices, by Lanczos for large ones.

    Args:
        matrix: `[n, n]` symmetric.

    Returns:
        The estimate. It only chooses what is then proven.

    Source: Golub & Van Loan (2013), section 10.1.
    """
    size = len(matrix)
    if size <= SMALL:
        return float(np.linalg.eigvalsh(matrix)[0])
    vector = np.random.default_rng(0).standard_normal(size)
    basis, alphas, betas = [vector / np.linalg.norm(vector)], [], []
    for _ in range(LANCZOS_STEPS):
        image = matrix @ basis[-1]
        alphas.append(float(image @ basis[-1]))
        for _ in range(2):  # Gram-Schmidt, twice is enough
            for other in basis:
                image -= (image @ other) * other
        length = float(np.linalg.norm(image))
        if length <= 1e-12 * abs(alphas[0]):
            break
        betas.append(length)
        basis.append(image / length)
    off = betas[: len(alphas) - 1]
    small = np.diag(alphas) + np.diag(off, 1) + np.diag(off, -1)
    return float(np.linalg.eigvalsh(small)[0])
