"""Figures about one table: components and their certificates, clusters, outliers."""

import contextlib
import math
import unicodedata
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator, PercentFormatter
from matplotlib.transforms import Bbox

from spectral_tf.apps.report.figures import COLOURS, STYLE
from spectral_tf.apps.report.letters import Lettering, lettering
from spectral_tf.certificate import Certificate
from spectral_tf.config.wording import agreed, counted

STATUS_COLOURS: Mapping[str, str] = {
    "certified": COLOURS[2],
    "probable": COLOURS[0],
    "loose": COLOURS[1],
    "replaced": COLOURS[4],
}
STATUS_TEXTS: Mapping[str, str] = {
    "certified": "certified",
    "probable": "probable (not proven)",
    "loose": "loose (not proven)",
    "replaced": "replaced (exact solver)",
}
TEXT_COLOUR = "#8a3c00"
"""Of what is written beside points: the second colour, darker."""
MARKERS = "osD^vP"
MOST_POINTS = 20_000
"""Rows that are drawn, evenly spaced; a longer table looks the same."""
MOST_BARS = 40
MOST_VALUES = 12
"""Bars with their value written below."""
SPAN_TEXT = "only as a span"
MOST_ARROWS = 8
MOST_LABELS = 10
"""Outliers that are labelled."""
MOST_CLUSTERS = 24
"""Clusters that the legend names."""
SIZE = (6.6, 4.4)
OFFSETS = tuple(
    (radius, step * math.pi / 8)
    for radius in (11, 17, 25, 35, 48)
    for step in range(16)
)
"""Where the text of a point may stand: points away from it, direction."""


def scree_figure(shares: np.ndarray, certificate: Certificate, path: Path) -> Path:
    """Share of each component; the colour says what is proven about it.

    Components that are certified together, as a span, stand over a bracket.

    Args:
        shares: `[k]` of the variance.
        certificate: of the k components.
        path: PNG to write.

    Returns:
        `path`.
    """
    shown = min(len(shares), MOST_BARS)
    values, entries = shares[:shown], certificate.entries[:shown]
    ranks, status = np.arange(1, shown + 1), [entry.status for entry in entries]
    with mpl.rc_context({**STYLE, "axes.grid.axis": "y"}):
        figure, axis = _new()
        colours = [STATUS_COLOURS[each] for each in status]
        axis.bar(ranks, values, color=colours, width=0.7, zorder=2)
        total = np.cumsum(shares)[:shown]
        axis.plot(ranks, total, color="0.35", marker=".", lw=1, zorder=3)
        axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axis.set_ylim(0, min(1.03, 1.1 * float(total[-1])))
        axis.set_xlim(0.3, max(shown, 3) + 0.7)
        is_named = shown <= MOST_VALUES
        if is_named:
            pairs = zip(ranks.tolist(), values.tolist(), strict=True)
            axis.set_xticks(ranks, [f"{rank}\n{value:.1%}" for rank, value in pairs])
        else:
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(axis="x", visible=False)
        spans = sorted({entry.ranks for entry in entries if entry.is_joint})
        for first, last in spans:
            _bracket(axis, first, min(last, shown), -0.135 if is_named else -0.08)
        left_out = (
            f" (the first {shown} of {len(shares)})" if shown < len(shares) else ""
        )
        axis.set_xlabel(f"component{left_out}", labelpad=10 if spans else 4)
        axis.set_ylabel("share of the variance")
        handles: list[Any] = [
            Patch(color=STATUS_COLOURS[each], label=text)
            for each, text in STATUS_TEXTS.items()
            if each in status
        ]
        if spans:
            handles.append(Line2D([], [], color="black", lw=1.2, label=SPAN_TEXT))
        handles.append(Line2D([], [], color="0.35", marker=".", lw=1, label="sum"))
        _legend_above(axis, handles)
        return _save(figure, path)


def _bracket(axis: Axes, first: int, last: int, level: float) -> None:
    """A line under the bars of a span, with ends that point up."""
    x = [first - 0.35, first - 0.35, last + 0.35, last + 0.35]
    y = [level + 0.02, level, level, level + 0.02]
    where: dict[str, Any] = {"transform": axis.get_xaxis_transform(), "clip_on": False}
    axis.plot(x, y, color="black", lw=1.2, scalex=False, scaley=False, **where)


def biplot_figure(
    scores: np.ndarray,
    loadings: np.ndarray,
    columns: Sequence[str],
    shares: np.ndarray,
    path: Path,
) -> Path:
    """Rows in the first two components, and the columns that make these up.

    With one component only: a histogram of its coordinates.

    Args:
        scores: `[N, k]`.
        loadings: `[k, d]` components.
        columns: d names; those of the `MOST_ARROWS` longest arrows are written.
        shares: `[k]` of the variance.
        path: PNG to write.

    Returns:
        `path`.

    Source: Gabriel (1971), The biplot graphic display of matrices.
    """
    names = _axis_names(shares)
    strongest = _strongest(loadings)
    drawn = biplot_lettering(loadings, columns)
    with mpl.rc_context({**STYLE, "font.family": list(drawn.fonts)}):
        figure, axis = _new()
        if scores.shape[1] == 1:
            axis.hist(scores[:, 0], _bins(len(scores)), color=COLOURS[0], alpha=0.8)
            axis.set(xlabel=names[0], ylabel="rows")
            return _save(figure, path)
        points = _thinned(scores[:, :2])
        axis.scatter(*points.T, s=10, color=COLOURS[5], alpha=0.6, lw=0)
        arrows = loadings[:2].T
        reach = np.maximum(np.abs(arrows).max(axis=0), 1e-12)
        tips = arrows[strongest] * np.min(np.abs(points).max(axis=0) / reach)
        for tip in tips:
            axis.annotate(
                "",
                xy=tip.tolist(),
                xytext=(0, 0),
                arrowprops={"arrowstyle": "-|>", "color": COLOURS[1], "lw": 1.1},
            )
        _axes_through_zero(axis, np.concatenate([points, 1.2 * tips]))
        axis.set(xlabel=names[0], ylabel=names[1])
        handles: list[Any] = [
            _dot(COLOURS[5], "row"),
            Line2D([], [], color=COLOURS[1], lw=1.1, label="loading of a column"),
        ]
        _legend_above(axis, handles)
        shafts = np.linspace(0.1, 1, 40)[:, None, None] * tips
        texts = drawn.labels
        avoid = np.concatenate([points, shafts.reshape(-1, 2)])
        _label(axis, tips, texts, avoid, np.zeros(2))
        return _save(figure, path)


def _strongest(loadings: np.ndarray) -> np.ndarray:
    """Columns with the longest arrows."""
    length = np.linalg.norm(loadings[:2], axis=0)
    return np.argsort(-length, kind="stable")[:MOST_ARROWS]


def biplot_lettering(loadings: np.ndarray, columns: Sequence[str]) -> Lettering:
    """How the names in a biplot are drawn.

    Args:
        loadings: `[k, d]` components.
        columns: d names.

    Returns:
        Of the columns with the longest arrows; a column without letters in any font has
        its number among the d. None where one component has no arrows.
    """
    strongest: list[int] = _strongest(loadings).tolist() if len(loadings) > 1 else []
    names = [shown_name(columns[index]) for index in strongest]
    return lettering(names, numbers=[index + 1 for index in strongest])


def cluster_figure(
    scores: np.ndarray, labels: np.ndarray, shares: np.ndarray, path: Path
) -> Path:
    """Rows in the first two components, coloured by cluster.

    With one component only: a histogram for each cluster.

    Args:
        scores: `[N, k]`.
        labels: `[N]` clusters, from 0.
        shares: `[k]` of the variance.
        path: PNG to write.

    Returns:
        `path`.
    """
    names, sizes = _axis_names(shares), np.bincount(labels)
    looks = [
        (COLOURS[each % len(COLOURS)], MARKERS[each // len(COLOURS) % len(MARKERS)])
        for each in range(len(sizes))
    ]
    with mpl.rc_context(STYLE):
        figure, axis = _new()
        if scores.shape[1] == 1:
            groups = [scores[labels == each, 0] for each in range(len(sizes))]
            edges = np.histogram_bin_edges(scores[:, 0], _bins(len(scores)))
            colours = [colour for colour, _ in looks]
            axis.hist(groups, edges.tolist(), stacked=True, color=colours, alpha=0.85)
            axis.set(xlabel=names[0], ylabel="rows")
        else:
            points, drawn = _thinned(scores[:, :2]), _thinned(labels)
            for each, (colour, marker) in enumerate(looks):
                own = points[drawn == each]
                style: dict[str, Any] = {"marker": marker, "color": colour, "lw": 0}
                axis.scatter(*own.T, s=16, alpha=0.75, **style)
            axis.set(xlabel=names[0], ylabel=names[1])
        handles = [
            _dot(colour, f"cluster {each}: {counted(sizes[each], 'row')}", marker)
            for each, (colour, marker) in enumerate(looks)
        ][:MOST_CLUSTERS]
        axis.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(1.0, 1.0),
            fontsize=8,
        )
        return _save(figure, path)


def outlier_figure(
    scores: np.ndarray,
    distance: np.ndarray,
    threshold: float,
    shares: np.ndarray | None,
    path: Path,
) -> Path:
    """Rows in the first two components, coloured by score; outliers ringed.

    With one component only: a histogram of the scores, with the threshold.

    Args:
        scores: `[N, k]` coordinates in the components.
        distance: `[N]`, the score.
        threshold: rows beyond are outliers.
        shares: `[k]` of the variance, for the names of the axes; None leaves them out.
        path: PNG to write.

    Returns:
        `path`.
    """
    strange = np.flatnonzero(distance > threshold)
    strange = strange[np.argsort(-distance[strange], kind="stable")]
    with mpl.rc_context(STYLE):
        figure, axis = _new()
        if scores.shape[1] == 1:
            _distance_histogram(axis, distance, threshold, strange)
            return _save(figure, path)
        names = _axis_names(np.full(2, np.nan) if shares is None else shares)
        points, drawn = _thinned(scores[:, :2]), _thinned(distance)
        order = np.argsort(drawn, kind="stable")
        both = np.concatenate([points[order], scores[strange, :2]])
        shade = np.concatenate([drawn[order], distance[strange]])
        dots = axis.scatter(*both.T, c=shade, s=16, cmap="viridis_r", lw=0)
        ring: dict[str, Any] = {"facecolors": "none", "edgecolors": COLOURS[1]}
        axis.scatter(*scores[strange, :2].T, s=70, linewidths=1.3, **ring)
        axis.set(xlabel=names[0], ylabel=names[1])
        bar = figure.colorbar(dots, ax=axis, pad=0.02, aspect=30)
        bar.set_label("score: the larger, the stranger")
        bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
        if shade.min() <= threshold <= shade.max():
            bar.ax.axhline(threshold, color=COLOURS[1], lw=1.5)
        _legend_above(axis, [_ring(_ring_text(len(strange), threshold))])
        named = strange[:MOST_LABELS]
        texts = [str(row + 1) for row in named]
        _label(axis, scores[named, :2], texts, points, points.mean(axis=0))
        return _save(figure, path)


def _ring_text(count: int, threshold: float) -> str:
    what = (
        agreed(count, "its number", "the row numbers")
        if count <= MOST_LABELS
        else f"{MOST_LABELS} row numbers"
    )
    rows = f"{counted(count, 'row')}; with {what}" if count else "no row"
    return f"outlier: score above {threshold:.3g} ({rows})"


def _distance_histogram(
    axis: Axes, distance: np.ndarray, threshold: float, strange: np.ndarray
) -> None:
    axis.hist(distance, _bins(len(distance)), color=COLOURS[0], alpha=0.8)
    axis.axvline(threshold, color=COLOURS[1], lw=1.5)
    axis.set(xlabel="score: the larger, the stranger", ylabel="rows")
    rows = ", ".join(str(row + 1) for row in strange[:MOST_LABELS])
    more = ", ..." if len(strange) > MOST_LABELS else ""
    text = f"outlier: score above {threshold:.3g} (row {rows or 'none'}{more})"
    line = Line2D([], [], color=COLOURS[1], lw=1.5, label=text)
    _legend_above(axis, [line])


def shown_name(name: str, most: int = 26) -> str:
    """A column's name on one line, without marks that control the output.

    Args:
        name: any text.
        most: characters; a longer name is cut.

    Returns:
        The name as it is shown.
    """
    flat = " ".join(name.split())
    kept = "".join(c if unicodedata.category(c)[0] != "C" else "?" for c in flat)
    return kept if len(kept) <= most else f"{kept[: most - 1]}…"


def _new() -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE, layout="constrained")
    FigureCanvasAgg(figure)  # measures texts before anything is saved
    return figure, figure.subplots()


def _save(figure: Figure, path: Path) -> Path:
    with _any_script():
        figure.savefig(path, dpi=130)
    return path


@contextlib.contextmanager
def _any_script() -> Iterator[None]:
    """No word about letters that the font lacks; they are drawn as boxes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        yield


def _bins(rows: int) -> int:
    return int(np.clip(2 * math.sqrt(rows), 5, 60))


def _thinned(rows: np.ndarray) -> np.ndarray:
    return rows[:: -(-len(rows) // MOST_POINTS)]


def _axis_names(shares: np.ndarray) -> list[str]:
    texts = ["" if math.isnan(each) else f" ({each:.1%})" for each in shares[:2]]
    return [f"component {rank}{text}" for rank, text in enumerate(texts, start=1)]


def _dot(colour: str, label: str, marker: str = "o") -> Line2D:
    style: dict[str, Any] = {"marker": marker, "markersize": 5, "linestyle": "none"}
    return Line2D([], [], color=colour, label=label, **style)


def _ring(label: str) -> Line2D:
    style: dict[str, Any] = {"marker": "o", "markersize": 8, "linestyle": "none"}
    style |= {"markerfacecolor": "none", "markeredgecolor": COLOURS[1]}
    return Line2D([], [], label=label, **style)


def _legend_above(axis: Axes, handles: Sequence[Any]) -> None:
    figure: Any = axis.figure
    figure.legend(
        handles=list(handles),
        loc="outside upper left",
        ncols=len(handles),
        fontsize=8,
        columnspacing=1.2,
    )


def _axes_through_zero(axis: Axes, points: np.ndarray) -> None:
    """Limits around all points, and lines through the origin."""
    low, high = points.min(axis=0), points.max(axis=0)
    room = 0.06 * np.maximum(high - low, 1e-12)
    axis.set_xlim(low[0] - room[0], high[0] + room[0])
    axis.set_ylim(low[1] - room[1], high[1] + room[1])
    axis.axhline(0, color="0.8", lw=0.8, zorder=0)
    axis.axvline(0, color="0.8", lw=0.8, zorder=0)


def _label(
    axis: Axes,
    anchors: np.ndarray,
    texts: Sequence[str],
    avoid: np.ndarray,
    middle: np.ndarray,
) -> None:
    """Write a text beside each point: none over another, few over points.

    Args:
        axis: with its final limits.
        anchors: `[n, 2]` points.
        texts: n.
        avoid: `[m, 2]` points that had better stay free.
        middle: `[2]` what the texts turn away from.
    """
    figure: Any = axis.figure
    with _any_script():
        figure.draw_without_rendering()
    figure.set_layout_engine("none")  # nothing moves any more
    pixels = axis.transData.transform
    taken: list[Bbox] = []
    spots = pixels(avoid)
    for anchor, text in zip(anchors, texts, strict=True):
        written = axis.annotate(
            text.replace("$", r"\$"),
            xy=anchor.tolist(),
            xytext=(0, 0),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=8,
            color=TEXT_COLOUR,
            zorder=5,
            arrowprops={"arrowstyle": "-", "color": "0.6", "lw": 0.6, "shrinkB": 3},
            path_effects=[withStroke(linewidth=2, foreground="white")],
        )
        renderer = figure.canvas.get_renderer()
        with _any_script():
            written.update_positions(renderer)
            # Of the words, without the line that leads to them.
            box = Text.get_window_extent(written, renderer)
        offset = _best_offset(axis, pixels(anchor), box, taken, (spots, pixels(middle)))
        written.set_position((offset * 72 / figure.dpi).tolist())
        taken.append(box.translated(*offset).padded(2))


def _best_offset(
    axis: Axes,
    place: np.ndarray,
    box: Bbox,
    taken: Sequence[Bbox],
    around: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Pixels from a point to its text: the place that costs least."""
    (spots, middle), frame = around, axis.bbox
    scale = axis.figure.dpi / 72
    outward = math.atan2(*(place - middle)[::-1])
    best, least = np.zeros(2), math.inf
    for radius, turn in OFFSETS:
        along = np.array([math.cos(outward + turn), math.sin(outward + turn)])
        # The text's edge, not its middle, is `radius` away; between corner and side.
        reach = radius * scale + np.hypot(*(along * [box.width / 2, box.height / 2]))
        tried = box.translated(*(along * reach))
        is_over = any(Bbox.intersection(tried, one) is not None for one in taken)
        is_inside = frame.x0 <= tried.x0 and tried.x1 <= frame.x1
        is_inside = is_inside and frame.y0 <= tried.y0 and tried.y1 <= frame.y1
        covered = int(tried.count_contains(spots))
        cost = 1000 * is_over + 300 * (not is_inside) + min(3 * covered, 100)
        cost += 1.5 * radius + 6 * (1 - math.cos(turn))
        if cost < least:
            best, least = along * reach, cost
    return best
