"""No bound that a certificate states is ever exceeded, over 100,000 matrices.

The examiner knows the eigenpairs better than float64 holds them: one Newton step in
extended precision, with a bound on what is left. Where measurement plus that bound does
not fit under the bound that the certificate states, 80 digits decide.
"""

import functools
import itertools
from collections import Counter
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NamedTuple

import jaxtyping
import mpmath
import numpy as np
import pytest
from mpmath import mpf

from spectral_tf.certificate import certify_covariance
from tests.certificate.matrices import (
    CLAIMS,
    FAMILIES,
    Claim,
    Matrix,
    Solved,
    orthogonal,
    solve,
    turned,
)

WIDE = np.longdouble
EPS = float(np.finfo(WIDE).eps)
RIGHT_ANGLE = np.pi / 2
DIGITS = 80
TINY = mpf(10) ** -60  # below it 80 digits do not decide; matrices are near 1
QUICK = 1000
FULL = 100_000

# Claims that no certificate may call right from the first rank to the last.
WRONG = ["random", "too low", "interior", "one missed", "duplicate", "not finite"]


class Decimal(NamedTuple):
    """All eigenpairs of the matrix over 2^exponent to 80 digits; values descend."""

    values: list
    columns: mpmath.matrix

    def value_error(self, claimed: float, exponent: int, rank: int) -> Any:
        return abs(mpmath.ldexp(mpf(float(claimed)), -exponent) - self.values[rank - 1])

    def angle(self, rows: np.ndarray, first: int, last: int) -> Any:
        """The largest principal angle; a right one if the truth is not unique."""
        dim, values = len(self.values), self.values
        for above in ({first - 1, last} - {0, dim}) if last <= dim else ():
            if values[above - 1] - values[above] <= TINY:
                return mpmath.pi / 2
        if not np.isfinite(rows).all() or not rows.any(axis=1).all():
            return mpmath.pi / 2
        columns = mpmath.matrix(rows.T.tolist())
        for j in range(columns.cols):
            columns[:, j] = columns[:, j] / mpmath.norm(columns[:, j])
        basis, upper = mpmath.qr(columns, mode="skinny")
        if min(abs(upper[j, j]) for j in range(upper.rows)) < TINY:
            return mpmath.pi / 2
        inner = self.columns.T * basis
        outside = [i for i in range(dim) if not first - 1 <= i < last]
        if not outside:
            return mpf(0)
        rest = mpmath.matrix(
            [[inner[i, j] for j in range(inner.cols)] for i in outside]
        )
        squares = mpmath.eigsy(rest.T * rest, eigvals_only=True)
        return mpmath.asin(mpmath.sqrt(min(mpf(1), max(mpf(0), *squares))))


class Truth:
    """The eigenpairs of a matrix in extended precision, and how far off they can be.

    In the basis `columns` the matrix is `inner`, nearly diagonal; the columns of
    `newton` are its eigenvectors in that basis to second order.
    """

    def __init__(self, matrix: Matrix) -> None:
        self.exponent = int(np.frexp(np.abs(matrix).max())[1])
        self.matrix = np.ldexp(matrix.astype(WIDE), -self.exponent)
        columns = np.linalg.eigh(self.matrix.astype(float))[1].astype(WIDE)
        eye = np.eye(len(matrix), dtype=WIDE)
        columns = columns @ (3 * eye - columns.T @ columns) / 2
        rayleigh = ((self.matrix @ columns) * columns).sum(axis=0)
        self.columns = columns[:, np.argsort(-rayleigh)]
        self.inner = self.columns.T @ self.matrix @ self.columns
        self.values = np.diag(self.inner).copy()
        self.rest = self.inner - np.diag(self.values)
        self.off = float(np.linalg.norm(self.rest.astype(float)))
        size = float(np.linalg.norm(self.matrix.astype(float)))
        self.rounding = 8 * len(matrix) * EPS * size
        gap = self.values[None, :] - self.values[:, None]
        near = np.abs(self.rest) * 10 >= np.abs(gap)
        self.newton = eye + np.where(near, 0, self.rest / np.where(near, 1, gap))
        image = self.inner @ self.newton
        self.rayleigh = np.diag(image).copy()
        left = (image - self.newton * self.rayleigh).astype(float)
        self.residuals = np.sqrt((left**2).sum(axis=0)) + self.rounding
        down = (self.values[:-1] - self.values[1:]).astype(float)
        self.steps = np.concatenate([[np.inf], down, [np.inf]])

    @functools.cached_property
    def decimal(self) -> Decimal:
        with mpmath.workdps(DIGITS):
            scaled = mpmath.matrix(self.matrix.astype(float).tolist())
            values, columns = mpmath.eigsy(scaled)
            dim = len(self.values)
            order = sorted(range(dim), key=lambda i: -values[i])
            ranked = mpmath.matrix(dim, dim)
            for rank, i in enumerate(order):
                ranked[:, rank] = columns[:, i]
            return Decimal([values[i] for i in order], ranked)

    def gap(self, first: int, last: int) -> float:
        """Surely no more than the true gap around these ranks."""
        return min(self.steps[first - 1], self.steps[last]) - 4 * self.off

    def doubt(self, residual: float, first: int, last: int) -> float:
        gap = self.gap(first, last)
        return float(np.arcsin(residual / gap)) if gap > residual else np.inf

    def value_doubts(self, k: int) -> np.ndarray:
        """How far the true eigenvalues can be from `rayleigh`: Weyl, or better."""
        gaps = np.minimum(self.steps[:k], self.steps[1 : k + 1])
        alone = gaps > 8 * self.off
        return np.where(alone, self.residuals[:k], 2 * self.off + self.rounding)

    def coordinates(self, rows: np.ndarray) -> np.ndarray:
        """Unit columns in the basis `columns`; NaN for what has no direction."""
        wide = rows.astype(WIDE)
        with np.errstate(invalid="ignore", divide="ignore"):
            top = np.abs(wide).max(axis=1, keepdims=True)
            wide = wide / np.where(top > 0, top, np.nan)
            return self.columns.T @ (wide / np.sqrt((wide**2).sum(axis=1))[:, None]).T

    def vector_angles(self, inside: np.ndarray) -> np.ndarray:
        """The angle of claimed column j to the true eigenvector j, for every j."""
        axes = self.newton[:, : inside.shape[1]]
        squares = (axes**2).sum(axis=0)
        along = (axes * inside).sum(axis=0) / squares
        across = np.sqrt(((inside - axes * along) ** 2).sum(axis=0))
        angles = np.arctan2(across, np.abs(along) * np.sqrt(squares)).astype(float)
        return np.where(np.isfinite(angles), angles, RIGHT_ANGLE)

    def span_angle(self, inside: np.ndarray, first: int, last: int):
        """The angle of a span to the true one, and the bound on its error."""
        dim, claimed = len(self.values), inside[:, first - 1 : last]
        if not np.isfinite(claimed).all():
            return RIGHT_ANGLE, np.inf
        own = np.arange(first - 1, last)
        other = np.r_[0 : first - 1, last:dim]
        lift = self.newton[np.ix_(other, own)]
        along = claimed[own] + lift.T @ claimed[other]
        across = claimed[other] - lift @ claimed[own]
        condition = np.linalg.cond(along.astype(float))
        if not condition < 1e8:
            return RIGHT_ANGLE, np.inf
        tangents = np.linalg.solve(along.astype(float).T, across.astype(float).T)
        lifted = float(np.linalg.norm(lift.astype(float)))
        angle = float(np.arctan(np.linalg.norm(tangents, 2))) if other.size else 0.0
        upper = self.inner[np.ix_(own, own)] + self.inner[np.ix_(own, other)] @ lift
        lower = self.inner[np.ix_(other, own)] + self.inner[np.ix_(other, other)] @ lift
        left = float(np.linalg.norm((lower - lift @ upper).astype(float)))
        doubt = self.doubt(left + self.rounding, first, last) if other.size else 0.0
        return angle, doubt + angle * (2 * lifted**2 + 1e-14 * condition)


@dataclass
class Tally:
    """What a campaign saw; `complaints` must stay empty."""

    matrices: int = 0
    entries: Counter = field(default_factory=Counter)
    examined_again: Counter = field(default_factory=Counter)
    ratios: list = field(default_factory=list)
    value_ratios: list = field(default_factory=list)
    complaints: list = field(default_factory=list)


def shape_complaint(entry, rank: int, k: int, tol: float) -> str:
    """What is wrong with an entry whatever the matrix; empty if nothing."""
    first, last = entry.ranks
    if entry.rank != rank or not 1 <= first <= rank <= last <= k:
        return f"rank {rank} of {k}: {entry.rank=} {entry.ranks=}"
    if entry.status not in ("certified", "loose"):
        return f"status {entry.status!r}"
    if not 0 <= entry.angle_bound <= RIGHT_ANGLE or not entry.eigenvalue_error >= 0:
        return f"no bounds: {entry.angle_bound=} {entry.eigenvalue_error=}"
    if entry.status == "certified" and not entry.angle_bound <= tol:
        return f"{entry.status} with {entry.angle_bound=} for {tol=}"
    return ""


def false_angle(truth: Truth, rows, entry, measured, tally: Tally) -> str:
    """The complaint about the angle bound, by 80 digits if there is doubt."""
    first, last = entry.ranks
    angle, doubt = measured
    if angle * (1 + 1e-15) + doubt <= entry.angle_bound:
        if entry.status == "certified" and entry.angle_bound > 0:
            tally.ratios.append(angle / entry.angle_bound)
        return ""
    tally.examined_again["angle"] += 1
    with mpmath.workdps(DIGITS):
        angle = truth.decimal.angle(rows[first - 1 : last], first, last)
        if angle <= float(entry.angle_bound) + TINY:
            return ""
    return f"the angle is {float(angle)}: {entry}"


def false_value(truth: Truth, claimed: float, entry, tally: Tally) -> str:
    """The complaint about the bound on the eigenvalue, from 80 digits."""
    tally.examined_again["value"] += 1
    if not np.isfinite(claimed):
        return "a bound on the error of an eigenvalue that is not finite"
    with mpmath.workdps(1000):  # 1e308 - 1e-308 must not round
        error = truth.decimal.value_error(claimed, truth.exponent, entry.rank)
        stated = mpmath.ldexp(mpf(float(entry.eigenvalue_error)), -truth.exponent)
        if error <= stated + TINY:
            return ""
    return f"the eigenvalue is off by {float(error)} x 2^{truth.exponent}: {entry}"


def angle_complaints(truth: Truth, claim: Claim, entries, tally: Tally) -> list[str]:
    """What is false about the angles, for every entry that bounds one."""
    inside = truth.coordinates(claim[1])
    alone, spans, complaints = truth.vector_angles(inside), {}, []
    for entry in entries:
        ranks, rank = entry.ranks, entry.rank
        if entry.angle_bound >= RIGHT_ANGLE:
            continue
        if ranks == (rank, rank):
            doubt = truth.doubt(truth.residuals[rank - 1], rank, rank)
            measured = alone[rank - 1], doubt
        else:
            if ranks not in spans:
                spans[ranks] = truth.span_angle(inside, *ranks)
            measured = spans[ranks]
        complaints.append(false_angle(truth, claim[1], entry, measured, tally))
    return complaints


def value_complaints(truth: Truth, values, entries, tally: Tally) -> list[str]:
    """What is false about the eigenvalues, for every entry with a finite bound."""
    k = len(values)
    bounds = np.array([entry.eigenvalue_error for entry in entries], WIDE)
    bounds = np.ldexp(bounds, -truth.exponent)
    errors = np.abs(np.ldexp(values.astype(WIDE), -truth.exponent) - truth.rayleigh[:k])
    sure = errors + 4 * EPS * errors + truth.value_doubts(k) <= bounds
    told = np.isfinite(bounds) & (bounds > 0)
    tally.value_ratios += (
        (errors[sure & told] / bounds[sure & told]).astype(float).tolist()
    )
    doubtful = np.flatnonzero(np.isfinite(bounds) & ~sure)
    return [false_value(truth, values[j], entries[j], tally) for j in doubtful]


def examine(truth: Truth, claim: Claim, entries, tol: float, tally: Tally) -> list[str]:
    """Everything false that the entries state."""
    k = len(claim[0])
    tally.entries.update(entry.status for entry in entries)
    shapes = [shape_complaint(entry, j + 1, k, tol) for j, entry in enumerate(entries)]
    if len(entries) != k or any(shapes):
        return [f"{len(entries)} entries for {k} claims", *filter(None, shapes)]
    complaints = angle_complaints(truth, claim, entries, tally)
    complaints += value_complaints(truth, claim[0], entries, tally)
    return [complaint for complaint in complaints if complaint]


def false_rest(truth: Truth, certificate, tally: Tally) -> str:
    """The complaint about the bound on the eigenvalues beyond the leading ones."""
    rank, bound = certificate.num_leading + 1, certificate.next_bound
    if rank > len(truth.values) or bound == np.inf:
        return ""
    scaled = np.ldexp(WIDE(bound), -truth.exponent)
    if truth.rayleigh[rank - 1] + truth.value_doubts(rank)[-1] <= scaled:
        return ""
    tally.examined_again["rest"] += 1
    with mpmath.workdps(DIGITS):
        value = truth.decimal.values[rank - 1]
        if value <= mpmath.ldexp(mpf(float(bound)), -truth.exponent) + TINY:
            return ""
    return f"eigenvalue {rank} is {float(value)} x 2^{truth.exponent}, not <= {bound}"


class Trial(NamedTuple):
    """One matrix and the claims about it; `tol` and `error` go to the certificate.

    The claims and the certificate see `solved.matrix`; the truth is of `matrix`, which
    is within `error` of it.
    """

    matrix: Matrix
    solved: Solved
    claims: dict[str, Claim]
    tol: float
    error: float


def trial(family: str, index: int, num_claims: int) -> Trial:
    """The trial of this number: the same one every time."""
    rng = np.random.default_rng([list(FAMILIES).index(family), index])
    dim = int(rng.integers(65, 80) if index % 97 == 50 else rng.integers(2, 25))
    matrix = seen = FAMILIES[family](rng, dim)
    error = 0.0
    if index % 8 == 7:
        shift = rng.standard_normal(matrix.shape)
        shift = (shift + shift.T) * np.abs(matrix).max() * 10.0 ** -rng.uniform(2, 16)
        seen = matrix + shift
        difference = seen.astype(WIDE) - matrix
        error = float(np.sqrt((difference**2).sum())) * (1 + 1e-12)
    solved = solve(seen)
    k = int(rng.integers(1, len(matrix) + 1))
    names = list(CLAIMS)
    chosen = [names[(num_claims * index + i) % len(names)] for i in range(num_claims)]
    claims = {name: CLAIMS[name](rng, solved, k) for name in chosen}
    tol = 1e-3 if rng.random() < 0.5 else 10.0 ** -rng.uniform(0, 12)
    return Trial(matrix, solved, claims, tol, error)


def examine_claim(truth: Truth, given: Trial, claim: Claim, tally: Tally) -> list[str]:
    """Certify one claim; everything false in the certificate."""
    certificate = certify_covariance(
        given.solved.matrix, *claim, tol=given.tol, error=given.error
    )
    complaints = examine(truth, claim, certificate.entries, given.tol, tally)
    complaints.append(false_rest(truth, certificate, tally))
    return [complaint for complaint in complaints if complaint]


def campaign(family: str, numbers: range, num_claims: int) -> Tally:
    """Examine trials of one family; 20 complaints are enough."""
    tally = Tally()
    for index in numbers:
        given = trial(family, index, num_claims)
        truth = Truth(given.matrix)
        tally.matrices += 1
        for kind, claim in given.claims.items():
            where = f"trial({family!r}, {index}, {num_claims}), {kind}"
            try:
                found = examine_claim(truth, given, claim, tally)
            except Exception as error:
                error.add_note(where)
                raise
            tally.complaints += [f"{where}: {complaint}" for complaint in found]
        if len(tally.complaints) > 20:
            break
    return tally


@pytest.fixture
def no_type_checks(monkeypatch):
    """Checking the types of every call takes longer than the certificates."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.mark.usefixtures("no_type_checks")
@pytest.mark.parametrize("family", FAMILIES)
def test_no_bound_is_false(family):
    tally = campaign(family, range(QUICK), 1)
    assert not tally.complaints, "\n".join(tally.complaints[:5])
    assert tally.matrices == QUICK


@pytest.mark.long
@pytest.mark.usefixtures("no_type_checks")
@pytest.mark.parametrize("family", FAMILIES)
def test_no_bound_is_false_over_a_hundred_thousand_matrices(family):
    count = -(-FULL // len(FAMILIES))
    tally = campaign(family, range(count), 2)
    assert not tally.complaints, "\n".join(tally.complaints[:5])
    assert tally.matrices == count


def certificates_of_truth(factor: float):
    """Trials with hand-made entries: the true errors times `factor`, by 80 digits."""
    for family, index in itertools.product(FAMILIES, range(17)):
        given = trial(family, index, 2)
        if len(given.matrix) > 8:
            continue
        truth = Truth(given.matrix)
        for joint, claim in enumerate(given.claims.values()):
            ranks = range(1, len(claim[0]) + 1)
            firsts = [max(1, rank - joint) for rank in ranks]
            pairs = zip(firsts, ranks, strict=True)
            yield truth, claim, [stated(truth, claim, *pair, factor) for pair in pairs]


def stated(
    truth: Truth, claim: Claim, first: int, rank: int, factor: float
) -> SimpleNamespace:
    """An entry about the span of ranks first..rank."""
    values, rows = claim
    error = np.inf
    with mpmath.workdps(DIGITS):
        angle = float(truth.decimal.angle(rows[first - 1 : rank], first, rank))
        if np.isfinite(values[rank - 1]):
            off = truth.decimal.value_error(values[rank - 1], truth.exponent, rank)
            error = float(mpmath.ldexp(off, truth.exponent) * factor)
    return SimpleNamespace(
        rank=rank,
        status="loose",
        ranks=(first, rank),
        angle_bound=min(RIGHT_ANGLE, angle * factor),
        eigenvalue_error=error,
    )


def test_the_examiner_accepts_bounds_that_hold_by_a_hair():
    for truth, claim, entries in certificates_of_truth(1 + 1e-9):
        assert not examine(truth, claim, entries, 1e-3, Tally())


def test_the_examiner_refuses_bounds_that_fail_by_a_hair():
    refused = angles = values = 0
    for truth, claim, entries in certificates_of_truth(1 - 1e-9):
        complaints = examine(truth, claim, entries, 1e-3, Tally())
        hopeful = [
            e for e in entries if 1e-50 < e.angle_bound < RIGHT_ANGLE * (1 - 1e-8)
        ]
        assert len(complaints) >= len(hopeful)
        refused += len(complaints)
        angles += sum("angle" in text for text in complaints)
        values += sum("eigenvalue is off" in text for text in complaints)
    assert min(refused, angles, values) > 100


def well_separated(rng: np.random.Generator, dim: int, k: int) -> Solved | None:
    """A matrix whose k top gaps are above 1e-6 of its largest eigenvalue."""
    names = [name for name in FAMILIES if name != "scaled"]
    solved = solve(FAMILIES[str(rng.choice(names))](rng, dim))
    steps = solved.values[:-1] - solved.values[1:]
    separated = (steps[:k] > 1e-6 * np.abs(solved.values).max()).all()
    return solved if separated and len(solved.values) > k else None


def test_exact_answers_are_certified_vector_by_vector():
    rng, seen = np.random.default_rng(1), 0
    while seen < 500:
        k = int(rng.integers(1, 9))
        if (solved := well_separated(rng, int(rng.integers(2, 25)), k)) is None:
            continue
        seen += 1
        claim = CLAIMS["exact"](rng, solved, k)
        for j, entry in enumerate(certify_covariance(solved.matrix, *claim).entries):
            assert entry.status == "certified", entry
            assert entry.ranks == (j + 1, j + 1)


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_answers_are_never_wholly_certified(kind):
    rng, seen = np.random.default_rng(2), 0
    while seen < 100:
        k = int(rng.integers(2, 7))
        if (solved := well_separated(rng, int(rng.integers(2 * k, 25)), k)) is None:
            continue
        seen += 1
        values, rows = CLAIMS[kind](rng, solved, k)
        overlap = (np.nan_to_num(rows, posinf=0, neginf=0) * solved.vectors[:k]).sum(1)
        if kind != "not finite" and (np.abs(overlap) > 0.999).all():
            continue  # by chance nothing went wrong
        certificate = certify_covariance(solved.matrix, values, rows)
        statuses = [entry.status for entry in certificate.entries]
        assert "loose" in statuses
        if kind == "not finite":
            assert set(statuses) == {"loose"}


@pytest.mark.parametrize("gap", [1e-12, 1e-14, 0.0])
def test_a_turned_cluster_is_certified_as_a_span(gap):
    rng = np.random.default_rng(3)
    for _ in range(100):
        before, size, after = map(int, rng.integers([0, 2, 1], [4, 5, 8]))
        dim, first, last = before + size + after, before + 1, before + size
        values = np.arange(dim, 0, -1.0)
        values[before:last] = values[before] + gap * rng.permutation(size)
        solved = solve(turned(rng, values))
        k = int(rng.integers(last, dim + 1))
        claimed, rows = CLAIMS["exact"](rng, solved, k)
        rows[before:last] = orthogonal(rng, size) @ rows[before:last]
        entries = certify_covariance(solved.matrix, claimed, rows).entries
        assert {entry.status for entry in entries} == {"certified"}
        for entry in entries:
            inside = first <= entry.rank <= last
            own = (first, last) if inside else (entry.rank, entry.rank)
            assert entry.ranks == own
