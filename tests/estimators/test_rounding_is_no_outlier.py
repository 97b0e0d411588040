"""Columns that depend on one another exactly: rounding is no outlier, a fault is."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.preprocessing import StandardScaler

from spectral_tf.estimators import SpectralOutlierDetector

Make = Callable[[np.ndarray], np.ndarray]


def totals(parts: np.ndarray) -> np.ndarray:
    return np.c_[parts, parts.sum(axis=1), parts[:, 0] + parts[:, 1]]


TABLES: dict[str, tuple[int, Make]] = {
    "totals": (4, totals),
    "shares": (3, lambda parts: parts / parts.sum(axis=1, keepdims=True)),
    "other units": (4, lambda a: np.c_[a, 2.54 * a[:, 0], 1.8 * a[:, 1] + 32]),
    "thousandths": (4, lambda a: np.c_[a, 1000 * a[:, 0], a[:, 1] / 1000]),
    "mean and a constant": (4, lambda a: np.c_[a, a.mean(axis=1), 0 * a[:, 0] + 0.1]),
    "large numbers": (4, lambda a: totals(a + 1e6)),
    "whole numbers": (4, lambda a: totals(np.floor(a))),
    "cents": (4, lambda a: np.round(totals(np.round(a, 2)), 2)),
    "a copy": (4, lambda a: np.c_[a, a[:, 0]]),
    "many columns": (4, lambda a: a @ np.random.default_rng(1).normal(size=(4, 40))),
}


def rows_of(name: str, rows: int, scale: float = 20, seed: int = 0) -> np.ndarray:
    return TABLES[name][1](np.random.default_rng(seed).gamma(5, scale, (rows, 4)))


@pytest.mark.parametrize("robust", [True, False])
@pytest.mark.parametrize("rows", [30, 400])
@pytest.mark.parametrize("name", TABLES)
def test_sound_rows_are_no_outliers(name, rows, robust):
    """Of the same columns, ten times as large too: their distances are rounding."""
    x = rows_of(name, rows)
    found = SpectralOutlierDetector(
        TABLES[name][0], robust=robust, judge="residual"
    ).fit(x)
    for sound in (x, rows_of(name, 500, seed=1), rows_of(name, 500, 200, seed=2)):
        assert_array_equal(found.predict(sound), 1)
        assert_array_equal(found.score_samples(sound), 0)
        assert_array_equal(found.explain(sound).residual, 0)
    fault = rows_of(name, 500, seed=1)
    fault[:, 0] += 1e-3
    assert_array_equal(found.predict(fault), -1)
    if name not in ("many columns", "thousandths"):
        assert (found.score_samples(fault) < -1e-4).all()


@pytest.mark.parametrize("robust", [True, False])
@pytest.mark.parametrize("rows", [30, 400])
@pytest.mark.parametrize("name", TABLES)
def test_standardised_columns(name, rows, robust):
    """What their means were, and so how they were rounded, cannot be known."""
    x = rows_of(name, rows)
    scaler = StandardScaler().fit(x)
    found = SpectralOutlierDetector(TABLES[name][0], robust=robust, judge="residual")
    assert_array_equal(found.fit_predict(scaler.transform(x)), 1)
    for scale in (20, 200):
        new = np.asarray(scaler.transform(rows_of(name, 500, scale, seed=1)))
        assert_array_equal(found.predict(new), 1)
        new[:, 0] += 1e-3
        assert_array_equal(found.predict(new), -1)


@pytest.mark.parametrize("robust", [True, False])
@pytest.mark.parametrize("name", TABLES)
def test_the_combined_judge(name, robust):
    x = rows_of(name, 400)
    k = TABLES[name][0]
    found = SpectralOutlierDetector(k, robust=robust, judge="combined").fit(x)
    new = rows_of(name, 500, seed=1)
    assert (found.predict(new) == -1).mean() < 0.12  # of the tails of gamma
    scores = found.score_samples(new)
    assert np.median(-scores) == pytest.approx(k**0.5, rel=0.4)
    why = found.explain(new)
    np.testing.assert_allclose(why.contribution.sum(axis=1), scores**2, rtol=1e-6)
    new[:, 0] += 1e-3
    assert_array_equal(found.predict(new), -1)


def test_rows_ten_times_as_large_are_far_out_and_said_to_be():
    """By the combined judge; not of rounding, but of their place."""
    new = rows_of("totals", 200, 200, seed=1)
    found = SpectralOutlierDetector(4).fit(rows_of("totals", 400))
    assert_array_equal(found.predict(new), -1)
    assert found.score_samples(new).max() < -10  # standard deviations
    explained = found.explain(new)
    assert_array_equal(explained.inside_share, 1)
    assert_array_equal(explained.residual, 0)
    assert "no feature differs from its reconstruction" in explained.sentence(0)


@pytest.mark.parametrize("judge", ["residual", "combined"])
@pytest.mark.parametrize("k", [4, 5])
def test_as_many_components_as_the_rank_or_more(k, judge):
    x = rows_of("totals", 400)
    found = SpectralOutlierDetector(k, judge=judge).fit(x)
    new = rows_of("totals", 500, seed=1)
    assert (found.predict(new) == -1).mean() < (0.01 if judge == "residual" else 0.12)
    fault = new.copy()
    fault[:, 1] += 1e-3
    assert_array_equal(found.predict(fault), -1)


def test_single_precision():
    x, new = (rows_of("totals", 400, s, 3).astype(np.float32) for s in (20, 200))
    found = SpectralOutlierDetector(4, judge="residual").fit(x)
    assert_array_equal(found.predict(x), 1)
    assert_array_equal(found.predict(new), 1)
    x[:, 1] += 0.1
    assert_array_equal(found.predict(x), -1)


def test_one_fault_among_the_training_rows():
    x = rows_of("totals", 400)
    x[7, 4] += 1e-3
    found = SpectralOutlierDetector(4, judge="residual").fit(x)
    assert found.score_samples(x).argmin() == 7
    assert found.predict(x)[7] == -1


def test_a_small_noise_is_no_rounding():
    """Rows are judged by it as by any other."""
    x = rows_of("totals", 400)
    rng = np.random.default_rng(0)
    noise = 1e-4 * rng.normal(size=x.shape)
    found = SpectralOutlierDetector(4, judge="residual").fit(x + noise)
    share = (found.predict(x + noise) == -1).mean()
    assert 0 < share < 0.07
    assert (found.score_samples(x + noise) < 0).all()
