"""The command `cluster`: clusters of rows, in certified components or by a network."""

import dataclasses
import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from spectral_tf.apps.analysis.answer import Answer, Search, about_components, noted
from spectral_tf.apps.analysis.checks import Check, same
from spectral_tf.apps.analysis.commands import Analysis
from spectral_tf.apps.analysis.document import largest
from spectral_tf.apps.analysis.files import cells, write_csv, write_rows
from spectral_tf.apps.analysis.prepare import Prepared
from spectral_tf.config import ConfigError
from spectral_tf.config.wording import percent

if TYPE_CHECKING:
    from spectral_tf.estimators import SpectralPCA

STAND_OUT = 0.5
"""Standard deviations by which a column sets a cluster apart."""


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

    @property
    def networks(self) -> tuple[str, ...]:
        """The network that clustered."""
        return () if self.network is None else (self.network,)

    def mean_probability(self, cluster: int) -> float:
        """Of the rows of a cluster; NaN if it has none."""
        rows = self.probability[self.labels == cluster]
        return float(np.mean(rows)) if len(rows) else math.nan


@dataclasses.dataclass(frozen=True)
class Cluster(Analysis):
    """Clusters of the rows of a table, in its certified components or by a network."""

    # How many clusters; auto: the number with the least information criterion.
    n_clusters: int | Literal["auto"] = "auto"
    # mixture: fitted to the components; network: gmm-small, for overlap and outliers.
    method: Literal["mixture", "network"] = "mixture"

    decides: ClassVar[str] = "sizes"

    def fitted(self, table: Prepared, search: Search) -> Clusters:
        """The clusters."""
        return find_clusters(table, self.n_clusters, search, method=self.method)

    def results(self, table: Prepared, answer: Clusters) -> dict[str, Any]:
        """The clusters, with the columns that set each apart."""
        return {
            "n_clusters": len(answer.sizes),
            "bic": answer.bic,
            "network": answer.network,
            "confidence": answer.confidence,
            "clusters": [
                {
                    "cluster": cluster,
                    "rows": int(size),
                    "mean_probability": answer.mean_probability(cluster),
                    "largest_deviations": dict(
                        largest(answer.deviations[cluster], table)
                    ),
                }
                for cluster, size in enumerate(answer.sizes.tolist())
            ],
        }

    def decision(self, table: Prepared, answer: Clusters) -> dict[str, Any]:
        """Sizes, and a digest of the labels."""
        del table
        labels = np.ascontiguousarray(answer.labels, "<i8")
        return {
            "sizes": answer.sizes.tolist(),
            "labels_sha256": hashlib.sha256(labels.tobytes()).hexdigest(),
        }

    @staticmethod
    def compared(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Check]:
        """The sizes, and the labels by their digest."""
        return [
            same("sizes", old["sizes"], new["sizes"]),
            same("labels", old["labels_sha256"], new["labels_sha256"]),
        ]

    def write(self, folder: Path, table: Prepared, answer: Clusters) -> None:
        """Write labels.csv, clusters.csv and their figure."""
        from spectral_tf.apps.report.table_figures import cluster_figure

        pairs = zip(answer.labels.tolist(), answer.probability.tolist(), strict=True)
        write_rows(
            folder / "labels.csv",
            table,
            ["row", "cluster", "probability"],
            ([row, *pair] for row, pair in enumerate(pairs, start=1)),
        )
        centres = [f"centre of {name}" for name in table.columns]
        deviations = [f"deviation of {name}" for name in table.columns]
        write_csv(
            folder / "clusters.csv",
            ["cluster", "size", *centres, *deviations],
            (
                [cluster, size, *cells(np.r_[answer.centres[cluster], deviation])]
                for cluster, (size, deviation) in enumerate(
                    zip(answer.sizes.tolist(), answer.deviations, strict=True)
                )
            ),
        )
        path = folder / "clusters.png"
        cluster_figure(answer.scores, answer.labels, answer.shares, path)

    def lines(self, table: Prepared, answer: Clusters) -> list[str]:
        """The clusters as a table, and the certificate of the components."""
        from spectral_tf.apps.analysis import text

        rows = []
        for cluster, size in enumerate(answer.sizes.tolist()[: text.MOST_LINES]):
            apart = [
                pair
                for pair in largest(answer.deviations[cluster], table)
                if abs(pair[1]) >= STAND_OUT
            ]
            rows.append(
                (
                    str(cluster),
                    f"{size:,}",
                    percent(size / len(answer.labels), 1),
                    f"{answer.mean_probability(cluster):.3f}" if size else "",
                    text.phrase(apart) or "nothing by half a standard deviation",
                )
            )
        what = "what sets it apart (standard deviations)"
        head = "cluster", "rows", "share", "probability", what
        lines = text.table_lines(head, rows, len(answer.sizes), "clusters.csv")
        return [*lines, "", *_how_found(answer), *text.certified(answer)]


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
    fit = _by_network if method == "network" else _by_mixture
    with noted() as notes:
        pca, labels, probability, rest = fit(table, n_clusters, search)
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
        **about_components(pca),
        scores=scores,
        notes=tuple(notes),
        labels=labels,
        probability=probability.max(axis=1),
        sizes=sizes,
        centres=centres,
        deviations=deviations,
        **rest,
    )


_Fit = tuple["SpectralPCA", np.ndarray, np.ndarray, dict[str, Any]]
"""Components, labels `[N]`, probabilities `[N, K]`, and what else `Clusters` has."""


def _by_mixture(table: Prepared, n_clusters: int | str, search: Search) -> _Fit:
    from spectral_tf.estimators import SpectralClusterer

    clusterer = SpectralClusterer(n_clusters, **search.options()).fit(table.x)
    probability = clusterer.predict_proba(table.x)
    return clusterer.pca_, clusterer.labels_, probability, {"bic": clusterer.bic_}


def _by_network(table: Prepared, n_clusters: int | str, search: Search) -> _Fit:
    from spectral_tf.estimators import NetworkClusterer, SpectralPCA

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


def _how_found(answer: Clusters) -> list[str]:
    """Why so many clusters, or what the network expects of itself."""
    lines = []
    if answer.bic is not None:
        ranked = sorted(answer.bic.items(), key=lambda pair: pair[1])
        near = ", ".join(f"{number}: {bic:,.0f}" for number, bic in ranked[:3])
        lines.append(
            f"{len(answer.sizes)} is the number from 1 to {max(answer.bic)} with the "
            f"least Bayesian information criterion ({near})."
        )
    if answer.confidence is not None:
        lines.append(
            f"{answer.network} clustered all columns and expects to be right on "
            f"{percent(answer.confidence)} of the rows: so it is for mixtures like "
            "those it was trained on, often less elsewhere. The components are those "
            "of the picture."
        )
    return lines
