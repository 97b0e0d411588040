"""Texts and numbers as a reader sees them: safe to write, short enough to place."""

import math
import unicodedata

from spectral_tf.apps.report.page.parts import Text, Words

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
KEPT_CONTROLS = "\n\t"
# They turn the reading direction of all that follows: a name could dress up as another.
DIRECTION_MARKS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def written(words: Words, lang: str) -> str:
    """A text in one language, without characters that a page cannot carry.

    Args:
        words: any text; names of columns may hold anything.
        lang: "en" or "ja".

    Returns:
        The text; control characters, lone surrogates, non-characters and marks of
        the reading direction become U+FFFD. Not escaped for HTML.
    """
    text = words.of(lang) if isinstance(words, Text) else words
    return "".join(each if _is_sound(each) else REPLACEMENT for each in text)


def _is_sound(character: str) -> bool:
    if character in KEPT_CONTROLS:
        return True
    is_noncharacter = (ord(character) & 0xFFFE) == 0xFFFE or "\ufdd0" <= (
        character
    ) <= "\ufdef"
    is_control = unicodedata.category(character) in ("Cc", "Cs")
    return not (is_control or is_noncharacter or character in DIRECTION_MARKS)


def columns_of(text: str) -> int:
    """The width of a text in letters; a Chinese or Japanese character counts two.

    Args:
        text: one line.

    Returns:
        Its width.

    Source: Unicode Standard Annex 11, East Asian Width.
    """
    return sum(1 + (unicodedata.east_asian_width(each) in "WF") for each in text)


def shortened(text: str, most: int) -> str:
    """A text on one line; where it is too wide, its middle is left out.

    Names of columns often differ only at their ends.

    Args:
        text: any text.
        most: the width that is left, as `columns_of` counts, at least 2.

    Returns:
        The text, or its two ends with "…" between.
    """
    flat = " ".join(text.split())
    if columns_of(flat) <= most:
        return flat
    tail = _start(flat[::-1], (most - 1) * 2 // 5)[::-1]
    head = _start(flat, most - 1 - columns_of(tail))
    return f"{head.rstrip()}…{tail.lstrip()}"


def _start(text: str, most: int) -> str:
    width, kept = 0, ""
    for each in text:
        width += columns_of(each)
        if width > most:
            break
        kept += each
    return kept


def number_text(value: float) -> str:
    """A number with four significant digits, for a reader.

    Args:
        value: finite.

    Returns:
        For instance 12,346, 0.1235 or 1.2e−09, with a true minus sign.
    """
    size, value = abs(value), value + 0.0  # no −0
    if value and not 1e-5 <= size < 1e15:
        text = f"{value:.4g}"
    else:
        decimals = 3 - math.floor(math.log10(size)) if value else 0
        text = f"{value:,.{max(decimals, 0)}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace("-", "−")
