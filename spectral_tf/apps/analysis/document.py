"""What was found as plain data: summary.json and `--json`."""

import dataclasses
import datetime
import importlib.metadata
import math
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spectral_tf.apps.analysis.answer import Answer
from spectral_tf.apps.analysis.prepare import Prepared

if TYPE_CHECKING:
    from spectral_tf.apps.analysis.commands import Analysis

NAMED = 3
"""Columns that stand for a component, a cluster or a row."""


def document(
    command: "Analysis", table: Prepared, answer: Answer, parameters: dict[str, Any]
) -> dict[str, Any]:
    """Everything about a run that fits into JSON.

    Args:
        command: the analysis.
        table: as it was analysed.
        answer: what was found.
        parameters: as given; `file`, `out` and `seed` stand at the top.

    Returns:
        Plain data; what is not finite is None.
    """
    scaling = {
        name: {"mean": mean, "scale": scale}
        for name, mean, scale in zip(
            table.columns, table.mean.tolist(), table.scale.tolist(), strict=True
        )
    }
    parameters = dict(parameters)
    return finite(
        {
            "command": command.name,
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
            "results": command.results(table, answer),
            "certificate": about_certificate(answer),
            "versions": package_versions(),
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
    )


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the numbers."""
    import sklearn

    from spectral_tf.training.checkpoint import versions

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


def largest(values: np.ndarray, table: Prepared) -> list[tuple[str, float]]:
    """The columns with the largest magnitudes, and their values."""
    order = np.argsort(-np.abs(values), kind="stable")[:NAMED]
    return [(table.columns[i], float(values[i])) for i in order]


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
