"""Parts of a page as HTML: paragraphs, tiles, tables, figures, notices, folds."""

import base64
import functools
import re
from collections.abc import Sequence
from html import escape

from spectral_tf.apps.report.page.parts import (
    Chart,
    Details,
    Fact,
    Facts,
    Heat,
    Notice,
    Part,
    Table,
    Text,
    Words,
)
from spectral_tf.apps.report.page.png_figures import chart_png, heat_png, picture_legend
from spectral_tf.apps.report.page.prepared import ISO_DATE
from spectral_tf.apps.report.page.sentences import say
from spectral_tf.apps.report.page.words import columns_of, written

EMPTY = frozenset({"", "–", "—", "-", "n/a"})
TALL = 24
"""Rows, from which on a table scrolls under its head."""
LONG_WORD = 28
LONG_TEXT = 20
UNIT = 4
"""Letters that a number may carry, as in 1e−05 ms."""
BRACKETS = re.compile(r"(\([^()]*\))")
MOODS = {"good": say("page.good"), "bad": say("page.needs_attention")}
NOTICE = say("page.please_note")
SAVE = say("page.save_picture")
RESET = say("page.reset_zoom")
ASIDE = say("page.aside")
BELOW = say("page.below")


class Writer:
    """Writes parts in one language.

    Attributes:
        lang: "en" or "ja".
    """

    def __init__(self, lang: str) -> None:
        self.lang = lang

    def text(self, words: Words) -> str:
        """Words, escaped for HTML.

        Args:
            words: any text.

        Returns:
            HTML without elements.
        """
        return escape(written(words, self.lang), quote=True)

    @functools.singledispatchmethod
    def part(self, part: Part) -> str:
        """One part.

        Args:
            part: of a section.

        Returns:
            Its HTML.
        """
        raise TypeError(f"{type(part).__name__} is no part of a page")

    @part.register
    def _(self, part: str) -> str:
        return f'<p class="prose">{self.text(part)}</p>'

    @part.register
    def _(self, part: Text) -> str:
        return f'<p class="prose">{self.text(part)}</p>'

    @part.register
    def _(self, part: Notice) -> str:
        head = f"<strong>{escape(NOTICE.of(self.lang))}</strong>"
        text = self.text(part.text)
        return f'<div class="notice" role="note"><p>{head}{text}</p></div>'

    @part.register
    def _(self, part: Details) -> str:
        inside = "\n".join(map(self.part, part.parts))
        return (
            f'<details class="fold"><summary>{self.text(part.summary)}</summary>\n'
            f'<div class="inside">{inside}</div></details>'
        )

    @part.register
    def _(self, part: Facts) -> str:
        return f'<dl class="facts">{"".join(map(self._fact, part.facts))}</dl>'

    @part.register
    def _(self, part: Chart) -> str:
        return self._figure(part, chart_png(part, self.lang))

    @part.register
    def _(self, part: Heat) -> str:
        return self._figure(part, heat_png(part, self.lang))

    @part.register
    def _(self, part: Table) -> str:
        rows = [[written(each, self.lang) for each in row] for row in part.rows]
        kinds = [
            _cell_class([row[each] for row in rows]) for each in range(len(part.head))
        ]
        head = "".join(
            f'<th scope="col"{kind}>{self.text(name)}</th>'
            for name, kind in zip(part.head, kinds, strict=True)
        )
        body = "\n".join(
            _row(row, kinds, is_strong=index in part.strong)
            for index, row in enumerate(rows)
        )
        caption, tall = self.text(part.caption), " tall" if len(rows) > TALL else ""
        aside, below = escape(ASIDE.of(self.lang)), escape(BELOW.of(self.lang))
        return (
            f'<div class="sheet"><p class="hint" aria-hidden="true">'
            f'<span class="aside" hidden>{aside}</span>'
            f'<span class="below" hidden>{below}</span></p>\n'
            f'<div class="scroll{tall}" role="region" tabindex="0" '
            f'aria-label="{caption}">\n'
            f"<table><caption><span>{caption}</span></caption>\n"
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
            "</div>"
        )

    def _fact(self, fact: Fact) -> str:
        mood = MOODS.get(fact.mood)
        # The colour alone would not tell it to everybody.
        said = f'<span class="mood">{escape(mood.of(self.lang))}</span>' if mood else ""
        return (
            f'<div class="fact {fact.mood}"><dt>{self.text(fact.name)}{said}</dt>'
            f'<dd class="value">{self.text(fact.value)}</dd>'
            f'<dd class="meaning">{self.text(fact.meaning)}</dd></div>'
        )

    def _figure(self, figure: Chart | Heat, png: bytes) -> str:
        title, note = self.text(figure.title), self.text(figure.note)
        legend = escape(picture_legend(figure, self.lang))
        below = f'<p class="legend">{legend}</p>' if legend else ""
        width, height = (int.from_bytes(png[at : at + 4]) for at in (16, 20))
        data = base64.b64encode(png).decode()
        reset, save = escape(RESET.of(self.lang)), escape(SAVE.of(self.lang))
        aside = escape(ASIDE.of(self.lang))
        return (
            f'<figure id="{figure.id}"><div class="head"><h3>{title}</h3>'
            f'<div class="tools" hidden><button type="button" class="reset" hidden>'
            f'{reset}</button><button type="button" class="save">{save}</button>'
            f"</div></div>\n"
            f'<p class="hint narrow" aria-hidden="true">{aside}</p>'
            f'<div class="picture"><img alt="{title}. {note}" width="{width}" '
            f'height="{height}" src="data:image/png;base64,{data}">{below}</div>\n'
            f'<div class="plot"></div>\n<figcaption>{note}</figcaption></figure>'
        )


def _row(row: Sequence[str], kinds: Sequence[str], *, is_strong: bool) -> str:
    cells = []
    for index, (text, kind) in enumerate(zip(row, kinds, strict=True)):
        opening = 'th scope="row"' if index == 0 else "td"
        shown = escape(text)
        if "number" in kind:  # an interval stays on one line
            shown = BRACKETS.sub(r'<span class="whole">\1</span>', shown)
        cells.append(f"<{opening}{kind}>{shown}</{opening[:2]}>")
    strong = ' class="strong"' if is_strong else ""
    return f"<tr{strong}>{''.join(cells)}</tr>"


def _cell_class(texts: Sequence[str]) -> str:
    """How a column is set: numbers to the right; long words may break."""
    there = [each for each in texts if each not in EMPTY]
    if there and all(map(ISO_DATE.fullmatch, there)):
        return ' class="date"'
    if there and all(map(_is_number, there)):
        return ' class="number"'
    longest = max((len(word) for each in there for word in each.split()), default=0)
    if longest > LONG_WORD:
        return ' class="long"'
    widest = max(map(columns_of, there), default=0)
    return ' class="wordy"' if widest > LONG_TEXT else ' class="short"'


def _is_number(text: str) -> bool:
    first = next((each for each in text if each.isalnum()), "")
    return first.isdecimal() and sum(map(str.isalpha, text)) <= UNIT
