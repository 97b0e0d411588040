"""The `register` composition, block by block, against the recursion it claims to run.

Three independent descriptions must agree: the numpy recursion, the chain of gadget
semantics, and the Flax forward with the assembled weights.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from spectral_tf.config import ConfigError, EnsembleConfig
from spectral_tf.constructive.power_method import (
    power_method_params,
    register_gadgets,
    register_normaliser,
)
from spectral_tf.constructive.reference import register_recursion
from spectral_tf.constructive.residual_layout import register_layout
from spectral_tf.evaluation import (
    evaluate,
    orthogonal_iteration_predict,
    transformer_predict,
)
from spectral_tf.model.params import check_params, flatten_params
from spectral_tf.model.transformer import (
    default_start,
    predict,
    scaled_rows,
)
from spectral_tf.sampling.sampler import sample_batch
from spectral_tf.spectra import abs_cosine, covariance, top_eigenpairs
from tests.problems import forward, table


def iterates(config, params, x, mask=None):
    """`[L, k, d]`: the rows u of the registers after every block."""
    layout = register_layout(config.dim, config.num_components)
    _, inside = forward(config, params, x, mask)
    return np.asarray(inside.state[1])[:, :, layout["u"]]


def reference(config, x, num_iters, mask=None):
    matrix = np.asarray(covariance(x, mask), np.float64)
    start = np.asarray(default_start(config, x.shape[1], x.dtype))
    normaliser = register_normaliser(1e-3)
    return register_recursion(matrix / np.trace(matrix), start, normaliser, num_iters)


SIZES = [(2, 1, 2), (5, 3, 2), (10, 3, 50), (32, 4, 16), (64, 8, 100)]


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(("dim", "k", "num_samples"), SIZES)
def test_every_block_follows_the_recursion_in_float64(dim, k, num_samples):
    config, params = power_method_params(dim, k, 12)
    x = table(num_samples, dim)
    got, want = iterates(config, params, x), reference(config, x, 12)
    assert got.shape == (48, k, dim)
    np.testing.assert_allclose(got, want, atol=1e-10)


@pytest.mark.parametrize(("dim", "k", "num_samples"), [(2, 1, 4), (10, 3, 50)])
def test_every_block_follows_the_recursion_in_float32(dim, k, num_samples):
    config, params = power_method_params(dim, k, 12)
    x = table(num_samples, dim)
    got, want = iterates(config, params, x), reference(config, x, 12)
    np.testing.assert_allclose(got, want, atol=1e-5)


@pytest.mark.usefixtures("x64")
def test_masked_rows_take_no_part():
    config, params = power_method_params(5, 2, 6)
    x, mask = table(30, 5), jnp.arange(30) < 11
    got = iterates(config, params, x.at[11:].set(jnp.nan), mask)
    np.testing.assert_allclose(got, reference(config, x[:11], 6), atol=1e-10)


@pytest.mark.usefixtures("x64")
def test_designed_gadgets_compute_what_the_module_computes():
    """Named rows through `semantics` equal the whole residual stream, every block."""
    config, params = power_method_params(5, 3, 3)
    layout, x = register_layout(5, 3), table(9, 5)
    gadgets = register_gadgets(layout, register_normaliser(1e-3))
    rows = scaled_rows(config, x)
    embedded = rows.x @ params["embed_kernel"] + params["embed_bias"][None]
    stream = layout.split(np.concatenate([embedded, params["registers"]]))
    _, inside = forward(config, params, x)
    for block in range(12):
        stream = gadgets[block % 4].semantics(stream)
        data, registers = (np.asarray(leaf[block]) for leaf in inside.state)
        tokens = np.concatenate([data, registers])
        np.testing.assert_allclose(layout.join(stream), tokens, atol=1e-10)


def test_data_tokens_are_never_written_where_anybody_reads():
    config, params = power_method_params(5, 3, 5)
    layout, x = register_layout(5, 3), table(9, 5)
    _, inside = forward(config, params, x)
    data = np.asarray(inside.state[0])
    for name in ("u", "w", "s", "pos", "low"):
        assert not data[:, :, layout[name]].any(), name
    x_rows = data[:, :, layout["x"]]
    np.testing.assert_array_equal(x_rows, np.broadcast_to(x_rows[:1], x_rows.shape))


def test_unrolled_equals_looped():
    x = table(20, 5)
    looped, few = power_method_params(5, 2, 7)
    unrolled, many = power_method_params(5, 2, 7, looped=False)
    assert looped.num_unique_blocks == 4
    assert unrolled.num_unique_blocks == 28
    a, b = predict(looped, few, x), predict(unrolled, many, x)
    np.testing.assert_allclose(a.eigenvectors, b.eigenvectors, atol=1e-6)


def test_the_weights_are_ordinary_parameters():
    config, params = power_method_params(6, 2, 3)
    check_params(config, params)
    assert all(np.all(np.isfinite(leaf)) for leaf in flatten_params(params).values())


@pytest.mark.parametrize("scale", [1e-15, 1.0, 1e15])
def test_top_pairs_against_two_oracles(scale):
    x = scale * table(60, 8, seed=3) + 5 * scale
    config, params = power_method_params(8, 2, 200)
    estimate = predict(config, params, x)
    unscaled = np.asarray(x, np.float64) / scale
    matrix = np.cov(unscaled.T, bias=True)
    values, vectors = top_eigenpairs(jnp.asarray(matrix, jnp.float32), 2)
    np.testing.assert_allclose(estimate.eigenvalues / scale**2, values, rtol=1e-4)
    np.testing.assert_allclose(estimate.eigenvectors, vectors, atol=1e-3)
    other = optax.power_iteration(
        jnp.asarray(matrix, jnp.float32), num_iters=500, error_tolerance=1e-9
    )[1]
    assert isinstance(other, jax.Array)
    assert float(abs_cosine(estimate.eigenvectors[0], other)) > 1 - 1e-5


def test_data_without_variance():
    config, params = power_method_params(4, 2, 10)
    estimate = predict(config, params, jnp.full((6, 4), 3.0))
    np.testing.assert_array_equal(estimate.eigenvalues, 0.0)
    assert bool(jnp.all(jnp.isfinite(estimate.eigenvectors)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2, 3, 5), r"num_components=3 must lie in 1\.\.dim=2"),
        ((2, 0, 5), r"num_components=0 must lie in 1\.\.dim=2"),
        ((4, 2, 0), "num_iters=0 must be >= 1"),
        ((4, 2, 5, "columsn"), "unknown variant 'columsn'; choose one of register"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ConfigError, match=message):
        power_method_params(*arguments)
    with pytest.raises(ValueError, match=r"accuracy=1\.5 must lie in"):
        power_method_params(4, 2, 5, accuracy=1.5)


@pytest.mark.slow
def test_a_thousand_instances_equal_orthogonal_iteration():
    """The issue's target: within 1e-4 of the same tau from the same start."""
    config, params = power_method_params(10, 3, 60)
    ensemble = EnsembleConfig(dim=10, num_samples=100)
    batch = sample_batch(jax.random.key(1), ensemble, 1000)
    ours = evaluate(transformer_predict(config, params), batch)
    classic = evaluate(orthogonal_iteration_predict(config, 60), batch)
    for one, other in zip(ours.cosine, classic.cosine, strict=True):
        assert one.mean == pytest.approx(other.mean, abs=1e-4)
        assert one.mean > 0.99
