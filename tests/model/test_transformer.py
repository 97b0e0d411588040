"""The module: what its answer must not depend on, and what every kind must do."""

import functools
import itertools
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spectral_tf.config import Channels, Dense, ModelConfig
from spectral_tf.model.inputs import scaled_rows
from spectral_tf.model.presets import PRESETS, model_preset
from spectral_tf.model.transformer import SpectralTransformer
from spectral_tf.model.transformer import predict as eager_predict
from spectral_tf.spectra import covariance
from tests.problems import random_params, table

predict = jax.jit(eager_predict, static_argnums=0)

SMALL: dict[str, Any] = {"num_blocks": 2, "mlp_width": 8, "num_heads": 2}
DENSE = Dense(
    dim=6,
    width=16,
    head_dim=4,
    readout="linear",
    skip_gain=False,
    norm_position="pre",
)


def small(**changes):
    return ModelConfig(**(SMALL | changes))


def joint(layout, **changes):
    """A dense network in which all tokens attend to all."""
    block = ("attention", "mlp")
    return small(layout=layout, block=block, attention_scale="mean", **changes)


@functools.partial(jax.jit, static_argnames=("config", "capture"))
def apply(config, params, x, mask=None, start=None, **options):
    return SpectralTransformer(config).apply(
        {"params": params}, x, mask, start, **options
    )


MODELS = {
    "equivariant": small(),
    "theory": joint(DENSE.replace(norm="none", mlp="plain")),
    "perceiver": small(
        layout=DENSE.replace(readout="rayleigh"), attention_scale="mean"
    ),
}


def assert_close(a, b, rtol=1e-4):
    """Equal relative to the largest entry, which weights without a norm may blow up."""
    for one, other in zip(a, b, strict=True):
        size = float(jnp.max(jnp.abs(other)))
        np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol * size)


@pytest.mark.parametrize("name", MODELS)
class TestInvariance:
    def test_row_permutation_leaves_the_estimate(self, name, key):
        config, x = MODELS[name], table()
        params = random_params(config)
        order = jax.random.permutation(key, x.shape[0])
        a, b = predict(config, params, x), predict(config, params, x[order])
        assert_close(b, a)
        with pytest.raises(AssertionError):
            assert_close(predict(config, params, x.at[0].add(3.0)), a)

    def test_a_masked_row_changes_nothing(self, name):
        config, x = MODELS[name], table()
        params = random_params(config)
        mask = jnp.arange(20) < 15
        spoiled = x.at[15:].set(jnp.nan)
        alone = predict(config, params, x[:15])
        assert_close(predict(config, params, spoiled, mask), alone)

    def test_vmapped_equals_looped(self, name):
        config = MODELS[name]
        params = random_params(config)
        batch = jnp.stack([table(seed=seed) for seed in range(3)])
        together = jax.vmap(lambda x: predict(config, params, x))(batch)
        for index in range(3):
            alone = predict(config, params, batch[index])
            assert_close(jax.tree.map(lambda leaf, at=index: leaf[at], together), alone)

    def test_scale_and_shift(self, name):
        config, x = MODELS[name], table()
        params = random_params(config)
        a, b = predict(config, params, x), predict(config, params, 1e12 * (x + 3.0))
        assert_close((b.eigenvalues / 1e24, b.eigenvectors), a, rtol=2e-3)

    def test_intermediates_end_with_the_answer(self, name):
        config, x = MODELS[name], table()
        params = random_params(config)
        estimate, inside = apply(config, params, x, capture=True)
        assert inside.eigenvectors.shape == (2, 3, 6)
        assert_close((inside.eigenvectors[-1],), (estimate.eigenvectors,), rtol=1e-5)
        assert all(leaf.shape[0] == 2 for leaf in jax.tree.leaves(inside.state))


@pytest.mark.parametrize(
    ("attention", "norm", "mlp", "looped"),
    list(
        itertools.product(
            ("relu", "linear", "softmax"),
            ("none", "rms", "layer"),
            ("plain", "gated"),
            (False, True),
        )
    ),
)
def test_every_kind_of_block_runs_and_has_gradients(attention, norm, mlp, looped):
    layout = DENSE.replace(norm=norm, mlp=mlp)
    config = joint(layout, attention=attention, looped=looped)
    params, x = random_params(config), table()
    assert params["blocks"]["0_attention"]["attention"]["query"].shape[0] == (
        1 if looped else 2
    )

    def loss(params):
        return jnp.sum(apply(config, params, x)[0].eigenvectors ** 2)

    grads = jax.grad(loss)(params)["blocks"]
    for name, leaf in jax.tree_util.tree_leaves_with_path(grads):
        assert bool(jnp.all(jnp.isfinite(leaf))), name
        assert float(jnp.max(jnp.abs(leaf))) > 0, name


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_run(preset):
    config = model_preset(preset, num_blocks=2)
    x = table(50, 10)
    estimate = predict(config, random_params(config), x)
    assert estimate.eigenvalues.shape == (3,)
    assert estimate.eigenvectors.shape == (3, 10)
    assert bool(jnp.all(jnp.isfinite(estimate.eigenvectors)))


def test_paper_gpt2_depends_on_the_row_order():
    """Learned positions and a causal mask: the reason the preset is only a baseline."""
    config = model_preset("paper_gpt2", num_blocks=1)
    params, x = random_params(config), table(50, 10)
    a, b = predict(config, params, x), predict(config, params, x[::-1])
    assert np.abs(a.eigenvectors - b.eigenvectors).max() > 1e-3


def test_rotated_data_and_starts_rotate_the_answer(key):
    config, dim = ModelConfig(), 10
    params, x = random_params(config), table(50, dim)
    turn = jax.random.orthogonal(key, dim)
    start = jax.random.normal(key, (3, dim))
    a, _ = apply(config, params, x, None, start)
    b, _ = apply(config, params, x @ turn.T, None, start @ turn.T)
    np.testing.assert_allclose(b.eigenvectors, a.eigenvectors @ turn.T, atol=1e-4)
    np.testing.assert_allclose(b.eigenvalues, a.eigenvalues, rtol=1e-4)


def test_one_checkpoint_serves_other_dims_sizes_and_fewer_components():
    config = small(layout=Channels(max_components=3))
    params = random_params(config)
    for dim, rows in ((3, 4), (17, 9), (40, 100)):
        estimate = predict(config, params, table(rows, dim))
        assert estimate.eigenvectors.shape == (3, dim)
    fewer = predict(config.replace(num_components=2), params, table())
    assert fewer.eigenvalues.shape == (2,)


def test_rayleigh_values_are_those_of_the_covariance():
    config, x = small(), table()
    estimate = predict(config, random_params(config), x)
    vectors = np.asarray(estimate.eigenvectors)
    want = np.einsum("ki,ij,kj->k", vectors, np.asarray(covariance(x)), vectors)
    np.testing.assert_allclose(estimate.eigenvalues, want, rtol=1e-5)


@pytest.mark.parametrize("scale", ["sum", "mean"])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_scaled_rows_have_unit_trace_and_undo_it(scale, offset):
    config = small().replace(attention_scale=scale)
    x = table() + offset
    rows = scaled_rows(config, x)
    divisor = 1 if scale == "sum" else x.shape[0]
    assert float(jnp.sum(rows.x**2)) / divisor == pytest.approx(1.0, rel=1e-5)
    trace = np.trace(np.cov(np.asarray(x, np.float64).T, bias=True))
    assert float(rows.unscale) == pytest.approx(trace, rel=2e-3)


@pytest.mark.parametrize("x", [jnp.zeros((5, 4)), jnp.ones((5, 4)), jnp.ones((1, 4))])
def test_no_variance_gives_zero_eigenvalues_not_nan(x):
    config = small()
    estimate = predict(config, random_params(config), x)
    np.testing.assert_allclose(estimate.eigenvalues, 0.0, atol=1e-12)
    assert bool(jnp.all(jnp.isfinite(estimate.eigenvectors)))


def test_wrong_shapes_are_refused_with_a_remedy():
    dense = MODELS["theory"]
    params = random_params(dense)
    with pytest.raises(ValueError, match=r"x has 5 features, but these weights.*dim=6"):
        predict(dense, params, jnp.ones((8, 5)))
    with pytest.raises(ValueError, match="num_components=3 must be <= d=2"):
        predict(small(), random_params(small()), jnp.ones((8, 2)))
    with pytest.raises(ValueError, match=r"params\['registers'\]"):
        apply(dense, params, jnp.ones((8, 6)), None, jnp.ones((3, 6)))
    fixed = model_preset("paper_gpt2", num_blocks=1)
    with pytest.raises(ValueError, match=r"x has 8 rows.*num_samples=50"):
        predict(fixed, random_params(fixed), jnp.ones((8, 10)))


@pytest.mark.parametrize("schedule", ["0 (1 2)*2 3", "0*3 ((1 2)*1 3)*1", "0*6"])
def test_shared_equals_unrolled_with_equal_weights(schedule):
    shared = small(num_blocks=6, schedule=schedule)
    params, x = random_params(shared), table()
    order = jnp.array(shared.block_order)
    copied = {"blocks": jax.tree.map(lambda leaf: leaf[order], params["blocks"])}
    unrolled = shared.replace(schedule=None)
    a, inside = apply(shared, params, x, capture=True)
    b, other = apply(unrolled, copied, x, capture=True)
    np.testing.assert_allclose(a.eigenvectors, b.eigenvectors, atol=1e-5)
    np.testing.assert_allclose(inside.eigenvectors, other.eigenvectors, atol=1e-5)
    if schedule == "0*6":
        looped, _ = apply(unrolled.replace(looped=True), params, x)
        np.testing.assert_allclose(looped.eigenvectors, a.eigenvectors, atol=1e-6)


@pytest.mark.slow
def test_compile_time_does_not_grow_with_depth():
    x = table(50, 10)

    def seconds(num_blocks):
        config = ModelConfig(num_blocks=num_blocks)
        params = random_params(config)
        lowered = jax.jit(lambda p, x: predict(config, p, x)).lower(params, x)
        begin = time.perf_counter()
        lowered.compile()
        return time.perf_counter() - begin

    seconds(2)  # the first compilation pays for the libraries
    short = min(seconds(4) for _ in range(3))
    deep = min(seconds(32) for _ in range(3))
    assert deep <= 1.5 * short
