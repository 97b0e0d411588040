"""Figures of the probe, from the summary's arrays; nothing is computed here."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from spectral_tf.apps.report import COLOURS, STYLE

Reports = list[dict[str, Any]]


def _save(figure: Figure, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, dpi=85)


def order_figure(traces: Reports, path: Path) -> None:
    """Which power every iterate is nearest to, and how near."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.1 * len(traces), 5.2))
        grid = figure.subplots(2, len(traces), squeeze=False, sharey="row")
        for column, one in enumerate(traces):
            above, below = grid[0][column], grid[1][column]
            blocks = np.arange(len(one["order"]))
            above.plot(blocks, blocks, color="0.6", linestyle=":", label="m = l")
            for rank in range(one["order"].shape[1]):
                line: dict[str, Any] = {"color": COLOURS[rank], "marker": ".", "lw": 1}
                line["label"] = f"rank {rank + 1}"
                above.plot(blocks, one["order"][:, rank], **line)
                below.plot(blocks, one["match"][:, rank], **line)
            above.set(title=f"{one['network']}, d={one['dim']}")
            above.set(ylim=(0, None))
            above.set_yscale("symlog", linthresh=1)
            below.set(xlabel="block l", ylim=(0.7, 1.01))
            below.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            above.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        grid[0][0].set_ylabel("best order m(l)")
        grid[1][0].set_ylabel("mean |cos| to that power")
        grid[0][0].set_yticks([0, 1, 3, 10, 30, 100], [0, 1, 3, 10, 30, 100])
        grid[0][0].legend(fontsize=7, loc="lower right")
        _save(figure, path)


def polynomial_figure(found: Reports, path: Path) -> None:
    """The polynomial of a register alone, and what register 1 of all keeps of v_i."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(2.6 * len(found), 5.2))
        grid = figure.subplots(2, len(found), squeeze=False, sharey="row", sharex=True)
        for column, one in enumerate(found):
            _alone(grid[0][column], one)
            _together(grid[1][column], one)
            grid[0][column].set(title=one["network"])
        grid[0][0].set_ylabel("one register alone: |p(t)|")
        grid[1][0].set_ylabel("register 1 of all, along $v_i$")
        for axis in grid[0]:
            axis.legend(fontsize=6, loc="lower right")
        grid[1][0].legend(fontsize=6, loc="lower right")
        _save(figure, path)


def _alone(axis: Axes, one: dict[str, Any]) -> None:
    grid = one["grid"]
    for colour, degree in zip(COLOURS, one["degrees"], strict=False):
        low, middle, high = one["polynomial"][degree]
        axis.plot(grid, middle, color=colour, label=f"l = {degree}")
        axis.fill_between(grid, low, high, color=colour, alpha=0.15, lw=0)
        axis.plot(grid, grid**degree, color=colour, ls="--", lw=0.8)
        axis.plot(grid, one["chebyshev"][degree], color=colour, ls=":", lw=0.8)
    axis.plot([], [], color="grey", ls="--", lw=0.8, label="$t^l$")
    axis.plot([], [], color="grey", ls=":", lw=0.8, label="Chebyshev")
    axis.set(yscale="log", ylim=(1e-4, 2))


def _together(axis: Axes, one: dict[str, Any]) -> None:
    for colour, degree in zip(COLOURS, one["degrees"], strict=False):
        for name, style in (("response", "-"), ("classic", "--")):
            label = f"l = {degree}" if name == "response" else None
            values = np.where(one[name][degree] > 0, one[name][degree], np.nan)
            axis.plot(one["centres"], values, style, color=colour, lw=1, label=label)
    axis.plot([], [], color="grey", ls="--", lw=1, label="orthogonal iteration")
    axis.set(yscale="log", ylim=(1e-6, 10), xlabel=r"$t = \lambda_i / \lambda_1$")


def sweep_figure(sweeps: Reports, path: Path) -> None:
    """Fall of log tan per block against the ratio's logarithm; the angle by block."""
    names = {"pair": r"\lambda_2", "edge": r"\lambda_9"}
    style: dict[str, Any] = {"marker": "o", "markersize": 3, "linewidth": 1}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 3.2))
        axes = figure.subplots(1, 3)
        for axis, (sweep, letter) in zip(axes, names.items(), strict=False):
            at = -np.log(sweeps[0][sweep]["ratios"])
            for colour, one in zip(COLOURS, sweeps, strict=False):
                axis.plot(at, one[sweep]["whole"], **style, color=colour)
            axis.plot(at, at, color="0.6", linestyle=":", label="power, for ever")
            if sweep == "pair":
                rate = sweeps[0][sweep]["chebyshev"]
                axis.plot(at, rate, color="0.6", ls="--", label="Chebyshev, for ever")
            axis.set(
                xlabel=rf"$\log(\lambda_1 / {letter})$",
                ylabel=r"fall of $\log\tan\theta_1$ per block",
                title=rf"${letter} / \lambda_1$ varies",
            )
            axis.legend(fontsize=7)
        for colour, one in zip(COLOURS, sweeps, strict=False):
            logs = one["pair"]["logs"]
            for dashes, place in (("-", -2), ("--", 1)):
                label = one["network"] if dashes == "-" else None
                line = {"linestyle": dashes, "color": colour, "label": label}
                axes[2].plot(np.exp(logs[place]), **line, linewidth=1)
        solid, dashed = (sweeps[0]["pair"]["ratios"][at] for at in (-2, 1))
        axes[2].set(
            yscale="log",
            xlabel="block",
            ylabel=r"median $\tan\theta_1$",
            title=rf"$\lambda_2 / \lambda_1$ = {solid:g} (solid), {dashed:g} (dashed)",
        )
        axes[2].legend(fontsize=7)
        _save(figure, path)


def ablation_figure(one: dict[str, Any], path: Path) -> None:
    """Loss of |cos| per part and block, one panel for each rank."""
    loss = one["loss"]
    ranks = loss.shape[2]
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        size = 2.6 + 2.0 * ranks, 0.6 + 0.2 * len(loss)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(1, ranks, squeeze=False, sharey=True)[0]
        images = []
        for rank, axis in enumerate(axes):
            image = axis.imshow(
                np.log10(np.maximum(loss[:, :, rank], 1e-4)),
                aspect="auto",
                vmin=-4,
                vmax=0,
                cmap="cividis",
            )
            images.append(image)
            axis.set(title=f"rank {rank + 1}", xlabel="block")
            ticks = np.arange(0, loss.shape[1], 2)
            axis.set_xticks(ticks, [str(one["blocks"][tick] + 1) for tick in ticks])
        axes[0].set_yticks(np.arange(len(loss)), one["labels"], fontsize=7)
        bar = figure.colorbar(images[0], ax=list(axes), fraction=0.03, pad=0.02)
        bar.set_ticks([-4, -3, -2, -1, 0], labels=["<1e-4", ".001", ".01", ".1", "1"])
        bar.set_label("|cos| lost")
        figure.savefig(path, dpi=85)
