"""What the shipped networks answer: better than classical iteration, for any size."""

import functools

import jax
import numpy as np
import pytest

from spectral_tf.config import EnsembleConfig
from spectral_tf.evaluation import (
    evaluate,
    orthogonal_iteration_predict,
    transformer_predict,
)
from spectral_tf.model.transformer import predict
from spectral_tf.sampling.sampler import sample_batch
from spectral_tf.weights import load_pretrained, pretrained_names


@pytest.mark.parametrize("name", pretrained_names())
def test_it_is_above_orthogonal_iteration_with_twice_its_products(name):
    shipped = load_pretrained(name, num_components=4)
    ensemble = EnsembleConfig(dim=24, num_samples=80, num_components=4)
    batch = sample_batch(jax.random.key(77), ensemble, 256)
    products = shipped.config.num_products
    ours = evaluate(transformer_predict(shipped.config, shipped.params), batch)
    plain = evaluate(orthogonal_iteration_predict(shipped.config, 2 * products), batch)
    for mine, other in zip(ours.cosine, plain.cosine, strict=True):
        assert mine.mean > other.mean
    assert max(rank.mean for rank in ours.eigenvalue_error) < 0.02


@pytest.mark.parametrize(("dim", "num_samples"), [(2, 2), (3, 7), (70, 5)])
def test_any_size_gives_finite_answers(dim, num_samples):
    for name in pretrained_names():
        shipped = load_pretrained(name, num_components=2)
        x = jax.random.normal(jax.random.key(dim), (num_samples, dim))
        found = jax.jit(functools.partial(predict, shipped.config))(shipped.params, x)
        assert np.isfinite(found.eigenvalues).all()
        lengths = np.linalg.norm(found.eigenvectors, axis=1)
        np.testing.assert_allclose(lengths, 1, rtol=1e-4)


def test_there_are_two():
    assert pretrained_names() == ("pca-base", "pca-small")
