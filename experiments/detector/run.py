"""Which score should judge rows by default: the residual alone, or the combined one?

python experiments/detector/run.py [--smoke] [--out DIR]
"""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from config import ENGINE, N_COMPONENTS, SEEDS, SOURCES, Source
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, roc_auc_score
from tables import drawn, read

from spectral_tf.apps.report import plain_table
from spectral_tf.apps.studies import Method, forest, spectral
from spectral_tf.training import versions

sys.path.append(str(Path(__file__).parents[2]))
from experiments import harness

METHODS = ("combined", "residual", "IsolationForest")
SCORES = ("roc_auc", "average_precision")


def methods(seed: int) -> dict[str, Method]:
    """The three, by name."""
    options = {"n_components": N_COMPONENTS, "robust": True, "engine": ENGINE}
    return {
        "combined": spectral(**options, judge="combined"),
        "residual": spectral(**options, judge="residual"),
        "IsolationForest": forest(seed),
    }


def measure(source: Source, seeds: tuple[int, ...]) -> dict[str, Any]:
    """Scores of every method on one table, means over the seeds."""
    table = read(source)
    planted = {name: {score: [] for score in SCORES} for name in METHODS}
    part = table
    for seed in seeds:
        part = drawn(table, source, seed)
        spread = part.x.std(axis=0)
        x = (part.x - part.x.mean(axis=0)) / np.where(spread > 0, spread, 1)
        for name, method in methods(seed).items():
            scores = method(x)(x)
            values = planted[name]
            values["roc_auc"].append(roc_auc_score(part.is_rare, scores))
            values["average_precision"].append(
                average_precision_score(part.is_rare, scores)
            )
    return {
        "table": f"{source.name} ({source.where})",
        "rows": len(part.x),
        "columns": part.x.shape[1],
        "outliers": int(part.is_rare.sum()),
        "methods": {
            name: {score: float(np.mean(values[score])) for score in SCORES}
            for name, values in planted.items()
        },
    }


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means and mean ranks over the tables, and who is better on how many."""
    found: dict[str, Any] = {"tables": len(rows)}
    for score in SCORES:
        table = np.array([[r["methods"][m][score] for m in METHODS] for r in rows])
        ranks = rankdata(-table, axis=1)
        gain = table[:, 0] - table[:, 1]
        error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else None
        found[score] = {
            "mean": dict(zip(METHODS, table.mean(axis=0).tolist(), strict=True)),
            "mean_rank": dict(zip(METHODS, ranks.mean(axis=0).tolist(), strict=True)),
            "combined_minus_residual": float(gain.mean()),
            "standard_error": None if error is None else float(error),
            "combined_better": int((gain > 0).sum()),
            "residual_better": int((gain < 0).sum()),
        }
    return found


def text(document: dict[str, Any]) -> str:
    """The numbers as README.md shows them."""
    head = ["table", "", "rows", "columns", "outliers"]
    head += [f"{m} {s}" for s in ("AUC", "AP") for m in ("comb.", "resid.", "forest")]
    lines = []
    for row in document["rows"]:
        numbers = [f"{row['methods'][m][s]:.3f}" for s in SCORES for m in METHODS]
        sizes = [str(row[name]) for name in ("rows", "columns", "outliers")]
        lines.append((row["table"], "", *sizes, *numbers))
    total = document["summary"]
    for what in ("mean", "mean_rank"):
        numbers = [f"{total[s][what][m]:.3f}" for s in SCORES for m in METHODS]
        lines.append((what.replace("_", " "), "", "", "", "", *numbers))
    said = [_sentence(score, total) for score in SCORES]
    return plain_table(head, lines) + "\n" + "\n".join(said) + "\n"


def _sentence(score: str, total: dict[str, Any]) -> str:
    own = total[score]
    gain, error = own["combined_minus_residual"], own["standard_error"] or 0.0
    return (
        f"{score}: combined minus residual {gain:+.3f}, standard error over tables "
        f"{error:.3f}; better on {own['combined_better']}, worse on "
        f"{own['residual_better']} of {total['tables']} tables"
    )


def main() -> None:
    """Measure, write, print."""
    arguments = harness.options(__file__, __doc__, smoke="three tables, one seed")
    sources = SOURCES[:3] if arguments.smoke else SOURCES
    seeds = SEEDS[:1] if arguments.smoke else SEEDS
    begun = time.process_time()
    rows = [measure(source, seeds) for source in sources]
    document = {
        "seeds": list(seeds),
        "rows": rows,
        "summary": summary(rows),
        "processor_seconds": round(time.process_time() - begun, 1),
        "versions": versions(),
    }
    harness.write(arguments.out / "summary.json", document)
    print(text(document))


if __name__ == "__main__":
    main()
