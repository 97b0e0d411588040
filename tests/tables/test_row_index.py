"""Indices of data frames that were saved as columns without a name."""

import io

import numpy as np
import pytest

from spectral_tf.config import ReadOptions
from spectral_tf.estimators import read_chunks
from spectral_tf.tables.load import load_columns

pd = pytest.importorskip("pandas")
ROWS = 12


def frame(index=None):
    x = np.random.default_rng(0).normal(size=(ROWS, 2))
    return pd.DataFrame(x, columns=["a", "b"], index=index)


def shuffled():
    return np.random.default_rng(1).permutation(ROWS)


def saved_again(text):
    return pd.read_csv(io.StringIO(text)).to_csv()


LEVELS = {
    "numbers": [range(3), range(4)],
    "text and numbers": [["u", "v", "w"], range(4)],
    "years": [[2020, 2021, 2022], [1, 2, 3, 4]],
}
TEXTS = {
    "saved twice": lambda: saved_again(frame(shuffled()).to_csv()),
    "saved three times": lambda: saved_again(saved_again(frame(shuffled()).to_csv())),
    "range saved twice": lambda: saved_again(frame().to_csv()),
    **{
        f"levels, {name}": lambda product=product: frame(
            pd.MultiIndex.from_product(product)
        ).to_csv()
        for name, product in LEVELS.items()
    },
    "levels read and saved": lambda: pd.read_csv(
        io.StringIO(frame(pd.MultiIndex.from_product(LEVELS["numbers"])).to_csv())
    ).to_csv(index=False),
    "filtered, read by pandas": lambda: "Unnamed: 0,a,b\n7,1.5,2\n3,2.5,1\n9,.5,4\n",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_every_level_of_an_index_without_a_name_is_left_out(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text())
    read = load_columns(str(path))
    assert read.columns == ("a", "b")
    # Levels of text are no numbers in any case.
    texts = [c for c in read.left_out if "not numbers" in c.reason]
    unnamed = [c for c in read.left_out if "it has no name and" in c.reason]
    assert len(read.left_out) == len(texts) + len(unnamed) > 0
    keep = load_columns(str(path), ReadOptions(keep_index=True))
    assert len(keep.columns) == 2 + len(unnamed)


@pytest.mark.parametrize(
    "text",
    [
        "Unnamed: 0,a,b\n7,1.5,2\n7,2.5,1\n9,.5,4\n",
        ",,a\n0,4,.5\n2,1,.7\n0,4,.9\n",
        ",,a\n0,1.5,.5\n1,1.7,.7\n1,2.2,.9\n",
        ",a\n5,5\n5,6\n5,8\n",
    ],
    ids=["repeated", "levels repeated", "a measurement", "constant"],
)
def test_columns_that_may_be_measurements_stay_and_are_mentioned(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text)
    read = load_columns(str(path))
    assert not read.left_out
    leading = [name for name in read.columns if name not in ("a", "b")]
    assert len(leading) == len(read.notes)
    for name, note in zip(leading, read.notes, strict=True):
        assert note.startswith(f"Column {name!r} has no name")


@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
def test_a_parquet_file_made_of_such_a_csv_loses_it_too(tmp_path, name):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "table.parquet"
    a = [0.5, 1.5, 0.7]
    parquet.write_table(pyarrow.table({name: [7, 3, 9], "a": a}), path)
    read = load_columns(str(path))
    assert read.columns == ("a",)
    assert "looks like the index of a saved data frame" in read.left_out[0].reason
    keep = load_columns(str(path), ReadOptions(keep_index=True))
    assert keep.x.tolist() == [[7, 0.5], [3, 1.5], [9, 0.7]]
    with pytest.warns(UserWarning, match="looks like the index"):
        (chunk,) = read_chunks(path)
    assert chunk.ravel().tolist() == a
    (whole,) = read_chunks(path, columns=[keep.columns[0], "a"])
    assert whole.shape == (3, 2)


def test_a_fraction_without_a_name_in_parquet_is_a_feature(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "table.parquet"
    parquet.write_table(pyarrow.table({"": [0.7, 0.3], "a": [1.0, 2.0]}), path)
    assert load_columns(str(path)).x.shape == (2, 2)
