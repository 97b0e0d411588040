"""The groups, and how many there are: two sections of the shipping report."""

from collections.abc import Mapping
from typing import Any

from spectral_tf.apps.report.page.parts import (
    Details,
    Part,
    Section,
    Table,
    Text,
    Words,
)
from spectral_tf.apps.studies.shipping import figures
from spectral_tf.apps.studies.shipping.sentences import interval, number_words, text
from spectral_tf.apps.studies.words import number, say

Document = Mapping[str, Any]


def groups_section(document: Document) -> Section:
    """What each group is.

    Args:
        document: of `shipping_study`.

    Returns:
        The section.
    """
    return Section(
        "shipping-groups",
        say("shipping.groups.title"),
        (
            _group_table(document),
            figures.profile_heat(document),
            figures.map_chart(document),
            figures.recovery_chart(document),
            *_level_tables(document),
        ),
    )


def _group_table(document: Document) -> Table:
    used = document["features"]["used"]
    head: tuple[Words, ...] = (
        figures.GROUP,
        say("word.name"),
        say("word.deliveries"),
        say("word.share"),
        *(_with_unit(one) for one in used),
        say("word.recovery"),
    )
    rows: list[tuple[Words, ...]] = [
        (
            str(one["group"]),
            text(one["name"]),
            f"{one['rows']:,}",
            f"{one['share']:.1%}",
            *one["shown"],
            interval(one["recovery"]),
        )
        for one in document["groups"]
    ]
    total = sum(one["rows"] for one in document["groups"])
    means = (one["mean"] for one in used)
    rows.append(("", say("word.all"), f"{total:,}", "100%", *means, ""))
    return Table(
        say("shipping.groups.table"),
        head,
        tuple(rows),
        strong=(len(rows) - 1,),
    )


def _with_unit(feature: Mapping[str, Any]) -> Text:
    short, unit = text(feature["short"]), text(feature["unit"])
    both = say("shipping.groups.with_unit", short=short, unit=unit)
    # A column may have a unit in one of the languages.
    return Text(
        both.en if unit.en else short.en,
        both.ja if unit.ja else short.ja,
    )


def _level_tables(document: Document) -> tuple[Part, ...]:
    """For each label, the shares of its values in every group."""
    tables = []
    for name, levels in document["groups"][0]["levels"].items():
        rows: list[tuple[Words, ...]] = [
            (
                f"{one['group']}",
                *(f"{share['group']:.0%}" for share in one["levels"][name].values()),
            )
            for one in document["groups"]
        ]
        rows.append(
            (say("word.all"), *(f"{share['all']:.0%}" for share in levels.values()))
        )
        caption = say("shipping.groups.label_shares", name=name)
        head = (figures.GROUP, *levels)
        tables.append(Table(caption, head, tuple(rows), strong=(len(rows) - 1,)))
    if not tables:
        return ()
    return (Details(say("shipping.groups.labels"), tuple(tables)),)


def number_section(document: Document) -> Section:
    """How the number of groups was found.

    Args:
        document: of `shipping_study`.

    Returns:
        The section.
    """
    tried, k = document["number"]["tried"], document["number"]["k"]
    rows = tuple(
        (
            str(one["k"]),
            *(interval(estimate) for estimate in one["stability"].values()),
            interval(one["reference"]),
            f"{one['lead']:.2f}",
            number(one["silhouette"]),
            f"{one['bic']:,.0f}",
        )
        for one in tried
    )
    table = Table(
        say("shipping.number.table"),
        (
            say("word.number_of_groups"),
            *tried[0]["stability"],
            say("word.without_groups"),
            say("word.lead"),
            say("word.silhouette"),
            "BIC",
        ),
        rows,
        strong=tuple(i for i, one in enumerate(tried) if one["k"] == k),
    )
    return Section(
        "shipping-number",
        say("shipping.number.title"),
        (
            number_words(document),
            figures.stability_chart(document),
            Details(
                say("shipping.number.details"),
                (table, figures.bic_chart(document)),
            ),
        ),
    )
