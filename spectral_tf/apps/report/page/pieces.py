"""The pieces of a figure as they are drawn: axes, tracks, charts, heat maps."""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from spectral_tf.apps.report.page.words import number_text

Position = float | str | None
AxisKind = Literal["number", "log", "time", "names"]
MOST_MARKED = 60
"""Points of a line that are marked one by one."""


@dataclasses.dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        kind: how positions are read.
        label: beside it.
        names: `[positions]` of an axis of names; their positions are 0, 1, 2, ...
        has_clock: of an axis of dates: with the time of day.
        extent: of a logarithmic axis: its smallest and its largest number.
    """

    kind: AxisKind
    label: str
    names: tuple[str, ...] = ()
    has_clock: bool = False
    extent: tuple[float, float] = (1.0, 10.0)

    def is_short(self) -> bool:
        """Whether the powers of ten alone would be too few ticks."""
        return self.extent[1] < 300 * self.extent[0]

    def is_plain(self) -> bool:
        """Whether its numbers can be written without an exponent."""
        return self.extent[0] >= 1e-5 and self.extent[1] < 1e8


@dataclasses.dataclass(frozen=True)
class Track:
    """One series, ready to be drawn.

    Attributes:
        name: in the legend, shortened.
        style: as `Series.style`.
        colour: of all of it.
        turn: 0 for the first series in a colour, 1 for the second: another dash or
            another mark.
        x, y: `[n]`; both None at a gap.
        low, high: `[n]`, or empty; None where there is no interval.
        hover: `[n]` what hovering shows, in lines.
    """

    name: str
    style: Literal["line", "marks", "dashed"]
    colour: str
    turn: int
    x: tuple[Position, ...]
    y: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    hover: tuple[str, ...]

    def runs(self) -> list[list[int]]:
        """Indices of the stretches without a gap in y."""
        return _runs([each is not None for each in self.y])

    def bands(self) -> list[list[int]]:
        """Indices of the stretches that have an interval."""
        return _runs([each is not None for each in self.low])

    def whiskers(self) -> tuple[list[float], list[float]]:
        """`[n]` lengths of the interval below and above y; 0 where there is none."""
        below, above = [], []
        for y, low, high in zip(self.y, self.low, self.high, strict=True):
            if y is None or low is None or high is None:
                y = low = high = 0.0
            below.append(max(y - low, 0.0))
            above.append(max(high - y, 0.0))
        return below, above

    def is_marked(self) -> bool:
        """Whether each point of the line has its own mark."""
        return self.style == "line" and 0 < len(self.x) <= MOST_MARKED

    def lone(self) -> list[int]:
        """Points of an unmarked line between two gaps; a line cannot show them."""
        if self.style == "marks" or self.is_marked():
            return []
        return [run[0] for run in self.runs() if len(run) == 1]


@dataclasses.dataclass(frozen=True)
class PreparedChart:
    """A chart, ready to be drawn.

    Attributes:
        x, y: the axes.
        tracks: the series.
        is_bars: bars, else lines and marks.
        is_flat: bars lie: names are too long to stand below.
        is_unified: hovering shows all series at one x.
        height: pixels.
    """

    x: Axis
    y: Axis
    tracks: tuple[Track, ...]
    is_bars: bool
    is_flat: bool
    is_unified: bool
    height: int


@dataclasses.dataclass(frozen=True)
class PreparedHeat:
    """A heat map, ready to be drawn.

    Attributes:
        x, y: axes of names.
        values: `[rows, columns]`, NaN where there is none.
        ends: values of the first and the last colour.
        shades: colours, evenly spaced.
        cells: `[rows][columns]` texts in the cells, or empty.
        unit: at the colour bar.
        height: pixels.
    """

    x: Axis
    y: Axis
    values: np.ndarray
    ends: tuple[float, float]
    shades: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    unit: str
    height: int

    def hover(self) -> list[list[str]]:
        """`[rows][columns]` what hovering shows, in lines."""
        y_head, x_head = (
            f"{axis.label}: " if axis.label else "" for axis in (self.y, self.x)
        )
        return [
            [
                f"{y_head}{row}\n{x_head}{column}\n{value_text(value)}"
                for column, value in zip(self.x.names, values, strict=True)
            ]
            for row, values in zip(self.y.names, self.values, strict=True)
        ]


def value_text(value: float | None) -> str:
    """What hovering shows of a value; a dash where there is none."""
    return "–" if value is None or math.isnan(value) else number_text(value)


def _runs(is_there: Sequence[bool]) -> list[list[int]]:
    groups = itertools.groupby(range(len(is_there)), key=is_there.__getitem__)
    return [list(group) for whole, group in groups if whole]
