"""What the numbers of the study mean, in sentences; from the document alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from spectral_tf.apps.report.page.parts import Text
from spectral_tf.apps.studies.shipping.baselines import OURS
from spectral_tf.config.wording import agreed, counted

CLEAR_LEAD, SOME_LEAD = 0.5, 0.2
"""Of what a table without groups leaves to be gained."""
GOOD_STABILITY = 0.75
APART, TOUCHING = 0.5, 0.25
"""Silhouettes (Kaufman & Rousseeuw, 1990)."""
TINY = 0.01
"""Share of the deliveries below which a group is no pattern."""
FIGURES = {
    "stability": Text("stability", "安定性"),
    "silhouette": Text("silhouette", "シルエット"),
    "davies_bouldin": Text("Davies-Bouldin index", "Davies-Bouldin 指数"),
}
NOT_SHOWN = Text(
    "What this does not show. The groups are a description, not a cause: that far "
    "deliveries are slow does not say what happens if something is changed; only a "
    "trial does. Nobody labelled the deliveries, so nothing here can be called right "
    "or wrong: what is measured is whether the groups come back, not whether they are "
    "true. And a group found in one table need not be there in another company's, or "
    "next year.",
    "このレポートが示さないこと。グループは現状の記述であり、原因の説明ではありません。"
    "たとえば「遠い配達は遅い」とわかっても、何かを変えたときの効果は実際に試すまで"
    "わかりません。また、正解のラベルはないため、結果の正しさではなく再現性だけを"
    "測っています。ここで見つかったグループが、他社のデータや来年のデータにもあるとは"
    "限りません。",
)


def text(document: Mapping[str, str]) -> Text:
    """A text of the document."""
    return Text(document["en"], document["ja"])


def interval(estimate: Mapping[str, Any], digits: int = 2) -> str:
    """`0.96 (0.95-0.97)`; a dash where there is no value."""
    if estimate["value"] is None:
        return "–"
    value, low, high = (estimate[name] for name in ("value", "low", "high"))
    return f"{value:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def described_figures(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The key figures of the method whose groups are described."""
    methods = document["methods"]
    return methods["figures"][methods["described"]["method"]]


def lead_of(document: Mapping[str, Any]) -> float:
    """How far the table leads the one without groups."""
    value = described_figures(document)["stability"]["value"] or 0.0
    without = document["methods"]["reference"]["value"] or 0.0
    return (value - without) / (1 - without) if without < 1 else 0.0


def verdict(document: Mapping[str, Any]) -> tuple[Text, Text]:
    """Whether there are groups, and how far apart they are.

    Args:
        document: of `shipping_study`.

    Returns:
        Two paragraphs.

    The thresholds are at the top of this file.
    """
    figures, lead = described_figures(document), lead_of(document)
    value = figures["stability"]["value"] or 0.0
    without = document["methods"]["reference"]["value"] or 0.0
    k = len(document["groups"])
    if lead >= CLEAR_LEAD:
        how = Text(
            f"The deliveries can be sorted into {counted(k, 'group')} that "
            f"{agreed(k, 'comes', 'come')} back when other deliveries are looked at",
            f"配送は {k} つのグループに分けられ、別の配送データを取り出しても"
            "ほぼ同じグループが現れます",
        )
    elif lead >= SOME_LEAD:
        how = Text(
            f"The deliveries can be sorted into {counted(k, 'group')}, but "
            f"{agreed(k, 'it comes', 'these come')} back only in part when other "
            "deliveries are looked at",
            f"配送は {k} つのグループに分けられますが、別の配送データを取り出すと"
            "同じグループは一部しか現れません",
        )
    else:
        how = Text(
            f"The {counted(k, 'group')} found {agreed(k, 'is', 'are')} hardly more "
            "stable than what the method finds in a table that has no groups at all; "
            f"do not rely on {agreed(k, 'it', 'them')}",
            f"この {k} つのグループの安定性は、グループのないデータから得られるものと"
            "ほとんど変わりません。判断の根拠にはしないでください",
        )
    numbers = Text(
        f" (stability {value:.2f}; {without:.2f} in an artificial table of the same "
        "averages and correlations, but without groups).",
        f"（安定性 {value:.2f}。平均と相関が同じでグループのない人工データでは "
        f"{without:.2f}）。",
    )
    first = Text(how.en + numbers.en, how.ja + numbers.ja)
    return first, _apart(figures["silhouette"]["value"])


def _apart(silhouette: float | None) -> Text:
    """How far the groups are apart."""
    value = silhouette or 0.0
    if value >= APART:
        return Text(
            f"They are clearly apart (silhouette {value:.2f}; 1 would be perfect).",
            f"グループどうしははっきり分かれています（シルエット {value:.2f}、"
            "完全な分離なら 1）。",
        )
    if value >= TOUCHING:
        return Text(
            f"They touch (silhouette {value:.2f}; 1 would be clear gaps): between two "
            "groups there are deliveries that could be in either.",
            f"グループどうしは接しています（シルエット {value:.2f}、完全な分離なら "
            "1）。境目には、どちらに入ってもおかしくない配送があります。",
        )
    return Text(
        f"They are slices, not islands (silhouette {value:.2f}; 1 would be clear "
        "gaps): the deliveries pass gradually from one group to the next. The groups "
        "help to talk and to plan; they are not different kinds of delivery.",
        f"ただし、島のように離れてはいません（シルエット {value:.2f}、完全な分離なら "
        "1）。配送の特徴は連続的に変わっており、グループはそれを切り分けたものです。"
        "議論や計画の整理には役立ちますが、種類の異なる配送とみなすことはできません。",
    )


def tiny_words(document: Mapping[str, Any]) -> tuple[Text, ...]:
    """A word about groups that are too small to be a pattern; none if there are none.

    Args:
        document: of `shipping_study`.

    Returns:
        At most one paragraph.
    """
    tiny = [one for one in document["groups"] if one["share"] < TINY]
    if not tiny:
        return ()
    numbers = ", ".join(str(one["group"]) for one in tiny)
    return (
        Text(
            f"Of all deliveries, less than {TINY:.0%} are in each of these groups: "
            f"{numbers}. That is a handful of strange deliveries and no pattern, and "
            "it makes the stability look better than it is.",
            f"全体の {TINY:.0%} に満たないグループがあります：{numbers}。これは"
            "パターンではなく、少数の変わった配送です。そのため安定性は実際より"
            "高く見えています。",
        ),
    )


def method_words(document: Mapping[str, Any]) -> tuple[Text, ...]:
    """Whose groups are described, who wins what, and when ours cannot differ.

    Args:
        document: of `shipping_study`.

    Returns:
        Paragraphs.
    """
    described = document["methods"]["described"]
    found = [_described(described, document["methods"]["figures"])]
    found += [_compared(one) for one in document["methods"]["comparison"]]
    if document["certificate"]["is_whole_space"]:
        count = len(document["features"]["used"])
        found.append(
            Text(
                f"With {counted(document['number']['k'], 'group')}, {OURS} uses "
                f"{counted(count, 'component')}, all that there are of "
                f"{counted(count, 'column')}. So it is a normal mixture in the whole "
                "table, as GaussianMixture is, and its components cannot help it "
                "here; they help in tables with many more columns than groups.",
                f"{document['number']['k']} グループの場合、{OURS} は {count} 列に"
                f"対して {count} 個すべての成分を使います。つまり表全体での正規混合"
                "（GaussianMixture と同じ）になり、成分を絞る利点がここでは働きません。"
                "利点が出るのは、列の数がグループの数よりずっと多い場合です。",
            )
        )
    return tuple(found)


def _described(described: Mapping[str, Any], figures: Mapping[str, Any]) -> Text:
    method, best = described["method"], described["best"]
    if described["is_tie"]:
        top, own = (figures[name]["stability"] for name in (best, method))
        return Text(
            f"The groups in this report are those of {method}. {best} is a little more "
            f"stable ({interval(top)} against {interval(own)}), but the intervals "
            "overlap.",
            f"このレポートのグループは {method} によるものです。安定性は {best} が"
            f"わずかに上です（{interval(top)} 対 {interval(own)}）が、信頼区間が"
            "重なっています。",
        )
    own = figures[OURS]["stability"]
    if method == OURS:
        return Text(
            f"The groups in this report are those of {method}: no other method is more "
            "stable on this table.",
            f"このレポートのグループは {method} によるものです。このデータでは、"
            "これより安定した手法はありませんでした。",
        )
    return Text(
        f"The groups in this report are those of {method}, the most stable method on "
        f"this table ({interval(figures[method]['stability'])}). This package's own "
        f"method, {OURS}, is less stable ({interval(own)}), so its groups are not the "
        "ones described.",
        f"このレポートのグループは、このデータで最も安定していた {method} によるもので"
        f"す（{interval(figures[method]['stability'])}）。本パッケージの {OURS} は"
        f"安定性で劣った（{interval(own)}）ため、そのグループは採用していません。",
    )


def _compared(one: Mapping[str, Any]) -> Text:
    """How ours does in one key figure against the best other method."""
    name, gap = FIGURES[one["figure"]], abs(one["difference"])
    ours, other = interval(one["ours"], 3), interval(one["other"], 3)
    end = {
        "win": Text(f"{OURS} wins by {gap:.3f}.", f"{OURS} が {gap:.3f} 上回ります。"),
        "loss": Text(
            f"{OURS} loses by {gap:.3f}.", f"{OURS} は {gap:.3f} 及びません。"
        ),
        "tie": Text(
            "The intervals overlap: a tie.",
            "信頼区間が重なり、差があるとはいえません。",
        ),
    }[one["verdict"]]
    less = one["figure"] == "davies_bouldin"
    hint = Text(" (less is better)", "（小さいほどよい）") if less else Text("", "")
    return Text(
        f"{name.en[:1].upper()}{name.en[1:]}{hint.en}: {OURS} {ours}, the best other "
        f"method ({one['rival']}) {other}. {end.en}",
        f"{name.ja}{hint.ja}：{OURS} は {ours}、ほかで最もよい {one['rival']} は "
        f"{other}。{end.ja}",
    )


def score_of(comparison: Sequence[Mapping[str, Any]]) -> Text:
    """Wins, ties and losses of ours."""
    count = {
        name: sum(one["verdict"] == name for one in comparison)
        for name in ("win", "tie", "loss")
    }
    return Text(
        f"{count['win']} / {count['tie']} / {count['loss']}",
        f"{count['win']} 勝 {count['tie']} 分 {count['loss']} 敗",
    )


def number_words(document: Mapping[str, Any]) -> Text:
    """How the number of groups was found."""
    number = document["number"]
    if not number["is_chosen"]:
        return Text(
            f"The number of groups, {number['k']}, was given. The figure shows what "
            "the table says of other numbers.",
            f"グループの数 {number['k']} は利用者が指定しました。ほかの数にした場合の"
            "安定性を下の図に示します。",
        )
    best_bic = min(number["tried"], key=lambda one: one["bic"])["k"]
    if best_bic == number["k"]:
        criterion = Text("agrees", "も同じ数を示しています")
    else:
        criterion = Text(f"would take {best_bic}", f"では {best_bic} になります")
    return Text(
        f"{counted(number['k'], 'group')} {agreed(number['k'], 'was', 'were')} chosen, "
        "because that number comes back best: every number was tried on random parts "
        "of the table, and what counts is how far the stability lies above that of a "
        "table without groups. Among equals, the number whose groups are further "
        f"apart is taken. The Bayesian information criterion {criterion.en}; it does "
        "not decide, because it rewards finer cuts of smooth data, groups or not.",
        f"グループの数は {number['k']} としました。データの一部を無作為に"
        "何度も取り出して各数を試し、グループのないデータと比べた安定性が"
        "最も高かったためです。同程度なら、よりはっきり分かれる数を採ります。"
        f"ベイズ情報量規準（BIC）{criterion.ja}が、連続的なデータを細かく切るだけで"
        "も下がり続けるため、決定には使いません。",
    )
