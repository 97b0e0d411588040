"""Columns that are chosen, refused, filled and scaled, as the program says it."""

import json

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from spectral_tf.apps.analysis.prepare import Preparation, prepare
from spectral_tf.tables.columns import Columns
from tests.apps.analysis.conftest import call

GAPS = "a,b,c\n1,,2\n2,,3\n4,5,6\n7,8,NA\n"
NUMBERS = "a,b,c\n" + "".join(f"{i * i},{i % 3},{7 - i}\n" for i in range(8))


def columns(x, names=None):
    x = np.asarray(x, float)
    names = names or tuple(f"c{i}" for i in range(x.shape[1]))
    return Columns("table", x, tuple(names))


@pytest.fixture
def refused(tmp_path):
    """A function that runs `pca` on a file and returns the line that refuses it."""

    def refuse(path, *flags):
        run = call("pca", path, *flags, folder=tmp_path / "never")
        assert (run.code, run.out) == (2, "")
        assert not run.folder.exists()
        (line,) = run.err.splitlines()
        return line.removeprefix("spectral-tf: ")

    return refuse


def test_missing_values_are_counted_per_column(write, refused):
    line = refused(write(GAPS))
    assert "has missing values ('b': 2, 'c': 1)" in line
    assert "--impute median" in line


def test_missing_values_are_filled_if_asked(write, tmp_path):
    flags = ["--impute", "median", "--engine", "exact"]
    run = call("pca", write(GAPS), *flags, folder=tmp_path / "out")
    assert (run.code, run.err) == (0, "")
    said = "Filled 3 missing values with the median of their column: "
    assert f"{said}2 in 'b' (6.5), 1 in 'c' (3)." in run.out
    summary = json.loads((run.folder / "summary.json").read_text())
    filled = {"b": {"cells": 2, "value": 6.5}, "c": {"cells": 1, "value": 3.0}}
    assert summary["imputed"] == filled


def test_the_filled_table_is_scaled_as_by_scikit_learn():
    x = np.array([[1, np.nan, 2], [2, np.nan, 3], [4, 5, 6], [7, 8, np.nan]])
    table = prepare(columns(x), Preparation(impute="median"))
    filled = np.array([[1, 6.5, 2], [2, 6.5, 3], [4, 5, 6], [7, 8, 3]])
    np.testing.assert_array_equal(table.raw, filled)
    np.testing.assert_allclose(table.x, StandardScaler().fit_transform(filled))
    assert np.isnan(x).sum() == 3, "the columns given are not changed"


def test_without_scaling_the_numbers_stay():
    x = np.random.default_rng(0).normal(size=(5, 2)) * 40 + 7
    table = prepare(columns(x), Preparation(standardize=False))
    np.testing.assert_array_equal(table.x, x)
    assert (table.mean.tolist(), table.scale.tolist()) == ([0, 0], [1, 1])


def test_constant_and_empty_columns_are_left_out():
    x = [[1, 3, np.nan, 1e6], [2, 3, np.nan, 1e6], [4, 3, np.nan, 1e6]]
    table = prepare(columns(x), Preparation())
    assert table.columns == ("c0",)
    assert [one.reason for one in table.left_out] == [
        "it is constant (3)",
        "it is empty",
        "it is constant (1e+06)",
    ]
    near = columns([[1, 1e6], [2, np.nextafter(1e6, 2e6)], [3, 1e6]])
    ((name, reason),) = prepare(near, Preparation()).left_out
    assert (name, reason) == ("c1", "it varies in its last digits only")


def test_tiny_numbers_are_scaled():
    x = np.random.default_rng(0).normal(size=(9, 2)) * 1e-300
    table = prepare(columns(x), Preparation())
    np.testing.assert_allclose(table.x.std(axis=0), 1)


def test_a_column_that_numbers_the_rows_is_mentioned():
    x = [[3, 1], [4, 1.5], [5, 9], [6, 2]]
    (note,) = prepare(columns(x, ("id", "a")), Preparation()).notes
    assert note.startswith("Column 'id' numbers the rows; if it is no measurement")
    chosen = Preparation(columns=("a", "id"))
    table = prepare(columns(x, ("id", "a")), chosen)
    assert (table.columns, table.notes) == (("a", "id"), ())


def test_columns_are_chosen_by_name(write, tmp_path, refused):
    path = write(NUMBERS.replace("a,b,c", '"=1+1",b,"x, y"'))
    flags = ["--columns", "x, y", "=1+1", "--engine", "exact"]
    run = call("pca", path, *flags, folder=tmp_path / "out")
    assert run.table("components.csv")[0][3:] == ["x, y", "=1+1"]
    assert "Left out 1 column that was not chosen." in run.out
    summary = json.loads((run.folder / "summary.json").read_text())
    assert summary["left_out"] == [{"column": "b", "reason": "it was not chosen"}]
    line = refused(path, "--columns", "b", "c")
    assert line.endswith("has no column 'c'; its columns are '=1+1', 'b', 'x, y'.")
    assert "'b' is named twice" in refused(path, "--columns", "b", "b")


def test_a_text_column_cannot_be_chosen(write, refused):
    line = refused(write("a,b\n1,x\n2,y\n"), "--columns", "b")
    assert "column 'b' cannot be used: 2 of its 2 cells are not numbers" in line


def test_columns_of_one_name_are_told_apart(write, tmp_path):
    path = write(NUMBERS.replace("a,b,c", "a,b,a"))
    run = call("pca", path, "--engine", "exact", folder=tmp_path / "out")
    assert "Two columns are called 'a'; one is now 'a.2'." in run.out
    assert run.table("components.csv")[0][3:] == ["a", "b", "a.2"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "is empty; it needs at least one row"),
        ("a,b\n", "has column names but no rows"),
        ("a,b\n1,2\n", "has 1 row of numbers; an analysis needs at least 2"),
        ("a,b\nx,y\nz,w\n", "has no numeric column. Left out column 'a': 2 of"),
        ("a,b\n1,2\n1,2\n", "Left out column 'a': it is constant (1)"),
        ("a,b\n1,inf\n2,-inf\n", "has infinite values ('b': 2)"),
        ("a,b\n1,1e400\n2,3\n", "has infinite values ('b': 1)"),
        ("a,b\n1,1e200\n2,3\n", "has values beyond 1e+100 ('b': 1)"),
        ("a,b\n1,2\n1,2,3\n", "line 3: 3 cells, but the first line has 2"),
    ],
)
def test_what_cannot_be_analysed_is_one_clear_line(text, line, write, refused):
    assert line in refused(write(text))


def test_what_cannot_be_asked_is_one_clear_line(write, refused):
    path = write(NUMBERS)
    assert "--n-components=4 must be a whole number in 1..3" in refused(
        path, "--n-components", "4"
    )
    assert "--n-components=0 leaves nothing to report; ask for at least 1" in refused(
        path, "--n-components", "0"
    )
    assert "tol=-1.0 must be a number in (0, 1.5)" in refused(path, "--tol", "-1")
    assert "seed=-1 must be >= 0" in refused(path, "--seed", "-1")
    assert "is not a folder" in refused(path, "--weights", "absent")
    assert "is not a file" in refused("absent.csv")
    tiny = write("a\n1e-200\n3e-200\n", "tiny.csv")
    assert "vary by less than 1e-100" in refused(tiny, "--no-standardize")


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--contamination", "0.7"], "contamination=0.7 must be 'auto' or a share"),
        (["--top", "-1"], "top=-1 must be >= 0"),
        (["--columns", "a"], "at least 2 numeric columns"),
    ],
)
def test_detect_refuses(flags, line, write, tmp_path):
    run = call("detect", write(NUMBERS), *flags, folder=tmp_path / "never")
    assert (run.code, run.out) == (2, "")
    assert line in run.err
    assert not run.folder.exists()


def test_more_clusters_than_rows_are_refused(write, tmp_path):
    flags = ["--n-clusters", "9", "--engine", "exact"]
    run = call("cluster", write(NUMBERS), *flags, folder=tmp_path / "never")
    assert run.code == 2
    assert "--n-clusters=9 must be <= n_samples=8" in run.err


def test_parquet_is_analysed_as_the_same_csv(wine, wine_csv, tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame(wine.data, columns=wine.feature_names)
    frame["cultivar"] = wine.target_names[wine.target]
    frame.to_parquet(tmp_path / "wine.parquet")
    flags = ["--n-components", "3", "--engine", "exact"]
    one = call("pca", wine_csv, *flags, folder=tmp_path / "csv")
    other = call("pca", tmp_path / "wine.parquet", *flags, folder=tmp_path / "parquet")
    assert (other.code, other.err) == (0, "")
    ours, theirs = (np.array(run.table("scores.csv")[1], float) for run in (one, other))
    np.testing.assert_allclose(ours, theirs, atol=1e-12)
    assert "Left out column 'cultivar': its type is" in other.out
