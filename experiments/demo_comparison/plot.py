"""Draw `figure.png` from `summary.json`: |cos| per rank, trained against the classic.

python experiments/demo_comparison/plot.py [--out DIR]
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from spectral_tf.apps.report import COLOURS, STYLE

RESULTS = Path(__file__).parent / "results"


def panels(summary: dict[str, Any]) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Instance set -> method -> |cos| by rank, trained against orthogonal iteration."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    scores = {
        (row["instances"], row["method"], row["rank"]): row["cosine"]
        for row in summary["scores"]
    }
    for row in summary["comparisons"]:
        if not row["network"].startswith("trained"):
            continue
        if not row["against"].startswith("orthogonal"):
            continue
        methods = found.setdefault(row["instances"], {})
        for method in (row["network"], row["against"]):
            value = scores[row["instances"], method, row["rank"]]
            methods.setdefault(method, []).append(value)
    return found


def draw(summary: dict[str, Any], path: Path) -> None:
    """One panel for each instance set; bars are 95 % intervals over the seeds."""
    groups = panels(summary)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(2.7 * len(groups), 3.2))
        axes = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
        for axis, (name, methods) in zip(axes, groups.items(), strict=True):
            for place, (method, values) in enumerate(methods.items()):
                ranks = range(1, len(values) + 1)
                axis.errorbar(
                    [rank + 0.16 * (place - 0.5) for rank in ranks],
                    [value["mean"] for value in values],
                    yerr=[value["half_width"] or 0.0 for value in values],
                    color=COLOURS[place],
                    marker="os"[place],
                    markersize=4,
                    linestyle="none",
                    capsize=3,
                    label=method,
                )
            axis.set(title=name, xlabel="rank")
            axis.xaxis.get_major_locator().set_params(integer=True)
            axis.margins(x=0.25)
        axes[0].set_ylabel("mean |cos| to the true eigenvector")
        axes[0].legend(fontsize=7, loc="lower left")
        count = len(summary["seeds"])
        figure.suptitle(f"Trained transformer, {count} seed(s), 95 % intervals")
        figure.tight_layout()
        figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=RESULTS, help="of summary.json")
    folder = parser.parse_args().out
    draw(json.loads((folder / "summary.json").read_text()), folder / "figure.png")
    print(f"Drawn to {folder / 'figure.png'}")


if __name__ == "__main__":
    main()
