"""Which tables stay rows, which get a proof, and what the others are told."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from spectral_tf.certificate import Chance
from spectral_tf.config import ConfigError
from spectral_tf.estimators import SpectralPCA, costs, krylov_passes
from spectral_tf.estimators.costs import block_size, is_proof_dear, rows_cost
from spectral_tf.estimators.solution import Options, Summary

RNG = np.random.default_rng(0)
LONG = RNG.normal(size=(400, 60)) * 1.1 ** -np.arange(60) + 5
WIDE = RNG.normal(size=(60, 400)) * 1.1 ** -np.arange(400) + 5


@pytest.fixture
def dear(monkeypatch):
    """Proofs that cost nearly nothing are dear, and products with rows cheap."""
    monkeypatch.setattr(costs, "ALWAYS", 0.0)
    monkeypatch.setattr(costs, "MOST_TIMES", 0.0)
    monkeypatch.setattr("spectral_tf.estimators.solution.SKINNY", 0.0)


@pytest.fixture
def covariances(monkeypatch):
    """Covariances that were formed of a table."""
    formed, source = [], Summary.of_moments

    def noted(moments):
        formed.append(moments.dim)
        return source(moments)

    monkeypatch.setattr(Summary, "of_moments", noted)
    return formed


def test_the_shapes_of_the_benchmark():
    """Large on both sides: 10,000 x 4,096 alone, for 8 components."""
    for shape in ((10_000, 256), (20_000, 1024), (100, 50_000), (2000, 4096)):
        assert not is_proof_dear(shape, block_size(8, min(shape))), shape
    assert is_proof_dear((10_000, 4096), block_size(8, 4096))
    # Where no factor is computed at all.
    assert is_proof_dear((7000, 7000), block_size(8, 7000))
    # A proof of less than a second is worth it, however fast the fit.
    assert not is_proof_dear((20_000, 1024), block_size(1, 1024))
    assert rows_cost((10, 20), 3) == 4 * 10 * 20 * 3 * costs.PRODUCTS


def test_only_counted_components_keep_a_long_table_as_rows():
    options, shape = Options(certify=True), (10_000, 4096)
    assert options.keeps_rows(shape, 8)
    for k in (None, 0.9, "mle", 0, 33, True):
        assert not options.keeps_rows(shape, k)
    assert options.keeps_rows((5, 10), None)
    assert not Options(certify="proof").keeps_rows(shape, 8)
    assert not Options(engine="exact").keeps_rows(shape, 8)
    assert Options(certify=False).keeps_rows(shape, 8)
    assert not Options(certify=False).keeps_rows((10_000, 256), 8)


@pytest.mark.usefixtures("dear")
@pytest.mark.parametrize("x", [LONG, WIDE], ids=["long", "wide"])
def test_a_probable_fit_is_right_and_says_so(x, covariances):
    found = SpectralPCA(3).fit(x)
    assert covariances == []
    certificate = found.certificate_
    assert certificate is not None
    assert certificate.status == ("probable",) * 3
    assert certificate.eta == Chance().eta
    assert not certificate.is_certified
    exact = SpectralPCA(3, engine="exact", certify=False).fit(x)
    assert_allclose(found.components_, exact.components_, atol=1e-8)
    assert_allclose(found.explained_variance_, exact.explained_variance_, rtol=1e-12)
    assert_allclose(found.mean_, exact.mean_, rtol=1e-13)
    assert_allclose(found.noise_variance_, exact.noise_variance_, rtol=1e-10)
    off = np.abs(found.components_ - exact.components_).max(axis=1)
    assert np.all(off <= certificate.angle_bound + 1e-12)


@pytest.mark.usefixtures("dear")
@pytest.mark.parametrize("x", [LONG, WIDE], ids=["long", "wide"])
def test_a_proof_is_given_where_it_is_asked_for(x):
    for certify, status in (("proof", "certified"), ("probable", "probable")):
        certificate = SpectralPCA(3, certify=certify).fit(x).certificate_
        assert certificate is not None
        assert certificate.status == (status,) * 3
        assert (certificate.eta == 0) == (certify == "proof")


def test_by_default_small_tables_are_proven():
    for x in (LONG, WIDE):
        certificate = SpectralPCA(3).fit(x).certificate_
        assert certificate is not None
        assert certificate.status == ("certified",) * 3


@pytest.mark.usefixtures("dear")
def test_what_is_not_even_probable_is_replaced():
    flat = RNG.normal(size=(700, 300))
    found = SpectralPCA(3, max_iter=1, certify="probable", tol=1e-4).fit(flat)
    assert found.certificate_ is not None
    assert "replaced" in found.certificate_.status
    assert "certified" not in found.certificate_.status
    exact = SpectralPCA(3, engine="exact", certify=False).fit(flat)
    assert_allclose(found.components_, exact.components_, atol=1e-3)


@pytest.mark.usefixtures("no_type_checks")
def test_other_words_are_refused():
    wrongs: Any = ("sure", 2, None)
    for wrong in wrongs:
        with pytest.raises(ConfigError, match=r"certify=.*'proof', 'probable'"):
            SpectralPCA(2, certify=wrong).fit(LONG)


@pytest.mark.parametrize("factor", [1.0, 1e150, 1e-150])
def test_long_rows_of_any_scale(factor):
    """Rows that begin alike and then vary a million times as much."""
    x = LONG * factor
    x[:20] = x[0] + 1e-6 * (x[:20] - x[0])
    rows, whole = (Summary.of_rows(x, keeps_rows=keeps) for keeps in (True, False))
    assert_allclose(rows.mean, whole.mean, rtol=1e-12)
    totals = [summary.total * summary.scale for summary in (rows, whole)]
    assert_allclose(totals[0] * rows.scale, totals[1] * whole.scale, rtol=1e-12)
    ratio = whole.scale / rows.scale
    assert_allclose(rows.spread, whole.spread * ratio, rtol=1e-2)


def test_few_products_for_most_tables():
    """A quarter of the 80 that the power method took."""
    for x in (LONG, WIDE, RNG.normal(size=(3000, 200)) * np.arange(1, 201) ** -0.5):
        found = SpectralPCA(8, engine="constructed").fit(x)
        assert found.certificate_ is not None
        assert found.certificate_.is_certified
        assert found.n_iter_ <= 20


def test_directions_that_the_gram_matrix_does_not_know_are_from_the_rows():
    scales = np.r_[1.0, 1e-3, 1e-6, np.zeros(57)]
    left = np.linalg.qr(RNG.normal(size=(60, 60)))[0]
    right = np.linalg.qr(RNG.normal(size=(400, 60)))[0]
    x = (left - left.mean(axis=0)) * scales @ right.T
    found = SpectralPCA(3, engine="constructed").fit(x)
    exact = SpectralPCA(3, engine="exact").fit(x)
    values = found.explained_variance_
    assert values[2] < krylov_passes.SMALLEST * values[0]
    assert_allclose(values, exact.explained_variance_, rtol=1e-6, atol=1e-18)
    assert_allclose(found.components_ @ found.components_.T, np.eye(3), atol=1e-10)
