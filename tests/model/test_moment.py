"""Linear cross attention reads the rows only through their second moment."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spectral_tf import spectra
from spectral_tf.config import Channels, ConfigError, InputScaling, ModelConfig
from spectral_tf.constructive.equivariant import equivariant_power_method
from spectral_tf.model.params import init_params
from spectral_tf.model.presets import model_preset
from spectral_tf.model.transformer import predict, predict_from_covariance


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("scale", ["sum", "mean"])
@pytest.mark.parametrize("num_samples", [4, 60])
def test_the_rows_and_their_covariance_give_one_answer(key, scale, num_samples):
    layout = Channels(max_components=4)
    config = ModelConfig(attention_scale=scale, num_blocks=3, layout=layout)
    params = init_params(config, key)
    x = (
        jax.random.normal(jax.random.key(1), (num_samples, 7))
        * jnp.arange(1.0, 8)[None]
    )
    mask = jnp.arange(num_samples) != 2
    by_rows = predict(config, params, x + 5, mask)
    covariance = spectra.covariance(x + 5, mask)
    by_moment = predict_from_covariance(config, params, covariance)
    np.testing.assert_allclose(
        by_moment.eigenvectors, by_rows.eigenvectors, rtol=0, atol=1e-9
    )
    np.testing.assert_allclose(by_moment.eigenvalues, by_rows.eigenvalues, rtol=1e-9)


def test_another_covariance_gives_another_answer():
    config, params = equivariant_power_method(2, 20)
    one = predict_from_covariance(config, params, jnp.diag(jnp.arange(1.0, 6)))
    other = predict_from_covariance(config, params, jnp.diag(jnp.arange(5.0, 0, -1)))
    assert jnp.abs(one.eigenvectors - other.eigenvectors).max() > 0.5


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e30])
def test_any_scale_of_the_covariance_is_safe(scale):
    config, params = equivariant_power_method(2, 40)
    matrix = jnp.diag(jnp.array([4.0, 2.0, 1.0]) * scale)
    estimate = predict_from_covariance(config, params, matrix)
    np.testing.assert_allclose(
        estimate.eigenvalues, np.array([4.0, 2.0]) * scale, rtol=1e-5
    )


@pytest.mark.usefixtures("x64")
def test_start_vectors_rotate_with_the_answer(key):
    config, params = equivariant_power_method(2, 15)
    matrix = jnp.diag(jnp.array([4.0, 3.5, 3.0, 1.0]))
    turn, _ = jnp.linalg.qr(jax.random.normal(key, (4, 4)))
    start = jax.random.normal(jax.random.key(3), (2, 4))
    one = predict_from_covariance(config, params, matrix, start)
    turned = turn @ matrix @ turn.T
    other = predict_from_covariance(config, params, turned, start @ turn.T)
    np.testing.assert_allclose(other.eigenvalues, one.eigenvalues, rtol=1e-10)


@pytest.mark.parametrize(
    ("config", "word"),
    [
        (model_preset("theory"), "layout=Dense"),
        (ModelConfig(cross_attention="softmax"), "cross_attention"),
        (ModelConfig(inputs=InputScaling(unit_trace=False)), "unit_trace"),
    ],
)
def test_a_network_that_reads_more_than_the_moment_is_refused(config, word):
    with pytest.raises(ConfigError, match=word):
        predict_from_covariance(config, {}, jnp.eye(16))


def test_more_components_than_features_are_refused():
    config, params = equivariant_power_method(3, 5)
    with pytest.raises(ConfigError, match="num_components=3 must be <= d=2"):
        predict_from_covariance(config, params, jnp.eye(2))
