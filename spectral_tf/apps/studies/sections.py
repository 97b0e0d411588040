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
from spectral_tf.apps.studies.words import STATUS, named, number, say


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
        say("components.scree"),
        say("word.component"),
        say("word.share_of_the_variance"),
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
        say(
            "components.scree_note",
            certified=certified,
            count=len(names),
            tol=found["tol"],
        ),
        kind="bars",
    )
    loadings = Heat(
        "loadings",
        say("components.loadings"),
        say("word.column"),
        say("word.component"),
        np.asarray(found["loadings"]),
        tuple(columns),
        tuple(names),
        say("components.loadings_note"),
        say("word.weight"),
        is_signed=True,
    )
    return Section("components", say("components.title"), (scree, loadings))


def network_section(found: Mapping[str, Any]) -> Section:
    """What the network computes, block by block."""
    angles = [
        Series(
            say("network.vector", text=text, rank=rank + 1),
            np.arange(1.0, len(found["angles"][kind]) + 1).tolist(),
            [max(block[rank], 1e-3) for block in found["angles"][kind]],
            style="line" if kind == "constructed" else "dashed",
        )
        for kind, text in (
            ("constructed", say("word.constructed")),
            ("trained", found["network"]),
        )
        for rank in range(len(found["angles"][kind][0]))
    ]
    products, blocks = found["products"], found["blocks"]
    angle = Chart(
        "angles",
        say("network.angles"),
        say("word.after_block"),
        say("word.degrees"),
        tuple(angles),
        say(
            "network.angles_note",
            iterations=products["constructed"],
            blocks=blocks["constructed"],
            products=products["trained"],
        ),
        log_y=True,
    )
    return Section(
        "network",
        say("network.title"),
        (
            say("network.lead", rows=found["rows"]),
            angle,
            _stream(found["stream"]),
            _attention(found["attention"]),
        ),
    )


def _stream(stream: Mapping[str, Any]) -> Heat:
    return Heat(
        "stream",
        say("network.stream"),
        say("word.after_block"),
        say("word.named_row"),
        np.clip(np.asarray(stream["values"], float), -1.5, 1.5),
        tuple(f"{i} {name}" for i, name in enumerate(stream["blocks"])),
        tuple(stream["names"]),
        say("network.stream_note"),
        say("word.value"),
        is_signed=True,
    )


def _attention(found: Mapping[str, Any]) -> Heat:
    return Heat(
        "attention",
        say("network.attention"),
        say("word.row_of_the_table"),
        say("word.register"),
        100 * np.asarray(found["shares"]),
        tuple(map(str, found["rows"])),
        tuple(f"{i}" for i in range(1, len(found["shares"]) + 1)),
        say("network.attention_note"),
        say("word.percent_sign"),
    )


BREACH_TEXTS = say.table("breach")
"""Title of each breach, and what its dial shows."""


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
        text = say("assumptions.breaches")
        parts += [text, *charts]
    return Section("assumptions", say("assumptions.title"), tuple(parts))


def _checked(checks: Mapping[str, Any], columns: Sequence[Words]) -> Table:
    rows = tuple(
        (name, f"{skewness:+.2f}", f"{tails:+.2f}")
        for name, skewness, tails in zip(
            columns, checks["skew"], checks["kurtosis"], strict=True
        )
    )
    return Table(
        say("assumptions.normality"),
        (
            say("word.column"),
            say("word.skewness"),
            say("word.excess_kurtosis"),
        ),
        rows,
    )


def _warnings(checks: Mapping[str, Any]) -> list[Part]:
    gap, effective = min(checks["gaps"], default=1.0), checks["effective_rows"]
    parts: list[Part] = [
        say(
            "assumptions.gaps",
            gap=gap,
            rows=checks["rows"],
            effective=round(effective),
            correlation_time=checks["correlation_time"],
        )
    ]
    tails = max(checks["kurtosis"], default=0.0)
    if tails > 3:
        parts.append(Notice(say("assumptions.heavy_tails", tails=tails)))
    if gap < 0.02:
        parts.append(Notice(say("assumptions.nearly_equal")))
    if effective < 0.1 * checks["rows"]:
        parts.append(Notice(say("assumptions.correlated")))
    return parts


def _breach_chart(name: str, found: Sequence[Mapping[str, Any]]) -> Chart:
    title, label = BREACH_TEXTS[f"{name}.title"], BREACH_TEXTS[f"{name}.label"]
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
        say("word.average_precision"),
        tuple(series),
        say("assumptions.breach_note", first=first, last=last["precision"]),
    )


def labelled_section(found: Sequence[Mapping[str, Any]]) -> Section:
    """Tables whose strange rows are known, beside the injected faults."""
    title = say("labelled.title")
    if not found:
        missing = say("labelled.not_run")
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
    text = say("labelled.lead")
    table = Table(
        say("labelled.table"),
        (
            say("word.table"),
            say("word.method"),
            say("labelled.roc_auc"),
            say("word.average_precision"),
            say("word.first"),
            say("word.seconds"),
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
        best_methods = say.joined("list.and", names)
        told.append(
            say("labelled.winner", table=table, best=best, methods=best_methods)
        )
    return told


def cost_section(cost: Mapping[str, Any], document: Mapping[str, Any]) -> Section:
    """What the run cost, the audit log, the versions."""
    training = cost["pre_training"]
    stages = Table(
        say("record.stage_seconds"),
        (say("word.stage"), say("word.seconds")),
        tuple((one["name"], f"{one['seconds']:.1f}") for one in cost["stages"]),
    )
    text = say(
        "record.cost",
        seconds=cost["seconds"],
        processor_seconds=cost["processor_seconds"],
        peak_mb=cost["peak_mb"],
        processors=cost["processors"],
        machine=cost["machine"],
        watt_hours=cost["watt_hours"],
        watts_per_core=cost["watts_per_core"],
        network=training["network"],
        training_seconds=training["seconds"],
        training_watt_hours=training["watt_hours"],
    )
    audit = document["audit"]
    versions = ", ".join(f"{k} {v}" for k, v in sorted(document["versions"].items()))
    log = say("record.log", log=audit["log"], id=audit["id"], head=audit["head"])
    made = say(
        "record.made",
        time=document["time"],
        command=document["command"],
        seed=document["config"]["seed"],
    )
    return Section(
        "record",
        say("record.title"),
        (
            text,
            Details(say("record.stages"), (stages,)),
            log,
            made,
            say("record.versions", versions=versions),
        ),
    )
