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
from spectral_tf.apps.studies.words import FAULTS, NONE
from spectral_tf.config.wording import counted

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
        summary = Text(
            f"{counted(len(alarms) - SHOWN, 'more alarm')}",
            f"残り{len(alarms) - SHOWN}件の警報",
        )
        parts.append(Details(summary, (rest,)))
    return tuple(parts)


def reason(alarm: Mapping[str, Any]) -> Text:
    """Why, in one sentence: the window that stands out most, in units sold."""
    found = max(alarm["windows"], key=lambda one: abs(one["deviations"]))
    days = found["days"]
    sold, expected = f"{found['sold']:.4g}", f"{found['expected']:.3g}"
    away = f"{found['deviations']:+.1f}"
    when = "that day" if days == 1 else f"in the {counted(days, 'day')} up to it"
    span = "当日" if days == 1 else f"直近{days}日間"
    return Text(
        f"{sold} sold {when}, {expected} expected ({away} deviations)",
        f"{span}の販売 {sold}、予想 {expected}({away}標準偏差)",
    )


def _label(alarm: Mapping[str, Any]) -> Text:
    why = reason(alarm)
    return Text(f"{alarm['item']}: {why.en}", f"{alarm['item']}: {why.ja}")


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
        Text(f"Alarms by falling score ({count})", f"警報(スコア順、{count}件)"),
        (
            Text("date", "日付"),
            Text("item", "品目"),
            Text("score", "スコア"),
            Text("why", "理由"),
            Text("injected fault", "注入した異常"),
        ),
        rows,
    )


def _chart(document: Mapping[str, Any]) -> Chart:
    marks = []
    for name, is_right in (
        (Text("alarm, fault injected", "警報(異常あり)"), True),
        (Text("alarm, nothing injected", "警報(注入なし)"), False),
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
        Text("largest score of the day", "その日の最大スコア"),
        document["days"],
        document["daily"],
    )
    return Chart(
        "scores",
        Text("Score over time, with alarms", "スコアの推移と警報"),
        Text("day", "日付"),
        Text("score", "スコア"),
        (daily, *marks),
        Text(
            "The line is the largest score of any item on the day; a mark is an item "
            "that a person is asked to look at. An item stays silent for two weeks "
            "after its alarm unless its score grows, so the line can be high without a "
            "mark.",
            "線はその日の全品目のうち最大のスコア、点は担当者に確認を求める品目です。"
            "一度警報を出した品目はスコアが上がらない限り2週間は再警報しないため、線"
            "が高くても点がない日が"
            "あります。",
        ),
    )
