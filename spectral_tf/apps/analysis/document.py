"""What was found as plain data: summary.json, explanations.json, `--json`."""

import dataclasses
import datetime
import importlib.metadata
import math
import platform
from pathlib import Path
from typing import Any

import numpy as np
import sklearn

from spectral_tf.apps.analysis.fit import Answer, Clusters, Components, Outliers
from spectral_tf.apps.analysis.prepare import Prepared
from spectral_tf.apps.report.table_figures import biplot_lettering
from spectral_tf.training.checkpoint import versions

NAMED = 3
"""Columns that stand for a component, a cluster or a row."""


def document(
    command: str, table: Prepared, answer: Answer, parameters: dict[str, Any]
) -> dict[str, Any]:
    """Everything about a run that fits into JSON.

    Args:
        command: pca, cluster or detect.
        table: as it was analysed.
        answer: what was found.
        parameters: as given; `file`, `out` and `seed` stand at the top.

    Returns:
        Plain data; what is not finite is None.
    """
    results = _RESULTS[type(answer)](table, answer)
    if isinstance(answer, Outliers):
        told = explanations(table, answer, parameters["top"])
        names = ["row", *(["id"] if table.row_names else [])]
        names += ["score", "is_outlier", "reason"]
        results["strangest"] = [{name: one[name] for name in names} for one in told]
    scaling = {
        name: {"mean": mean, "scale": scale}
        for name, mean, scale in zip(
            table.columns, table.mean.tolist(), table.scale.tolist(), strict=True
        )
    }
    parameters = dict(parameters)
    return finite(
        {
            "command": command,
            "source": parameters.pop("file"),
            "out": parameters.pop("out"),
            "rows": len(table.x),
            "columns": list(table.columns),
            "left_out": [
                {"column": name, "reason": reason} for name, reason in table.left_out
            ],
            "notes": [*table.notes, *answer.notes],
            "imputed": {
                name: filled._asdict() for name, filled in table.imputed.items()
            },
            "scaling": scaling if table.is_standardized else None,
            "seed": parameters.pop("seed"),
            "parameters": parameters,
            "results": results,
            "certificate": about_certificate(answer),
            "versions": package_versions(),
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
    )


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the numbers."""
    return versions() | {
        "python": platform.python_version(),
        "scikit-learn": sklearn.__version__,
        "spectral_tf": _own_version(),
    }


def _own_version() -> str:
    try:
        return importlib.metadata.version("spectral_tf")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def about_certificate(answer: Answer) -> dict[str, Any]:
    """The certificate in short: counts, engine and reason."""
    return {
        **answer.certificate.counts(),
        "is_certified": answer.certificate.is_certified,
        "tol": answer.certificate.tol,
        "engine": answer.engine,
        "reason": answer.reason,
    }


def finite(value: Any) -> Any:
    """The same with None for numbers that JSON cannot hold."""
    if isinstance(value, dict):
        return {str(name): finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _component_results(table: Prepared, answer: Any) -> dict[str, Any]:
    entries = answer.certificate.entries
    return {
        "n_components": len(answer.eigenvalues),
        "share": float(np.sum(answer.shares)),
        "drawn_as": dict(biplot_lettering(answer.loadings, table.columns).legend),
        "components": [
            {
                "name": f"pc{entry.rank}",
                "eigenvalue": float(answer.eigenvalues[index]),
                "share": float(answer.shares[index]),
                "status": entry.status,
                "ranks": list(entry.ranks),
                "angle_bound": entry.angle_bound,
                "largest_loadings": dict(largest(answer.loadings[index], table)),
            }
            for index, entry in enumerate(entries)
        ],
    }


def _cluster_results(table: Prepared, answer: Any) -> dict[str, Any]:
    return {
        "n_clusters": len(answer.sizes),
        "bic": answer.bic,
        "network": answer.network,
        "confidence": answer.confidence,
        "clusters": [
            {
                "cluster": cluster,
                "rows": int(size),
                "mean_probability": mean_probability(answer, cluster),
                "largest_deviations": dict(largest(answer.deviations[cluster], table)),
            }
            for cluster, size in enumerate(answer.sizes.tolist())
        ],
    }


def _outlier_results(table: Prepared, answer: Any) -> dict[str, Any]:
    del table
    return {
        "n_components": len(answer.shares),
        "threshold": answer.threshold,
        "n_outliers": int(np.sum(answer.is_outlier)),
        "outliers": (np.flatnonzero(answer.is_outlier) + 1).tolist(),
    }


_RESULTS = {
    Components: _component_results,
    Clusters: _cluster_results,
    Outliers: _outlier_results,
}
"""Kind of answer -> its part of the document."""


def mean_probability(answer: Clusters, cluster: int) -> float:
    """Of the rows of a cluster; NaN if it has none."""
    own = answer.probability[answer.labels == cluster]
    return float(np.mean(own)) if len(own) else math.nan


def largest(values: np.ndarray, table: Prepared) -> list[tuple[str, float]]:
    """The columns with the largest magnitudes, and their values."""
    order = np.argsort(-np.abs(values), kind="stable")[:NAMED]
    return [(table.columns[i], float(values[i])) for i in order]


def explanations(table: Prepared, answer: Outliers, top: int) -> list[dict[str, Any]]:
    """All that is known about the strangest rows.

    Args:
        table: as it was analysed.
        answer: the distances.
        top: rows.

    Returns:
        A dictionary for each, the strangest first.
    """
    found, told = [], answer.explanation
    for row in answer.order[:top].tolist():
        by_share = np.argsort(-told.feature_share[row], kind="stable").tolist()
        found.append(
            {
                "row": row + 1,
                **({"id": table.row_name(row)} if table.row_names else {}),
                "score": float(answer.distance[row]),
                "is_outlier": bool(answer.is_outlier[row]),
                "reason": told.sentence(row),
                "features": [
                    {
                        "column": table.columns[i],
                        "value": float(table.raw[row, i]),
                        "reconstruction": float(
                            table.raw[row, i] - told.residual[row, i]
                        ),
                        "share": float(told.feature_share[row, i]),
                    }
                    for i in by_share
                ],
                "component_scores": told.component_score[row].tolist(),
            }
        )
    return finite(found)


def parameters_of(command: Any) -> dict[str, Any]:
    """The fields of a command as plain data.

    Args:
        command: a dataclass of numbers, texts, paths and tuples of texts.

    Returns:
        Name -> value, but for `audit`, `force` and `json`, which do not change what is
        found.
    """
    fields = dataclasses.asdict(command)
    found: dict[str, Any] = {}
    for name in fields.keys() - {"audit", "force", "json"}:
        value = fields[name]
        if isinstance(value, tuple):
            value = list(value)
        found[name] = str(value) if isinstance(value, Path) else value
    return {name: found[name] for name in fields if name in found}
