"""Small problems shared by the tests: tables, and parameters that cost no compiling."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from spectral_tf.config import Channels, ModelConfig
from spectral_tf.model.params import parameter_shapes, unflatten_params
from spectral_tf.model.transformer import SpectralTransformer

SMALL = ModelConfig(
    num_components=4,
    num_blocks=2,
    mlp_width=4,
    num_heads=2,
    layout=Channels(max_components=4, vectors=2, scalars=10),
)
"""A small equivariant network."""


@functools.partial(jax.jit, static_argnums=0)
def forward(config, params, x, mask=None):
    """`(Estimate, Intermediates)`: a pass that keeps the state of every block."""
    return SpectralTransformer(config).apply({"params": params}, x, mask, capture=True)


def random_params(config, *, scale=0.4, seed=0):
    """Gaussian parameters of `config`; every leaf is non-zero, so none can hide."""
    rng = np.random.default_rng(seed)
    flat = {
        path: jnp.asarray(scale * rng.standard_normal(leaf.shape), leaf.dtype)
        for path, leaf in parameter_shapes(config).items()
    }
    return unflatten_params(flat)


def table(num_samples=20, dim=6, *, seed=0):
    """`[N, d]` correlated Gaussian rows with mean zero in expectation."""
    rng = np.random.default_rng(seed)
    mix = rng.standard_normal((dim, dim))
    rows = rng.standard_normal((num_samples, dim)) @ mix
    return jnp.asarray(rows, jnp.result_type(float))


def spectrum_table(eigenvalues, num_samples, *, seed=0):
    """`[N, d]` rows whose covariance has exactly these eigenvalues; N > d."""
    rng = np.random.default_rng(seed)
    dim = len(eigenvalues)
    draw = rng.standard_normal((num_samples, dim))
    left = np.linalg.qr(draw - draw.mean(axis=0))[0]
    right = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
    rows = left * np.sqrt(num_samples * np.asarray(eigenvalues)) @ right.T
    return jnp.asarray(rows, jnp.result_type(float))
