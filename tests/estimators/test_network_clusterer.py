"""The network that clusters as an estimator: what it keeps, answers and refuses."""

import copy
from typing import Any

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from spectral_tf.config import ClusterModelConfig, ConfigError, DataError
from spectral_tf.estimators import NetworkClusterer
from spectral_tf.model.params import init_params
from spectral_tf.weights import load_pretrained
from tests.estimators.test_clusterer import blobs

pytestmark = pytest.mark.usefixtures("no_type_checks")
TINY = ClusterModelConfig(num_blocks=1)
TINY_WEIGHTS = TINY, init_params(TINY, jax.random.key(0))


def tiny(number: int = 2) -> NetworkClusterer:
    """One that compiles fast; untrained."""
    return NetworkClusterer(number, weights=TINY_WEIGHTS, num_starts=1)


@pytest.fixture(scope="module")
def table() -> tuple[np.ndarray, np.ndarray]:
    return blobs(3, 4, rows=40)


@pytest.fixture(scope="module")
def fitted(table: Any) -> NetworkClusterer:
    return NetworkClusterer(3).fit(table[0])


def test_clusters_that_are_apart_are_found_and_it_is_sure_of_them(table, fitted):
    x, labels = table
    assert adjusted_rand_score(fitted.labels_, labels) == 1
    assert fitted.confidence_ > 0.95
    assert_allclose(fitted.weights_.sum(), 1.0)
    for cluster, centre in enumerate(fitted.cluster_centers_):
        assert_allclose(centre, x[fitted.labels_ == cluster].mean(axis=0), atol=0.1)


def test_rows_of_the_table_are_answered_as_before_and_new_ones_near_them(table, fitted):
    x, _ = table
    assert_array_equal(fitted.predict(x), fitted.labels_)
    new = x + np.random.default_rng(0).normal(size=x.shape)
    assert_array_equal(fitted.predict(new), fitted.labels_)
    together = fitted.predict_proba(new)
    assert_allclose(fitted.predict_proba(new[9:]), together[9:], atol=1e-6)
    assert_allclose(together.sum(axis=1), 1.0)
    again = copy.copy(fitted).set_params(n_clusters=1, num_starts=1)
    assert_array_equal(again.predict(x), fitted.labels_)  # of the next fit alone


@pytest.mark.parametrize(("scale", "shift"), [(1e-200, 0.0), (1e200, 1e200), (1, 1e6)])
def test_units_and_position_change_nothing(table, scale, shift):
    x, _ = table
    before, after = (tiny(3).fit(one) for one in (x, x * scale + shift))
    assert_array_equal(after.labels_, before.labels_)
    assert_array_equal(after.predict(x * scale + shift), before.labels_)
    centres = (after.cluster_centers_ - shift) / scale
    assert_allclose(centres, before.cluster_centers_, rtol=1e-3, atol=1e-2)


def test_one_cluster_asks_nothing(table):
    x, _ = table
    found = NetworkClusterer(1, weights=TINY_WEIGHTS).fit(x)
    assert set(found.labels_) == {0}
    assert found.confidence_ == 1
    assert_allclose(found.cluster_centers_[0], x.mean(axis=0), atol=1e-5)
    assert_array_equal(found.predict_proba(x[:2]), [[1.0], [1.0]])


def test_all_kinds_of_weights_are_the_same_network(table, fitted):
    network = load_pretrained("gmm-small")
    for weights in (network, tuple(network)):
        again = clone(fitted).set_params(weights=weights).fit(table[0])
        assert_array_equal(again.labels_, fitted.labels_)


@pytest.mark.parametrize(
    ("parameters", "error", "said"),
    [
        ({"n_clusters": 0}, ConfigError, "n_clusters=0 must be a whole number >= 1"),
        ({"n_clusters": True}, ConfigError, "n_clusters=True"),
        ({"n_clusters": 500}, DataError, "n_clusters=500 must be <= n_samples=120"),
        ({"num_starts": 0}, ConfigError, "num_starts=0 must be a whole number"),
        ({"weights": "gmm-large"}, ConfigError, r"a shipped name \(gmm-small\)"),
        ({"weights": "pca-small"}, ConfigError, "one that clusters rows is needed"),
        ({"weights": 3}, ConfigError, "weights= is int; give a shipped name"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_lost(table, parameters, error, said):
    found = tiny(3).fit(table[0])
    kept = found.labels_
    with pytest.raises(error, match=said):
        found.set_params(**parameters).fit(table[0])
    assert found.labels_ is kept


def test_more_clusters_than_it_was_trained_on_are_warned_of(table):
    with (
        pytest.warns(UserWarning, match="at most 5 clusters; for n_clusters=9"),
        pytest.raises(DataError, match="n_samples=6"),
    ):
        NetworkClusterer(9).fit(table[0][:6])


@pytest.mark.long
@parametrize_with_checks([tiny()])
def test_every_check_of_scikit_learn_passes(estimator: Any, check: Any):
    check(estimator)
