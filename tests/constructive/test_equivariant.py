"""The power method on channels: orthogonal iteration, for every d, and dense too."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spectral_tf import spectra
from spectral_tf.config import ConfigError
from spectral_tf.constructive.equivariant import equivariant_power_method
from spectral_tf.model.expand import expand
from spectral_tf.model.network import Network
from spectral_tf.model.params import check_params
from spectral_tf.model.transformer import (
    SpectralTransformer,
    default_start,
    predict,
    predict_from_covariance,
)

pytestmark = pytest.mark.usefixtures("x64")


def with_spectrum(values: np.ndarray, seed: int = 0) -> np.ndarray:
    """A symmetric matrix with these eigenvalues."""
    rng = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(rng.standard_normal((len(values), len(values))))
    return basis @ np.diag(values) @ basis.T


SPECTRA = {
    "power law": lambda d: np.arange(1.0, d + 1) ** -1.5,
    "flat": lambda d: np.linspace(2.0, 1.0, d),
    "geometric": lambda d: 0.7 ** np.arange(d),
    "spiked": lambda d: np.r_[10.0, np.ones(d - 1)],
}


@functools.cache
def answers(dim, k, num_iters, rounds):
    """Network and orthogonal iteration, compiled once for all spectra of a size."""
    config, params = equivariant_power_method(k, num_iters, rounds=rounds)
    start = default_start(config, dim, jnp.float64)

    @jax.jit
    def both(covariance):
        iterated = spectra.orthogonal_iteration(covariance, start, num_iters=num_iters)
        return predict_from_covariance(config, params, covariance), iterated

    return both


@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize(("dim", "k"), [(2, 1), (2, 2), (10, 3), (40, 8)])
def test_it_is_orthogonal_iteration(dim, k, spectrum):
    covariance = jnp.asarray(with_spectrum(SPECTRA[spectrum](dim)))
    both = answers(dim, k, 25, rounds=max(1, k - 1))
    estimate, (values, rows) = both(covariance)
    np.testing.assert_allclose(estimate.eigenvectors, rows, rtol=0, atol=1e-10)
    np.testing.assert_allclose(estimate.eigenvalues, values, rtol=1e-10)


@pytest.mark.parametrize("spectrum", ["power law", "geometric"])
@pytest.mark.parametrize("rounds", [1, 2])
def test_with_few_rounds_it_converges_to_the_same_vectors(spectrum, rounds):
    covariance = jnp.asarray(with_spectrum(SPECTRA[spectrum](40)))
    estimate, _ = answers(40, 8, 150, rounds=rounds)(covariance)
    values, rows = spectra.top_eigenpairs(covariance, 8)
    np.testing.assert_allclose(estimate.eigenvectors, rows, rtol=0, atol=1e-7)
    np.testing.assert_allclose(estimate.eigenvalues, values, rtol=1e-10)


def test_every_block_spans_what_orthogonal_iteration_spans():
    covariance = with_spectrum(np.linspace(3.0, 1.0, 9))
    x = jnp.asarray(np.linalg.cholesky(covariance).T) * 3.0
    x = jnp.concatenate([x, -x])  # centred
    config, params = equivariant_power_method(3, 12)
    model = SpectralTransformer(config)
    inside: Any = model.apply({"params": params}, x, capture=True)[1]
    start = default_start(config, 9, jnp.float64)
    history = spectra.orthogonal_iteration_trace(
        jnp.asarray(covariance), start, num_iters=12
    )
    for block in range(12):
        for j in range(1, 4):
            angle = spectra.largest_principal_angle(
                inside.eigenvectors[block, :j], history[block, :j]
            )
            assert angle < 1e-9


def test_it_goes_on_where_it_stopped():
    covariance = jnp.asarray(with_spectrum(np.linspace(2.0, 1.0, 12)))
    once, params = equivariant_power_method(4, 40)
    half, half_params = equivariant_power_method(4, 20)
    whole = predict_from_covariance(once, params, covariance)
    first = predict_from_covariance(half, half_params, covariance)
    second = predict_from_covariance(half, half_params, covariance, first.eigenvectors)
    np.testing.assert_allclose(second.eigenvectors, whole.eigenvectors, atol=1e-9)


def test_it_is_an_ordinary_dense_transformer(key):
    config, params = equivariant_power_method(3, 10)
    x = jax.random.normal(key, (30, 6))
    dense, weights = expand(Network(config, params), 6)
    one, other = predict(config, params, x), predict(dense, weights, x)
    np.testing.assert_allclose(other.eigenvectors, one.eigenvectors, atol=1e-9)
    np.testing.assert_allclose(other.eigenvalues, one.eigenvalues, rtol=1e-9)


def test_a_rank_deficient_table_gives_finite_answers():
    config, params = equivariant_power_method(4, 30)
    for covariance in (jnp.zeros((5, 5)), jnp.ones((5, 5))):
        estimate = predict_from_covariance(config, params, covariance)
        assert np.all(np.isfinite(estimate.eigenvectors))
        np.testing.assert_allclose(
            estimate.eigenvalues[0], covariance.sum() / 5, rtol=1e-5
        )


def test_the_parameters_are_a_handful_and_fit():
    config, params = equivariant_power_method(3, 60)
    check_params(config, params)
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) < 1_000


@pytest.mark.parametrize(("k", "tau", "name"), [(0, 5, "components"), (2, 0, "iters")])
def test_bad_sizes_are_refused(k, tau, name):
    with pytest.raises(ConfigError, match=f"num_{name}=0"):
        equivariant_power_method(k, tau)
