"""Text files: cells that are no numbers, unnamed indices, marks and quotes."""

import numpy as np
import pytest

from spectral_tf.config import ConfigError, DataError, ReadOptions
from spectral_tf.tables.columns import LeftOut
from spectral_tf.tables.load import load_columns, load_table

ROWS = 60


@pytest.fixture
def write(tmp_path):
    """A function that writes a text file and returns its path."""

    def write_file(text, name="table.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8", newline="")
        return str(path)

    return write_file


def lines(sep=",", /, **columns):
    """A text with these columns, and names."""
    rows = zip(*columns.values(), strict=True)
    return "\n".join([sep.join(columns), *map(sep.join, rows)]) + "\n"


def numbers(count=ROWS, seed=0):
    return [f"{v:.3f}" for v in np.random.default_rng(seed).normal(size=count)]


def with_cells(cells, text, places):
    return [text if i in places else cell for i, cell in enumerate(cells)]


# One bad cell.


@pytest.mark.parametrize("text", ["n.a. (see note)", "12 kg", "<0.05", "#DIV/0!"])
@pytest.mark.parametrize("places", [[0], [17], [3, 59], list(range(29))])
def test_text_among_numbers_is_refused_with_its_places(text, places, write):
    cells = with_cells(numbers(), text, places)
    path = write(lines(a=numbers(seed=1), b=cells))
    for read in (load_columns, load_table):
        with pytest.raises(DataError) as caught:
            read(path)
        message = str(caught.value)
        assert f"{len(places)} of 60 cells of column 'b'" in message
        assert f"{text!r} on line {places[0] + 2}" in message
        assert "ReadOptions(drop=...)" in message
    read = load_columns(path, bad_cells="keep")
    (bad,) = read.bad
    assert (bad.name, bad.count, bad.numbers) == ("b", len(places), 60 - len(places))
    assert np.flatnonzero(np.isnan(read.x[:, 1])).tolist() == places
    read = load_columns(path, ReadOptions(drop=("b",)))
    assert (read.columns, read.bad) == (("a",), ())
    assert read.left_out == (LeftOut("b", "it was dropped, as asked"),)


def test_a_column_of_text_is_left_out_even_with_some_numbers(write):
    cells = with_cells(["A17"] * ROWS, "12", range(20))
    read = load_columns(write(lines(a=numbers(), tag=cells)))
    assert read.columns == ("a",)
    assert read.left_out[0].reason == (
        "40 of its 60 cells are not numbers, for example 'A17' on line 22"
    )


@pytest.mark.parametrize("text", ["-", " - ", "--", "\u2013", ".", "n.a.", "<NA>", ""])
def test_signs_for_a_missing_number(text, write):
    read = load_columns(write(lines(a=numbers(), b=with_cells(numbers(), text, [5]))))
    assert np.flatnonzero(np.isnan(read.x[:, 1])).tolist() == [5]
    assert read.bad == ()
    empty = load_columns(write(lines(a=numbers(), b=[text or " "] * ROWS)))
    assert empty.left_out == (LeftOut("b", "it is empty"),)


def test_a_true_minus_is_one(write):
    read = load_columns(write(lines(a=["\u22121.5", "2", "\u22123e\u22121"])))
    np.testing.assert_array_equal(read.x[:, 0], [-1.5, 2, -0.3])


# Truth values.


@pytest.mark.parametrize(
    "words", [("true", "false"), ("True", "False"), ("TRUE", "FALSE")]
)
def test_truth_values_are_one_and_zero_as_in_parquet(words, write, tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    truths = [True, False, None, True]
    cells = ["" if t is None else words[0] if t else words[1] for t in truths]
    values = [0.5, 1.5, 2.5, 3.0]
    read = load_columns(write(lines(a=map(str, values), b=cells)))
    table = pyarrow.table({"a": values, "b": truths})
    parquet.write_table(table, tmp_path / "t.parquet")
    other = load_columns(str(tmp_path / "t.parquet"))
    np.testing.assert_array_equal(read.x, other.x)
    assert (read.columns, read.notes) == (other.columns, other.notes)
    np.testing.assert_array_equal(read.x[:, 1], [1, 0, np.nan, 1])


def test_text_among_truth_values_is_refused(write):
    cells = with_cells(["true"] * ROWS, "unknown", [7])
    with pytest.raises(DataError, match="'unknown' on line 9"):
        load_columns(write(lines(a=numbers(), b=cells)))


# Decimal commas, thousands.


def test_decimal_commas_are_refused_with_the_option_that_reads_them(write):
    comma = [cell.replace(".", ",") for cell in numbers()]
    path = write(lines(";", a=numbers(seed=1), b=comma))
    with pytest.raises(DataError, match=r"60 of 60 .* 'b' .*--decimal ','"):
        load_columns(path)
    read = load_columns(path, ReadOptions(decimal=","))
    np.testing.assert_array_equal(read.x[:, 1], np.array(numbers(), float))
    np.testing.assert_array_equal(read.x[:, 0], np.array(numbers(seed=1), float))
    (note,) = read.notes
    assert note.startswith("Column 'a' is written with decimal points, as in")


@pytest.mark.parametrize("sep", [";", "\t"])
def test_a_file_of_decimal_commas(sep, write):
    text = sep.join(["1,5", "-2,25"]) + "\n" + sep.join(["3", "1.234,5"]) + "\n"
    read = load_columns(write(text), ReadOptions(decimal=","))
    np.testing.assert_array_equal(read.x, [[1.5, -2.25], [3, 1234.5]])
    alone = load_columns(write("preis\n1,5\n2,5\n"), ReadOptions(decimal=","))
    np.testing.assert_array_equal(alone.x, [[1.5], [2.5]])
    quoted = write('a,b\n"1,5","2"\n"3,5","4"\n')
    read = load_columns(quoted, ReadOptions(decimal=","))
    np.testing.assert_array_equal(read.x, [[1.5, 2], [3.5, 4]])


@pytest.mark.parametrize("sep", [";", "\t"])
def test_german_thousands_are_noted(sep, write):
    path = write(lines(sep, menge=["1", "2", "4"], preis=["1.299", "899", "12.450"]))
    (note,) = load_columns(path).notes
    assert "Column 'preis'" in note
    assert "'1.299' is 1.299" in note
    assert "--decimal ','" in note
    read = load_columns(path, ReadOptions(decimal=","))
    np.testing.assert_array_equal(read.x[:, 1], [1299, 899, 12450])
    assert read.notes == ()
    read = load_columns(path, ReadOptions(decimal="."))
    np.testing.assert_array_equal(read.x[:, 1], [1.299, 899, 12.45])
    assert read.notes == ()


@pytest.mark.parametrize("cells", [["1.299", "0.5"], ["0.123", "0.456"], ["1", "2"]])
def test_other_decimals_are_not_noted(cells, write):
    assert load_columns(write(lines(";", a=cells, b=["1.5", "2.5"]))).notes == ()
    assert load_columns(write(lines(",", a=["1.299", "2.450"], b=cells))).notes == ()


def test_thousands_of_several_groups_need_the_option(write):
    cells = ["1.234.567", "2.000.000", "3.456.789"]
    path = write(lines(";", a=["1", "2", "4"], b=cells))
    with pytest.raises(DataError, match=r"'1\.234\.567' on line 2"):
        load_columns(path)
    read = load_columns(path, ReadOptions(decimal=","))
    np.testing.assert_array_equal(read.x[:, 1], [1234567, 2000000, 3456789])
    english = write('a,b\n1,"1,234"\n2,"2,345.5"\n5,10\n')
    with pytest.raises(DataError, match="--decimal \\."):
        load_columns(english)
    read = load_columns(english, ReadOptions(decimal="."))
    np.testing.assert_array_equal(read.x[:, 1], [1234, 2345.5, 10])


@pytest.mark.parametrize("mark", [" ", "\u00a0", "\u202f", "\u2009", "'", "\u2019"])
@pytest.mark.parametrize("decimal", [",", "."])
def test_thousands_between_spaces_or_apostrophes(mark, decimal, write):
    cells = [
        f"1{mark}299{decimal}50",
        f"-12{mark}450{decimal}00",
        f"2{mark}345{mark}678",
    ]
    path = write(lines(";", a=["1", "2", "4"], b=cells))
    with pytest.raises(DataError, match="a space or an apostrophe parts thousands"):
        load_columns(path)
    read = load_columns(path, ReadOptions(decimal=decimal))
    np.testing.assert_array_equal(read.x[:, 1], [1299.5, -12450, 2345678])


@pytest.mark.parametrize(
    "cell", ["030 123 456", "12 34", "1 234'567", "12:345", "5 kg"]
)
def test_other_texts_with_spaces_are_no_numbers(cell, write):
    read = load_columns(write(lines(";", a=["1", "2"], b=[cell, cell])))
    assert read.columns == ("a",)


# Marks between cells, quotes.


@pytest.mark.parametrize("sep", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_breaks_inside_quoted_names(sep, end, write):
    for names in (('"height\n[cm]"', "b"), ("a", '"b\nc"'), ('"a\n\n"', '"b ""x""\n"')):
        head = sep.join(names).replace("\n", end)
        text = end.join([head, sep.join(["1", "2"]), sep.join(["3", "5"])]) + end
        read = load_columns(write(text))
        np.testing.assert_array_equal(read.x, [[1, 2], [3, 5]])
        wanted = [n.strip('"').replace('""', '"').strip() for n in names]
        assert read.columns == tuple(wanted)


def test_a_quote_within_a_name_ends_nothing(write):
    read = load_columns(write('pipe 5" wide;b\n1;2\n3;5\n'))
    assert read.columns == ('pipe 5" wide', "b")
    assert load_columns(write('"a;b";c,d\n1;2\n')).columns == ("a;b", "c,d")


@pytest.mark.parametrize("sep", ["|", ":", " ", ","])
def test_the_mark_between_cells_is_given(sep, write):
    path = write(lines(sep, a=["1", "2"], b=["3", "5"]))
    read = load_columns(path, ReadOptions(sep=sep))
    np.testing.assert_array_equal(read.x, [[1, 3], [2, 5]])
    assert load_columns(write("a\tb\n1\t2\n"), ReadOptions(sep=r"\t")).columns == (
        "a",
        "b",
    )


@pytest.mark.parametrize("sep", ["", "ab", '"', "\n"])
def test_marks_that_part_nothing_are_refused(sep):
    with pytest.raises(ConfigError, match="must be one character"):
        ReadOptions(sep=sep)


def test_two_marks_must_differ():
    with pytest.raises(ConfigError, match="is the decimal mark, too"):
        ReadOptions(sep=",", decimal=",")


# The index of a data frame.


@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
@pytest.mark.parametrize(
    "index",
    [[7, 3, 11, 0], [5, 2, 3, 4], [2, 4, 8, 16], [0, 1, 0, 1], [0, 1, 2, 0]],
    ids=["shuffled", "moved", "filtered", "joined", "joined unevenly"],
)
def test_an_unnamed_index_is_left_out(name, index, write):
    path = write(lines(**{name: map(str, index)}, a=numbers(4), b=numbers(4, 1)))
    read = load_columns(path)
    assert read.columns == ("a", "b")
    (left_out,) = read.left_out
    assert left_out.name == (name or "column_1")
    assert "looks like the index of a saved data frame" in left_out.reason
    assert "--keep-index" in left_out.reason
    kept = load_columns(path, ReadOptions(keep_index=True))
    assert kept.columns == (name or "column_1", "a", "b")
    np.testing.assert_array_equal(kept.x[:, 0], index)


def test_a_counting_index_may_be_kept(write):
    path = write(lines(**{"": "012"}, a=numbers(3)))
    assert load_columns(path).columns == ("a",)
    kept = load_columns(path, ReadOptions(keep_index=True))
    assert kept.columns == ("column_1", "a")


@pytest.mark.parametrize("cells", [["7.5", "3.5", "1.5"], ["7", "7", "3"]])
def test_an_unnamed_measurement_is_kept_with_a_note(cells, write):
    read = load_columns(write(lines(**{"": cells}, a=numbers(3))))
    assert read.columns == ("column_1", "a")
    assert "Column 'column_1' has no name; if it is an index" in read.notes[0]


def test_a_named_column_is_no_index(write):
    read = load_columns(write(lines(dose=["7", "3", "11"], a=numbers(3))))
    assert (read.columns, read.notes) == (("dose", "a"), ())


# Columns by name.


def test_columns_are_left_out_of_any_source(write, tmp_path):
    options = ReadOptions(id_column="sample", drop=("b",))
    cells = {"sample": ["9", "4", "7"], "a": numbers(3), "b": numbers(3, 1)}
    read = load_columns(write(lines(**cells)), options)
    assert read.columns == ("a",)
    assert dict(read.left_out) == {
        "sample": "it names the rows, as said",
        "b": "it was dropped, as asked",
    }
    assert load_columns("digits", ReadOptions(drop=("pixel_0_0",))).x.shape[1] == 63
    np.save(tmp_path / "x.npy", np.eye(3))
    arrays = load_columns(str(tmp_path / "x.npy"), ReadOptions(drop=("column_2",)))
    assert arrays.columns == ("column_1", "column_3")
    with pytest.raises(
        ConfigError, match="no column 'c'; its columns are 'sample', 'a"
    ):
        load_columns(write(lines(**cells)), ReadOptions(drop=("c",)))
    with pytest.raises(DataError, match="no numeric column but those"):
        load_columns(write(lines(**cells)), ReadOptions(drop=("a", "b", "sample")))
