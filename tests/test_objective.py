"""Losses: zero at the truth, blind to signs, finite at repeated eigenvalues."""

import inspect
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spectral_tf.config import TrainConfig
from spectral_tf.model.transformer import Estimate
from spectral_tf.objective import (
    LOSSES,
    cosine_loss,
    eigenvalue_loss,
    projector_loss,
    rayleigh_loss,
    signed_loss,
)
from spectral_tf.sampling.instance import Instance, make_instance
from spectral_tf.spectra import gram_schmidt

ALL = LOSSES | {"eigenvalue": eigenvalue_loss}
BLIND = sorted(ALL.keys() - {"signed"})
# Compiled once per loss.
GRADIENTS = {
    name: jax.jit(jax.grad(lambda e, i, loss=loss: jnp.sum(loss(e, i))))
    for name, loss in ALL.items()
}
FLIP = jnp.array([-1.0, 1.0, -1.0])[:, None]


def close(actual, expected, atol: float) -> None:
    np.testing.assert_allclose(actual, expected, atol=atol, rtol=0)


def rows_with_spectrum(key: jax.Array, eigenvalues: list[float]) -> jax.Array:
    """`[12, 5]` rows whose sample covariance has exactly these eigenvalues."""
    normal = jax.random.normal(key, (12, 5))
    white = gram_schmidt((normal - normal.mean(axis=0, keepdims=True)).T).T
    turn = jax.random.orthogonal(jax.random.fold_in(key, 1), 5)
    return white * jnp.sqrt(12 * jnp.asarray(eigenvalues))[None] @ turn


@pytest.fixture
def instance(key) -> Instance:
    return make_instance(rows_with_spectrum(key, [9.0, 4.0, 2.0, 1.0, 0.5]), None, 3)


@pytest.fixture
def guess(key) -> Estimate:
    """A wrong answer, of any scale."""
    vectors = 3 * jax.random.normal(jax.random.fold_in(key, 2), (3, 5))
    return Estimate(jnp.array([8.0, 5.0, 2.0]), vectors)


def truth(instance: Instance) -> Estimate:
    return Estimate(instance.eigenvalues, instance.eigenvectors)


@pytest.mark.parametrize("name", ALL)
def test_zero_at_the_truth_and_positive_elsewhere(instance, guess, name):
    at_truth = ALL[name](truth(instance), instance)
    assert at_truth.shape == (3,)
    close(at_truth, np.zeros(3), 1e-5)
    wrong = guess._replace(eigenvalues=jnp.array([8.0, 5.0, 3.0]))
    assert (ALL[name](wrong, instance) > 1e-3).all()


@pytest.mark.parametrize("name", BLIND)
def test_invariant_to_flipped_signs(instance, guess, name):
    flipped = guess._replace(eigenvectors=FLIP * guess.eigenvectors)
    close(ALL[name](flipped, instance), ALL[name](guess, instance), 1e-5)


def test_signed_loss_sees_the_sign_and_nothing_else_does(instance):
    exact = truth(instance)
    flipped = exact._replace(eigenvectors=FLIP * exact.eigenvectors)
    close(signed_loss(flipped, instance), [2, 0, 2], 1e-5)
    assert set(LOSSES) - set(BLIND) == {"signed"}


def test_a_run_can_name_every_loss_and_no_other():
    annotation = inspect.get_annotations(TrainConfig)["loss"]
    assert get_args(annotation) == tuple(LOSSES)


@pytest.mark.parametrize("name", LOSSES)
def test_invariant_to_the_length_of_the_vectors(instance, guess, name):
    scaled = guess._replace(eigenvectors=1e3 * guess.eigenvectors)
    close(LOSSES[name](scaled, instance), LOSSES[name](guess, instance), 1e-5)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("spectrum", [[9.0, 4.0, 2.0, 1.0, 0.5], [2.0] * 5, [0.0] * 5])
def test_gradients_are_finite_where_eigenvectors_are_not_unique(key, name, spectrum):
    instance = make_instance(rows_with_spectrum(key, spectrum), None, 3)
    exact = instance.eigenvectors
    for vectors in (exact, -exact, jnp.zeros((3, 5)), exact[:1].repeat(3, axis=0)):
        found = GRADIENTS[name](Estimate(instance.eigenvalues, vectors), instance)
        assert all(jnp.isfinite(leaf).all() for leaf in found), vectors


def test_cosine_loss_is_the_squared_sine(instance, guess):
    vectors = np.asarray(guess.eigenvectors, np.float64)
    target = np.asarray(instance.eigenvectors, np.float64)
    along = (vectors * target).sum(1)[:, None] * target
    across = np.linalg.norm(vectors - along, axis=1) / np.linalg.norm(vectors, axis=1)
    close(cosine_loss(guess, instance), across**2, 1e-6)
    zero = guess._replace(eigenvectors=jnp.zeros((3, 5)))
    close(cosine_loss(zero, instance), np.ones(3), 0)


@pytest.mark.parametrize("is_orthonormal", [True, False])
def test_projector_loss_is_the_dense_formula(instance, guess, is_orthonormal):
    vectors = guess.eigenvectors
    rows = gram_schmidt(vectors) if is_orthonormal else vectors
    unit = np.asarray(rows) / np.linalg.norm(rows, axis=1, keepdims=True)
    target = np.asarray(instance.eigenvectors)
    expected = [
        0.5 * np.sum((unit[:j].T @ unit[:j] - target[:j].T @ target[:j]) ** 2)
        for j in (1, 2, 3)
    ]
    close(projector_loss(guess._replace(eigenvectors=rows), instance), expected, 1e-5)


def test_projector_loss_asks_for_the_span_only(instance):
    c, s = np.cos(0.4), np.sin(0.4)
    turn = jnp.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    turned = Estimate(instance.eigenvalues, turn @ instance.eigenvectors)
    close(projector_loss(turned, instance), [s**2, 0, 0], 1e-5)


def test_eigenvalue_loss_is_relative(instance):
    factors = jnp.array([1.1, 0.5, -1.0])
    for scale in (1.0, 1e-6, 1e6):
        scaled = instance._replace(eigenvalues=scale * instance.eigenvalues)
        claimed = truth(scaled)._replace(eigenvalues=factors * scaled.eigenvalues)
        close(eigenvalue_loss(claimed, scaled), [0.01, 0.25, 4.0], 1e-5)


def test_zero_eigenvalue_is_measured_against_the_largest(instance):
    singular = instance._replace(eigenvalues=jnp.array([4.0, 1.0, 4e-7]))
    claimed = truth(singular)._replace(eigenvalues=jnp.array([4.0, 1.0, 0.4]))
    close(eigenvalue_loss(claimed, singular), [0, 0, 0.01], 1e-5)
    nothing = instance._replace(eigenvalues=jnp.zeros(3))
    close(eigenvalue_loss(claimed, nothing), [16, 1, 0.16], 1e-5)


def test_rayleigh_loss_is_the_missed_variance(instance, guess):
    matrix = np.cov(instance.x, rowvar=False, bias=True)
    basis = np.linalg.qr(np.asarray(guess.eigenvectors, np.float64).T)[0].T
    captured = np.cumsum([row @ matrix @ row for row in basis])
    expected = 1 - captured / np.cumsum([9.0, 4.0, 2.0])
    close(rayleigh_loss(guess, instance), expected, 1e-5)
    assert (rayleigh_loss(guess, instance) >= 0).all()


def test_rayleigh_loss_is_stationary_and_least_at_the_eigenvectors(key, instance):
    def at(vectors: jax.Array) -> Estimate:
        return Estimate(jnp.zeros(3), vectors)

    exact, gradient = instance.eigenvectors, GRADIENTS["rayleigh"]
    close(gradient(at(exact), instance).eigenvectors, np.zeros((3, 5)), 1e-5)
    elsewhere = gradient(at(jax.random.orthogonal(key, 5)[:3]), instance)
    assert jnp.linalg.norm(elsewhere.eigenvectors) > 1e-2
    # Swapped eigenvectors and steps near and far: worse in sum, never better in one.
    swaps = [exact[jnp.array(order)] for order in ([1, 0, 2], [0, 2, 1], [2, 1, 0])]
    steps = jax.random.normal(jax.random.fold_in(key, 3), (20, 3, 5))
    nearby = [exact + size * step for size in (0.1, 1.0, 10.0) for step in steps]
    losses = jax.vmap(lambda v: rayleigh_loss(at(v), instance))(
        jnp.stack(swaps + nearby)
    )
    assert losses.sum(axis=1).min() > 1e-4
    assert losses.min() > -1e-6


def test_masked_rows_are_not_read_by_the_rayleigh_loss(instance, guess):
    padded = instance._replace(
        x=jnp.concatenate([instance.x, jnp.full((2, 5), jnp.nan)]),
        mask=jnp.arange(14) < 12,
    )
    close(rayleigh_loss(guess, padded), rayleigh_loss(guess, instance), 1e-6)
