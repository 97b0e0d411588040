"""Codes of missing values beside numbers of more digits than a float64 holds."""

from decimal import Decimal

import numpy as np
import pytest

from spectral_tf.config import ReadOptions
from spectral_tf.estimators import read_chunks
from spectral_tf.tables.load import load_columns

STAMPS = [2**60 + 1, 2**60 + 3, 2**60 + 8, 2**60 + 12, 2**60 + 21]


def relative(read):
    column = read.exact["stamp"]
    return column.values - column.values[0]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_code_does_not_cost_the_other_numbers_their_digits(kind, tmp_path):
    stamps = [*STAMPS, -999]
    path = tmp_path / f"t.{kind}"
    if kind == "csv":
        lines = [f"{stamp},{row}.5" for row, stamp in enumerate(stamps)]
        path.write_text("stamp,x\n" + "\n".join(lines))
    else:
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        table = pyarrow.table({"stamp": stamps, "x": np.arange(6) + 0.5})
        parquet.write_table(table, path)
    read = load_columns(str(path), ReadOptions(missing=("-999",)))
    assert np.isnan(read.x[5, 0])
    np.testing.assert_array_equal(relative(read), [0, 2, 7, 11, 20, np.nan])


def test_numbers_with_parted_thousands_keep_their_digits(tmp_path):
    path = tmp_path / "t.csv"
    texts = [f"{stamp:,}".replace(",", ".") for stamp in STAMPS]
    path.write_text(
        "stamp;x\n" + "\n".join(f"{text};{row},5" for row, text in enumerate(texts))
    )
    read = load_columns(str(path), ReadOptions(decimal=","))
    np.testing.assert_array_equal(relative(read), [0, 2, 7, 11, 20])
    np.testing.assert_array_equal(read.x[:, 1], np.arange(5) + 0.5)


def test_chunks_keep_digits_where_no_cell_is_a_code(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "t.parquet"
    cents = [Decimal(stamp) / 100 for stamp in STAMPS]
    parquet.write_table(pyarrow.table({"cents": cents}), path)
    (chunk,) = read_chunks(path, missing=[-999])
    assert chunk[:, 0].tolist() == cents
    np.save(tmp_path / "t.npy", np.array(STAMPS)[:, None])
    (chunk,) = read_chunks(tmp_path / "t.npy", missing=[-999])
    assert chunk[:, 0].tolist() == STAMPS
