"""Clusters that are apart are found: exactly, in any order, units and position."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import adjusted_rand_score

from spectral_tf.config import ConfigError, DataError
from spectral_tf.estimators import SpectralClusterer
from tests.estimators.helpers import fresh


def blobs(
    number: int, columns: int, *, rows: int = 60, apart: float = 12.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian clusters of unit covariance whose means are `apart` or more apart."""
    rng = np.random.default_rng([seed, number, columns])
    means = np.zeros((number, columns))
    for j in range(number):
        while True:
            means[j] = rng.normal(size=columns) * 2 * apart
            if all(np.linalg.norm(means[j] - other) >= apart for other in means[:j]):
                break
    labels = np.repeat(np.arange(number), rows)
    x = means[labels] + rng.normal(size=(len(labels), columns))
    order = rng.permutation(len(labels))
    return x[order], labels[order]


def is_same_partition(one: np.ndarray, two: np.ndarray) -> bool:
    return adjusted_rand_score(one, two) == 1


@pytest.mark.parametrize("columns", [2, 8, 30])
@pytest.mark.parametrize("number", [2, 3, 4, 5])
def test_clusters_that_are_apart_are_found(number, columns):
    x, labels = blobs(number, columns)
    found = SpectralClusterer(number, random_state=0).fit(x)
    assert is_same_partition(found.labels_, labels)
    assert found.labels_.min() == 0
    assert found.labels_.max() == number - 1
    assert found.pca_.n_components_ == min(number - 1, columns)
    assert found.pca_.certificate_ is not None
    assert found.pca_.certificate_.is_certified


@pytest.mark.parametrize("engine", ["constructed", "exact"])
def test_the_engine_does_not_matter(engine):
    x, labels = blobs(3, 12)
    found = SpectralClusterer(3, engine=engine, random_state=0).fit(x)
    assert is_same_partition(found.labels_, labels)
    assert found.n_iter_ == found.pca_.n_iter_


def test_clusters_of_uneven_size():
    x, labels = blobs(3, 8, rows=200)
    kept = (labels == 0) | (np.arange(len(x)) % 8 == 0)
    found = SpectralClusterer(3, random_state=0).fit(x[kept])
    assert is_same_partition(found.labels_, labels[kept])


def test_clusters_in_a_table_with_few_rows():
    x, labels = blobs(2, 60, rows=12, apart=40)
    found = SpectralClusterer(2, random_state=0).fit(x)
    assert is_same_partition(found.labels_, labels)


def test_clusters_with_correlated_columns():
    x, labels = blobs(3, 12, apart=40)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(12, 12)))[0]
    x = x @ turn * np.linspace(1, 2, 12) + 1e6
    found = SpectralClusterer(3, random_state=0).fit(x)
    assert is_same_partition(found.labels_, labels)


@pytest.mark.parametrize("number", [2, 4])
def test_labels_of_new_rows(number):
    x, labels = blobs(number, 8)
    found = SpectralClusterer(number, random_state=0).fit(x[:-40])
    assert is_same_partition(found.predict(x[-40:]), labels[-40:])
    assert_array_equal(found.predict(x[:-40]), found.labels_)
    assert_array_equal(fresh(found).fit_predict(x[:-40]), found.labels_)


def test_probabilities():
    x, _ = blobs(3, 8)
    found = SpectralClusterer(3, random_state=0).fit(x)
    shares = found.predict_proba(x)
    assert shares.shape == (len(x), 3)
    assert_allclose(shares.sum(axis=1), 1, atol=1e-12)
    assert (shares >= 0).all()
    assert_array_equal(shares.argmax(axis=1), found.labels_)
    middle = found.cluster_centers_[:2].mean(axis=0)
    between = found.predict_proba(middle[None])[0]
    assert_allclose(between.sum(), 1)


def test_centres_are_the_means_in_the_components():
    x, labels = blobs(3, 8)
    found = SpectralClusterer(3, random_state=0).fit(x)
    assert found.cluster_centers_.shape == (3, 8)
    for one in range(3):
        mean = x[found.labels_ == one].mean(axis=0)
        shown = found.pca_.inverse_transform(found.pca_.transform(mean[None]))[0]
        assert_allclose(found.cluster_centers_[one], shown, atol=1e-6)
        assert np.linalg.norm(found.cluster_centers_[one] - mean) < 1
    assert len(np.unique(labels)) == 3


@pytest.mark.parametrize("columns", [4, 12])
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_the_number_of_clusters_is_found(number, columns):
    x, labels = blobs(number, columns, rows=80)
    found = SpectralClusterer("auto", max_clusters=7, n_init=3, random_state=0).fit(x)
    assert found.n_clusters_ == number
    assert is_same_partition(found.labels_, labels)
    assert found.bic_ is not None
    assert [*found.bic_] == [1, 2, 3, 4, 5, 6, 7]
    assert min(found.bic_, key=found.bic_.__getitem__) == number
    assert found.n_clusters == "auto"


def test_no_more_clusters_than_rows_are_tried():
    x, _ = blobs(2, 3, rows=2)
    found = SpectralClusterer("auto", random_state=0).fit(x)
    assert 1 <= found.n_clusters_ <= 4


@pytest.mark.parametrize("number", [3, "auto"])
def test_the_order_of_the_rows_does_not_matter(number):
    x, _ = blobs(3, 12)
    model = SpectralClusterer(number, max_clusters=5, n_init=3, random_state=0)
    labels = model.fit(x).labels_
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(x))
        assert is_same_partition(fresh(model).fit(x[order]).labels_, labels[order])


@pytest.mark.parametrize("number", [3, "auto"])
@pytest.mark.parametrize("unit", [1e-180, 1e-100, 1e-6, 1e6, 1e100])
def test_units_do_not_matter(number, unit):
    x, _ = blobs(3, 12)
    model = SpectralClusterer(number, max_clusters=4, n_init=2, random_state=0)
    labels = model.fit(x).labels_
    scaled = fresh(model).fit(x * unit)
    assert is_same_partition(scaled.labels_, labels)
    assert is_same_partition(scaled.predict(x * unit), labels)


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_single_precision(unit):
    x, labels = blobs(3, 12)
    table = (unit * x).astype(np.float32)
    found = SpectralClusterer(3, random_state=0).fit(table)
    assert is_same_partition(found.labels_, labels)
    assert found.cluster_centers_.dtype == np.float32


def test_columns_that_say_nothing_do_not_matter():
    x, labels = blobs(3, 12)
    padded = np.column_stack([x, np.zeros(len(x)), np.full(len(x), 5.0), x[:, 0]])
    found = SpectralClusterer(3, random_state=0).fit(padded)
    assert is_same_partition(found.labels_, labels)


def test_the_answer_is_the_same_again():
    x, _ = blobs(4, 8, apart=3)
    for make in (lambda: 3, lambda: None, lambda: np.random.RandomState(1)):
        first, again = (
            SpectralClusterer(4, random_state=make()).fit(x) for _ in range(2)
        )
        assert_array_equal(first.labels_, again.labels_)
        assert_array_equal(first.cluster_centers_, again.cluster_centers_)


def test_one_cluster():
    x, _ = blobs(1, 4)
    found = SpectralClusterer(1).fit(x)
    assert_array_equal(found.labels_, np.zeros(len(x)))
    assert_allclose(found.cluster_centers_[0], x.mean(axis=0), atol=1e-6)


def test_as_many_clusters_as_rows():
    x, _ = blobs(4, 6, rows=1)
    found = SpectralClusterer(4, random_state=0).fit(x)
    assert len(set(found.labels_)) == 4


@pytest.mark.parametrize("number", [1, 2, "auto"])
@pytest.mark.parametrize("value", [0.0, 5.0, 1e8])
def test_a_constant_table(number, value):
    x = np.full((20, 3), value)
    found = SpectralClusterer(number, max_clusters=3, random_state=0).fit(x)
    assert len(set(found.labels_)) == 1
    assert_allclose(found.cluster_centers_, value)
    assert_allclose(found.predict_proba(x).sum(axis=1), 1)


def test_more_clusters_than_rows_are_refused():
    with pytest.raises(DataError, match=r"n_clusters=6 must be <= n_samples=5"):
        SpectralClusterer(6).fit(np.random.default_rng(0).normal(size=(5, 3)))


@pytest.mark.usefixtures("no_type_checks")
@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("n_clusters", 0),
        ("n_clusters", "many"),
        ("n_clusters", 2.5),
        ("n_clusters", True),
        ("max_clusters", 0),
        ("max_clusters", 2.5),
        ("n_init", 0),
        ("n_init", "many"),
        ("engine", "gpu"),
        ("tol", 0),
        ("fallback", "hope"),
        ("random_state", "abc"),
        ("random_state", -1),
        ("random_state", 1.5),
    ],
)
def test_parameters_that_are_refused(name, wrong):
    model = SpectralClusterer("auto").set_params(**{name: wrong})
    with pytest.raises(ConfigError) as refusal:
        model.fit(blobs(2, 3)[0])
    assert f"{name}={wrong!r}" in str(refusal.value)
    assert not hasattr(model, "labels_")


def test_new_rows_that_are_far_away_have_a_cluster():
    x, _ = blobs(3, 8)
    found = SpectralClusterer(3, random_state=0).fit(x)
    for size in (1e3, 1e100, 1e160, 1e300):
        far = size * np.sign(x[:5])
        shares = found.predict_proba(far)
        assert_allclose(shares.sum(axis=1), 1)
        assert_array_equal(found.predict(far), shares.argmax(axis=1))
