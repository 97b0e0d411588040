"""Key figures of the methods, side by side, and who wins what."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import adjusted_rand_score, davies_bouldin_score

from spectral_tf.apps.studies.intervals import Estimate, bootstrap
from spectral_tf.apps.studies.shipping.baselines import METHODS, OURS
from spectral_tf.apps.studies.shipping.config import ShippingConfig
from spectral_tf.apps.studies.shipping.silhouette import distances_of, silhouette
from spectral_tf.apps.studies.shipping.stability import Labelled, Resamples, stability

HIGHER_WINS = {"stability": True, "silhouette": True, "davies_bouldin": False}
"""Key figures that methods are compared by -> whether more is better."""


class Described(NamedTuple):
    """The method whose groups are described, and why.

    Attributes:
        method: its name.
        best: name of the most stable method.
        is_tie: ours is described although another is ahead within its interval.
    """

    method: str
    best: str
    is_tie: bool


def key_figures(
    found: Mapping[str, Labelled],
    x: np.ndarray,
    plan: Resamples,
    config: ShippingConfig,
) -> dict[str, dict[str, Any]]:
    """Stability, silhouette and Davies-Bouldin index of every method.

    Args:
        found: the labels of the resamples, by method.
        x: `[N, d]`.
        plan: the resamples; silhouettes are of the common rows.
        config: draws, seed.

    Returns:
        Method -> key figure -> value with a 95 % interval over resamples.

    Source: Rousseeuw (1987); Davies & Bouldin (1979).
    """
    rows = x[plan.common]
    distances = distances_of(rows)
    judges: dict[str, Callable[[np.ndarray], float]] = {
        "silhouette": lambda labels: silhouette(distances, labels),
        "davies_bouldin": lambda labels: _davies_bouldin(rows, labels),
    }
    figures = {}
    for name, one in found.items():
        own = {"stability": stability(one.labels, config).to_dict()}
        for judge, score in judges.items():
            values = np.array([score(labels) for labels in one.labels])
            own[judge] = _mean(values, config).to_dict()
        figures[name] = own
    return figures


def _mean(values: np.ndarray, config: ShippingConfig) -> Estimate:
    """Mean over resamples that have a value."""
    kept = values[np.isfinite(values)]
    rng = np.random.default_rng([config.seed, 7])
    return bootstrap(
        len(kept), lambda drawn: float(kept[drawn].mean()), config.draws, rng
    )


def _davies_bouldin(rows: np.ndarray, labels: np.ndarray) -> float:
    names = len(np.unique(labels))
    if not 2 <= names < len(rows):
        return math.nan
    return float(davies_bouldin_score(rows, labels))


def described_method(figures: Mapping[str, Mapping[str, Any]]) -> Described:
    """The most stable method; ours where their intervals overlap.

    Args:
        figures: of `key_figures`.

    Returns:
        Whose groups are described.
    """
    value = lambda name: figures[name]["stability"]["value"]
    best = max(figures, key=lambda name: (value(name), name == OURS))
    ours, top = figures[OURS]["stability"], figures[best]["stability"]
    if best != OURS and ours["high"] >= top["low"]:
        return Described(OURS, best, True)
    return Described(best, best, False)


def comparison(figures: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Who wins which key figure, and how ours does.

    Args:
        figures: of `key_figures`.

    Returns:
        For each key figure: `best` method and `rival` (the best other than ours),
        their `values`, `difference` of ours from the rival (positive: ours is better),
        `verdict`: win or loss, or tie where the intervals overlap.
    """
    found = []
    for name, more in HIGHER_WINS.items():
        sign = 1 if more else -1
        have = {m: f[name] for m, f in figures.items() if f[name]["value"] is not None}
        if OURS not in have or len(have) < 2:
            continue
        order = sorted(have, key=lambda m: -sign * have[m]["value"])
        rival = next(m for m in order if m != OURS)
        ours, other = have[OURS], have[rival]
        apart = ours["low"] > other["high"] or other["low"] > ours["high"]
        difference = sign * (ours["value"] - other["value"])
        verdict = ("win" if difference > 0 else "loss") if apart else "tie"
        found.append(
            {
                "figure": name,
                "best": order[0],
                "rival": rival,
                "ours": dict(ours),
                "other": dict(other),
                "difference": difference,
                "verdict": verdict,
            }
        )
    return found


def agreement(finals: Mapping[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Adjusted Rand index of every two methods on the whole table.

    Args:
        finals: method -> `[N]` labels.

    Returns:
        Method -> method -> index.

    Source: Hubert & Arabie (1985).
    """
    return {
        one: {
            other: float(adjusted_rand_score(finals[one], finals[other]))
            for other in finals
        }
        for one in METHODS
        if one in finals
    }
