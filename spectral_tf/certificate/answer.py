"""What a certificate says, in numbers, as text and as JSON."""

import dataclasses
import math
from collections.abc import Collection
from typing import Any, Literal

import numpy as np

Status = Literal["certified", "probable", "loose", "replaced"]
STATUSES: tuple[Status, ...] = ("certified", "probable", "loose", "replaced")


class CertificateWarning(UserWarning):
    """Some components are not certified, and were kept."""


class CertificateError(ValueError):
    """Some components are not certified, and the caller asked to refuse them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """What is proven about one claimed eigenpair.

    Attributes:
        rank: 1 for the largest eigenvalue.
        status: `certified`: `angle_bound <= tol` is proven. `probable`: it holds but
            for a chance of `Certificate.eta`. `loose`: neither. `replaced`: the first
            answer was loose, and an exact solver took over; the bounds are those of its
            answer.
        ranks: (first, last): the angle bound is about the joint span of the vectors of
            these ranks; (rank, rank) for a claim about the vector itself.
        eigenvalue: as claimed.
        eigenvalue_error: bound on its distance from the true one; inf if unknown.
        residual: |S v - q v| with q the Rayleigh quotient of v, or for several ranks
            the norm of their joint residual; units of S.
        gap: proven distance from every other eigenvalue; 0 if none is proven.
        angle_bound: radians; pi/2 says nothing.
    """

    rank: int
    status: Status
    ranks: tuple[int, int]
    eigenvalue: float
    eigenvalue_error: float
    residual: float
    gap: float
    angle_bound: float

    @property
    def is_joint(self) -> bool:
        """True if the claim is about a span of several vectors."""
        return self.ranks[0] != self.ranks[1]


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Certificate:
    """What is proven about k claimed eigenpairs of a symmetric matrix S.

    Attributes:
        entries: one for each claimed pair, in order.
        tol: radians; what `certified` promises.
        orthonormality: largest entry of |V V^T - I| of the claimed vectors.
        method: how it was proven that no larger eigenvalue was missed: `inertia` (a
            Cholesky factor exists), `trace` (what is left of the trace or of the
            Frobenius norm is small), `none` (nothing could be proven); `chance`: it is
            not proven, but probable, and so is whatever rests on it.
        next_bound: proven upper bound of the eigenvalue of rank `num_leading` + 1.
        num_leading: the pairs that the bounds of others rest on: k, or fewer where the
            last claims are poor. Above k where guard vectors stand beyond the claims.
        eta: the chance that a bound of this certificate is false, over the draw of the
            random vectors that it rests on (`chance.py`); 0 for a proof.
    """

    entries: tuple[Entry, ...]
    tol: float
    orthonormality: float
    method: str
    next_bound: float
    num_leading: int
    eta: float = 0.0

    @property
    def status(self) -> tuple[Status, ...]:
        """The status of each component."""
        return tuple(entry.status for entry in self.entries)

    @property
    def residual(self) -> np.ndarray:
        """`[k]` residual norms."""
        return np.array([entry.residual for entry in self.entries])

    @property
    def gap(self) -> np.ndarray:
        """`[k]` proven gaps."""
        return np.array([entry.gap for entry in self.entries])

    @property
    def angle_bound(self) -> np.ndarray:
        """`[k]` radians."""
        return np.array([entry.angle_bound for entry in self.entries])

    @property
    def eigenvalue_error(self) -> np.ndarray:
        """`[k]` bounds on the errors of the eigenvalues."""
        return np.array([entry.eigenvalue_error for entry in self.entries])

    @property
    def uncertified(self) -> tuple[int, ...]:
        """Ranks without a proof that the angle is at most `tol`, replaced included.

        All of them where the bounds are not proven but probable.
        """
        tol = self.tol if self.eta == 0 else -math.inf
        return tuple(e.rank for e in self.entries if not e.angle_bound <= tol)

    @property
    def is_certified(self) -> bool:
        """True if every angle bound is proven and at most `tol`."""
        return not self.uncertified

    def with_replaced(self, ranks: Collection[int]) -> "Certificate":
        """The same bounds, with these ranks marked as replaced.

        Args:
            ranks: from 1.

        Returns:
            A new certificate.
        """
        mark = lambda entry: (
            dataclasses.replace(entry, status="replaced")
            if entry.rank in ranks
            else entry
        )
        return dataclasses.replace(self, entries=tuple(map(mark, self.entries)))

    def in_units(self, unit: float) -> "Certificate":
        """The same certificate with eigenvalues in other units.

        Args:
            unit: what one unit of S is in the new units; > 0.

        Returns:
            A new certificate.
        """
        entries = tuple(
            dataclasses.replace(
                entry,
                eigenvalue=entry.eigenvalue * unit,
                eigenvalue_error=_upwards(entry.eigenvalue_error * unit),
                residual=_upwards(entry.residual * unit),
                gap=_downwards(entry.gap * unit),
            )
            for entry in self.entries
        )
        bound = _upwards(self.next_bound * unit)
        return dataclasses.replace(self, entries=entries, next_bound=bound)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; what is infinite becomes None."""
        plain = dataclasses.asdict(self) | {"status_counts": self.counts()}
        return _finite(plain)

    def counts(self) -> dict[str, int]:
        """How many components have each status."""
        return {name: self.status.count(name) for name in STATUSES}

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} {name}" for name, n in self.counts().items() if n)
        counts = counts or "no components"
        lines = [
            f"Certificate({counts}; tol {self.tol:g} rad; top ranks by {self.method}"
            f"{f', false by a chance of {self.eta:g}' if self.eta else ''})",
            "rank  status     eigenvalue      +-         residual  gap       angle <=  "
            "of",
        ]
        lines += [_line(entry) for entry in self.entries]
        return "\n".join(lines)


def _upwards(value: float) -> float:
    """The next larger number, so that rounding in a product stays on the safe side."""
    return math.nextafter(value, math.inf) if math.isfinite(value) else value


def _downwards(value: float) -> float:
    """The next smaller number, not below 0."""
    return max(math.nextafter(value, 0.0), 0.0) if math.isfinite(value) else value


def _line(entry: Entry) -> str:
    first, last = entry.ranks
    what = f"the span of ranks {first}-{last}" if entry.is_joint else "the vector"
    return (
        f"{entry.rank:<4}  {entry.status:<9}  {entry.eigenvalue:<14.8g}  "
        f"{entry.eigenvalue_error:<9.2g}  {entry.residual:<8.2g}  {entry.gap:<8.2g}  "
        f"{entry.angle_bound:<8.2g}  {what}"
    )


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
