"""Tables in parts: `partial_fit` is `fit` on all rows, and files come in chunks."""

import copy
import dataclasses

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_breast_cancer

from spectral_tf.config import ConfigError, DataError
from spectral_tf.estimators import SpectralPCA, read_chunks
from tests.estimators.helpers import IRIS, loaded

CLOSE = 1e-9
LEARNT = (
    "components_",
    "explained_variance_",
    "explained_variance_ratio_",
    "singular_values_",
    "mean_",
    "noise_variance_",
)


def assert_same(ours: SpectralPCA, other: SpectralPCA, close: float = CLOSE) -> None:
    for name in LEARNT:
        one, two = getattr(ours, name), getattr(other, name)
        assert_allclose(one, two, rtol=close, atol=close, err_msg=name)
    assert ours.n_samples_ == other.n_samples_
    assert ours.n_components_ == other.n_components_


def state(pca: SpectralPCA) -> dict:
    return copy.deepcopy(vars(pca))


def assert_unchanged(pca: SpectralPCA, before: dict) -> None:
    after = vars(pca)
    assert after.keys() == before.keys()
    for name, value in before.items():
        if name != "_moments":
            assert_same_value(after[name], value, name)


def assert_same_value(after: object, before: object, name: str) -> None:
    """Also of values that hold arrays, which `==` does not compare."""
    assert type(after) is type(before), name
    if isinstance(before, np.ndarray):
        assert_array_equal(after, before, err_msg=name)
    elif dataclasses.is_dataclass(before):
        for field in dataclasses.fields(before):
            pair = getattr(after, field.name), getattr(before, field.name)
            assert_same_value(*pair, f"{name}.{field.name}")
    else:
        assert after == before, name


@pytest.mark.parametrize("engine", ["auto", "exact"])
@pytest.mark.parametrize("size", [2, 7, 64, 150])
def test_chunks_are_the_whole(engine, size):
    whole = SpectralPCA(2, engine=engine, tol=1e-6).fit(IRIS)
    chunks = [IRIS[low : low + size] for low in range(0, len(IRIS), size)]
    one_by_one = SpectralPCA(2, engine=engine, tol=1e-6)
    for chunk in chunks:
        assert one_by_one.partial_fit(chunk) is one_by_one
    at_once = SpectralPCA(2, engine=engine, tol=1e-6).partial_fit(iter(chunks))
    assert_same(one_by_one, whole)
    assert_same(at_once, whole)


def test_uneven_chunks_of_a_harder_table():
    x = loaded(load_breast_cancer)
    cuts = np.sort(np.random.default_rng(0).choice(np.arange(2, len(x)), 9))
    chunks = (chunk for chunk in np.split(x, cuts) if len(chunk))
    whole = SpectralPCA(3, engine="exact").fit(x)
    ours = SpectralPCA(3, engine="exact").partial_fit(chunks)
    for name in LEARNT:
        size = np.abs(getattr(whole, name)).max()
        one, two = getattr(ours, name), getattr(whole, name)
        assert_allclose(one, two, rtol=CLOSE, atol=CLOSE * size, err_msg=name)


def test_fewer_rows_than_columns():
    x = np.random.default_rng(0).normal(size=(6, 10))
    whole = SpectralPCA(2, engine="exact").fit(x)
    ours = SpectralPCA(2, engine="exact").partial_fit(iter([x[:3], x[3:]]))
    assert_same(ours, whole)


def test_the_first_chunk_may_be_one_row():
    ours = SpectralPCA(2, engine="exact").partial_fit(iter([IRIS[:1], IRIS[1:]]))
    assert_same(ours, SpectralPCA(2, engine="exact").fit(IRIS))


def test_chunks_after_equal_rows():
    x = np.concatenate([np.zeros((5, 4)), 1e-200 * IRIS])
    ours = SpectralPCA(2, engine="exact").partial_fit(iter([x[:5], x[5:]]))
    whole = SpectralPCA(2, engine="exact").fit(x)
    assert_allclose(ours.components_, whole.components_, atol=CLOSE)


def test_a_large_mean_costs_no_digits():
    x = np.round(1024 * np.random.default_rng(0).normal(size=(300, 5))) / 1024
    x *= [8, 4, 2, 1, 1]
    moved = SpectralPCA(3).partial_fit(iter(np.split(x + 1e8, 10)))
    plain = SpectralPCA(3).fit(x)
    assert_allclose(moved.components_, plain.components_, atol=1e-6)
    assert_allclose(moved.explained_variance_, plain.explained_variance_, rtol=1e-11)


def test_types_of_chunks():
    narrow = IRIS.astype(np.float32)
    pca = SpectralPCA(2).partial_fit(iter([narrow[:50], narrow[50:]]))
    assert pca.components_.dtype == np.float32
    pca = SpectralPCA(2).partial_fit(iter([narrow[:50], IRIS[50:]]))
    assert pca.components_.dtype == np.float64
    frames = iter(np.split(IRIS, 3))
    pca = SpectralPCA(2).partial_fit(
        pd.DataFrame(chunk, columns=list("abcd")) for chunk in frames
    )
    assert_array_equal(vars(pca)["feature_names_in_"], list("abcd"))


def test_fit_forgets_the_chunks():
    pca = SpectralPCA(2, engine="exact").partial_fit(IRIS[:100])
    pca.fit(IRIS[50:])
    assert_same(pca, SpectralPCA(2, engine="exact").fit(IRIS[50:]))


def test_more_components_after_a_while():
    pca = SpectralPCA(2, engine="exact").partial_fit(IRIS[:100])
    pca.set_params(n_components=3).partial_fit(IRIS[100:])
    assert_same(pca, SpectralPCA(3, engine="exact").fit(IRIS))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.full((3, 4), np.nan), "NaN"),
        (np.zeros((3, 5)), "features"),
        (np.zeros((0, 4)), "0 sample"),
        ([["a"] * 4] * 3, "could not convert"),
        (np.zeros(4), "2D array"),
    ],
)
@pytest.mark.parametrize("is_first", [False, True])
def test_a_chunk_that_is_refused_changes_nothing(bad, message, is_first):
    pca = SpectralPCA(2)
    if not is_first:
        pca.partial_fit(IRIS[:100])
    before = state(pca)
    with pytest.raises(ValueError, match=message):
        pca.partial_fit(iter([IRIS[100:], bad]))
    assert_unchanged(pca, before)
    if not is_first:
        pca.partial_fit(IRIS[100:])
        assert_allclose(pca.mean_, IRIS.mean(axis=0))
        assert pca.n_samples_ == 150


def test_a_source_of_chunks_that_fails_changes_nothing():
    pca = SpectralPCA(2).partial_fit(IRIS[:100])
    before = state(pca)

    def broken():
        yield IRIS[100:120]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk"):
        pca.partial_fit(broken())
    assert_unchanged(pca, before)


def test_a_parameter_that_is_refused_changes_nothing():
    pca = SpectralPCA(2).partial_fit(IRIS[:100])
    pca.set_params(n_components=9)
    before = state(pca)
    with pytest.raises(ConfigError, match="n_components=9"):
        pca.partial_fit(IRIS[100:])
    assert_unchanged(pca, before)
    pca.set_params(n_components=2).partial_fit(IRIS[100:])
    assert pca.n_samples_ == 150


def test_an_iterator_without_chunks_is_refused():
    with pytest.raises(ConfigError, match="no chunks"):
        SpectralPCA(2).partial_fit(iter([]))


@pytest.fixture
def files(tmp_path):
    np.save(tmp_path / "table.npy", IRIS)
    frame = pd.DataFrame(IRIS, columns=list("abcd"))
    frame.to_parquet(tmp_path / "table.parquet")
    frame.assign(e=["x"] * len(frame)).to_parquet(tmp_path / "text.pq")
    return tmp_path


@pytest.mark.parametrize("name", ["table.npy", "table.parquet"])
@pytest.mark.parametrize("rows", [1, 40, 65_536])
def test_files_come_in_chunks(files, name, rows):
    chunks = list(read_chunks(files / name, rows=rows))
    assert all(len(chunk) <= rows for chunk in chunks)
    assert_array_equal(np.concatenate(chunks), IRIS)
    assert_array_equal(np.concatenate(list(read_chunks(str(files / name)))), IRIS)


@pytest.mark.parametrize("name", ["table.npy", "table.parquet"])
def test_files_are_fitted(files, name):
    ours = SpectralPCA(2, engine="exact").partial_fit(
        read_chunks(files / name, rows=40)
    )
    assert_same(ours, SpectralPCA(2, engine="exact").fit(IRIS))


def test_columns_of_a_parquet_file(files):
    chunks = list(read_chunks(files / "text.pq", columns=["d", "a"]))
    assert_array_equal(np.concatenate(chunks), IRIS[:, [3, 0]])
    with pytest.raises(DataError, match=r"'e' of text.pq is not numeric"):
        list(read_chunks(files / "text.pq"))
    with pytest.raises(DataError, match="nonsense"):
        list(read_chunks(files / "text.pq", columns=["a", "nonsense"]))


def test_types_of_parquet_columns(tmp_path):
    frame = pd.DataFrame(
        {
            "whole": np.arange(5),
            "single": np.arange(5, dtype=np.float32),
            "flag": [True, False, True, True, False],
        }
    )
    frame.to_parquet(tmp_path / "types.parquet")
    (chunk,) = read_chunks(tmp_path / "types.parquet")
    assert_array_equal(chunk, frame.to_numpy(float))
    holes = pd.DataFrame({"a": pd.array([1, None, 3], "Int64"), "b": [1.0, 2.0, 4.0]})
    holes.to_parquet(tmp_path / "holes.parquet")
    with pytest.raises(ValueError, match="NaN"):
        SpectralPCA(1).partial_fit(read_chunks(tmp_path / "holes.parquet"))


def test_files_that_cannot_be_read(files):
    for name in ("missing.npy", "missing.parquet", "."):
        with pytest.raises(DataError, match=r"is not a file \(looked in"):
            read_chunks(files / name)
    (files / "table.csv").write_text("1,2")
    with pytest.raises(DataError, match=r"table.csv .* give a .npy or .parquet"):
        read_chunks(files / "table.csv")
    for rows in (0, -3):
        with pytest.raises(ConfigError, match=f"rows={rows}"):
            read_chunks(files / "table.npy", rows=rows)
    for name, text in (("no.npy", b"nonsense"), ("empty.npy", b""), ("no.pq", b"no")):
        (files / name).write_bytes(text)
        with pytest.raises(DataError, match=name):
            list(read_chunks(files / name))
    arrays = {"line": np.zeros(5), "none": np.zeros((0, 3)), "text": [["a"]]}
    for name, array in arrays.items():
        np.save(files / f"{name}.npy", array)
        with pytest.raises(DataError, match=name):
            list(read_chunks(files / f"{name}.npy"))


def test_only_what_is_asked_for_is_read(tmp_path):
    # 800 MB of zeros that are not on the disk: the first rows come at once.
    array = np.lib.format.open_memmap(
        tmp_path / "big.npy", mode="w+", dtype=np.float64, shape=(10**7, 10)
    )
    del array
    chunk = next(read_chunks(tmp_path / "big.npy", rows=100))
    assert chunk.shape == (100, 10)
