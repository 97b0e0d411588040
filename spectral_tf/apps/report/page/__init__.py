"""A page of results: one HTML file with text, tables and figures in two languages."""

from typing import TYPE_CHECKING

from spectral_tf.lazy import lazily

if TYPE_CHECKING:
    from spectral_tf.apps.report.page.html import page_html, write_page
    from spectral_tf.apps.report.page.parts import (
        LANGUAGES,
        Chart,
        Details,
        Fact,
        Facts,
        Heat,
        Notice,
        Page,
        Part,
        Section,
        Series,
        Table,
        Text,
        Words,
    )

__all__ = [
    "LANGUAGES",
    "Chart",
    "Details",
    "Fact",
    "Facts",
    "Heat",
    "Notice",
    "Page",
    "Part",
    "Section",
    "Series",
    "Table",
    "Text",
    "Words",
    "page_html",
    "write_page",
]

_HOMES = {
    "html": ("page_html", "write_page"),
    "parts": (
        "Chart",
        "Details",
        "Fact",
        "Facts",
        "Heat",
        "LANGUAGES",
        "Notice",
        "Page",
        "Part",
        "Section",
        "Series",
        "Table",
        "Text",
        "Words",
    ),
}
"""Module -> the public names that it defines."""

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES)
