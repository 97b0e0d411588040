"""What a step sums: parts, shapes of fewer columns, depths, families, precision."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spectral_tf.config import (
    ConfigError,
    Dense,
    EnsembleConfig,
    MixturePart,
    ModelConfig,
    Uniform,
)
from spectral_tf.model.channels import limited_gradient
from spectral_tf.model.network import Network
from spectral_tf.training import batch, step
from spectral_tf.training.heldout import Heldout
from spectral_tf.training.hot_start import with_adaptive_mlp
from spectral_tf.training.state import init_state, learning_rate, moving_average
from tests.training.test_parallel import TINY

BOTH = (MixturePart(), MixturePart(ensemble=EnsembleConfig(family=Uniform())))


def gradient(config, state=None):
    run = jax.jit(functools.partial(step.gradients, config))
    return run(state or init_state(config), jax.random.key(1))


def distance(a, b):
    flat = lambda tree: np.concatenate(
        [np.ravel(leaf) for leaf in jax.tree.leaves(tree)]
    )
    return np.linalg.norm(flat(a) - flat(b)) / np.linalg.norm(flat(b))


def test_microbatches_give_the_gradient_of_the_whole_batch():
    whole, metrics = gradient(TINY)
    parts, others = gradient(TINY.replace(microbatches=4))
    assert distance(parts, whole) <= 1e-5
    for name, value in metrics.items():
        np.testing.assert_allclose(others[name], value, rtol=1e-5)


def test_rows_and_their_moment_give_the_same_gradient(monkeypatch):
    moment, _ = gradient(TINY)
    monkeypatch.setattr(batch, "reads_moment_only", lambda _: False)
    rows, _ = gradient(TINY)
    assert distance(rows, moment) <= 1e-3


def test_a_shape_of_fewer_columns_than_k_trains_its_own_ranks():
    layout = TINY.model.channels.replace(max_components=3)
    model = TINY.model.replace(num_components=3, layout=layout)
    config = TINY.replace(model=model, shapes=((4, 8), (2, 8)))
    _, metrics = gradient(config)
    assert metrics["cosine"].shape == (3,)
    _, alone = gradient(config.replace(shapes=((4, 8),)))
    np.testing.assert_allclose(metrics["cosine"][2], alone["cosine"][2], rtol=1e-5)
    with pytest.raises(ConfigError, match="max_components"):
        TINY.replace(shapes=((1, 8),))


def test_depths_set_the_loops_of_each_shape():
    looped = TINY.model.replace(looped=True)
    config = TINY.replace(model=looped, shapes=((4, 8), (4, 8)), depths=(1, 5))
    assert [part.model.num_blocks for part in batch.parts_of(config)] == [1, 5]
    gradient(config)
    with pytest.raises(ConfigError, match="looped"):
        TINY.replace(depths=(2,))


def test_rank_weights_weigh_the_ranks():
    loss = lambda *weights: float(
        gradient(TINY.replace(rank_weights=weights))[1]["loss"]
    )
    equal, first, second_more = loss(1.0, 1.0), loss(1.0, 0.0), loss(1.0, 3.0)
    second = 2 * equal - first
    assert abs(first - second) > 1e-3
    np.testing.assert_allclose(second_more, first / 4 + 3 * second / 4, rtol=1e-5)
    np.testing.assert_allclose(loss(), equal, rtol=1e-6)


def test_a_mixture_changes_the_instances_and_not_their_count():
    config = TINY.replace(mixture=BOTH)
    _, metrics = gradient(config)
    _, alone = gradient(TINY)
    assert float(metrics["loss"]) != float(alone["loss"])
    assert len(batch.parts_of(config)[0].families) == 2


def test_bfloat16_is_near_float32_and_gradients_stay_float32():
    grads, metrics = gradient(TINY.replace(compute_dtype="bfloat16"))
    exact, others = gradient(TINY)
    assert {leaf.dtype for leaf in jax.tree.leaves(grads)} == {jnp.dtype("float32")}
    assert 0 < distance(grads, exact) < 0.2
    np.testing.assert_allclose(metrics["loss"], others["loss"], rtol=0.05)


@pytest.mark.parametrize("name", ["adam", "adamw", "muon"])
def test_every_optimiser_lowers_the_loss_of_one_batch(name):
    config = TINY.replace(
        optimiser=name, weight_decay=0.0 if name == "adam" else 1e-4, ema_decay=0.9
    )
    state = init_state(config)
    run = jax.jit(lambda s: step.train_step(config, s, jax.random.key(1), 1000))
    losses = []
    for _ in range(12):
        state, metrics = run(state._replace(step=jnp.zeros((), jnp.int32)))
        losses.append(float(metrics["loss"]))
    assert losses[-1] < losses[0]
    assert distance(state.averaged, state.params) > 0


def test_muon_moves_stacked_matrices_by_orthogonal_updates():
    config = TINY.replace(optimiser="muon", learning_rate=1.0, warmup_steps=0)
    state = init_state(config)
    after, _ = jax.jit(functools.partial(step.train_step, config))(
        state, jax.random.key(1), 4
    )
    up = "blocks", "1_mlp", "mlp", "up"
    pick = lambda tree: functools.reduce(lambda node, name: node[name], up, tree)
    moved = np.asarray(pick(after.params) - pick(state.params))[0]
    # Of rank 2 with k = 2 registers; Newton-Schulz makes 0.7 to 1.2 of every value.
    values = np.linalg.svd(moved, compute_uv=False)
    assert values[1] > 0.5 * values[0]
    assert values[2] < 1e-4 * values[0]


def test_muon_cannot_hold_zeros():
    state = init_state(TINY)
    with pytest.raises(ConfigError, match="muon"):
        init_state(TINY.replace(optimiser="muon"), state.params)


def test_schedules_start_and_end_where_they_should():
    rates = {
        name: [
            float(learning_rate(TINY.replace(schedule=name), jnp.int32(s), 100))
            for s in (0, 50, 90, 100)
        ]
        for name in ("cosine", "wsd", "constant")
    }
    top, last = TINY.learning_rate, TINY.learning_rate * TINY.final_fraction
    np.testing.assert_allclose(rates["constant"], top, rtol=1e-6)
    np.testing.assert_allclose(rates["wsd"][:2], top, rtol=1e-6)
    assert last < rates["wsd"][2] < top
    np.testing.assert_allclose(rates["wsd"][3], last, rtol=1e-5)
    np.testing.assert_allclose(rates["cosine"][3], last, rtol=1e-5)


def test_the_average_forgets_the_start_and_is_none_without_decay():
    config = TINY.replace(ema_decay=0.99)
    assert moving_average(config, None, {"a": 1.0}, 3) is None
    first = moving_average(config, {"a": 0.0}, {"a": 1.0}, 0)
    np.testing.assert_allclose(first["a"], 0.9, rtol=1e-6)
    late = moving_average(config, {"a": 0.0}, {"a": 1.0}, 10_000)
    np.testing.assert_allclose(late["a"], 0.01, rtol=1e-4)


def test_a_limited_gradient_is_cut_per_register_and_never_nan():
    vectors = jnp.ones((3, 2, 4))
    scale = jnp.array([1e-3, 1e3, jnp.inf])[:, None, None]
    limited: Any = limited_gradient
    grads = jax.grad(lambda v: jnp.sum(limited(v, 1.0) * scale))(vectors)
    lengths = jnp.sqrt(jnp.sum(grads**2, axis=(1, 2)))
    np.testing.assert_allclose(lengths, [1e-3 * 8**0.5, 1.0, 0.0], rtol=1e-5)
    np.testing.assert_array_equal(limited_gradient(vectors, 1.0), vectors)


def test_heldout_scores_are_fixed_and_none_of_the_runs_instances():
    config = TINY.replace(eval_instances=6, shapes=((4, 8), (3, 6)))
    params = init_state(config).params
    first, again = Heldout(config)(params), Heldout(config)(params)
    assert first == again
    assert set(first["shapes"]) == {"d=4 N=8", "d=3 N=6"}
    losses = [one["loss"] for one in first["shapes"].values()]
    np.testing.assert_allclose(first["loss"], np.mean(losses), rtol=1e-6)
    assert len(first["cosine"]) == 2


@pytest.mark.long
def test_adaptive_mlps_change_constructed_weights_a_little():
    from spectral_tf.constructive.subspace import subspace_iteration
    from spectral_tf.model.transformer import predict

    config, params = subspace_iteration(2, 4, registers=3)
    given = Network(config, params)
    _, freed = with_adaptive_mlp(given, jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (30, 6))
    run = jax.jit(functools.partial(predict, config))
    before = run(params, x).eigenvalues
    after = run(freed, x).eigenvalues
    assert 0 < float(jnp.max(jnp.abs(after / before - 1))) < 0.2
    dense = ModelConfig(layout=Dense(dim=4))
    with pytest.raises(ConfigError, match="no gated MLP"):
        with_adaptive_mlp(
            Network(dense, init_state(TINY.replace(model=dense)).params),
            jax.random.key(0),
        )
