"""The `rms` composition: the norm layer normalises, and nothing is approximate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spectral_tf.config import EnsembleConfig
from spectral_tf.constructive.power_method import (
    RMS_EPS,
    power_method_gadgets,
    power_method_params,
)
from spectral_tf.constructive.reference import rms_recursion
from spectral_tf.evaluation import (
    evaluate,
    orthogonal_iteration_predict,
    transformer_predict,
)
from spectral_tf.model.transformer import (
    default_start,
    predict,
    scaled_rows,
)
from spectral_tf.sampling.sampler import sample_batch
from spectral_tf.spectra import covariance
from tests.problems import forward, table


def errors(dim, k, num_samples, num_iters):
    """Largest difference from the recursion, over all blocks."""
    config, params = power_method_params(dim, k, num_iters, "rms")
    layout, _ = power_method_gadgets(dim, k, "rms")
    x = table(num_samples, dim)
    _, inside = forward(config, params, x)
    got = np.asarray(inside.state[1])[:, :, layout["u"]]
    matrix = np.asarray(covariance(x), np.float64)
    start = np.asarray(default_start(config, dim, x.dtype))
    want = rms_recursion(matrix / np.trace(matrix), start, num_iters)
    assert got.shape == want.shape == (2 * num_iters, k, dim)
    return np.max(np.abs(got - want))


SIZES = [(2, 1, 4), (5, 3, 20), (10, 3, 50), (32, 4, 64), (64, 8, 200)]


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(("dim", "k", "num_samples"), SIZES)
def test_every_block_follows_the_recursion_in_float64(dim, k, num_samples):
    assert errors(dim, k, num_samples, 12) <= 1e-10


@pytest.mark.parametrize(("dim", "k", "num_samples"), [(2, 1, 4), (10, 3, 50)])
def test_every_block_follows_the_recursion_in_float32(dim, k, num_samples):
    assert errors(dim, k, num_samples, 12) <= 1e-5


@pytest.mark.usefixtures("x64")
def test_designed_gadgets_compute_what_the_module_computes():
    """The whole residual stream, data tokens included, after every block."""
    config, params = power_method_params(5, 3, 3, "rms")
    layout, gadgets = power_method_gadgets(5, 3, "rms")
    x = table(9, 5)
    embedded = scaled_rows(config, x).x @ params["embed_kernel"]
    embedded = embedded + params["embed_bias"][None]
    stream = layout.split(np.concatenate([embedded, params["registers"]]))
    _, inside = forward(config, params, x)
    for block in range(6):
        stream = gadgets[block % 2].semantics(stream)
        tokens = np.concatenate([np.asarray(leaf[block]) for leaf in inside.state])
        np.testing.assert_allclose(layout.join(stream), tokens, atol=1e-12)


def test_the_norm_leaves_the_data_alone():
    config, params = power_method_params(5, 3, 4, "rms")
    layout, _ = power_method_gadgets(5, 3, "rms")
    assert config.norm_groups == (1, 5)
    assert layout["u"] == slice(0, 5)
    _, inside = forward(config, params, table(9, 5))
    data = np.asarray(inside.state[0])
    assert not data[:, :, layout["u"]].any()
    x_rows = data[:, :, layout["x"]]
    np.testing.assert_array_equal(x_rows, np.broadcast_to(x_rows[:1], x_rows.shape))


def test_it_takes_half_the_blocks_of_register():
    register, _ = power_method_params(6, 2, 10)
    rms, _ = power_method_params(6, 2, 10, "rms")
    assert rms.num_blocks * 2 == register.num_blocks
    assert rms.width < register.width
    assert rms.norm_eps == RMS_EPS


def test_unrolled_equals_looped():
    x = table(20, 5)
    a = predict(*power_method_params(5, 2, 7, "rms"), x)
    b = predict(*power_method_params(5, 2, 7, "rms", looped=False), x)
    np.testing.assert_allclose(a.eigenvectors, b.eigenvectors, atol=1e-6)


def test_no_variance_is_finite():
    config, params = power_method_params(4, 2, 10, "rms")
    estimate = predict(config, params, jnp.full((6, 4), 3.0))
    np.testing.assert_array_equal(estimate.eigenvalues, 0.0)
    assert bool(jnp.all(jnp.isfinite(estimate.eigenvectors)))


def test_it_equals_orthogonal_iteration_on_the_authors_ensemble():
    config, params = power_method_params(10, 3, 60, "rms")
    ensemble = EnsembleConfig(dim=10, num_samples=100)
    batch = sample_batch(jax.random.key(1), ensemble, 100)
    ours = evaluate(transformer_predict(config, params), batch)
    classic = evaluate(orthogonal_iteration_predict(config, 60), batch)
    for one, other in zip(ours.cosine, classic.cosine, strict=True):
        assert one.mean == pytest.approx(other.mean, abs=1e-4)
