"""The shipping report: sections of a page, from the document alone."""

from collections.abc import Mapping
from typing import Any

from spectral_tf.apps.report.page.parts import (
    Fact,
    Facts,
    Notice,
    Part,
    Section,
    Table,
    Words,
)
from spectral_tf.apps.studies.shipping.baselines import OURS
from spectral_tf.apps.studies.shipping.check_sections import (
    certificate_section,
    methods_section,
    strange_section,
)
from spectral_tf.apps.studies.shipping.group_sections import (
    groups_section,
    number_section,
)
from spectral_tf.apps.studies.shipping.sentences import (
    CLEAR_LEAD,
    GOOD_STABILITY,
    NOT_SHOWN,
    TOUCHING,
    described_figures,
    lead_of,
    method_words,
    score_of,
    text,
    tiny_words,
    verdict,
)
from spectral_tf.apps.studies.words import say

Document = Mapping[str, Any]


def shipping_sections(document: Document) -> tuple[Section, ...]:
    """Everything that the study found, in the order in which it is read.

    Args:
        document: of `shipping_study`, as it is or read back from JSON.

    Returns:
        Sections: findings, groups, number of groups, methods, strange deliveries,
        certificate, data.
    """
    return (
        _summary(document),
        groups_section(document),
        number_section(document),
        methods_section(document),
        strange_section(document),
        certificate_section(document),
        _data(document),
    )


def _summary(document: Document) -> Section:
    first, second = verdict(document)
    return Section(
        "shipping-summary",
        say("shipping.summary.title"),
        (
            Facts(_facts(document)),
            first,
            second,
            *tiny_words(document),
            *(text(one["words"]) for one in document["groups"]),
            method_words(document)[0],
            Notice(NOT_SHOWN),
        ),
    )


def _facts(document: Document) -> tuple[Fact, ...]:
    own, certificate = described_figures(document), document["certificate"]
    stable = own["stability"]["value"] or 0.0
    span = "–".join(f"{own['stability'][end] or 0.0:.2f}" for end in ("low", "high"))
    apart = own["silhouette"]["value"] or 0.0
    comparison = document["methods"]["comparison"]
    is_good = stable >= GOOD_STABILITY and lead_of(document) >= CLEAR_LEAD
    counts = certificate["status_counts"]
    losses = sum(one["verdict"] == "loss" for one in comparison)
    wins = sum(one["verdict"] == "win" for one in comparison)
    strange = document["strange"]
    return (
        Fact(
            str(len(document["groups"])),
            say("shipping.summary.groups"),
            say("shipping.summary.groups_meaning"),
        ),
        Fact(
            f"{stable:.2f}",
            say("shipping.summary.stability", span=span),
            say("shipping.summary.stability_meaning"),
            "good" if is_good else "bad",
        ),
        Fact(
            f"{apart:.2f}",
            say("shipping.summary.silhouette"),
            say("shipping.summary.silhouette_meaning"),
            "plain" if apart >= TOUCHING else "bad",
        ),
        Fact(
            f"{strange['n_outliers']:,} ({strange['share']:.1%})",
            say("shipping.summary.strange"),
            say("shipping.summary.strange_meaning"),
        ),
        Fact(
            score_of(comparison),
            say("shipping.summary.score", ours=OURS),
            say("shipping.summary.score_meaning"),
            "bad" if losses > wins else ("good" if wins > losses else "plain"),
        ),
        Fact(
            f"{counts['certified']} / {len(certificate['entries'])}",
            say("shipping.summary.certified"),
            say("shipping.summary.certified_meaning"),
            "good" if certificate["is_certified"] else "plain",
        ),
    )


def _data(document: Document) -> Section:
    data, used = document["data"], document["features"]["used"]
    rows: tuple[tuple[Words, ...], ...] = tuple(
        (
            one["name"],
            text(one["label"]),
            text(one["why"]),
            one["mean"],
            f"{one['least']} – {one['most']}",
        )
        for one in used
    )
    table = Table(
        say("shipping.data.table"),
        (
            say("word.column"),
            say("word.what_it_is"),
            say("word.why_it_is_there"),
            say("word.mean"),
            say("word.range"),
        ),
        rows,
    )
    notes = [*document["features"]["left_out"], *data["notes"]]
    parts: list[Part] = [
        say("shipping.data.source", name=data["name"], rows=data["rows"]),
        text(data["citation"]),
        table,
        *map(text, notes),
        say("shipping.data.sha256", sha256=data["sha256"]),
    ]
    return Section("shipping-data", say("shipping.data.title"), tuple(parts))
