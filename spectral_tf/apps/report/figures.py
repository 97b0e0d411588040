"""Figures, drawn from plain arrays and written as PNG; nothing is computed here."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from spectral_tf.apps.report.letters import fonts_for

# Okabe & Ito's colours: distinct for colour-blind readers.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
}


def with_letters(texts: Sequence[str]) -> dict[Any, Any]:
    """The style, with fonts that have the letters of some texts.

    Args:
        texts: names that a figure writes, which may be of any script.

    Returns:
        For `matplotlib.rc_context`.
    """
    return {**STYLE, "font.family": list(fonts_for(texts))}


class Curve(NamedTuple):
    """One method's accuracy by depth: `products [L]`, `cosine [L, k]`."""

    products: np.ndarray
    cosine: np.ndarray


def _save(figure: Figure, path: Path) -> Path:
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    return path


def _new(columns: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(size[0] * columns, size[1]))
    axes = figure.subplots(1, columns, squeeze=False)[0]
    return figure, list(axes)


def depth_figure(
    panels: Mapping[str, tuple[Curve, Curve]], path: Path, title: str
) -> Path:
    """|cos| of each rank after every block, the network solid, the classic dashed.

    Args:
        panels: panel title -> (network, orthogonal iteration).
        path: PNG to write.
        title: above all panels.

    Returns:
        `path`.
    """
    with mpl.rc_context(with_letters([*panels, title])):
        figure, axes = _new(len(panels), (3.9, 3.1))
        for axis, (name, (network, classic)) in zip(axes, panels.items(), strict=True):
            for rank in range(network.cosine.shape[1]):
                colour = COLOURS[rank % len(COLOURS)]
                axis.plot(
                    network.products,
                    network.cosine[:, rank],
                    color=colour,
                    label=f"rank {rank + 1}",
                )
                axis.plot(
                    classic.products,
                    classic.cosine[:, rank],
                    color=colour,
                    linestyle="--",
                    linewidth=1,
                )
            axis.plot([], [], color="grey", label="network")
            axis.plot([], [], color="grey", ls="--", lw=1, label="orthogonal iteration")
            axis.set(title=name, xlabel="products with S so far", ylim=(0, 1.02))
        axes[0].set_ylabel("mean |cos| to the true eigenvector")
        axes[-1].legend(fontsize=7, loc="lower right")
        figure.suptitle(title, fontsize=10)
        return _save(figure, path)


def eigenvalue_figure(
    panels: Mapping[str, tuple[np.ndarray, np.ndarray]], path: Path
) -> Path:
    """Eigenvalues of a network against those of `eigh`, one dot per instance and rank.

    Args:
        panels: panel title -> (true `[B, k]`, estimated `[B, k]`).
        path: PNG to write.

    Returns:
        `path`.
    """
    with mpl.rc_context(with_letters([*panels])):
        figure, axes = _new(len(panels), (3.3, 3.2))
        for axis, (name, (true, found)) in zip(axes, panels.items(), strict=True):
            for rank in range(true.shape[1]):
                axis.plot(
                    true[:, rank],
                    found[:, rank],
                    linestyle="none",
                    marker=".",
                    markersize=4,
                    alpha=0.6,
                    color=COLOURS[rank % len(COLOURS)],
                    label=f"rank {rank + 1}",
                )
            ends = [np.min(true), np.max(true)]
            axis.plot(ends, ends, color="black", linewidth=0.7, label="equal")
            axis.set(title=name, xlabel="eigenvalue by eigh")
            # Four gaps, so at most five ticks.
            axis.xaxis.set_major_locator(MaxNLocator(4))
            axis.yaxis.set_major_locator(MaxNLocator(4))
        axes[0].set_ylabel("eigenvalue by the network")
        axes[0].legend(fontsize=7)
        return _save(figure, path)
