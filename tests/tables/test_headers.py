"""First lines of numbers: names of columns, or a row of data."""

import numpy as np
import pytest

from spectral_tf.config import DataError, ReadOptions
from spectral_tf.tables.load import load_columns

ROWS = 50


@pytest.fixture
def read(tmp_path):
    """A function that reads a text, or lines of cells, as a CSV file."""

    def read_lines(lines, **options):
        path = tmp_path / "table.csv"
        if not isinstance(lines, str):
            lines = "".join(",".join(map(str, cells)) + "\n" for cells in lines)
        path.write_text(lines, encoding="utf-8")
        return load_columns(str(path), ReadOptions(**options))

    return read_lines


def table(kind, columns, seed=0):
    """Rows as a program writes them: floats with a point, integers without."""
    rng = np.random.default_rng(seed)
    size = ROWS, columns
    numbers = {
        "normal": lambda: rng.normal(size=size),
        "shares": lambda: rng.random(size),
        "counts": lambda: rng.integers(0, 90, size),
        "signed": lambda: rng.integers(-100, 100, size),
        "large": lambda: rng.uniform(-1e5, 1e5, size).round(1),
        "sales": lambda: rng.integers(500, 9000, size),
        "likert": lambda: rng.integers(1, 6, size),
        "genotypes": lambda: rng.integers(0, 3, size),
    }
    return numbers[kind]().tolist()


def said(columns):
    return [note for note in columns.notes if note.startswith("Read line 1")]


NAMES = {
    "of pandas": range,
    "wavelengths": lambda columns: [1100 + 100 * i for i in range(columns)],
    "falling decimals": lambda columns: [4000.5 - 3.7 * i for i in range(columns)],
    "uneven": lambda columns: [1100 + 7 * i * i for i in range(columns)],
    "years": lambda columns: range(2015, 2015 + columns),
    "halves": lambda columns: [0.5 * (i + 1) for i in range(columns)],
    "masses": lambda columns: [100.05 + 0.31 * i**2 for i in range(columns)],
    "plots": lambda columns: np.random.default_rng(1).permutation(900)[:columns],
}


@pytest.mark.parametrize(
    ("names", "kind", "columns"),
    [
        *(("of pandas", "normal", columns) for columns in (1, 2, 3, 7, 30)),
        *(("of pandas", "signed", columns) for columns in (2, 3, 7)),
        *(("of pandas", "likert", columns) for columns in (2, 3, 7)),
        *(("of pandas", "genotypes", columns) for columns in (3, 7)),
        *(("wavelengths", "shares", columns) for columns in (1, 2, 3, 7)),
        *(("wavelengths", "counts", columns) for columns in (2, 3, 7)),
        *(("falling decimals", "shares", columns) for columns in (3, 7)),
        *(("uneven", "shares", columns) for columns in (3, 7)),
        *(("uneven", "counts", columns) for columns in (3, 7)),
        *(("years", "sales", columns) for columns in (2, 3, 7)),
        *(("years", "counts", columns) for columns in (2, 3, 7)),
        *(("plots", "shares", columns) for columns in (2, 3, 7)),
        *(("halves", "normal", columns) for columns in (2, 3, 7)),
        *(("halves", "shares", columns) for columns in (2, 3, 7)),
        *(("masses", "large", columns) for columns in (7, 12)),
    ],
)
def test_numbers_that_are_names(names, kind, columns, read):
    rows = table(kind, columns)
    given = tuple(str(name) for name in NAMES[names](columns))
    found = read([given, *rows])
    np.testing.assert_array_equal(found.x, rows)
    assert found.columns == given
    (note,) = said(found)
    assert f"as column names, although it has numbers ({given[0]}" in note
    assert "--no-header" in note


@pytest.mark.parametrize("kind", ["normal", "counts"])
@pytest.mark.parametrize("corner", ["", "sample"])
@pytest.mark.parametrize("names", ["of pandas", "wavelengths", "years", "plots"])
def test_a_first_column_of_row_names(kind, corner, names, read):
    rows = table(kind, 4)
    given = tuple(str(name) for name in NAMES[names](4))
    lines = [(f"s{i}", *row) for i, row in enumerate(rows)]
    found = read([(corner, *given), *lines])
    np.testing.assert_array_equal(found.x, rows)
    assert (found.columns, len(said(found))) == (given, 1)


def test_pandas_frames_without_names(tmp_path):
    pandas = pytest.importorskip("pandas")
    x = np.random.default_rng(0).normal(size=(ROWS, 3))
    for is_indexed in (False, True):
        path = tmp_path / f"{is_indexed}.csv"
        pandas.DataFrame(x).to_csv(path, index=is_indexed)
        found = load_columns(str(path))
        np.testing.assert_allclose(found.x, x)
        assert found.columns == ("0", "1", "2")


def test_names_over_mixed_columns(read):
    rows = [
        (a, n, "true" if n % 2 else "false", "text")
        for (a,), (n,) in zip(table("normal", 1), table("counts", 1), strict=True)
    ]
    found = read([(0, 1, 2, 3), *rows])
    assert found.columns == ("0", "1", "2")
    assert found.x.shape == (ROWS, 3)


@pytest.mark.parametrize("columns", [1, 2, 3, 4, 7])
@pytest.mark.parametrize(
    "kind",
    ["normal", "shares", "counts", "signed", "sales", "likert", "genotypes"],
)
@pytest.mark.parametrize("seed", range(5))
def test_rows_without_names_are_all_data(kind, columns, seed, read):
    rows = table(kind, columns, seed)
    np.testing.assert_array_equal(read(rows).x, rows)


@pytest.mark.parametrize(
    "text",
    [
        "0,1,2\n3,4,5\n6,7,8\n9,10,11\n",
        "1,2,3\n4,5,6\n7,8,9\n",
        "0,1\n0.1,0.9\n0.2,0.7\n0.3,0.4\n",
        "1,0.5,0.25\n2,0.1,0.7\n3,0.9,0.3\n",
        "1,2,4\n3,5,9\n2,6,7\n1,8,9\n",
        "0,1\n1,0\n1,1\n0,0\n0,1\n",
        "2000,2001\n2003,2004\n1999,2000\n",
        "true,false\nfalse,true\ntrue,true\n",
        "1.5,true\n2.5,false\n3.5,true\n",
        "0,0,0\n0.5,0.1,0.7\n0.2,0.4,0.3\n",
        "0,-,2\n5,7,1\n3,8,9\n",
    ],
)
def test_first_rows_that_look_like_names(text, read):
    assert len(read(text).x) == len(text.splitlines())


@pytest.mark.parametrize("columns", [2, 3, 7])
def test_an_outlier_on_the_first_row_is_data(columns, read):
    for seed in range(10):
        rows = np.array(table("normal", columns, seed))
        rows[0] *= 50
        assert len(read(rows.tolist()).x) == ROWS


def test_the_round_start_of_a_trajectory_is_data(read):
    times = np.arange(ROWS) / 7
    rows = np.column_stack([0.5 * np.cos(times), 1 + np.sin(times)])
    assert rows[0].tolist() == [0.5, 1.0]
    np.testing.assert_array_equal(read(rows.tolist()).x, rows)


@pytest.mark.parametrize("rows", [5, ROWS])
@pytest.mark.parametrize("names", [(350.5, 351.0), (351.5, 350.0, 348.5)])
def test_a_few_decimals_in_order_and_very_far_are_names(names, rows, read):
    shares = np.random.default_rng(0).random((rows, len(names))).round(3).tolist()
    found = read([names, *shares])
    np.testing.assert_array_equal(found.x, shares)
    assert found.columns == tuple(map(str, names))
    assert len(said(found)) == 1


@pytest.mark.parametrize(
    "first", [(350.5, 350.5), (35.5, 350.5, 35.25), (350.5, 0.5), (4.5, 5.5)]
)
def test_decimals_without_order_or_near_are_data(first, read):
    shares = np.random.default_rng(0).random((ROWS, len(first))).round(3).tolist()
    assert len(read([first, *shares]).x) == ROWS + 1


@pytest.mark.parametrize(
    ("text", "is_doubtful"),
    [
        ("0,1,2\n0.5,0.25,0.7\n", True),
        ("0,1,2\n5,3,9\n", True),
        ("0\n5.5\n", True),
        ("1100,1200\n0.5,0.25\n", True),
        ("2015,2016\n300,200\n", True),
        ("1,2\n3,4\n", False),
        ("0.5,0.7\n0.1,0.2\n", False),
        ("3,1,2\n0.1,0.2,0.7\n", False),
    ],
)
def test_over_one_row_a_doubt_is_said(text, is_doubtful, read):
    found = read(text)
    assert len(found.x) == 2
    assert len(said(found)) == is_doubtful


def test_order_that_only_the_first_line_has_is_mentioned(read):
    rows = table("large", 5)
    found = read([(-100.05, 1.07, 150.2, 200.9, 305.1), *rows])
    assert len(found.x) == ROWS + 1
    (note,) = said(found)
    assert "if it holds column names, give --header" in note


def test_a_doubt_is_said(read):
    (note,) = said(read("1,2\n3,1\n2,4\n9,3\n"))
    assert note == (
        "Read line 1 (1, 2) as data; if it holds column names, give --header."
    )
    assert said(read("a,b\n3,1\n2,4\n9,3\n")) == []
    assert len(said(read("0\n3\n2\n9\n"))) == 1
    assert said(read("5.5,2\n3,1\n2,4\n9,3\n")) == []


def test_a_user_decides(read):
    rows = table("normal", 3)
    found = read([(0, 1, 2), *rows], header=False)
    assert (found.x.shape, found.columns[0]) == ((ROWS + 1, 3), "column_1")
    found = read(rows, header=True)
    assert (found.x.shape, found.columns[0]) == ((ROWS - 1, 3), str(rows[0][0]))
    assert found.notes == ()
    with pytest.raises(DataError, match="'x' on line 1"):
        read("x,y\n1,2\n3,4\n", header=False)
