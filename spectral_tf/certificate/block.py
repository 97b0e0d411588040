r"""The proofs: which eigenpairs these are, and how far the vectors can be off.

S is symmetric with eigenvalues :math:`\lambda_1 \ge \lambda_2 \ge \dots`; Q holds an
orthonormal basis of the first m claimed vectors, :math:`H = Q^\top S Q` has the
eigenvalues :math:`\theta_1 \ge \dots \ge \theta_m`, :math:`R = S Q - Q H` the 2-norm r,
and S is at most :math:`\beta` on the complement of Q (`sources.py`).

*Enclosures.* In a basis that starts with Q, S is :math:`\begin{pmatrix} H & B^\top \\ B
& M \end{pmatrix}` with :math:`|B| = r` and :math:`M \le \beta`. By Cauchy,
:math:`\lambda_i \ge \theta_i`, and :math:`\lambda_{m+1} \le \lambda_1(M) \le \beta`. An
eigenvalue :math:`\lambda > \beta` of S is one of :math:`H + B^\top (\lambda - M)^{-1}
B`, which is at most :math:`H + r^2 / (\lambda - \beta)`; counted with multiplicity (the
inertia of the Schur complement), :math:`\lambda_i \le \theta_i + r^2 / (\lambda_i -
\beta)`. With :math:`g = \theta_i - \beta > 0`, solving for :math:`\lambda_i`,

.. math:: \theta_i \le \lambda_i \le \theta_i + \frac{2 r^2}{g + \sqrt{g^2 + 4 r^2}} .

*One vector.* For a unit v with Rayleigh quotient q and residual :math:`\rho = |S v - q
v|`, if every eigenvalue but :math:`\lambda_j` is at least g from q, then :math:`\sin
\angle(v, u_j) \le \rho / g` (Parlett, 1998, theorem 11.7.1). The distances come from
the enclosures and from :math:`\beta`, so that j is the rank, not just some eigenvalue.

*A span.* For ranks a..b with basis :math:`Q_g`, if the eigenvalues of :math:`Q_g^\top S
Q_g` lie in an interval and all :math:`\lambda_i` with i outside a..b are at least g
away from it, :math:`\sin\Theta \le |S Q_g - Q_g H_g| / g` (Davis & Kahan, 1970).
This is the claim for ranks that are nearly equal: closer than `tol` relative to their
size, or closer than rounding can tell.

*Rounding.* Computed quantities differ from those above by at most `slack`: products,
the loss of orthonormality of Q, the error of S. It is added wherever it makes a bound
larger.
"""

import dataclasses
import math

import numpy as np
from numpy.typing import ArrayLike

from spectral_tf.certificate.answer import Certificate, Entry, Status
from spectral_tf.certificate.sources import Complement, Source
from spectral_tf.config import DataError, require
from spectral_tf.moments import UNIT_ROUNDOFF

RIGHT = math.pi / 2


@dataclasses.dataclass(frozen=True)
class Claim:
    """Claimed vectors, made unit, and each by itself.

    Attributes:
        rows: `[k, d]` unit.
        quotients: `[k]` Rayleigh quotients.
        residuals: `[k]` |S v - q v|, rounding included.
    """

    rows: np.ndarray
    quotients: np.ndarray
    residuals: np.ndarray

    @classmethod
    def of(cls, source: Source, vectors: np.ndarray) -> "Claim | None":
        """The claim; None if a vector is zero or not finite."""
        peaks = np.max(np.abs(vectors), axis=1, keepdims=True)
        if not np.all(np.isfinite(peaks)) or not np.all(peaks > 0):
            return None
        # By the largest entry first, so that no square overflows or vanishes.
        rows = vectors / peaks
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        images = source.product(rows.T).T
        quotients = np.sum(rows * images, axis=1)
        # |S v - q v| + slack >= the exact residual.
        left = images - quotients[:, None] * rows
        residuals = np.linalg.norm(left, axis=1) + source.slack
        return cls(rows, quotients, residuals)

    def promising(self, tol: float) -> int:
        """Leading claims that look right: residuals small beside their gaps."""
        q, r = self.quotients, self.residuals
        gaps = q[:-1] - q[1:]
        nearest = np.minimum(np.r_[np.inf, gaps], np.r_[gaps, 0.0])
        return int(np.argmin(np.r_[r[:-1] <= tol * nearest[:-1], False]))


@dataclasses.dataclass(frozen=True)
class Block:
    """Enclosures of the m largest eigenvalues, by the first m claimed vectors.

    Attributes:
        source: S.
        lower: `[m]` proven lower bounds, descending.
        upper: `[m]` proven upper bounds.
        middle: `[m]` Ritz values.
        rest: a bound of all eigenvalues beyond the m-th.
    """

    source: Source
    lower: np.ndarray
    upper: np.ndarray
    middle: np.ndarray
    rest: Complement

    @property
    def size(self) -> int:
        """m, the vectors of the block."""
        return len(self.middle)

    @classmethod
    def of(cls, source: Source, claim: Claim, size: int) -> "Block":
        """The enclosures of the first `size` claims."""
        basis, image, inner, slack = ritz(source, claim.rows[:size])
        middle = np.linalg.eigvalsh(inner)[::-1]
        left = float(np.linalg.norm(image - basis @ inner, 2)) + slack
        if size == source.dim:
            rest = Complement(-math.inf, "inertia")
        else:
            rest = source.complement(basis, image, float(middle[-1]))
        # Cauchy: theta_i <= lambda_i.
        lower = middle - slack
        gap = lower - rest.bound
        # lambda_i <= theta_i + 2 r^2 / (g + sqrt(g^2 + 4 r^2)). For g <= 0 the equal
        # form (sqrt(g^2 + 4 r^2) - g) / 2 does not divide by a difference.
        with np.errstate(invalid="ignore", divide="ignore"):
            over = (np.hypot(gap, 2 * left) - gap) / 2
            safe = 2 * left**2 / (gap + np.hypot(gap, 2 * left))
        over = np.where(gap > 0, safe, over) * (1 + 8 * UNIT_ROUNDOFF)
        over = np.where(np.isposinf(gap), 0.0, over)
        upper = np.maximum(middle + slack + over, rest.bound)
        return cls(source, lower, upper, middle, rest)

    def entries(self, claim: Claim, tol: float) -> list[Entry]:
        """What follows for each of the first m claims; eigenvalues are left NaN."""
        gaps = self._own_gaps(claim)
        entries = [
            Entry(
                rank=j + 1,
                status="loose",
                ranks=(j + 1, j + 1),
                eigenvalue=math.nan,
                eigenvalue_error=math.inf,
                residual=float(claim.residuals[j]),
                gap=float(gaps[j]),
                angle_bound=angle_of(float(claim.residuals[j]), float(gaps[j])),
            )
            for j in range(self.size)
        ]
        for first, last in self._near_equal(tol):
            if all(entry.angle_bound <= tol for entry in entries[first : last + 1]):
                continue
            residual, gap, angle = self._joint(claim, first, last)
            if angle <= tol:
                for j in range(first, last + 1):
                    if entries[j].angle_bound > tol:
                        entries[j] = dataclasses.replace(
                            entries[j],
                            ranks=(first + 1, last + 1),
                            residual=residual,
                            gap=gap,
                            angle_bound=angle,
                        )
        return [
            dataclasses.replace(entry, status=_status(entry, tol)) for entry in entries
        ]

    def _own_gaps(self, claim: Claim) -> np.ndarray:
        """`[m]` distance of each Rayleigh quotient from all other eigenvalues."""
        q = claim.quotients[: self.size, None]
        # |q_j - lambda_i| for i != j, from the enclosures; the rest lies below beta.
        away = np.maximum(self.lower[None] - q, q - self.upper[None])
        away[np.diag_indices(self.size)] = np.inf
        nearest = np.minimum(away.min(axis=1), q[:, 0] - self.rest.bound)
        return np.maximum(nearest, 0.0)

    def _near_equal(self, tol: float) -> list[tuple[int, int]]:
        """Runs (first, last) of ranks closer than tol, or than rounding can tell."""
        # theta_i - theta_{i+1} <= max(tol theta_i, slack / tol).
        closest = np.maximum(tol * np.abs(self.middle[:-1]), self.source.slack / tol)
        is_close = self.middle[:-1] - self.middle[1:] <= closest
        runs, first = [], 0
        for j in range(self.size):
            if j == self.size - 1 or not is_close[j]:
                if j > first:
                    runs.append((first, j))
                first = j + 1
        return runs

    def _joint(self, claim: Claim, first: int, last: int) -> tuple[float, float, float]:
        """Residual, gap and angle bound of the span of claims first..last."""
        rows = claim.rows[first : last + 1]
        basis, image, inner, slack = ritz(self.source, rows)
        values = np.linalg.eigvalsh(inner)
        low, high = float(values[0]) - slack, float(values[-1]) + slack
        # g: how far the eigenvalues of ranks outside first..last are from the interval.
        above = self.lower[first - 1] - high if first > 0 else math.inf
        is_last = last == self.size - 1
        below = low - (self.rest.bound if is_last else self.upper[last + 1])
        gap = max(float(min(above, below)), 0.0)
        residual = float(np.linalg.norm(image - basis @ inner, 2)) + slack
        # sin Theta <= |S Q_g - Q_g H_g| / g; then the span of the basis against that of
        # the claimed rows.
        smallest = float(np.linalg.svd(rows, compute_uv=False)[-1])
        off = float(np.linalg.norm(rows.T - basis @ (basis.T @ rows.T)))
        off += 8 * rows.shape[1] * UNIT_ROUNDOFF
        return residual, gap, angle_of(residual, gap) + angle_of(off, smallest)


def ritz(
    source: Source, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """An orthonormal basis of a span, S times it, the Ritz matrix, and the rounding.

    Args:
        source: S.
        rows: `[m, d]` unit.

    Returns:
        `(Q [d, m], S Q, Q^T S Q symmetric, slack)`; slack bounds what rounding and the
        loss of orthonormality change in the Ritz values and in the residual norm.
    """
    basis = np.linalg.qr(rows.T)[0]
    size = basis.shape[1]
    image = source.product(basis)
    inner = basis.T @ image
    inner = (inner + inner.T) / 2
    # |Q^T Q - I|: what the basis is off an orthonormal one.
    loss = float(np.linalg.norm(basis.T @ basis - np.eye(size)))
    steps = source.dim + 4 * size + 8
    loss += 2 * steps * UNIT_ROUNDOFF * math.sqrt(size)
    slack = math.sqrt(size) * source.slack + 3 * loss * source.norm
    return basis, image, inner, slack


def angle_of(residual: float, gap: float) -> float:
    """arcsin(residual / gap), a right angle where that proves nothing."""
    if not 0 <= residual < gap:
        return RIGHT
    # sin angle <= rho / g.
    return math.asin(residual / gap) * (1 + 8 * UNIT_ROUNDOFF)


def certify_source(
    source: Source, eigenvalues: ArrayLike, eigenvectors: ArrayLike, *, tol: float
) -> Certificate:
    """The certificate of claims about a matrix given as a `Source`, in its units.

    Args:
        source: S.
        eigenvalues: `[k]` claimed.
        eigenvectors: `[k, d]` rows.
        tol: radians.

    Returns:
        The certificate.

    Raises:
        DataError: if the claims do not fit S.
        ConfigError: if tol is not in (0, pi/2).

    Source: see the module.
    """
    require(0 < tol < RIGHT, f"tol={tol} must lie in (0, pi/2) radians, e.g. 1e-3.")
    values = np.asarray(eigenvalues, np.float64)
    vectors = np.asarray(eigenvectors, np.float64)
    k = len(values) if values.ndim == 1 else -1
    if vectors.shape != (k, source.dim) or not 1 <= k <= source.dim:
        raise DataError(
            f"eigenvalues {values.shape} and eigenvectors {vectors.shape} do not fit: "
            f"expected [k] and [k, {source.dim}] with 1 <= k <= {source.dim}."
        )
    claim = Claim.of(source, vectors) if np.all(np.isfinite(values)) else None
    if claim is None:
        return _nothing(values, tol)
    block = Block.of(source, claim, k)
    entries = block.entries(claim, tol)
    # A bad last claim widens r for all: the good leading ones are tried alone.
    fewer = claim.promising(tol)
    if 0 < fewer < k and _num_certified(entries) < k:
        smaller = Block.of(source, claim, fewer)
        better = smaller.entries(claim, tol)
        if _num_certified(better) > _num_certified(entries):
            block, entries = smaller, better + entries[fewer:]
    return Certificate(
        entries=tuple(
            dataclasses.replace(
                entry, eigenvalue=float(value), eigenvalue_error=_error(block, j, value)
            )
            for j, (entry, value) in enumerate(zip(entries, values, strict=True))
        ),
        tol=tol,
        orthonormality=_orthonormality(vectors),
        method=block.rest.method,
        next_bound=block.rest.bound,
        num_leading=block.size,
    )


def _orthonormality(vectors: np.ndarray) -> float:
    """Largest entry of |V V^T - I|; inf where that overflows."""
    with np.errstate(all="ignore"):
        off = np.abs(vectors @ vectors.T - np.eye(len(vectors)))
    return float(np.max(np.where(np.isfinite(off), off, np.inf)))


def _error(block: Block, j: int, value: float) -> float:
    """Bound on the distance of a claimed eigenvalue from the one of its rank."""
    if j >= block.size:
        return math.inf
    # |value - lambda_j| is largest at an end of the enclosure.
    far = max(abs(value - block.lower[j]), abs(value - block.upper[j]))
    return float(far * (1 + 4 * UNIT_ROUNDOFF))


def _num_certified(entries: list[Entry]) -> int:
    return sum(entry.status == "certified" for entry in entries)


def _status(entry: Entry, tol: float) -> Status:
    return "certified" if entry.angle_bound <= tol else "loose"


def _nothing(values: np.ndarray, tol: float) -> Certificate:
    """The certificate of claims that are not numbers."""
    entries = tuple(
        Entry(
            rank=j + 1,
            status="loose",
            ranks=(j + 1, j + 1),
            eigenvalue=float(value),
            eigenvalue_error=math.inf,
            residual=math.inf,
            gap=0.0,
            angle_bound=RIGHT,
        )
        for j, value in enumerate(values)
    )
    return Certificate(
        entries=entries,
        tol=tol,
        orthonormality=math.inf,
        method="none",
        next_bound=math.inf,
        num_leading=0,
    )
