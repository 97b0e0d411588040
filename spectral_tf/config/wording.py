"""Counts and shares as every command, report and refusal writes them."""

import json
import operator
from typing import Any, SupportsIndex


def counted(number: SupportsIndex, noun: str, plural: str = "") -> str:
    """A count with its noun in the right number: `1 row`, `1,234 rows`.

    Args:
        number: how many.
        noun: for one of them.
        plural: for none or several; default `noun` with an s.

    Returns:
        The number with thousands separated by commas, and the noun.
    """
    return f"{operator.index(number):,} {agreed(number, noun, plural or f'{noun}s')}"


def agreed(number: SupportsIndex, singular: str, plural: str) -> str:
    """The word that goes with a number: `agreed(1, "is", "are")` is `is`."""
    return singular if operator.index(number) == 1 else plural


def percent(share: float, digits: int = 0) -> str:
    """A share as a percentage, without a space: `87%`, `5.3%`.

    Args:
        share: 1 is all.
        digits: decimals.
    """
    return f"{share:.{digits}%}"


def json_text(document: Any, encoding: str = "utf-8", **options: Any) -> str:
    """A document as JSON, its letters as they are.

    Args:
        document: plain data.
        encoding: that the text will be written in.
        **options: of `json.dumps`.

    Returns:
        The text; all in escapes where the encoding lacks one of its letters, such as
        the half of a pair that stands for a byte of a file's name.
    """
    text = json.dumps(document, ensure_ascii=False, **options)
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return json.dumps(document, **options)
    return text
