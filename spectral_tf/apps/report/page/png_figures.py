"""Figures as small pictures, for readers without JavaScript and for paper."""

import io
from collections.abc import Callable, Sequence
from typing import Any, overload

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis as DrawnAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
)
from PIL import Image

from spectral_tf.apps.report.letters import can_draw, fonts_for
from spectral_tf.apps.report.page.fonts import families, has_japanese
from spectral_tf.apps.report.page.parts import Chart, Heat
from spectral_tf.apps.report.page.pieces import Axis, PreparedChart, PreparedHeat, Track
from spectral_tf.apps.report.page.prepared import (
    MISSING,
    NAME_WIDTH,
    NameTicks,
    name_ticks,
    prepare_chart,
    prepare_heat,
)
from spectral_tf.apps.report.page.words import columns_of, number_text, shortened

WIDTH = 900
"""Pixels."""
DPI = 100
INK, SOFT, GRID = "#1c2430", "#4d5869", "#e3e7ec"
DASHES = ("-", ":", "-.")
DASHED = ("--", (0, (5, 1, 1, 1)), (0, (8, 3)))
MARKS = ("o", "s", "D")
LOOK: dict[Any, Any] = {
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.edgecolor": "#b4bcc8",
    "axes.labelcolor": SOFT,
    "axes.linewidth": 0.8,
    "axes.spines.left": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
}


def chart_png(chart: Chart, lang: str) -> bytes:
    """A chart as a picture.

    Args:
        chart: checked.
        lang: "en" or "ja"; English words are drawn where no font has Japanese.

    Returns:
        The bytes of a PNG, `WIDTH` pixels wide.
    """
    prepared, letters = _prepared(chart, lang)
    return _picture(
        prepared, letters, lambda axis: _Pen(axis, prepared, letters).draw()
    )


def heat_png(heat: Heat, lang: str) -> bytes:
    """A heat map as a picture.

    Args:
        heat: checked.
        lang: "en" or "ja"; English words are drawn where no font has Japanese.

    Returns:
        The bytes of a PNG, `WIDTH` pixels wide.
    """
    prepared, letters = _prepared(heat, lang)
    return _picture(prepared, letters, lambda axis: _draw_heat(axis, prepared, letters))


def picture_legend(figure: Chart | Heat, lang: str) -> str:
    """What the numbers in a picture stand for.

    Args:
        figure: checked.
        lang: "en" or "ja".

    Returns:
        `#1: name; #2: ...` of the texts that no installed font can write, empty if all
        are drawn.
    """
    numbers = _prepared(figure, lang)[1].numbers
    return "; ".join(f"{label}: {text}" for text, label in numbers.items())


@overload
def _prepared(figure: Chart, lang: str) -> tuple[PreparedChart, "_Letters"]: ...
@overload
def _prepared(figure: Heat, lang: str) -> tuple[PreparedHeat, "_Letters"]: ...
def _prepared(figure: Chart | Heat, lang: str) -> Any:
    """What is drawn, in the language of the picture, and who writes its texts."""
    lang = drawn_language(lang)
    is_chart = isinstance(figure, Chart)
    prepared = prepare_chart(figure, lang) if is_chart else prepare_heat(figure, lang)
    return prepared, _letters(prepared, lang)


def _picture(
    prepared: PreparedChart | PreparedHeat,
    letters: "_Letters",
    draw: Callable[[Axes], None],
) -> bytes:
    """A PNG of what `draw` draws."""
    with mpl.rc_context({**LOOK, "font.family": list(letters.fonts)}):
        figure, axis = _new(prepared.height)
        draw(axis)
        return _png(figure)


class _Letters:
    """Writes the texts of one picture: those that no font has as a number.

    Attributes:
        fonts: of the picture.
        numbers: text -> `#1`, `#2`, ... in the order of the picture.
    """

    def __init__(self, texts: Sequence[str], lang: str) -> None:
        self.fonts = fonts_for(texts, families(lang))
        wrong = [each for each in texts if not can_draw(each, self.fonts)]
        self.numbers = {
            text: f"#{place}" for place, text in enumerate(dict.fromkeys(wrong), 1)
        }

    def __call__(self, text: str) -> str:
        """A text as it is drawn; a shortened one is a number as the whole is."""
        if can_draw(text, self.fonts):
            return text
        whole = {
            shortened(each, NAME_WIDTH): label for each, label in self.numbers.items()
        }
        return self.numbers.get(text) or whole.get(text) or "#"


def _letters(prepared: PreparedChart | PreparedHeat, lang: str) -> _Letters:
    texts = [prepared.x.label, prepared.y.label, *prepared.x.names, *prepared.y.names]
    if isinstance(prepared, PreparedChart):
        texts += [track.name for track in prepared.tracks]
    else:
        texts.append(prepared.unit)
    return _Letters(texts, lang)


def drawn_language(lang: str) -> str:
    """The language of a picture.

    Args:
        lang: of the page.

    Returns:
        `lang`, or "en" where no font has Japanese.
    """
    return lang if lang != "ja" or has_japanese() else "en"


def _new(height: int) -> tuple[Figure, Axes]:
    size = (WIDTH / DPI, height / DPI)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def _png(figure: Figure) -> bytes:
    canvas: Any = figure.canvas
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    # A palette: a third of the bytes, and no difference that an eye sees.
    small = picture.quantize(128, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    target = io.BytesIO()
    small.save(target, "png", optimize=True)
    return target.getvalue()


class _Pen:
    """Draws one chart; knows which way its heights run."""

    def __init__(self, axis: Axes, chart: PreparedChart, letters: _Letters) -> None:
        self.axis, self.chart, self.letters = axis, chart, letters
        self.sides = "yx" if chart.is_flat else "xy"

    def draw(self) -> None:
        """Everything of the chart."""
        handles = []
        for rank, track in enumerate(self.chart.tracks):
            x = _numbers(track.x, self.chart.x.kind == "time")
            if self.chart.is_bars:
                handles.append(self._bars(track, x, rank))
            else:
                handles.append(self._line(track, x))
        self._scale()
        names = [self.letters(each.name) for each in self.chart.tracks]
        if len(names) > 1:
            _legend(self.axis, handles, names)

    def _line(self, track: Track, x: np.ndarray) -> Any:
        y, turn = _numbers(track.y), track.turn % len(DASHES)
        style: dict[str, Any] = {"color": track.colour, "zorder": 3}
        if track.style == "marks":
            self._whiskers(track, x, y)
            style |= {"marker": MARKS[turn], "markersize": 4.5, "alpha": 0.85}
            return self.axis.plot(x, y, linestyle="none", **style)[0]
        for band in track.bands():
            edges = _numbers(track.low)[band], _numbers(track.high)[band]
            fill: dict[str, Any] = {"color": track.colour, "alpha": 0.16, "lw": 0.8}
            self.axis.fill_between(x[band], *edges, zorder=2, **fill)
        lone = track.lone()
        self.axis.plot(x[lone], y[lone], linestyle="none", marker=".", **style)
        if track.is_marked():
            style |= {"marker": MARKS[turn], "markersize": 3.6}
        dash: Any = DASHED[turn] if track.style == "dashed" else DASHES[turn]
        width = 1.3 if track.style == "dashed" else 1.6
        return self.axis.plot(x, y, linestyle=dash, linewidth=width, **style)[0]

    def _bars(self, track: Track, x: np.ndarray, rank: int) -> Any:
        group = 0.76 * _least_gap(self.chart)
        width = group / len(self.chart.tracks)
        places = x - group / 2 + (rank + 0.5) * width
        y = _numbers(track.y)
        draw: Any = self.axis.barh if self.chart.is_flat else self.axis.bar
        hatch = ("", "///", "...")[track.turn % 3]
        look: dict[str, Any] = {"color": track.colour, "zorder": 3, "hatch": hatch}
        drawn = draw(places, y, width * 0.94, edgecolor="white", linewidth=0, **look)
        self._whiskers(track, places, y)
        return drawn

    def _whiskers(self, track: Track, x: np.ndarray, y: np.ndarray) -> None:
        if not track.low:
            return
        kept = np.flatnonzero([each is not None for each in track.low])
        sides = np.array(track.whiskers())[:, kept]
        points = (y[kept], x[kept]) if self.chart.is_flat else (x[kept], y[kept])
        bars = {"xerr" if self.chart.is_flat else "yerr": sides}
        colour = "#3a4453" if self.chart.is_bars else track.colour
        line: dict[str, Any] = {"fmt": "none", "ecolor": colour, "capsize": 2.5}
        self.axis.errorbar(*points, **bars, elinewidth=1, zorder=4, **line)

    def _scale(self) -> None:
        """Axes, their ticks and labels."""
        chart, (along, across) = self.chart, self.sides
        self.axis.grid(True, axis=across)  # pyright: ignore[reportArgumentType]
        if not chart.is_bars and chart.x.kind != "names":
            self.axis.grid(True)
        _scale(self.axis, along, chart.x, self.letters)
        _scale(self.axis, across, chart.y, self.letters)
        if chart.is_flat:
            self.axis.margins(y=0.01)
            self.axis.invert_yaxis()
        elif not chart.is_bars and not any(map(_has_marks, chart.tracks)):
            self.axis.margins(x=0.0)


def _scale(axes: Axes, side: str, axis: Axis, letters: _Letters) -> None:
    """Label and ticks of one side: "x" or "y"."""
    drawn: DrawnAxis = axes.xaxis if side == "x" else axes.yaxis
    drawn.set_label_text(letters(axis.label))
    if axis.kind == "names":
        _write_names(drawn, name_ticks(axis, is_below=side == "x"), letters)
        return
    if axis.kind == "time":
        _date_ticks(drawn)
        return
    if axis.kind == "log":
        axes.set(**{f"{side}scale": "log"})
        subs = (1, 2, 5) if axis.is_short() else (1,)
        drawn.set_major_locator(LogLocator(subs=subs))
        drawn.set_minor_formatter(NullFormatter())
    else:
        drawn.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10]))
    drawn.set_major_formatter(FuncFormatter(lambda value, _: number_text(value)))


def _date_ticks(drawn: DrawnAxis) -> None:
    """Dates in figures: the same in every language."""
    locator = AutoDateLocator(minticks=3, maxticks=9)
    drawn.set_major_locator(locator)
    formatter = ConciseDateFormatter(
        locator,
        formats=["%Y", "%Y-%m", "%m-%d", "%H:%M", "%H:%M", "%S"],
        zero_formats=["", "%Y-%m", "%Y-%m-%d", "%m-%d", "%H:%M", "%H:%M"],
        offset_formats=["", "%Y", "%Y", "%Y-%m-%d", "%Y-%m-%d", "%Y-%m-%d %H:%M"],
    )
    drawn.set_major_formatter(formatter)


def _write_names(drawn: DrawnAxis, ticks: NameTicks, letters: _Letters) -> None:
    drawn.set_major_locator(FixedLocator(ticks.places))
    slant: dict[str, Any] = {}
    if ticks.is_aslant:
        slant = {"rotation": 45, "rotation_mode": "anchor"}
        slant |= {"ha": "right", "va": "center"}
    drawn.set_ticklabels([letters(each) for each in ticks.texts], **slant)


def _legend(axis: Axes, handles: Sequence[Any], names: Sequence[str]) -> None:
    figure: Any = axis.figure
    fitting = int(120 / (max(map(columns_of, names)) + 6))
    figure.legend(
        handles=list(handles),
        labels=list(names),
        loc="outside upper left",
        ncols=max(min(fitting, len(names)), 1),
        columnspacing=1.6,
        handlelength=1.8,
    )


def _draw_heat(axis: Axes, heat: PreparedHeat, letters: _Letters) -> None:
    """The cells, their numbers and the scale of colours; nothing without cells."""
    if not heat.values.size:
        return
    plain = LinearSegmentedColormap.from_list("shades", heat.shades)
    shades = plain.with_extremes(bad=MISSING)
    low, high = heat.ends
    rows, columns = heat.values.shape
    edges = np.arange(columns + 1) - 0.5, np.arange(rows + 1) - 0.5
    masked = np.ma.masked_invalid(heat.values)
    line: dict[str, Any] = {"edgecolor": "white", "linewidth": 1}
    drawn = axis.pcolormesh(
        *edges, masked, cmap=shades, vmin=low, vmax=high, **(line if heat.cells else {})
    )
    axis.invert_yaxis()
    for side in axis.spines.values():
        side.set_visible(False)
    _scale(axis, "x", heat.x, letters)
    _scale(axis, "y", heat.y, letters)
    for row, texts in enumerate(heat.cells):
        for column, text in enumerate(texts):
            share = (heat.values[row, column] - low) / (high - low)
            colour = _ink_on(shades(float(share)))
            place: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8}
            axis.text(column, row, text, color=colour, **place)
    figure: Any = axis.figure
    bar = figure.colorbar(drawn, ax=axis, pad=0.015, aspect=28)
    bar.set_label(letters(heat.unit))
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda each, _: number_text(each)))


def _ink_on(colour: Sequence[float]) -> str:
    """Black or white, whichever is read on a colour."""
    red, green, blue = colour[:3]
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "#ffffff"


def _has_marks(track: Track) -> bool:
    return track.style == "marks" or track.is_marked()


def _numbers(values: Sequence[Any], is_time: bool = False) -> np.ndarray:
    """`[n]` numbers that matplotlib draws; NaN at a gap."""
    if is_time:
        return np.asarray(date2num(np.array(values, "datetime64[ms]")), float)
    return np.array([np.nan if each is None else each for each in values], float)


def _least_gap(chart: PreparedChart) -> float:
    """Between neighbouring groups of bars."""
    if chart.x.kind == "names":
        return 1.0
    rows = [_numbers(each.x, chart.x.kind == "time") for each in chart.tracks]
    x = np.concatenate([np.zeros(0), *rows])
    gaps = np.diff(np.unique(x[np.isfinite(x)]))
    return float(gaps.min()) if len(gaps) else 1.0
