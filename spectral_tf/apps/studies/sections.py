"""Sections that several reports share: components, network, assumptions, cost."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spectral_tf.apps.report.page.parts import (
    Chart,
    Details,
    Heat,
    Notice,
    Part,
    Section,
    Series,
    Table,
    Text,
    Words,
)
from spectral_tf.apps.studies.words import STATUS, named, number
from spectral_tf.config.wording import agreed, counted


def component_section(found: Mapping[str, Any], columns: Sequence[Words]) -> Section:
    """The components, their shares, and what is proven about them.

    Args:
        found: `eigenvalues`, `shares`, `loadings`, `status`, `tol`, `engine`.
        columns: names of the columns.

    Returns:
        The section.
    """
    names = [f"{rank}" for rank in range(1, len(found["shares"]) + 1)]
    certified = found["status"].count("certified")
    scree = Chart(
        "scree",
        Text("Components and what is proven", "主成分と証明の状況"),
        Text("component", "主成分"),
        Text("share of the variance", "分散の割合"),
        tuple(
            Series(
                STATUS[status],
                names,
                [
                    share if one == status else None
                    for share, one in zip(found["shares"], found["status"], strict=True)
                ],
            )
            for status in STATUS
            if status in found["status"]
        ),
        Text(
            f"{certified} of {counted(len(names), 'component')} "
            f"{agreed(certified, 'carries', 'carry')} a certificate: a proof, from the "
            "table alone and with rounding included, that the vector is within "
            f"{found['tol']:g} radians of the true one.",
            f"{len(names)}成分のうち{certified}成分に証明書があります。表だけから、丸"
            f"め誤差も含めて、真のベクトルとの角度が{found['tol']:g}ラジアン以内である"
            "ことの証明です。",
        ),
        kind="bars",
    )
    loadings = Heat(
        "loadings",
        Text("What each component looks at", "各主成分の重み"),
        Text("column", "列"),
        Text("component", "主成分"),
        np.asarray(found["loadings"]),
        tuple(columns),
        tuple(names),
        Text(
            "Weights of the columns in each component; equal colours move together.",
            "各主成分における列の重み。同じ色の列は一緒に動きます。",
        ),
        Text("weight", "重み"),
        is_signed=True,
    )
    return Section(
        "components", Text("Components", "主成分と証明書"), (scree, loadings)
    )


def network_section(found: Mapping[str, Any]) -> Section:
    """What the network computes, block by block."""
    angles = [
        Series(
            Text(f"{text.en}, vector {rank + 1}", f"{text.ja} 第{rank + 1}ベクトル"),
            np.arange(1.0, len(found["angles"][kind]) + 1).tolist(),
            [max(block[rank], 1e-3) for block in found["angles"][kind]],
            style="line" if kind == "constructed" else "dashed",
        )
        for kind, text in (
            ("constructed", Text("constructed", "構成重み")),
            ("trained", Text(found["network"], found["network"])),
        )
        for rank in range(len(found["angles"][kind][0]))
    ]
    products, blocks = found["products"], found["blocks"]
    angle = Chart(
        "angles",
        Text("Angle to each eigenvector, block by block", "固有ベクトルとの角度の推移"),
        Text("after block", "ブロック"),
        Text("degrees", "角度(度)"),
        tuple(angles),
        Text(
            "The constructed network runs "
            f"{counted(products['constructed'], 'power iteration')} in "
            f"{counted(blocks['constructed'], 'block')}; the trained one has "
            f"{counted(products['trained'], 'product')} with the covariance in all. "
            "Lower is closer to the true vector (0.001 is the end of the axis). "
            "Certificates do not rest on this: they are computed from the table.",
            f"構成ネットワークは{blocks['constructed']}ブロックで"
            f"{products['constructed']}回のべき乗反復を行い、学習済みネットワークは"
            f"共分散との積を{products['trained']}回使います。"
            "低いほど真のベクトルに近い値です。証明書はこの図に依存せず、表から計算し"
            "ます。",
        ),
        log_y=True,
    )
    return Section(
        "network",
        Text("What the network computes", "ネットワークの内部"),
        (
            Text(
                f"Both networks read {counted(found['rows'], 'past row')} here. They "
                "are ordinary transformers: rows of the table are tokens, and a "
                "register token for each component gathers from them.",
                f"過去の{found['rows']}行を読ませています。表の各行がトークン、主成分"
                "ごとに1つのレジスタトークンが情報を集める、通常のTransformerです。",
            ),
            angle,
            _stream(found["stream"]),
            _attention(found["attention"]),
        ),
    )


def _stream(stream: Mapping[str, Any]) -> Heat:
    return Heat(
        "stream",
        Text("Residual stream of register 1", "レジスタ1の残差ストリーム"),
        Text("after block", "ブロック"),
        Text("named row", "行の名前"),
        np.clip(np.asarray(stream["values"], float), -1.5, 1.5),
        tuple(f"{i} {name}" for i, name in enumerate(stream["blocks"])),
        tuple(stream["names"]),
        Text(
            "u is the vector, r one over its length on its way; every block does "
            "what its name says. Colours stop at ±1.5. u stops changing when the "
            "component is found.",
            "u はベクトル、r は計算途中の長さの逆数です。各ブロックは名前の通りの"
            "計算をします。色は±1.5で打ち切り。u が変わらなくなれば収束です。",
        ),
        Text("value", "値"),
        is_signed=True,
    )


def _attention(found: Mapping[str, Any]) -> Heat:
    return Heat(
        "attention",
        Text("Attention of the registers over the rows", "行へのアテンション"),
        Text("row of the table", "表の行"),
        Text("register", "レジスタ"),
        100 * np.asarray(found["shares"]),
        tuple(map(str, found["rows"])),
        tuple(f"{i}" for i in range(1, len(found["shares"]) + 1)),
        Text(
            "Share of each row in what a register reads in the last product (squared "
            "attention score), the largest for register 1 first. A single bright row "
            "would mean that one row makes the component: look at that row.",
            "最後の積でレジスタが読む量に占める各行の割合(スコアの2乗)。レジスタ1で大"
            "きい順。1行だけが突出していれば、その行が主成分を作っているので確認して"
            "ください。",
        ),
        Text("%", "%"),
    )


BREACH_TEXTS = {
    "heavy tails": (
        Text("Heavy tails", "裾の重い分布"),
        Text("degrees of freedom of Student's t", "t分布の自由度"),
    ),
    "correlated rows": (
        Text("Correlated rows", "行の相関"),
        Text("memory from row to row in the past", "過去データの行間の自己相関"),
    ),
    "contamination": (
        Text("Outliers among the past rows", "過去データへの異常の混入"),
        Text("share of the past rows", "混入率"),
    ),
    "missing values": (
        Text("Missing values, filled with the median", "欠損値(中央値で補完)"),
        Text("share of the values", "欠損率"),
    ),
    "few rows": (
        Text("Few past rows", "過去データの少なさ"),
        Text("past rows", "過去の行数"),
    ),
    "drift": (
        Text("Components that drift", "主成分の変化"),
        Text("degrees between past and later", "過去とその後の角度(度)"),
    ),
}


def assumption_section(
    checks: Mapping[str, Any],
    breaches: Sequence[Mapping[str, Any]],
    columns: Sequence[Words],
) -> Section:
    """What is assumed, whether it holds here, and what each breach costs."""
    charts = tuple(
        _breach_chart(name, [one for one in breaches if one["breach"] == name])
        for name in dict.fromkeys(one["breach"] for one in breaches)
    )
    parts: list[Part] = [_checked(checks, columns), *_warnings(checks)]
    if charts:
        text = Text(
            "Broken on purpose, on tables whose truth is known (10 columns, three "
            "leading components, 5% of the later rows shifted in a random direction): "
            "average precision of each method, mean and standard error over tables. "
            "These tables are what the spectral methods are made for, so compare the "
            "slopes, not the heights.",
            "正解が分かる人工データ(10列、主要3成分、評価行の5%を任意の方向にずら"
            "す)で、前提を意図的に崩したときの平均適合率(平均と標準誤差)です。スペク"
            "トル法に向いたデータなので、高さではなく傾きを比べてください。",
        )
        parts += [text, *charts]
    return Section("assumptions", Text("Assumptions", "前提の確認"), tuple(parts))


def _checked(checks: Mapping[str, Any], columns: Sequence[Words]) -> Table:
    rows = tuple(
        (name, f"{skewness:+.2f}", f"{tails:+.2f}")
        for name, skewness, tails in zip(
            columns, checks["skew"], checks["kurtosis"], strict=True
        )
    )
    return Table(
        Text(
            "Normality of the past rows: both are 0 for a normal column",
            "過去データの正規性(正規分布ならどちらも0)",
        ),
        (
            Text("column", "列"),
            Text("skewness", "歪度"),
            Text("excess kurtosis", "尖度"),
        ),
        rows,
    )


def _warnings(checks: Mapping[str, Any]) -> list[Part]:
    gap, effective = min(checks["gaps"], default=1.0), checks["effective_rows"]
    parts: list[Part] = [
        Text(
            f"Smallest gap between neighbouring eigenvalues: {gap:.1%} of the larger "
            f"one. {counted(checks['rows'], 'row')} "
            f"{agreed(checks['rows'], 'counts', 'count')} as about "
            f"{counted(round(effective), 'independent one')} (correlation time "
            f"{checks['correlation_time']:.1f} days).",
            f"隣り合う固有値の最小の差は大きい方の{gap:.1%}です。{checks['rows']:,}行"
            f"は、独立な約{effective:,.0f}行に相当します(相関時間 "
            f"{checks['correlation_time']:.1f}日)。",
        )
    ]
    tails = max(checks["kurtosis"], default=0.0)
    if tails > 3:
        parts.append(
            Notice(
                Text(
                    f"Heavy tails: an excess kurtosis of {tails:.1f}. Extreme rows are "
                    "more common than the threshold assumes; expect more false alarms.",
                    f"裾が重い分布です(尖度 {tails:.1f})。極端な行がしきい値の想定より"
                    "多く、誤報が増えます。",
                )
            )
        )
    if gap < 0.02:
        parts.append(
            Notice(
                Text(
                    "Two eigenvalues nearly agree: their vectors are determined only "
                    "as a pair.",
                    "2つの固有値がほぼ等しく、ベクトルは組としてのみ定まります。",
                )
            )
        )
    if effective < 0.1 * checks["rows"]:
        parts.append(
            Notice(
                Text(
                    "Rows are strongly correlated in time, since windows overlap: "
                    "intervals are taken over items, weeks or faults, never over rows.",
                    "窓が重なるため行は時間的に強く相関しています。区間は行ではなく、"
                    "品目・週・異常を単位に求めています。",
                )
            )
        )
    return parts


def _breach_chart(name: str, found: Sequence[Mapping[str, Any]]) -> Chart:
    title, label = BREACH_TEXTS[name]
    series = []
    for method in dict.fromkeys(one["method"] for one in found):
        some = [one for one in found if one["method"] == method]
        series.append(
            Series(
                named(method),
                ["∞" if one["level"] is None else f"{one['level']:g}" for one in some],
                [one["precision"] for one in some],
                [one["precision"] - one["error"] for one in some],
                [one["precision"] + one["error"] for one in some],
            )
        )
    first = found[0]["precision"]
    last = [one for one in found if one["method"] == found[0]["method"]][-1]
    return Chart(
        f"breach-{name.replace(' ', '-')}",
        title,
        label,
        Text("average precision", "平均適合率"),
        tuple(series),
        Text(
            f"The robust spectral detector falls from {first:.2f} to "
            f"{last['precision']:.2f}. Left: the assumption holds; it is broken more "
            "and more to the right.",
            f"頑健なスペクトル検知器は {first:.2f} から {last['precision']:.2f} に下が"
            "ります。左端では前提が成り立ち、右へ行くほど崩れます。",
        ),
    )


def labelled_section(found: Sequence[Mapping[str, Any]]) -> Section:
    """Tables whose strange rows are known, beside the injected faults."""
    title = Text("Real labels", "実データでの確認")
    if not found:
        missing = Text(
            "Not run: the public tables are not installed. pip install "
            "'spectral_tf[poc]' brings them.",
            "公開データが導入されていないため省きました。"
            "pip install 'spectral_tf[poc]' で導入できます。",
        )
        return Section("labelled", title, (missing,))
    rows = tuple(
        (
            one["table"],
            named(one["method"]),
            f"{one['roc_auc']:.3f}",
            f"{one['average_precision']:.3f}",
            f"{one['first']} / {one['strange']}",
            number(one["seconds"], 2),
        )
        for one in found
    )
    text = Text(
        "Nothing is injected here: the strange rows were planted by the tables' "
        "authors or are of a rare class. One setting for all tables, the defaults of "
        "`detect` with the combined score. `First`: how many of the m strange rows "
        "are among the m largest scores.",
        "ここでは何も注入していません。異常行は表の作者が仕込んだもの、または稀なクラ"
        "スです。全ての表で同じ設定(複合スコア)を使いました。「上位」は、m個の異常行"
        "のうちスコア上位m件に入った数です。",
    )
    table = Table(
        Text("Labelled tables", "正解のある公開データ"),
        (
            Text("table", "表"),
            Text("method", "手法"),
            Text("ROC-AUC", "ROC-AUC"),
            Text("average precision", "平均適合率"),
            Text("first", "上位"),
            Text("seconds", "秒"),
        ),
        rows,
        strong=tuple(
            i for i, one in enumerate(found) if one["method"] == "spectral, combined"
        ),
    )
    parts = (text, table, *_winners(found))
    return Section("labelled", title, parts)


def _winners(found: Sequence[Mapping[str, Any]]) -> list[Text]:
    """Which method has the largest average precision on each table."""
    told = []
    for table in dict.fromkeys(one["table"] for one in found):
        some = [one for one in found if one["table"] == table]
        best = max(one["average_precision"] for one in some)
        names = [named(o["method"]) for o in some if o["average_precision"] == best]
        english = " and ".join(n if isinstance(n, str) else n.en for n in names)
        japanese = "、".join(n if isinstance(n, str) else n.ja for n in names)
        told.append(
            Text(
                f"{table}: the largest average precision, {best:.3f}, is that of "
                f"{english}.",
                f"{table}: 平均適合率が最も高い({best:.3f})のは{japanese}です。",
            )
        )
    return told


def cost_section(cost: Mapping[str, Any], document: Mapping[str, Any]) -> Section:
    """What the run cost, the audit log, the versions."""
    training = cost["pre_training"]
    stages = Table(
        Text("Seconds of each stage", "段階ごとの秒数"),
        (Text("stage", "段階"), Text("seconds", "秒")),
        tuple((one["name"], f"{one['seconds']:.1f}") for one in cost["stages"]),
    )
    text = Text(
        f"This run took {cost['seconds']:.0f} s ({cost['processor_seconds']:.0f} s of "
        f"processors, compiling included) and {cost['peak_mb']:,.0f} MB of memory on "
        f"{counted(cost['processors'], 'processor')} ({cost['machine']}), about "
        f"{cost['watt_hours']:.1f} Wh if a busy core takes "
        f"{cost['watts_per_core']:.0f} W (assumed, not measured). Pre-training "
        f"{training['network']} took {training['seconds']:.0f} s once, about "
        f"{training['watt_hours']:.1f} Wh; it is shipped, so you do not pay it again.",
        f"今回の実行は{cost['seconds']:.0f}秒(CPU時間 "
        f"{cost['processor_seconds']:.0f}秒、コンパイル含む)、メモリ "
        f"{cost['peak_mb']:,.0f} MB、{cost['processors']}コア({cost['machine']})でし"
        f"た。1コアあたり{cost['watts_per_core']:.0f} Wと仮定すると約"
        f"{cost['watt_hours']:.1f} Whです(実測ではありません)。{training['network']}の"
        f"事前学習は一度だけ{training['seconds']:.0f}秒(約"
        f"{training['watt_hours']:.1f} Wh)で、同梱済みのため再度の費用はかかりません。",
    )
    audit = document["audit"]
    versions = ", ".join(f"{k} {v}" for k, v in sorted(document["versions"].items()))
    log = Text(
        f"Audit log: {audit['log']}, entry {audit['id']}, head {audit['head']}. Check "
        f"it with `spectral-tf audit verify {audit['log']} --expect {audit['head']}`; "
        "`spectral-tf audit show` makes the decision again.",
        f"監査ログ: {audit['log']}、記録 {audit['id']}、末尾ダイジェスト "
        f"{audit['head']}。"
        f"`spectral-tf audit verify {audit['log']} --expect {audit['head']}` で検証し、"
        "`spectral-tf audit show` で判断を再現できます。",
    )
    made = Text(
        f"Made {document['time']} by `{document['command']}`, seed "
        f"{document['config']['seed']}.",
        f"作成 {document['time']}、コマンド `{document['command']}`、乱数の種 "
        f"{document['config']['seed']}。",
    )
    return Section(
        "record",
        Text("Cost, audit, versions", "費用・監査・バージョン"),
        (
            text,
            Details(Text("Stages", "段階の内訳"), (stages,)),
            log,
            made,
            Text(f"Versions: {versions}.", f"バージョン: {versions}"),
        ),
    )
