"""Subspace iteration in the equivariant parameterisation, against plain matrices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spectral_tf.config import ConfigError, EnsembleConfig
from spectral_tf.constructive import subspace
from spectral_tf.evaluation import (
    evaluate,
    orthogonal_iteration_predict,
)
from spectral_tf.model.expand import expand
from spectral_tf.model.network import Network
from spectral_tf.model.transformer import (
    predict,
    predict_from_covariance,
    register_starts,
)
from spectral_tf.sampling.sampler import sample_batch


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def deflated(u, rounds):
    for _ in range(rounds):
        u = unit(u - np.tril(u @ u.T, -1) @ u)
    return u


def reference(matrix, u, shifts, inner, rounds):
    """The iteration of the module's docstring, written with matrices."""
    scaled = matrix / np.linalg.norm(matrix)
    for shift in shifts:
        b, c = u, u @ scaled
        for _ in range(inner):
            u = deflated(unit(shift * u + u @ c.T @ b), rounds)
        u = deflated(unit(shift * u + u @ b.T @ c), rounds)
    return u


@pytest.fixture(scope="module")
def instance():
    x = np.random.default_rng(0).normal(size=(40, 9)) * np.arange(1, 10)
    return x - x.mean(axis=0)


@pytest.mark.parametrize("looped", [False, True])
def test_the_forward_pass_is_the_iteration(instance, looped):
    with jax.enable_x64(True):
        config, params = subspace.subspace_iteration(3, 4, registers=5, looped=looped)
        params = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), params)
        start = np.asarray(register_starts(config, 9, jnp.float64))
        shifts = subspace.SHIFTS[:1] * 4 if looped else subspace.SHIFTS[:4]
        want = reference(instance.T @ instance / 40, start, shifts, 2, 2)[:3]
        found = predict(config, params, jnp.asarray(instance))
        cosine = np.abs(np.sum(np.asarray(found.eigenvectors) * want, axis=1))
        np.testing.assert_allclose(cosine, 1, atol=1e-10)
        quotient = np.sum((want @ (instance.T @ instance / 40)) * want, axis=1)
        np.testing.assert_allclose(found.eigenvalues, quotient, rtol=1e-10)


def test_one_set_of_weights_serves_every_d_and_fewer_columns_than_registers(instance):
    config, params = subspace.subspace_iteration(2, 12)
    for dim in (2, 9):
        x = jnp.asarray(instance[:, -dim:] * np.arange(1, dim + 1), jnp.float32)
        values = np.linalg.eigvalsh(np.asarray(x.T @ x) / 40)[::-1]
        found = predict(config, params, x)
        np.testing.assert_allclose(found.eigenvalues, values[:2], rtol=2e-3)
        moment = predict_from_covariance(config, params, x.T @ x / 40)
        np.testing.assert_allclose(moment.eigenvalues, found.eigenvalues, rtol=1e-4)


def test_it_beats_orthogonal_iteration_with_as_many_products():
    ensemble = EnsembleConfig(dim=30, num_samples=100, num_components=4)
    batch = sample_batch(jax.random.key(1), ensemble, 64)
    config, params = subspace.subspace_iteration(4, 8)
    ours = evaluate(Network(config, params), batch)
    plain = evaluate(orthogonal_iteration_predict(config, 8), batch)
    for mine, other in zip(ours.cosine, plain.cosine, strict=True):
        assert mine.mean > other.mean + 0.02


def test_expanded_weights_give_the_same_answers(instance):
    config, params = subspace.subspace_iteration(2, 3, registers=4, mlp_width=2)
    dense, weights = expand(Network(config, params), 9)
    x = jnp.asarray(instance, jnp.float32)
    a, b = predict(config, params, x), predict(dense, weights, x)
    np.testing.assert_allclose(b.eigenvectors, a.eigenvectors, atol=2e-4)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"num_iters": 0}, "num_iters=0 must be >= 1"),
        ({"inner": 0}, "inner=0 must be >= 1"),
        ({"rounds": 0}, "rounds=0 must be >= 1"),
        ({"num_components": 9}, "num_components=9 must lie in 1..registers=8"),
    ],
)
def test_bounds_are_refused(given, said):
    with pytest.raises(ConfigError, match=said):
        subspace.subspace_iteration(**({"num_components": 2, "num_iters": 2} | given))
