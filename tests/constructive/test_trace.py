"""What `trace` says of constructed and trained networks, block by block."""

import jax.numpy as jnp
import numpy as np
import pytest

import spectral_tf
from spectral_tf.constructive.power_method import power_method_composition
from spectral_tf.constructive.tolerance import columns_normaliser, deflating_normaliser
from spectral_tf.model.network import Network
from spectral_tf.spectra import covariance, top_eigenpairs
from tests.problems import random_params, spectrum_table, table

SPECTRUM = 2.0 ** -np.arange(8)
ITERS = {
    "register": 45,
    "rms": 45,
    "accelerated": 30,
    "columns": 120,
    "squaring": 6,
    "krylov": 2,
}


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("variant", ITERS)
def test_quotients_end_at_the_eigenvalues_and_lengths_at_one(variant):
    config, params = spectral_tf.power_method_params(8, 3, ITERS[variant], variant)
    found = spectral_tf.trace(
        Network(config, params), 5 * spectrum_table(SPECTRUM, 30) + 3
    )
    assert found.rayleigh.shape == found.length_error.shape == (config.num_blocks, 3)
    assert found.angles.shape == (config.num_blocks, 3, 8)
    np.testing.assert_allclose(found.rayleigh[-1], 25 * SPECTRUM[:3], rtol=1e-6)
    # `columns` has one Newton step, which squares the error of the normaliser.
    newton = 1.6 * columns_normaliser(8).error_bound ** 2
    assert np.max(found.length_error[-1]) <= {"columns": newton}.get(variant, 1e-6)
    own = np.asarray([found.angles[:, rank, rank] for rank in range(3)])
    assert np.max(own[:, -1]) <= 1e-4
    assert np.min(own[:, 0]) > 0.3
    assert not any(np.isnan(leaf).any() for leaf in found)


@pytest.mark.usefixtures("x64")
def test_the_angle_of_the_first_vector_falls_with_every_product():
    sizes = 8, 3, 45
    config, params = spectral_tf.power_method_params(*sizes)
    found = spectral_tf.trace(Network(config, params), spectrum_table(SPECTRUM, 30))
    own = np.tan(np.asarray(found.angles[:, 0, 0]))
    after = np.array(power_method_composition(*sizes).places("multiply"))
    # tan of the angle shrinks by at least the ratio of the first two eigenvalues,
    # and no other block turns the first vector.
    assert np.all(own[after] <= 0.5 * own[after - 1] + 1e-14)
    others = np.setdiff1d(np.arange(config.num_blocks), after)
    np.testing.assert_allclose(own[others[1:]], own[others[1:] - 1], atol=1e-14)
    # A small angle keeps its digits: an arccos has none left below 1e-8.
    late = own[after[32:40]]
    assert np.all(late < 1e-9)
    np.testing.assert_allclose(late[1:] / late[:-1], 0.5, rtol=1e-3)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("variant", "registers"), [("register", 3), ("accelerated", 4)]
)
def test_length_error_after_scale_is_within_the_proven_bound(variant, registers):
    sizes = 8, 3, 20, variant
    composition = power_method_composition(*sizes)
    config, params = spectral_tf.power_method_params(*sizes)
    found = spectral_tf.trace(Network(config, params), spectrum_table(SPECTRUM, 30))
    after = np.array(composition.places("scale"))
    bound = deflating_normaliser(8, registers).error_bound
    assert len(after) > 20
    worst = np.max(np.asarray(found.length_error)[after])
    assert bound / 100 < worst <= bound


def test_any_weights_and_masked_rows():
    config = spectral_tf.ModelConfig(num_blocks=2, num_components=2)
    x, mask = table(20, 5), jnp.arange(20) < 12
    params = random_params(config)
    masked = spectral_tf.trace(Network(config, params), x.at[12:].set(jnp.nan), mask)
    alone = spectral_tf.trace(Network(config, params), x[:12])
    for one, other in zip(masked, alone, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    assert np.max(masked.length_error) <= 1e-6
    values, vectors = top_eigenpairs(covariance(x[:12]), 5)
    estimate = spectral_tf.predict(config, params, x[:12])
    cosine = np.abs(np.asarray(estimate.eigenvectors) @ np.asarray(vectors).T)
    np.testing.assert_allclose(np.cos(alone.angles[-1]), cosine, atol=1e-5)
    np.testing.assert_allclose(
        alone.rayleigh[-1], cosine**2 @ np.asarray(values), rtol=1e-4
    )


@pytest.mark.parametrize("scale", [1e-18, 1e18])
def test_any_scale_of_the_rows(scale):
    config, params = spectral_tf.power_method_params(5, 2, 30)
    x = spectrum_table(2.0 ** -np.arange(5), 20)
    plain = spectral_tf.trace(Network(config, params), x)
    found = spectral_tf.trace(Network(config, params), scale * x)
    np.testing.assert_allclose(found.angles, plain.angles, atol=1e-4)
    np.testing.assert_allclose(
        found.rayleigh, scale**2 * np.asarray(plain.rayleigh), rtol=1e-4
    )


def test_zero_vectors_are_at_a_right_angle_to_everything():
    config, params = spectral_tf.power_method_params(5, 2, 6, "columns")
    found = spectral_tf.trace(Network(config, params), table(20, 5))
    np.testing.assert_array_equal(found.angles[0, 1], np.float32(np.pi / 2))
    assert found.rayleigh[0, 1] == 0
    assert found.length_error[0, 1] == 1
    nothing = spectral_tf.trace(Network(config, params), jnp.ones((20, 5)))
    assert not any(np.isnan(leaf).any() for leaf in nothing)


def test_bad_rows_are_refused():
    config, params = spectral_tf.power_method_params(5, 2, 6)
    with pytest.raises(spectral_tf.DataError, match="not finite"):
        spectral_tf.trace(Network(config, params), table(20, 5).at[1, 2].set(jnp.inf))
    with pytest.raises(spectral_tf.ConfigError, match="x has 4 features"):
        spectral_tf.trace(Network(config, params), table(20, 4))
