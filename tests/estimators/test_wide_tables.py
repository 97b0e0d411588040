"""Wide tables: no covariance is formed unasked, and none that does not fit."""

import tracemalloc

import numpy as np
import pytest
from sklearn.decomposition import PCA

from spectral_tf import moments
from spectral_tf.certificate import certify
from spectral_tf.config import DataError
from spectral_tf.estimators import SpectralOutlierDetector, SpectralPCA

DIM = 2_000
COVARIANCE = 8 * DIM * DIM
X = np.random.default_rng(0).normal(size=(40, DIM)) * np.r_[30, 20, np.ones(DIM - 2)]


@pytest.fixture
def little_memory(monkeypatch):
    """As much as a third of a covariance is free."""
    monkeypatch.setattr(moments, "free_memory", lambda: COVARIANCE // 3)


def peak(work) -> int:
    """Bytes that were allocated at a time, at most."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_fifty_thousand_columns_are_fitted_in_parts():
    x = np.random.default_rng(0).normal(size=(20, 50_000))
    x[:, :2] *= 100
    ours = SpectralPCA(2, engine="exact", certify=False)
    assert peak(lambda: ours.partial_fit(iter([x[:8], x[8:]]))) < 20 * x.nbytes
    whole = SpectralPCA(2, engine="exact", certify=False).fit(x)
    np.testing.assert_allclose(ours.components_, whole.components_, atol=1e-9)


def test_a_hundred_rows_of_fifty_thousand_columns_are_fitted_and_certified():
    """A covariance would be of 18.6 GiB."""
    x = np.random.default_rng(0).normal(size=(100, 50_000))
    x[:, :2] *= [300, 200]
    ours = SpectralPCA(2)
    assert peak(lambda: ours.partial_fit(iter([x[:50], x[50:]]))) < 2**30
    assert ours.certificate_ is not None
    assert ours.certificate_.is_certified
    truth = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[2][:2]
    cosines = np.abs(np.sum(ours.components_ * truth, axis=1))
    np.testing.assert_allclose(cosines, 1, atol=1e-6)


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("size", [1, 7, 40])
def test_few_rows_in_parts_are_the_whole(size):
    parts = [X[low : low + size] for low in range(0, len(X), size)]
    ours = SpectralPCA(2, engine="exact").partial_fit(iter(parts))
    whole = SpectralPCA(2, engine="exact").fit(X)
    np.testing.assert_allclose(ours.components_, whole.components_, atol=1e-12)
    assert ours.n_samples_ == len(X)
    assert ours.certificate_ is not None
    assert ours.certificate_.is_certified


def test_what_was_given_may_be_overwritten():
    buffer = X[:20].copy()
    ours = SpectralPCA(2, engine="exact").partial_fit(buffer)
    buffer[:] = X[20:]
    ours.partial_fit(buffer)
    whole = SpectralPCA(2, engine="exact").fit(X)
    np.testing.assert_allclose(ours.components_, whole.components_, atol=1e-12)


def test_from_few_rows_to_many():
    x = np.random.default_rng(1).normal(size=(90, 30)) * np.arange(1, 31)
    for dtype in (np.float64, np.float32):
        table = x.astype(dtype)
        ours = SpectralPCA(3, engine="exact")
        for low in range(0, 90, 4):
            rows = table[low : low + 4]
            ours.partial_fit(rows)
            seen = table[: low + 4]
            whole = SpectralPCA(min(3, *seen.shape), engine="exact").fit(seen)
            close = 1e-9 if dtype == np.float64 else 1e-4
            np.testing.assert_allclose(
                ours.components_, whole.components_, rtol=0, atol=close
            )


@pytest.mark.usefixtures("little_memory")
def test_a_covariance_that_does_not_fit_is_refused_before_it_is_formed():
    ours = SpectralPCA(2, engine="exact").partial_fit(X)
    before = ours.components_
    rows = np.random.default_rng(2).normal(size=(DIM, DIM)).astype(np.float32)

    def more() -> None:
        with pytest.raises(
            DataError, match=r"a covariance of 2,000 columns needs 0.1 Gi"
        ):
            ours.partial_fit(rows)

    assert peak(more) < COVARIANCE
    assert ours.components_ is before
    assert ours.n_samples_ == len(X)
    ours.partial_fit(X)  # goes on
    assert ours.n_samples_ == 2 * len(X)


def test_rows_that_do_not_fit_are_refused(monkeypatch):
    monkeypatch.setattr(moments, "free_memory", lambda: X.nbytes)
    with pytest.raises(DataError, match="the rows of 2,000 columns needs"):
        SpectralPCA(2).partial_fit(X)


@pytest.mark.usefixtures("little_memory")
def test_the_likelihood_needs_no_covariance():
    ours = SpectralPCA(2, engine="exact").fit(X)
    assert peak(lambda: ours.score_samples(X)) < COVARIANCE // 3
    with pytest.raises(DataError, match="a covariance of 2,000 columns"):
        ours.get_covariance()
    with pytest.raises(DataError, match="a covariance of 2,000 columns"):
        ours.get_precision()


@pytest.mark.parametrize(
    ("rows", "columns", "k"), [(40, 7, 3), (12, 30, 2), (50, 4, 4)]
)
def test_the_likelihood_is_that_of_scikit_learn(rows, columns, k):
    x = np.random.default_rng(3).normal(size=(rows, columns)) * np.arange(
        1, columns + 1
    )
    ours = SpectralPCA(k, engine="exact").fit(x).score_samples(2 * x)
    theirs = PCA(k, svd_solver="full").fit(x).score_samples(2 * x)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


@pytest.mark.usefixtures("little_memory")
def test_wide_tables_are_fitted_judged_and_certified_without_one():
    def work() -> None:
        SpectralOutlierDetector(2, engine="exact").fit(X).explain(X)
        pca = SpectralPCA(2, engine="exact").fit(X)
        values = pca.explained_variance_ * (len(X) - 1) / len(X)
        assert certify(X, values, pca.components_).is_certified

    assert peak(work) < COVARIANCE


@pytest.mark.parametrize("text", [None, "MemFree: 3 kB\n", "MemAvailable: none\n"])
def test_unknown_memory_refuses_nothing(text, monkeypatch):
    def read(path) -> str:
        if text is None or "cgroup" in str(path):
            raise FileNotFoundError(path)
        return text

    monkeypatch.setattr(moments.Path, "read_text", read)
    assert moments.free_memory() is None
    moments.check_memory(10**9, 10**9, "a covariance")


@pytest.mark.parametrize("name", ["memory.max", "memory.limit_in_bytes"])
def test_a_container_may_have_less_than_its_system(name, monkeypatch):
    files = {"meminfo": "MemTotal: 9 kB\nMemAvailable: 8 kB\n", name: "5000\n"}

    def read(path) -> str:
        if path.name not in files:
            raise FileNotFoundError(path)
        return files[path.name]

    monkeypatch.setattr(moments.Path, "read_text", read)
    assert moments.free_memory() == 5000
    files[name] = "max\n"
    assert moments.free_memory() == 8 * 1024
