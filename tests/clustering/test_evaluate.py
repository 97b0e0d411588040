"""Baselines and the evaluation: one code path, honest intervals, JSON."""

import json
import math

import jax
import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from spectral_tf.clustering.baselines import (
    baselines,
    gaussian_mixture,
    k_means,
    leading_direction,
    spectral_clustering,
)
from spectral_tf.clustering.evaluate import (
    BAYES,
    ClusterReport,
    each_instance,
    evaluate_answers,
    evaluate_methods,
)
from spectral_tf.clustering.instances import sample_clusters
from spectral_tf.clustering.metrics import ClusterAnswer, bayes_rule, valid_part
from spectral_tf.config import ClusterConfig, ConfigError

FULL = {"misclassification", "excess", "ari", "nmi", "mean_error", "weight_error"}
FULL |= {"log_likelihood", "log_likelihood_gap"}
PARTS = {
    "k-means, best of 10": FULL - {"log_likelihood", "log_likelihood_gap"},
    "spectral clustering": {"misclassification", "excess", "ari", "nmi"},
    "leading direction": {"misclassification", "excess", "ari", "nmi"},
    "leading direction, uncentred": {"misclassification", "excess", "ari", "nmi"},
}


RAGGED = ClusterConfig(num_samples=20, min_samples=5, num_classes=3)


def mean_of(report: ClusterReport, score: str) -> float:
    statistic = report.scores[score]
    assert statistic is not None
    return statistic.mean


def test_every_method_is_right_where_the_classes_are_far_apart(key):
    config = ClusterConfig(
        family="bi_class", num_samples=40, min_samples=20, dim=3, signal=8.0
    )
    batch = sample_clusters(key, config, 6)
    np.testing.assert_allclose(batch.weights, 0.5)
    reports = evaluate_methods(baselines(2), batch)
    assert list(reports) == [BAYES, *baselines(2)]
    for name, report in reports.items():
        given = {one for one, value in report.scores.items() if value is not None}
        assert given == PARTS.get(name, FULL)
        for score, value in (("misclassification", 0), ("excess", 0), ("ari", 1)):
            assert mean_of(report, score) == pytest.approx(value), (name, score)
    assert 0 < mean_of(reports["k-means, best of 10"], "mean_error") < 1.0
    assert "leading direction" not in baselines(3)


def test_the_bayes_rule_is_best_and_ten_starts_are_likelier_than_one(key):
    config = ClusterConfig(num_samples=64, dim=2, num_classes=5, separation=0.8)
    batch = sample_clusters(key, config, 20)
    methods = {"ten": gaussian_mixture(10), "one": gaussian_mixture(1)}
    reports = evaluate_methods(methods, batch)
    mean = lambda name, score: mean_of(reports[name], score)
    assert mean(BAYES, "misclassification") < mean("ten", "misclassification")
    assert mean("ten", "log_likelihood") > mean("one", "log_likelihood")
    assert mean(BAYES, "excess") == mean(BAYES, "log_likelihood_gap") == 0.0
    wide = reports["ten"].scores["misclassification"]
    narrow = reports["ten"].scores["excess"]
    assert narrow is not None
    assert wide is not None
    assert narrow.half_width < wide.half_width
    text = json.dumps({n: r.to_dict() for n, r in reports.items()}, allow_nan=False)
    assert json.loads(text)["one"]["num_instances"] == 20


@pytest.mark.parametrize("covariance", ["spherical", "diag", "full"])
def test_the_mixture_says_its_own_likelihood(key, covariance):
    one = next(each_instance(sample_clusters(key, RAGGED, 5)))
    rows, _ = valid_part(one)
    answer = gaussian_mixture(1, covariance)(rows, 2, 0)
    report = evaluate_answers([answer], type(one)(*(field[None] for field in one)))
    model = GaussianMixture(
        2, covariance_type=covariance, init_params="k-means++", random_state=0
    )
    model.fit(rows.astype(np.float64))
    wanted = model.score(rows.astype(np.float64))
    assert mean_of(report, "log_likelihood") == pytest.approx(wanted)
    assert report.to_dict()["scores"]["ari"]["half_width"] is None


def test_the_border_of_the_uncentred_direction_does_not_move_with_the_weights(key):
    config = ClusterConfig(
        family="bi_class", num_samples=400, dim=2, signal=2.0, weights=(0.9, 0.1)
    )
    methods = {
        "in": leading_direction(centre=True),
        "out": leading_direction(centre=False),
    }
    reports = evaluate_methods(methods, sample_clusters(key, config, 10))
    mean = lambda name: mean_of(reports[name], "misclassification")
    assert mean("out") < 0.05 < 0.1 < mean("in")
    with pytest.raises(ConfigError, match="num_classes=3 must be 2"):
        leading_direction()(np.zeros((4, 2)), 3, 0)


def test_methods_see_valid_rows_alone_and_a_seed_of_their_own(key):
    batch = sample_clusters(key, RAGGED, 5)
    seen = []

    def method(x, num_classes, seed):
        seen.append((len(x), num_classes, seed))
        return ClusterAnswer(labels=np.zeros(len(x), np.int64))

    evaluate_methods({"mine": method}, batch, seed=7)
    sizes = np.sum(np.asarray(batch.mask), axis=1)
    assert seen == [(n, 3, 7 + index) for index, n in enumerate(sizes)]


def test_methods_bear_few_rows_and_equal_rows():
    for method in (gaussian_mixture(2), k_means, spectral_clustering):
        for rows in (np.eye(6)[:, :2] + 1.0, np.arange(8.0)[:, None]):
            answer = method(rows, 3, 0)
            assert answer.labels.shape == (len(rows),)
            assert set(answer.labels) <= {0, 1, 2}


def test_answers_are_scored_as_methods_are_and_counted(key):
    batch = sample_clusters(key, RAGGED, 5)
    answers = [bayes_rule(one) for one in each_instance(batch)]
    assert evaluate_answers(answers, batch) == evaluate_methods({}, batch)[BAYES]
    with pytest.raises(ConfigError, match="3 answers given for 5 instances"):
        evaluate_answers(answers[:3], batch)
    with pytest.raises(ConfigError, match="give a batch"):
        evaluate_answers([], next(each_instance(batch)))
    with pytest.raises(ConfigError, match="rename"):
        evaluate_methods({BAYES: k_means}, batch)


def test_a_class_that_is_not_there_is_asked_of_no_method():
    config = ClusterConfig(num_classes=4, min_classes=2, num_samples=30)
    batch = sample_clusters(jax.random.key(9), config, 12)
    asked = []

    def method(x, num_classes, seed):
        asked.append(num_classes)
        return k_means(x, num_classes, seed)

    reports = evaluate_methods({"k-means": method}, batch)
    assert asked == np.sum(np.asarray(batch.weights) > 0, axis=1).tolist()
    assert set(asked) == {2, 3, 4}
    assert math.isfinite(mean_of(reports[BAYES], "log_likelihood"))
