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
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from spectral_tf.certificate.answer import Certificate, Entry, Status
from spectral_tf.certificate.chance import Chance, probable
from spectral_tf.certificate.sources import Complement, Source
from spectral_tf.certificate.tall import orthonormal
from spectral_tf.config import DataError, require
from spectral_tf.moments import UNIT_ROUNDOFF

RIGHT = math.pi / 2
GUARD_RESIDUAL = 0.1
"""Of its distance to the last claim: up to there a guard vector is leant on."""


@dataclasses.dataclass(frozen=True)
class Claim:
    """Claimed vectors, made unit, each by itself, and a basis with its image.

    Attributes:
        rows: `[k, d]` unit.
        quotients: `[k]` Rayleigh quotients.
        residuals: `[k]` |S v - q v|, rounding included.
        basis: `[d, k]` orthonormal; its first m columns span the first m rows.
        image: `[d, k]` S times the basis: the one product that a certificate takes.
        turn: `[k, k]` upper triangular, the rows in the basis.
    """

    rows: np.ndarray
    quotients: np.ndarray
    residuals: np.ndarray
    basis: np.ndarray
    image: np.ndarray
    turn: np.ndarray

    @classmethod
    def of(cls, source: Source, vectors: np.ndarray) -> "Claim | None":
        """The claim; None if a vector is zero or not finite."""
        peaks = np.max(np.abs(vectors), axis=1, keepdims=True)
        if not np.all(np.isfinite(peaks)) or not np.all(peaks > 0):
            return None
        # By the largest entry first, so that no square overflows or vanishes.
        rows = vectors / peaks
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        basis, turn = orthonormal(rows.T)
        image = source.product(basis)
        # v = Q r + e, so S v = (S Q) r + S e.
        images = (image @ turn).T
        shares = np.sum(np.abs(turn), axis=0)
        missed = np.linalg.norm(rows.T - basis @ turn, axis=0)
        missed += 4 * (len(rows) + 4) * UNIT_ROUNDOFF * shares
        quotients = np.sum(rows * images, axis=1)
        # |S v - q v| + slack >= the exact residual.
        left = images - quotients[:, None] * rows
        residuals = np.linalg.norm(left, axis=1)
        residuals += np.maximum(shares, 1.0) * source.slack + missed * source.norm
        return cls(rows, quotients, residuals, basis, image, turn)

    def promising(self, tol: float, k: int) -> int:
        """Of the first k, those that look right: residuals small beside their gaps."""
        q, r = self.quotients[:k], self.residuals[:k]
        gaps = q[:-1] - q[1:]
        nearest = np.minimum(np.r_[np.inf, gaps], np.r_[gaps, 0.0])
        return int(np.argmin(np.r_[r[:-1] <= tol * nearest[:-1], False]))

    def guarded(self, k: int) -> int:
        """k, and of the vectors beyond those that are right enough to lean on."""
        q, r = self.quotients, self.residuals
        is_good = r[k:] <= GUARD_RESIDUAL * (q[k - 1] - q[k:])
        return k + int(np.argmin(np.r_[is_good, False]))

    def target(self, k: int, size: int, tol: float) -> float:
        """A bound on the rest that leaves claim k a gap of twice what it needs.

        The eigenvalue beyond is at most r, the residual of all `size` vectors, above
        that bound, if it is not below its own Ritz value (module, enclosures).
        """
        joint = float(np.linalg.norm(self.residuals[:size]))
        needed = 2 * float(self.residuals[k - 1]) / tol + 2 * joint
        return float(self.quotients[k - 1]) - needed

    def ritz(self, source: Source, basis: np.ndarray, image: np.ndarray) -> "Ritz":
        """Of a part of the span of the basis: orthonormal `[d, m]`, and its image."""
        inner = basis.T @ image
        size, width = basis.shape[1], self.basis.shape[1]
        # |Q^T Q - I|: what the basis is off an orthonormal one.
        loss = float(np.linalg.norm(basis.T @ basis - np.eye(size)))
        steps = source.dim + 4 * width + 8
        loss += 2 * steps * UNIT_ROUNDOFF * math.sqrt(size)
        slack = math.sqrt(width) * source.slack + 3 * loss * source.norm
        slack += 4 * width * math.sqrt(width) * UNIT_ROUNDOFF * source.norm
        return Ritz(basis, image, (inner + inner.T) / 2, slack)


class Ritz(NamedTuple):
    """An orthonormal basis Q of a span, and S in it.

    Attributes:
        basis: Q `[d, m]`.
        image: S Q.
        inner: Q^T S Q, symmetric.
        slack: bounds what rounding and the loss of orthonormality change in the Ritz
            values and in the residual norm.
    """

    basis: np.ndarray
    image: np.ndarray
    inner: np.ndarray
    slack: float


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
    def of(
        cls,
        source: Source,
        claim: Claim,
        size: int,
        chance: Chance | None = None,
        target: float | None = None,
    ) -> "Block":
        """The enclosures of the first `size` claims.

        Args:
            source: S.
            claim: with at least so many vectors.
            size: m.
            chance: of a probable bound on the rest; None for a proven one.
            target: a bound on the rest that is small enough; None is the last value.
        """
        first = claim.basis[:, :size], claim.image[:, :size]
        basis, image, inner, slack = claim.ritz(source, *first)
        middle = np.linalg.eigvalsh(inner)[::-1]
        left = float(np.linalg.norm(image - basis @ inner, 2)) + slack
        if size == source.dim:
            rest = Complement(-math.inf, "inertia")
        else:
            target = float(middle[-1]) if target is None else target
            if chance is None:
                rest = source.complement(basis, image, target)
            else:
                rest = probable(source, basis, target, chance)
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

    def entries(self, claim: Claim, tol: float, k: int) -> list[Entry]:
        """What follows for the first k <= m claims; eigenvalues are left NaN."""
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
            for j in range(k)
        ]
        for first, last in self._near_equal(tol):
            if last >= k:  # the span has a guard vector in it, which nobody claims
                continue
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
            dataclasses.replace(entry, status=self._status(entry, tol))
            for entry in entries
        ]

    def _status(self, entry: Entry, tol: float) -> Status:
        if not entry.angle_bound <= tol:
            return "loose"
        return "probable" if self.rest.method == "chance" else "certified"

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
        within = np.linalg.qr(claim.turn[:, first : last + 1])[0]
        part = claim.basis @ within, claim.image @ within
        basis, image, inner, slack = claim.ritz(self.source, *part)
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


def angle_of(residual: float, gap: float) -> float:
    """arcsin(residual / gap), a right angle where that proves nothing."""
    if not 0 <= residual < gap:
        return RIGHT
    # sin angle <= rho / g.
    return math.asin(residual / gap) * (1 + 8 * UNIT_ROUNDOFF)


def certify_source(
    source: Source,
    eigenvalues: ArrayLike,
    eigenvectors: ArrayLike,
    *,
    tol: float,
    guards: np.ndarray | None = None,
    chance: Chance | None = None,
) -> Certificate:
    """The certificate of claims about a matrix given as a `Source`, in its units.

    Args:
        source: S.
        eigenvalues: `[k]` claimed.
        eigenvectors: `[k, d]` rows.
        tol: radians.
        guards: `[g, d]` vectors near the eigenvectors beyond, k + g <= d; they make a
            probable bound useful, and nothing is claimed of them.
        chance: asks for the probabilistic statement of a semi-definite S instead of a
            proof.

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
    claimed = vectors
    if guards is not None and chance is not None:
        claimed = np.concatenate([vectors, guards])
    claim = Claim.of(source, claimed) if np.all(np.isfinite(values)) else None
    if claim is None:
        return _nothing(values, tol)
    block, entries = _best(source, claim, k, tol, chance)
    is_probable = block.rest.method == "chance"
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
        next_bound=block.rest.bound if block.size <= k else float(block.upper[k]),
        num_leading=block.size,
        eta=chance.eta if is_probable and chance is not None else 0.0,
    )


def _best(
    source: Source, claim: Claim, k: int, tol: float, chance: Chance | None
) -> tuple[Block, list[Entry]]:
    """The block that most of the k claims can rest on, and what follows for them."""
    first, second = (chance and chance.half()), (chance and chance.half().other())
    size = k if chance is None else claim.guarded(k)
    block = Block.of(source, claim, size, first, chance and claim.target(k, size, tol))
    entries = block.entries(claim, tol, k)
    # A bad last claim widens r for all: the good leading ones are tried alone.
    fewer = claim.promising(tol, k)
    if 0 < fewer < k and _num_right(entries) < k:
        smaller = Block.of(source, claim, fewer, second)
        better = smaller.entries(claim, tol, fewer)
        if _num_right(better) > _num_right(entries):
            return smaller, better + entries[fewer:]
    return block, entries


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


def _num_right(entries: list[Entry]) -> int:
    return sum(entry.status != "loose" for entry in entries)


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
