"""Clusters by a trained network, from one forward pass."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.validation import check_is_fitted

from spectral_tf.config import ClusterModelConfig, DataError
from spectral_tf.estimators.networks import Weights, load_network
from spectral_tf.estimators.validation import (
    check_count,
    origin_of,
    unchanged_on_error,
    validated,
)
from spectral_tf.exact import restored
from spectral_tf.model.cluster import ClusterEstimate, ClusterTable
from spectral_tf.model.network import Network
from spectral_tf.settings import compiled_settings

DEFAULT = "gmm-small"
MOST_TRAINED = 5
"""Most clusters that it was trained on."""
SMALLEST_BUCKET = 32
"""Rows are filled up to this number times a power of two: few programs to compile."""


class NetworkClusterer(ClusterMixin, BaseEstimator):
    """Clusters by `gmm-small`, a transformer trained on Gaussian mixtures.

    The table goes through the network once, from several starts side by side, and the
    answer of which the network is surest is taken. Nothing is fitted by iteration, but
    the table is kept, since new rows are answered beside it. Distances are Euclidean:
    standardise columns of different units first.

    Made for clusters that overlap, have outliers or heavy tails. It was trained on 2 to
    5 clusters in up to 16 columns, 16 to 256 rows; more are allowed.

    Args:
        n_clusters: K >= 1; for 1 nothing is asked of the network.
        weights: a shipped name; the path of a manifest (`.json`), of a run or of saved
            weights; a `Network`; or `(config, params)`.
        num_starts: starts that run side by side.

    Attributes: `n_clusters_`; `labels_` `[N]`, the clusters ordered by weight, largest
    first; `probabilities_` `[N, K]`, rows sum to 1; `cluster_centers_` `[K, d]`;
    `weights_` `[K]`, sum 1; `confidence_`, the share of rows that the network expects
    to be right, which holds for mixtures like those it was trained on and is too high
    on many real tables.

    Example:
        >>> import numpy as np
        >>> from spectral_tf.estimators import NetworkClusterer
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(100, 6)) + 4 * (np.arange(100) % 2)[:, None]
        >>> labels = NetworkClusterer(2).fit_predict(x)
        >>> len(set(labels[::2])), len(set(labels[1::2]))
        (1, 1)

    Source: He et al. (2025), arXiv:2501.01312, for the question.
    """

    def __init__(
        self,
        n_clusters: int = 2,
        *,
        weights: Weights = DEFAULT,
        num_starts: int = 8,
    ) -> None:
        self.n_clusters = n_clusters
        self.weights = weights
        self.num_starts = num_starts

    @compiled_settings()
    def fit(self, X: ArrayLike, y: Any = None) -> "NetworkClusterer":
        """Find the clusters of a table.

        Args:
            X: `[N, d]`, N >= 2 and at least as many rows as clusters.
            y: not used.

        Returns:
            self.

        Raises:
            ValueError: for a table, weights or a parameter that cannot be used.

        Warns:
            UserWarning: for more clusters than `gmm-small` was trained on.
        """
        del y
        check_count(self, "n_clusters")
        check_count(self, "num_starts")
        network = load_network(self.weights, "clusters")
        if self.weights == DEFAULT and self.n_clusters > MOST_TRAINED:
            warnings.warn(
                f"{DEFAULT} was trained on at most {MOST_TRAINED} clusters; for "
                f"n_clusters={self.n_clusters} SpectralClusterer is the better choice.",
                UserWarning,
                stacklevel=3,  # beyond the decorator
            )
        with unchanged_on_error(self):
            x = validated(self, X, reset=True, rows=2)
            if self.n_clusters > len(x):
                raise DataError(
                    f"n_clusters={self.n_clusters} must be <= n_samples={len(x)}; ask "
                    "for fewer."
                )
            return self._fit(x, network)

    def _fit(
        self, x: np.ndarray, network: Network[ClusterModelConfig]
    ) -> "NetworkClusterer":
        self.n_clusters_, starts = int(self.n_clusters), int(self.num_starts)
        single = jax.tree.map(
            lambda leaf: jnp.asarray(leaf, jnp.float32), network.params
        )
        self._network, self._starts = network.replace(params=single), starts
        self._middle, self._half = middle_and_half(x)
        self._varies = varying_columns(x)
        self._rows = self._scaled(x)
        estimate, logs = self._answers(self._rows[:0])
        self.probabilities_ = normalised(logs[: len(x)])
        self.labels_ = np.argmax(self.probabilities_, axis=1)
        centres = np.zeros((self.n_clusters_, x.shape[1]))
        centres[:, self._varies] = estimate.centres
        centres = 2 * (centres * self._half + self._middle / 2)
        self.cluster_centers_ = restored(centres.astype(x.dtype), origin_of(self))
        self.weights_ = normalised(np.asarray(estimate.log_weights)[None])[0]
        self.confidence_ = float(estimate.confidence)
        return self

    def _scaled(self, x: np.ndarray) -> np.ndarray:
        """Rows in units of the table, float32: the network sees no other numbers.

        Nor constant columns, which say nothing but would count as columns.
        """
        with np.errstate(over="ignore"):
            scaled = (np.asarray(x, np.float64) / 2 - self._middle / 2) / self._half
        return np.clip(scaled[:, self._varies], -1e30, 1e30).astype(np.float32)

    def _answers(self, new_rows: np.ndarray) -> tuple[ClusterEstimate, np.ndarray]:
        """`(estimate, log probabilities)` of the table's rows, then the new ones."""
        if self.n_clusters_ == 1:
            return everything(self._rows), np.zeros(
                (len(self._rows) + len(new_rows), 1)
            )
        count, rows = len(self._rows), filled(self._rows)
        table = ClusterTable(
            jnp.asarray(rows),
            jnp.arange(len(rows)) < count,
            jnp.asarray(filled(new_rows)) if len(new_rows) else None,
        )
        estimate = self._network(table, self.n_clusters_, num_starts=self._starts)
        logs = np.asarray(jax.device_get(estimate.log_probabilities))
        new = logs[len(rows) : len(rows) + len(new_rows)]
        return estimate, np.concatenate([logs[:count], new])

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Cluster of each row.

        Args:
            X: `[N, d]`, new rows or those of `fit`; the answer for one does not depend
                on the others.

        Returns:
            `[N]` of int, 0 to K - 1.
        """
        return np.argmax(self.predict_proba(X), axis=1)

    @compiled_settings()
    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Probability of each cluster for each row.

        Args:
            X: `[N, d]`.

        Returns:
            `[N, K]`, rows sum to 1.
        """
        check_is_fitted(self)
        x = validated(self, X)
        _, logs = self._answers(self._scaled(x))
        return normalised(logs[len(self._rows) :])


def middle_and_half(x: np.ndarray) -> tuple[np.ndarray, float]:
    """Mean of the columns, and half the largest distance of an entry from it.

    In float64 and by halves, so that no digit is lost and nothing overflows; 1/2 for a
    table of equal rows.
    """
    wide = np.asarray(x, np.float64)
    middle = np.sum(wide / len(wide), axis=0)
    half = float(np.max(np.abs(wide / 2 - middle / 2)))
    return middle, half or 0.5


def varying_columns(x: np.ndarray) -> np.ndarray:
    """`[d]` True for columns that are not constant but for rounding; all if none is."""
    high, low = np.max(x, axis=0), np.min(x, axis=0)
    size = np.maximum(np.abs(high), np.abs(low))
    varies = high / 2 - low / 2 > 2 * np.finfo(x.dtype).eps * size
    return varies if varies.any() else np.ones_like(varies)


def everything(rows: np.ndarray) -> ClusterEstimate:
    """One cluster of all rows."""
    logs = jnp.zeros((len(rows), 1))
    centre = jnp.asarray(rows.mean(axis=0, keepdims=True))
    return ClusterEstimate(logs, centre, jnp.zeros(1), jnp.ones(()))


def filled(rows: np.ndarray) -> np.ndarray:
    """Rows of zeros added, up to a number that many tables share."""
    bucket = SMALLEST_BUCKET
    while bucket < len(rows):
        bucket *= 2
    return np.pad(rows, ((0, bucket - len(rows)), (0, 0)))


def normalised(logs: np.ndarray) -> np.ndarray:
    """Probabilities that sum to 1 in float64, of logarithms that nearly do."""
    shares = np.exp(np.asarray(logs, np.float64))
    return shares / shares.sum(axis=1, keepdims=True)
