"""Where `PCA` was, `SpectralPCA` gives the same numbers: scikit-learn is the examiner.

Ported from `sklearn/decomposition/tests/test_pca.py`, with `PCA(svd_solver="full")` in
place of one solver of theirs.
"""

import copy
import functools
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import (
    load_breast_cancer,
    load_digits,
    load_wine,
    make_classification,
    make_low_rank_matrix,
)
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from spectral_tf.config import DataError
from spectral_tf.estimators import SpectralPCA
from tests.estimators.helpers import IRIS, fresh, loaded

CLOSE = 1e-5


def low_rank(rows: int, columns: int, rank: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, rank)) @ rng.normal(size=(rank, columns))


TABLES = {
    "iris": lambda: IRIS,
    "wine": lambda: loaded(load_wine),
    "breast cancer": lambda: loaded(load_breast_cancer),
    "digits": lambda: loaded(load_digits),
    "tall": lambda: np.random.RandomState(0).randn(100, 80),
    "correlated": lambda: make_classification(100, 80, n_informative=78)[0],
    "wide": lambda: np.random.RandomState(0).randn(10, 100),
    "wide, low rank": lambda: low_rank(30, 100, 15),
    "tall, low rank": lambda: low_rank(100, 30, 15),
    "bell": lambda: make_low_rank_matrix(100, 30, tail_strength=0.5, random_state=0),
}


@functools.cache
def table(name: str) -> np.ndarray:
    np.random.seed(0)  # noqa: NPY002
    return TABLES[name]()


def theirs(x: np.ndarray, k: Any = None, **options: Any) -> Any:
    return PCA(k, svd_solver="full", **options).fit(x)


def assert_same_components(ours: SpectralPCA, full: Any) -> None:
    """Up to sign; spans where the certificate is about a span."""
    assert ours.certificate_ is not None
    for entry in ours.certificate_.entries:
        assert entry.angle_bound <= ours.tol
        part = slice(entry.ranks[0] - 1, entry.ranks[1])
        own = ours.components_[entry.rank - 1]
        span = full.components_[part]
        assert np.linalg.norm(own - (own @ span.T) @ span) <= CLOSE


def assert_same_numbers(ours: SpectralPCA, x: np.ndarray, full: Any) -> None:
    k, total = ours.n_components_, full.explained_variance_.sum()
    known = theirs(x, k, whiten=ours.whiten)
    assert ours.components_.shape == known.components_.shape
    close = functools.partial(assert_allclose, rtol=CLOSE)
    variances = known.explained_variance_
    close(ours.explained_variance_, variances, atol=1e-12 * total)
    close(ours.explained_variance_ratio_, known.explained_variance_ratio_, atol=1e-12)
    scales = known.singular_values_
    close(ours.singular_values_, scales, atol=1e-6 * scales[0])
    close(ours.mean_, known.mean_, rtol=1e-12, atol=1e-12)
    close(ours.noise_variance_, known.noise_variance_, atol=1e-12 * total)
    assert (ours.n_components_, ours.n_samples_) == (k, len(x))
    assert vars(ours)["n_features_in_"] == x.shape[1]


@pytest.mark.parametrize("engine", ["auto", "constructed", "exact"])
@pytest.mark.parametrize("name", TABLES)
def test_the_numbers_are_those_of_scikit_learn(name, engine):
    x = table(name)
    ours = SpectralPCA(3, engine=engine).fit(x)
    full = theirs(x)
    assert_same_components(ours, full)
    assert_same_numbers(ours, x, full)


@pytest.mark.parametrize("engine", ["auto", "exact"])
@pytest.mark.parametrize("name", ["iris", "wine", "breast cancer", "wide", "bell"])
def test_the_model_is_that_of_scikit_learn(name, engine):
    x = table(name)
    ours, known = SpectralPCA(3, engine=engine).fit(x), theirs(x, 3)
    size = np.abs(x).max()
    assert_allclose(ours.transform(x), known.transform(x), atol=CLOSE * size)
    back = ours.inverse_transform(ours.transform(x))
    assert_allclose(
        back, known.inverse_transform(known.transform(x)), atol=CLOSE * size
    )
    covariance = known.get_covariance()
    assert_allclose(
        ours.get_covariance(), covariance, atol=CLOSE * np.abs(covariance).max()
    )
    precision = known.get_precision()
    assert_allclose(
        ours.get_precision(), precision, atol=CLOSE * np.abs(precision).max()
    )
    scores = known.score_samples(x)
    assert_allclose(ours.score_samples(x), scores, rtol=CLOSE)
    assert ours.score(x) == pytest.approx(known.score(x), rel=CLOSE)


@pytest.mark.parametrize("engine", ["auto", "constructed", "exact"])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_iris(engine, k):
    pca = SpectralPCA(k, engine=engine)
    fitted = pca.fit(IRIS).transform(IRIS)
    assert fitted.shape == (len(IRIS), k)
    assert_allclose(fitted, pca.fit_transform(IRIS))
    inverse = pca.get_covariance() @ pca.get_precision()
    assert_allclose(inverse, np.eye(4), atol=1e-12)


@pytest.mark.parametrize("engine", ["auto", "exact"])
def test_whitening(engine):
    rng = np.random.RandomState(0)
    spread = np.diag(np.linspace(10.0, 1.0, 50))
    x = rng.randn(100, 50) @ (spread @ rng.randn(50, 80))
    x[:, :50] *= 3
    pca = SpectralPCA(30, engine=engine, whiten=True)
    white = pca.fit_transform(x)
    assert white.shape == (100, 30)
    assert_allclose(white, pca.transform(x))
    assert_allclose(white.std(ddof=1, axis=0), np.ones(30), rtol=1e-7)
    assert_allclose(white.mean(axis=0), np.zeros(30), atol=1e-12)
    known = theirs(x, 30, whiten=True)
    assert_allclose(white, known.transform(x), atol=CLOSE)
    assert_allclose(
        pca.inverse_transform(white), known.inverse_transform(white), atol=1e-4
    )
    plain = SpectralPCA(30, engine=engine).fit(x).transform(x)
    assert plain.std(axis=0).std() == pytest.approx(74.1, rel=1e-1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("name", ["tall, low rank", "wide, low rank", "bell"])
def test_all_components(name, whiten, dtype):
    x = table(name).astype(dtype)
    x, new = x[:-10], x[-10:]
    full = theirs(x, whiten=whiten)
    ours = SpectralPCA(whiten=whiten).fit(x)
    rtol, atol = (1e-4, 3e-2) if dtype == np.float32 else (1e-7, 1e-8)
    close = functools.partial(assert_allclose, rtol=rtol, atol=atol)
    assert ours.engine_ == "exact"
    assert (ours.explained_variance_ >= 0).all()
    stable = full.explained_variance_ > (1e-5 if dtype == np.float32 else 1e-12)
    close(ours.explained_variance_, full.explained_variance_)
    close(ours.components_[stable], full.components_[stable])
    for rows in (x, new):
        own = ours.transform(rows)
        assert own.dtype == dtype
        assert np.isfinite(own).all()
        close(own[:, stable], full.transform(rows)[:, stable])
    back = ours.inverse_transform(ours.transform(new))
    assert back.dtype == dtype
    close(ours.transform(back)[:, stable], ours.transform(new)[:, stable])


@pytest.mark.parametrize("name", ["tall", "correlated", "wide"])
def test_explained_variance_is_that_of_the_scores(name):
    x = table(name)
    pca = SpectralPCA(3).fit(x)
    assert_allclose(pca.explained_variance_, np.var(pca.transform(x), ddof=1, axis=0))
    values = np.linalg.eigvalsh(np.cov(x, rowvar=False))[::-1][:3]
    assert_allclose(pca.explained_variance_, values, rtol=1e-9)


def test_singular_values():
    x = table("tall")
    pca = SpectralPCA(3).fit(x)
    scores = pca.transform(x)
    assert_allclose(np.sum(pca.singular_values_**2), np.linalg.norm(scores) ** 2)
    assert_allclose(pca.singular_values_, np.linalg.norm(scores, axis=0))
    wanted = np.array([3.142, 2.718, 1.0])
    made = (scores / np.linalg.norm(scores, axis=0) * wanted) @ pca.components_
    assert_allclose(SpectralPCA(3).fit(made).singular_values_, wanted)


def test_projection():
    rng = np.random.RandomState(0)
    x = rng.randn(100, 3) * 0.1
    x[:10] += [3, 4, 5]
    new = 0.1 * rng.randn(1, 3) + [3, 4, 5]
    scores = SpectralPCA(2).fit(x).transform(new)
    assert abs(scores[0, 0]) / np.linalg.norm(scores) == pytest.approx(1, rel=5e-3)


def test_projection_of_a_list():
    scores = SpectralPCA(1).fit_transform([[1.0, 0.0], [0.0, 1.0]])
    assert scores.shape == (2, 1)
    assert scores.mean() == pytest.approx(0, abs=1e-12)
    assert scores.std() == pytest.approx(0.71, rel=5e-3)


@pytest.mark.parametrize("whiten", [False, True])
def test_inverse(whiten):
    rng = np.random.RandomState(0)
    x = rng.randn(50, 3)
    x[:, 1] *= 0.00001
    x += [5, 4, 3]
    pca = SpectralPCA(2, whiten=whiten).fit(x)
    assert_allclose(x, pca.inverse_transform(pca.transform(x)), rtol=5e-6)


@pytest.mark.parametrize("wrong", [-1, 3, 1.5, True, "all"])
@pytest.mark.parametrize("flip", [False, True])
def test_numbers_of_components_that_are_refused(wrong, flip):
    x = np.array([[0, 1, 0], [1, 0, 0]])
    with pytest.raises(ValueError, match=f"n_components={wrong!r}"):
        SpectralPCA(wrong).fit(x.T if flip else x)


@pytest.mark.parametrize("x", [IRIS, IRIS.T], ids=["tall", "wide"])
def test_all_by_default(x):
    ours = SpectralPCA().fit(x)
    assert ours.n_components_ == min(x.shape)
    assert_allclose(ours.explained_variance_ratio_.sum(), 1)


def test_minkas_choice():
    flat = np.random.RandomState(0).randn(600, 10)
    assert SpectralPCA("mle").fit(flat).n_components_ == 1
    short = np.random.RandomState(0).randn(1000, 10)
    short[:, -1] = np.mean(short[:, :-1], axis=-1)
    assert SpectralPCA("mle").fit(short).n_components_ == 9
    steep = np.random.RandomState(0).randn(100, 5) * 0.1
    steep[:10] += [3, 4, 5, 1, 2]
    assert SpectralPCA("mle").fit(steep).n_components_ == 1
    redundant, _ = make_classification(
        n_features=20,
        n_informative=1,
        n_repeated=18,
        n_redundant=1,
        n_clusters_per_class=1,
        random_state=42,
    )
    assert SpectralPCA("mle").fit(redundant).n_components_ == 1
    for name in ("iris", "wine", "breast cancer", "digits"):
        x = table(name)
        assert SpectralPCA("mle").fit(x).n_components_ == theirs(x, "mle").n_components_
    with pytest.raises(ValueError, match="'mle' needs as many rows as columns"):
        SpectralPCA("mle").fit(np.random.RandomState(0).randn(20, 21))


@pytest.mark.parametrize(
    ("name", "share"),
    [
        *(("iris", share) for share in (0.01, 0.5, 0.95, 0.99, 0.9999)),
        *(("digits", share) for share in (0.01, 0.2)),
        *(("wide", share) for share in (0.1, 0.5)),
        *(("wine", share) for share in (0.5, 0.99, 0.9999)),
    ],
)
def test_a_share_of_the_variance(name, share):
    x = table(name)
    ours = SpectralPCA(share).fit(x)
    full = theirs(x, share)
    assert ours.n_components_ == full.n_components_
    assert ours.n_components == share
    assert ours.certificate_ is not None
    assert len(ours.certificate_.entries) == full.n_components_
    assert_allclose(ours.explained_variance_, full.explained_variance_, rtol=CLOSE)


def test_a_share_that_is_reached_exactly_is_to_be_exceeded():
    # As in scikit-learn, https://github.com/scikit-learn/scikit-learn/issues/15669
    ratio = SpectralPCA().fit(IRIS).explained_variance_ratio_
    assert SpectralPCA(ratio.cumsum()[-2]).fit(IRIS).n_components_ == 4
    square = np.array([[2.0, 0], [-2, 0], [0, 2], [0, -2]])
    assert SpectralPCA(0.5).fit(square).n_components_ == 2
    assert theirs(square, 0.5).n_components_ == 2


def test_score():
    rng = np.random.RandomState(0)
    x = rng.randn(1000, 3) * 0.1 + [3, 4, 5]
    pca = SpectralPCA(2).fit(x)
    height = -0.5 * np.log(2 * np.pi * np.exp(1) * 0.1**2) * 3
    assert pca.score(x) / height == pytest.approx(1, rel=5e-2)
    assert pca.score(x) > pca.score(rng.randn(1000, 3) * 0.2 + [3, 4, 5])


def test_the_model_does_not_depend_on_whitening():
    # Unlike in scikit-learn 1.9, whose covariance is multiplied by the variances once
    # more if whiten=True, and then is not that of the rows.
    x = np.random.RandomState(0).randn(1000, 3) * 0.1
    white, plain = (SpectralPCA(3, whiten=one).fit(x) for one in (True, False))
    assert_array_equal(white.get_covariance(), plain.get_covariance())
    assert_array_equal(white.get_precision(), plain.get_precision())
    assert white.score(x) == plain.score(x)
    assert_allclose(white.get_covariance(), np.cov(x, rowvar=False), atol=1e-12)


def test_score_selects_the_model():
    rng = np.random.RandomState(0)
    make = lambda: (
        rng.randn(200, 3) + rng.randn(200, 1) * [3, 4, 5] + np.array([1, 0, 7])
    )
    x, new = make(), make()
    scores = [SpectralPCA(k).fit(x).score(new) for k in (1, 2)]
    assert scores[0] > scores[1]


def test_noise_variance():
    x = table("digits")
    pca = SpectralPCA(30).fit(x)
    assert np.all(pca.explained_variance_ - pca.noise_variance_ >= 0)
    assert_allclose(pca.score(x), theirs(x, 30).score(x), rtol=5e-6)
    ball = np.random.RandomState(0).randn(100, 3) * 0.1 + [3, 4, 5]
    for rows in (ball, ball.T):
        pca = SpectralPCA(3).fit(rows)
        assert pca.noise_variance_ == 0
        assert np.isfinite(pca.score(rows)) or len(rows) < rows.shape[1]


@pytest.mark.parametrize("engine", ["auto", "exact"])
def test_the_answer_is_the_same_again(engine):
    rng = np.random.RandomState(0)
    x = rng.rand(10, 10)
    pca = SpectralPCA(3, engine=engine)
    first = pca.fit(x).components_
    assert_array_equal(first, fresh(pca).fit(x).components_)
    seeded = [SpectralPCA(3, random_state=4).fit(x).components_ for _ in range(2)]
    assert_array_equal(seeded[0], seeded[1])
    for seed in (rng, rng, 1, 2, np.random.default_rng(3)):
        other = SpectralPCA(3, engine=engine, random_state=seed).fit(x)
        assert_allclose(other.components_, first, atol=CLOSE)


@pytest.mark.parametrize("engine", ["auto", "exact"])
def test_types_are_kept(engine):
    x = np.random.RandomState(0).rand(1000, 4)
    pca = SpectralPCA(3, engine=engine)
    wide, narrow = pca.fit(x), fresh(pca).fit(x.astype(np.float32))
    for fitted, dtype in ((wide, np.float64), (narrow, np.float32)):
        assert fitted.transform(x.astype(dtype)).dtype == dtype
        for value in vars(fitted).values():
            assert not hasattr(value, "dtype") or value.dtype == dtype
        assert fitted.get_covariance().dtype == dtype
        assert fitted.get_precision().dtype == dtype
        assert fitted.score_samples(x.astype(dtype)).dtype == dtype
    assert_allclose(wide.components_, narrow.components_, rtol=1e-3, atol=1e-3)
    whole = np.random.RandomState(0).randint(0, 1000, (1000, 4))
    for dtype in (np.int32, np.int64, np.uint8, bool, np.float16):
        fitted = fresh(pca).fit(whole.astype(dtype))
        assert fitted.components_.dtype == np.float64
        assert fitted.transform(whole.astype(dtype)).dtype == np.float64


def test_sparse_tables_are_refused():
    from scipy.sparse import csr_array

    with pytest.raises(TypeError, match=r"[Ss]parse"):
        SpectralPCA(1).fit(csr_array(IRIS))  # pyright: ignore[reportArgumentType]


def test_names_go_out_and_tables_come_out():
    pca = SpectralPCA(2).fit(IRIS)
    assert_array_equal(["spectralpca0", "spectralpca1"], pca.get_feature_names_out())
    frame = pd.DataFrame(IRIS, columns=list("abcd"), index=np.arange(150) + 7)
    pca.set_output(transform="pandas")
    out = pca.fit_transform(frame)
    assert list(out.columns) == ["spectralpca0", "spectralpca1"]
    assert_array_equal(out.index, frame.index)
    assert_array_equal(vars(pca)["feature_names_in_"], list("abcd"))
    with pytest.raises(ValueError, match="feature names"):
        pca.transform(frame[list("bacd")])


def test_pipelines_and_searches():
    x, y = load_wine(return_X_y=True)
    pipes = [
        make_pipeline(StandardScaler(), pca, LogisticRegression(max_iter=1000))
        for pca in (SpectralPCA(3), PCA(3, svd_solver="full"))
    ]
    ours, known = (pipe.fit(x, y).predict_proba(x) for pipe in pipes)
    assert_allclose(ours, known, atol=1e-4)
    search = GridSearchCV(pipes[0], {"spectralpca__n_components": [1, 3]}, cv=2)
    assert search.fit(x, y).best_params_ == {"spectralpca__n_components": 3}


def test_copies_and_pickles():
    pca = SpectralPCA(2, tol=1e-4, random_state=3).fit(IRIS)
    for copied in (pickle.loads(pickle.dumps(pca)), copy.deepcopy(pca)):
        assert_array_equal(copied.transform(IRIS), pca.transform(IRIS))
        assert copied.certificate_ == pca.certificate_
    blank = fresh(pca)
    assert blank.get_params() == pca.get_params()
    assert not hasattr(blank, "components_")


def test_the_total_variance_is_that_of_the_columns():
    x = np.random.RandomState(0).randn(1000, 200)
    pca = SpectralPCA().fit(x)
    total = pca.explained_variance_ / pca.explained_variance_ratio_
    assert_allclose(total, np.var(x, ddof=1, axis=0).sum())


@pytest.mark.parametrize("engine", ["auto", "exact"])
@pytest.mark.parametrize("mean", [1e4, 1e8, -1e12])
def test_a_large_mean_costs_no_digits(engine, mean):
    # Multiples of 2^-10, so that adding the mean rounds nothing.
    x = np.round(1024 * table("tall, low rank")) / 1024
    ours, moved = (SpectralPCA(3, engine=engine).fit(rows) for rows in (x, x + mean))
    assert_allclose(moved.explained_variance_, ours.explained_variance_, rtol=1e-12)
    assert_allclose(moved.components_, ours.components_, atol=1e-9)
    assert_allclose(moved.mean_ - mean, ours.mean_, atol=4e-16 * abs(mean))


def test_an_answer_that_does_not_depend_on_units():
    ours = SpectralPCA(3).fit(IRIS)
    for unit in (2.0**-500, 2.0**-40, 2.0**60, 2.0**400):
        scaled = SpectralPCA(3).fit(IRIS * unit)
        assert_allclose(scaled.components_, ours.components_, atol=1e-12)
        ratio = scaled.explained_variance_ratio_
        assert_allclose(ratio, ours.explained_variance_ratio_, rtol=1e-12)
        scales = scaled.singular_values_ / unit
        assert_allclose(scales, ours.singular_values_, rtol=1e-12)


@pytest.mark.parametrize("engine", ["auto", "exact"])
@pytest.mark.parametrize("k", [2, 0.9])
def test_where_the_variance_underflows_the_ratio_does_not(engine, k):
    ours = SpectralPCA(k, engine=engine).fit(IRIS)
    scaled = SpectralPCA(k, engine=engine).fit(IRIS * 2.0**-700)
    assert_allclose(scaled.components_, ours.components_, atol=1e-12)
    assert_array_equal(scaled.explained_variance_, np.zeros(ours.n_components_))
    ratio = scaled.explained_variance_ratio_
    assert_allclose(ratio, ours.explained_variance_ratio_, rtol=1e-12)
    scales = scaled.singular_values_ * 2.0**700
    assert_allclose(scales, ours.singular_values_, rtol=1e-12)


@pytest.mark.parametrize(
    ("scale", "dtype"), [(1e160, np.float64), (1e300, np.float64), (1e30, np.float32)]
)
def test_where_the_variance_overflows_it_is_said(scale, dtype):
    with pytest.raises(DataError, match="variance of the columns is beyond"):
        SpectralPCA(2).fit((IRIS * scale).astype(dtype))
