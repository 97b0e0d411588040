"""A page as one HTML file that loads nothing, and runs nothing but its own scripts."""

import base64
import hashlib
import json
import os
import re
from collections.abc import Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from spectral_tf.apps.report.page.blocks import Writer
from spectral_tf.apps.report.page.checks import check_language, check_page, figures_of
from spectral_tf.apps.report.page.parts import Chart, Heat, Page, Section
from spectral_tf.apps.report.page.plotly_figures import chart_figure, heat_figure
from spectral_tf.apps.report.page.sentences import say
from spectral_tf.config import ConfigError

CONTENTS = say("page.contents")
SKIP = say("page.skip")
FOOTER = say("page.footer")
# plotly.js brings the style sheet of its maps and adds it as soon as it runs, unless
# an element of this id is there. No map is drawn, and the policy would refuse it.
MAP_STYLE_ID = re.compile(
    r'getElementById\("([0-9a-f]{64})"\)\)\{var \w+=document\.createElement\("style"\)'
)
# Plotly writes its own rules into the style element of this id. The page's style
# element has it: rules that are added to an allowed sheet need no 'unsafe-inline'.
STYLE_ID = "plotly.js-style-global"


def write_page(page: Page, path: Path, *, lang: str) -> Path:
    """Write a page as one HTML file; what was there is replaced at once.

    Args:
        page: what it says.
        path: HTML file to write; its folder exists.
        lang: "en" or "ja".

    Returns:
        `path`.

    Raises:
        ConfigError: if `lang` is none of the two, or an id of the page is malformed
            or used twice.
        DataError: if the lengths within a figure or a table differ.
    """
    text = page_html(page, lang)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        draft.write_text(text, encoding="utf-8", newline="\n")
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def page_html(page: Page, lang: str) -> str:
    """The text of the HTML file; the same for the same page.

    Args:
        page: what it says.
        lang: "en" or "ja".

    Returns:
        A whole HTML document.

    Raises:
        ConfigError: as `write_page`; also if the page has a figure and plotly is not
            installed.
        DataError: as `write_page`.
    """
    check_language(lang)
    check_page(page)
    writer = Writer(lang)
    figures = [each for part in page.sections for each in figures_of(part.parts)]
    library = _plotly() if figures else ""
    style, script = _own("page.css"), _own("page.js")
    scripts = [library, script] if figures else [script]
    body = [
        f'<a class="skip" href="#page_main">{escape(SKIP.of(lang))}</a>',
        '<header class="top">',
        f"<h1>{writer.text(page.title)}</h1>",
        f'<p class="lead">{writer.text(page.lead)}</p>',
        "</header>",
        '<div class="layout">',
        *_contents(page.sections, writer),
        '<main id="page_main" tabindex="-1">',
        *(_section(each, writer) for each in page.sections),
        "</main>",
        "</div>",
        f'<footer class="end"><p>{escape(FOOTER.of(lang))}</p></footer>',
        _data([_figure(each, lang) for each in figures]),
        *(f"<script>{each}</script>" for each in scripts),
    ]
    lines = [
        "<!DOCTYPE html>",
        f'<html lang="{lang}" data-figures="{len(figures)}">',
        "<head>",
        *_head(writer.text(page.title), style, scripts),
        "</head>",
        "<body>",
        *body,
        "</body>",
        "</html>",
    ]
    return "\n".join(lines) + "\n"


def _head(title: str, style: str, scripts: Sequence[str]) -> list[str]:
    policy = "; ".join(
        [
            "default-src 'none'",
            "img-src data:",
            f"style-src {_hash(style)}",
            f"script-src {' '.join(map(_hash, scripts))}",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    found = [MAP_STYLE_ID.search(each) for each in scripts]
    silenced = [f'<template id="{each[1]}"></template>' for each in found if each]
    return [
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>{title}</title>",
        '<link rel="icon" href="data:,">',
        f'<style id="{STYLE_ID}">{style}</style>',
        *silenced,
    ]


def _contents(sections: Sequence[Section], writer: Writer) -> list[str]:
    """The table of contents twice: beside the page, and folded on a narrow screen."""
    if len(sections) < 2:
        return []
    name = escape(CONTENTS.of(writer.lang))
    links = "".join(
        f'<li><a href="#{each.id}">{writer.text(each.title)}</a></li>'
        for each in sections
    )
    return [
        f'<nav class="contents beside" aria-label="{name}">',
        f"<p>{name}</p><ol>{links}</ol></nav>",
        f'<nav class="contents folded" aria-label="{name}">',
        f"<details><summary>{name}</summary><ol>{links}</ol></details></nav>",
    ]


def _section(section: Section, writer: Writer) -> str:
    head = f"page_title_{section.id}"
    return "\n".join(
        [
            f'<section id="{section.id}" aria-labelledby="{head}">',
            f'<h2 id="{head}">{writer.text(section.title)}</h2>',
            *map(writer.part, section.parts),
            "</section>",
        ]
    )


def _figure(figure: Chart | Heat, lang: str) -> dict[str, Any]:
    draw = chart_figure if isinstance(figure, Chart) else heat_figure
    return {"id": figure.id, **draw(figure, lang)}  # pyright: ignore


def _data(figures: Sequence[dict[str, Any]]) -> str:
    text = json.dumps(
        figures, ensure_ascii=False, allow_nan=False, separators=(",", ":")
    )
    # No letter that could end the element or begin a comment; JSON reads them back.
    for each in "<>&\u2028\u2029":
        text = text.replace(each, f"\\u{ord(each):04x}")
    return f'<script type="application/json" id="page_figures">{text}</script>'


def _plotly() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise ConfigError(
            f"a page with figures needs the package plotly ({error}); install it with: "
            "pip install 'spectral_tf[poc]'"
        ) from error
    return _inline(get_plotlyjs())


def _own(name: str) -> str:
    file = resources.files("spectral_tf.apps.report.page").joinpath(name)
    return _inline(file.read_text(encoding="utf-8"))


def _inline(text: str) -> str:
    """A script or style as the browser will read it, which the hash is of."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    if re.search(r"</(script|style)|<!--|\0", plain, re.IGNORECASE):
        raise ConfigError(
            "a script or style holds </script, </style, <!-- or NUL and cannot stand "
            "inside a page; use the version of plotly that the package is tested with."
        )
    return plain


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
