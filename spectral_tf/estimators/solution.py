"""From a table to certified eigenpairs: summarise, propose, certify, replace."""

import contextlib
import dataclasses
import sys
import warnings
from typing import Any

import numpy as np

from spectral_tf.certificate import (
    Certificate,
    CertificateError,
    CertificateWarning,
)
from spectral_tf.certificate.block import certify_source
from spectral_tf.certificate.certify import moments_source, rows_source
from spectral_tf.certificate.chance import Chance
from spectral_tf.certificate.sources import LARGEST_FACTOR, CentredRows, Source
from spectral_tf.config import DataError, require
from spectral_tf.estimators.costs import (
    SKINNY,
    block_size,
    is_proof_dear,
    rows_cost,
    square_cost,
)
from spectral_tf.estimators.engines import (
    ENGINES,
    MOST_COMPONENTS,
    Proposal,
    choose_engine,
    exact,
    propose,
    rank_limit,
)
from spectral_tf.estimators.floor import Rounding, entry_rounding
from spectral_tf.estimators.krylov_passes import Effort
from spectral_tf.estimators.networks import Weights
from spectral_tf.estimators.rank import proven_floor
from spectral_tf.estimators.robust import lengths
from spectral_tf.estimators.threads import one_blas_thread
from spectral_tf.estimators.validation import seed_of
from spectral_tf.moments import Moments, moments_of
from spectral_tf.spectra import TIED

FALLBACKS = ("eigh", "warn", "raise")
SEAM = 1e-6
"""Certified and exact components stand beside one another if orthogonal to this."""
ONE_THREAD = 512
"""Columns up to which a certificate is computed with one thread."""
CERTIFY = (True, False, "proof", "probable")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """How eigenpairs are found and checked; the parameters of `SpectralPCA`."""

    engine: str = "auto"
    weights: Weights | None = None
    certify: bool | str = True
    tol: float = 1e-3
    fallback: str = "eigh"
    max_iter: int = 600
    random_state: Any = None

    def check(self) -> None:
        """Refuse what is out of bounds.

        Raises:
            ConfigError: naming the parameter, its value and what is expected.
        """
        require(
            isinstance(self.engine, str) and self.engine in ENGINES,
            f"engine={self.engine!r} is unknown; choose one of {', '.join(ENGINES)}.",
        )
        require(
            isinstance(self.fallback, str) and self.fallback in FALLBACKS,
            f"fallback={self.fallback!r} is unknown; choose one of "
            f"{', '.join(FALLBACKS)}.",
        )
        is_known = isinstance(self.certify, bool | np.bool_ | str)
        require(
            is_known and self.certify in CERTIFY,
            f"certify={self.certify!r} must be True (a proof, or where that is dear a "
            "probable statement), 'proof', 'probable' or False.",
        )
        is_angle = isinstance(self.tol, float | int | np.number)
        require(
            is_angle and 0 < self.tol < 1.5,
            f"tol={self.tol!r} must be a number in (0, 1.5): the largest angle, in "
            "radians, that counts as certified; e.g. 1e-3.",
        )
        is_count = isinstance(self.max_iter, int | np.integer)
        require(
            is_count and self.max_iter >= 1,
            f"max_iter={self.max_iter!r} must be a whole number >= 1, e.g. 600.",
        )

    def is_proven(self, is_dear: bool) -> bool:
        """Whether a certificate is a proof, where one may be dear."""
        if self.certify in ("proof", "probable"):
            return self.certify == "proof"
        return bool(self.certify) and not is_dear

    def keeps_rows(self, shape: tuple[int, ...], k: Any) -> bool:
        """Whether a table `[N, d]` is better not summed up to a covariance.

        Args:
            shape: of the table.
            k: components that are asked for; what is no number needs a covariance.
        """
        is_count = isinstance(k, int | np.integer) and not isinstance(k, bool)
        if shape[0] < shape[1]:
            return True
        if not is_count or not 0 < k <= min(MOST_COMPONENTS, min(shape) - 1):
            return False
        count = block_size(int(k), min(shape))
        is_read = self.engine in ("auto", "constructed") and self.weights is None
        is_cheaper = SKINNY * rows_cost(shape, count) < square_cost(shape)
        is_proven = self.is_proven(is_proof_dear(shape, count))
        return is_read and is_cheaper and not is_proven


@dataclasses.dataclass(frozen=True)
class Summary:
    """What is kept of a table to find its principal components.

    Attributes:
        source: its covariance (1/N), or its centred rows where N < d or where that
            is much cheaper; both divided by `scale` (squared).
        mean: `[d]`.
        scale: power of two.
        count: N.
        total: trace of the source.
        spread: `[d]` root mean squares of the columns of which the source is made.
    """

    source: Source
    mean: np.ndarray
    scale: float
    count: int
    total: float
    spread: np.ndarray

    @classmethod
    def of_rows(cls, x: np.ndarray, *, keeps_rows: bool = False) -> "Summary":
        """Of a table `[N, d]` of finite numbers.

        Args:
            x: the table.
            keeps_rows: whether a table with N >= d stays as it is, too.
        """
        if len(x) >= x.shape[1] and not keeps_rows:
            return cls.of_moments(moments_of([x]))
        rows, scale, mean = rows_source(x)
        spread = np.sqrt(rows.squares / len(x))
        return cls(rows, mean, scale, len(x), rows.norm, spread)

    @classmethod
    def of_moments(cls, moments: Moments) -> "Summary":
        """Of sums over rows."""
        source = moments_source(moments)
        total = float(np.trace(source.values))
        spread = np.sqrt(np.diagonal(moments.second) / moments.count)
        return cls(source, moments.mean, moments.scale, moments.count, total, spread)

    @property
    def variance_unit(self) -> float:
        """What turns eigenvalues of the source into variances with 1 / (N - 1)."""
        unit = self.scale * self.scale * (self.count / (self.count - 1))
        if not np.isfinite(unit * max(self.total, 1e-300)):
            raise DataError(
                "the variance of the columns is beyond the largest float64; divide "
                "the table by a constant."
            )
        return unit

    def floor(self, dtype: Any) -> float:
        """Eigenvalues of the source that are no larger may be rounding.

        Args:
            dtype: of the rows as they came.
        """
        middle = float(lengths(self.mean[None])[0]) / self.scale
        size = float(np.hypot(np.sqrt(self.total), middle))
        return proven_floor(self.source, size, dtype)

    def rounding(self, values: np.ndarray, dtype: Any) -> Rounding:
        """What rounding did to the source.

        Args:
            values: `[k]` its largest eigenvalues.
            dtype: of the rows as they came.
        """
        entry = entry_rounding(np.hypot(self.spread, self.mean / self.scale), dtype)
        return Rounding.of(self.source, self.spread, entry, self.count, values)


@dataclasses.dataclass(frozen=True)
class Solution:
    """Eigenpairs of a summary, in the source's units.

    Attributes:
        eigenvalues: `[k]` descending, >= 0.
        eigenvectors: `[k, d]` unit rows, signs as `spectra.canonical_sign` has them.
        certificate: None if none was asked for.
        engine: who found them.
        reason: why that engine.
        products: with S that networks took.
    """

    eigenvalues: np.ndarray
    eigenvectors: np.ndarray
    certificate: Certificate | None
    engine: str
    reason: str
    products: int


def start_vectors(dim: int, count: int, random_state: Any) -> np.ndarray:
    """`[count, d]` random unit vectors: of a fixed seed for None, else of the seed.

    Args:
        dim: d.
        count: how many.
        random_state: None, an int, a numpy Generator or RandomState.

    Returns:
        Rows.
    """
    rng = np.random.default_rng(seed_of(random_state))
    rows = rng.standard_normal((count, dim))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def solve(
    summary: Summary, k: int, options: Options, start: np.ndarray | None = None
) -> Solution:
    """Top k eigenpairs of a summary, certified.

    Args:
        summary: of a table.
        k: how many, 0 to min(N, d).
        options: checked.
        start: `[m, d]` vectors to start from, e.g. the last answer; None is random.

    Returns:
        The solution.

    Raises:
        ConfigError: if the engine cannot propose k pairs of this table.
    """
    source = summary.source
    if k == 0:
        return nothing_of(source, options)
    choice = choose_engine(options.engine, options.weights, k, source)
    count = block_size(k, rank_limit(source))
    first = start_vectors(source.dim, count, options.random_state)
    if start is not None:
        first[: min(k, len(start))] = start[:k]
    proof = options.is_proven(is_dear(source, count))
    effort = Effort(options.tol, options.max_iter, proof)
    proposal = propose(choice, source, k, effort, first)
    del first  # as long as the table is wide
    certificate = None
    if options.certify:
        chance = None if proof else Chance()
        proposal, certificate = checked(source, proposal, options, chance)
    vectors = signed(proposal.eigenvectors)
    return Solution(
        eigenvalues=np.maximum(proposal.eigenvalues, 0.0),
        eigenvectors=vectors,
        certificate=certificate,
        engine=proposal.engine,
        reason=choice.reason,
        products=proposal.products,
    )


def is_dear(source: Source, count: int) -> bool:
    """Whether a proof costs much more than a fit with blocks of `count` vectors."""
    if isinstance(source, CentredRows):
        return is_proof_dear(source.x.shape, count)
    return source.dim > LARGEST_FACTOR  # beside a covariance its factor is cheap


def nothing_of(source: Source, options: Options) -> Solution:
    """No eigenpairs; the certificate has no entries and bounds the largest one."""
    certificate = None
    if options.certify:
        certificate = Certificate(
            entries=(),
            tol=options.tol,
            orthonormality=0.0,
            method="trace",
            next_bound=source.norm + source.slack,
            num_leading=0,
        )
    none, vectors = np.zeros(0), np.zeros((0, source.dim))
    reason = "no components are asked for"
    return Solution(none, vectors, certificate, "none", reason, 0)


def certified(
    source: Source, proposal: Proposal, tol: float, chance: Chance | None
) -> Certificate:
    """The certificate; of small matrices, and by chance, with one BLAS thread.

    The threads of BLAS and of XLA wait for one another after every small product, which
    takes longer than the products. Large ones have threads of their own (`tall.py`).
    """
    is_small = rank_limit(source) <= ONE_THREAD or chance is not None
    claims = proposal.eigenvalues, proposal.eigenvectors
    with one_blas_thread() if is_small else contextlib.nullcontext():
        return certify_source(
            source, *claims, tol=tol, guards=proposal.guards, chance=chance
        )


def checked(
    source: Source, proposal: Proposal, options: Options, chance: Chance | None = None
) -> tuple[Proposal, Certificate]:
    """The proposal with its certificate; loose components replaced if so asked.

    Args:
        source: S.
        proposal: eigenpairs.
        options: `tol` and `fallback` are read.
        chance: of a probable statement; None for a proof.

    Returns:
        `(proposal, certificate)`.
    """
    certificate = certified(source, proposal, options.tol, chance)
    loose = [e.rank for e in certificate.entries if e.status == "loose"]
    # Of those of an exact solver nothing is more exact.
    if loose and options.fallback == "eigh" and proposal.engine != "exact":
        return replaced(source, proposal, certificate, chance)
    return proposal, certificate


def judge(solution: Solution, options: Options) -> None:
    """Warn or raise, if so asked, about components that are kept but not certified.

    Args:
        solution: with the components that are kept.
        options: `tol` and `fallback` are read.

    Raises:
        CertificateError: with `fallback="raise"`.

    Warns:
        CertificateWarning: with `fallback="warn"`.
    """
    certificate = solution.certificate
    if certificate is None or options.fallback == "eigh":
        return
    loose = [e.rank for e in certificate.entries if e.status == "loose"]
    if not loose:
        return
    message = (
        f"components {', '.join(map(str, loose))} of {len(certificate.entries)} are "
        f"not certified to tol={options.tol:g} radians by engine {solution.engine!r}. "
        "Raise tol or max_iter, ask for fewer components, or use fallback='eigh'.\n"
        f"{certificate!r}"
    )
    if options.fallback == "raise":
        raise CertificateError(message)
    warnings.warn(message, CertificateWarning, stacklevel=outside())


def outside() -> int:
    """The stack level, from the caller, of the first frame outside the package."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and "spectral_tf" in str(
        frame.f_globals.get("__name__")
    ):
        level, frame = level + 1, frame.f_back
    return level


def replaced(
    source: Source,
    proposal: Proposal,
    certificate: Certificate,
    chance: Chance | None = None,
) -> tuple[Proposal, Certificate]:
    """Loose components exchanged for those of an exact solver, and a new certificate.

    Where the certified and the exact vectors are not orthogonal to `SEAM`, all are
    exchanged.
    """
    loose = [e.rank - 1 for e in certificate.entries if e.status == "loose"]
    k = len(proposal.eigenvalues)
    other = exact(source, k)
    values, vectors = proposal.eigenvalues.copy(), proposal.eigenvectors.copy()
    values[loose], vectors[loose] = other.eigenvalues[loose], other.eigenvectors[loose]
    if np.max(np.abs(vectors @ vectors.T - np.eye(k))) > SEAM:
        values, vectors, loose = other.eigenvalues, other.eigenvectors, list(range(k))
    else:  # the nearest orthonormal rows: of two answers they are so to the seam only
        left, _, right = np.linalg.svd(vectors, full_matrices=False)
        vectors = left @ right
    engine = f"{proposal.engine}, exact"
    proposal = proposal._replace(
        eigenvalues=values, eigenvectors=vectors, engine=engine
    )
    certificate = certified(source, proposal, certificate.tol, chance)
    return proposal, certificate.with_replaced([rank + 1 for rank in loose])


def signed(vectors: np.ndarray) -> np.ndarray:
    """`canonical_sign` in numpy: of entries tied for the largest the first is > 0."""
    size = np.abs(vectors)
    index = np.argmax(size >= (1 - TIED) * size.max(axis=1, keepdims=True), axis=1)
    pivot = np.take_along_axis(vectors, index[:, None], axis=1)
    return np.where(pivot < 0, -vectors, vectors)
