"""Scores: the right permutation, the right sum, and what is left out."""

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from spectral_tf.clustering.evaluate import each_instance
from spectral_tf.clustering.instances import ClusterInstance, sample_clusters
from spectral_tf.clustering.metrics import (
    ClusterAnswer,
    bayes_rule,
    best_matching,
    log_densities,
    log_likelihood,
    misclassification,
    score,
    valid_part,
)
from spectral_tf.config import ClusterConfig, DataError


def renamed(answer: ClusterAnswer, order: np.ndarray) -> ClusterAnswer:
    """The same answer, with cluster j called order[j]."""
    back = np.argsort(order)
    assert answer.means is not None
    assert answer.covariances is not None
    assert answer.weights is not None
    return dataclasses.replace(
        answer,
        labels=order[answer.labels],
        probabilities=None,
        means=answer.means[back],
        covariances=answer.covariances[back],
        weights=answer.weights[back],
    )


def distinct(num_classes: int) -> ClusterInstance:
    """An instance whose classes lie far apart, with different weights."""
    rng = np.random.default_rng(num_classes)
    sizes = 3 + np.arange(num_classes)
    labels = np.repeat(np.arange(num_classes), sizes)
    means = 100.0 * np.stack([np.arange(num_classes), np.ones(num_classes)], 1)
    fields: dict[str, Any] = {
        "x": means[labels] + rng.standard_normal((len(labels), 2)),
        "mask": np.ones(len(labels), bool),
        "labels": labels,
        "means": means,
        "scales": np.ones((num_classes, 2)),
        "weights": sizes / sizes.sum(),
        "degrees_of_freedom": np.array(np.inf),
        "closest": np.array(0.0),
    }
    return ClusterInstance(**fields)


def hidden(x: Any, which: Any, value: float) -> Any:
    """Rows with the rows `which` overwritten."""
    return np.where(np.asarray(which)[:, None], value, x)


@pytest.mark.parametrize(("num_classes", "not_own_inverse"), [(3, 2), (4, 14), (5, 94)])
def test_every_renaming_of_the_truth_scores_as_the_truth(num_classes, not_own_inverse):
    instance = distinct(num_classes)
    truth = bayes_rule(instance)
    labels = np.asarray(instance.labels)
    by_the_inverse = 0
    for order in itertools.permutations(range(num_classes)):
        answer = renamed(truth, np.array(order))
        found = score(answer, instance, truth)
        assert found.misclassification == found.excess == 0.0
        assert found.mean_error == found.weight_error == 0.0
        assert found.ari == pytest.approx(1.0)
        assert found.nmi == pytest.approx(1.0)
        assert abs(found.log_likelihood_gap) < 1e-12
        # What the published error does: it reads the matching through its inverse.
        by_the_inverse += np.mean(np.array(order)[answer.labels] != labels) > 0
    assert by_the_inverse == not_own_inverse


@pytest.mark.parametrize("size", [2, 3, 4, 5, 6, 8])
def test_the_matching_is_the_cheapest_of_all_permutations(size):
    cost = np.random.default_rng(size).standard_normal((size, size))
    match = best_matching(cost)
    assert sorted(match) == list(range(size))
    total = lambda order: sum(cost[j, c] for j, c in enumerate(order))
    cheapest = min(map(total, itertools.permutations(range(size))))
    assert total(match) == pytest.approx(cheapest, abs=1e-12)


def test_misclassification_counts_rows_by_hand():
    truth = np.array([0, 0, 0, 1, 1, 2])
    assert misclassification(np.array([2, 2, 0, 1, 1, 0]), truth, 3) == 1 / 6
    # All in one cluster: the largest class is right.
    assert misclassification(np.zeros(6, int), truth, 3) == 1 / 2
    # A cluster too many is wrong, whatever is in it.
    assert misclassification(np.array([0, 0, 3, 1, 1, 2]), truth, 3) == 1 / 6
    with pytest.raises(DataError, match=r"smallest label is -1.*leave outliers"):
        misclassification(np.array([0, -1]), np.array([0, 1]), 2)
    with pytest.raises(DataError, match="3 rows were given for 2 rows"):
        misclassification(np.zeros(3, int), np.zeros(2, int), 2)


def test_the_likelihood_sums_components_inside_the_logarithm():
    rng = np.random.default_rng(0)
    x, means = rng.standard_normal((7, 3)), rng.standard_normal((2, 3))
    variances, weights = rng.uniform(0.5, 2, (2, 3)), np.array([0.3, 0.7])
    factors = rng.standard_normal((2, 3, 3))
    full = factors @ factors.transpose(0, 2, 1) + np.eye(3)
    for covariances in (variances, full):
        answer = ClusterAnswer(
            labels=np.zeros(7, int),
            means=means,
            covariances=covariances,
            weights=weights,
        )
        expand: Any = np.diag if covariances.ndim == 2 else np.asarray
        density = sum(
            w * stats.multivariate_normal(m, expand(c)).pdf(x)
            for w, m, c in zip(weights, means, covariances, strict=True)
        )
        assert log_likelihood(x, answer) == pytest.approx(np.mean(np.log(density)))
        found = log_densities(x, means, covariances, 5.0)[:, 1]
        wanted = stats.multivariate_t(means[1], expand(covariances[1]), df=5).logpdf(x)
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
    assert math.isnan(log_likelihood(x, ClusterAnswer(labels=np.zeros(7, int))))


def test_the_bayes_rule_errs_as_often_as_theory_says(key):
    config = ClusterConfig(family="bi_class", num_samples=2000, dim=5, signal=1.0)
    batch = sample_clusters(key, config, 20)
    wrong = [
        score(bayes_rule(one), one).misclassification for one in each_instance(batch)
    ]
    assert np.mean(wrong) == pytest.approx(stats.norm.cdf(-1.0), abs=0.005)


def test_the_bayes_rule_knows_weights_and_tails(key):
    config = ClusterConfig(
        family="bi_class",
        num_samples=4000,
        weights=(0.9, 0.1),
        signal=0.7,
        noise="student_t",
        covariance="diagonal",
        scale_range=(0.5, 2.0),
    )
    for one in each_instance(sample_clusters(key, config, 3)):
        rows, truth = valid_part(one)
        wrong = lambda labels, truth=truth: np.mean(labels != truth)
        best = bayes_rule(one)
        assert best.probabilities is not None
        np.testing.assert_allclose(best.probabilities.sum(axis=1), 1.0)
        # Two rules that know less: the nearest mean, and the larger class for all.
        nearest = np.argmin(np.linalg.norm(rows[:, None] - one.means[None], axis=2), 1)
        assert wrong(best.labels) < wrong(nearest)
        assert wrong(best.labels) <= wrong(np.zeros_like(truth))


def test_masked_rows_and_outliers_never_count():
    one = distinct(4)
    rng = np.random.default_rng(0)
    shown = rng.permutation(len(one.x)) % 4 > 0
    away = rng.permutation(len(one.x)) % 5 == 0
    fields: dict[str, Any] = {
        "x": 0.01 * one.x + rng.standard_normal(one.x.shape),
        "mask": shown,
        "labels": np.where(away | ~shown, -1, one.labels),
        "means": 0.01 * one.means,
    }
    one = one._replace(**fields)
    best, (_, labels) = bayes_rule(one), valid_part(one)
    assert len(best.labels) == np.sum(shown) < len(shown)
    assert np.any(labels == -1)
    before = score(best, one)
    assert 0 < before.misclassification < 1
    spoilt = one._replace(x=hidden(one.x, ~one.mask, np.nan))
    assert score(bayes_rule(spoilt), spoilt) == before
    # Whatever is said of an outlier, or wherever it lies, changes nothing.
    moved = np.where(labels == -1, (best.labels + 1) % 4, best.labels)
    assert score(dataclasses.replace(best, labels=moved), one) == before
    away = one._replace(x=hidden(one.x, one.mask & (one.labels == -1), 50.0))
    assert score(bayes_rule(away), away) == before
    with pytest.raises(DataError, match=rf"labels \(3,\) for {len(labels)} valid"):
        score(ClusterAnswer(labels=np.zeros(3, int)), one)


def test_what_an_answer_lacks_is_nan():
    instance = distinct(3)
    rows, labels = valid_part(instance)
    bare = score(ClusterAnswer(labels=labels), instance)
    assert bare.misclassification == 0.0
    missing = ("mean_error", "weight_error", "log_likelihood", "log_likelihood_gap")
    assert all(math.isnan(getattr(bare, name)) for name in missing)
    shifted = np.asarray(instance.means) + np.array([3.0, 4.0])
    moved = score(ClusterAnswer(labels=labels, means=shifted[::-1]), instance)
    assert moved.mean_error == pytest.approx(5.0)
    assert math.isnan(moved.weight_error)
    assert len(rows) == len(labels)
