"""What the method assumes: checked on the data, and broken on purpose.

The components are found and judged as if rows were independent draws of one normal
distribution whose leading components stand clear of the rest. `checks` says how far a
table is from that; `broken` says what each breach costs on a table whose truth is
known.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import kurtosis, skew
from sklearn.metrics import average_precision_score

from spectral_tf.apps.studies.methods import (
    Method,
    forest,
    largest_deviation,
    pca_distance,
    spectral,
)

MOST_LAGS = 60


def checks(rows: np.ndarray, distance: int = 1) -> dict[str, Any]:
    """How far a table is from what is assumed.

    Args:
        rows: `[R, d]`; those of one source follow each other at `distance`.
        distance: 1 for one source; the number of items where a day has a row of each.

    Returns:
        JSON-ready: `skew` and `kurtosis` (0 for normal columns) of each column,
        `gaps` between eigenvalues of the covariance relative to the larger one, and
        `effective_rows`, the rows' number over the largest integrated autocorrelation
        time of a column.

    Source: Sokal (1997) for the time, summed up to the first lag that is not positive.
    """
    values = np.linalg.eigvalsh(np.cov(rows.T))[::-1]
    times = [_correlation_time(column, distance) for column in rows.T]
    return {
        "rows": len(rows),
        "skew": skew(rows).tolist(),
        "kurtosis": kurtosis(rows).tolist(),
        "gaps": ((values[:-1] - values[1:]) / values[:-1]).tolist(),
        "effective_rows": len(rows) / max(times),
        "correlation_time": max(times),
    }


def _correlation_time(column: np.ndarray, distance: int) -> float:
    """1 + 2 times the sum of autocorrelations, each source by itself."""
    sources = column[: len(column) // distance * distance].reshape(-1, distance)
    away = sources - sources.mean(axis=0)
    variance = float(np.mean(away**2))
    if variance == 0:
        return 1.0
    total = 1.0
    for lag in range(1, min(MOST_LAGS, len(away) - 1)):
        found = float(np.mean(away[lag:] * away[:-lag])) / variance
        if found <= 0:
            break
        total += 2 * found
    return total


class Breach(NamedTuple):
    """An assumption, and the values of the dial that breaks it.

    Attributes:
        name: of the assumption.
        levels: from unbroken on.
        data: of (level, generator): past `[R, d]`, later rows `[m, d]` and whether
            each of these is an outlier `[m]`.
    """

    name: str
    levels: tuple[float, ...]
    data: Callable[[float, np.random.Generator], tuple[np.ndarray, ...]]


DIM = 10
RANK = 3
DEVIATIONS = np.array([5.0, 4.0, 3.0, *[1.0] * (DIM - RANK)])
PAST = 400
LATER = 1000
SHARE = 0.05
"""Share of outliers in the later rows."""
SHIFT = 5.5
"""Length of what is added to a row to make it an outlier, in a random direction."""


def _basis(rng: np.random.Generator) -> np.ndarray:
    return np.linalg.qr(rng.normal(size=(DIM, DIM)))[0]


def _shifted(
    rows: np.ndarray, share: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of which a share are outliers, and which."""
    is_outlier = np.zeros(len(rows), bool)
    is_outlier[: round(share * len(rows))] = True
    rng.shuffle(is_outlier)
    away = rng.normal(size=rows.shape)
    away *= SHIFT / np.linalg.norm(away, axis=1, keepdims=True)
    return rows + is_outlier[:, None] * away, is_outlier


def _normal(count: int, basis: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(count, DIM)) * DEVIATIONS @ basis


def _heavy(freedom: float, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Rows over a common chi: Student's t; infinite freedom is normal."""
    basis = _basis(rng)
    past, later = _normal(PAST, basis, rng), _normal(LATER, basis, rng)
    if np.isfinite(freedom):
        for rows in (past, later):
            rows *= (freedom / rng.chisquare(freedom, (len(rows), 1))) ** 0.5
            rows *= ((freedom - 2) / freedom) ** 0.5
    return past, *_shifted(later, SHARE, rng)


def _correlated(memory: float, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Rows in time, each remembering the one before."""
    basis = _basis(rng)
    past = _normal(PAST, basis, rng)
    for row in range(1, PAST):
        past[row] = memory * past[row - 1] + (1 - memory**2) ** 0.5 * past[row]
    return past, *_shifted(_normal(LATER, basis, rng), SHARE, rng)


def _contaminated(share: float, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Outliers in one direction among the rows that are learned from."""
    basis = _basis(rng)
    past = _normal(PAST, basis, rng)
    direction = rng.normal(size=DIM)
    bad = rng.permutation(PAST)[: round(share * PAST)]
    past[bad] += 12 * direction / np.linalg.norm(direction)
    later, is_outlier = _shifted(_normal(LATER, basis, rng), SHARE, rng)
    return past, later, is_outlier


def _missing(share: float, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Values missing at random in all rows, filled with the median of the past."""
    basis = _basis(rng)
    past = _normal(PAST, basis, rng)
    later, is_outlier = _shifted(_normal(LATER, basis, rng), SHARE, rng)
    for rows in (past, later):
        rows[rng.random(rows.shape) < share] = np.nan
    middle = np.nanmedian(past, axis=0)
    filled = [np.where(np.isnan(rows), middle, rows) for rows in (past, later)]
    return *filled, is_outlier


def _few(rows: float, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    basis = _basis(rng)
    later, is_outlier = _shifted(_normal(LATER, basis, rng), SHARE, rng)
    return _normal(int(rows), basis, rng), later, is_outlier


def _drifting(degrees: float, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """The leading components turn away between the past and later."""
    basis = _basis(rng)
    past = _normal(PAST, basis, rng)
    angle, turned = np.radians(degrees), basis.copy()
    for lead in range(RANK):
        one, other = basis[lead], basis[RANK + lead]
        turned[lead] = np.cos(angle) * one + np.sin(angle) * other
        turned[RANK + lead] = np.cos(angle) * other - np.sin(angle) * one
    return past, *_shifted(_normal(LATER, turned, rng), SHARE, rng)


BREACHES = (
    Breach("heavy tails", (np.inf, 10.0, 5.0, 3.0), _heavy),
    Breach("correlated rows", (0.0, 0.5, 0.9, 0.98), _correlated),
    Breach("contamination", (0.0, 0.01, 0.05, 0.1, 0.2), _contaminated),
    Breach("missing values", (0.0, 0.05, 0.1, 0.2), _missing),
    Breach("few rows", (1000.0, 100.0, 30.0, 15.0), _few),
    Breach("drift", (0.0, 5.0, 15.0, 30.0), _drifting),
)


def compared(seed: int) -> Mapping[str, Method]:
    """The methods that the breaches are tried on."""
    k = {"n_components": RANK}
    return {
        "robust": spectral(robust=True, **k),
        "plain": spectral(robust=False, **k),
        "PCA (PyOD's formula)": pca_distance,
        "IsolationForest": forest(seed),
        "largest column": largest_deviation,
    }


def broken(repeats: int, seed: int) -> list[dict[str, Any]]:
    """What each breach costs.

    Args:
        repeats: tables for each level.
        seed: of the tables; all methods see the same.

    Returns:
        For each breach, level and method: mean average precision and its standard
        error, JSON-ready; infinity is None.
    """
    found = []
    for breach in BREACHES:
        for level in breach.levels:
            tables = [
                breach.data(level, np.random.default_rng((seed, repeat)))
                for repeat in range(repeats)
            ]
            for name, method in compared(seed).items():
                scores = [_scored(method, *table) for table in tables]
                found.append(
                    {
                        "breach": breach.name,
                        "level": level if np.isfinite(level) else None,
                        "method": name,
                        "precision": float(np.mean(scores)),
                        "error": float(np.std(scores) / len(scores) ** 0.5),
                    }
                )
    return found


def _scored(
    method: Method, past: np.ndarray, later: np.ndarray, is_outlier: np.ndarray
) -> float:
    mean, spread = past.mean(axis=0), past.std(axis=0)
    score = method((past - mean) / spread)
    found = average_precision_score(is_outlier, score((later - mean) / spread))
    return float(found)
