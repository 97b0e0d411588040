"""Alarms in words, a figure and a table."""

from collections.abc import Mapping
from typing import Any

from spectral_tf.apps.report.page.parts import (
    Chart,
    Details,
    Part,
    Series,
    Table,
    Text,
)
from spectral_tf.apps.studies.words import FAULTS, NONE, say

SHOWN = 40


def alarm_parts(document: Mapping[str, Any]) -> tuple[Part, ...]:
    """The score over time with its alarms, and the alarms with their reasons.

    Args:
        document: of `stock_study`.

    Returns:
        Parts of the section.
    """
    alarms = document["alarms"]
    shown = _table(alarms[:SHOWN], f"{min(SHOWN, len(alarms))}")
    parts: list[Part] = [_chart(document), shown]
    if len(alarms) > SHOWN:
        rest = _table(alarms[SHOWN:], f"{len(alarms) - SHOWN}")
        summary = say("stock.alarms.more", count=len(alarms) - SHOWN)
        parts.append(Details(summary, (rest,)))
    return tuple(parts)


def reason(alarm: Mapping[str, Any]) -> Text:
    """Why, in one sentence: the window that stands out most, in units sold."""
    found = max(alarm["windows"], key=lambda one: abs(one["deviations"]))
    days = found["days"]
    sold, expected = f"{found['sold']:.4g}", f"{found['expected']:.3g}"
    away = f"{found['deviations']:+.1f}"
    several = say("stock.alarms.days", days=days)
    when = say("stock.alarms.that_day") if days == 1 else several
    return say(
        "stock.alarms.reason", sold=sold, when=when, expected=expected, away=away
    )


def _label(alarm: Mapping[str, Any]) -> Text:
    why = reason(alarm)
    return say("stock.alarms.label", item=alarm["item"], why=why)


def _table(alarms: list[Mapping[str, Any]], count: str) -> Table:
    rows = tuple(
        (
            one["date"],
            one["item"],
            f"{one['score']:.1f}",
            reason(one),
            NONE if one["fault"] is None else FAULTS[one["fault"]],
        )
        for one in alarms
    )
    return Table(
        say("stock.alarms.table", count=count),
        (
            say("word.date"),
            say("word.item"),
            say("word.score"),
            say("word.why"),
            say("word.injected_fault"),
        ),
        rows,
    )


def _chart(document: Mapping[str, Any]) -> Chart:
    marks = []
    for name, is_right in (
        (say("stock.alarms.right"), True),
        (say("stock.alarms.false"), False),
    ):
        some = [a for a in document["alarms"] if (a["fault"] is not None) == is_right]
        some.sort(key=lambda one: one["date"])
        marks.append(
            Series(
                name,
                [one["date"] for one in some],
                [one["score"] for one in some],
                style="marks",
                label=[_label(one) for one in some],
            )
        )
    daily = Series(
        say("stock.alarms.daily"),
        document["days"],
        document["daily"],
    )
    return Chart(
        "scores",
        say("stock.alarms.chart"),
        say("word.day"),
        say("word.score"),
        (daily, *marks),
        say("stock.alarms.note"),
    )
