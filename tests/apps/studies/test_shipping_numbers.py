"""The numbers of the shipping study, against definitions and independent programs."""

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import silhouette_score

from spectral_tf.apps.studies.intervals import Estimate
from spectral_tf.apps.studies.shipping.baselines import METHODS
from spectral_tf.apps.studies.shipping.config import ShippingConfig
from spectral_tf.apps.studies.shipping.features import DAY_LOAD, HOUR, ITEMS, TIME
from spectral_tf.apps.studies.shipping.kpis import comparison, described_method
from spectral_tf.apps.studies.shipping.outliers import expected_values
from spectral_tf.apps.studies.shipping.silhouette import distances_of, silhouette
from spectral_tf.apps.studies.shipping.stability import (
    chosen_number,
    lead,
    recovery,
    reference_of,
    resamples_of,
    stability,
)

CONFIG = ShippingConfig(draws=80)
OURS, KMEANS = "SpectralClusterer", "KMeans"


def test_resamples_are_halves_without_repeats_and_share_their_common_rows():
    plan = resamples_of(1000, 6, 300, CONFIG)
    assert plan.rows.shape == (6, 300)
    assert all(len(set(rows.tolist())) == 300 for rows in plan.rows)
    assert len({tuple(rows.tolist()) for rows in plan.rows}) == 6
    assert resamples_of(1000, 6, 900, CONFIG).rows.shape == (6, 500)
    other = resamples_of(1000, 4, 100, CONFIG)
    assert np.array_equal(plan.common, other.common)


def test_the_reference_has_the_tables_mean_and_covariance_and_no_groups():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20_000, 3)) @ rng.normal(size=(3, 3)) + [1, 2, 3]
    x[:10_000] += 5
    found = reference_of(x, CONFIG)
    assert_allclose(found.mean(axis=0), x.mean(axis=0), atol=0.1)
    assert_allclose(np.cov(found.T), np.cov(x.T), rtol=0.06, atol=0.1)
    # Two groups five apart have a flat top; a normal cloud has not.
    kurtosis = lambda rows: np.mean((rows - rows.mean(0)) ** 4, 0) / rows.var(0) ** 2
    assert_allclose(kurtosis(found), 3, atol=0.15)
    assert np.min(kurtosis(x)) < 2.5


def test_stability_is_one_for_renamed_labels_and_nothing_for_chance():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 500)
    renamed = np.stack([rng.permutation(3)[labels] for _ in range(5)])
    assert stability(renamed, CONFIG) == pytest.approx((1.0, 1.0, 1.0))
    found = stability(rng.integers(0, 3, (8, 2000)), CONFIG)
    # A resample that is drawn twice agrees with itself; that must not count.
    value, low, high = map(float, map(str, found))
    assert -0.02 < low <= value <= high < 0.02


def test_the_lead_is_a_share_of_what_the_reference_leaves():
    estimate = lambda value: Estimate(value, value, value)
    assert lead(estimate(1.0), estimate(0.4)) == 1.0
    assert lead(estimate(0.7), estimate(0.4)) == pytest.approx(0.5)
    assert lead(estimate(0.9), estimate(0.9)) == 0.0
    assert lead(estimate(1.0), estimate(1.0)) == 0.0


def test_the_silhouette_decides_between_numbers_of_groups_that_lead_alike():
    tried = lambda *pairs: [
        {"k": k, "lead": one, "silhouette": apart}
        for k, (one, apart) in enumerate(pairs, start=2)
    ]
    assert chosen_number(tried((0.97, 0.5), (0.99, 0.6), (0.95, 0.4))) == 3
    assert chosen_number(tried((0.99, 0.1), (0.9, 0.9), (0.2, 0.9))) == 2
    assert chosen_number(tried((0.99, 0.5), (0.99, 0.5))) == 2
    assert chosen_number(tried((0.99, float("nan")), (0.99, -0.5))) == 3
    assert chosen_number(tried((-0.2, 0.1), (-0.3, 0.2))) == 2


def test_recovery_matches_groups_one_to_one():
    final = np.repeat([0, 1, 2], [50, 30, 20])
    same = np.stack([np.array([2, 0, 1])[final]] * 4)
    assert [one.value for one in recovery(same, final, 3, CONFIG)] == [1, 1, 1]
    merged = np.stack([np.where(final == 2, 1, final)] * 4)
    found = recovery(merged, final, 3, CONFIG)
    assert found[0].value == 1
    assert found[1].value == pytest.approx(30 / 50)
    assert found[2].value == 0


@pytest.mark.parametrize("k", [2, 5])
def test_the_silhouette_is_scikit_learns(k):
    rng = np.random.default_rng(k)
    x = rng.normal(size=(120, 3))
    labels = rng.integers(0, k, 120)
    labels[0] = k  # a row alone
    distances = distances_of(x)
    assert silhouette(distances, labels) == pytest.approx(silhouette_score(x, labels))
    assert np.isnan(silhouette(distances, np.zeros(120, int)))


def test_what_is_expected_of_a_column_is_its_regression_on_the_others():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(300, 4)) @ rng.normal(size=(4, 4))
    x -= x.mean(axis=0)
    plane = np.linalg.svd(x, full_matrices=False)[2][:3]
    found = expected_values(x, np.zeros(4), plane)
    for column in range(4):
        others = np.delete(x, column, axis=1)
        weights = np.linalg.lstsq(others, x[:, column], rcond=None)[0]
        assert_allclose(found[:, column], others @ weights, atol=1e-8)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_finds_what_is_plain(name):
    rng = np.random.default_rng(3)
    truth = rng.permutation(np.repeat([0, 1, 2], 60))
    x = rng.normal(size=(180, 3)) + 12 * np.eye(3)[truth]
    fitted = METHODS[name](x[:120], 3, 0, CONFIG.replace(graph_rows=100))
    labels = fitted(x)
    pairs = set(zip(truth.tolist(), np.asarray(labels).tolist(), strict=True))
    assert len(pairs) == 3


def figures(ours, kmeans):
    """Key figures of two methods: (value, low, high) of each."""
    names = ("stability", "silhouette", "davies_bouldin")
    part = lambda one: dict(zip(("value", "low", "high"), one, strict=True))
    return {
        OURS: {name: part(one) for name, one in zip(names, ours, strict=True)},
        KMEANS: {name: part(one) for name, one in zip(names, kmeans, strict=True)},
    }


def test_wins_losses_and_ties_are_told_apart_and_less_davies_bouldin_is_better():
    found = comparison(
        figures(
            [(0.5, 0.4, 0.6), (0.30, 0.28, 0.32), (1.0, 0.9, 1.1)],
            [(0.9, 0.8, 0.95), (0.31, 0.29, 0.33), (1.5, 1.4, 1.6)],
        )
    )
    verdicts = {one["figure"]: one["verdict"] for one in found}
    assert verdicts == {
        "stability": "loss",
        "silhouette": "tie",
        "davies_bouldin": "win",
    }
    gaps = {one["figure"]: one["difference"] for one in found}
    assert gaps["stability"] == pytest.approx(-0.4)
    assert gaps["davies_bouldin"] == pytest.approx(0.5)


def test_the_most_stable_method_is_described_and_ours_only_on_a_tie():
    rest = [(0.3, 0.2, 0.4), (1.0, 0.9, 1.1)]
    lost = figures([(0.5, 0.4, 0.6), *rest], [(0.9, 0.8, 0.95), *rest])
    assert described_method(lost) == (KMEANS, KMEANS, False)
    tied = figures([(0.8, 0.7, 0.9), *rest], [(0.9, 0.85, 0.95), *rest])
    assert described_method(tied) == (OURS, KMEANS, True)
    won = figures([(0.9, 0.85, 0.95), *rest], [(0.9, 0.7, 0.92), *rest])
    assert described_method(won) == (OURS, OURS, False)


def test_values_are_shown_as_people_write_them():
    assert HOUR.plain(18.9) == "18:54"
    assert HOUR.plain(12.999) == "13:00"
    assert HOUR.gap(12.0, 13.5).ja == "1.5 時間"
    assert TIME.shown(42.04).en == "42.0 min"
    assert TIME.shown(-0.01).ja == "0.0 分"
    assert ITEMS.shown(3.0).ja == "3 点"
    assert ITEMS.shown(3.0).en == "3"
    assert ITEMS.plain(3.25) == "3.2"
    assert dataclasses.replace(TIME, digits=9).shown(1.5e-7).en == "1.5e-07 min"
    assert TIME.plain(3e12) == "3e+12"
    assert DAY_LOAD.shown(17.41).en == "17.4%"
    assert TIME.said(42.0, 27.0).en == "42.0 min from order to delivery (all: 27.0)"
