"""How well groups come back when other deliveries are looked at.

A method is fitted to many random halves of the table (at most so many rows), and every
fit labels the same common rows. *Stability* is the mean adjusted Rand index of pairs of
such labellings: 1 is the same grouping every time, 0 is chance.

Even a cloud without groups can be cut in the same place every time. So everything is
repeated on a *reference*: normal rows with the same means and correlations, and no
groups. What counts is the *lead*: with stability s of the table and r of the reference,
(s - r) / (1 - r), the share of what the reference leaves to be gained.
"""

import math
import time
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score

from spectral_tf.apps.studies.intervals import Estimate, bootstrap
from spectral_tf.apps.studies.shipping.baselines import (
    METHODS,
    OURS,
    SWEPT,
    gaussian_mixture,
    quiet,
)
from spectral_tf.apps.studies.shipping.config import ShippingConfig
from spectral_tf.apps.studies.shipping.silhouette import distances_of, silhouette

TIE = 0.05
"""Leads that differ by less are alike; then the silhouette decides."""
ROWS_PER_GROUP = 20
"""Of a resample; fewer are no group."""


class Resamples(NamedTuple):
    """Which rows each fit sees, and which rows all of them label.

    Attributes:
        rows: `[R, n]` indices, no two alike within a resample.
        common: `[m]` indices.
    """

    rows: np.ndarray
    common: np.ndarray


class Labelled(NamedTuple):
    """What the fits of one method said.

    Attributes:
        labels: `[R, m]` of the common rows.
        seconds: of a fit, on average.
    """

    labels: np.ndarray
    seconds: float


def resamples_of(rows: int, times: int, most: int, config: ShippingConfig) -> Resamples:
    """Random halves of a table, and the rows that all label.

    Args:
        rows: of the table.
        times: R.
        most: rows of a resample; at most half of the table.
        config: common rows, seed.

    Returns:
        Indices; the common rows are the same whatever `times` and `most` are.
    """
    size = min(most, rows // 2)
    rng = np.random.default_rng([config.seed, 2])
    common = np.sort(rng.permutation(rows)[: config.common_rows])
    rng = np.random.default_rng([config.seed, 3, times, size])
    return Resamples(
        np.stack([rng.permutation(rows)[:size] for _ in range(times)]), common
    )


def reference_of(x: np.ndarray, config: ShippingConfig) -> np.ndarray:
    """`[N, d]` normal rows with the mean and the covariance of a table."""
    rng = np.random.default_rng([config.seed, 4])
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(x.T)))
    turn = vectors * np.sqrt(np.maximum(values, 0))
    return x.mean(axis=0) + rng.normal(size=x.shape) @ turn.T


def labelled(
    method: str, x: np.ndarray, k: int, plan: Resamples, config: ShippingConfig
) -> Labelled:
    """Fit a method to every resample.

    Args:
        method: its name.
        x: `[N, d]`.
        k: groups.
        plan: the resamples.
        config: seed, starts.

    Returns:
        The labels of the common rows, and the seconds.
    """
    found, seconds = [], 0.0
    for index, rows in enumerate(plan.rows):
        start = time.perf_counter()
        fitted = METHODS[method](x[rows], k, config.seed + index, config)
        seconds += time.perf_counter() - start
        found.append(fitted(x[plan.common]))
    return Labelled(np.stack(found).astype(np.int64), seconds / len(plan.rows))


def stability(labels: np.ndarray, config: ShippingConfig) -> Estimate:
    """Mean adjusted Rand index of pairs of resamples.

    Args:
        labels: `[R, m]`.
        config: draws, seed.

    Returns:
        With its interval over resamples; a resample drawn twice is no pair with itself.

    Source: Hubert & Arabie (1985) for the index; Efron (1979) for the interval.
    """
    count = len(labels)
    agreement = np.ones((count, count))
    for i in range(count):
        for j in range(i):
            score = adjusted_rand_score(labels[i], labels[j])
            agreement[i, j] = agreement[j, i] = score

    def figure(drawn: np.ndarray) -> float:
        is_pair = drawn[:, None] != drawn
        pairs = agreement[np.ix_(drawn, drawn)][is_pair]
        return float(pairs.mean()) if len(pairs) else math.nan

    rng = np.random.default_rng([config.seed, 5])
    return bootstrap(count, figure, config.draws, rng)


def sweep(
    x: np.ndarray, reference: np.ndarray, config: ShippingConfig
) -> list[dict[str, Any]]:
    """Stability and BIC of every number of groups.

    Args:
        x: `[N, d]`.
        reference: as `reference_of`.
        config: the settings.

    Returns:
        For each number: `k`, `bic` (of a normal mixture of all rows), `stability` of
        each method, `best`, the most stable one, its stability on the `reference`, its
        `lead` there and its `silhouette`.

    Source: Ben-Hur, Elisseeff & Guyon (2002) for stability; a reference without groups
    as in Tibshirani, Walther & Hastie (2001), here of normal rows.
    """
    plan = resamples_of(len(x), config.sweep_resamples, config.sweep_rows, config)
    few = plan._replace(rows=plan.rows[: config.sweep_spectral])
    most = max(2, min(config.max_clusters, plan.rows.shape[1] // ROWS_PER_GROUP))
    own = {name: few if name == OURS else plan for name in SWEPT}
    distances = distances_of(x[plan.common])
    found = []
    for k in range(2, most + 1):
        labels = {name: labelled(name, x, k, own[name], config) for name in SWEPT}
        here = {name: stability(one.labels, config) for name, one in labels.items()}
        best = max(SWEPT, key=lambda name, here=here: here[name].value or 0.0)
        without = stability(
            labelled(best, reference, k, own[best], config).labels, config
        )
        apart = [silhouette(distances, one) for one in labels[best].labels]
        with quiet():
            bic = float(gaussian_mixture(k, config.seed, config).fit(x).bic(x))
        found.append(
            {
                "k": k,
                "bic": bic,
                "stability": {name: one.to_dict() for name, one in here.items()},
                "best": best,
                "reference": without.to_dict(),
                "lead": lead(here[best], without),
                "silhouette": float(np.mean(apart)),
            }
        )
    return found


def lead(table: Estimate, reference: Estimate) -> float:
    """Share of what the reference leaves to be gained; 0 where it leaves nothing."""
    s, r = table.value or 0.0, reference.value or 0.0
    return float((s - r) / (1 - r)) if r < 1 else 0.0


def chosen_number(tried: list[dict[str, Any]]) -> int:
    """The number of groups with the best lead; among equals, with the best silhouette.

    Where groups are apart, other numbers are as stable: near groups are joined, or the
    values of a column told apart, in the same way every time.

    Args:
        tried: of `sweep`.

    Returns:
        The number; the smallest of those that are alike in both.
    """
    best = max(one["lead"] for one in tried)
    alike = [one for one in tried if one["lead"] >= best - TIE]
    return max(alike, key=lambda one: (_or_least(one["silhouette"]), -one["k"]))["k"]


def _or_least(value: float) -> float:
    """The value, or -1, the least silhouette, for NaN."""
    return -1.0 if math.isnan(value) else value


def recovery(
    labels: np.ndarray, final: np.ndarray, k: int, config: ShippingConfig
) -> list[Estimate]:
    """How well each group comes back in the resamples.

    Args:
        labels: `[R, m]` of the resamples.
        final: `[m]` labels of the grouping that is described.
        k: groups.
        config: draws, seed.

    Returns:
        For each group the mean, over resamples, of the share that it has in common with
        its counterpart there (Jaccard: rows in both over rows in either), counterparts
        matched one to one.

    Source: Hennig (2007), Cluster-wise assessment of cluster stability.
    """
    shares = np.stack([_jaccard(one, final, k) for one in labels])
    found = []
    for group in range(k):
        rng = np.random.default_rng([config.seed, 6, group])
        mean = lambda drawn, own=shares[:, group]: float(own[drawn].mean())
        found.append(bootstrap(len(labels), mean, config.draws, rng))
    return found


def _jaccard(one: np.ndarray, final: np.ndarray, k: int) -> np.ndarray:
    """`[k]` of each final group with its counterpart."""
    both = np.zeros((k, k))
    np.add.at(both, (final, one), 1)
    either = both.sum(axis=1, keepdims=True) + both.sum(axis=0) - both
    share = np.divide(both, either, out=np.zeros_like(both), where=either > 0)
    rows, columns = linear_sum_assignment(-share)
    return share[rows, columns]
