"""What was found as text, for a reader who knows the table but not the package."""

from collections.abc import Sequence

import numpy as np

from spectral_tf.apps.analysis.document import largest, mean_probability
from spectral_tf.apps.analysis.fit import Answer, Clusters, Components, Outliers
from spectral_tf.apps.analysis.prepare import NOT_CHOSEN, Prepared
from spectral_tf.apps.report.table_figures import biplot_lettering, shown_name
from spectral_tf.apps.report.tables import GLUE, wrapped_table
from spectral_tf.certificate import Certificate
from spectral_tf.config.wording import agreed, counted, percent
from spectral_tf.tables.columns import listed

MOST_LINES = 20
"""Components or clusters that the text lists; the files hold all."""
MOST_NOTES = 8
STAND_OUT = 0.5
"""Standard deviations by which a column sets a cluster apart."""
NAMED_TEXT = 2
"""Columns that stand for a row; the files name more."""
WHOLE = 10_000
"""Characters of a sentence, at most."""


def _phrase(pairs: Sequence[tuple[str, float]]) -> str:
    parts = [f"{shown_name(name)} {value:+.2f}" for name, value in pairs]
    return ", ".join(part.replace(" ", GLUE) for part in parts)


def opening(table: Prepared) -> list[str]:
    """What was read, what was left out, filled in and scaled; one line each.

    Args:
        table: as it was analysed.

    Returns:
        Lines.
    """
    rows, columns = table.x.shape
    sizes = f"{counted(rows, 'row')}, {counted(columns, 'column')}"
    lines = [f"{table.name}: {sizes} analysed."]
    chosen = [one for one in table.left_out if one.reason == NOT_CHOSEN]
    others = [one for one in table.left_out if one not in chosen]
    lines += [one.sentence() for one in others[:MOST_NOTES]]
    if len(others) > MOST_NOTES:
        more = counted(len(others) - MOST_NOTES, "more column")
        lines.append(f"Left out {more}; summary.json has the names.")
    if chosen:
        count = counted(len(chosen), "column")
        verb = agreed(len(chosen), "was", "were")
        lines.append(f"Left out {count} that {verb} not chosen.")
    lines += table.notes
    if table.imputed:
        parts = [
            f"{filled.cells} in {name!r} ({filled.value:g})"
            for name, filled in table.imputed.items()
        ]
        total = sum(filled.cells for filled in table.imputed.values())
        lines.append(
            f"Filled {counted(total, 'missing value')} with the median of "
            f"{agreed(total, 'its', 'their')} column: "
            f"{listed(parts)}."
        )
    lines.append(
        "Every column was scaled to zero mean and unit variance."
        if table.is_standardized
        else "The columns were not scaled: those with large numbers weigh most."
    )
    return lines


def certificate_lines(certificate: Certificate, engine: str, reason: str) -> list[str]:
    """What is proven about the components, in sentences.

    Args:
        certificate: of k components.
        engine: who found them.
        reason: why that engine.

    Returns:
        Lines.
    """
    entries, unproven = certificate.entries, certificate.uncertified
    count, tol = len(entries), certificate.tol
    proven = count - len(unproven)
    probable = [str(e.rank) for e in entries if e.status == "probable"]
    unproven = [rank for rank in unproven if str(rank) not in probable]
    lines = [
        f"Certificate: {proven} of {counted(count, 'component')} "
        f"{agreed(proven, 'is', 'are')} proven to lie within {tol:g} rad of the true "
        f"{agreed(proven, 'one', 'ones')} (engine {engine}: {reason})."
    ]
    spans = sorted({entry.ranks for entry in entries if entry.is_joint})
    if spans:
        named = listed([f"{first}-{last}" for first, last in spans])
        lines.append(
            f"Of ranks {named} only the span is meant: their eigenvalues are so close "
            "that each vector may be turned within it."
        )
    if probable:
        lines.append(
            f"Probable, not proven: {listed(probable)}. That they do is false with a "
            f"chance of at most {certificate.eta:g}, over random vectors that know "
            "nothing of the table; a proof would cost more than three times the fit "
            "(certify='proof' takes it)."
        )
    if unproven:
        named = listed([str(rank) for rank in unproven])
        lines.append(
            f"Not proven: {named}; certificate.json has their bounds and gaps. Use "
            "them with care, or raise --tol."
        )
    if "replaced" in certificate.status:
        ranks = [str(e.rank) for e in entries if e.status == "replaced"]
        lines.append(f"Taken over by an exact solver: {listed(ranks)}.")
    return lines


def component_text(table: Prepared, answer: Components) -> list[str]:
    """The components as a table, and their certificate.

    Args:
        table: as it was analysed.
        answer: the components.

    Returns:
        Lines.
    """
    total = np.cumsum(answer.shares)
    rows = []
    for index, entry in enumerate(answer.certificate.entries[:MOST_LINES]):
        span = "{}-{} ".format(*entry.ranks) if entry.is_joint else ""
        rows.append(
            (
                f"pc{entry.rank}",
                f"{answer.eigenvalues[index]:.4g}",
                percent(answer.shares[index], 1),
                percent(total[index], 1),
                f"{span}{entry.status}",
                f"{entry.angle_bound:.1g}" if entry.angle_bound < 1.57 else "-",
                _phrase(largest(answer.loadings[index], table)),
            )
        )
    head = "", "eigenvalue", "share", "sum", "status", "angle <=", "largest loadings"
    lines = ["", *wrapped_table(head, rows).splitlines()]
    if len(answer.shares) > MOST_LINES:
        more = len(answer.shares) - MOST_LINES
        lines.append(f"and {more} more in components.csv")
    drawn = biplot_lettering(answer.loadings, table.columns)
    legend = [drawn.sentence("biplot.png")] * bool(drawn.legend)
    return [*lines, "", *_certified(answer), *legend]


def cluster_text(table: Prepared, answer: Clusters) -> list[str]:
    """The clusters as a table, and the certificate of the components.

    Args:
        table: as it was analysed.
        answer: the clusters.

    Returns:
        Lines.
    """
    rows = []
    for cluster, size in enumerate(answer.sizes.tolist()[:MOST_LINES]):
        apart = [
            pair
            for pair in largest(answer.deviations[cluster], table)
            if abs(pair[1]) >= STAND_OUT
        ]
        rows.append(
            (
                str(cluster),
                f"{size:,}",
                percent(size / len(answer.labels), 1),
                f"{mean_probability(answer, cluster):.3f}" if size else "",
                _phrase(apart) or "nothing by half a standard deviation",
            )
        )
    what = "what sets it apart (standard deviations)"
    head = "cluster", "rows", "share", "probability", what
    lines = ["", *wrapped_table(head, rows).splitlines()]
    if len(answer.sizes) > MOST_LINES:
        lines.append(f"and {len(answer.sizes) - MOST_LINES} more in clusters.csv")
    lines.append("")
    if answer.bic is not None:
        ranked = sorted(answer.bic.items(), key=lambda pair: pair[1])
        near = ", ".join(f"{number}: {bic:,.0f}" for number, bic in ranked[:3])
        lines.append(
            f"{len(answer.sizes)} is the number from 1 to {max(answer.bic)} with the "
            f"least Bayesian information criterion ({near})."
        )
    if answer.confidence is not None:
        lines.append(
            f"{answer.network} clustered all columns and expects to be right on "
            f"{percent(answer.confidence)} of the rows: so it is for mixtures like "
            "those it "
            "was trained on, often less elsewhere. The components are those of the "
            "picture."
        )
    return [*lines, *_certified(answer)]


def outlier_text(table: Prepared, answer: Outliers, top: int) -> list[str]:
    """The strangest rows with reasons, and the certificate of the components.

    Args:
        table: as it was analysed.
        answer: the distances.
        top: rows that are listed.

    Returns:
        Lines.
    """
    count, total = int(np.sum(answer.is_outlier)), len(answer.distance)
    lines = [
        f"{count:,} of {counted(total, 'row')} "
        f"{agreed(count, 'is an outlier', 'are outliers')}: "
        f"{_beyond(answer, count)}",
    ]
    width = len(str(total))
    for row in answer.order[:top].tolist():
        mark = "outlier" if answer.is_outlier[row] else "normal"
        reason = shown_name(answer.explanation.sentence(row, NAMED_TEXT), WHOLE)
        score = f"{answer.distance[row]:.4g}"
        name = shown_name(table.row_name(row))
        place = f"row {row + 1:>{width}}" + f" ({name})" * bool(name)
        lines.append(f"{place}  {score:>6}  {mark:<7}  {reason}")
    return ["", *lines, "", *_certified(answer)]


def _beyond(answer: Outliers, count: int) -> str:
    """What makes a row an outlier, by what rows are judged by."""
    components = counted(len(answer.shares), "component")
    if answer.judge == "residual":
        whose = agreed(count, "its", "their")
        return (
            f"further than {answer.threshold:.4g} from {whose} reconstruction by "
            f"{components} (--judge residual)."
        )
    return (
        f"score above {answer.threshold:.4g}, which combines how far out a row is "
        f"among {components} with how far it is from its reconstruction, both in "
        "standard deviations (--judge combined)."
    )


def _certified(answer: Answer) -> list[str]:
    lines = certificate_lines(answer.certificate, answer.engine, answer.reason)
    if isinstance(answer, Outliers) and answer.is_robust:
        lines.append(
            "The components are those of the rows scaled to unit distance from their "
            "spatial median (--no-robust: of the rows as they are)."
        )
    return [*lines, *answer.notes]
