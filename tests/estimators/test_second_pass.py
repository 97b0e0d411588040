"""A trained network that keeps its past is certified as it answers, without LAPACK."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_wine

from spectral_tf.estimators import SpectralPCA

LOADERS = (load_wine, load_breast_cancer, load_digits)


def standardised(load):
    x = load().data
    x = x[:, np.ptp(x, axis=0) > 0]
    return (x - x.mean(axis=0)) / x.std(axis=0)


def status_of(fitted):
    assert fitted.certificate_ is not None
    return fitted.certificate_.status


@pytest.mark.parametrize("load", LOADERS)
def test_components_are_certified_as_the_network_gave_them(load):
    x = standardised(load)
    fitted = SpectralPCA(4, engine="pretrained").fit(x)
    assert fitted.engine_ == "pretrained"
    assert status_of(fitted) == ("certified",) * 4
    exact = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[2][:4]
    cosine = np.abs(np.sum(fitted.components_ * exact, axis=1))
    # An angle of 1e-3 is a cosine of 1 - 5e-7.
    np.testing.assert_allclose(cosine, 1, atol=5e-7)


def test_a_second_pass_is_taken_where_the_first_is_not_accurate():
    narrow = SpectralPCA(4, engine="pretrained").fit(standardised(load_wine))
    assert narrow.n_iter_ == 6  # all 13 columns are spanned in the first
    falling = np.random.default_rng(0).normal(size=(400, 128)) * 0.97 ** np.arange(128)
    fitted = SpectralPCA(4, engine="pretrained", weights="pca-base").fit(falling)
    assert fitted.n_iter_ == 12
    assert status_of(fitted) == ("certified",) * 4


def test_an_earlier_network_is_replaced():
    x = standardised(load_digits)
    earlier = SpectralPCA(4, engine="pretrained", weights="pca-base-1").fit(x)
    assert "replaced" in status_of(earlier)
