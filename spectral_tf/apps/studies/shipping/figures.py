"""The figures of the shipping report, from the document alone."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spectral_tf.apps.report.page.parts import Chart, Heat, Series, Text, Words
from spectral_tf.apps.report.table_figures import shown_name
from spectral_tf.apps.studies.shipping.baselines import OURS
from spectral_tf.apps.studies.shipping.sentences import text
from spectral_tf.apps.studies.words import DELIVERIES
from spectral_tf.config.wording import counted

GROUP = Text("group", "グループ")
METHOD = Text("method", "手法")
Document = Mapping[str, Any]


def stability_chart(document: Document) -> Chart:
    """Stability by number of groups, with that of a table without groups."""
    tried = document["number"]["tried"]
    ks = [float(one["k"]) for one in tried]
    series = [
        _estimated(name, ks, [one["stability"][name] for one in tried])
        for name in tried[0]["stability"]
    ]
    without = _estimated(
        Text("a table without groups", "グループのないデータ"),
        ks,
        [one["reference"] for one in tried],
    )
    series.append(dataclasses.replace(without, style="dashed"))
    return Chart(
        "shipping-stability",
        Text("How well the groups come back", "グループの再現性"),
        Text("number of groups", "グループの数"),
        Text("stability (1 = always the same)", "安定性（1 = 常に同じ）"),
        tuple(series),
        Text(
            "Each point: the mean agreement of groupings of different random parts of "
            "the table (adjusted Rand index; 0 is chance), with its 95% interval. The "
            "dashed line is the same for an artificial table with equal averages and "
            "correlations and no groups, for the method that is most stable there. "
            "Good is a point high above the dashed line; a high point on the line says "
            "nothing. " + f"{OURS} was repeated less often here, so its intervals are "
            "wider.",
            "各点は、データの一部を無作為に取り出して分けた結果どうしの"
            "一致度（調整ランド指数、0 は偶然）の平均と 95% 信頼区間です。破線は、"
            "平均と相関が同じでグループのない人工データでの値（その数で"
            "最も安定した手法）です。破線より大きく上にある点がよく、破線に重なる点は"
            f"高くても意味がありません。{OURS} はここでの反復が少ないため、区間が"
            "広くなっています。",
        ),
    )


def _estimated(
    name: Words, x: Sequence[float | str], estimates: Sequence[Document]
) -> Series:
    """A series of key figures with their intervals."""
    value, low, high = (
        [one[part] for one in estimates] for part in ("value", "low", "high")
    )
    return Series(name, x, value, low, high)


def bic_chart(document: Document) -> Chart:
    """BIC by number of groups."""
    tried = document["number"]["tried"]
    line = Series(
        "GaussianMixture", [float(x["k"]) for x in tried], [x["bic"] for x in tried]
    )
    return Chart(
        "shipping-bic",
        Text("Bayesian information criterion", "ベイズ情報量規準（BIC）"),
        Text("number of groups", "グループの数"),
        "BIC",
        (line,),
        Text(
            "Of a normal mixture of all deliveries; less is better. It rewards every "
            "cut that follows the shape of the cloud, group or not, and so tends to "
            "ask for too many. Shown for comparison; it does not decide.",
            "全データに当てはめた正規混合の BIC で、小さいほどよいとされます。"
            "グループでなくても分布の形に沿って切れば下がるため、数を多く見積もりがちで"
            "す。比較のための表示で、決定には使いません。",
        ),
    )


def map_chart(document: Document) -> Chart:
    """Some deliveries in the first two components, coloured by group."""
    shown, shares = document["map"], document["map"]["shares"]
    groups, points = np.array(shown["group"]), len(shown["group"])
    series = []
    for one in document["groups"]:
        own = np.flatnonzero(groups == one["group"])
        if not len(own):
            continue
        name = text(one["name"])
        series.append(
            Series(
                Text(f"{one['group']}: {name.en}", f"{one['group']}:{name.ja}"),
                [shown["x"][i] for i in own],
                [shown["y"][i] for i in own],
                style="marks",
                label=[f"# {shown['row'][i]}" for i in own],
            )
        )
    used = document["features"]["used"]
    right, up = (_direction(used, loadings) for loadings in shown["loadings"])
    axis = lambda i: Text(
        f"component {i + 1} ({shares[i]:.0%} of the variance)",
        f"第 {i + 1} 成分（分散の {shares[i]:.0%}）",
    )
    return Chart(
        "shipping-map",
        Text("Map of the deliveries", "配送の分布図"),
        axis(0),
        axis(1),
        tuple(series),
        Text(
            f"{counted(points, *DELIVERIES)} drawn at random, each a point; near "
            f"points are alike. To the right: {right.en}. Up: {up.en}. Colours that "
            "run into each other are groups without a gap; groups that cover each "
            "other here differ in directions that the map leaves out "
            f"({1 - sum(shares):.0%} of the variance). The number of a point is its "
            "row in the table.",
            f"無作為に選んだ {points:,} 件の配送で、近い点ほど似ています。右ほど"
            f"「{right.ja}」、上ほど「{up.ja}」です。色が混ざり合う所では、グループの"
            "間に切れ目がありません。重なって見えるグループは、この図に表れない方向"
            f"（分散の {1 - sum(shares):.0%}）で異なります。点の番号は表の行番号です。",
        ),
    )


def _direction(used: list[Any], loadings: list[float]) -> Text:
    """What grows along a component: the two columns that weigh most."""
    order = np.argsort(-np.abs(loadings), kind="stable")[:2].tolist()
    named = [text(used[i]["high" if loadings[i] > 0 else "low"]) for i in order]
    return Text(
        ", ".join(word.en for word in named), "・".join(word.ja for word in named)
    )


def profile_heat(document: Document) -> Heat:
    """Groups by columns: how far each mean is from that of all."""
    groups, used = document["groups"], document["features"]["used"]
    return Heat(
        "shipping-profile",
        Text("What sets each group apart", "各グループの特徴"),
        Text("column", "列"),
        GROUP,
        np.array([one["contrasts"] for one in groups], float),
        tuple(shown_name(one["name"]) for one in used),
        tuple(str(one["group"]) for one in groups),
        Text(
            "Red: the group's mean is above that of all deliveries; blue: below; "
            "white: the same. In standard deviations: 1 is a large difference. Read a "
            "row to see what a group is, a column to see which groups differ in it.",
            "赤は全体の平均より大きく、青は小さく、白は同じであることを示します。単位は"
            "標準偏差で、1 なら大きな差です。横に見るとグループの特徴が、縦に見ると"
            "その列で違うグループがわかります。",
        ),
        Text("standard deviations", "標準偏差"),
        is_signed=True,
    )


def recovery_chart(document: Document) -> Chart:
    """How well each group comes back."""
    groups = document["groups"]
    bars = _estimated(
        Text("share that comes back", "再現される割合"),
        [str(one["group"]) for one in groups],
        [one["recovery"] for one in groups],
    )
    return Chart(
        "shipping-recovery",
        Text("Which groups can be relied on", "どのグループが信頼できるか"),
        GROUP,
        Text("recovery (1 = always found)", "再現率（1 = 常に見つかる）"),
        (bars,),
        Text(
            "For each group, the mean overlap with its counterpart in groupings of "
            "random parts of the table (deliveries in both over deliveries in either), "
            "with its 95% interval. Above 0.75 a group is reliable; below 0.6 it may "
            "be an accident of this table.",
            "データの一部から作り直したグループ分けで、対応するグループと"
            "どれだけ重なるか（両方に入る配送 ÷ どちらかに入る配送）の平均と 95% "
            "信頼区間です。0.75 を超えれば信頼でき、0.6 未満ならこのデータでの"
            "偶然かもしれません。",
        ),
        kind="bars",
    )


def method_chart(document: Document, figure: str) -> Chart:
    """One key figure of every method."""
    figures = document["methods"]["figures"]
    title, axis, note = _METHOD_TEXTS[figure]
    bars = _estimated(axis, list(figures), [one[figure] for one in figures.values()])
    return Chart(
        f"shipping-{figure}-by-method", title, METHOD, axis, (bars,), note, kind="bars"
    )


_METHOD_TEXTS = {
    "stability": (
        Text("Stability of the methods", "手法ごとの安定性"),
        Text("stability", "安定性"),
        Text(
            "The same number of groups, the same columns, the same random parts of the "
            "table for all. 1: the same groups every time; 0: chance. Methods whose "
            "95% intervals overlap are not told apart.",
            "どの手法も、グループ数・列・取り出したデータは同じです。1 なら毎回同じ"
            "グループになり、0 なら偶然です。95% 信頼区間が重なる手法どうしには、差が"
            "あるとはいえません。",
        ),
    ),
    "silhouette": (
        Text("Silhouette of the methods", "手法ごとのシルエット"),
        Text("silhouette", "シルエット"),
        Text(
            "How much nearer a delivery is to its own group than to the next one. 1: "
            "far apart; 0: on the border; below 0: rather in the other. It favours "
            "round groups of equal size, which is what KMeans looks for.",
            "各配送が、隣のグループに比べて自分のグループにどれだけ近いかを示します。1 "
            "なら十分離れており、0 は境目、負なら別のグループに近いことを意味します。"
            "大きさのそろった丸いグループに有利な指標で、KMeans はまさにそれを"
            "探します。",
        ),
    ),
}


def scree_chart(document: Document) -> Chart:
    """Share of each component; its certificate stands below."""
    entries = document["certificate"]["entries"]
    shares = document["certificate"]["shares"]
    names = [f"{one['rank']} {one['status']}" for one in entries]
    bars = Series(Text("share of the variance", "分散に占める割合"), names, shares)
    return Chart(
        "shipping-scree",
        Text("Components and what is proven about them", "成分と証明の状態"),
        Text("component, status of its certificate", "成分と証明書の状態"),
        Text("share of the variance", "分散に占める割合"),
        (bars,),
        Text(
            "How much of the differences between deliveries each component carries. "
            "“certified”: it is proven to lie within the angle of the table below of "
            "the true component; “probable”: so but for a stated chance; “loose”: "
            "neither; “replaced”: an exact solver took over. A certificate is about "
            "the arithmetic, not about the groups.",
            "各成分が配送どうしの違いをどれだけ表すかを示します。「certified」は真の"
            "成分との角度が下の表の値以内であることが証明済み、「probable」は定めた確率"
            "を除き成立、「loose」はどちらでもなく、「replaced」は厳密な解法で置き換えたことを表します。証明されるのは計算の"
            "正しさで、グループの存在ではありません。",
        ),
        kind="bars",
    )
