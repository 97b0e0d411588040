"""Gradients over devices against one device: curves can agree by luck, these cannot."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spectral_tf.config import Channels, ConfigError, ModelConfig, TrainConfig
from spectral_tf.training import parallel, step
from spectral_tf.training.state import init_state, learning_rate, optimiser

TINY = TrainConfig(
    model=ModelConfig(
        num_components=2,
        num_blocks=1,
        block=("cross", "mlp"),
        mlp_width=4,
        layout=Channels(vectors=2, scalars=8),
    ),
    shapes=((4, 8),),
    batch_size=8,
    num_steps=4,
    steps_per_call=2,
    warmup_steps=1,
)


def device_gradients(config, kind, num_devices):
    """The gradient as a program over devices."""
    program = functools.partial(
        step.gradients, config, axis_name=parallel.AXIS, num_shards=num_devices
    )
    run = parallel.over_devices(program, kind, jax.devices()[:num_devices])
    grads, metrics = run(init_state(config), jax.random.key(1))
    return jax.tree.map(np.asarray, grads), float(metrics["loss"])


@pytest.fixture(scope="module")
def single():
    run = jax.jit(functools.partial(step.gradients, TINY))
    grads, metrics = run(init_state(TINY), jax.random.key(1))
    return jax.tree.map(np.asarray, grads), float(metrics["loss"])


def relative_difference(a, b):
    flat = lambda tree: np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)])
    return np.linalg.norm(flat(a) - flat(b)) / np.linalg.norm(flat(b))


@pytest.mark.parametrize("kind", ["pmap", "shard_map"])
@pytest.mark.parametrize("num_devices", [1, 2, 4])
def test_gradients_equal_those_of_one_device(kind, num_devices, single):
    grads, loss = device_gradients(TINY, kind, num_devices)
    assert relative_difference(grads, single[0]) <= 1e-5
    assert loss == pytest.approx(single[1], rel=1e-5)


def test_several_shapes_are_averaged_over_devices_too():
    config = TINY.replace(shapes=((4, 8), (3, 6)))
    run = jax.jit(functools.partial(step.gradients, config))
    grads, metrics = run(init_state(config), jax.random.key(1))
    other, loss = device_gradients(config, "pmap", 4)
    assert relative_difference(other, jax.tree.map(np.asarray, grads)) <= 1e-5
    assert loss == pytest.approx(float(metrics["loss"]), rel=1e-5)


@pytest.mark.parametrize("kind", ["pmap", "shard_map"])
def test_the_comparison_notices_a_missing_pmean(kind, single, monkeypatch):
    """Without the average every device would go its own way, silently."""
    monkeypatch.setattr(jax.lax, "pmean", lambda tree, _: tree)
    grads, _ = device_gradients(TINY, kind, 4)
    assert relative_difference(grads, single[0]) > 1e-2


@pytest.mark.parametrize("kind", ["pmap", "shard_map"])
def test_a_step_communicates_once(kind):
    """Gradient and metrics in one all-reduce, read from the compiled program."""
    config = TINY.replace(microbatches=2)
    program = functools.partial(
        step.train_step, config, axis_name=parallel.AXIS, num_shards=4
    )
    run = jax.jit(parallel.over_devices(program, kind, jax.devices()[:4]))
    arguments = init_state(config), jax.random.key(1), jnp.int32(4)
    compiled = str(run.lower(*arguments).compile().as_text())
    collectives = re.findall(r"(all-\w+|reduce-scatter|collective-\w+)\(", compiled)
    assert collectives == ["all-reduce"]


def test_pmap_and_shard_map_take_the_same_steps():
    results = []
    for kind in ("pmap", "shard_map"):
        config = TINY.replace(parallel=kind)
        run = parallel.parallel_steps(config, jax.devices()[:4])
        state, metrics = run(init_state(config), jax.random.key(1), jnp.int32(4))
        results.append(jax.tree.map(np.asarray, (state.params, metrics)))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7), *results
    )


def test_the_second_call_does_not_recompile():
    compiled = []

    def record(event: str, *_: object, **__: object) -> None:
        if "compile" in event:
            compiled.append(event)

    run = parallel.parallel_steps(TINY, jax.devices()[:2])
    state, key, horizon = init_state(TINY), jax.random.key(0), jnp.int32(4)
    jax.monitoring.register_event_duration_secs_listener(record)
    try:
        state, _ = run(state, key, horizon)
        jax.block_until_ready(state)
        assert compiled, "the listener hears nothing: this test would pass by accident"
        compiled.clear()
        state, metrics = run(state, key, jnp.int32(7))
        jax.block_until_ready(metrics)
        assert compiled == []
    finally:
        jax.monitoring.unregister_event_duration_listener(record)


def test_devices_that_do_not_divide_the_batch_are_refused():
    with pytest.raises(ConfigError, match="batch_size=6 must be a multiple of the 4"):
        parallel.parallel_steps(TINY.replace(batch_size=6), jax.devices()[:4])


def test_a_step_is_gradient_clipping_adam_and_the_schedule():
    """`train_step` against optax put together by hand."""
    state = init_state(TINY)
    new, metrics = jax.jit(functools.partial(step.train_step, TINY))(
        state, jax.random.key(1), 4
    )
    grads, _ = jax.jit(functools.partial(step.gradients, TINY))(
        state, jax.random.key(1)
    )
    updates, _ = optimiser(TINY).update(grads, state.opt_state)
    rate = float(learning_rate(TINY, jnp.int32(0), 4))
    want = jax.tree.map(lambda p, u: p - rate * u, state.params, updates)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7),
        new.params,
        want,
    )
    assert int(new.step) == 1
    assert metrics["cosine"].shape == (2,)
    assert float(metrics["learning_rate"]) == pytest.approx(rate)


def test_the_learning_rate_warms_up_and_falls_to_its_end():
    config = TINY.replace(
        warmup_steps=10, num_steps=100, steps_per_call=10, learning_rate=2.0
    )
    rate = lambda at, horizon=100: float(learning_rate(config, jnp.int32(at), horizon))
    assert rate(0) == pytest.approx(0.2)
    assert rate(9) == pytest.approx(2.0)
    assert rate(9, 50) == rate(9)
    assert rate(55) == pytest.approx(2.0 * (0.02 + 0.98 / 2))
    assert rate(100) == pytest.approx(0.04)
    assert rate(1000) == pytest.approx(0.04)
