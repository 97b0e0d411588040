"""Files of results: CSV for spreadsheets, JSON for programs."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spectral_tf.apps.analysis.prepare import Prepared
from spectral_tf.config.wording import json_text


def write_rows(
    path: Path, table: Prepared, head: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Write a line for each row of the table, with its name behind its number.

    Args:
        path: of the CSV file.
        table: as it was analysed.
        head: names of the cells; the first is of the row's number.
        rows: cells of each row.
    """
    if table.row_names:
        head = [head[0], "id", *head[1:]]
        named = zip(rows, table.row_names, strict=True)
        rows = ([cells[0], name, *cells[1:]] for cells, name in named)
    write_csv(path, head, rows)


def cells(values: np.ndarray) -> list[float | str]:
    """Numbers; an empty cell for one that is missing."""
    return ["" if np.isnan(value) else value for value in values.tolist()]


def write_csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows below a head.

    Args:
        path: of the file.
        head: names of the cells.
        rows: cells of each row.
    """
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(rows)


def write_json(path: Path, document: Any) -> None:
    """Write plain data whose numbers are finite.

    Args:
        path: of the file.
        document: plain data.
    """
    text = json_text(document, indent=1, allow_nan=False)
    path.write_text(text + "\n", "utf-8")
