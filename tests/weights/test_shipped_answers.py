"""What the shipped networks answer: better than classical iteration, for any size."""

import functools

import jax
import numpy as np
import pytest

from spectral_tf.config import EnsembleConfig
from spectral_tf.evaluation import (
    evaluate,
    orthogonal_iteration_predict,
)
from spectral_tf.model.network import Network
from spectral_tf.model.transformer import predict
from spectral_tf.sampling.sampler import sample_batch
from spectral_tf.weights import load_pretrained, pretrained_names

BASE_FIRST = [
    one if one == "pca-base" else pytest.param(one, marks=pytest.mark.long)
    for one in pretrained_names()
]
"""All of them, of which every run takes one."""


@pytest.mark.parametrize("name", BASE_FIRST)
def test_it_is_above_orthogonal_iteration_with_twice_its_products(name):
    shipped = load_pretrained(name, num_components=4)
    dim = min(24, shipped.config.dim or 24)
    ensemble = EnsembleConfig(dim=dim, num_samples=80, num_components=4)
    batch = sample_batch(jax.random.key(77), ensemble, 256)
    products = shipped.config.num_products
    ours = evaluate(shipped, batch)
    plain = evaluate(orthogonal_iteration_predict(shipped.config, 2 * products), batch)
    for mine, other in zip(ours.cosine, plain.cosine, strict=True):
        assert mine.mean > other.mean
    assert max(rank.mean for rank in ours.eigenvalue_error) < 0.02


@pytest.mark.parametrize("name", BASE_FIRST)
def test_any_size_gives_finite_answers(name):
    shipped = load_pretrained(name, num_components=2)
    for dim, num_samples in ((2, 2), (70, 5)):
        if dim > (shipped.config.dim or dim):
            continue  # a dense network has a largest d
        x = jax.random.normal(jax.random.key(dim), (num_samples, dim))
        found = jax.jit(functools.partial(predict, shipped.config))(shipped.params, x)
        assert np.isfinite(found.eigenvalues).all()
        lengths = np.linalg.norm(found.eigenvectors, axis=1)
        np.testing.assert_allclose(lengths, 1, rtol=1e-4)


def test_there_are_six():
    names = ("pca-base", "pca-base-1", "pca-dense", "pca-looped", "pca-small")
    assert pretrained_names("eigenpairs") == (*names, "pca-small-1")


@pytest.mark.long
def test_a_loop_that_goes_on_becomes_more_accurate():
    shipped = load_pretrained("pca-looped", num_components=4)
    ensemble = EnsembleConfig(dim=10, num_samples=50, num_components=4)
    batch = sample_batch(jax.random.key(78), ensemble, 512)
    means = []
    for times in (1, 2, 4, 8):
        config = shipped.config.replace(num_blocks=times * shipped.config.num_blocks)
        report = evaluate(Network(config, shipped.params), batch)
        means.append([rank.mean for rank in report.cosine])
    assert np.all(np.diff(means, axis=0) > -1e-3)
    assert np.all(np.array(means)[2:, :3] >= 0.995)
