"""Sheets and gzipped text: the same table as in a plain text file."""

import datetime
import gzip
import sys

import numpy as np
import pytest

from spectral_tf.config import DataError, ReadOptions
from spectral_tf.tables.columns import LeftOut
from spectral_tf.tables.load import load_columns

# openpyxl writes 16 digits.
X = np.round(np.random.default_rng(0).normal(size=(9, 3)), 6)


@pytest.fixture
def sheet(tmp_path):
    """A function that writes sheets, each a list of rows, and returns the path."""
    openpyxl = pytest.importorskip("openpyxl")

    def write(*sheets, name="table.xlsx"):
        book = openpyxl.Workbook()
        book.remove(book.active)
        for number, rows in enumerate(sheets, 1):
            page = book.create_sheet(f"sheet {number}")
            for row in rows:
                page.append(row)
        book.save(tmp_path / name)
        return str(tmp_path / name)

    return write


def refusal(source):
    with pytest.raises(DataError) as caught:
        load_columns(source)
    return str(caught.value)


# Gzipped text.


@pytest.mark.parametrize("name", ["table.csv.gz", "table.TSV.GZ"])
def test_gzipped_text(name, tmp_path):
    text = "a;b\n1;2\n3;5\n"
    (tmp_path / name).write_bytes(gzip.compress(text.encode()))
    read = load_columns(str(tmp_path / name))
    assert (read.name, read.columns) == (name, ("a", "b"))
    np.testing.assert_array_equal(read.x, [[1, 2], [3, 5]])


def test_broken_gzip_is_refused(tmp_path):
    path = tmp_path / "table.csv.gz"
    for raw in (b"a,b\n1,2\n", gzip.compress(b"a,b\n1,2\n" * 99)[:-12], b""):
        path.write_bytes(raw)
        message = refusal(str(path))
        assert "cannot be read" in message or "is empty" in message
        assert str(path) in message
    path.write_bytes(gzip.compress("a,ä\n1,2\n".encode("latin-1")))
    assert "is not UTF-8 text" in refusal(str(path))


# Sheets.


def test_a_sheet_is_read_as_the_text_file(sheet, tmp_path):
    rows = [["a", "b", "c"], *X.tolist()]
    np.savetxt(
        tmp_path / "t.csv", X, delimiter=",", header="a,b,c", comments="", fmt="%.9g"
    )
    text, read = load_columns(str(tmp_path / "t.csv")), load_columns(sheet(rows))
    np.testing.assert_array_equal(read.x, text.x)
    assert (read.columns, read.left_out, read.notes) == (text.columns, (), ())


def test_cells_of_any_type(sheet):
    day = datetime.datetime(2026, 1, 2)
    rows = [
        ["number", "whole", "truth", "name", "day", None, "gap"],
        [1.5, 2**40, True, "x", day, None, None],
        [None, 2, False, "y", day, None, "-"],
        [3, 5, None, "z", day, None, 7.25],
    ]
    read = load_columns(sheet(rows))
    nan = np.nan
    np.testing.assert_array_equal(
        read.x, [[1.5, 2**40, 1, nan], [nan, 2, 0, nan], [3, 5, nan, 7.25]]
    )
    assert read.columns == ("number", "whole", "truth", "gap")
    assert [column.name for column in read.left_out] == ["name", "day", "column_6"]
    assert "'2026-01-02 00:00:00' on row 2" in read.left_out[1].reason


def test_numbers_that_are_names_and_an_index_in_a_sheet(sheet):
    index = [7, 3, 11, 0, 5, 2, 8, 1, 4]
    rows = [[i, *row] for i, row in zip(index, X.tolist(), strict=True)]
    read = load_columns(sheet([[None, 1100, 1200, 1300], *rows]))
    np.testing.assert_array_equal(read.x, X)
    assert read.columns == ("1100", "1200", "1300")
    assert "Read row 1 as column names" in read.notes[0]
    assert read.left_out[0].name == "column_1"
    read = load_columns(sheet([[1100, 1200, 1300], *X.tolist()]))
    np.testing.assert_array_equal(read.x, X)
    data = load_columns(sheet(X.tolist()), ReadOptions(header=False))
    np.testing.assert_array_equal(data.x, X)


def test_blank_rows_and_other_sheets_are_noted(sheet):
    rows = [[None], ["a", "b"], [1, 2], [None, None], [3, 5], [None, None]]
    read = load_columns(sheet([], rows, [["notes"]]))
    np.testing.assert_array_equal(read.x, [[1, 2], [3, 5]])
    assert read.notes == (
        "Read sheet 'sheet 2'; left out the sheets 'sheet 1', 'sheet 3'.",
        "Left out 1 blank row.",
    )


def test_text_among_the_numbers_of_a_sheet(sheet):
    rows = [["a", "b"], [1.5, 2], ["n.a. (see note)", 3], [2.5, 1], [0.5, 7]]
    path = sheet(rows)
    assert "cells of column 'a' is not a number ('n.a. (see note)' on row 3)" in (
        refusal(path)
    )
    assert load_columns(path, ReadOptions(drop=("a",))).columns == ("b",)


def test_the_decimal_mark_is_of_text_alone(sheet):
    rows = [["a", "b"], [1.299, "1,5"], [2.5, "1.299,5"], [3, "2"]]
    read = load_columns(sheet(rows), ReadOptions(decimal=","))
    np.testing.assert_array_equal(read.x, [[1.299, 1.5], [2.5, 1299.5], [3, 2]])


def test_sheets_that_cannot_be_read_are_refused(sheet, tmp_path, monkeypatch):
    assert "is empty; it needs" in refusal(sheet([]))
    assert "has column names but no rows" in refusal(sheet([["a", "b"]]))
    path = tmp_path / "broken.xlsx"
    for raw in (b"", b"nonsense", b"PK\x03\x04 cut"):
        path.write_bytes(raw)
        assert "is not a readable sheet" in refusal(str(path))
    for name in ("table.xls", "table.ods"):
        assert "save the sheet as .xlsx or as CSV in UTF-8" in refusal(name)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    message = refusal(str(path))
    assert "pip install 'spectral_tf[excel]'" in message
    assert "save the sheet as CSV" in message


def test_a_column_is_dropped_from_a_sheet(sheet):
    read = load_columns(sheet([["s", "a"], [1, 2], [4, 3]]), ReadOptions(id_column="s"))
    assert read.left_out == (LeftOut("s", "it names the rows, as said"),)
