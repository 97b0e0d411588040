"""Ways to judge rows: each learns from past rows and gives later ones a score.

A method is a function of the past `[R, d]` that returns a function of rows `[m, d]`,
which returns scores `[m]`; the larger, the stranger. All see the same scaled rows.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest

from spectral_tf.certificate import CertificateWarning
from spectral_tf.estimators import SpectralOutlierDetector

Score = Callable[[np.ndarray], np.ndarray]
Method = Callable[[np.ndarray], Score]

NETWORK = "pca-small"
"""The shipped checkpoint that the studies use and fine-tune."""


def detector(past: np.ndarray, **options: Any) -> SpectralOutlierDetector:
    """A fitted detector that judges by the combined score.

    Args:
        past: `[R, d]`.
        options: of `SpectralOutlierDetector`; `n_components` is d - 1 unless given.

    Returns:
        The detector. What its certificate cannot prove is in the certificate, not in a
        warning.
    """
    k = options.pop("n_components", past.shape[1] - 1)
    options = {"robust": False, "judge": "combined"} | options
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CertificateWarning)
        return SpectralOutlierDetector(k, **options).fit(past)


def spectral(**options: Any) -> Method:
    """`detector` as a method."""

    def method(past: np.ndarray) -> Score:
        found = detector(past, **options)
        return lambda rows: -found.score_samples(rows)

    return method


def network(weights: str | Path) -> Method:
    """A trained network's own components, whatever the certificate says of them."""
    return spectral(engine="pretrained", weights=weights, fallback="warn")


def pca_distance(past: np.ndarray) -> Score:
    """PCA as PyOD does it: distances to the components, weighted by 1 / eigenvalue.

    Args:
        past: `[R, d]`, scaled.

    Returns:
        The score: sum over components v of |x - v| / (share of v in the variance).

    Source: Shyu et al. (2003), as `pyod.models.pca.PCA` (Zhao et al., 2019) computes
    it with its defaults.
    """
    found: Any = PCA().fit(past)
    shares = found.explained_variance_ratio_
    kept = shares > 1e-12
    components = found.components_[kept]
    return lambda rows: np.sum(cdist(rows, components) / shares[kept], axis=1)


def mahalanobis(past: np.ndarray) -> Score:
    """Hotelling's T^2 of all components: the Mahalanobis distance.

    Args:
        past: `[R, d]`.

    Returns:
        The score, not squared.

    Source: Hotelling (1931).
    """
    mean = past.mean(axis=0)
    inverse = np.linalg.pinv(np.atleast_2d(np.cov(past.T)), hermitian=True)

    def score(rows: np.ndarray) -> np.ndarray:
        away = rows - mean
        return np.sqrt(np.maximum(np.sum(away @ inverse * away, axis=1), 0))

    return score


def forest(seed: int) -> Method:
    """scikit-learn's IsolationForest with its defaults."""

    def method(past: np.ndarray) -> Score:
        found = IsolationForest(random_state=seed).fit(past)
        return lambda rows: -found.score_samples(rows)

    return method


def largest_deviation(past: np.ndarray) -> Score:
    """The largest column, in absolute value: no model at all."""
    del past
    return lambda rows: np.max(np.abs(rows), axis=1)


def first_column(past: np.ndarray) -> Score:
    """The first column in absolute value; for stock, the seasonal z-score of today."""
    del past
    return lambda rows: np.abs(rows[:, 0])
