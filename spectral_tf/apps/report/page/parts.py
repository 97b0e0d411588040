"""What a page is made of: plain data, from which HTML and pictures are drawn.

Every visible text has an English and a Japanese form; numbers and names of columns are
the same in both.
"""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np

LANGUAGES = ("en", "ja")


@dataclasses.dataclass(frozen=True)
class Text:
    """A text in both languages; never HTML, it is escaped where it is written."""

    en: str
    ja: str

    def of(self, lang: str) -> str:
        """The form in one language."""
        return self.ja if lang == "ja" else self.en


Words = Text | str
"""A text, or what is the same in both languages: a number, a name."""


@dataclasses.dataclass(frozen=True)
class Series:
    """One line, cloud or group of bars.

    Attributes:
        name: in the legend.
        x: `[n]` positions; words for bars, in both languages where they are a Text; ISO
            dates are a time axis.
        y: `[n]` heights; None or NaN where there is none.
        low, high: `[n]` ends of an interval around y, or None.
        style: of a line chart's series: a line, marks alone, or a dashed line (a
            threshold or a baseline).
        label: `[n]` what a reader sees of each point on hovering, or None.
    """

    name: Words
    x: Sequence[float | Words]
    y: Sequence[float | None]
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None
    style: Literal["line", "marks", "dashed"] = "line"
    label: Sequence[Words] | None = None

    def in_language(self, lang: str) -> "Series":
        """The same with its positions and labels in one language."""
        of = lambda each: each.of(lang) if isinstance(each, Text) else each
        label = None if self.label is None else [of(each) for each in self.label]
        return dataclasses.replace(self, x=[of(each) for each in self.x], label=label)


@dataclasses.dataclass(frozen=True)
class Chart:
    """A figure with two axes.

    Attributes:
        id: unique in the page; letters, digits and `-`.
        title, x_label, y_label: shown.
        kind: "lines" (every series by its style) or "bars" (grouped).
        series: what is drawn.
        note: the sentence below: what the figure shows and how to read it.
        log_x, log_y: logarithmic axes.
    """

    id: str
    title: Words
    x_label: Words
    y_label: Words
    series: tuple[Series, ...]
    note: Words
    kind: Literal["lines", "bars"] = "lines"
    log_x: bool = False
    log_y: bool = False

    def in_language(self, lang: str) -> "Chart":
        """The same with the positions and labels of its series in one language."""
        series = tuple(each.in_language(lang) for each in self.series)
        return dataclasses.replace(self, series=series)


@dataclasses.dataclass(frozen=True)
class Heat:
    """A matrix in colours.

    Attributes:
        id, title, x_label, y_label, note: as `Chart`.
        values: `[rows, columns]`; the first row is drawn on top.
        x_names: `[columns]`.
        y_names: `[rows]`.
        is_signed: blue for negative, white for 0, red for positive, symmetric; else
            white for the smallest and dark for the largest.
        unit: of the values, at the colour bar.
    """

    id: str
    title: Words
    x_label: Words
    y_label: Words
    values: np.ndarray
    x_names: tuple[Words, ...]
    y_names: tuple[Words, ...]
    note: Words
    unit: Words
    is_signed: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows under a head.

    Attributes:
        caption: above the table; what it shows.
        head: `[columns]`.
        rows: `[rows][columns]`, already formatted.
        strong: indices of rows to stress.
    """

    caption: Words
    head: tuple[Words, ...]
    rows: tuple[tuple[Words, ...], ...]
    strong: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Fact:
    """A number that a reader looks for first: a tile at the top of a section.

    Attributes:
        value: formatted, with its unit.
        name: what it is.
        meaning: what it means for the reader, one sentence.
        mood: how it is marked: good, bad, or neither.
    """

    value: Words
    name: Words
    meaning: Words
    mood: Literal["good", "bad", "plain"] = "plain"


@dataclasses.dataclass(frozen=True)
class Facts:
    """Tiles in a row."""

    facts: tuple[Fact, ...]


@dataclasses.dataclass(frozen=True)
class Notice:
    """A paragraph that must not be missed: faults are injected, an assumption fails."""

    text: Words


@dataclasses.dataclass(frozen=True)
class Details:
    """Parts that are folded away until the reader opens them; open when printed."""

    summary: Words
    parts: "tuple[Part, ...]"


Part = Text | str | Chart | Heat | Table | Facts | Notice | Details
"""A Text or str is a paragraph."""


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the page with a heading; `id` is its anchor."""

    id: str
    title: Words
    parts: tuple[Part, ...]


@dataclasses.dataclass(frozen=True)
class Page:
    """The whole: title, the sentence below it, sections in their order."""

    title: Words
    lead: Words
    sections: tuple[Section, ...]
