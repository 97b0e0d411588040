"""Tables whose eigenvalues come in large clusters: as many right pairs as asked for."""

from itertools import combinations

import numpy as np
import pytest
import scipy.linalg
from numpy.testing import assert_allclose

from spectral_tf.certificate.certify import moments_source
from spectral_tf.estimators import SpectralClusterer, SpectralOutlierDetector
from spectral_tf.estimators import SpectralPCA as PCA
from spectral_tf.estimators.engines import ENGINES
from spectral_tf.estimators.lapack import top_pairs
from spectral_tf.moments import moments_of


def balanced(*levels: int) -> np.ndarray:
    """One-hot columns of a full factorial design."""
    grid = np.indices(levels).reshape(len(levels), -1)
    return np.hstack([np.eye(n)[codes] for n, codes in zip(levels, grid, strict=True)])


def equicorrelated(dim: int, share: float) -> np.ndarray:
    """Rows of which every two columns have the same covariance."""
    matrix = (1 - share) * np.eye(dim) + share
    root = scipy.linalg.cholesky(matrix, lower=True).T
    return np.concatenate([root, -root])


def laplacian(dim: int, edges: list[tuple[int, int]]) -> np.ndarray:
    """The oriented incidence matrix and its negative: covariance ~ the Laplacian."""
    incidence = np.zeros((len(edges), dim))
    for row, (i, j) in zip(incidence, edges, strict=True):
        row[i], row[j] = 1, -1
    return np.concatenate([incidence, -incidence])


COMPLETE = list(combinations(range(8), 2))
STAR = [(0, j) for j in range(1, 12)]
CYCLE = [(j, (j + 1) % 12) for j in range(12)]
CUBE = [(i, j) for i, j in combinations(range(8), 2) if bin(i ^ j).count("1") == 1]
TABLES = {
    "eye8": np.eye(8),
    "eye12": np.eye(12) * 3.7,
    "one-hot, 8 levels": np.repeat(np.eye(8), 10, axis=0),
    "balanced 4 x 3 x 2": balanced(4, 3, 2),
    "equicorrelated": equicorrelated(8, 0.9),
    "complete graph": laplacian(8, COMPLETE),
    "star": laplacian(12, STAR),
    "cycle": laplacian(12, CYCLE),
    "cube": laplacian(8, CUBE),
}
LARGE = {
    "eye32": np.eye(32),
    "eye50": np.eye(50),
    "one-hot, 32 levels": np.repeat(np.eye(32), 3, axis=0),
    "equicorrelated": equicorrelated(30, 0.9),
    "graph": laplacian(32, list(combinations(range(32), 2))),
    "balanced 6 x 5 x 4": balanced(6, 5, 4),
}


def spectrum(x: np.ndarray) -> np.ndarray:
    return np.linalg.eigvalsh(np.cov(x, rowvar=False))[::-1]


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("engine", ENGINES)
def test_every_number_of_components_comes_back_right(engine, name):
    x = TABLES[name]
    values = spectrum(x)
    numbers = range(1, x.shape[1] + 1)
    for k in numbers if engine != "pretrained" else (1, 3):
        pca = PCA(k, engine=engine).fit(x)
        assert pca.components_.shape == (k, x.shape[1])
        assert pca.certificate_ is not None
        assert len(pca.certificate_.entries) == k
        assert_allclose(
            pca.explained_variance_, values[:k], rtol=0, atol=1e-7 * values[0]
        )
        inner = pca.components_ @ pca.components_.T
        assert_allclose(inner, np.eye(k), atol=1e-6)


@pytest.mark.parametrize("name", LARGE)
def test_lapack_is_asked_again_where_it_comes_back_short(name):
    matrix = moments_source(moments_of([LARGE[name]])).values
    exact = np.linalg.eigvalsh(matrix)[::-1]
    for k in range(1, len(matrix) + 1):
        values, rows = top_pairs(matrix, k)
        assert rows.shape == (k, len(matrix))
        assert_allclose(values, exact[:k], rtol=0, atol=1e-13 * exact[0])
        assert_allclose(rows @ rows.T, np.eye(k), atol=1e-12)
        assert_allclose(matrix @ rows.T, rows.T * values, atol=1e-13 * exact[0])


@pytest.mark.parametrize("fault", ["short", "error", "nan"])
def test_every_way_in_which_a_subset_fails_leads_to_all_pairs(monkeypatch, fault):
    matrix = np.cov(np.random.default_rng(0).normal(size=(50, 6)), rowvar=False)
    whole, calls = scipy.linalg.eigh, []

    def eigh(a, subset_by_index=None, **options):
        calls.append(subset_by_index)
        if subset_by_index is None:
            return whole(a, **options)
        if fault == "error":
            raise np.linalg.LinAlgError("Internal Error.")
        values, columns = whole(a, subset_by_index=subset_by_index)
        if fault == "short":
            return values[1:], columns[:, 1:]
        return values, np.full_like(columns, np.nan)

    expected = np.linalg.eigvalsh(matrix)[::-1][:2]
    monkeypatch.setattr(scipy.linalg, "eigh", eigh)
    values, rows = top_pairs(matrix, 2)
    assert calls == [(4, 5), None]
    assert_allclose(values, expected, rtol=1e-12)
    assert_allclose(matrix @ rows.T, rows.T * values, atol=1e-12)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_share_of_the_variance_of_a_one_hot_table(share):
    x = np.repeat(np.eye(8), 10, axis=0)
    for engine in ("auto", "exact"):
        pca = PCA(share, engine=engine).fit(x)
        assert pca.explained_variance_ratio_.sum() > share
        assert pca.n_components_ == int(share * 7) + 1


def test_the_other_estimators_take_a_one_hot_table():
    x = np.repeat(np.eye(8), 10, axis=0)
    detector = SpectralOutlierDetector(1).fit(x)
    assert detector.pca_.components_.shape == (1, 8)
    clusterer = SpectralClusterer(2, n_init=1).fit(x)
    assert clusterer.pca_.components_.shape == (1, 8)
