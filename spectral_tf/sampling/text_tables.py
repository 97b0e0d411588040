"""Text files of tables, .csv and .tsv: cells to columns of numbers."""

import csv
import io
import math
import re
from collections.abc import Collection
from pathlib import Path

import numpy as np

from spectral_tf.config import DataError
from spectral_tf.sampling.columns import Columns, LeftOut, listed, made_unique, numbered
from spectral_tf.sampling.missing import code_note

_MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "none", "?"})


def read_text(path: Path, missing: Collection[str] = ()) -> Columns:
    """The numeric columns of a .csv or .tsv file.

    Args:
        path: of a text in UTF-8, separated by commas, semicolons or tabs, with or
            without a line of column names.
        missing: texts of cells, in lower case, that stand for a missing number, too.

    Returns:
        The columns; a missing number is NaN.

    Raises:
        DataError: if the file is empty, ragged, malformed, or has no numeric column.

    Source: ours.
    """
    lines = _records(path)
    given, notes = _column_names(lines[0][1], missing)
    if given is None:
        given = numbered(len(lines[0][1]))
    elif len(lines) == 1:
        raise DataError(
            f"{path} has column names but no rows; add at least one row of numbers."
        )
    else:
        lines = lines[1:]
    names, changed = made_unique(given)
    parsed = [[_number(cell, missing) for cell in cells] for _, cells in lines]
    kept, columns, left_out = [], [], []
    cells_of: dict[str, list[str]] = {}
    for index, name in enumerate(names):
        values = [row[index] for row in parsed]
        reason = _reason_to_leave(given[index], values)
        if reason is None:
            kept.append(values)
            columns.append(name)
            cells_of[name] = [cells[index] for _, cells in lines] if missing else []
            continue
        if None in values:
            line, cells = lines[values.index(None)]
            reason += f", for example {cells[index]!r} on line {line}"
        left_out.append(LeftOut(name, reason))
    if not kept:
        said = " ".join([*notes, *(one.sentence() for one in left_out)])
        raise DataError(
            f"{path} has no numeric column. {said} Write numbers with a decimal point, "
            "as in 1.5."
        )
    return Columns(
        name=path.name,
        x=np.array(kept, float).T,
        columns=tuple(columns),
        left_out=tuple(left_out),
        notes=(*notes, *changed, *_missing_notes(missing, cells_of)),
    )


def _records(path: Path) -> list[tuple[int, list[str]]]:
    """Line number and cells of each line, equally many; blank last lines dropped."""
    try:
        text = path.read_text(encoding="utf-8-sig").rstrip("\n")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text ({error}); save it as CSV in UTF-8."
        ) from error
    if not text.strip():
        raise DataError(f"{path} is empty; it needs at least one row of numbers.")
    mark, stream = _delimiter(text), io.StringIO(text)
    reader = csv.reader(stream, delimiter=mark, skipinitialspace=True, strict=True)
    records = []
    try:
        for cells in reader:
            records.append((reader.line_num, cells))
            if len(cells) != len(records[0][1]):
                raise DataError(
                    f"{path}, line {reader.line_num}: {len(cells)} cells, but the "
                    f"first line has {len(records[0][1])}; correct or remove the line."
                )
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}: {error}; correct the quotes there."
        ) from error
    return records


def _delimiter(text: str) -> str:
    """The mark that is most frequent on the first line; a comma on a tie."""
    line = re.sub(r'"[^"]*"?', "", text.partition("\n")[0])
    if ";" in line or "\t" in line:
        # Then "1,5" is a decimal and "height, cm" a name: no delimiters.
        line = re.sub(r"(?<=\d),(?=\d)|,(?= )", "", line)
    return max(",;\t", key=line.count)


def _number(cell: str, missing: Collection[str] = ()) -> float | None:
    """The number in a cell; NaN if it is missing, None if it is text."""
    text = cell.strip().lower()
    if text in _MISSING or text in missing:
        return math.nan
    try:
        return None if "_" in cell else float(cell)  # float() reads 1_2 as 12
    except ValueError:
        return None


def _missing_notes(missing: Collection[str], cells: dict[str, list[str]]) -> list[str]:
    """A note for each text that a user calls missing: in which columns it was."""
    notes = []
    for code in sorted(missing):
        counts = {
            name: sum(cell.strip().lower() == code for cell in column)
            for name, column in cells.items()
        }
        notes.append(code_note(repr(code), {n: c for n, c in counts.items() if c}))
    return notes


def _column_names(
    cells: list[str], missing: Collection[str]
) -> tuple[tuple[str, ...] | None, list[str]]:
    """Names on the first line, None if it is a row of data; notes."""
    values = [_number(cell, missing) for cell in cells]
    pairs = zip(cells, values, strict=True)
    numbers = [cell for cell, v in pairs if v is not None and not math.isnan(v)]
    # No number at all is a name too: a column may be called "Na".
    if numbers and None not in values:
        return None, []
    notes = [
        "Read the first line as column names, although it has numbers "
        f"({listed(numbers)}); if it is data, write a line of names above it."
    ]
    return tuple(cell.strip() for cell in cells), notes if numbers else []


def _reason_to_leave(name: str, values: list[float | None]) -> str | None:
    """Why a column is no feature, or None if it is one."""
    present = [value for value in values if value is not None]
    texts, rows = len(values) - len(present), len(values)
    if texts:
        return f"{texts} of its {rows} cells are not numbers"
    if all(map(math.isnan, present)):
        return "it is empty"
    if not name and present in (list(range(rows)), list(range(1, rows + 1))):
        return "it has no name and counts the rows"
    return None
