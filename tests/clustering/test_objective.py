"""The loss of a clustering: the best renaming, whatever the clusters are called."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from spectral_tf.clustering.instances import sample_clusters
from spectral_tf.clustering.metrics import bayes_rule
from spectral_tf.clustering.objective import best_renaming, class_costs, renamed
from spectral_tf.config import ClusterConfig, ConfigError


@pytest.mark.parametrize("count", [2, 5, 7])
def test_no_renaming_costs_less_than_the_best(count):
    """Up to 5 by all renamings, beyond by the Hungarian algorithm."""
    rng = np.random.default_rng(count)
    for _ in range(5):
        costs = rng.normal(size=(count, count)).astype(np.float32)
        found = best_renaming(jnp.asarray(costs))
        rows, columns = linear_sum_assignment(costs)
        assert found.cost == pytest.approx(costs[rows, columns].sum(), abs=1e-4)
        np.testing.assert_array_equal(found.classes, columns)


def test_one_cluster_has_no_renaming():
    with pytest.raises(ConfigError, match="K=1: renaming needs at least 2 clusters"):
        best_renaming(jnp.zeros((1, 1)))


def test_the_cost_of_the_truth_is_the_same_under_every_name():
    config = ClusterConfig(num_classes=4, num_samples=60, separation=0.6)
    batch = sample_clusters(jax.random.key(0), config, 1)
    instance = jax.tree.map(lambda leaf: leaf[0], batch)
    best: Any = bayes_rule(jax.tree.map(np.asarray, instance))
    logs = np.log(best.probabilities)
    labels = np.asarray(instance.labels)
    plain = -np.mean(logs[np.arange(60), labels])
    for order in itertools.permutations(range(4)):
        found = renamed(jnp.asarray(logs[:, list(order)], jnp.float32), instance)
        assert found.cost == pytest.approx(plain, abs=1e-4)
        np.testing.assert_array_equal(found.classes, order)


def test_outliers_cost_nothing_and_absent_classes_have_no_cluster():
    config = ClusterConfig(
        num_classes=5, min_classes=2, num_samples=40, outlier_share=0.3
    )
    batch = sample_clusters(jax.random.key(1), config, 30)
    there = np.sum(np.asarray(batch.weights) > 0, axis=1)
    assert set(there) == {2, 3, 4, 5}
    np.testing.assert_allclose(np.sum(batch.weights, axis=1), 1, atol=1e-5)
    for index in range(30):
        instance = jax.tree.map(lambda leaf, i=index: leaf[i], batch)
        labels, count = np.asarray(instance.labels), int(there[index])
        assert labels.max() < count
        assert (labels == -1).any()
        # A network that gives the absent ones nothing, and outliers to anyone.
        logs = np.full((40, 5), -60.0, np.float32)
        logs[np.arange(40), np.where(labels < 0, 0, labels)] = 0.0
        found = renamed(jnp.asarray(logs), instance)
        assert float(found.cost) == pytest.approx(0.0, abs=1e-6)
        assert set(np.asarray(found.classes)[:count].tolist()) == set(range(count))


def test_the_gradient_goes_through_the_chosen_renaming():
    logs = jnp.log(jnp.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]]))
    labels = jnp.array([0, 1, -1])
    slope = jax.grad(lambda p: best_renaming(class_costs(p, labels)).cost)(logs)
    np.testing.assert_allclose(slope, [[0, -0.5], [-0.5, 0], [0, 0]], atol=1e-6)
