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
    Text,
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
from spectral_tf.apps.studies.words import DELIVERIES
from spectral_tf.config.wording import counted

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
        Text("Shipping patterns: what was found", "配送パターン：わかったこと"),
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
            Text("groups of deliveries", "配送グループの数"),
            Text(
                "So many situations a plan or a price list could treat separately.",
                "計画や料金を考えるときに区別できる状況の数です。",
            ),
        ),
        Fact(
            f"{stable:.2f}",
            Text(f"stability (95%: {span})", f"安定性（95% 区間 {span}）"),
            Text(
                "1: next month's deliveries would give the same groups, if nothing "
                "changes; 0: the groups are chance.",
                "1 なら、状況が変わらない限り翌月のデータでも同じグループになります。0 "
                "なら偶然です。",
            ),
            "good" if is_good else "bad",
        ),
        Fact(
            f"{apart:.2f}",
            Text("silhouette: gaps between groups", "シルエット（グループ間の隔たり）"),
            Text(
                "1: clear gaps; near 0: the groups pass into each other, and single "
                "deliveries at the border may be in either.",
                "1 なら明確に分かれています。0 に近いほど連続的で、境目の配送はどちらに"
                "入ることもあります。",
            ),
            "plain" if apart >= TOUCHING else "bad",
        ),
        Fact(
            f"{strange['n_outliers']:,} ({strange['share']:.1%})",
            Text("deliveries that do not fit", "ほかと釣り合わない配送"),
            Text(
                "Worth a look, the strangest first; many are rare, not wrong.",
                "上位から順に確認する価値があります。多くは誤りではなく、珍しいだけです。",
            ),
        ),
        Fact(
            score_of(comparison),
            Text(f"{OURS}: wins / ties / losses", f"{OURS} と最良の他手法との比較"),
            Text(
                "Key figures in which this package's own method is ahead, level or "
                "behind the best of three common ones.",
                "本パッケージの手法を、一般的な 3 手法のうち最もよいものと主要指標で"
                "比べた結果です。",
            ),
            "bad" if losses > wins else ("good" if wins > losses else "plain"),
        ),
        Fact(
            f"{counts['certified']} / {len(certificate['entries'])}",
            Text("certified components", "証明済みの成分"),
            Text(
                "The directions of the analysis are proven to be the table's own. This "
                "is about the arithmetic, not about the groups.",
                "分析の軸が計算として正しいことが証明された数です。グループの存在を証明"
                "するものではありません。",
            ),
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
        Text(
            "The columns that form the groups, all scaled to equal weight",
            "グループ分けに使った列（すべて同じ重みに標準化）",
        ),
        (
            Text("column", "列"),
            Text("what it is", "内容"),
            Text("why it is there", "使う理由"),
            Text("mean", "平均"),
            Text("range", "範囲"),
        ),
        rows,
    )
    notes = [*document["features"]["left_out"], *data["notes"]]
    parts: list[Part] = [
        Text(
            f"Source: {data['name']}; {counted(data['rows'], *DELIVERIES)} used.",
            f"データ元：{data['name']}。{data['rows']:,} 件を使いました。",
        ),
        text(data["citation"]),
        table,
        *map(text, notes),
        Text(
            f"SHA-256 of the table: {data['sha256']}",
            f"データの SHA-256：{data['sha256']}",
        ),
    ]
    return Section("shipping-data", Text("The data", "データ"), tuple(parts))
