"""What the numbers of the study mean, in sentences; from the document alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from spectral_tf.apps.report.page.parts import Text
from spectral_tf.apps.studies.shipping.baselines import OURS
from spectral_tf.apps.studies.words import say

CLEAR_LEAD, SOME_LEAD = 0.5, 0.2
"""Of what a table without groups leaves to be gained."""
GOOD_STABILITY = 0.75
APART, TOUCHING = 0.5, 0.25
"""Silhouettes (Kaufman & Rousseeuw, 1990)."""
TINY = 0.01
"""Share of the deliveries below which a group is no pattern."""
FIGURES = say.table("shipping.figure")
NOT_SHOWN = say("shipping.summary.not_shown")


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
        how = say("shipping.verdict.clear", k=k)
    elif lead >= SOME_LEAD:
        how = say("shipping.verdict.some", k=k)
    else:
        how = say("shipping.verdict.hardly", k=k)
    first = say("shipping.verdict.stability", how=how, value=value, without=without)
    return first, _apart(figures["silhouette"]["value"])


def _apart(silhouette: float | None) -> Text:
    """How far the groups are apart."""
    value = silhouette or 0.0
    if value >= APART:
        return say("shipping.verdict.apart", value=value)
    if value >= TOUCHING:
        return say("shipping.verdict.touching", value=value)
    return say("shipping.verdict.slices", value=value)


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
    return (say("shipping.summary.tiny", least=TINY, numbers=numbers),)


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
            say(
                "shipping.methods.whole_space",
                k=document["number"]["k"],
                ours=OURS,
                columns=count,
            )
        )
    return tuple(found)


def _described(described: Mapping[str, Any], figures: Mapping[str, Any]) -> Text:
    method, best = described["method"], described["best"]
    if described["is_tie"]:
        top, own = (figures[name]["stability"] for name in (best, method))
        return say(
            "shipping.methods.tie",
            method=method,
            best=best,
            top=interval(top),
            own=interval(own),
        )
    own = figures[OURS]["stability"]
    if method == OURS:
        return say("shipping.methods.best", method=method)
    return say(
        "shipping.methods.other",
        method=method,
        stability=interval(figures[method]["stability"]),
        ours=OURS,
        own=interval(own),
    )


def _compared(one: Mapping[str, Any]) -> Text:
    """How ours does in one key figure against the best other method."""
    name, gap = FIGURES[one["figure"]], abs(one["difference"])
    ours, other = interval(one["ours"], 3), interval(one["other"], 3)
    end = {
        "win": say("shipping.methods.wins", ours=OURS, gap=gap),
        "loss": say("shipping.methods.loses", ours=OURS, gap=gap),
        "tie": say("shipping.methods.ties"),
    }[one["verdict"]]
    less = one["figure"] == "davies_bouldin"
    hint = say("shipping.methods.less_is_better") if less else ""
    return say(
        "shipping.methods.compared",
        name=name,
        hint=hint,
        ours=OURS,
        value=ours,
        rival=one["rival"],
        other=other,
        end=end,
    )


def score_of(comparison: Sequence[Mapping[str, Any]]) -> Text:
    """Wins, ties and losses of ours."""
    count = {
        name: sum(one["verdict"] == name for one in comparison)
        for name in ("win", "tie", "loss")
    }
    return say(
        "shipping.methods.score", win=count["win"], tie=count["tie"], loss=count["loss"]
    )


def number_words(document: Mapping[str, Any]) -> Text:
    """How the number of groups was found."""
    number = document["number"]
    if not number["is_chosen"]:
        return say("shipping.number.given", k=number["k"])
    best_bic = min(number["tried"], key=lambda one: one["bic"])["k"]
    if best_bic == number["k"]:
        criterion = say("shipping.number.bic_agrees")
    else:
        criterion = say("shipping.number.bic_differs", best_bic=best_bic)
    return say("shipping.number.chosen", k=number["k"], criterion=criterion)
