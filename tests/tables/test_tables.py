"""Files of tables: what is read, and what is refused and why."""

import csv
import io
import sys

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from spectral_tf.tables.columns import LeftOut, made_unique
from spectral_tf.tables.load import DataError, load_columns, load_table

FLOAT32 = st.floats(-1e6, 1e6, width=32)


@pytest.fixture
def write(tmp_path):
    """A function that writes text or bytes to a file and returns its path."""

    def write_file(content, name="table.csv"):
        path = tmp_path / name
        raw = content.encode() if isinstance(content, str) else content
        path.write_bytes(raw)
        return str(path)

    return write_file


@pytest.fixture
def save(tmp_path):
    """A function that saves one array (.npy) or named arrays (.npz)."""

    def save_file(array=None, **arrays):
        path = tmp_path / ("table.npz" if array is None else "table.npy")
        if array is None:
            np.savez(path, **arrays)
        else:
            np.save(path, array)
        return str(path)

    return save_file


def refusal(source):
    """The message with which `load_table` refuses a source."""
    with pytest.raises(DataError) as caught:
        load_table(source)
    return str(caught.value)


# Text files.


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2\n3,4\n",
        "a,b\n1,2\n3,4",
        "a,b\n1,2\n3,4\n\n\n",
        "a,b\r\n1,2\r\n3,4\r\n",
        "\ufeffa,b\n1,2\n3,4\n",
        "a;b\n1;2\n3;4\n",
        "a\tb\n1\t2\n3\t4\n",
        '"a","b"\n"1","2"\n"3","4"\n',
        ' a , b\n 1 , "2"\n+3,4e0\n',
    ],
)
def test_ways_to_write_the_same_csv(write, text):
    table = load_table(write(text, "table.TSV"))
    assert table.name == "table.TSV"
    assert table.x.dtype == np.float32
    np.testing.assert_array_equal(table.x, [[1, 2], [3, 4]])
    assert table.columns == ("a", "b")
    assert table.notes == ()


@pytest.mark.parametrize("text", ["0,0\n3,4\n", "0;0\n3;4\n", "0\t0\n3\t4\n"])
def test_without_a_header_the_first_line_is_data(write, text):
    table = load_table(write(text))
    np.testing.assert_array_equal(table.x, [[0, 0], [3, 4]])
    assert table.columns == ("column_1", "column_2")


def test_a_header_may_look_missing_or_hold_marks_and_newlines(write):
    assert load_table(write("Na\n1\n2\n")).columns == ("Na",)
    text = '"height, cm; bare";"say ""w""\nkg"\n1;2\n'
    assert load_table(write(text)).columns == ("height, cm; bare", 'say "w"\nkg')


def test_a_header_with_numbers_is_noted(write):
    table = load_table(write("5.1,3.5,setosa\n4.9,3.0,setosa\n"))
    assert table.x.shape == (1, 2)
    assert "has numbers (5.1, 3.5)" in table.notes[0]
    assert "line of names above" in table.notes[0]


def test_text_columns_are_left_out_by_name(write):
    table = load_table(write("id,a,ok,b\nx,1,yes,2\ny,2,,3\n1_0,3,no,5\n"))
    np.testing.assert_array_equal(table.x, [[1, 2], [2, 3], [3, 5]])
    assert table.columns == ("a", "b")
    assert table.notes == (
        "Left out column 'id': 3 of its 3 cells are not numbers, for example 'x' on "
        "line 2.",
        "Left out column 'ok': 2 of its 3 cells are not numbers, for example 'yes' on "
        "line 2.",
    )


@pytest.mark.parametrize("start", [0, 1])
def test_an_unnamed_row_number_is_left_out(write, start):
    rows = "".join(f"{start + i},{i * i}\n" for i in range(3))
    table = load_table(write(",a\n" + rows))
    assert table.columns == ("a",)
    assert table.notes == (
        "Left out column 'column_1': it has no name and counts the rows.",
    )


def test_other_unnamed_columns_are_kept_and_empty_ones_left_out(write):
    table = load_table(write("a,,c\n1,7,\n2,7,NA\n"))
    np.testing.assert_array_equal(table.x, [[1, 7], [2, 7]])
    assert table.columns == ("a", "column_2")
    assert table.notes == ("Left out column 'c': it is empty.",)


def test_constant_columns_are_kept(write):
    table = load_table(write("a,b\n0.1,2\n0.1,3\n"))
    assert (table.columns, table.notes) == (("a", "b"), ())


def test_digits_lost_in_float32_are_noted(write):
    text = "t,b\n1700000001,1\n1700000002,2\n1700000003,3\n"
    (note,) = load_table(write(text)).notes
    assert note.startswith("Column 't' varies by less than float32")
    assert "subtract a constant" in note


def test_missing_and_infinite_cells_are_counted_by_column(write):
    path = write("a,b,c,d,e\n1,,inf,4,1e300\n2,NaN,3,5,1\n3,n/a,-inf,6,1\n")
    message = refusal(path)
    assert path in message
    # 'b' has no value at all: left out, not counted. 1e300 is infinite in float32.
    assert "(in float32): 2 in 'c', 1 in 'e'; fill them in, or remove" in message


def test_long_lists_are_cut(write):
    message = refusal(write("1," * 11 + "2\n" + "," * 11 + "3\n"))
    assert "1 in 'column_8', and 3 more; fill" in message


def test_ragged_rows_name_their_line(write):
    path = write('"a\nb",c\n1,2\n3,4,5\n6,7\n')
    message = refusal(path)
    assert f"{path}, line 4: 3 cells, but the first line has 2" in message
    assert "correct or remove the line" in message
    assert "line 3: 0 cells" in refusal(write("a,b\n1,2\n\n3,4\n"))


@pytest.mark.parametrize("text", ["", "\n\n", " \n", "\ufeff"])
def test_empty_files_are_refused(write, text):
    path = write(text)
    assert f"{path} is empty; it needs at least one row" in refusal(path)


def test_a_header_alone_is_refused(write):
    assert "has column names but no rows; add at least one" in refusal(write("a,b\n"))


def test_no_numeric_column_is_refused(write):
    message = refusal(write("a;b\nx;1,5\ny;2,5\n"))
    assert "'b': 2 of its 2 cells are not numbers, for example '1,5'" in message
    assert "decimal point, as in 1.5" in message


def test_decimal_commas_do_not_pass_for_delimiters(write):
    assert "no numeric column" in refusal(write("1,5;2,5\n3,5;4,5\n"))


def test_malformed_text_is_refused(write):
    assert "line 3: unexpected end of data; correct the quotes" in refusal(
        write('a,b\n1,2\n3,"4\n')
    )
    message = refusal(write("a,b\n1,2\n".encode("utf-16")))
    assert "is not UTF-8 text" in message
    assert "save it as CSV in UTF-8" in message


def test_a_wide_table_is_read(write):
    count = 30_000
    header = ",".join(f"gene_{i}" for i in range(count))
    table = load_table(write(header + "\n" + ",".join(["1.5"] * count)))
    assert table.x.shape == (1, count)


@hypothesis.settings(
    max_examples=30,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(
    rows=st.integers(1, 4).flatmap(
        lambda d: st.lists(st.lists(FLOAT32, min_size=d, max_size=d), min_size=1)
    ),
    delimiter=st.sampled_from(",;\t"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    has_header=st.booleans(),
)
def test_csv_round_trip(write, rows, delimiter, quoting, has_header):
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter, quoting=quoting)
    names = tuple(f"name, {i}" for i in range(len(rows[0])))
    writer.writerows(([names] if has_header else []) + rows)
    # One column alone has no delimiter: its header must not hold one.
    hypothesis.assume(not has_header or delimiter == "," or len(names) > 1)
    table = load_table(write(stream.getvalue()))
    np.testing.assert_array_equal(table.x, np.array(rows, np.float32))
    if has_header:
        assert table.columns == names


# Array files.


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64, np.uint8, bool])
def test_npy_of_any_real_type(save, dtype):
    x = np.array([[0, 1], [1, 1], [1, 0]], dtype)
    table = load_table(save(x))
    assert (table.name, table.columns) == ("table.npy", ("column_1", "column_2"))
    assert table.x.dtype == np.float32
    np.testing.assert_array_equal(table.x, x)


@pytest.mark.parametrize(
    "x", [np.ones(3), np.ones((2, 2, 2)), np.ones((2, 2), complex), np.ones((0, 3))]
)
def test_npy_of_another_kind_is_refused(save, x):
    path = save(x)
    message = refusal(path)
    assert f"{path} holds an array of shape {x.shape} and type {x.dtype}" in message
    assert "[rows, features]" in message


def test_text_arrays_are_refused(save):
    assert "type <U1" in refusal(save(np.array([["a", "b"]])))


def test_pickled_arrays_are_never_loaded(tmp_path):
    path = tmp_path / "table.npy"
    np.save(path, np.array([[1, "a"]], object), allow_pickle=True)
    assert "allow_pickle=False" in refusal(str(path))
    np.savez(tmp_path / "table.npz", x=np.array([[1, "a"]], object))
    assert "without pickled objects" in refusal(str(tmp_path / "table.npz"))


@pytest.mark.parametrize("name", ["table.npy", "table.npz"])
@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04 cut"])
def test_broken_array_files_are_refused(write, name, content):
    path = write(content, name)
    message = refusal(path)
    assert f"{path} is not a readable array" in message
    assert "numpy.save" in message


def test_a_truncated_npy_is_refused(save):
    path = save(np.ones((4, 4)))
    with open(path, "rb+") as stream:
        stream.truncate(150)
    assert "is not a readable array" in refusal(path)


def test_npz_holds_one_array_or_x(save):
    x = np.eye(2)
    np.testing.assert_array_equal(load_table(save(anything=x)).x, x)
    for name in ("x", "X"):
        table = load_table(save(**{name: x, "labels": np.ones(2), "xX": x}))
        np.testing.assert_array_equal(table.x, x)
        assert table.notes == ("Left out the arrays labels, xX.",)


def test_npz_without_x_lists_its_names(save):
    path = save(a=np.eye(2), b=np.eye(2))
    message = refusal(path)
    assert f"{path} holds the arrays a, b; save one array" in message
    assert "name the table 'x'" in message
    assert "(none)" in refusal(save())
    assert "arrays x, X;" in refusal(save(x=np.eye(2), X=np.eye(2)))


def test_npy_counts_what_is_not_finite(save):
    x = np.array([[1, np.nan, 2], [np.inf, np.nan, 3]])
    assert "1 in 'column_1', 2 in 'column_2'; fill" in refusal(save(x))


# Columns as they stand.


def test_columns_keep_what_is_missing_or_infinite(write):
    text = "id,a,b,c\nx,1,,inf\ny,NA,,2\n"
    read = load_columns(write(text))
    assert read.x.dtype == np.float64
    np.testing.assert_array_equal(read.x, [[1, np.inf], [np.nan, 2]])
    assert (read.name, read.columns) == ("table.csv", ("a", "c"))
    assert read.left_out == (
        LeftOut("id", "2 of its 2 cells are not numbers, for example 'x' on line 2"),
        LeftOut("b", "it is empty"),
    )
    assert read.notes == ()


def test_columns_have_all_digits(write, save):
    read = load_columns(write("t\n1700000001.25\n1700000002\n"))
    assert read.x[0, 0] == 1700000001.25
    x = np.array([[0.1, np.nan]])
    np.testing.assert_array_equal(load_columns(save(x)).x, x)


def test_columns_of_images():
    read = load_columns("digits")
    assert (read.x.shape, read.x.dtype) == ((1797, 64), np.float64)
    assert read.notes == ("Left out the labels of the images.",)


def test_names_that_appear_twice_are_told_apart(write):
    table = load_table(write("a,b,a,a\n1,2,3,4\n"))
    assert table.columns == ("a", "b", "a.2", "a.3")
    assert table.notes[0] == "Two columns are called 'a'; one is now 'a.2'."
    names, notes = made_unique(["a", "a.2", "a", "", "column_4"])
    assert names == ("a", "a.2", "a.3", "column_4", "column_4.2")
    assert len(notes) == 2


# Parquet files.


@pytest.fixture
def parquet(tmp_path):
    """A function that writes a table of pyarrow, or columns by name, to a file."""
    pyarrow = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")

    def write_file(table=None, **columns):
        path = tmp_path / "table.parquet"
        pq.write_table(pyarrow.table(columns) if table is None else table, path)
        return str(path)

    return write_file


def test_parquet_columns_of_any_type(parquet):
    import datetime
    import decimal

    day = datetime.date(2026, 1, 2)
    read = load_columns(
        parquet(
            number=[1.5, None, 3.0],
            whole=[1, 2, 2**40],
            is_true=[True, None, False],
            money=[decimal.Decimal("1.25"), decimal.Decimal("2.00"), None],
            name=["x", "y", "z"],
            day=[day, day, day],
            none=[None, None, None],
            nan=[float("nan")] * 3,
            pair=[[1], [2], [3]],
        )
    )
    assert read.columns == ("number", "whole", "is_true", "money")
    nan = np.nan
    np.testing.assert_array_equal(
        read.x, [[1.5, 1, 1, 1.25], [nan, 2, nan, 2], [3, 2**40, 0, nan]]
    )
    reasons = dict(read.left_out)
    assert reasons["name"] == "its type is string, not a number"
    assert reasons["day"].startswith("its type is date32")
    assert reasons["none"] == reasons["nan"] == "it is empty"
    assert reasons["pair"].startswith("its type is list")


def test_parquet_of_pandas_has_no_index(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"a": [1.0, 2.0, 4.0], "b": [3.0, 5.0, 6.0]})
    path = tmp_path / "table.parquet"
    frame.iloc[[2, 0, 1]].to_parquet(path)
    table = load_table(str(path))
    np.testing.assert_array_equal(table.x, [[4, 6], [1, 3], [2, 5]])
    assert table.notes == (
        "Left out column '__index_level_0__': it is the index of a pandas table.",
    )


def test_parquet_that_cannot_be_used_is_refused(parquet, write):
    assert "is empty; it needs at least one row" in refusal(parquet(a=[]))
    message = refusal(parquet(a=["x"]))
    assert "no numeric column. Left out column 'a': its type is string" in message
    assert "1 in 'a'; fill" in refusal(parquet(a=[1.0, None]))
    for raw in (b"", b"PAR1 cut", b"nonsense"):
        message = refusal(write(raw, "table.pq"))
        assert "is not a readable Parquet file" in message


def test_parquet_without_pyarrow_says_what_to_install(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    message = refusal(write("", "table.parquet"))
    assert "needs pyarrow, which is not installed" in message
    assert "pip install 'spectral_tf[sklearn]'" in message
