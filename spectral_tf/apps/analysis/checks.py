"""Comparisons of a decision of the audit log with the one that is made now."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from spectral_tf.tables.columns import listed

TOLERANCE = 1e-6
"""Numbers are the same if they differ by less than this, relative to the larger."""


class Check(NamedTuple):
    """One comparison of the log with the second run.

    Attributes:
        name: of what was compared.
        is_same: whether it is.
        what: in words.
    """

    name: str
    is_same: bool
    what: str


def same(name: str, was: Any, now: Any) -> Check:
    """Whether something is the same to the letter.

    Args:
        name: of what is compared.
        was: in the log.
        now: in the second run.

    Returns:
        The comparison.
    """
    what = str(now) if was == now else f"now {now}; the log has {was}"
    return Check(name, was == now, what)


def number(name: str, was: float, now: float) -> Check:
    """Whether a number is the same, to `TOLERANCE`.

    Args:
        name: of what is compared.
        was: in the log.
        now: in the second run.

    Returns:
        The comparison.
    """
    if _near(was, now):
        return Check(name, True, f"{now:.6g}")
    return Check(name, False, f"now {now!r}; the log has {was!r}")


def numbers(name: str, was: Mapping[Any, float], now: Mapping[Any, float]) -> Check:
    """Whether numbers are the same; those in one of the two are another check's.

    Args:
        name: of what is compared.
        was: by their names, in the log.
        now: in the second run.

    Returns:
        The comparison.
    """
    both = [key for key in was if key in now]
    off = [key for key in both if not _near(was[key], now[key])]
    if not off:
        return Check(name, True, f"{len(both):,} to {TOLERANCE:g} relative")
    told = listed([f"{k}: now {now[k]!r}, the log has {was[k]!r}" for k in off], 5)
    return Check(name, False, f"{len(off):,} of {len(both):,} differ: {told}")


def _near(one: Any, other: Any) -> bool:
    return math.isclose(one, other, rel_tol=TOLERANCE)
