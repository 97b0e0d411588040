"""Methods, strange deliveries and the certificate: three sections of the report."""

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
from spectral_tf.apps.studies.shipping.baselines import OURS
from spectral_tf.apps.studies.shipping.sentences import (
    FIGURES,
    interval,
    method_words,
    text,
)
from spectral_tf.apps.studies.words import DELIVERIES
from spectral_tf.config.wording import agreed, counted

Document = Mapping[str, Any]


def methods_section(document: Document) -> Section:
    """Which method wins what.

    Args:
        document: of `shipping_study`.

    Returns:
        The section.
    """
    methods, seconds = document["methods"], document["seconds"]
    names = list(methods["figures"])
    rows = tuple(
        (
            name,
            *(interval(methods["figures"][name][figure], 3) for figure in FIGURES),
            f"{seconds['resample_fit'][name]:.2f}",
            f"{seconds['whole_fit'][name]:.2f}",
        )
        for name in names
    )
    table = Table(
        Text(
            f"Every method with {counted(document['number']['k'], 'group')} on the "
            f"same columns: {counted(document['config']['resamples'], 'random part')} "
            f"of {counted(methods['rows']['resample'], *DELIVERIES)}, judged on "
            f"{methods['rows']['common']:,} common ones; 95% intervals. A smaller "
            "Davies-Bouldin index is better.",
            f"同じ列・{document['number']['k']} グループでの比較。無作為に取り出した "
            f"{methods['rows']['resample']:,} 件 × {document['config']['resamples']} 回"
            f"で学習し、共通の {methods['rows']['common']:,} 件で評価しました（95% 信頼"
            "区間）。Davies-Bouldin 指数は小さいほどよい値です。",
        ),
        (
            figures.METHOD,
            *FIGURES.values(),
            Text("seconds, one part", "秒（1 回）"),
            Text("seconds, all deliveries", "秒（全件）"),
        ),
        rows,
        strong=(names.index(methods["described"]["method"]),),
    )
    return Section(
        "shipping-methods",
        Text("The methods compared", "手法の比較"),
        (
            *method_words(document),
            table,
            figures.method_chart(document, "stability"),
            figures.method_chart(document, "silhouette"),
            Details(Text("How it was compared", "比較の方法"), _how(document)),
        ),
    )


def _how(document: Document) -> tuple[Part, ...]:
    names = list(document["methods"]["agreement"])
    agreement = document["methods"]["agreement"]
    graph = document["config"]["graph_rows"]
    rows = tuple(
        (one, *(f"{agreement[one][other]:.2f}" for other in names)) for one in names
    )
    return (
        Text(
            "SpectralClustering needs a graph of all pairs of neighbours; it sees at "
            f"most {graph:,} of the deliveries, and any other follows the majority of "
            "its five nearest. KMeans has ten starts, the mixtures (also that of "
            f"{OURS}) {document['config']['num_starts']}; the best is kept. Seconds "
            "are those of the machine that made this report and change from run to "
            f"run; those of {OURS} include compiling.",
            f"SpectralClustering は近傍グラフが必要なため最大 {graph:,} 件で学習し、"
            "残りは最も近い 5 件の多数決で割り当てています。初期値は KMeans が 10 "
            f"通り、正規混合（{OURS} を含む）が {document['config']['num_starts']} "
            "通りで、最良の結果を採用しました。秒数はこのレポートを作成した計算機での"
            f"値で、実行ごとに変わります。{OURS} はコンパイル時間を含みます。",
        ),
        Table(
            Text(
                "Agreement of the methods on all deliveries (adjusted Rand index; 1 = "
                "the same groups)",
                "全件での手法どうしの一致度（調整ランド指数、1 = 同じグループ）",
            ),
            (figures.METHOD, *names),
            rows,
        ),
    )


def strange_section(document: Document) -> Section:
    """The deliveries that do not fit.

    Args:
        document: of `shipping_study`.

    Returns:
        The section.
    """
    found, usual = document["strange"], _usual_errors(document)
    rows: tuple[tuple[Words, ...], ...] = tuple(
        (
            f"{one['row']:,}",
            text(one["words"]),
            text(one["others"]),
            str(one["group"]),
            f"{one['score']:.2f}",
        )
        for one in found["top"]
    )
    table = Table(
        Text("The deliveries that fit least, the strangest first", "釣り合わない順"),
        (
            Text("row", "行"),
            Text("what does not fit", "釣り合わない点"),
            Text("the other columns", "ほかの列"),
            figures.GROUP,
            Text("score", "スコア"),
        ),
        rows,
    )
    return Section(
        "shipping-strange",
        Text("Strange deliveries", "ほかと釣り合わない配送"),
        (
            Text(
                "A delivery is strange if its columns do not go together as they "
                f"usually do. {counted(found['n_components'], 'component')}, found so "
                "that strange deliveries do not attract them, reproduce the usual "
                "ones; the score is the distance that is left, and "
                f"{counted(found['n_outliers'], *DELIVERIES)} ({found['share']:.1%}) "
                f"{agreed(found['n_outliers'], 'lies', 'lie')} beyond "
                f"{found['threshold']:.2f}. What is to be expected of a column follows "
                "from the other columns of the same delivery. Usually it is off by: "
                f"{usual.en} (standard deviation). It shows the direction and the size "
                "of the surprise and is no forecast. Ask of each row: a mistake in "
                "the record, a special case, or a problem worth solving?",
                "各列の値の組み合わせが通常と異なる配送を挙げています。通常の配送を "
                f"{found['n_components']} 個の成分で再現し（異常な配送に"
                "引きずられない方法で求めています）、再現しきれずに残った距離をスコアと"
                f"しました。しきい値 {found['threshold']:.2f} を超える配送は "
                f"{found['n_outliers']:,} 件（{found['share']:.1%}）です。"
                "「見込まれる値」は同じ配送のほかの列から求めた値です。通常の"
                f"ずれ（標準偏差）は{usual.ja}です。ずれの向きと大きさの目安であり、"
                "予測ではありません。各行について、記録の誤りか、特別な事情か、"
                "解決すべき問題かを確認してください。",
            ),
            table,
        ),
    )


def _usual_errors(document: Document) -> Text:
    """How far the columns that are named in the list are off otherwise."""
    used = {one["name"]: text(one["short"]) for one in document["features"]["used"]}
    named = {one["column"] for one in document["strange"]["top"]}
    pairs = [
        (used[name], text(error))
        for name, error in document["strange"]["errors"].items()
        if name in named
    ]
    return Text(
        ", ".join(f"{short.en} {error.en}" for short, error in pairs),
        "、".join(f"{short.ja} {error.ja}" for short, error in pairs),
    )


def certificate_section(document: Document) -> Section:
    """What is proven about the components.

    Args:
        document: of `shipping_study`.

    Returns:
        The section.
    """
    certificate = document["certificate"]
    rows = tuple(
        (
            str(one["rank"]),
            one["status"],
            f"{one['eigenvalue']:.4f}",
            _small(one["eigenvalue_error"]),
            _small(one["angle_bound"]),
            f"{share:.1%}",
        )
        for one, share in zip(
            certificate["entries"], certificate["shares"], strict=True
        )
    )
    table = Table(
        Text(
            f"The components that {OURS} used (engine: {certificate['engine']})",
            f"{OURS} が使った成分（計算方法：{certificate['engine']}）",
        ),
        (
            Text("component", "成分"),
            Text("status", "状態"),
            Text("eigenvalue", "固有値"),
            Text("error at most", "誤差の上限"),
            Text("angle at most (rad)", "角度の上限（rad）"),
            Text("share of the variance", "分散に占める割合"),
        ),
        rows,
    )
    return Section(
        "shipping-certificate",
        Text("What is proven", "証明されていること"),
        (figures.scree_chart(document), table),
    )


def _small(value: float | None) -> str:
    return "–" if value is None else f"{value:.1e}"
