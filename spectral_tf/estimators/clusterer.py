"""Clusters: a Gaussian mixture in the span of the leading components."""

import math
from typing import Any

import numpy as np
import sklearn
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.mixture import GaussianMixture
from sklearn.utils.validation import check_is_fitted

from spectral_tf.config import DataError, require
from spectral_tf.estimators.networks import Weights
from spectral_tf.estimators.pca import SpectralPCA
from spectral_tf.estimators.robust import lengths
from spectral_tf.estimators.validation import (
    check_count,
    origin_of,
    seed_of,
    unchanged_on_error,
    validated,
)

FARTHEST = 1e6
"""In standard deviations of the first component."""
CHOICE_DIM = 8
"""Components in which numbers of clusters are compared, at most."""


class SpectralClusterer(ClusterMixin, BaseEstimator):
    """Clusters by the spectral method for mixtures, with labels for new rows.

    The means of K clusters with like covariances span, relative to their own mean, K -
    1 dimensions, which lead the principal components where clusters are apart. So:
    the top K - 1 components, found and certified as in `SpectralPCA`, then a Gaussian
    mixture on the coordinates in them.

    Args:
        n_clusters: K, or `"auto"`: the number up to `max_clusters` with the least
            Bayesian information criterion, of mixtures with full or with diagonal
            covariances in at most 8 components; fewer where there are few rows.
        max_clusters: most that `"auto"` tries.
        n_init: starts of the mixture (k-means++); the best is kept.
        engine, weights, tol, fallback, max_iter: as `SpectralPCA`.
        random_state: of the components and of the mixture.

    Attributes: `labels_` `[N]`, `n_clusters_`, `cluster_centers_` `[K, d]`, `pca_`
    (with `certificate_`), `n_iter_`, `mixture_`, `bic_` (of each number tried).

    Example:
        >>> import numpy as np
        >>> from spectral_tf.estimators import SpectralClusterer
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(100, 6)) + 4 * (np.arange(100) % 2)[:, None]
        >>> labels = SpectralClusterer(2).fit_predict(x)
        >>> len(set(labels[::2])), len(set(labels[1::2]))
        (1, 1)

    Source: He et al. (2025), arXiv:2501.01312 (two clusters); Vempala & Wang (2004), A
    spectral algorithm for learning mixture models; the mixture is scikit-learn's.
    """

    def __init__(
        self,
        n_clusters: int | str = 2,
        *,
        max_clusters: int = 10,
        n_init: int = 10,
        engine: str = "auto",
        weights: Weights | None = None,
        tol: float = 1e-3,
        fallback: str = "eigh",
        max_iter: int = 600,
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.max_clusters = max_clusters
        self.n_init = n_init
        self.engine = engine
        self.weights = weights
        self.tol = tol
        self.fallback = fallback
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: Any = None) -> "SpectralClusterer":
        """Find the clusters of a table.

        Args:
            X: `[N, d]`, N >= 2 and at least as many rows as clusters.
            y: not used.

        Returns:
            self.

        Raises:
            ValueError: for a table or a parameter that cannot be used.
        """
        del y
        self._check_number()
        for name in ("max_clusters", "n_init"):
            check_count(self, name)
        seed = seed_of(self.random_state)
        with unchanged_on_error(self):
            x = validated(self, X, reset=True, rows=2)
            # The coordinates are numpy's, whatever the table was.
            with sklearn.config_context(array_api_dispatch=False):
                return self._fit(x, seed)

    def _fit(self, x: np.ndarray, seed: int) -> "SpectralClusterer":
        self.bic_: dict[int, float] | None = None
        number = self.n_clusters
        if isinstance(number, str):
            criteria = self.bic_ = self._criteria(x, seed)
            number = min(criteria, key=lambda candidate: criteria[candidate])
        if number > len(x):
            raise DataError(
                f"n_clusters={number} must be <= n_samples={len(x)}; ask for fewer."
            )
        k = min(max(number - 1, 1), *x.shape)
        self.n_clusters_ = int(number)
        self.pca_ = self._components(x, k, seed)
        self._unit = leading_spread(self.pca_)
        scores = self._scores(x)
        tried = [
            self._mixture(self.n_clusters_, seed, kind).fit(scores)
            for kind in ("full", "diag", "spherical")
        ]
        self.mixture_: GaussianMixture = min(
            tried, key=lambda candidate: candidate.bic(scores)
        )
        self.n_iter_ = self.pca_.n_iter_
        self.labels_ = self.mixture_.predict(scores)
        means = np.asarray(self.mixture_.means_) * self._unit
        self.pca_._moved(origin_of(self))
        self.cluster_centers_ = self.pca_.inverse_transform(means.astype(x.dtype))
        return self

    def _check_number(self) -> None:
        if not isinstance(self.n_clusters, str):
            check_count(self, "n_clusters")
            return
        require(
            self.n_clusters == "auto",
            f"n_clusters={self.n_clusters!r} is unknown; give a number or 'auto'.",
        )

    def _components(self, x: np.ndarray, k: int, seed: int) -> SpectralPCA:
        """The leading components, k or as many as vary: the rest is rounding."""
        pca = self._pca(k, seed).fit(x)
        varying = max(pca._rank, 1)
        return pca if varying == k else self._pca(varying, seed).fit(x)

    def _pca(self, k: int, seed: int) -> SpectralPCA:
        return SpectralPCA(
            k,
            engine=self.engine,
            weights=self.weights,
            tol=self.tol,
            fallback=self.fallback,
            max_iter=self.max_iter,
            random_state=seed,
        )

    def _mixture(self, number: int, seed: int, kind: str) -> GaussianMixture:
        return GaussianMixture(
            number,
            covariance_type=kind,
            n_init=self.n_init,
            init_params="k-means++",
            max_iter=300,
            random_state=seed,
        )

    def _criteria(self, x: np.ndarray, seed: int) -> dict[int, float]:
        """The Bayesian information criterion of each number of clusters."""
        most = min(self.max_clusters, len(x))
        # So few components that each cluster has rows enough for its covariance.
        k = max(1, min(most - 1, CHOICE_DIM, len(x) // 20, x.shape[1]))
        pca = self._components(x, k, seed)
        most = max(1, min(most, len(x) // (2 * (pca.n_components_ + 1))))
        scores = pca.transform(x).astype(np.float64) / leading_spread(pca)
        return {
            number: min(
                float(self._mixture(number, seed, kind).fit(scores).bic(scores))
                for kind in ("full", "diag")
            )
            for number in range(1, most + 1)
        }

    def _scores(self, x: np.ndarray) -> np.ndarray:
        """Coordinates in the components, the leading one of unit variance.

        Rows that are further out than `FARTHEST` are moved there, in their direction,
        so that squares do not overflow.
        """
        with np.errstate(over="ignore"):
            scores = self.pca_._projected(x).astype(np.float64) / self._unit
        scores = np.clip(scores, -1e300, 1e300)
        away = np.maximum(lengths(scores)[:, None], FARTHEST)
        return scores * (FARTHEST / away)

    def _new_scores(self, X: ArrayLike) -> np.ndarray:
        check_is_fitted(self)
        x = validated(self, X)
        return self._scores(x)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Cluster of each row.

        Args:
            X: `[N, d]`, new rows or those of `fit`.

        Returns:
            `[N]` of int, 0 to K - 1.
        """
        scores = self._new_scores(X)
        return self.mixture_.predict(scores)

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Probability of each cluster for each row, under the mixture.

        Args:
            X: `[N, d]`.

        Returns:
            `[N, K]`, rows sum to 1.
        """
        scores = self._new_scores(X)
        shares = self.mixture_.predict_proba(scores)
        # Far out, differences of logarithms are rounded, and the sum is not 1.
        return shares / shares.sum(axis=1, keepdims=True)


def leading_spread(pca: SpectralPCA) -> float:
    """Standard deviation along the first component, 1 if it is 0.

    The mixture adds a small constant to its covariances; in these units it is small
    for every table.
    """
    spread = float(pca.singular_values_[0]) / math.sqrt(pca.n_samples_ - 1)
    return spread if spread > 0 else 1.0
