"""Draw `figure.png` from `results.json`: forward error after every block.

python experiments/finite_precision/plot.py [--out DIR]
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any

import matplotlib as mpl
from config import REFERENCE, SETTINGS
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spectral_tf.apps.report import COLOURS, STYLE

RESULTS = Path(__file__).parent / "results"
LIMITS = 1e-8, 1e2


def draw_panel(axis: Axes, records: list[dict[str, Any]]) -> None:
    """One line for each setting; a line ends where the pass is not finite."""
    names = [setting.name for setting in SETTINGS if setting is not REFERENCE]
    for row in records:
        if row["setting"] == REFERENCE.name:
            continue
        values = row["curve"]["error"]
        axis.plot(
            row["curve"]["block"],
            [math.nan if value is None else value for value in values],
            color=COLOURS[names.index(row["setting"])],
            linestyle="--" if row["setting"].endswith("*") else "-",
            linewidth=1.2,
            label=row["setting"],
        )
    axis.set(yscale="log", ylim=LIMITS)


def draw(results: dict[str, Any], path: Path) -> None:
    """One row of panels for each d, one column for each composition."""
    records = results["records"]
    dims = list(dict.fromkeys(row["dim"] for row in records))
    variants = list(dict.fromkeys(row["variant"] for row in records))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(2.5 * len(variants), 2.7 * len(dims) + 0.7))
        axes = figure.subplots(
            len(dims), len(variants), sharex="col", sharey=True, squeeze=False
        )
        for line, dim in zip(axes, dims, strict=True):
            for axis, variant in zip(line, variants, strict=True):
                here = [
                    row
                    for row in records
                    if row["dim"] == dim and row["variant"] == variant
                ]
                draw_panel(axis, here)
                axis.set_title(f"{variant}, d={dim}")
            line[0].set_ylabel("forward error")
        for axis in axes[-1]:
            axis.set_xlabel("block")
        handles, labels = axes[0][0].get_legend_handles_labels()
        figure.suptitle(
            "Difference of the vectors from the float64 pass, relative, median of "
            f"{results['tables']} table(s)",
            fontsize=10,
        )
        figure.tight_layout(rect=(0, 0.06, 1, 1))
        figure.legend(handles, labels, loc="lower center", ncols=len(labels))
        figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=RESULTS, help="of results.json")
    folder = parser.parse_args().out
    draw(json.loads((folder / "results.json").read_text()), folder / "figure.png")
    print(f"Drawn to {folder / 'figure.png'}")


if __name__ == "__main__":
    main()
