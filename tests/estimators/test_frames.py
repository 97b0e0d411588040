"""Dates, times and durations are refused by name, whatever kind of frame holds them."""

import datetime
from collections.abc import Callable
from typing import Any

import narwhals
import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest

from spectral_tf.config import DataError
from spectral_tf.estimators import (
    SpectralClusterer,
    SpectralOutlierDetector,
    SpectralPCA,
)
from spectral_tf.tables.load import load_columns

polars = pytest.importorskip("polars")

COUNT = 8
X = np.random.default_rng(0).normal(size=(COUNT, 2))
DAYS = [datetime.date(2020, 1, 1 + i * i % 28) for i in range(COUNT)]
MOMENTS: dict[str, list[Any]] = {
    "date": DAYS,
    "datetime": [datetime.datetime(d.year, d.month, d.day, 3) for d in DAYS],
    "time": [datetime.time(i, 30) for i in range(COUNT)],
    "duration": [datetime.timedelta(hours=i * i) for i in range(COUNT)],
    "gaps": [None, *DAYS[1:]],
}


class Interchanged:
    """A frame of a library that knows the interchange protocol and arrays alone."""

    def __init__(self, frame: Any) -> None:
        self.frame = frame

    def __dataframe__(self, *_: Any, **__: Any) -> Any:
        return pyarrow.Table.from_pandas(self.frame).__dataframe__()

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        columns = [np.asarray(self.frame[c]) for c in self.frame]
        columns = [c.view("i8") if c.dtype.kind in "mM" else c for c in columns]
        return np.column_stack(columns).astype(dtype or float)


def table_with(values: list[Any]) -> dict[str, Any]:
    return {"a": X[:, 0], "when": values, "b": X[:, 1]}


FRAMES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "polars objects": lambda table: polars.DataFrame(
        table, schema_overrides={"when": polars.Object}
    ),
    "pandas": pd.DataFrame,
    "pandas objects": lambda table: pd.DataFrame(table).astype({"when": object}),
    "pandas of arrow": lambda table: pyarrow.table(table).to_pandas(
        types_mapper=pd.ArrowDtype
    ),
    "polars": polars.DataFrame,
    "pyarrow": pyarrow.table,
    "pyarrow batch": pyarrow.record_batch,
    "narwhals": lambda table: narwhals.from_native(polars.DataFrame(table)),
}


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("name", MOMENTS)
def test_moments_are_refused_by_name(kind, name):
    frame = FRAMES[kind](table_with(MOMENTS[name]))
    with pytest.raises(DataError, match=r"dates, times or durations in 'when' \("):
        SpectralPCA(1).fit(frame)


@pytest.mark.parametrize("kind", FRAMES)
def test_frames_of_numbers_are_fitted(kind):
    frame = FRAMES[kind](table_with([i * i for i in range(COUNT)]))
    ours = SpectralPCA(1, engine="exact").fit(frame)
    expected = np.column_stack([X[:, 0], np.arange(COUNT) ** 2, X[:, 1]])
    reference = SpectralPCA(1, engine="exact").fit(expected)
    np.testing.assert_array_equal(ours.components_, reference.components_)


def test_columns_with_names_of_methods():
    SpectralPCA(1).fit(pd.DataFrame(X, columns=["schema", "dtypes"]))
    with pytest.raises(DataError, match="in 'schema' "):
        SpectralPCA(1).fit(pd.DataFrame({"a": X[:, 0], "schema": MOMENTS["datetime"]}))


@pytest.mark.parametrize(
    "values",
    [
        pd.period_range("2020-01", periods=COUNT, freq="M"),
        pd.date_range("2020-01-01", periods=COUNT, tz="Asia/Tokyo"),
        pd.Categorical(MOMENTS["datetime"]),
        pd.interval_range(pd.Timestamp("2020-01-01"), periods=COUNT),
        pd.Series(list(pd.period_range("2020", periods=COUNT)), dtype=object),
        pd.Series([1.0, *DAYS[1:]], dtype=object),
    ],
    ids=lambda values: str(values.dtype) + type(values).__name__,
)
def test_what_pandas_makes_of_moments(values):
    frame = pd.DataFrame({"a": X[:, 0], "when": values})
    with pytest.raises(DataError, match="in 'when' "):
        SpectralPCA(1).fit(frame)


def test_frames_of_the_interchange_protocol():
    frame = pd.DataFrame(table_with(MOMENTS["datetime"]))
    with pytest.raises(DataError, match="in 'when' "):
        SpectralPCA(1).fit(Interchanged(frame))
    SpectralPCA(1).fit(Interchanged(frame[["a", "b"]]))


@pytest.mark.parametrize(
    "x",
    [
        np.array([DAYS, DAYS], "M8[D]").T,
        [[np.datetime64(day), np.datetime64("2020-02-03")] for day in DAYS],
        np.array(list(zip(X[:, 0], DAYS, strict=True)), dtype=object),
        [[i, datetime.timedelta(i)] for i in range(COUNT)],
        np.array(list(zip(X[:, 0], np.array(DAYS, "M8[D]"), strict=True)), object),
    ],
)
def test_arrays_and_lists_of_moments(x):
    with pytest.raises(DataError, match=r"times or durations in .*(all columns|x1) \("):
        SpectralPCA(1).fit(x)


def test_all_columns_are_named_and_every_estimator_asks():
    frame = polars.DataFrame({**table_with(DAYS), "then": MOMENTS["time"]})
    for estimator in (SpectralPCA(1), SpectralClusterer(2), SpectralOutlierDetector(1)):
        with pytest.raises(DataError, match=r"'when' \(Date\), 'then' \(Time\);"):
            estimator.fit(frame)
    fitted = SpectralPCA(1).fit(frame.select("a", "b"))
    with pytest.raises(DataError, match="'when'"):
        fitted.transform(frame.select("a", "when"))
    with pytest.raises(DataError, match="'when'"):
        SpectralPCA(1).partial_fit(frame)


@pytest.mark.parametrize("name", MOMENTS)
@pytest.mark.parametrize("writer", ["polars", "pandas", "pyarrow"])
def test_the_command_line_leaves_moments_out_with_a_note(name, writer, tmp_path):
    table, path = table_with(MOMENTS[name]), tmp_path / "table.parquet"
    if writer == "polars":
        polars.DataFrame(table).write_parquet(path)
    elif writer == "pandas":
        pd.DataFrame(table).to_parquet(path)
    else:
        pyarrow.parquet.write_table(pyarrow.table(table), path)
    read = load_columns(str(path))
    assert read.columns == ("a", "b")
    (left_out,) = read.left_out
    assert left_out.name == "when"
    assert "not a number" in left_out.reason
