"""Sheets of spreadsheet files, .xlsx: cells to the records of a table of text."""

import warnings
import zipfile
from pathlib import Path
from typing import Any

from spectral_tf.config import DataError, ReadOptions
from spectral_tf.tables.columns import Columns, listed
from spectral_tf.tables.text_tables import Records, numeric_columns


def read_sheet(path: Path, options: ReadOptions) -> Columns:
    """The numeric columns of the first sheet of an .xlsx file that has cells.

    Args:
        path: of the file; a formula counts as the value that it had when saved.
        options: how it is read; `decimal` is of cells that hold text.

    Returns:
        The columns, as of a text file. Rows without any cell are left out, with a note.

    Raises:
        DataError: if openpyxl is not installed, or the file is broken, empty or has no
            numeric column.
    """
    sheets = _cells(path, options)
    name = next((name for name, rows in sheets.items() if rows), None)
    if name is None:
        raise DataError(f"{path} is empty; it needs at least one row of numbers.")
    rows, notes = sheets[name], []
    if len(sheets) > 1:
        others = listed([repr(other) for other in sheets if other != name])
        notes.append(f"Read sheet {name!r}; left out the sheets {others}.")
    width = max(len(cells) for _, cells in rows)
    lines = [(place, cells + [""] * (width - len(cells))) for place, cells in rows]
    blank = lines[-1][0] - lines[0][0] + 1 - len(lines)
    if blank:
        notes.append(f"Left out {blank} blank row{'s' * (blank > 1)}.")
    read = numeric_columns(Records(path, lines, None, "row"), options)
    return read._replace(notes=(*notes, *read.notes))


def _cells(path: Path, options: ReadOptions) -> dict[str, list[tuple[int, list[str]]]]:
    """Name of each sheet -> number and cells of the rows that are not blank."""
    try:
        import openpyxl
        from openpyxl.utils.exceptions import InvalidFileException
    except ImportError as error:
        raise DataError(
            f"{path} needs openpyxl, which is not installed; run `pip install "
            "'spectral_tf[excel]'`, or save the sheet as CSV in UTF-8."
        ) from error
    try:
        with warnings.catch_warnings():
            # About styles and extensions, which are of no interest here.
            warnings.simplefilter("ignore")
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
            try:
                return {
                    sheet.title: _rows(sheet.iter_rows(values_only=True), options)
                    for sheet in book.worksheets
                }
            finally:
                book.close()
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from error
    except (InvalidFileException, SyntaxError, EOFError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path} is not a readable sheet ({error}); save it again as .xlsx, without a "
        "password, or as CSV in UTF-8."
    )


def _rows(values: Any, options: ReadOptions) -> list[tuple[int, list[str]]]:
    """Number and cells of each row that is not blank, without blanks at its end."""
    rows = []
    for place, row in enumerate(values, 1):
        cells = [_as_text(value, options) for value in row]
        while cells and not cells[-1].strip():
            cells.pop()
        if cells:
            rows.append((place, cells))
    return rows


def _as_text(value: Any, options: ReadOptions) -> str:
    """A cell as it would stand in a text file."""
    if value is None:
        return ""
    if isinstance(value, float) and options.decimal == ",":
        return repr(value).replace(".", ",")
    return str(value)
