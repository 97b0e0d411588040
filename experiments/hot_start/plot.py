"""Draw `figure.png` from `summary.json`: |cos| after every block, before and after.

python experiments/hot_start/plot.py [--out DIR]
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from spectral_tf.apps.report import COLOURS, STYLE

RESULTS = Path(__file__).parent / "results"


def panel(axis: Axes, one: dict[str, Any]) -> None:
    """One network: a line for each rank, dashed before training, solid after."""
    for place in np.flatnonzero(one["is_product"]):
        axis.axvline(float(place) + 1, color="0.8", linewidth=3, zorder=0)
    for when, dashes in (("before", "--"), ("after", "-")):
        along = np.array(one["blocks"][when], float)
        for rank, values in enumerate(along.T):
            blocks = np.arange(1, len(values) + 1)
            axis.plot(blocks, values, dashes, color=COLOURS[rank], linewidth=1.2)
    axis.set(title=one["arm"]["name"], xlabel="block", ylim=(0, 1))


def draw(summary: dict[str, Any], path: Path) -> None:
    """One panel for each network; grey bars are the products with S."""
    arms = summary["arms"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.4 * 2, 2.9 * ((len(arms) + 1) // 2)))
        grid = figure.subplots((len(arms) + 1) // 2, 2, sharey=True, squeeze=False)
        for axis, one in zip(grid.flat, arms, strict=False):
            panel(axis, one)
        for row in grid:
            row[0].set_ylabel("mean |cos| to the eigenvector")
        ranks = range(len(summary["classic"][0]["cosine"]))
        lines = [Line2D([], [], color=COLOURS[rank]) for rank in ranks]
        lines += [Line2D([], [], color="0.3", linestyle=kind) for kind in ("--", "-")]
        names = [f"rank {rank + 1}" for rank in ranks]
        names += ["constructed", "after training"]
        grid[0][0].legend(lines, names, fontsize=7, loc="lower right")
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
