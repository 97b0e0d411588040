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
from spectral_tf.apps.studies.words import say

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
        say(
            "shipping.methods.table",
            k=document["number"]["k"],
            resamples=document["config"]["resamples"],
            rows=methods["rows"]["resample"],
            common=methods["rows"]["common"],
        ),
        (
            figures.METHOD,
            *FIGURES.values(),
            say("word.seconds_one_part"),
            say("word.seconds_all_deliveries"),
        ),
        rows,
        strong=(names.index(methods["described"]["method"]),),
    )
    return Section(
        "shipping-methods",
        say("shipping.methods.title"),
        (
            *method_words(document),
            table,
            figures.method_chart(document, "stability"),
            figures.method_chart(document, "silhouette"),
            Details(say("shipping.methods.comparison"), _how(document)),
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
        say(
            "shipping.methods.how",
            graph=graph,
            ours=OURS,
            num_starts=document["config"]["num_starts"],
        ),
        Table(
            say("shipping.methods.agreement"),
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
        say("shipping.strange.table"),
        (
            say("word.row"),
            say("word.what_does_not_fit"),
            say("word.the_other_columns"),
            figures.GROUP,
            say("word.score"),
        ),
        rows,
    )
    return Section(
        "shipping-strange",
        say("shipping.strange.title"),
        (
            say(
                "shipping.strange.lead",
                n_components=found["n_components"],
                n_outliers=found["n_outliers"],
                share=found["share"],
                threshold=found["threshold"],
                usual=usual,
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
    return say.joined(
        "list.items",
        [
            say("shipping.strange.pair", short=short, shown=error)
            for short, error in pairs
        ],
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
        say("shipping.certificate.table", ours=OURS, engine=certificate["engine"]),
        (
            say("shipping.certificate.component"),
            say("word.status"),
            say("word.eigenvalue"),
            say("word.error_at_most"),
            say("word.angle_at_most"),
            say("shipping.certificate.share_of_the_variance"),
        ),
        rows,
    )
    return Section(
        "shipping-certificate",
        say("shipping.certificate.title"),
        (figures.scree_chart(document), table),
    )


def _small(value: float | None) -> str:
    return "–" if value is None else f"{value:.1e}"
