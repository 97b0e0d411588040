"""The figures of the shipping report, from the document alone."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spectral_tf.apps.report.page.parts import Chart, Heat, Series, Text, Words
from spectral_tf.apps.report.table_figures import shown_name
from spectral_tf.apps.studies.shipping.baselines import OURS
from spectral_tf.apps.studies.shipping.sentences import text
from spectral_tf.apps.studies.words import say

GROUP = say("word.group")
METHOD = say("word.method")
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
        say("shipping.stability.without_groups"),
        ks,
        [one["reference"] for one in tried],
    )
    series.append(dataclasses.replace(without, style="dashed"))
    return Chart(
        "shipping-stability",
        say("shipping.stability.title"),
        say("word.number_of_groups"),
        say("shipping.stability.axis"),
        tuple(series),
        say("shipping.stability.note", ours=OURS),
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
        say("shipping.bic.title"),
        say("word.number_of_groups"),
        "BIC",
        (line,),
        say("shipping.bic.note"),
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
                say("shipping.map.group", group=one["group"], name=name),
                [shown["x"][i] for i in own],
                [shown["y"][i] for i in own],
                style="marks",
                label=[f"# {shown['row'][i]}" for i in own],
            )
        )
    used = document["features"]["used"]
    right, up = (_direction(used, loadings) for loadings in shown["loadings"])
    axis = lambda i: say("shipping.map.axis", rank=i + 1, share=shares[i])
    return Chart(
        "shipping-map",
        say("shipping.map.title"),
        axis(0),
        axis(1),
        tuple(series),
        say(
            "shipping.map.note", points=points, right=right, up=up, rest=1 - sum(shares)
        ),
    )


def _direction(used: list[Any], loadings: list[float]) -> Text:
    """What grows along a component: the two columns that weigh most."""
    order = np.argsort(-np.abs(loadings), kind="stable")[:2].tolist()
    named = [text(used[i]["high" if loadings[i] > 0 else "low"]) for i in order]
    return say.joined("list.words", named)


def profile_heat(document: Document) -> Heat:
    """Groups by columns: how far each mean is from that of all."""
    groups, used = document["groups"], document["features"]["used"]
    return Heat(
        "shipping-profile",
        say("shipping.profile.title"),
        say("word.column"),
        GROUP,
        np.array([one["contrasts"] for one in groups], float),
        tuple(shown_name(one["name"]) for one in used),
        tuple(str(one["group"]) for one in groups),
        say("shipping.profile.note"),
        say("word.standard_deviations"),
        is_signed=True,
    )


def recovery_chart(document: Document) -> Chart:
    """How well each group comes back."""
    groups = document["groups"]
    bars = _estimated(
        say("shipping.recovery.bars"),
        [str(one["group"]) for one in groups],
        [one["recovery"] for one in groups],
    )
    return Chart(
        "shipping-recovery",
        say("shipping.recovery.title"),
        GROUP,
        say("shipping.recovery.axis"),
        (bars,),
        say("shipping.recovery.note"),
        kind="bars",
    )


def method_chart(document: Document, figure: str) -> Chart:
    """One key figure of every method."""
    figures = document["methods"]["figures"]
    texts = say.table("shipping.method_chart")
    title, axis, note = (
        texts[f"{figure}.{part}"] for part in ("title", "axis", "note")
    )
    bars = _estimated(axis, list(figures), [one[figure] for one in figures.values()])
    return Chart(
        f"shipping-{figure}-by-method", title, METHOD, axis, (bars,), note, kind="bars"
    )


def scree_chart(document: Document) -> Chart:
    """Share of each component; its certificate stands below."""
    entries = document["certificate"]["entries"]
    shares = document["certificate"]["shares"]
    names = [f"{one['rank']} {one['status']}" for one in entries]
    bars = Series(say("shipping.certificate.share_of_the_variance"), names, shares)
    return Chart(
        "shipping-scree",
        say("shipping.certificate.scree"),
        say("shipping.certificate.axis"),
        say("shipping.certificate.share_of_the_variance"),
        (bars,),
        say("shipping.certificate.scree_note"),
        kind="bars",
    )
