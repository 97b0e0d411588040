"""What a figure draws, for the browser and for the picture alike."""

import dataclasses
import itertools
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from spectral_tf.apps.report.figures import COLOURS
from spectral_tf.apps.report.page.parts import Chart, Heat, Series, Words
from spectral_tf.apps.report.page.pieces import (
    Axis,
    AxisKind,
    Position,
    PreparedChart,
    PreparedHeat,
    Track,
    value_text,
)
from spectral_tf.apps.report.page.sentences import say
from spectral_tf.apps.report.page.words import (
    columns_of,
    number_text,
    shortened,
    written,
)

ISO_DATE = re.compile(
    r"(\d{4}-\d{2}(?:-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?)?)?)"
    r"\d{0,6}(?:Z|[+-]\d{2}:?\d{2})?"
)
SHADES = ("#ffffff", "#c6dcee", "#7db1d8", "#2c78b0", "#0a3558")
SIGNED_SHADES = ("#0a4a80", "#5c9fd0", "#ffffff", "#ee8a6b", "#a01c1c")
MISSING = "#b7bbc2"
CHART_HEIGHT = 400
"""Pixels, of a figure without names along its height."""
MOST_CELLS = 150
MOST_CELL_COLUMNS = 12
"""Heat maps up to this size show their numbers."""
NAME_WIDTH = 26
"""Letters of a name at an axis; hovering shows all of it."""
LEGEND_WIDTH = 44
LABEL_WIDTH = 56


@dataclasses.dataclass(frozen=True)
class _Scales:
    """What a point means on the axes of its chart."""

    kind: AxisKind
    names: tuple[str, ...]
    is_log_y: bool
    is_unified: bool
    lang: str


def prepare_chart(chart: Chart, lang: str) -> PreparedChart:
    """The series at their positions, gaps made plain.

    Args:
        chart: checked.
        lang: "en" or "ja".

    Returns:
        What is drawn.
    """
    is_bars = chart.kind == "bars"
    chart = chart.in_language(lang)
    kind = _kind([each for series in chart.series for each in series.x], chart.log_x)
    places = [_places(series.x, kind, is_bars) for series in chart.series]
    names: tuple[str, ...] = ()
    if kind == "names":
        order = dict.fromkeys(itertools.chain.from_iterable(places))
        names = tuple(written(name, lang) for name, _ in order)
        index = {place: float(rank) for rank, place in enumerate(order)}
        places = [[index[place] for place in row] for row in places]
    is_unified = not is_bars and kind != "names" and _has_common_x(chart.series)
    scales = _Scales(kind, names, chart.log_y, is_unified, lang)
    tracks = tuple(
        _track(series, x, rank, scales)
        for rank, (series, x) in enumerate(zip(chart.series, places, strict=True))
    )
    widest = max(map(columns_of, names), default=0)
    is_flat = is_bars and (widest > 12 or widest * len(names) > 96)
    thickness = 14 * len(tracks) + 12
    return PreparedChart(
        x=_x_axis(kind, _axis_label(chart.x_label, lang), names, places),
        y=_y_axis(chart.log_y, _axis_label(chart.y_label, lang), tracks),
        tracks=tracks,
        is_bars=is_bars,
        is_flat=is_flat,
        is_unified=is_unified,
        height=min(max(120 + thickness * len(names), 240), 1400)
        if is_flat
        else CHART_HEIGHT,
    )


def prepare_heat(heat: Heat, lang: str) -> PreparedHeat:
    """The matrix, its colours and the texts in its cells.

    Args:
        heat: checked.
        lang: "en" or "ja".

    Returns:
        What is drawn.
    """
    values = np.array(heat.values, dtype=float)
    values[~np.isfinite(values)] = np.nan
    x_names = tuple(written(each, lang) for each in heat.x_names)
    y_names = tuple(written(each, lang) for each in heat.y_names)
    is_small = values.size <= MOST_CELLS and len(x_names) <= MOST_CELL_COLUMNS
    cells = tuple(tuple(map(_cell_text, row)) for row in values) if is_small else ()
    return PreparedHeat(
        x=Axis("names", _axis_label(heat.x_label, lang), x_names),
        y=Axis("names", _axis_label(heat.y_label, lang), y_names),
        values=values,
        ends=_ends(values, heat.is_signed),
        shades=SIGNED_SHADES if heat.is_signed else SHADES,
        cells=cells,
        unit=shortened(written(heat.unit, lang), LEGEND_WIDTH),
        height=min(max(170 + 26 * len(y_names), 280), 900),
    )


@dataclasses.dataclass(frozen=True)
class NameTicks:
    """Which names are written at an axis.

    Attributes:
        places, texts: `[ticks]`, evenly spaced.
        is_aslant: too wide to lie side by side.
    """

    places: tuple[int, ...]
    texts: tuple[str, ...]
    is_aslant: bool


def name_ticks(axis: Axis, *, is_below: bool, is_narrow: bool = False) -> NameTicks:
    """The names of an axis that have room.

    Args:
        axis: of names.
        is_below: side by side, else one above the other.
        is_narrow: the figure is as wide as a telephone.

    Returns:
        The ticks.
    """
    width, letters = (15, 36) if is_narrow else (NAME_WIDTH, 110)
    most, texts = (14 if is_narrow else 45), [shortened(n, width) for n in axis.names]
    widest = max(map(columns_of, texts), default=0)
    # Short ones, as the hours of a day, are thinned out; others are turned.
    is_aslant = is_below and widest > 5 and (widest + 1) * len(texts) > letters
    if is_below and not is_aslant:
        most = letters // (widest + 1)
    step = max(-(-len(texts) // most), 1)
    places = tuple(range(0, len(texts), step))
    return NameTicks(places, tuple(texts[each] for each in places), is_aslant)


def _kind(values: Sequence[Any], is_log: bool) -> AxisKind:
    if not any(isinstance(each, str) for each in values):
        return "log" if is_log else "number"
    if all(isinstance(each, str) and _date(each) for each in values):
        return "time"
    return "names"


def _axis_label(words: Words, lang: str) -> str:
    return shortened(written(words, lang), LABEL_WIDTH)


def _x_axis(
    kind: AxisKind, label: str, names: tuple[str, ...], places: Sequence[Sequence[Any]]
) -> Axis:
    drawn = [each for row in places for each in row if each is not None]
    if kind == "time":
        return Axis(kind, label, has_clock=any(len(each) > 10 for each in drawn))
    if kind == "log" and drawn:
        return Axis(kind, label, extent=(min(drawn), max(drawn)))
    return Axis(kind, label, names)


def _y_axis(is_log: bool, label: str, tracks: Sequence[Track]) -> Axis:
    if not is_log:
        return Axis("number", label)
    rows = itertools.chain.from_iterable(
        (*one.y, *one.low, *one.high) for one in tracks
    )
    drawn = [each for each in rows if each is not None]
    return Axis(
        "log", label, extent=(min(drawn, default=1.0), max(drawn, default=10.0))
    )


def _date(text: str) -> str:
    """The date without its zone, or nothing.

    Neither renderer knows zones: the time is drawn as it is written.
    """
    match = ISO_DATE.fullmatch(text)
    if match is None:
        return ""
    try:
        np.datetime64(match[1], "ms")
    except ValueError:  # the 30th of February
        return ""
    return match[1]


def _places(x: Sequence[Any], kind: AxisKind, is_bars: bool) -> list[Any]:
    """Positions; on an axis of names `(name, how many of it came before)`."""
    if kind == "time":
        return [_date(each) for each in x]
    if kind != "names":
        return [_number(each, kind == "log") for each in x]
    seen: Counter[str] = Counter()
    places = []
    for each in map(str, x):
        places.append((each, seen[each]))
        # Two columns of one name are two bars; two points of one name share a place.
        seen[each] += is_bars
    return places


def _has_common_x(series: Sequence[Series]) -> bool:
    """Whether a reader compares heights at one x: not within clouds of points."""
    is_labelled = any(each.label is not None for each in series)
    return not is_labelled and any(each.style != "marks" for each in series)


def short_number(value: Any) -> float | None:
    """A number with nine digits, which is more than a figure shows.

    Args:
        value: a number or None.

    Returns:
        The number, or None where it is None, NaN or infinite.
    """
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.9g}")


def _number(value: Any, is_log: bool) -> float | None:
    number = short_number(value)
    return None if is_log and number is not None and number <= 0 else number


def _heights(
    values: Sequence[Any], x: Sequence[Position], is_log: bool
) -> tuple[float | None, ...]:
    return tuple(
        None if place is None else _number(value, is_log)
        for value, place in zip(values, x, strict=True)
    )


def _interval(
    series: Series, x: Sequence[Position], is_log: bool
) -> tuple[tuple[float | None, ...], tuple[float | None, ...]]:
    if series.low is None or series.high is None:
        return (), ()
    low, high = _heights(series.low, x, is_log), _heights(series.high, x, is_log)
    whole = [None not in pair for pair in zip(low, high, strict=True)]
    return (
        tuple(each if ok else None for each, ok in zip(low, whole, strict=True)),
        tuple(each if ok else None for each, ok in zip(high, whole, strict=True)),
    )


def _track(series: Series, x: Sequence[Position], rank: int, scales: _Scales) -> Track:
    y = _heights(series.y, x, scales.is_log_y)
    low, high = _interval(series, x, scales.is_log_y)
    name = written(series.name, scales.lang)
    if series.label is None:
        texts = _values(y, low, high, scales.lang)
        if not scales.is_unified:
            heads = [_place_text(each, scales) for each in x]
            pairs = zip(heads, texts, strict=True)
            texts = [f"{head}\n{name}: {text}" for head, text in pairs]
    else:
        texts = [written(each, scales.lang) for each in series.label]
    return Track(
        name=shortened(name, LEGEND_WIDTH),
        style=series.style,
        colour=COLOURS[rank % len(COLOURS)],
        turn=rank // len(COLOURS),
        x=tuple(x),
        y=y,
        low=low,
        high=high,
        hover=tuple(texts),
    )


def _values(
    y: Sequence[float | None],
    low: Sequence[float | None],
    high: Sequence[float | None],
    lang: str,
) -> list[str]:
    texts = list(map(value_text, y))
    between = say("page.range").of(lang)
    for index, (start, end) in enumerate(zip(low, high, strict=True)):
        if y[index] is not None and start is not None and end is not None:
            ends = f"{number_text(start)}{between}{number_text(end)}"
            texts[index] += f" ({ends})"
    return texts


def _place_text(place: Position, scales: _Scales) -> str:
    if place is None:
        return "–"
    if isinstance(place, str):
        return place.replace("T", " ")
    return scales.names[int(place)] if scales.names else number_text(place)


def _cell_text(value: float) -> str:
    if math.isnan(value):
        return ""
    if value and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.0e}".replace("-", "−")
    decimals = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    text = f"{value:.{decimals}f}"
    return (text if float(text) else text.lstrip("-")).replace("-", "−")


def _ends(values: np.ndarray, is_signed: bool) -> tuple[float, float]:
    """Values of the first and the last colour; never equal."""
    there = values[~np.isnan(values)]
    if is_signed:
        size = float(np.max(np.abs(there), initial=0.0)) or 1.0
        return -size, size
    if not len(there):
        return 0.0, 1.0
    low, high = float(there.min()), float(there.max())
    return low, high if high > low else low + (abs(low) or 1.0)
