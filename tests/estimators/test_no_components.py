"""No components, as scikit-learn has them: every method answers."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA

from spectral_tf.config import ConfigError
from spectral_tf.estimators import SpectralPCA
from spectral_tf.estimators.engines import ENGINES
from tests.estimators.helpers import IRIS

TABLES = {"tall": IRIS, "wide": IRIS[:3], "float32": IRIS.astype(np.float32)}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("whiten", [False, True])
def test_the_numbers_are_those_of_scikit_learn(name, whiten):
    x = TABLES[name]
    ours = SpectralPCA(0, whiten=whiten).fit(x)
    known = PCA(0, svd_solver="full", whiten=whiten).fit(x)
    for attribute in (
        *("components_", "explained_variance_", "explained_variance_ratio_"),
        *("singular_values_", "mean_", "noise_variance_", "n_components_"),
    ):
        value = getattr(ours, attribute)
        assert np.shape(value) == np.shape(getattr(known, attribute)), attribute
        assert_allclose(value, getattr(known, attribute), rtol=1e-5)
        if isinstance(value, np.ndarray):
            assert value.dtype == x.dtype, attribute
    assert_array_equal(ours.transform(x), known.transform(x))
    assert ours.transform(x).shape == (len(x), 0)
    back = ours.inverse_transform(ours.transform(x))
    assert_allclose(back, np.tile(ours.mean_, (len(x), 1)))
    assert_allclose(ours.get_covariance(), known.get_covariance(), rtol=1e-5)
    assert_allclose(ours.get_precision(), known.get_precision(), rtol=1e-5)
    assert_allclose(ours.score_samples(x), known.score_samples(x), rtol=1e-4)
    assert_allclose(ours.score(x), known.score(x), rtol=1e-4)
    assert list(ours.get_feature_names_out()) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_the_certificate_is_empty(engine):
    pca = SpectralPCA(0, engine=engine, fallback="raise").fit(IRIS)
    certificate = pca.certificate_
    assert certificate is not None
    assert certificate.entries == ()
    assert certificate.status == ()
    assert certificate.is_certified
    assert not any(certificate.counts().values())
    assert certificate.next_bound >= np.linalg.eigvalsh(np.cov(IRIS.T))[-1]
    assert certificate.to_dict()["entries"] == []
    assert "no components" in repr(certificate)
    assert pca.engine_ == "none"
    assert pca.n_iter_ == 1
    assert SpectralPCA(0, certify=False).fit(IRIS).certificate_ is None


def test_in_parts_and_then_with_components():
    pca = SpectralPCA(0).partial_fit(IRIS[:70]).partial_fit(IRIS[70:])
    assert_allclose(pca.mean_, IRIS.mean(axis=0))
    assert pca.components_.shape == (0, 4)
    again = pca.set_params(n_components=2).partial_fit(IRIS[:1])
    assert again.components_.shape == (2, 4)


def test_a_table_in_pandas_and_one_of_equal_rows():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(IRIS, columns=list("abcd"))
    scores = SpectralPCA(0).set_output(transform="pandas").fit_transform(frame)
    assert scores.shape == (150, 0)
    still = SpectralPCA(0).fit(np.ones((4, 3)))
    assert still.noise_variance_ == 0
    assert_array_equal(still.get_covariance(), np.zeros((3, 3)))


@pytest.mark.parametrize("wrong", [False, 0.0, -1, "0"])
@pytest.mark.usefixtures("no_type_checks")
def test_what_only_looks_like_none_is_refused(wrong):
    with pytest.raises(ConfigError, match="n_components="):
        SpectralPCA(wrong).fit(IRIS)
