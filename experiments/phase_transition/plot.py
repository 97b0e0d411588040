"""Draw `phase_transition.png` from `phase_transition.json`.

python experiments/phase_transition/plot.py [--out DIR]
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from methods import DIRECTION, EM, FLOOR, KNOWS, NETWORK, REFINED
from scipy.stats import norm
from theory import RATES, centred, rates

from spectral_tf.apps.report import COLOURS, STYLE

RESULTS = Path(__file__).parent / "results"
Record = dict[str, Any]
LOOKS: dict[str, dict[str, Any]] = {
    FLOOR: {"color": "black", "marker": "s"},
    NETWORK: {"color": COLOURS[0], "marker": "o"},
    DIRECTION: {"color": COLOURS[5], "marker": "x"},
    REFINED: {"color": COLOURS[2], "marker": "^"},
    "k-means, best of 10": {"color": COLOURS[4], "marker": "v"},
    "mixture, best of 10": {"color": COLOURS[1], "marker": "D"},
    EM: {"color": COLOURS[3], "marker": "P"},
}
"""What is drawn of the methods, in the order of the legend."""
LINES: dict[str, dict[str, Any]] = {
    RATES[0]: {"color": "0.45", "ls": "-"},
    RATES[1]: {"color": COLOURS[1], "ls": "--"},
    RATES[2]: {"color": "black", "ls": "-"},
    RATES[3]: {"color": COLOURS[5], "ls": (0, (5, 3))},
    RATES[4]: {"color": COLOURS[4], "ls": ":"},
}
NAMES = {
    NETWORK: "constructed spectral network",
    DIRECTION: "leading direction, uncentred",
    FLOOR: "floor: best rule that\nknows |μ|, not μ",
    KNOWS: "Bayes rule that knows μ, exact",
    EM: "constructed EM network",
    RATES[1]: "minimax rate Φ(-s)",
    RATES[2]: "floor, limit of N, d → ∞",
    RATES[3]: "leading direction, limit",
    RATES[4]: "exp(-|μ|²/2)",
}
TICKS = (0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02, 0.005, 0.001, 0.0001)
PRICE: dict[str, Any] = {"color": COLOURS[0], "lw": 1.2, "ls": ":"}
THRESHOLD: dict[str, Any] = {"color": "0.6", "lw": 0.8, "ls": "-."}
LEAST = 1e-4
"""Bottom of the axis of misclassification."""
LEAST_FLOOR = 1e-3
"""Ratios to a smaller floor are not drawn: they would be of a few rows."""
RATIOS = (0.8, 1.0, 1.2, 1.5, 2.0, 3.0)


def probit_axis(axis: Axes) -> None:
    """The scale on which Phi(-|mu|) is a straight line."""
    to_place = lambda share: norm.ppf(np.clip(share, 1e-9, 1 - 1e-9))
    axis.set_yscale("function", functions=(to_place, norm.cdf))
    axis.set_ylim(LEAST, 0.52)
    axis.yaxis.set_major_locator(FixedLocator(TICKS))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}"))


def series(points: Sequence[Record], name: str) -> np.ndarray:
    """`[3, points]` |mu|, mean and half width of a method."""
    rows = []
    for point in points:
        one = point["methods"].get(name)
        if one is not None:
            rows.append((point["signal"], one["mean"], one["half_width"]))
    return np.array(rows, float).reshape(-1, 3).T


def ratios(points: Sequence[Record], name: str) -> np.ndarray:
    """`[3, points]` |mu|, and misclassification over the floor's, paired."""
    rows = []
    for point in points:
        one, floor = point["methods"].get(name), point["methods"][FLOOR]["mean"]
        if one is not None and floor >= LEAST_FLOOR:
            excess = one["excess"]
            ratio = 1 + excess["mean"] / floor
            rows.append((point["signal"], ratio, excess["half_width"] / floor))
    return np.array(rows, float).reshape(-1, 3).T


def draw_methods(axis: Axes, points: Sequence[Record]) -> None:
    """Misclassification of all methods."""
    draw_rate(axis, points, RATES[0], NAMES[KNOWS])
    for name, look in LOOKS.items():
        signal, mean, half = series(points, name)
        axis.errorbar(
            signal, mean, half, label=NAMES.get(name, name), **small(look), lw=1
        )
    probit_axis(axis)


def small(look: dict[str, Any]) -> dict[str, Any]:
    return {"markersize": 3.5, "elinewidth": 0.8} | look


def draw_rate(axis: Axes, points: Sequence[Record], name: str, label: str) -> None:
    """A formula of `theory.py`, on a fine grid."""
    case = points[0]["dim"], points[0]["num_samples"]
    signals = np.linspace(points[0]["signal"], points[-1]["signal"], 80)
    values = [rates(*case, float(signal))[name] for signal in signals]
    axis.plot(signals, values, **LINES[name], lw=1.2, label=label)


def draw_ratios(axis: Axes, points: Sequence[Record]) -> None:
    """Misclassification over the floor's."""
    axis.axhline(1, color="black", lw=1)
    ends = points[0]["signal"], points[-1]["signal"]
    signals = np.linspace(*ends, 80)
    price = [centred(one, points[0]["num_samples"]) for one in signals.tolist()]
    label = "price of centring,\nif μ were known"
    axis.plot(signals, price / norm.cdf(-signals), **PRICE, label=label)
    for name, look in LOOKS.items():
        if name != FLOOR:
            signal, ratio, half = ratios(points, name)
            axis.errorbar(signal, ratio, half, **small(look), lw=1)
    axis.set_yscale("log")
    axis.set_ylim(RATIOS[0], RATIOS[-1])
    axis.yaxis.set_major_locator(FixedLocator(RATIOS))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}"))


def draw_theory(axis: Axes, points: Sequence[Record]) -> None:
    """The floor and the spectral method as marks, the rates as lines."""
    for name in list(LINES)[1:]:
        draw_rate(axis, points, name, NAMES.get(name, name))
    for name in (FLOOR, DIRECTION):
        signal, mean, half = series(points, name)
        axis.errorbar(signal, mean, half, **small(LOOKS[name]), ls="none")
    probit_axis(axis)


def draw(results: Record, path: Path) -> None:
    """A column for each (d, N): methods, the same over the floor, theory."""
    cases = [tuple(case) for case in results["study"]["cases"]]
    with mpl.rc_context(STYLE):
        size = (2.75 * len(cases) + 2.4, 8.6)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(3, len(cases), sharex=True, sharey="row", squeeze=False)
        for column, case in zip(grid.T, cases, strict=True):
            own = [
                point
                for point in results["points"]
                if (point["dim"], point["num_samples"]) == case
            ]
            for axis, one in zip(
                column, (draw_methods, draw_ratios, draw_theory), strict=True
            ):
                one(axis, own)
                axis.axvline(own[0]["threshold"], **THRESHOLD)
            column[0].set_title(f"d = {case[0]}, N = {case[1]}")
            column[-1].set_xlabel("|μ|")
        titles = (
            "misclassification, %",
            "misclassification over the floor's",
            "misclassification, %",
        )
        for row, title in zip(grid, titles, strict=True):
            row[0].set_ylabel(title)
        line = "weak recovery, |μ|⁴ = d/N"
        grid[2][-1].plot([], [], **THRESHOLD, label=line)
        for row in grid:
            row[-1].legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8)
        figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=RESULTS, help="of the JSON file")
    folder = parser.parse_args().out
    path = folder / "phase_transition.png"
    draw(json.loads(path.with_suffix(".json").read_text()), path)
    print(f"Drawn to {path}")


if __name__ == "__main__":
    main()
