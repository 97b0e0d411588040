"""The equivariant network written densely gives the same estimates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spectral_tf.config import Channels, ConfigError, ModelConfig
from spectral_tf.model.expand import expand
from spectral_tf.model.network import Network
from spectral_tf.model.transformer import predict as eager_predict
from tests.problems import random_params, table

predict = jax.jit(eager_predict, static_argnums=0)

CASES = {
    "default": ModelConfig(),
    "random gelu, two readers": ModelConfig(
        num_blocks=2,
        layout=Channels(initialisation="random"),
        activation="gelu",
        cross_heads=2,
        mlp_width=16,
    ),
    "softmax, looped, no norm of images": ModelConfig(
        num_blocks=4,
        looped=True,
        attention="softmax",
        cross_attention="softmax",
        cross_norm=False,
        mlp_width=16,
    ),
    "codes that stay": ModelConfig(
        num_blocks=6, looped=True, layout=Channels(fixed_codes=True), mlp_width=8
    ),
    "mean scale, no norm": ModelConfig(
        num_blocks=2,
        attention_scale="mean",
        layout=Channels(norm="none"),
        mlp_width=16,
    ),
}


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dim", [4, 10])
def test_dense_weights_give_the_same_estimates(name, dim):
    config = CASES[name]
    params, x = random_params(config), table(20, dim)
    mask = jnp.arange(20) < 15
    dense, weights = expand(Network(config, params), dim)
    a, b = predict(config, params, x, mask), predict(dense, weights, x, mask)
    np.testing.assert_allclose(b.eigenvectors, a.eigenvectors, atol=1e-9)
    np.testing.assert_allclose(b.eigenvalues, a.eigenvalues, rtol=1e-9)


def test_in_float32_to_1e_5():
    config = ModelConfig()
    params, x = random_params(config), table(20, 10)
    dense, weights = expand(Network(config, params), 10)
    a, b = predict(config, params, x), predict(dense, weights, x)
    np.testing.assert_allclose(b.eigenvectors, a.eigenvectors, atol=1e-5)
    np.testing.assert_allclose(b.eigenvalues, a.eigenvalues, rtol=1e-5)


def test_a_dense_network_is_refused():
    config = ModelConfig(num_blocks=1)
    dense, weights = expand(Network(config, random_params(config)), 4)
    with pytest.raises(ConfigError, match="this network is dense already"):
        expand(Network(dense, weights), 4)
    with pytest.raises(ConfigError, match="num_components=3 must be <= dim=2"):
        expand(Network(config, random_params(config)), 2)
