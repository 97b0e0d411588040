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
from spectral_tf.apps.studies.words import number

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
        Text("The groups", "各グループの内容"),
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
        Text("name", "名称"),
        Text("deliveries", "件数"),
        Text("share", "割合"),
        *(_with_unit(one) for one in used),
        Text("recovery", "再現率"),
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
    rows.append(("", Text("all", "全体"), f"{total:,}", "100%", *means, ""))
    return Table(
        Text(
            "Size and means of each group. Recovery: how well it comes back, with its "
            "95% interval.",
            "各グループの件数と平均。再現率は、データを取り直したときに"
            "どれだけ再び現れるか（95% 信頼区間つき）です。",
        ),
        head,
        tuple(rows),
        strong=(len(rows) - 1,),
    )


def _with_unit(feature: Mapping[str, Any]) -> Text:
    short, unit = text(feature["short"]), text(feature["unit"])
    return Text(
        f"{short.en} ({unit.en})" if unit.en else short.en,
        f"{short.ja}({unit.ja})" if unit.ja else short.ja,
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
            (Text("all", "全体"), *(f"{share['all']:.0%}" for share in levels.values()))
        )
        caption = Text(f"Shares of {name} in each group", f"各グループでの{name}の割合")
        head = (figures.GROUP, *levels)
        tables.append(Table(caption, head, tuple(rows), strong=(len(rows) - 1,)))
    if not tables:
        return ()
    return (Details(Text("Shares of labels", "ラベル別の割合"), tuple(tables)),)


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
        Text(
            "Every number that was tried. Lead: (stability - that without groups) / (1 "
            "- that without groups), of the most stable method.",
            "試したグループ数の一覧。「優位」は、最も安定した手法について（安定性 − "
            "グループなしの安定性）÷（1 − グループなしの安定性）です。",
        ),
        (
            Text("number of groups", "グループの数"),
            *tried[0]["stability"],
            Text("without groups", "グループなし"),
            Text("lead", "優位"),
            Text("silhouette", "シルエット"),
            "BIC",
        ),
        rows,
        strong=tuple(i for i, one in enumerate(tried) if one["k"] == k),
    )
    return Section(
        "shipping-number",
        Text("How many groups", "グループの数の決め方"),
        (
            number_words(document),
            figures.stability_chart(document),
            Details(
                Text("All numbers, and the BIC", "すべての数値と BIC"),
                (table, figures.bic_chart(document)),
            ),
        ),
    )
