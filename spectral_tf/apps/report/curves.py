"""Learning curves: loss, |cos| per rank, learning rate and gradient norm over steps.

Drawn from plain arrays. Long runs are thinned: a point is then the mean of some
neighbouring calls, and the figure says of how many.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import (
    EngFormatter,
    FixedLocator,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullLocator,
)

from spectral_tf.apps.report.figures import COLOURS, with_letters
from spectral_tf.config import DataError
from spectral_tf.config.wording import counted

MOST_RUNS = 12
"""Runs in one figure: six colours, solid and then dash-dotted."""
MOST_POINTS = 200
MOST_LETTERS = 48
# Of |cos|, the most wanted first.
COSINE_TICKS = (
    *(0.0, 0.9, 0.99, 0.999, 0.9999, 0.99999),
    *(0.5, 0.95, 0.995, 0.9995, 0.99995),
    *(0.8, 0.98, 0.998, 0.9998, 0.7, 0.3),
)
HELDOUT: dict[str, Any] = {"marker": "o", "ms": 3, "ls": "--", "lw": 1.2}


class RunCurve(NamedTuple):
    """What is drawn of one run; the held-out arrays have `E` rows, perhaps none.

    Attributes:
        name: in the legend.
        instances_per_step: over all shapes.
        steps: `[T]` steps done.
        loss: `[T]` of training.
        cosine: `[T, k]` |cos| on the instances of training.
        learning_rate: `[T]`.
        grad_norm: `[T]` before clipping.
        heldout_steps: `[E]`.
        heldout_loss: `[E]`.
        heldout_cosine: `[E, k]`, or `[E, 0]`.
        measure: what `cosine` is, where it is another score that is 1 at best.
        column: what a column of it belongs to.
    """

    name: str
    instances_per_step: int
    steps: np.ndarray
    loss: np.ndarray
    cosine: np.ndarray
    learning_rate: np.ndarray
    grad_norm: np.ndarray
    heldout_steps: np.ndarray
    heldout_loss: np.ndarray
    heldout_cosine: np.ndarray
    measure: str = "mean |cos|"
    column: str = "rank"


def learning_curve_figure(runs: RunCurve | Sequence[RunCurve]) -> Figure:
    """Learning curves of one run, or of several over one another.

    One run: four panels, all ranks in one of them. Several: a panel for each rank, a
    colour for each run. Held-out values are dashed, with dots. The upper axes count
    instances, if all runs take as many per step.

    Args:
        runs: at most 12, each with at least one call.

    Returns:
        The figure; nothing is written.

    Raises:
        DataError: for no run, too many, or one without a call.
    """
    curves = [runs] if isinstance(runs, RunCurve) else list(runs)
    if not 1 <= len(curves) <= MOST_RUNS:
        raise DataError(
            f"{counted(len(curves), 'run')} cannot be drawn in one figure; choose 1 to "
            f"{MOST_RUNS} that have logged a call."
        )
    for curve in curves:
        if not len(curve.steps):
            raise DataError(f"run {curve.name} has not logged a call yet; wait for it.")
    thinned = [_thinned(curve) for curve in curves]
    sources = _sources(curves)
    with mpl.rc_context(with_letters([curve.name for curve in curves])):
        figure, axes = (
            _single(thinned[0], sources)
            if len(curves) == 1
            else _overlaid(thinned, sources)
        )
        _steps_below(axes, curves)
    return figure


def _sources(curves: Sequence[RunCurve]) -> list[Line2D]:
    """Legend of what is training, of how many calls a point, and what is held out."""
    has_heldout = any(len(curve.heldout_steps) for curve in curves)
    calls = max(_calls_per_point(curve) for curve in curves)
    handles = []
    if has_heldout or calls > 1:
        text = (
            f"training (mean of {counted(calls, 'call')})" if calls > 1 else "training"
        )
        handles.append(Line2D([], [], color="dimgrey", lw=0.8, label=text))
    if has_heldout:
        look = {"color": "dimgrey", **HELDOUT}
        handles.append(Line2D([], [], label="held out", **look))
    return handles


def _single(curve: RunCurve, sources: list[Line2D]) -> tuple[Figure, list[list[Axes]]]:
    """Loss and |cos| above, gradient norm and learning rate below."""
    figure = Figure(figsize=(8.4, 5.6), layout="constrained")
    (loss, cosine), (norm, rate) = figure.subplots(2, 2)
    _plot_run(loss, norm, rate, curve, COLOURS[0], "-")
    _scale(loss, norm, rate)
    ranks = range(curve.cosine.shape[1])
    for rank in ranks:
        _plot_cosine(cosine, curve, rank, COLOURS[rank % len(COLOURS)], "-")
    cosine.set_ylabel(curve.measure)
    last = [_last_cosine(curve, rank) for rank in ranks]
    lowest, highest = _cosine_scale(cosine, [_cosines(curve, rank) for rank in ranks])
    heights = (_stretch(np.array(last)) - lowest) / (highest - lowest)
    places = _apart(np.nan_to_num(heights))
    for rank, place in zip(ranks, places, strict=True):
        cosine.annotate(
            f"{curve.column} {rank + 1}: {_written(last[rank])}",
            (1.02, place),
            xycoords="axes fraction",
            va="center",
            fontsize=8,
            color=COLOURS[rank % len(COLOURS)],
        )
    figure.suptitle(_short(curve.name), fontsize=10)
    if sources:
        figure.legend(handles=sources, loc="outside lower center", ncols=2)
    return figure, [[loss, norm], [cosine, rate]]


def _overlaid(
    curves: Sequence[RunCurve], sources: list[Line2D]
) -> tuple[Figure, list[list[Axes]]]:
    """A row of loss, gradient norm and learning rate; then a panel for each rank."""
    num_ranks = max(curve.cosine.shape[1] for curve in curves)
    rows = 1 + -(-num_ranks // 3)
    figure = Figure(figsize=(9.6, 1.0 + 2.4 * rows), layout="constrained")
    axes: list[Axes] = list(figure.subplots(rows, 3).ravel())
    for unused in axes[3 + num_ranks :]:
        unused.remove()
    axes = axes[: 3 + num_ranks]
    handles = []
    for place, curve in enumerate(curves):
        colour = COLOURS[place % len(COLOURS)]
        style = "-" if place < len(COLOURS) else "-."
        _plot_run(axes[0], axes[1], axes[2], curve, colour, style)
        for rank in range(curve.cosine.shape[1]):
            _plot_cosine(axes[3 + rank], curve, rank, colour, style)
        name = _short(curve.name)
        handles.append(Line2D([], [], color=colour, ls=style, label=name))
    _scale(axes[0], axes[1], axes[2])
    for rank, axis in enumerate(axes[3:]):
        having = [curve for curve in curves if curve.cosine.shape[1] > rank]
        _cosine_scale(axis, [_cosines(curve, rank) for curve in having])
        axis.set_ylabel(f"{having[0].measure}, {having[0].column} {rank + 1}")
    handles += sources
    longest = max(len(handle.get_label()) for handle in handles)
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=max(1, min(len(handles), 130 // (longest + 9))),
    )
    return figure, [axes[column::3] for column in range(3)]


def _training(curve: RunCurve, colour: str, style: str) -> dict[str, Any]:
    """How values of training are drawn: faint beside those held out."""
    has_heldout = len(curve.heldout_steps) > 0
    look = {"lw": 0.8, "alpha": 0.45} if has_heldout else {"lw": 1.2}
    return {"color": colour, "ls": style, **look, **_dot(curve)}


def _dot(curve: RunCurve) -> dict[str, Any]:
    """A line of one point would not be seen."""
    return {"marker": "."} if len(curve.steps) == 1 else {}


def _plot_run(
    loss: Axes, norm: Axes, rate: Axes, curve: RunCurve, colour: str, style: str
) -> None:
    """The three panels that do not depend on the rank."""
    loss.plot(curve.steps, curve.loss, **_training(curve, colour, style))
    if len(curve.heldout_loss):
        loss.plot(curve.heldout_steps, curve.heldout_loss, color=colour, **HELDOUT)
    look: dict[str, Any] = {"color": colour, "ls": style, **_dot(curve)}
    norm.plot(curve.steps, curve.grad_norm, **look, lw=0.9)
    rate.plot(curve.steps, curve.learning_rate, **look, lw=1.2)


def _plot_cosine(
    axis: Axes, curve: RunCurve, rank: int, colour: str, style: str
) -> None:
    axis.plot(curve.steps, curve.cosine[:, rank], **_training(curve, colour, style))
    if curve.heldout_cosine.shape[1] > rank:
        held = curve.heldout_cosine[:, rank]
        axis.plot(curve.heldout_steps, held, color=colour, **HELDOUT)


def _scale(loss: Axes, norm: Axes, rate: Axes) -> None:
    """Names and scales of the three panels, when all is drawn."""
    loss.set_ylabel("loss")
    norm.set_ylabel("gradient norm")
    rate.set_ylabel("learning rate")
    _log_scale(loss)
    _log_scale(norm)
    rate.set_ylim(bottom=0)
    rate.yaxis.set_major_locator(MaxNLocator(5))
    rate.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))


def _steps_below(axes: Sequence[Sequence[Axes]], curves: Sequence[RunCurve]) -> None:
    """Axes of steps below each column of panels, of instances above, where they can."""
    most = max(float(curve.steps[-1]) for curve in curves)
    per_step = {curve.instances_per_step for curve in curves}
    factor = max(per_step)
    to_instances = (
        lambda steps: np.asarray(steps) * factor,
        lambda instances: np.asarray(instances) / factor,
    )
    for column in axes:
        for axis in column:
            axis.set_xlim(0, 1.02 * most)
            axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            axis.xaxis.set_major_formatter(EngFormatter(sep=""))
        column[-1].set_xlabel("step")
        if len(per_step) == 1:
            above = column[0].secondary_xaxis("top", functions=to_instances)
            above.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            above.xaxis.set_major_formatter(EngFormatter(sep=""))
            above.set_xlabel("instances", fontsize=8)


def _log_scale(axis: Axes) -> None:
    """Logarithmic, ticks as plain numbers; linear if a value is not positive."""
    values = np.concatenate([np.asarray(line.get_ydata()) for line in axis.lines])
    values = values[np.isfinite(values)]
    if not len(values) or values.min() <= 0:
        return
    axis.set_yscale("log")
    ratio = values.max() / values.min()
    locator = LogLocator(subs=(1, 2, 5) if ratio < 1000 else (1,))
    few = MaxNLocator(5, steps=[1, 2, 5, 10])
    axis.yaxis.set_major_locator(few if ratio < 4 else locator)
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))


def _stretch(cosine: np.ndarray) -> np.ndarray:
    """Number of nines: 0.9 to 1, 0.99 to 2."""
    return np.asarray(-np.log10(np.maximum(1 - cosine, 1e-7)))


def _cosine_scale(axis: Axes, values: Iterable[np.ndarray]) -> tuple[float, float]:
    """Stretch the axis towards 1; its limits, in nines."""
    every = np.concatenate([*values, np.zeros(0)])
    nines = _stretch(every[np.isfinite(every)])
    lowest, highest = (nines.min(), nines.max()) if len(nines) else (0.0, 1.0)
    margin = 0.04 * (highest - lowest) + 1e-3
    lowest, highest = max(lowest - margin, 0.0), highest + margin
    axis.set_yscale("function", functions=(_stretch, lambda nines: 1 - 10**-nines))
    axis.set_ylim(1 - 10**-lowest, 1 - 10**-highest)
    ticks: list[float] = []
    for tick in COSINE_TICKS:
        place = float(_stretch(np.array(tick)))
        near = [abs(place - float(_stretch(np.array(other)))) for other in ticks]
        if lowest <= place <= highest and min(near, default=1e9) > margin * 3:
            ticks.append(tick)
    is_wide = len(ticks) > 1
    axis.yaxis.set_major_locator(FixedLocator(ticks) if is_wide else MaxNLocator(4))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))
    axis.yaxis.set_minor_locator(NullLocator())
    return lowest, highest


def _cosines(curve: RunCurve, rank: int) -> np.ndarray:
    """All values of a rank that are drawn."""
    held = curve.heldout_cosine[:, rank : rank + 1].ravel()
    return np.concatenate([curve.cosine[:, rank], held])


def _last_cosine(curve: RunCurve, rank: int) -> float:
    """The last held-out value of a rank, or else of training."""
    held = curve.heldout_cosine[:, rank : rank + 1].ravel()
    return float(held[-1] if len(held) else curve.cosine[-1, rank])


def _apart(places: np.ndarray, least: float = 0.085) -> np.ndarray:
    """Places of labels in [0, 1], moved until neighbours are `least` apart."""
    order = np.argsort(places)
    moved = np.clip(places[order], 0, 1)
    for index in range(1, len(moved)):
        moved[index] = max(moved[index], moved[index - 1] + least)
    # Those that were pushed out above go back down, and push the ones below.
    moved = np.minimum(moved, 1 - least * np.arange(len(moved))[::-1])
    return moved[np.argsort(order)]


def _written(cosine: float) -> str:
    """With one digit more than it has nines, and at least three."""
    nines = float(_stretch(np.array(cosine)))
    return f"{cosine:.{max(3, int(nines) + 2)}f}" if np.isfinite(nines) else "?"


def _short(name: str) -> str:
    """A long name without its middle."""
    half = MOST_LETTERS // 2
    return name if len(name) <= MOST_LETTERS else f"{name[:half]}…{name[1 - half :]}"


def _calls_per_point(curve: RunCurve) -> int:
    return -(-len(curve.steps) // MOST_POINTS)


def _thinned(curve: RunCurve) -> RunCurve:
    """Means over neighbouring calls, so that at most 200 points are left."""
    calls = _calls_per_point(curve)
    cuts = np.arange(0, len(curve.steps), calls)
    sizes = np.diff(cuts, append=len(curve.steps))

    def mean(values: np.ndarray) -> np.ndarray:
        total = np.add.reduceat(values.astype(float), cuts, axis=0)
        return total / sizes.reshape(-1, *[1] * (values.ndim - 1))

    names = ("steps", "loss", "cosine", "learning_rate", "grad_norm")
    return curve._replace(**{name: mean(getattr(curve, name)) for name in names})
