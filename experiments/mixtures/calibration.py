"""Whether the network knows when it is wrong."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from spectral_tf.evaluation import Statistic

BINS = 10
TRAINED = 16
"""Largest d that was trained on."""


def bins_of(
    confidence: np.ndarray, right: np.ndarray
) -> list[tuple[float, Statistic, int]]:
    """`(mean confidence, share right, instances)` of bins of equal count."""
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, BINS) if len(part)]
    return [
        (float(confidence[part].mean()), Statistic.of(right[part]), len(part))
        for part in parts
    ]


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Mean distance of confidence and share right, over bins of equal count."""
    found = bins_of(confidence, right)
    return float(np.mean([abs(sure - share.mean) for sure, share, _ in found]))


def draw_calibration(found: dict[str, np.ndarray], path: Path) -> None:
    """Bins of instances, trained dimensions and larger ones apart."""
    figure = Figure(figsize=(5.6, 5.0), layout="constrained")
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color="grey", lw=0.8, ls="--", label="sure = right")
    small = found["dim"] <= TRAINED
    for chosen, name in (
        (small, f"d <= {TRAINED}"),
        (~small, f"d > {TRAINED}, never trained on"),
    ):
        if not chosen.any():
            continue
        sure, right = found["confidence"][chosen], 1 - found["wrong"][chosen]
        parts = bins_of(sure, right)
        error = calibration_error(sure, right)
        axis.errorbar(
            [one[0] for one in parts],
            [one[1].mean for one in parts],
            yerr=[one[1].half_width for one in parts],
            marker="o",
            ms=4,
            lw=1.2,
            capsize=2,
            label=f"{name} ({len(sure):,} mixtures, mean gap {100 * error:.1f} points)",
        )
    axis.set_xlabel("confidence: share of rows that the network expects to be right")
    axis.set_ylabel("share of rows that is right")
    axis.set_xlim(0.48, 1.01)
    axis.set_ylim(0.48, 1.01)
    axis.legend(loc="lower right", fontsize=8)
    figure.savefig(path, dpi=130)
