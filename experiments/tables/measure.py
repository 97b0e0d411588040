"""What is measured: ours beside scikit-learn's."""

from typing import Any

import numpy as np
from config import SEED, TOP
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler

from spectral_tf.estimators import (
    SpectralClusterer,
    SpectralOutlierDetector,
    SpectralPCA,
)


def components(x: np.ndarray) -> dict[str, Any]:
    """Our components beside scikit-learn's."""
    ours = SpectralPCA(0.9, random_state=SEED).fit(x)
    theirs = PCA(0.9).fit(x)
    certificate = ours.certificate_
    assert certificate is not None
    cosine = np.sum(ours.components_ * theirs.components_, axis=1)
    apart = ours.components_ - cosine[:, None] * theirs.components_
    difference = ours.explained_variance_ / theirs.explained_variance_ - 1
    return {
        "count": ours.n_components_,
        "count_scikit_learn": int(theirs.n_components_),
        "shares": ours.explained_variance_ratio_.tolist(),
        "status": certificate.counts(),
        "largest_angle_bound": float(np.max(certificate.angle_bound)),
        "largest_angle": float(np.max(np.linalg.norm(apart, axis=1))),
        "largest_relative_difference": float(np.max(np.abs(difference))),
    }


def clusters(x: np.ndarray, cultivars: np.ndarray) -> dict[str, Any]:
    """Adjusted Rand index to the cultivars, and the number that is found."""
    found = SpectralClusterer("auto", random_state=SEED).fit(x)
    options: dict[str, Any] = {"n_init": 10, "random_state": SEED}
    methods = {
        "SpectralClusterer(3)": SpectralClusterer(3, random_state=SEED),
        "KMeans(3)": KMeans(3, **options),
        "GaussianMixture(3)": GaussianMixture(3, **options),
        "GaussianMixture(3), diagonal": GaussianMixture(
            3, covariance_type="diag", **options
        ),
    }
    index = {
        name: float(adjusted_rand_score(cultivars, method.fit_predict(x)))
        for name, method in methods.items()
    }
    bic = {str(number): value for number, value in (found.bic_ or {}).items()}
    auto = float(adjusted_rand_score(cultivars, found.labels_))
    return {"index": index, "auto": found.n_clusters_, "index_auto": auto, "bic": bic}


def scorers() -> dict[str, Any]:
    """Detectors of outliers; the higher `score_samples`, the more ordinary."""
    return {
        "SpectralOutlierDetector": SpectralOutlierDetector(engine="exact"),
        "the same, residual alone": SpectralOutlierDetector(
            engine="exact", judge="residual"
        ),
        "residual, not robust": SpectralOutlierDetector(
            engine="exact", judge="residual", robust=False
        ),
        "IsolationForest": IsolationForest(random_state=SEED),
    }


def top_rows(x: np.ndarray) -> dict[str, list[int]]:
    """Row numbers of the strangest wines, from 1, by each detector."""
    scores = {name: one.fit(x).score_samples(x) for name, one in scorers().items()}
    return {name: (np.argsort(s)[:TOP] + 1).tolist() for name, s in scores.items()}


def planted(data: np.ndarray, count: int) -> dict[str, float]:
    """Share of trials in which a wine with one wrong number is among the ten strangest.

    The wrong number is ordinary by itself: the 2.5 % or the 97.5 % point of its column,
    whichever is further from the true one.
    """
    rng = np.random.default_rng(SEED)
    low, high = np.quantile(data, [0.025, 0.975], axis=0)
    found = dict.fromkeys(scorers(), 0)
    for _ in range(count):
        row, column = (int(rng.integers(size)) for size in data.shape)
        wrong, true = data.copy(), data[row, column]
        ends = low[column], high[column]
        wrong[row, column] = max(ends, key=lambda end, true=true: abs(end - true))
        for name, top in top_rows(StandardScaler().fit_transform(wrong)).items():
            found[name] += row + 1 in top
    return {name: hits / count for name, hits in found.items()}
