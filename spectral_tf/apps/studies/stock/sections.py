"""The report of a stock study, from its document."""

from collections.abc import Mapping
from typing import Any

from spectral_tf.apps.report.page.parts import (
    Chart,
    Fact,
    Facts,
    Notice,
    Page,
    Part,
    Section,
    Series,
    Table,
    Text,
)
from spectral_tf.apps.report.tables import plain_table
from spectral_tf.apps.studies.sections import (
    assumption_section,
    component_section,
    cost_section,
    labelled_section,
    network_section,
)
from spectral_tf.apps.studies.stock.alarm_text import alarm_parts
from spectral_tf.apps.studies.words import (
    FAULTS,
    interval,
    named,
    number,
    percent,
    say,
)

OURS = ("constructed", "pre-trained", "fine-tuned")
INJECTED = say("stock.page.injected")


def stock_page(document: Mapping[str, Any]) -> Page:
    """The page of a stock study.

    Args:
        document: of `stock_study`, with `cost`, `breaches` and `labelled`, as the
            command writes it.

    Returns:
        The page.
    """
    data = document["data"]
    lead = say(
        "stock.page.lead",
        days=data["days"],
        items=data["items"],
        first=data["first"],
        last=data["last"],
        past_days=document["past"]["days"],
    )
    return Page(
        say("stock.page.title"),
        lead,
        (
            _summary(document),
            _data(document),
            _figures(document),
            Section(
                "alarms",
                say("stock.alarms.title"),
                alarm_parts(document),
            ),
            component_section(document["components"], _windows(document)),
            network_section(document["network"]),
            assumption_section(
                document["checks"], document["breaches"], _windows(document)
            ),
            labelled_section(document["labelled"]),
            _needed(document),
            cost_section(document["cost"], document),
        ),
    )


def _windows(document: Mapping[str, Any]) -> tuple[Text, ...]:
    """The columns of the table: sums over so many days."""
    return tuple(
        say("stock.page.window", days=d) for d in document["config"]["windows"]
    )


def _main(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return document["methods"][0]


def verdict(document: Mapping[str, Any]) -> Text:
    """Which method wins on what, and by how much, in plain words."""
    best, main = document["best"], _main(document)
    gain, name = best["gain"], best["baseline"]
    gained = gain["value"] or 0.0
    wins = say("stock.verdict.wins") if gained > 0 else say("stock.verdict.loses")
    span = f"{gain['low']:+.3f} – {gain['high']:+.3f}" if gain["value"] else "–"
    # The Mahalanobis distance is the same score, from NumPy.
    same = (*OURS, "Mahalanobis (NumPy)")
    others = [one for one in document["methods"] if one["name"] not in same]
    recall = max(others, key=lambda one: one["recall"]["value"] or 0.0)
    week = document["config"]["alarms_per_week"]
    return say(
        "stock.verdict.verdict",
        wins=wins,
        baseline=named(name),
        gap=abs(gained),
        gained=gained,
        span=span,
        week=week,
        recall=percent(main["recall"]["value"]),
        precision=percent(main["precision"]["value"]),
        rival=named(recall["name"]),
        rival_recall=percent(recall["recall"]["value"]),
        rival_precision=percent(recall["precision"]["value"]),
    )


def named_en(name: str) -> str:
    """A method's English name."""
    found = named(name)
    return found if isinstance(found, str) else found.en


def figure_lines(document: Mapping[str, Any]) -> list[str]:
    """The key figures as lines of text, one for each method."""
    head = ("method", "average precision", "right alarms", "faults found")
    rows = [
        (
            named_en(one["name"]),
            interval(one["average_precision"]),
            interval(one["precision"], is_share=True),
            interval(one["recall"], is_share=True),
        )
        for one in document["methods"]
    ]
    return plain_table(head, rows).splitlines()


def _summary(document: Mapping[str, Any]) -> Section:
    main = _main(document)
    week = document["config"]["alarms_per_week"]
    waits = main["days_until_detection"]
    facts = (
        Fact(
            percent(main["recall"]["value"]),
            say("stock.summary.recall"),
            say(
                "stock.summary.recall_meaning",
                found=main["found"],
                events=len(document["events"]),
                week=week,
            ),
        ),
        Fact(
            percent(main["precision"]["value"]),
            say("stock.summary.precision"),
            say("stock.summary.precision_meaning"),
        ),
        Fact(
            number(waits["value"], 1),
            say("stock.summary.wait"),
            say(
                "stock.summary.wait_meaning",
                low=number(waits["low"], 1),
                high=number(waits["high"], 1),
            ),
        ),
        Fact(
            number(main["false_alarms_per_month"]["value"], 0),
            say("word.false_alarms_a_month"),
            say("stock.summary.false_alarms_meaning", week=week),
        ),
    )
    return Section(
        "summary",
        say("stock.summary.title"),
        (Notice(INJECTED), Facts(facts), verdict(document)),
    )


def _data(document: Mapping[str, Any]) -> Section:
    data, config, past = document["data"], document["config"], document["past"]
    counts: dict[str, int] = {}
    for one in document["events"]:
        counts[one["kind"]] = counts.get(one["kind"], 0) + 1
    windows = ", ".join(map(str, config["windows"]))
    citation = Text(**data["citation"])
    rows = tuple(
        (FAULTS[kind], str(count), FAULT_TEXTS[kind]) for kind, count in counts.items()
    )
    parts: list[Part] = [
        say("stock.data.source", name=data["name"], citation=citation),
        *(Text(**note) for note in data["notes"]),
        say(
            "stock.data.rows",
            windows=windows,
            rows=past["rows"],
            later_rows=past["later_rows"],
        ),
        Table(
            say("stock.data.faults"),
            (say("word.kind"), say("word.count"), say("word.what")),
            rows,
        ),
        say("stock.data.seed", seed=config["seed"]),
    ]
    return Section("data", say("stock.data.title"), tuple(parts))


FAULT_TEXTS = say.table("stock.fault")
"""What each kind of fault does."""


def _figures(document: Mapping[str, Any]) -> Section:
    rows = tuple(
        (
            named(one["name"]),
            interval(one["average_precision"]),
            interval(one["precision"], is_share=True),
            interval(one["recall"], is_share=True),
            interval(one["days_until_detection"], 1),
            interval(one["false_alarms_per_month"], 0),
            number(one["seconds"]["fit"] + one["seconds"]["score"], 2),
        )
        for one in document["methods"]
    )
    week = document["config"]["alarms_per_week"]
    table = Table(
        say("stock.figures.table", week=week),
        (
            say("word.method"),
            say("word.average_precision"),
            say("word.alarms_that_are_right"),
            say("word.faults_found"),
            say("word.days_until_seen"),
            say("stock.figures.false_alarms_a_month"),
            say("word.seconds"),
        ),
        rows,
        strong=(0,),
    )
    return Section(
        "figures",
        say("stock.figures.title"),
        (table, _by_kind(document), verdict(document), *_remarks(document)),
    )


def _remarks(document: Mapping[str, Any]) -> tuple[Part, ...]:
    parts: list[Part] = [
        say("stock.figures.average_precision"),
        say("stock.figures.mahalanobis"),
    ]
    tuning = document["fine_tuning"]
    if tuning is not None:
        before, after = tuning["loss_before"], tuning["loss_best"]
        did, not_ = say("stock.figures.helped"), say("stock.figures.did_not_help")
        helped = did if after < 0.99 * before else not_
        parts.append(
            say(
                "stock.figures.fine_tuning",
                network=tuning["network"],
                steps=tuning["steps"],
                helped=helped,
                before=before,
                after=after,
            )
        )
    return tuple(parts)


def _by_kind(document: Mapping[str, Any]) -> Chart:
    kinds = list(_main(document)["recall_of"])
    shown = [
        one
        for one in document["methods"]
        if one["name"] not in ("pre-trained", "fine-tuned", "Mahalanobis (NumPy)")
    ]
    series = tuple(
        Series(
            named(one["name"]),
            [FAULTS[kind] for kind in kinds],
            [one["recall_of"][kind]["value"] for kind in kinds],
            [one["recall_of"][kind]["low"] for kind in kinds],
            [one["recall_of"][kind]["high"] for kind in kinds],
        )
        for one in shown
    )
    return Chart(
        "recall-by-kind",
        say("stock.kinds.title"),
        say("word.kind_of_fault"),
        say("word.share_found"),
        series,
        say("stock.kinds.note", week=document["config"]["alarms_per_week"]),
        kind="bars",
    )


def _needed(document: Mapping[str, Any]) -> Section:
    found: dict[str, list[tuple[int, float]]] = {}
    for one in document["past_needed"]:
        pair = (one["rows"], one["precision"])
        found.setdefault(one["method"], []).append(pair)
    chart = Chart(
        "past-rows",
        say("stock.past.chart"),
        say("word.past_rows"),
        say("word.average_precision"),
        tuple(
            Series(
                named(name),
                [float(rows) for rows, _ in pairs],
                [value for _, value in pairs],
                style="marks" if len(pairs) == 1 else "line",
            )
            for name, pairs in found.items()
        ),
        say("stock.past.note"),
        log_x=True,
    )
    return Section("past", say("stock.past.title"), (chart,))
