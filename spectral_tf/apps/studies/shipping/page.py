"""The page, the tables and the lines of a shipping study, from its document."""

from collections.abc import Mapping
from typing import Any

from spectral_tf.apps.report.page.parts import Page
from spectral_tf.apps.studies.sections import cost_section
from spectral_tf.apps.studies.shipping.sections import shipping_sections
from spectral_tf.apps.studies.shipping.sentences import number_words, text, verdict
from spectral_tf.apps.studies.words import DELIVERIES, say
from spectral_tf.config.wording import agreed, counted


def shipping_page(document: Mapping[str, Any]) -> Page:
    """The page of a shipping study.

    Args:
        document: of `shipping_study`, with `cost` and `audit`, as the command writes
            it.

    Returns:
        The page.
    """
    data, groups = document["data"], len(document["groups"])
    return Page(
        say("shipping.page.title"),
        say("shipping.page.lead", rows=data["rows"], groups=groups),
        (
            *shipping_sections(document),
            cost_section(document["cost"], document),
        ),
    )


def csv_files(document: Mapping[str, Any]) -> dict[str, list[list[Any]]]:
    """Tables for a spreadsheet: the groups, and the strange deliveries.

    Args:
        document: of `shipping_study`.

    Returns:
        Name of a file -> rows, the head first.
    """
    names = [one["label"]["en"] for one in document["features"]["used"]]
    groups = [["group", "name", "rows", "share", *(f"mean of {n}" for n in names)]]
    groups += [
        [one["group"], one["name"]["en"], one["rows"], one["share"], *one["means"]]
        for one in document["groups"]
    ]
    strange = [["row", "group", "score", "reason"]]
    strange += [
        [one["row"], one["group"], one["score"], one["words"]["en"]]
        for one in document["strange"]["top"]
    ]
    return {"groups.csv": groups, "strange.csv": strange}


def summary_lines(document: Mapping[str, Any]) -> list[str]:
    """What was found, as lines for a terminal."""
    first, second = verdict(document)
    lines = [first.en, second.en, number_words(document).en, ""]
    lines += [text(one["words"]).en for one in document["groups"]]
    strange = document["strange"]
    count = strange["n_outliers"]
    misfit = f"{counted(count, *DELIVERIES)} {agreed(count, 'does', 'do')} not fit"
    lines += ["", f"{misfit}; the strangest:"]
    return lines + [f"  {one['words']['en']}" for one in strange["top"][:3]]
