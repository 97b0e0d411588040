"""Fonts of the pictures: one for Latin letters and, if there is one, for Japanese."""

import functools
from collections.abc import Sequence
from pathlib import Path

from matplotlib.font_manager import (
    FontProperties,
    findfont,
    findSystemFonts,
    fontManager,
    get_font,
)

LATIN = ("Noto Sans", "Segoe UI", "Helvetica Neue", "Arial", "Liberation Sans")
ALWAYS = "DejaVu Sans"
"""Comes with matplotlib."""
JAPANESE = (
    "Noto Sans CJK JP",
    "Noto Sans JP",
    "IPAexGothic",
    "IPAPGothic",
    "TakaoPGothic",
    "TakaoGothic",
    "Hiragino Sans",
    "Yu Gothic",
    "Meiryo",
    "MS Gothic",
)
# How their files are called, where matplotlib's list is older than the font.
JAPANESE_FILES = ("notosanscjk-regular", "notosansjp-regular", "ipaexg", "takaopgothic")
PROBE = "あ漢"


@functools.cache
def families(lang: str) -> tuple[str, ...]:
    """Fonts to draw with; where the first lacks a letter, the next has its turn.

    Args:
        lang: "en" or "ja"; the Japanese font comes first for "ja".

    Returns:
        Names of installed fonts, at least one.
    """
    known = {font.name for font in fontManager.ttflist}
    latin = [*[each for each in LATIN if each in known][:1], ALWAYS]
    japanese = _japanese(known)
    return tuple([*japanese, *latin] if lang == "ja" else [*latin, *japanese])


@functools.cache
def has_japanese() -> bool:
    """Whether Japanese text can be drawn.

    Returns:
        True if an installed font has its letters.
    """
    return drawable(PROBE, families("ja")) == PROBE


def drawable(text: str, names: Sequence[str]) -> str:
    """A text without letters that the fonts lack.

    Args:
        text: any text.
        names: of fonts, as from `families`.

    Returns:
        The text; "?" instead of every letter that would be drawn as an empty box.
    """
    fonts = [get_font(findfont(FontProperties(family=[name]))) for name in names]
    return "".join(
        each
        if each.isspace() or any(font.get_char_index(ord(each)) for font in fonts)
        else "?"
        for each in text
    )


def _japanese(known: set[str]) -> list[str]:
    named = [each for each in JAPANESE if each in known][:1]
    if named:
        return named
    for start in JAPANESE_FILES:
        for path in sorted(findSystemFonts()):
            if Path(path).stem.lower().startswith(start):
                fontManager.addfont(path)
                return [FontProperties(fname=path).get_name()]
    return []
