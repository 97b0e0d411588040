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
)
from spectral_tf.config.wording import counted

OURS = ("constructed", "pre-trained", "fine-tuned")
INJECTED = Text(
    "The faults behind every key figure on this page were injected by a published "
    "generator; they are not faults that a company reported. True demand has strange "
    "days of its own, and an alarm on one of these counts as a false alarm here, "
    "because nobody labelled them.",
    "本ページの指標の根拠となる異常は、公開された生成手順で人工的に注入したもので、"
    "企業から報告された実際の異常ではありません。実際の需要にも変わった日はありますが、"
    "正解ラベルがないため、そこでの警報は誤報として数えています。",
)


def stock_page(document: Mapping[str, Any]) -> Page:
    """The page of a stock study.

    Args:
        document: of `stock_study`, with `cost`, `breaches` and `labelled`, as the
            command writes it.

    Returns:
        The page.
    """
    data = document["data"]
    lead = Text(
        f"{counted(data['days'], 'day')}, {counted(data['items'], 'item')}, "
        f"{data['first']} to {data['last']}. Learned from the first "
        f"{counted(document['past']['days'], 'day')}; judged on the days after them.",
        f"{data['days']}日間・{data['items']}品目({data['first']}〜{data['last']})。"
        f"最初の{document['past']['days']}日間から学習し、その後の日で評価しました。",
    )
    return Page(
        Text("Stock anomalies: proof of concept", "在庫異常検知 概念実証レポート"),
        lead,
        (
            _summary(document),
            _data(document),
            _figures(document),
            Section(
                "alarms",
                Text("Alarms and their reasons", "警報とその理由"),
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
    return tuple(Text(f"{d} d", f"{d}日") for d in document["config"]["windows"])


def _main(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return document["methods"][0]


def verdict(document: Mapping[str, Any]) -> Text:
    """Which method wins on what, and by how much, in plain words."""
    best, main = document["best"], _main(document)
    gain, name = best["gain"], best["baseline"]
    gained = gain["value"] or 0.0
    wins = Text("wins" if gained > 0 else "loses", "上回り" if gained > 0 else "下回り")
    span = f"{gain['low']:+.3f} – {gain['high']:+.3f}" if gain["value"] else "–"
    # The Mahalanobis distance is the same score, from NumPy.
    same = (*OURS, "Mahalanobis (NumPy)")
    others = [one for one in document["methods"] if one["name"] not in same]
    recall = max(others, key=lambda one: one["recall"]["value"] or 0.0)
    week = document["config"]["alarms_per_week"]
    return Text(
        f"On average precision the constructed detector {wins.en} against the best "
        f"baseline, {named_en(name)}, by {abs(gained):.3f} (difference {gained:+.3f}, "
        f"95% interval {span}). At {counted(week, 'alarm')} a week it finds "
        f"{percent(main['recall']['value'])} of the faults with "
        f"{percent(main['precision']['value'])} of the alarms right; the best baseline "
        f"in this, {named_en(recall['name'])}, finds "
        f"{percent(recall['recall']['value'])} with "
        f"{percent(recall['precision']['value'])} right.",
        f"平均適合率では、構成重みの検知器は最良の比較手法({named_ja(name)})を"
        f"{abs(gained):.3f} {wins.ja}ました(差 {gained:+.3f}、95%区間 {span})。週"
        f"{week}件の警報では異常の{percent(main['recall']['value'])}を検出し、警報の"
        f"{percent(main['precision']['value'])}が正しい警報でした。この点で最良の比較"
        f"手法({named_ja(recall['name'])})は{percent(recall['recall']['value'])}を検出"
        f"し、正しい警報は{percent(recall['precision']['value'])}でした。",
    )


def named_en(name: str) -> str:
    """A method's English name."""
    found = named(name)
    return found if isinstance(found, str) else found.en


def named_ja(name: str) -> str:
    """A method's Japanese name."""
    found = named(name)
    return found if isinstance(found, str) else found.ja


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
            Text("of the faults were found", "異常の検出率"),
            Text(
                f"{main['found']} of {len(document['events'])}, with "
                f"{counted(week, 'alarm')} a week to look at.",
                f"{len(document['events'])}件中{main['found']}件。確認する警報は週"
                f"{week}件です。",
            ),
        ),
        Fact(
            percent(main["precision"]["value"]),
            Text("of the alarms were right", "警報の適合率"),
            Text(
                "The others are days on which demand was unusual without a fault.",
                "残りは、異常を注入していないが需要が普段と違った日です。",
            ),
        ),
        Fact(
            number(waits["value"], 1),
            Text("days until a fault was seen", "検出までの平均日数"),
            Text(
                f"95% interval {number(waits['low'], 1)} to "
                f"{number(waits['high'], 1)}; slow drifts take longest.",
                f"95%区間 {number(waits['low'], 1)}〜{number(waits['high'], 1)}日。"
                "緩やかな増加が最も時間を要します。",
            ),
        ),
        Fact(
            number(main["false_alarms_per_month"]["value"], 0),
            Text("false alarms a month", "月あたりの誤報"),
            Text(
                f"Set by the {counted(week, 'alarm')} a week that a person checks.",
                f"担当者が確認する警報の上限(週{week}件)で決まります。",
            ),
        ),
    )
    return Section(
        "summary",
        Text("In short", "要約"),
        (Notice(INJECTED), Facts(facts), verdict(document)),
    )


def _data(document: Mapping[str, Any]) -> Section:
    data, config, past = document["data"], document["config"], document["past"]
    counts: dict[str, int] = {}
    for one in document["events"]:
        counts[one["kind"]] = counts.get(one["kind"], 0) + 1
    windows = ", ".join(map(str, config["windows"]))
    rows = tuple(
        (FAULTS[kind], str(count), FAULT_TEXTS[kind]) for kind, count in counts.items()
    )
    parts: list[Part] = [
        Text(
            f"Source: {data['name']}, {data['citation']['en']}.",
            f"データ: {data['name']}({data['citation']['ja']})。",
        ),
        *(Text(**note) for note in data["notes"]),
        Text(
            f"One row for each item and day: deviations of the last days ({windows}) "
            "from what the past makes one expect (item mean times weekday factor), on "
            "the square-root scale of counts, the shop's own level of the day "
            f"removed. {counted(past['rows'], 'row')} of the past, "
            f"{counted(past['later_rows'], 'row')} after it.",
            f"品目×日ごとに1行とし、直近{windows}日の販売が、過去から予想される量(品目"
            "平均×曜日係数)からどれだけ外れたかを平方根尺度で表し、店全体のその日の水"
            f"準を除いています。過去 {past['rows']:,}行、評価 "
            f"{past['later_rows']:,}行。",
        ),
        Table(
            Text("Injected faults", "注入した異常"),
            (Text("kind", "種類"), Text("count", "件数"), Text("what", "内容")),
            rows,
        ),
        Text(
            f"The generator's seed is {config['seed']}.",
            f"生成手順の乱数の種は {config['seed']} です。",
        ),
    ]
    return Section("data", Text("Data and method", "データと方法"), tuple(parts))


FAULT_TEXTS = {
    "stock-out": Text("sales are 0 on 7 to 14 days", "7〜14日間、販売が0になる"),
    "double booking": Text("one day is counted twice", "1日分が二重に計上される"),
    "unit error": Text("one day is ten times too large", "1日分が10倍で記録される"),
    "drift": Text(
        "sales grow to three times in 28 days", "28日かけて販売が3倍まで増える"
    ),
    "missing days": Text("sales of 3 to 5 days are missing", "3〜5日分の記録が抜ける"),
}


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
        Text(
            f"Key figures at {counted(week, 'alarm')} a week, with 95% bootstrap "
            "intervals; injected faults",
            f"週{week}件の警報での指標(95%ブートストラップ区間、注入した異常による)",
        ),
        (
            Text("method", "手法"),
            Text("average precision", "平均適合率"),
            Text("alarms that are right", "警報の適合率"),
            Text("faults found", "検出率"),
            Text("days until seen", "検出までの日数"),
            Text("false alarms a month", "月あたり誤報"),
            Text("seconds", "秒"),
        ),
        rows,
        strong=(0,),
    )
    return Section(
        "figures",
        Text("Key figures", "指標"),
        (table, _by_kind(document), verdict(document), *_remarks(document)),
    )


def _remarks(document: Mapping[str, Any]) -> tuple[Part, ...]:
    parts: list[Part] = [
        Text(
            "Average precision: 1 is a perfect order of all item-days, the share of "
            "faulty item-days is what chance gives; days on which a window still holds "
            "a past fault count for neither side. Seconds include compiling.",
            "平均適合率は、全品目×日の並べ方が完全なら1、偶然なら異常の割合になります。"
            "過去の異常が窓に残る日はどちらにも数えません。秒数はコンパイルを含みます"
            "。",
        ),
        Text(
            "With all components but one, the combined score is the Mahalanobis "
            "distance: the constructed network and NumPy agree, as they must. The "
            "network's part is to find the components, and the certificate proves "
            "them.",
            "成分を1つだけ残して全て使うと、複合スコアはマハラノビス距離になります。"
            "構成ネットワークとNumPyの結果は一致します(一致すべきものです)。"
            "ネットワークの役割は成分を求めることで、証明書がその正しさを保証します。",
        ),
    ]
    tuning = document["fine_tuning"]
    if tuning is not None:
        before, after = tuning["loss_before"], tuning["loss_best"]
        helped = after < 0.99 * before
        parts.append(
            Text(
                f"Fine-tuning {tuning['network']} for "
                f"{counted(tuning['steps'], 'step')} on the past "
                f"{'helped' if helped else 'did not help'}: the loss on held-out rows "
                f"was {before:.4f} before and {after:.4f} at best.",
                f"{tuning['network']} を過去データで{tuning['steps']}ステップ追加学習"
                f"した効果は{'ありました' if helped else 'ありませんでした'}。未使用の"
                f"行での損失は {before:.4f} から最良で {after:.4f} です。",
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
        Text("Faults found, by kind", "種類別の検出率"),
        Text("kind of fault", "異常の種類"),
        Text("share found", "検出率"),
        series,
        Text(
            "Share of the injected faults with at least one alarm, "
            f"{counted(document['config']['alarms_per_week'], 'alarm')} a week; bars "
            "end at the share, whiskers are 95% intervals over faults. The networks "
            "and the Mahalanobis distance equal the constructed detector and are left "
            "out.",
            "1件以上の警報が出た注入異常の割合。ひげは異常を再抽出した95%区間です。"
            "他のネットワークとマハラノビス距離は構成重みと同じなので省いています。",
        ),
        kind="bars",
    )


def _needed(document: Mapping[str, Any]) -> Section:
    found: dict[str, list[tuple[int, float]]] = {}
    for one in document["past_needed"]:
        pair = (one["rows"], one["precision"])
        found.setdefault(one["method"], []).append(pair)
    chart = Chart(
        "past-rows",
        Text("How many past cases are needed", "必要な過去データの量"),
        Text("past rows", "過去の行数"),
        Text("average precision", "平均適合率"),
        tuple(
            Series(
                named(name),
                [float(rows) for rows, _ in pairs],
                [value for _, value in pairs],
                style="marks" if len(pairs) == 1 else "line",
            )
            for name, pairs in found.items()
        ),
        Text(
            "Each method learned from so many rows of the past, drawn at random, and "
            "was judged on the same later days. Flat lines mean that a few hundred "
            "rows suffice for so few columns. Fine-tuning, with and without "
            "augmentation, is shown where it was tried (--fine-tune-rows).",
            "過去の行を無作為に選んで各手法に学習させ、同じ期間で評価しました。"
            "線が平らなら、列が少ないこのデータでは数百行で足りることを意味します。"
            "追加学習(データ拡張の有無)は、試した行数(--fine-tune-rows)で"
            "示しています。",
        ),
        log_x=True,
    )
    return Section("past", Text("Past cases", "過去データの量"), (chart,))
