"""Parquet files come in chunks as the command line reads them as a whole."""

import decimal
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
from numpy.testing import assert_array_equal

from spectral_tf.config import DataError
from spectral_tf.estimators import SpectralPCA, read_chunks
from spectral_tf.tables.load import load_columns

X = np.random.default_rng(0).normal(size=(60, 3))
FRAME = pd.DataFrame(X, columns=["a", "b", "c"])
STAMPS = pd.Index(np.random.default_rng(1).permutation(10**6)[:60])


def with_metadata(index_columns: str) -> pyarrow.Table:
    """A table whose metadata of pandas says something odd about the index."""
    table = pyarrow.table({"a": X[:, 0], "b": X[:, 1]})
    return table.replace_schema_metadata({"pandas": index_columns})


INDEXED: dict[str, tuple[Any, tuple[str, ...]]] = {
    "filtered": (FRAME[FRAME.a > 0], ("__index_level_0__",)),
    "named": (FRAME.set_index(STAMPS.rename("stamp")), ("stamp",)),
    "a former column": (FRAME.set_index("b"), ("b",)),
    "two levels": (FRAME.assign(d=STAMPS).set_index(["c", "d"]), ("c", "d")),
    "a level without a name": (
        FRAME.set_index(pd.MultiIndex.from_arrays([STAMPS, STAMPS], names=["s", None])),
        ("s", "__index_level_1__"),
    ),
    "dates": (FRAME.set_index(pd.to_datetime(STAMPS).rename("day")), ("day",)),
    "words": (FRAME.set_index(STAMPS.astype(str).rename("key")), ("key",)),
    "dask": (
        pyarrow.table({"a": X[:, 0], "__null_dask_index__": np.arange(60)}),
        ("__null_dask_index__",),
    ),
}


@pytest.fixture
def write(tmp_path) -> Callable[[Any], str]:
    def write_file(table: Any) -> str:
        path = tmp_path / "table.parquet"
        if isinstance(table, pd.DataFrame):
            table.to_parquet(path)
        else:
            pyarrow.parquet.write_table(table, path)
        return str(path)

    return write_file


def joined(path: str, **options: Any) -> np.ndarray:
    return np.concatenate(list(read_chunks(path, rows=7, **options)))


@pytest.mark.parametrize("name", INDEXED)
def test_the_index_of_a_pandas_table_is_no_feature(name, write):
    table, index = INDEXED[name]
    path = write(table)
    with pytest.warns(UserWarning, match="it is the index of a pandas table") as told:
        x = joined(path)
    read = load_columns(path)
    assert_array_equal(x, read.x)
    assert not set(index) & set(read.columns)
    said = dict(read.left_out)
    (warning,) = told
    for column in index:
        assert said[column] == "it is the index of a pandas table"
        assert repr(column) in str(warning.message)


def test_a_first_component_is_not_that_of_the_index(write):
    table, _ = INDEXED["filtered"]
    with pytest.warns(UserWarning, match="index"):
        pca = SpectralPCA(1, engine="exact").partial_fit(read_chunks(write(table)))
    expected = SpectralPCA(1, engine="exact").fit(table.to_numpy())
    np.testing.assert_allclose(pca.components_, expected.components_, atol=1e-12)


def test_an_index_that_is_named_is_read(write):
    table, _ = INDEXED["named"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = joined(write(table), columns=["stamp", "a"])
    assert_array_equal(x, np.column_stack([STAMPS, FRAME.a]))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        "{}",
        '{"index_columns": null}',
        '{"index_columns": ["z"]}',
        '{"index_columns": [{"kind": "range", "name": "a"}]}',
        '{"index_columns": [1]}',
    ],
)
def test_metadata_that_names_no_column_changes_nothing(text, write):
    path = write(with_metadata(text))
    assert_array_equal(joined(path), X[:, :2])
    assert load_columns(path).columns == ("a", "b")


def test_only_an_index_is_no_table(write):
    path = write(FRAME[["a"]].set_index("a"))
    with pytest.raises(DataError, match="has no column of numbers"):
        read_chunks(path)
    with pytest.raises(DataError, match="no numeric column"):
        load_columns(path)


def doubled(*names: str) -> pyarrow.Table:
    columns = [pyarrow.array(X[:, 0] + place) for place in range(len(names))]
    return pyarrow.Table.from_arrays(columns, names=list(names))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("a", "a"), ("a", "a.2")),
        (("a", "b", "a", "a"), ("a", "b", "a.2", "a.3")),
        (("a", "a.2", "a"), ("a", "a.2", "a.3")),
        (("", "", "x"), ("column_1", "column_2", "x")),
        (("a", "a.b", "a"), ("a", "a.b", "a.2")),
    ],
)
def test_doubled_names(names, expected, write):
    path = write(doubled(*names))
    read = load_columns(path)
    assert read.columns == expected
    assert_array_equal(joined(path), read.x)
    order = list(expected[::-1])
    assert_array_equal(joined(path, columns=order), read.x[:, ::-1])
    assert_array_equal(joined(path, columns=[expected[-1]]), read.x[:, -1:])


def test_a_name_with_a_point_is_no_part_of_another_column(write):
    pair = pyarrow.array([{"x": 1.0}] * 60)
    path = write(pyarrow.table({"c": pair, "c.x": X[:, 0], "d": X[:, 1]}))
    assert_array_equal(joined(path, columns=["d", "c.x"]), X[:, [1, 0]])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([True, None, False], pyarrow.bool_()),
        ([1, None, 3], pyarrow.int64()),
        ([1, 2, 3], pyarrow.uint8()),
        ([0.5, None, float("nan")], pyarrow.float16()),
        ([decimal.Decimal("1.25"), None, decimal.Decimal("-7")], None),
        ([decimal.Decimal("1.25"), decimal.Decimal("2.5"), None], "wide"),
    ],
)
def test_numbers_of_every_type(values, kind, write):
    kind = pyarrow.decimal256(50, 3) if kind == "wide" else kind
    column = pyarrow.array(values, kind)
    path = write(pyarrow.table({"a": X[:3, 0], "b": column}))
    x, expected = joined(path), [np.nan if v is None else float(v) for v in values]
    assert x.dtype == np.float64
    assert_array_equal(x, np.column_stack([X[:3, 0], expected]))
    assert_array_equal(x, load_columns(path).x)


def test_columns_of_nullable_frames(write):
    frame = pd.DataFrame(
        {
            "flag": pd.array([True, None, False], "boolean"),
            "whole": pd.array([1, None, 3], "Int64"),
            "arrow": pd.array([True, False, None], pd.ArrowDtype(pyarrow.bool_())),
        }
    )
    path = write(frame)
    expected = [[1, 1, 1], [np.nan, np.nan, 0], [0, 3, np.nan]]
    assert_array_equal(joined(path), expected)
    assert_array_equal(load_columns(path).x, expected)


@pytest.mark.parametrize(
    "values",
    [
        ["x"] * 3,
        [None] * 3,
        [[1.0]] * 3,
        pd.to_datetime(STAMPS[:3]),
        [b"1"] * 3,
        pd.to_timedelta(STAMPS[:3]),
        pd.Categorical(list("uvu")),
    ],
)
def test_what_is_no_number_is_refused_by_name(values, write):
    path = write(pd.DataFrame({"a": X[:3, 0], "bad": values}))
    with pytest.raises(DataError, match=r"column 'bad' of table.parquet is not num"):
        read_chunks(path)
    assert load_columns(path).columns == ("a",)
    assert "bad" in dict(load_columns(path).left_out)


def test_a_file_without_rows_is_refused_as_everywhere(tmp_path):
    path = tmp_path / "table.parquet"
    pyarrow.parquet.write_table(
        pyarrow.table({"a": pyarrow.array([], "float64")}), path
    )
    with pytest.raises(DataError, match="is empty; it needs at least one row"):
        read_chunks(path)


def test_the_end_of_a_name_may_be_in_capitals(tmp_path):
    path = tmp_path / "TABLE.PARQUET"
    pyarrow.parquet.write_table(pyarrow.table({"a": [1.0, 2.0]}), path)
    (chunk,) = read_chunks(path)
    np.save(tmp_path / "t.npy", chunk)
    (tmp_path / "t.npy").rename(tmp_path / "T.NPY")
    (other,) = read_chunks(tmp_path / "T.NPY")
    assert chunk.tolist() == other.tolist() == [[1.0], [2.0]]
