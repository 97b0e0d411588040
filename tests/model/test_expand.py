"""The equivariant network written densely gives the same estimates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spectral_tf.config import ConfigError, ModelConfig
from spectral_tf.model.expand import expand
from spectral_tf.model.params import init_params
from spectral_tf.model.transformer import predict as eager_predict

predict = jax.jit(eager_predict, static_argnums=0)

CASES = {
    "default": ModelConfig(),
    "random gelu, two readers": ModelConfig(
        num_blocks=2,
        initialisation="random",
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
    "mean scale, no norm": ModelConfig(
        num_blocks=2, attention_scale="mean", norm="none", mlp_width=16
    ),
}


def perturbed(config, key):
    """Initial weights plus noise everywhere, so that no zero hides a mistake."""
    params = init_params(config, key)
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    noisy = [
        leaf + 0.03 * jax.random.normal(one, leaf.shape)
        for leaf, one in zip(leaves, keys, strict=True)
    ]
    return jax.tree.unflatten(tree, noisy)


def table(key, dim):
    keys = jax.random.split(key)
    mix = jax.random.normal(keys[0], (dim, dim))
    return jax.random.normal(keys[1], (20, dim)) @ mix


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dim", [4, 10])
def test_dense_weights_give_the_same_estimates(name, dim, key, x64):
    config = CASES[name]
    params, x = perturbed(config, key), table(key, dim)
    mask = jnp.arange(20) < 15
    dense, weights = expand(config, params, dim)
    a, b = predict(config, params, x, mask), predict(dense, weights, x, mask)
    np.testing.assert_allclose(b.eigenvectors, a.eigenvectors, atol=1e-9)
    np.testing.assert_allclose(b.eigenvalues, a.eigenvalues, rtol=1e-9)


def test_in_float32_to_1e_5(key):
    config = ModelConfig()
    params, x = init_params(config, key), table(key, 10)
    dense, weights = expand(config, params, 10)
    a, b = predict(config, params, x), predict(dense, weights, x)
    np.testing.assert_allclose(b.eigenvectors, a.eigenvectors, atol=1e-5)
    np.testing.assert_allclose(b.eigenvalues, a.eigenvalues, rtol=1e-5)


def test_a_dense_network_is_refused(key):
    config = ModelConfig(num_blocks=1)
    dense, weights = expand(config, init_params(config, key), 4)
    with pytest.raises(ConfigError, match="'dense' is dense already"):
        expand(dense, weights, 4)
    with pytest.raises(ConfigError, match="num_components=3 must be <= dim=2"):
        expand(config, init_params(config, key), 2)
