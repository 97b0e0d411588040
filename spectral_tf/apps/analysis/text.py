"""What was found as text, for a reader who knows the table but not the package."""

from collections.abc import Sequence

from spectral_tf.apps.analysis.answer import Answer
from spectral_tf.apps.analysis.prepare import NOT_CHOSEN, Prepared
from spectral_tf.apps.report.table_figures import shown_name
from spectral_tf.apps.report.tables import GLUE, wrapped_table
from spectral_tf.certificate import Certificate
from spectral_tf.config.wording import agreed, counted
from spectral_tf.tables.columns import listed

MOST_LINES = 20
"""Components or clusters that the text lists; the files hold all."""
MOST_NOTES = 8


def phrase(pairs: Sequence[tuple[str, float]]) -> str:
    """Columns and numbers in one cell of a table.

    Args:
        pairs: name of a column, and its number.

    Returns:
        The pairs, none of which is broken at the end of a line.
    """
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


def table_lines(
    head: Sequence[str], rows: Sequence[Sequence[str]], total: int, file: str
) -> list[str]:
    """A table with an empty line before it, and where the rest of a long one is.

    Args:
        head: names of the cells.
        rows: the first `MOST_LINES`, at most.
        total: rows that there are.
        file: that holds all of them.

    Returns:
        Lines.
    """
    more = [f"and {total - MOST_LINES} more in {file}"] * (total > MOST_LINES)
    return ["", *wrapped_table(head, rows).splitlines(), *more]


def certified(answer: Answer, also: Sequence[str] = ()) -> list[str]:
    """The certificate of an answer, and the notes of its fit.

    Args:
        answer: what was found.
        also: what else is to be said of the components.

    Returns:
        Lines.
    """
    lines = certificate_lines(answer.certificate, answer.engine, answer.reason)
    return [*lines, *also, *answer.notes]
