"""Numbers and recurring names as a reader sees them, in both languages."""

from collections.abc import Mapping
from typing import Any

from spectral_tf.apps.report.page.parts import Words
from spectral_tf.apps.report.page.sentences import Sentences
from spectral_tf.config.wording import percent as share_text

say = Sentences("spectral_tf.apps.studies")
"""Every sentence of the studies, by its key in `en.toml` and `ja.toml`."""
NONE = "–"
DELIVERIES = ("delivery", "deliveries")
"""One and several, for `counted`."""

METHODS = say.table("method")
"""Methods by the names that documents give them."""
FAULTS = say.table("fault")
"""Kinds of injected faults."""
STATUS = say.table("status")
"""What is proven of a component, the best first."""


def named(name: str) -> Words:
    """The name of a method in both languages."""
    return METHODS.get(name, name)


def number(value: float | None, digits: int = 2) -> str:
    """A number with so many decimals; a dash where there is none."""
    return NONE if value is None else f"{value:.{digits}f}"


def percent(value: float | None) -> str:
    """A share in percent."""
    return NONE if value is None else share_text(value)


def interval(
    found: Mapping[str, Any], digits: int = 2, *, is_share: bool = False
) -> str:
    """An estimate with its interval: `0.52 (0.41 to 0.62)`."""
    if found["value"] is None:
        return NONE
    show = percent if is_share else lambda value: number(value, digits)
    value, low, high = (show(found[key]) for key in ("value", "low", "high"))
    return f"{value} ({low} – {high})"
