"""Comparisons as plain text: one table, read without knowing the package."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from spectral_tf.evaluation import Report, Statistic


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """One method on one set of instances.

    Attributes:
        instances: what it was scored on, e.g. `synthetic d=10 N=50`.
        method: e.g. `trained, 8 products`.
        report: its scores.
    """

    instances: str
    method: str
    report: Report

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready dictionary."""
        return dataclasses.asdict(self)


HEADER = ("instances", "method", "n", "rank", "|cos|", "eigenvalue err", "angle deg")
DEGREES = 57.29577951308232


def table_rows(entries: Sequence[Entry]) -> list[tuple[str, ...]]:
    """Cells of the table, one line per rank; what repeats is left blank.

    Args:
        entries: in the order of the table.

    Returns:
        Tuples of the length of `HEADER`.

    Source: ours.
    """
    rows, last = [], ""
    for entry in entries:
        report = entry.report
        for rank, (cosine, error) in enumerate(
            zip(report.cosine, report.eigenvalue_error, strict=True), start=1
        ):
            is_first = rank == 1
            angle = report.angle
            degrees = Statistic(
                mean=angle.mean * DEGREES, half_width=angle.half_width * DEGREES
            )
            rows.append(
                (
                    entry.instances if is_first and entry.instances != last else "",
                    entry.method if is_first else "",
                    str(report.num_instances) if is_first else "",
                    str(rank),
                    f"{cosine.mean:.4f} ± {cosine.half_width:.4f}",
                    _percent(error),
                    f"{degrees.mean:.2f} ± {degrees.half_width:.2f}"
                    if is_first
                    else "",
                )
            )
            last = entry.instances
    return rows


def _percent(error: Statistic) -> str:
    return f"{100 * error.mean:.3g} % ± {100 * error.half_width:.2g}"


def plain_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned by spaces; numbers to the right, the first two to the left.

    Args:
        header: column names.
        rows: cells, as many as the header has.

    Returns:
        Text that ends in a newline.

    Source: ours.
    """
    lines = [tuple(header), *map(tuple, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]

    def show(line: Sequence[str]) -> str:
        cells = [
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    rule = "  ".join("-" * width for width in widths)
    shown = [show(lines[0]), rule, *map(show, lines[1:])]
    return "\n".join(shown) + "\n"
