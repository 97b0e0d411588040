"""Comparisons as plain text: one table, read without knowing the package."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from spectral_tf.apps.report.page.words import columns_of
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
PAGE = 96
"""Columns of a terminal that a table fits into."""
GLUE = "\N{NO-BREAK SPACE}"
"""Between words of a cell that stay on one line."""


def table_rows(entries: Sequence[Entry]) -> list[tuple[str, ...]]:
    """Cells of the table, one line per rank; what repeats is left blank.

    Args:
        entries: in the order of the table.

    Returns:
        Tuples of the length of `HEADER`.
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
    return f"{100 * error.mean:.3g}% ± {100 * error.half_width:.2g}%"


def plain_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned by spaces; numbers to the right, the first two to the left.

    Args:
        header: column names.
        rows: cells, as many as the header has.

    Returns:
        Text that ends in a newline.
    """
    left = [place < 2 for place in range(len(header))]
    return _aligned([tuple(header), *map(tuple, rows)], left)


def wrapped_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, most: int = PAGE
) -> str:
    """Columns aligned by spaces, the last one of words, on as many lines as it takes.

    Args:
        header: column names.
        rows: cells, as many as the header has; a no-break space is never a line's end.
        most: width of the table, if a word is not longer.

    Returns:
        Text that ends in a newline.
    """
    lines = [tuple(header), *map(tuple, rows)]
    taken = sum(
        max(columns_of(line[i]) for line in lines) for i in range(len(header) - 1)
    )
    room = most - taken - 2 * (len(header) - 1)
    blank = ("",) * (len(header) - 1)
    broken = []
    for line in lines:
        first, *more = _wrapped(line[-1], room)
        broken += [(*line[:-1], first), *((*blank, part) for part in more)]
    numbers = [False] * (len(header) - 2)
    return _aligned(broken, [True, *numbers, True][: len(header)]).replace(GLUE, " ")


def _wrapped(text: str, room: int) -> list[str]:
    """Words in lines of at most `room` columns."""
    lines = [""]
    for word in text.split(" "):
        tried = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and columns_of(tried) > room:
            lines.append(word)
        else:
            lines[-1] = tried
    return lines


def _aligned(lines: Sequence[Sequence[str]], left: Sequence[bool]) -> str:
    """Lines under each other, a rule below the first; wide letters count two."""
    places = range(len(left))
    widths = [max(columns_of(line[i]) for line in lines) for i in places]

    def show(line: Sequence[str]) -> str:
        cells = []
        for cell, width, is_left in zip(line, widths, left, strict=True):
            room = " " * (width - columns_of(cell))
            cells.append(cell + room if is_left else room + cell)
        return "  ".join(cells).rstrip()

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([show(lines[0]), rule, *map(show, lines[1:])]) + "\n"
