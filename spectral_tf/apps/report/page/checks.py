"""A page is checked before a line of it is written."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from spectral_tf.apps.report.page.parts import (
    LANGUAGES,
    Chart,
    Details,
    Heat,
    Page,
    Part,
    Table,
)
from spectral_tf.config import ConfigError, DataError
from spectral_tf.config.wording import counted

ID = re.compile(r"[A-Za-z0-9_-]+")
RESERVED = "page_"
"""Anchors of the page itself begin with it."""


def figures_of(parts: Sequence[Part]) -> Iterator[Chart | Heat]:
    """Every figure in some parts, those that are folded away, too.

    Args:
        parts: of a section, or of `Details`.

    Yields:
        The figures, in their order.
    """
    for part in parts:
        if isinstance(part, Chart | Heat):
            yield part
        elif isinstance(part, Details):
            yield from figures_of(part.parts)


def check_language(lang: str) -> None:
    """Refuse a language that no text has.

    Args:
        lang: what was asked for.

    Raises:
        ConfigError: if it is none of `LANGUAGES`.
    """
    if lang not in LANGUAGES:
        raise ConfigError(
            f"lang={lang!r}: a page is written in one of {', '.join(LANGUAGES)}; "
            "name one of them."
        )


def check_page(page: Page) -> None:
    """Refuse a page whose anchors or data do not fit together.

    Args:
        page: the page.

    Raises:
        ConfigError: if an id is malformed or used twice.
        DataError: if the lengths within a figure or a table differ.
    """
    figures = [each for part in page.sections for each in figures_of(part.parts)]
    _check_ids([each.id for each in (*page.sections, *figures)])
    for figure in figures:
        if isinstance(figure, Chart):
            _check_chart(figure)
        else:
            _check_heat(figure)
    for section in page.sections:
        _check_tables(section.parts)


def _check_ids(ids: Sequence[str]) -> None:
    for each in ids:
        if not ID.fullmatch(each) or each.startswith(RESERVED):
            raise ConfigError(
                f"id {each!r}: an id is made of the letters a to z, digits, - and _, "
                f"and does not begin with {RESERVED}; give another."
            )
    twice = [each for each, count in Counter(ids).items() if count > 1]
    if twice:
        raise ConfigError(
            f"id {twice[0]!r} is used more than once; every section and figure of a "
            "page needs its own."
        )


def _check_chart(chart: Chart) -> None:
    for index, series in enumerate(chart.series):
        if (series.low is None) != (series.high is None):
            raise DataError(
                f"figure {chart.id!r}, series {index}: an interval has two ends; give "
                "both low and high, or neither."
            )
        others = {"y": series.y, "low": series.low, "high": series.high}
        for name, values in {**others, "label": series.label}.items():
            if values is not None and len(values) != len(series.x):
                raise DataError(
                    f"figure {chart.id!r}, series {index}: {name} has "
                    f"{counted(len(values), 'entry', 'entries')}, x has "
                    f"{len(series.x)}; give as many."
                )


def _check_heat(heat: Heat) -> None:
    expected = (len(heat.y_names), len(heat.x_names))
    if np.shape(heat.values) != expected:
        raise DataError(
            f"figure {heat.id!r}: values has the shape {np.shape(heat.values)}; its "
            f"names say {expected}, [rows, columns]."
        )


def _check_tables(parts: Sequence[Part]) -> None:
    for part in parts:
        if isinstance(part, Details):
            _check_tables(part.parts)
        elif isinstance(part, Table):
            _check_table(part)


def _check_table(table: Table) -> None:
    for index, row in enumerate(table.rows):
        if len(row) != len(table.head):
            raise DataError(
                f"table {table.caption!r}, row {index}: {counted(len(row), 'cell')} "
                f"under {counted(len(table.head), 'head')}; give as many."
            )
    beyond = [each for each in table.strong if not 0 <= each < len(table.rows)]
    if beyond:
        raise DataError(
            f"table {table.caption!r}: strong names row {beyond[0]}, but its rows are "
            f"0 to {len(table.rows) - 1}."
        )
