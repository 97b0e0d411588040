"""Dask arrays and dataframes: summed up where they are, transformed lazily."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from spectral_tf.config import DataError
from spectral_tf.estimators import SpectralOutlierDetector, SpectralPCA, lazy_tables
from spectral_tf.moments import moments_of

RNG = np.random.default_rng(0)
X = RNG.normal(size=(500, 12)) * 1.5 ** -np.arange(12) + 100 * np.arange(12)


def lazy(chunks: Any = (70, 5)) -> Any:
    return da.from_array(X, chunks=chunks)


@pytest.fixture
def never_gathered(monkeypatch):
    """No task may return, and nobody may make, more than a part of the table."""
    largest = []

    def computed(*collections: Any, **options: Any) -> tuple:
        results = compute(*collections, **options)
        largest.extend(m.second.size for m in results)
        return results

    def refused(*_: Any, **__: Any) -> np.ndarray:
        raise AssertionError("the table was gathered")

    compute = vars(dask)["compute"]
    monkeypatch.setattr(dask, "compute", computed)
    monkeypatch.setattr(da.Array, "__array__", refused)
    return largest


@pytest.mark.usefixtures("never_gathered")
@pytest.mark.parametrize("chunks", [(500, 12), (70, 5), (1, 12)])
def test_the_components_are_those_of_the_whole(chunks, never_gathered):
    whole = SpectralPCA(3).fit(X)
    found = SpectralPCA(3).fit(lazy(chunks))
    assert never_gathered == [144]
    assert_allclose(found.components_, whole.components_, atol=1e-12)
    assert_allclose(found.explained_variance_, whole.explained_variance_, rtol=1e-12)
    assert_allclose(found.mean_, X.mean(axis=0), rtol=1e-14)
    assert found.certificate_ is not None
    assert found.certificate_.status == ("certified",) * 3
    assert found.n_samples_ == 500


def test_rows_are_transformed_and_scored_lazily():
    found = SpectralPCA(3).fit(lazy())
    scores, likelihood = found.transform(lazy()), found.score_samples(lazy())
    assert isinstance(scores, da.Array)
    assert isinstance(likelihood, da.Array)
    assert scores.chunks == ((70,) * 7 + (10,), (3,))
    assert_allclose(scores.compute(), found.transform(X), atol=1e-11)
    assert_allclose(likelihood.compute(), found.score_samples(X), rtol=1e-12)
    assert found.score(lazy()) == pytest.approx(found.score(X))
    assert_allclose(
        SpectralPCA(3).fit_transform(lazy()).compute(), scores.compute(), atol=1e-11
    )


def test_a_dataframe_keeps_its_names_and_may_have_empty_parts():
    dd = pytest.importorskip("dask.dataframe")
    names = [f"column {place}" for place in range(12)]
    frame = pd.DataFrame(X, columns=names)
    table = dd.from_pandas(frame, npartitions=5)
    table = table[table["column 0"] > np.sort(X[:, 0])[20]]
    left = frame[frame["column 0"] > np.sort(X[:, 0])[20]]
    first = table.partitions[:2]
    halved = dd.concat([first[first["column 0"] > 1e9], table])
    found = SpectralPCA(2).fit(halved)
    assert list(vars(found)["feature_names_in_"]) == names
    whole = SpectralPCA(2).fit(left)
    assert_allclose(found.components_, whole.components_, atol=1e-12)
    assert_allclose(found.transform(halved).compute(), whole.transform(left), atol=1e-9)
    with pytest.raises(ValueError, match="feature names"):
        found.transform(table[names[::-1]])
    table["word"] = "a"
    with pytest.raises(DataError, match=r"1 column without numbers: word"):
        SpectralPCA(2).fit(table)


def test_single_precision_stays_so():
    table = lazy((100, 12)).astype(np.float32)
    found = SpectralPCA(2).fit(table)
    assert found.components_.dtype == np.float32
    assert found.transform(lazy().astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: da.where(x == x[300, 3], np.nan, x), r"part 5 of X has NaN"),
        (lambda x: x[:1], "X has 1 row"),
        (lambda x: x[:, 0], "expected a dask.array"),
        (lambda x: x.astype(str), "expected numbers"),
        (lambda x: (x * 2**45).astype(np.int64), "whole numbers beyond 2\\^53"),
    ],
)
def test_what_cannot_be_used_is_refused(change, words):
    pca = SpectralPCA(2)
    with pytest.raises(DataError, match=words):
        pca.fit(change(lazy()))
    assert not hasattr(pca, "components_")


def test_others_do_not_gather_it():
    for call in (SpectralPCA(2).partial_fit, SpectralOutlierDetector(2).fit):
        with pytest.raises(DataError, match="Dask collection"):
            call(lazy())


def test_parts_are_merged_as_a_tree():
    parts = [moments_of([part]) for part in np.array_split(X, 7)]
    whole = lazy_tables.merged([None, *parts[:1]])
    assert whole is parts[0]
    assert lazy_tables.merged([None, None]) is None


ROWS, COLUMNS, PARTS = 131_072, 64, 60
"""Of a table of 4 GB, in parts of 67 MB."""


def generated(place: int) -> np.ndarray:
    """One part of the large table: the same one whoever makes it again."""
    rng = np.random.default_rng([7, place])
    return rng.standard_normal((ROWS, COLUMNS)) * 1.2 ** -np.arange(COLUMNS) + place


def memory(name: str) -> int:
    """Bytes of this process by /proc: `VmHWM:` the largest, `VmRSS:` now."""
    words = Path("/proc/self/status").read_text().split()
    return 1024 * int(words[words.index(name) + 1])


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux")
def test_four_gigabytes_on_two_processes_of_which_one_is_killed():
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    parts = [dask.delayed(generated)(place) for place in range(PARTS)]  # pyright: ignore
    table = da.concatenate(
        [da.from_delayed(part, (ROWS, COLUMNS), np.float64) for part in parts]
    )
    assert table.nbytes > 4e9
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster):
        (victim, *_) = [worker.pid for worker in cluster.workers.values()]
        Path("/proc/self/clear_refs").write_text("5")
        before = memory("VmRSS:")
        killer = threading.Timer(10.0, os.kill, (victim, signal.SIGKILL))
        killer.start()
        begin = time.monotonic()
        found = SpectralPCA(4).fit(table)
        assert time.monotonic() - begin > 10.0  # it was killed on the way
        grown = memory("VmHWM:") - before
        killer.join()
    assert grown < 200e6
    whole = moments_of(generated(place) for place in range(PARTS))
    here = SpectralPCA(4)
    here.partial_fit(generated(place) for place in range(PARTS))
    assert found.n_samples_ == whole.count == ROWS * PARTS
    assert_allclose(found.components_, here.components_, atol=1e-10)
    assert_allclose(found.explained_variance_, here.explained_variance_, rtol=1e-11)
    assert found.certificate_ is not None
    assert here.certificate_ is not None
    assert found.certificate_.status == here.certificate_.status == ("certified",) * 4


@pytest.mark.slow
def test_on_a_cluster_of_two_processes():
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster):
        found = SpectralPCA(3).fit(lazy())
        scores = found.transform(lazy()).compute()
    whole = SpectralPCA(3).fit(X)
    assert_allclose(found.components_, whole.components_, atol=1e-12)
    assert_allclose(scores, whole.transform(X), atol=1e-10)
