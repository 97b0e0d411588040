"""The estimators, run on a prepared table; what they say, in the table's own units."""

import contextlib
import dataclasses
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from spectral_tf.apps.analysis.prepare import Prepared
from spectral_tf.certificate import Certificate, CertificateError, CertificateWarning
from spectral_tf.config import ConfigError, DataError, require
from spectral_tf.estimators import (
    Explanation,
    NetworkClusterer,
    SpectralClusterer,
    SpectralOutlierDetector,
    SpectralPCA,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Search:
    """How components are found and checked; see `SpectralPCA`."""

    engine: str = "auto"
    weights: Path | None = None
    tol: float = 1e-3
    fallback: str = "eigh"
    seed: int = 0

    def options(self) -> dict[str, Any]:
        """Keywords of the estimators."""
        found = dataclasses.asdict(self)
        return found | {"random_state": found.pop("seed")}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """What every analysis has.

    Attributes:
        certificate: of the components.
        engine: who found them.
        reason: why that engine.
        shares: `[k]` of the variance of the rows that the components are of.
        scores: `[N, k]` coordinates in the components.
        notes: warnings of the fit, one sentence each.
    """

    certificate: Certificate
    engine: str
    reason: str
    shares: np.ndarray
    scores: np.ndarray
    notes: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Components(Answer):
    """Principal components: `eigenvalues` `[k]` (1/(N-1)), `loadings` `[k, d]`."""

    eigenvalues: np.ndarray
    loadings: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clusters(Answer):
    """Clusters of rows.

    Attributes:
        labels: `[N]` 0 to K - 1.
        probability: `[N]` of the own cluster, under the mixture.
        sizes: `[K]` rows.
        centres: `[K, d]` means of the rows of each cluster, units of the file; NaN for
            a cluster without rows.
        deviations: `[K, d]` centre minus overall mean, in standard deviations of the
            column.
        bic: number of clusters -> Bayesian information criterion; None if the number
            was given.
        network: name of the network that clustered; None for a mixture.
        confidence: share of rows that the network expects to be right; None as above.
    """

    labels: np.ndarray
    probability: np.ndarray
    sizes: np.ndarray
    centres: np.ndarray
    deviations: np.ndarray
    bic: dict[int, float] | None
    network: str | None = None
    confidence: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outliers(Answer):
    """Rows far from their reconstruction.

    Attributes:
        distance: `[N]` what rows are judged by: from the reconstruction, in the units
            that the detector sees, or combined.
        threshold: a row is an outlier if its distance is larger.
        is_outlier: `[N]`.
        order: `[N]` rows by falling distance.
        judge: what rows are judged by, `"residual"` or `"combined"`.
        explanation: of all rows, its residuals in the units of the file.
        is_robust: whether the components are those of rows scaled to unit distance
            from their spatial median.
    """

    distance: np.ndarray
    threshold: float
    is_outlier: np.ndarray
    order: np.ndarray
    judge: str
    explanation: Explanation
    is_robust: bool


def find_components(
    table: Prepared, n_components: int | float, search: Search
) -> Components:
    """Principal components of a table.

    Args:
        table: N rows, d columns.
        n_components: how many, or a share of the variance in (0, 1).
        search: how.

    Returns:
        The components.

    Raises:
        ConfigError: if so many cannot be had.
        DataError: if the table cannot be used.
        CertificateError: with `fallback="raise"`.

    Source: `SpectralPCA`.
    """
    require(
        n_components != 0,
        "n_components=0 leaves nothing to report; ask for at least 1.",
    )
    return components_of(table.x, n_components, search)[0]


def components_of(
    x: Any, n_components: int | float, search: Search
) -> tuple[Components, SpectralPCA]:
    """The components of rows, and their estimator.

    Args:
        x: `[N, d]`; rows of a Dask array stay where they are, and get no scores.
        n_components: how many, or a share of the variance in (0, 1).
        search: how.

    Returns:
        Both.

    Raises:
        DataError: if the table cannot be used.
        CertificateError: with `fallback="raise"`.
    """
    with _noted() as notes:
        pca = SpectralPCA(n_components, **search.options()).fit(x)
        is_here = isinstance(x, np.ndarray)
        scores = pca.transform(x) if is_here else np.zeros((0, pca.n_components_))
    answer = Components(
        **_about(pca),
        scores=scores,
        notes=tuple(notes),
        eigenvalues=pca.explained_variance_,
        loadings=pca.components_,
    )
    return answer, pca


def find_clusters(
    table: Prepared, n_clusters: int | str, search: Search, *, method: str = "mixture"
) -> Clusters:
    """Clusters of the rows of a table.

    Args:
        table: N rows, d columns.
        n_clusters: how many, or `"auto"`, which `method="network"` cannot.
        search: how.
        method: `mixture`, in the certified components; or `network`, in all columns,
            where the components serve the picture alone.

    Returns:
        The clusters.

    Raises:
        ConfigError: for a number that is out of bounds.
        DataError: if the table cannot be used.
        CertificateError: with `fallback="raise"`.

    Source: `SpectralClusterer`, `NetworkClusterer`.
    """
    found = _by_network if method == "network" else _by_mixture
    with _noted() as notes:
        pca, labels, probability, rest = found(table, n_clusters, search)
        scores = pca.transform(table.x)
    sizes = np.bincount(labels, minlength=probability.shape[1])
    centres = np.full((len(sizes), len(table.columns)), np.nan)
    deviations = centres.copy()
    # Of `x`, which has the digits that `raw` cannot hold.
    middle, spread = table.x.mean(axis=0), table.x.std(axis=0)
    for cluster in np.flatnonzero(sizes).tolist():
        rows = labels == cluster
        centres[cluster] = table.raw[rows].mean(axis=0)
        deviations[cluster] = (table.x[rows].mean(axis=0) - middle) / spread
    return Clusters(
        **_about(pca),
        scores=scores,
        notes=tuple(notes),
        labels=labels,
        probability=probability.max(axis=1),
        sizes=sizes,
        centres=centres,
        deviations=deviations,
        **rest,
    )


_Found = tuple[SpectralPCA, np.ndarray, np.ndarray, dict[str, Any]]
"""Components, labels `[N]`, probabilities `[N, K]`, and what else `Clusters` has."""


def _by_mixture(table: Prepared, n_clusters: int | str, search: Search) -> _Found:
    clusterer = SpectralClusterer(n_clusters, **search.options()).fit(table.x)
    probability = clusterer.predict_proba(table.x)
    return clusterer.pca_, clusterer.labels_, probability, {"bic": clusterer.bic_}


def _by_network(table: Prepared, n_clusters: int | str, search: Search) -> _Found:
    if isinstance(n_clusters, str):
        raise ConfigError(
            f"n_clusters={n_clusters!r}: the network has to be told how many; give "
            "--n-clusters NUMBER, or let --method mixture find it."
        )
    clusterer = NetworkClusterer(n_clusters).fit(table.x)
    k = min(max(n_clusters - 1, 1), *table.x.shape)
    pca = SpectralPCA(k, **search.options()).fit(table.x)
    about = {"network": clusterer.weights, "confidence": clusterer.confidence_}
    rest = {"bic": None, **about}
    return pca, clusterer.labels_, clusterer.probabilities_, rest


def find_outliers(
    table: Prepared,
    n_components: int | float,
    search: Search,
    *,
    contamination: float | str = "auto",
    robust: bool = True,
    judge: str = "combined",
) -> Outliers:
    """Rows that the leading components cannot reconstruct.

    Args:
        table: N rows, d >= 2 columns.
        n_components: how many, or a share of the variance in (0, 1).
        search: how.
        contamination: share of outliers, or `"auto"`.
        robust: see `SpectralOutlierDetector`.
        judge: see `SpectralOutlierDetector`.

    Returns:
        The distances, with an explanation of each.

    Raises:
        ConfigError: for a parameter that is out of bounds.
        DataError: if the table cannot be used.
        CertificateError: with `fallback="raise"`.

    Source: `SpectralOutlierDetector`.
    """
    with _noted() as notes:
        detector = SpectralOutlierDetector(
            n_components,
            contamination=contamination,
            robust=robust,
            judge=judge,
            **search.options(),
        ).fit(table.x)
        found = detector.explain(table.x)
        distance = -detector.score_samples(table.x)
        is_outlier = detector.predict(table.x) < 0
    centred = table.x - detector.center_
    return Outliers(
        **_about(detector.pca_),
        scores=centred @ detector.pca_.components_.T,
        notes=tuple(notes),
        distance=distance,
        threshold=-float(detector.offset_),
        is_outlier=is_outlier,
        order=np.argsort(-distance, kind="stable"),
        judge=judge,
        explanation=dataclasses.replace(
            found, residual=found.residual * table.scale, names=table.columns
        ),
        is_robust=robust,
    )


def _about(pca: SpectralPCA) -> dict[str, Any]:
    """What `Answer` says of the components."""
    assert pca.certificate_ is not None
    return {
        "certificate": pca.certificate_,
        "engine": pca.engine_,
        "reason": pca.engine_reason_,
        "shares": pca.explained_variance_ratio_,
    }


@contextlib.contextmanager
def _noted() -> Iterator[list[str]]:
    """Warnings for users become notes; scikit-learn's refusals become `DataError`.

    What a `CertificateWarning` says stands in the certificate.
    """
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            yield notes
        except (ConfigError, DataError, CertificateError):
            raise
        except ValueError as error:
            raise DataError(f"the table cannot be used: {error}") from error
    for warning in caught:
        if not issubclass(warning.category, UserWarning):
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
        elif not issubclass(warning.category, CertificateWarning):
            text = " ".join(str(warning.message).split())
            notes += [f"Warning: {text}"] * (f"Warning: {text}" not in notes)
