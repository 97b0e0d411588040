"""Converged answers are exact to rounding, small gaps or not."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA

from spectral_tf.certificate.certify import moments_source
from spectral_tf.certificate.sources import Matrix
from spectral_tf.estimators import SpectralPCA
from spectral_tf.estimators.polish import Span
from spectral_tf.moments import moments_of
from tests.estimators.helpers import IRIS, loaded

RNG = np.random.default_rng(0)
TABLES = {
    "iris": IRIS,
    "wine": loaded(load_wine),
    "digits": loaded(load_digits),
    "flat": RNG.normal(size=(500, 100)),
    "flat, few columns": RNG.normal(size=(1000, 20)),
    "wide": RNG.normal(size=(50, 200)),
    "rank 3": RNG.normal(size=(100, 3)) @ RNG.normal(size=(3, 20)),
    "tiny": IRIS * 1e-9,
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("k", [1, 2])
def test_converged_components_agree_with_scikit_learns_solvers(name, k):
    x = TABLES[name]
    pca = SpectralPCA(k).fit(x)
    assert pca.engine_ == "constructed"
    full: Any = PCA(k, svd_solver="full").fit(x)
    signs = np.sign(np.sum(pca.components_ * full.components_, axis=1))
    assert_allclose(pca.components_ * signs[:, None], full.components_, atol=1e-10)
    assert_allclose(pca.explained_variance_, full.explained_variance_, rtol=1e-12)
    scores, known = pca.transform(x), full.transform(x)
    assert_allclose(scores * signs, known, rtol=0, atol=1e-10 * np.abs(known).max())


def test_what_is_certified_as_the_passes_end_is_polished_too():
    """Accurate enough for a proof, though not yet for the goal of the iteration."""
    x = np.random.default_rng(0).normal(size=(400, 12)) * 1.12 ** -np.arange(12)
    known: Any = PCA(3, svd_solver="full").fit(x)
    pca = SpectralPCA(3, engine="constructed", max_iter=60, tol=0.05).fit(x)
    assert pca.certificate_ is not None
    assert pca.certificate_.status == ("certified",) * 3
    found, values = pca.explained_variance_, known.explained_variance_
    assert_allclose(found, values, rtol=1e-12)


def covariance_of(values: np.ndarray):
    """A source with these eigenvalues, and its eigenvectors as rows."""
    dim = len(values)
    turn = np.linalg.qr(RNG.normal(size=(dim, dim)))[0]
    root = np.sqrt(values)[:, None] * turn
    return moments_source(moments_of([np.concatenate([root, -root])])), turn


def polished(source: Matrix, vectors: np.ndarray, k: int):
    span = Span.of(source, vectors).polished(source, k, 1e-12)
    return span.values[:k], span.vectors[:k]


@pytest.mark.parametrize("error", [1e-3, 1e-6, 0.0])
def test_mixed_and_disturbed_vectors_come_out_right(error):
    source, turn = covariance_of(1.0 / np.arange(1, 41))
    mixed = np.linalg.qr(RNG.normal(size=(4, 4)))[0] @ turn[:4]
    # What iteration leaves is of the next eigenvectors.
    vectors = mixed + error * RNG.normal(size=(4, 4)) @ turn[4:8]
    values, rows = polished(source, vectors, 3)
    expected = np.linalg.eigvalsh(source.values)[::-1][:3]
    assert_allclose(values, expected, rtol=1e-12)
    off = rows - np.sum(rows * turn[:3], axis=1, keepdims=True) * turn[:3]
    assert np.max(np.abs(off)) < 1e-10
    assert_allclose(rows @ rows.T, np.eye(3), atol=1e-13)


def test_null_and_repeated_eigenvalues_are_no_trouble():
    source, _ = covariance_of(np.array([2.0, 2, 1, 0, 0, 0]))
    vectors = RNG.normal(size=(5, 6))
    values, rows = polished(source, vectors, 5)
    expected = np.linalg.eigvalsh(source.values)[::-1][:5]
    assert_allclose(values, expected, atol=1e-12)
    assert_allclose(rows @ rows.T, np.eye(5), atol=1e-12)
    assert_allclose(source.product(rows.T), rows.T * values, atol=1e-10)


def test_a_product_more_is_only_taken_where_it_helps(monkeypatch):
    source, turn = covariance_of(2.0 ** -np.arange(12))
    product, calls = Matrix.product, []

    def counted(self: Matrix, columns: np.ndarray) -> np.ndarray:
        calls.append(columns.shape)
        return product(self, columns)

    monkeypatch.setattr(Matrix, "product", counted)
    for error, most in ((0.0, 1), (1e-7, 2), (1e-2, 3)):
        calls.clear()
        left = error * RNG.normal(size=(4, 4)) @ turn[4:8]
        polished(source, turn[:4] + left, 3)
        assert len(calls) <= most, error
