"""Classical methods behind one signature: `(x [n, d], K, seed) -> ClusterAnswer`."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
from jaxtyping import Shaped
from sklearn.cluster import KMeans, SpectralClustering
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from spectral_tf.clustering.metrics import ClusterAnswer
from spectral_tf.config import require

Points = Shaped[np.ndarray, "n d"]
Method = Callable[[np.ndarray, int, int], ClusterAnswer]
"""`(x [n, d], K, seed) -> ClusterAnswer` of the n rows; sees valid rows alone."""

CovarianceType = Literal["spherical", "diag", "full"]
NEIGHBOURS = 10
"""Neighbours of a row in the graph of `spectral_clustering`, at most."""


@contextmanager
def _quiet() -> Iterator[None]:
    """No word about few distinct rows, slow convergence or a graph in parts.

    They say that an instance is hard, and its scores say so too.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "Graph is not fully connected", UserWarning)
        yield


def gaussian_mixture(
    num_starts: int = 10, covariance: CovarianceType = "diag"
) -> Method:
    """EM from k-means++ starts, the most likely of `num_starts` runs.

    Args:
        num_starts: runs; 10 is the usual "best of 10".
        covariance: of the model. `spherical` is right for isotropic noise and `diag`
            for diagonal noise too; `full` is scikit-learn's default. A model with more
            to estimate than the noise needs is a weaker baseline where N is small.

    Returns:
        The method; its answer has everything.

    Source: Dempster, Laird & Rubin (1977); scikit-learn's `GaussianMixture`.
    """

    def method(x: Points, num_classes: int, seed: int) -> ClusterAnswer:
        x = np.asarray(x, np.float64)
        model = GaussianMixture(
            num_classes,
            covariance_type=covariance,
            n_init=num_starts,
            init_params="k-means++",
            max_iter=300,
            random_state=seed,
        )
        with _quiet():
            model.fit(x)
        variances = np.asarray(model.covariances_)
        if covariance == "spherical":
            variances = np.repeat(variances[:, None], x.shape[1], axis=1)
        probabilities = model.predict_proba(x)
        return ClusterAnswer(
            labels=np.argmax(probabilities, axis=1),
            probabilities=probabilities,
            means=np.asarray(model.means_),
            covariances=variances,
            weights=np.asarray(model.weights_),
        )

    return method


def k_means(x: Points, num_classes: int, seed: int) -> ClusterAnswer:
    """Lloyd's algorithm from k-means++ starts, the best of 10.

    Args:
        x: `[n, d]` rows.
        num_classes: K <= n.
        seed: of the starts.

    Returns:
        Labels, centres, and the clusters' shares of the rows as weights.

    Source: Lloyd (1982); scikit-learn's `KMeans`.
    """
    starts: Any = 10  # scikit-learn's annotation knows "auto" alone
    model = KMeans(num_classes, n_init=starts, random_state=seed)
    with _quiet():
        labels = model.fit_predict(np.asarray(x, np.float64))
    shares = np.bincount(labels, minlength=num_classes) / len(labels)
    return ClusterAnswer(
        labels=labels, means=np.asarray(model.cluster_centers_), weights=shares
    )


def spectral_clustering(x: Points, num_classes: int, seed: int) -> ClusterAnswer:
    """Normalised cuts of the graph of nearest neighbours.

    The graph of neighbours, and not the Gaussian kernel, since that needs a width in
    the units of x.

    Args:
        x: `[n, d]` rows.
        num_classes: K < n.
        seed: of the eigenvectors' start and of k-means.

    Returns:
        Labels alone.

    Source: von Luxburg (2007), A tutorial on spectral clustering; scikit-learn's
    `SpectralClustering`.
    """
    model = SpectralClustering(
        num_classes,
        affinity="nearest_neighbors",
        n_neighbors=min(NEIGHBOURS, len(x)),
        random_state=seed,
    )
    with _quiet():
        return ClusterAnswer(labels=model.fit_predict(np.asarray(x, np.float64)))


def leading_direction(*, centre: bool = True) -> Method:
    """The spectral method for two classes: the side of each row on the leading vector.

    Args:
        centre: subtract the mean of the rows first. Without, the border stays halfway
            between the classes of x = y mu + noise, however unequal they are.

    Returns:
        The method, for K = 2 only; its answer is labels alone.

    Source: He et al. (2025), arXiv:2501.01312, section on Gaussian mixtures; Loffler,
    Zhang & Zhou (2021), arXiv:1911.00538, for its optimality.
    """

    def method(x: Points, num_classes: int, seed: int) -> ClusterAnswer:
        del seed
        require(
            num_classes == 2,
            f"num_classes={num_classes} must be 2 for the sign of one direction; use "
            "k_means or gaussian_mixture for more.",
        )
        rows = np.asarray(x, np.float64)
        rows = rows - rows.mean(axis=0) if centre else rows
        direction = np.linalg.svd(rows, full_matrices=False)[2][0]
        return ClusterAnswer(labels=(rows @ direction < 0).astype(np.int64))

    return method


def baselines(
    num_classes: int, covariance: CovarianceType = "diag"
) -> dict[str, Method]:
    """All of them by name, as far as they are for K classes.

    Args:
        num_classes: K.
        covariance: of the mixtures; `spherical` is the fair one for isotropic noise.

    Returns:
        Name -> method. The Bayes rule is not among them: it is no method of the rows
        alone, and `evaluate` adds it.
    """
    methods: dict[str, Method] = {
        "mixture, best of 10": gaussian_mixture(10, covariance),
        "mixture, one start": gaussian_mixture(1, covariance),
        "k-means, best of 10": k_means,
        "spectral clustering": spectral_clustering,
    }
    if num_classes == 2:
        methods["leading direction"] = leading_direction(centre=True)
        methods["leading direction, uncentred"] = leading_direction(centre=False)
    return methods
