"""Numbers chosen for the user: the same in other units and beside idle columns."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition._pca import _assess_dimension

from spectral_tf.estimators import (
    NetworkClusterer,
    SpectralClusterer,
    SpectralOutlierDetector,
    SpectralPCA,
)
from spectral_tf.estimators.dimension import evidence

UNITS = (1e-12, 1e-9, 1e-3, 3.7, 1e9, 1e12)


def noisy(rows: int, columns: int, noise: float, seed: int) -> np.ndarray:
    """Three directions and noise in all of them."""
    rng = np.random.default_rng(seed)
    plane = rng.normal(size=(rows, 3)) @ rng.normal(size=(3, columns))
    return plane + noise * rng.normal(size=(rows, columns))


def rotation(dim: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(dim).normal(size=(dim, dim)))[0]


def other_units(x: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    for unit in UNITS:
        yield f"{unit}", x * unit
    yield "shifted", x + 1e6
    yield "float32", x.astype(np.float32)
    yield "rotated", x @ rotation(x.shape[1])


def idle_columns(x: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    yield "constant", np.c_[x, np.full(len(x), 7.3)]
    yield "constant beside a small unit", np.c_[np.ones(len(x)), x * 1e-6]
    yield "zero", np.c_[np.zeros(len(x)), x]
    yield "several", np.c_[x, np.full((len(x), 3), [0, 0.1, 1e5])]
    yield "float32", np.c_[x, np.full(len(x), 0.1)].astype(np.float32)


def rotated(x: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    wide = np.c_[x, np.zeros((len(x), 2))]
    yield "rotated with zeros", wide @ rotation(wide.shape[1])
    yield "and in float32", (wide @ rotation(wide.shape[1])).astype(np.float32)


def copies(x: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    yield "repeated", np.c_[x, x[:, 0]]
    yield "repeated with a sign and a constant", np.c_[5 - x[:, 2], x, x[:, 0]]
    yield "all repeated", np.c_[x, x]


def heavier(x: np.ndarray) -> Iterator[np.ndarray]:
    """What `copies` are, up to a rotation: a column that is there twice counts so."""
    twice = np.sqrt(2) * x
    yield np.c_[twice[:, 0], x[:, 1:]]
    yield np.c_[twice[:, 0], x[:, 1], twice[:, 2], x[:, 3:]]
    yield twice


@pytest.mark.parametrize(
    "x",
    [noisy(60, 10, 0.1, 0), noisy(300, 10, 0.5, 1), noisy(1000, 12, 0.3, 2)],
    ids=["short", "noisy", "long"],
)
def test_minkas_choice_of_three_directions_and_noise(x):
    assert SpectralPCA("mle").fit(x).n_components_ == 3
    for make in (other_units, idle_columns, rotated, copies):
        for name, table in make(x):
            assert SpectralPCA("mle").fit(table).n_components_ == 3, name


@pytest.mark.parametrize("engine", ["constructed", "exact"])
def test_minkas_choice_by_every_engine_and_in_parts(engine):
    x = np.c_[noisy(100, 6, 0.1, 3), np.full(100, 2.0)] * 1e-9
    pca = SpectralPCA("mle", engine=engine).fit(x)
    assert pca.n_components_ == 3
    assert pca.certificate_ is not None
    assert pca.certificate_.is_certified
    parts = SpectralPCA("mle", engine=engine).partial_fit(x[:40]).partial_fit(x[40:])
    assert parts.n_components_ == 3


@pytest.mark.parametrize("unit", [1e-12, 1e-9, 1.0, 1e12])
def test_minkas_choice_without_noise_is_the_rank(unit):
    rng = np.random.default_rng(0)
    exact = (rng.normal(size=(100, 3)) * [9, 3, 1]) @ rotation(9)[:3]
    assert SpectralPCA("mle").fit(exact * unit).n_components_ == 3
    one = rng.normal(size=(50, 1)) @ rng.normal(size=(1, 4))
    assert SpectralPCA("mle").fit(one * unit).n_components_ == 1
    # Equal eigenvalues: scikit-learn takes the logarithm of their difference.
    assert SpectralPCA("mle").fit(np.eye(8) * unit).n_components_ == 7
    assert SpectralPCA("mle").fit(np.full((5, 3), unit)).n_components_ == 1


def test_the_evidence_is_scikit_learns():
    values = np.sort(np.random.default_rng(0).gamma(1, size=12))[::-1]
    ours = [evidence(values, k, 77) for k in range(1, 12)]
    assert_allclose(ours, [_assess_dimension(values, k, 77) for k in range(1, 12)])
    assert_allclose(evidence(values, 0, 77), -77 * 6 * np.log(values.mean()))


def test_equal_eigenvalues_add_no_evidence_whatever_rounding_makes_of_them():
    values = np.array([3.0, 2, 2, 2, 1, 1])
    turned = values * (1 + 1e-15 * np.array([0, 1, 3, 2, 4, 0]))
    for k in range(6):
        assert_allclose(evidence(values, k, 50, 1e-12), evidence(turned, k, 50, 1e-12))


def shared(values: list[float]) -> np.ndarray:
    """Columns of these variances, to the last digit in every unit."""
    root = np.sqrt(values) * np.eye(len(values))
    return np.concatenate([root, -root])


@pytest.mark.parametrize(
    ("values", "share", "k"),
    [
        ([1, 1, 1, 1, 1, 1, 1, 1], 0.25, 3),
        ([1, 1, 1, 1, 1, 1, 1, 1], 0.75, 7),
        ([4, 2, 1, 1], 0.5, 2),
        ([4, 2, 1, 1], 0.75, 3),
        ([5, 3, 1, 1], 0.8, 3),
        ([5, 3, 1, 1], 0.9, 4),
        ([5, 3, 2, 0], 1 - 1e-15, 3),
    ],
)
def test_a_share_that_is_reached_exactly_is_exceeded_in_every_unit(values, share, k):
    x = shared(values)
    for name, table in [*other_units(x), *idle_columns(x), *rotated(x)]:
        assert SpectralPCA(share).fit(table).n_components_ == k, name


def grouped(rows: int = 90, columns: int = 3) -> np.ndarray:
    rng = np.random.default_rng(0)
    means = 4 * np.eye(3)[:, :columns][np.arange(rows) % 3]
    return means + rng.normal(size=(rows, columns)) * 0.8


def same(labels: np.ndarray, others: np.ndarray) -> bool:
    """Whether two labellings are the same partition."""
    return len({*zip(labels.tolist(), others.tolist(), strict=True)}) == len({*labels})


def test_the_number_of_clusters():
    x = grouped()
    fit = lambda table: SpectralClusterer("auto", max_clusters=5, n_init=1).fit(table)
    first = fit(x)
    assert first.n_clusters_ == 3
    for name, table in [*other_units(x), *idle_columns(x), *rotated(x)][::2]:
        clusterer = fit(table)
        assert clusterer.n_clusters_ == 3, name
        assert same(clusterer.labels_, first.labels_), name
        assert clusterer.bic_ is not None
        assert first.bic_ is not None
        assert set(clusterer.bic_) == set(first.bic_), name
        assert_allclose([*clusterer.bic_.values()], [*first.bic_.values()], rtol=1e-3)


def test_the_number_of_clusters_beside_repeated_columns():
    x = grouped()
    fit = lambda table: SpectralClusterer("auto", max_clusters=5, n_init=1).fit(table)
    for (name, table), equal in zip(copies(x), heavier(x), strict=True):
        ours, other = fit(table), fit(equal)
        assert ours.n_clusters_ == other.n_clusters_ == 3, name
        assert same(ours.labels_, other.labels_), name
        assert ours.bic_ is not None
        assert other.bic_ is not None
        values, others = [*ours.bic_.values()], [*other.bic_.values()]
        assert_allclose(values, others, rtol=1e-9, err_msg=name)


def test_clusters_are_not_sought_in_rounding():
    x = np.c_[grouped(columns=2), np.full((90, 3), 0.1)]
    clusterer = SpectralClusterer(5, n_init=1).fit(x)
    assert clusterer.pca_.n_components_ == 2
    assert clusterer.cluster_centers_.shape == (5, 5)
    assert SpectralClusterer(3).fit(np.ones((6, 2))).pca_.n_components_ == 1


@pytest.mark.parametrize("judge", ["residual", "combined"])
@pytest.mark.parametrize("robust", [True, False])
def test_the_threshold_of_outliers(judge, robust):
    x = noisy(150, 4, 0.1, 4)
    x[5, 2] += 3
    fit = lambda table: SpectralOutlierDetector(judge=judge, robust=robust).fit(table)
    first = fit(x)
    expected = first.predict(x)
    assert expected[5] == -1
    for name, table in [*other_units(x), *idle_columns(x), *rotated(x)]:
        detector = fit(table)
        assert detector.n_components_ == first.n_components_, name
        assert_array_equal(detector.predict(table), expected, err_msg=name)
        if judge == "combined":
            assert_allclose(detector.offset_, first.offset_, rtol=1e-3, err_msg=name)


@pytest.mark.parametrize("judge", ["residual", "combined"])
@pytest.mark.parametrize("robust", [True, False])
def test_the_threshold_of_outliers_beside_repeated_columns(judge, robust):
    x = noisy(150, 4, 0.1, 4)
    x[5, 2] += 3
    fit = lambda table: SpectralOutlierDetector(judge=judge, robust=robust).fit(table)
    for (name, table), equal in zip(copies(x), heavier(x), strict=True):
        ours, other = fit(table), fit(equal)
        assert ours.n_components_ == other.n_components_ == 3, name
        assert_allclose(ours.offset_, other.offset_, rtol=1e-6, err_msg=name)
        found = ours.predict(table)
        assert found[5] == -1, name
        assert_array_equal(found, other.predict(equal), err_msg=name)


def test_the_networks_clusters():
    x = grouped(columns=3)
    first = NetworkClusterer(3).fit(x)
    new = x[:7] + 0.1
    for name, table in [*list(other_units(x))[::3], *idle_columns(x), *rotated(x)]:
        assert same(NetworkClusterer(3).fit(table).labels_, first.labels_), name
    wide = lambda rows: np.c_[np.zeros(len(rows)), rows, np.full((len(rows), 2), 0.1)]
    beside = NetworkClusterer(3).fit(wide(x))
    assert_array_equal(beside.labels_, first.labels_)
    assert_allclose(beside.confidence_, first.confidence_, rtol=1e-6)
    assert_allclose(beside.predict_proba(wide(new)), first.predict_proba(new))
    assert_allclose(beside.cluster_centers_, wide(first.cluster_centers_), atol=1e-6)
    still = NetworkClusterer(2).fit(np.full((5, 3), 4.0))
    assert_allclose(still.cluster_centers_, 4.0)
