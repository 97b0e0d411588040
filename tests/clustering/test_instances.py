"""Mixtures: what their keys decide, and that they have the laws they claim."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spectral_tf.clustering.instances import (
    ClusterInstance,
    apart_means,
    cluster_batch_at,
    sample_cluster_instance,
    sample_clusters,
)
from spectral_tf.config import ClusterConfig, ConfigError
from spectral_tf.sampling.sampler import instance_keys

RICH = ClusterConfig(
    num_samples=30,
    min_samples=15,
    dim=3,
    num_classes=4,
    covariance="diagonal",
    scale_range=(0.5, 1.5),
    noise="student_t",
    outlier_share=0.1,
)
"""Everything at once."""


def row(batch: ClusterInstance, index: int) -> Any:
    """One instance as numpy arrays: JAX would compile every operation on it."""
    return ClusterInstance(*(np.asarray(field)[index] for field in batch))


@pytest.fixture(scope="module")
def rich() -> ClusterInstance:
    return sample_clusters(jax.random.key(0), RICH, 200)


def test_an_instance_depends_on_its_key_step_and_index_alone(key, rich):
    backwards = cluster_batch_at(key, 0, jnp.arange(200)[::-1], RICH)
    own = instance_keys(key, 0, jnp.array([5]))[0]
    single = jax.jit(sample_cluster_instance, static_argnums=1)(own, RICH)
    for one in (row(backwards, 194), single):
        for got, want in zip(one, row(rich, 5), strict=True):
            np.testing.assert_allclose(got, want, atol=1e-5)
    assert not np.allclose(row(rich, 5).x, row(rich, 2).x)
    other = cluster_batch_at(key, 1, jnp.arange(200), RICH)
    assert not np.allclose(row(rich, 5).x, row(other, 5).x)


def test_masks_labels_and_weights_are_what_the_fields_say(rich):
    batch: Any = jax.tree.map(np.asarray, rich)
    assert set(np.sum(batch.mask, axis=1)) == set(range(15, 31))
    assert np.all(batch.x[~batch.mask] == 0)
    assert np.all(batch.labels[~batch.mask] == -1)
    np.testing.assert_allclose(np.sum(batch.weights, axis=1), 1.0, atol=1e-6)
    # Normalised weights of U[.2, .8] cannot differ by more than a factor of 4.
    assert np.all(np.max(batch.weights, 1) <= 4.0001 * np.min(batch.weights, 1))
    assert abs(np.mean(batch.labels[batch.mask] == -1) - 0.1) < 0.02
    assert set(np.unique(batch.labels[batch.mask])) == {-1, 0, 1, 2, 3}
    assert np.all(batch.degrees_of_freedom == 3.0)


def many_means(key, config: ClusterConfig) -> np.ndarray:
    draw = jax.jit(jax.vmap(lambda one: apart_means(one, config)))
    return np.asarray(draw(jax.random.split(key, 500)), np.float64)


def closest(means: np.ndarray) -> np.ndarray:
    """Largest cosine of two means, of each instance."""
    rows = means / np.linalg.norm(means, axis=2, keepdims=True)
    cosine = rows @ rows.transpose(0, 2, 1) - 3 * np.eye(means.shape[1])
    return cosine.max(axis=(1, 2))


def test_means_keep_apart_in_the_box_and_tell_where_they_could_not(key, rich):
    config = ClusterConfig(num_classes=5)
    means = many_means(key, config)
    assert np.max(np.abs(means)) <= 5.0
    assert np.mean(closest(means) < 0.8) > 0.9
    # Without rejection five directions of the plane keep apart in few instances.
    free = np.random.default_rng(0).uniform(-5, 5, means.shape)
    assert np.mean(closest(free) < 0.8) < 0.3
    # The field tells.
    np.testing.assert_allclose(rich.closest, closest(np.asarray(rich.means)), atol=1e-5)
    # On a line three means cannot: the nearest to fitting are taken, none is NaN.
    line = many_means(key, config.replace(dim=1, num_classes=3))
    np.testing.assert_allclose(closest(line), 1.0, atol=1e-6)


def test_each_mean_is_uniform_where_nothing_is_rejected(key):
    means = many_means(key, ClusterConfig(dim=3, max_cosine=1.0))
    np.testing.assert_allclose(means.mean(axis=0), 0.0, atol=0.5)
    np.testing.assert_allclose(means.std(axis=0), 10 / 12**0.5, rtol=0.1)


def test_bi_class_rows_are_y_mu_plus_noise_and_the_dial_moves_mu_alone(key):
    config = ClusterConfig(
        family="bi_class", num_samples=4000, dim=6, signal=1.5, weights=(0.9, 0.1)
    )
    batch = sample_clusters(key, config, 4)
    nearer = sample_clusters(key, config.replace(separation=0.25), 4)
    means = np.asarray(batch.means)
    np.testing.assert_allclose(means[:, 0], -means[:, 1])
    np.testing.assert_allclose(np.linalg.norm(means[:, 0], axis=1), 1.5, rtol=1e-5)
    np.testing.assert_allclose(nearer.means, 0.25 * means, rtol=1e-6)
    for index in range(4):
        one, near = row(batch, index), row(nearer, index)
        assert abs(np.mean(one.labels == 0) - 0.9) < 0.02
        noise = one.x - one.means[one.labels]
        np.testing.assert_allclose(np.cov(noise.T), np.eye(6), atol=0.12)
        np.testing.assert_array_equal(near.labels, one.labels)
        np.testing.assert_allclose(near.x - near.means[near.labels], noise, atol=1e-5)


def test_scales_are_those_of_the_noise_of_each_class(key):
    config = ClusterConfig(
        num_samples=20000,
        dim=2,
        num_classes=3,
        covariance="diagonal",
        scale_range=(0.3, 3.0),
        noise="student_t",
        degrees_of_freedom=4.0,
    )
    one = row(sample_clusters(key, config, 1), 0)
    labels, scales = np.asarray(one.labels), np.asarray(one.scales)
    noise_rows = (np.asarray(one.x) - np.asarray(one.means)[labels]) / scales[labels]
    # Half of a t with 4 degrees of freedom lies within .7407, of a normal .6745.
    for class_ in range(3):
        half = np.quantile(np.abs(noise_rows[labels == class_]), 0.5, axis=0)
        np.testing.assert_allclose(half, 0.7407, rtol=0.04)
    # One factor for each row: only then do large values of two features meet.
    far = np.abs(noise_rows) > 3
    assert np.mean(np.all(far, axis=1)) > 5 * np.prod(np.mean(far, axis=0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_classes": 9}, r"num_classes=9 must lie in 2\.\.8"),
        ({"family": "bi_class", "num_classes": 3}, "num_classes=3 must be 2"),
        ({"num_samples": 3, "num_classes": 4}, "num_samples=3 must .*at least one row"),
        ({"min_samples": 100}, "min_samples=100 and num_samples=64"),
        ({"weights": (1.0, 0.0)}, r"weights=\(1.0, 0.0\) must be .*drawn"),
        ({"outlier_share": 1.0}, r"outlier_share=1.0 must lie in \[0, 1\)"),
        ({"scale_range": (2.0, 1.0)}, r"scale_range=\(2.0, 1.0\) must be"),
        ({"covariance": "diagonal"}, "widen it"),
        ({"separation": 0.0}, "separation=0.0 must be > 0"),
        ({"max_cosine": -1.0}, r"max_cosine=-1.0 must lie in \(-1, 1\]"),
        ({"degrees_of_freedom": 2.0}, "degrees_of_freedom=2.0 must be > 2"),
    ],
)
def test_a_bad_configuration_is_refused_with_value_bound_and_remedy(changes, message):
    with pytest.raises(ConfigError, match=message):
        ClusterConfig(**changes)


def test_a_batch_needs_an_instance_and_a_config_survives_json(key):
    with pytest.raises(ConfigError, match="batch_size=0 must be >= 1"):
        sample_clusters(key, RICH, 0)
    assert ClusterConfig.from_dict(RICH.to_dict()) == RICH
