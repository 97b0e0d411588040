"""The methods that are compared: each learns from rows and labels any rows.

A method is a function of rows `[n, d]`, the number of groups, a seed and the settings;
it returns a function of rows `[m, d]` to labels `[m]`. All see the same scaled rows.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.cluster import SpectralClustering as GraphClustering
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsClassifier

from spectral_tf.apps.studies.shipping.config import ShippingConfig
from spectral_tf.estimators import SpectralClusterer

Labels = Callable[[np.ndarray], np.ndarray]
Method = Callable[[np.ndarray, int, int, ShippingConfig], Labels]

OURS = "SpectralClusterer"
NEIGHBOURS = 10
VOTERS = 5
"""Nearest rows that decide a row outside the graph."""
KMEANS_STARTS = 10


@contextmanager
def quiet() -> Iterator[None]:
    """No word about slow convergence or a graph in parts: the figures say it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "Graph is not fully connected", UserWarning)
        yield


def spectral(x: np.ndarray, k: int, seed: int, config: ShippingConfig) -> Labels:
    """A mixture in the span of the leading components.

    By the exact engine: many fits need the same components, and the clusterer of the
    whole table, whose components are certified, shows that the engines agree on them.

    Args:
        x: `[n, d]`.
        k: groups.
        seed: of the start.
        config: number of starts.

    Returns:
        The labels of rows.

    Source: `SpectralClusterer`.
    """
    found = SpectralClusterer(
        k, n_init=config.num_starts, engine="exact", random_state=seed
    )
    with quiet():
        return found.fit(x).predict


def k_means(x: np.ndarray, k: int, seed: int, config: ShippingConfig) -> Labels:
    """Lloyd's algorithm, the best of ten starts.

    Args:
        x: `[n, d]`.
        k: groups.
        seed: of the starts.
        config: not used.

    Returns:
        The labels of rows.

    Source: Lloyd (1982); scikit-learn's `KMeans`.
    """
    del config
    starts: Any = KMEANS_STARTS
    with quiet():
        found: Any = KMeans(k, n_init=starts, random_state=seed).fit(x)
    return found.predict


def mixture(x: np.ndarray, k: int, seed: int, config: ShippingConfig) -> Labels:
    """A mixture of normal distributions with full covariances in all columns.

    Args:
        x: `[n, d]`.
        k: groups.
        seed: of the starts.
        config: number of starts.

    Returns:
        The labels of rows.

    Source: Dempster, Laird & Rubin (1977); scikit-learn's `GaussianMixture`.
    """
    found = gaussian_mixture(k, seed, config)
    with quiet():
        return found.fit(x).predict


def gaussian_mixture(k: int, seed: int, config: ShippingConfig) -> GaussianMixture:
    """The mixture of `mixture`, not fitted; its BIC stands beside the stability."""
    return GaussianMixture(
        k,
        n_init=config.num_starts,
        init_params="k-means++",
        max_iter=300,
        random_state=seed,
    )


def graph(x: np.ndarray, k: int, seed: int, config: ShippingConfig) -> Labels:
    """Normalised cuts of the graph of nearest neighbours.

    The graph is of the first `graph_rows` rows; any other row follows the majority of
    its five nearest rows in it.

    Args:
        x: `[n, d]` in random order.
        k: groups.
        seed: of the eigenvectors' start and of k-means.
        config: rows of the graph.

    Returns:
        The labels of rows.

    Source: von Luxburg (2007); scikit-learn's `SpectralClustering`.
    """
    rows = x[: config.graph_rows]
    found = GraphClustering(
        k,
        affinity="nearest_neighbors",
        n_neighbors=min(NEIGHBOURS, len(rows)),
        random_state=seed,
    )
    with quiet():
        labels = found.fit_predict(rows)
    return KNeighborsClassifier(VOTERS).fit(rows, labels).predict


METHODS: dict[str, Method] = {
    OURS: spectral,
    "KMeans": k_means,
    "GaussianMixture": mixture,
    "SpectralClustering": graph,
}
SWEPT = (OURS, "KMeans")
"""Methods whose stability decides the number of groups."""
