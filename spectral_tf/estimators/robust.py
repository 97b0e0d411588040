"""Statistics that a minority of strange rows does not move."""

import numpy as np
from scipy.stats import chi2

QUANTILE = 1.959963984540054
"""The 97.5 % point of the standard normal distribution."""
MEDIAN_ROWS = 20_000
"""Rows that the spatial median is found of, at most."""
MAD = 1.482602218505602
"""Median absolute deviation to standard deviation, for normal numbers."""


def spread_of(scores: np.ndarray, *, robust: bool = True) -> np.ndarray:
    """`[k]` standard deviations, robust ones or of all rows; 1 where there is none."""
    spread = MAD * np.median(np.abs(scores - np.median(scores, axis=0)), axis=0)
    peak = np.max(np.abs(scores), axis=0)
    plain = peak * (scores / np.where(peak > 0, peak, 1)).std(axis=0)
    spread = np.where((spread > 0) & robust, spread, plain)
    return np.where(spread > 0, spread, 1.0)


def noise_of(distances: np.ndarray, left: int, *, robust: bool) -> float:
    """Standard deviation in each direction that the components leave.

    Args:
        distances: `[N]` of rows from their reconstructions.
        left: directions, d - k.
        robust: from the median, as if the squares had the chi-squared distribution;
            else from all rows.

    Returns:
        The deviation; 0 if no row has a distance.

    Source: Tipping & Bishop (1999), Probabilistic PCA, eq. 8, for the mean.
    """
    peak = float(np.max(distances))
    if peak == 0:
        return 0.0
    squares = (np.asarray(distances, np.float64) / peak) ** 2
    middle = float(np.median(squares)) / float(chi2.median(left)) if robust else 0.0
    return peak * (middle or float(np.mean(squares)) / left) ** 0.5


def robust_threshold(distances: np.ndarray) -> float:
    """The 97.5 % point of distances, as if there were no outliers among them.

    To the power 2/3 they are nearly normal (Wilson & Hilferty, 1931), so the point
    follows from their median and median absolute deviation.

    Args:
        distances: `[N]` >= 0.

    Returns:
        The threshold.

    Source: Hubert, Rousseeuw & Vanden Branden (2005), ROBPCA, section 2.
    """
    cubes = np.asarray(distances, np.float64) ** (2 / 3)
    middle = float(np.median(cubes))
    spread = MAD * float(np.median(np.abs(cubes - middle)))
    return float((middle + QUANTILE * spread) ** 1.5)


def lengths(rows: np.ndarray) -> np.ndarray:
    """`[N]` 2-norms, without overflow of the squares."""
    peak = np.max(np.abs(rows), axis=1)
    safe = np.where(peak > 0, peak, 1)[:, None]
    return peak * np.linalg.norm(rows / safe, axis=1)


def spatial_median(x: np.ndarray, steps: int = 100) -> np.ndarray:
    """The point with the least sum of distances to the rows.

    Args:
        x: `[N, d]`; of a longer table, `MEDIAN_ROWS` evenly spaced rows.
        steps: at most, of Weiszfeld's iteration.

    Returns:
        `[d]` float64.

    Source: Weiszfeld (1937); rows at the point itself weigh nothing, as in Vardi &
    Zhang (2000).
    """
    rows = np.asarray(x[:: -(-len(x) // MEDIAN_ROWS)], np.float64)
    centre = np.median(rows, axis=0)
    for _ in range(steps):
        away = lengths(rows - centre)
        nearest = np.min(away, where=away > 0, initial=np.inf)
        weights = np.divide(nearest, away, out=np.zeros_like(away), where=away > 0)
        if not weights.any():
            break
        step = weights @ (rows - centre) / weights.sum()
        is_still = lengths(step[None])[0] <= 1e-9 * np.median(away)
        centre = centre + step
        if is_still:
            break
    return centre


def on_sphere(
    x: np.ndarray, centre: np.ndarray, least: np.ndarray | float = 0.0
) -> np.ndarray:
    """Rows scaled to unit distance from a centre; those at it become zero.

    Args:
        x: `[N, d]`.
        centre: `[d]`.
        least: `[N]` rows that are no farther from the centre are at it.

    Returns:
        `[N, d]`.

    Source: Locantore et al. (1999), Robust principal component analysis for
    functional data.
    """
    rows = x - centre.astype(x.dtype)
    away = lengths(rows)
    is_away = (away > least)[:, None]
    return np.divide(rows, away[:, None], out=np.zeros_like(rows), where=is_away)
