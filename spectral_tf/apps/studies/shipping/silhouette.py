"""How far groups are apart."""

import math

import numpy as np
from scipy.spatial.distance import pdist, squareform


def distances_of(rows: np.ndarray) -> np.ndarray:
    """`[m, m]` Euclidean distances between rows `[m, d]`."""
    return squareform(pdist(rows))


def silhouette(distances: np.ndarray, labels: np.ndarray) -> float:
    """Mean silhouette of rows.

    Args:
        distances: `[m, m]` between rows.
        labels: `[m]`.

    Returns:
        The mean of (b - a) / max(a, b), with a the mean distance to the own group and
        b that to the nearest other; 0 for a row alone, NaN for one group.

    Source: Rousseeuw (1987), Silhouettes.
    """
    names, place = np.unique(labels, return_inverse=True)
    if len(names) < 2:
        return math.nan
    member = np.eye(len(names))[place]
    sizes = member.sum(axis=0)
    total = distances @ member
    own_size = sizes[place]
    own = total[np.arange(len(place)), place] / np.maximum(own_size - 1, 1)
    others = np.where(member > 0, np.inf, total / sizes).min(axis=1)
    peak = np.maximum(own, others)
    each = np.divide(others - own, peak, out=np.zeros_like(own), where=peak > 0)
    return float(np.mean(np.where(own_size > 1, each, 0.0)))
