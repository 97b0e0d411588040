"""A dense network for at most `dim` columns, and one without idle hidden units."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spectral_tf.config import Channels, ConfigError, Dense, ModelConfig
from spectral_tf.constructive.subspace import subspace_iteration
from spectral_tf.model.expand import expand, without_idle_units
from spectral_tf.model.network import Network
from spectral_tf.model.transformer import predict
from tests.problems import random_params, table


@pytest.fixture(scope="module")
def dense():
    config, params = subspace_iteration(2, 6, registers=4, mlp_width=2, scratch=1)
    config, params = without_idle_units(expand(Network(config, params), 8))
    return padding(config, True), params


def padding(config, pads):
    return config.replace(layout=config.dense.replace(pad_columns=pads))


def test_units_that_write_nothing_are_left_out_and_nothing_changes():
    config, params = subspace_iteration(2, 2, registers=4, mlp_width=2, scratch=1)
    whole, weights = expand(Network(config, params), 8)
    small, fewer = without_idle_units(Network(whole, weights))
    # Only the constant mixing of 4 vectors in R^8 is in use.
    assert (whole.mlp_width, small.mlp_width) == (2 * 33 + 32 + 2 * 16 * 8, 16)
    x = table(20, 8)
    a, b = predict(whole, weights, x), predict(small, fewer, x)
    np.testing.assert_allclose(b.eigenvectors, a.eigenvectors, atol=2e-6)
    np.testing.assert_allclose(b.eigenvalues, a.eigenvalues, rtol=1e-5)


def test_units_in_use_stay_whatever_block_they_are_in():
    config = ModelConfig(num_blocks=2, mlp_width=4)
    whole, weights = expand(Network(config, random_params(config)), 5)
    down = np.array(weights["blocks"]["2_mlp"]["mlp"]["down_kernel"])
    down[0, :30] = 0
    down[1, 10:50] = 0
    weights["blocks"]["2_mlp"]["mlp"]["down_kernel"] = jnp.asarray(down)
    small, fewer = without_idle_units(Network(whole, weights))
    assert small.mlp_width == max(np.any(block, axis=1).sum() for block in down)
    assert small.mlp_width < whole.mlp_width
    x = table(20, 5)
    a, b = predict(whole, weights, x), predict(small, fewer, x)
    np.testing.assert_allclose(b.eigenvectors, a.eigenvectors, atol=1e-5)


@pytest.mark.parametrize("dim", [3, 5, 8])
def test_fewer_columns_are_those_of_a_table_with_zero_columns(dense, dim):
    config, params = dense
    x = table(30, dim)
    found = predict(config, params, x)
    wide = jnp.pad(x, ((0, 0), (0, 8 - dim)))
    whole = predict(padding(config, False), params, wide)
    cut = whole.eigenvectors[:, :dim]
    cut = cut / np.linalg.norm(cut, axis=1, keepdims=True)
    match = np.abs(np.sum(found.eigenvectors * cut, axis=1))
    np.testing.assert_allclose(match, 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found.eigenvectors, axis=1), 1, rtol=1e-5)
    # Eigenvalues are the Rayleigh quotients of what is answered.
    centred = x - x.mean(axis=0)[None]
    spread = centred @ found.eigenvectors.T
    np.testing.assert_allclose(found.eigenvalues, (spread**2).mean(axis=0), rtol=1e-4)


def test_one_jitted_function_serves_masks_and_gradients(dense):
    config, params = dense
    x, mask = table(30, 5), jnp.arange(30) < 20
    found = jax.jit(predict, static_argnums=0)(config, params, x, mask)
    alone = predict(config, params, x[:20])
    np.testing.assert_allclose(found.eigenvalues, alone.eigenvalues, rtol=1e-4)


def test_too_many_columns_are_refused(dense):
    config, params = dense
    with pytest.raises(ConfigError, match=r"x has 9 features.*for dim=8 or less"):
        predict(config, params, table(30, 9))
    with pytest.raises(ConfigError, match="num_components=2 must be <= d=1"):
        predict(config, params, table(30, 1))


def test_what_does_not_go_together_is_refused():
    with pytest.raises(ConfigError, match="pad_columns=True needs readout='rayleigh'"):
        Dense(dim=4, readout="linear", pad_columns=True)
    with pytest.raises(ConfigError, match="Channels has no field pad_columns"):
        Channels.from_dict({"pad_columns": True})
    config = ModelConfig(num_blocks=1)
    with pytest.raises(ConfigError, match="expand it first"):
        without_idle_units(Network(config, random_params(config)))
