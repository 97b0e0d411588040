"""Checks of assumptions against processes whose figures are known; labelled tables."""

import numpy as np
import pytest

from spectral_tf.apps.studies import packages
from spectral_tf.apps.studies.assumptions import BREACHES, broken, checks
from spectral_tf.apps.studies.cost import WATTS_PER_CORE, Meter
from spectral_tf.apps.studies.fine_tune import fine_tuned
from spectral_tf.apps.studies.intervals import bootstrap
from spectral_tf.apps.studies.labelled import hbk, labelled_study, wood
from spectral_tf.apps.studies.methods import mahalanobis, pca_distance
from spectral_tf.apps.studies.network import computation
from spectral_tf.config import DataError


def autoregressive(memory, sources=20, length=2000):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(length, sources))
    for row in range(1, length):
        x[row] = memory * x[row - 1] + (1 - memory**2) ** 0.5 * x[row]
    return x.reshape(-1, 1)


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.8])
def test_the_correlation_time_is_that_of_the_process(memory):
    x = autoregressive(memory)
    both = np.column_stack([x, np.random.default_rng(1).normal(size=(len(x), 1))])
    found = checks(both, distance=20)
    expected = (1 + memory) / (1 - memory)
    assert found["correlation_time"] == pytest.approx(expected, rel=0.1)
    assert found["effective_rows"] == pytest.approx(len(x) / expected, rel=0.1)


def test_skewness_and_tails_are_seen():
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(size=20_000), rng.exponential(size=20_000)])
    found = checks(x)
    assert found["skew"] == pytest.approx([0, 2], abs=0.2)
    assert found["kurtosis"] == pytest.approx([0, 6], abs=1.0)


@pytest.mark.long
def test_every_breach_costs_something_and_the_first_level_is_unbroken():
    found = broken(2, 0)
    for breach in BREACHES:
        some = [one for one in found if one["breach"] == breach.name]
        ours = [one["precision"] for one in some if one["method"] == "plain"]
        assert len(ours) == len(breach.levels)
        assert ours[-1] < ours[0] - 0.03, breach.name


def test_planted_rows_come_first():
    found = labelled_study(0, (hbk, wood))
    for one in found:
        if one["method"] == "spectral, combined":
            assert one["first"] == one["strange"]
            assert one["roc_auc"] == 1


@pytest.mark.slow
def test_shuttle_reaches_the_target():
    from spectral_tf.apps.studies.labelled import shuttle

    ours = labelled_study(0, (shuttle,))[0]
    assert ours["method"] == "spectral, combined"
    assert ours["roc_auc"] >= 0.98


def test_pyods_formula():
    """Written out: distances to each component over its share of the variance."""
    x = np.random.default_rng(0).normal(size=(100, 4)) @ np.diag([3.0, 2, 1, 0.5])
    values, vectors = np.linalg.eigh(np.cov(x.T))
    expected = np.zeros(100)
    for value, vector in zip(values, vectors.T, strict=True):
        vector = vector * np.sign(vector[np.argmax(np.abs(vector))])
        expected += np.linalg.norm(x - vector, axis=1) / (value / values.sum())
    np.testing.assert_allclose(pca_distance(x)(x), expected, rtol=1e-8)


def test_the_mahalanobis_distance_does_not_depend_on_units():
    x = np.random.default_rng(0).normal(size=(100, 3))
    turn = np.random.default_rng(1).normal(size=(3, 3))
    one, other = mahalanobis(x)(x), mahalanobis(x @ turn)(x @ turn)
    np.testing.assert_allclose(one, other, rtol=1e-8)


def test_intervals_cover_what_they_should():
    """Means of 40 numbers: about 95 % of the intervals hold the true mean."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(200):
        x = rng.normal(size=40)
        found = bootstrap(40, lambda who, x=x: float(x[who].mean()), 200, rng)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0 <= found.high
    assert 175 <= held <= 199


def test_a_figure_without_units_has_no_value():
    rng = np.random.default_rng(0)
    assert bootstrap(0, lambda _: 1.0, 20, rng).value is None
    assert bootstrap(3, lambda _: float("nan"), 20, rng).value is None


@pytest.mark.long
def test_what_the_networks_compute():
    x = np.random.default_rng(0).normal(size=(120, 4)) * [4.0, 2.0, 1.0, 0.5]
    found = computation(x, "abcd")
    for kind in ("constructed", "trained"):
        angles = np.array(found["angles"][kind])
        assert angles.shape[1] == 2
        assert np.all(angles[-1] < 10)
        assert angles[-1, 0] < angles[0, 0]
    shares = np.array(found["attention"]["shares"])
    assert np.all(np.diff(shares[0]) <= 0)
    assert np.all(shares.sum(axis=1) <= 1 + 1e-6)
    stream = found["stream"]
    values = np.array(stream["values"])
    assert values.shape == (len(stream["names"]), len(stream["blocks"]))
    first = [name.startswith("u ·") for name in stream["names"]]
    after = values[first, -1]
    _, vectors = np.linalg.eigh(np.cov(x.T))
    cosine = abs(after @ vectors[:, -1]) / np.linalg.norm(after)
    assert cosine > 0.99


def test_stages_and_energy_are_counted():
    meter = Meter()
    meter.stage("one")
    sum(range(200_000))
    meter.stage("two")
    found = meter.document()
    assert [one["name"] for one in found["stages"]] == ["one", "two"]
    assert sum(one["seconds"] for one in found["stages"]) <= found["seconds"]
    hours = found["processor_seconds"] / 3600
    assert found["watt_hours"] == pytest.approx(hours * WATTS_PER_CORE)
    assert found["peak_mb"] > 50


@pytest.mark.long
def test_fine_tuning_keeps_the_better_weights():
    rng = np.random.default_rng(0)
    past = rng.normal(size=(400, 4)) @ np.diag([3.0, 2.0, 1.0, 0.5])
    found = fine_tuned(past, 4, 0, augmented=True)
    assert found.loss_best <= found.loss_before
    config, params = found.weights
    assert not config.is_dense
    assert params


def test_a_missing_package_is_named(monkeypatch):
    def absent(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(packages.importlib, "import_module", absent)
    with pytest.raises(DataError, match=r"spectral_tf\[poc\]") as refusal:
        packages.imported("great_tables.data")
    assert "the package great-tables" in str(refusal.value)
