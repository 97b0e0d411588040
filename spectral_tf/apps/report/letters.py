"""Names in pictures: a font that has their letters, or else numbers and a legend.

Matplotlib draws a letter that its font lacks as a box. Its list of fonts is made once
for a computer, so that fonts which were installed later are not in it.
"""

import functools
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
from matplotlib.font_manager import (
    FontProperties,
    findSystemFonts,
    fontManager,
    get_font,
)

PLAIN = "DejaVu Sans"
"""Comes with matplotlib: Latin, Greek, Cyrillic, Arabic, Hebrew."""
PREFERRED = (
    *("noto sans cjk jp", "noto sans jp", "ipaexgothic", "ipapgothic", "ipagothic"),
    *("takaopgothic", "takaogothic", "hiragino sans", "yu gothic", "meiryo"),
    *("ms gothic", "noto sans cjk", "noto sans sc", "noto sans tc", "noto sans kr"),
    *("source han sans", "wenquanyi", "pingfang", "microsoft yahei", "simhei"),
    *("malgun gothic", "apple sd gothic", "nanumgothic", "noto sans arabic"),
    *("noto naskh", "noto sans devanagari", "lohit devanagari", "nirmala", "mangal"),
    *("noto sans", "noto serif", "unifont"),
)
"""Beginnings of names of fonts, the better ones first; then all others by name."""
# Since 3.11 matplotlib joins Arabic letters, orders them and stacks Indic vowels.
SHAPES = tuple(int(part) for part in mpl.__version__.split(".")[:2]) >= (3, 11)
ORDINARY = frozenset({"400", "normal", "regular", "book", "500", "medium"})
"""Weights of a font for names."""
SHAPED = ((0x0590, 0x08FF), (0x0900, 0x0DFF), (0x0E00, 0x109F), (0x1780, 0x18AF))
"""Code points whose letters depend on their neighbours: Arabic, Indic, Thai, Khmer."""


class Lettering(NamedTuple):
    """How names are drawn.

    Attributes:
        fonts: names of installed fonts; where the first lacks a letter, the next has
            its turn.
        labels: what is drawn for each name: itself, or `#3` for the third.
        legend: `(label, name)` of every name that is drawn as a number.
    """

    fonts: tuple[str, ...]
    labels: tuple[str, ...]
    legend: tuple[tuple[str, str], ...]

    def sentence(self, picture: str) -> str:
        """What the numbers in a picture stand for; empty if there are none."""
        if not self.legend:
            return ""
        parts = ", ".join(f"{label} is {name!r}" for label, name in self.legend)
        return f"In {picture} {parts}: no installed font has the letters."


def lettering(
    names: Sequence[str],
    first: Sequence[str] = (PLAIN,),
    numbers: Sequence[int] | None = None,
) -> Lettering:
    """Fonts for names, and numbers for those that no installed font can write.

    Args:
        names: to be drawn, each on one line.
        first: fonts that are preferred.
        numbers: of the names; default 1, 2, 3, ...

    Returns:
        How they are drawn.
    """
    fonts = fonts_for(names, first)
    numbers = range(1, len(names) + 1) if numbers is None else numbers
    labels, legend = [], {}
    for name, number in zip(names, numbers, strict=True):
        label = name if can_draw(name, fonts) else f"#{number}"
        labels.append(label)
        if label != name:
            legend.setdefault(label, name)
    return Lettering(fonts, tuple(labels), tuple(legend.items()))


def fonts_for(texts: Iterable[str], first: Sequence[str] = (PLAIN,)) -> tuple[str, ...]:
    """Installed fonts that have the letters of some texts, as far as there are any.

    Args:
        texts: to be drawn.
        first: fonts that come first in any case.

    Returns:
        Names, `first` before all others.
    """
    known = _installed()
    fonts = [name for name in (*first, PLAIN) if name in known]
    fonts = list(dict.fromkeys(fonts)) or [PLAIN]
    missing = {c for text in texts for c in text if _is_letter(c)}
    missing -= _covered(missing, fonts)
    for name in known:
        if not missing:
            break
        if gained := _covered(missing, [name]):
            fonts.append(name)
            missing -= gained
    return tuple(dict.fromkeys(fonts))


def can_draw(text: str, fonts: Sequence[str]) -> bool:
    """Whether fonts have all letters of a text, and matplotlib sets them right."""
    letters = {c for c in text if _is_letter(c)}
    is_right = SHAPES or not any(
        low <= ord(c) <= high for c in letters for low, high in SHAPED
    )
    return is_right and letters <= _covered(letters, fonts)


def _is_letter(character: str) -> bool:
    """Whether a character has a shape of its own."""
    return unicodedata.category(character)[0] not in "CZ"


def _covered(letters: Iterable[str], fonts: Sequence[str]) -> set[str]:
    """Those of some letters that one of the fonts has."""
    paths = [_installed()[name] for name in fonts if name in _installed()]
    return {c for c in letters if any(_has(path, ord(c)) for path in paths)}


@functools.lru_cache(100_000)
def _has(path: str, code: int) -> bool:
    try:
        return bool(get_font(path).get_char_index(code))
    except (OSError, RuntimeError):
        return False  # a damaged file, or a kind that matplotlib does not read


@functools.cache
def _installed() -> dict[str, str]:
    """Name -> file of the upright fonts of ordinary weight, the better ones first."""
    listed = {Path(font.fname).resolve() for font in fontManager.ttflist}
    for path in sorted(findSystemFonts()):
        if Path(path).resolve() not in listed:
            _add(path)
    fonts: dict[str, str] = {}
    for font in fontManager.ttflist:
        is_ordinary = font.style == "normal" and str(font.weight) in ORDINARY
        if is_ordinary and "last resort" not in font.name.lower():
            fonts.setdefault(font.name, font.fname)
    return dict(sorted(fonts.items(), key=lambda pair: (_rank(pair[0]), pair[0])))


def _add(path: str) -> None:
    try:
        FontProperties(fname=path).get_name()
        fontManager.addfont(path)
    except (OSError, RuntimeError, ValueError):
        return  # not a font that can be drawn with


def _rank(name: str) -> int:
    begins = (i for i, one in enumerate(PREFERRED) if name.lower().startswith(one))
    return next(begins, len(PREFERRED))
