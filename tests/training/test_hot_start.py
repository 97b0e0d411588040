"""Runs that start from given weights: same answers at step 0, then trained."""

import functools
import os
import shlex
import signal
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spectral_tf.apps.cli import main
from spectral_tf.config import ModelConfig, TrainConfig
from spectral_tf.constructive.power_method import power_method_params
from spectral_tf.model.network import Network
from spectral_tf.model.params import ParamsError, flatten_params, save_weights, unroll
from spectral_tf.model.transformer import predict
from spectral_tf.spectra import abs_cosine
from spectral_tf.training import batch, step
from spectral_tf.training.checkpoint import restore_latest
from spectral_tf.training.hot_start import NORM_EPS, trainable
from spectral_tf.training.loop import Interrupted, pretrain
from spectral_tf.training.state import init_state
from tests.training.test_loop import ONE, equal_bits

DIM, K, ITERS = 3, 2, 1


class Start(NamedTuple):
    """A construction as it is written down, and the run that starts from it."""

    model: ModelConfig
    written: Any
    config: TrainConfig
    params: Any


@functools.cache
def start_of(variant):
    model, written = power_method_params(DIM, K, ITERS, variant)
    ready, params = trainable(Network(model, written))
    config = TrainConfig(
        model=ready,
        shapes=((DIM, 8),),
        batch_size=4,
        num_steps=4,
        steps_per_call=1,
        calls_per_save=1,
        warmup_steps=0,
    )
    return Start(model, written, config, params)


@functools.cache
def first_batch(variant):
    """What the run sees at step 0."""
    config = start_of(variant).config
    key = jax.random.fold_in(jax.random.key(config.seed), 0)
    drawn = batch.Draw(key, 0, 0.0)
    part = batch.parts_of(config)[0]
    return batch.draw(part, drawn, jnp.arange(config.batch_size))


@functools.partial(jax.jit, static_argnums=0)
def answers(model, params, x):
    return jax.vmap(lambda one: predict(model, params, one))(x)


both = pytest.mark.parametrize("variant", ["rms", "register"])
one_by_default = pytest.mark.parametrize(
    "variant", [pytest.param("rms", marks=pytest.mark.long), "register"]
)


@both
def test_the_first_state_gives_the_answers_of_the_construction_bit_for_bit(variant):
    start, x = start_of(variant), first_batch(variant).x
    state = init_state(start.config, start.params)
    want = answers(start.model, start.written, x)
    equal_bits(answers(start.config.model, state.params, x), want)
    equal_bits(state.params, start.params)


@one_by_default
def test_step_0_has_the_loss_of_the_construction_and_a_gradient(variant):
    start, batch = start_of(variant), first_batch(variant)
    state = init_state(start.config, start.params)
    run = jax.jit(functools.partial(step.gradients, start.config))
    grads, metrics = run(state, jax.random.key(start.config.seed))
    found = answers(start.model, start.written, batch.x).eigenvectors
    cosine = np.asarray(abs_cosine(found, batch.eigenvectors))
    np.testing.assert_allclose(metrics["cosine"], cosine.mean(axis=0), atol=1e-5)
    assert float(metrics["loss"]) == pytest.approx(np.mean(1 - cosine**2), abs=1e-5)
    flat = flatten_params(grads)
    assert all(np.all(np.isfinite(leaf)) for leaf in flat.values())
    for role in ("query", "key", "value", "out"):
        assert np.any(flat[f"blocks/0_attention/attention/{role}"] != 0), role
    assert np.any(flat["blocks/1_mlp/mlp/up_kernel"] != 0)


@pytest.mark.slow
@one_by_default
def test_a_tiny_step_hardly_changes_the_answer_and_holds_the_zeros(variant):
    start, x = start_of(variant), first_batch(variant).x
    config = start.config.replace(num_steps=1, learning_rate=1e-7)
    state = pretrain(config, init_params=start.params, devices=ONE)
    after = jax.tree.map(jnp.asarray, jax.device_get(state.params))
    want = answers(start.model, start.written, x).eigenvectors
    found = answers(config.model, after, x).eigenvectors
    assert np.min(abs_cosine(found, want)) > 0.999
    old, new = flatten_params(start.params), flatten_params(after)
    assert any(np.any(old[path] != new[path]) for path in old)
    assert all(np.all(new[path][old[path] == 0] == 0) for path in old)


@pytest.mark.slow
def test_zeros_move_when_they_are_not_held():
    start = start_of("rms")
    zeros = lambda params: sum(int(np.sum(x == 0)) for x in jax.tree.leaves(params))
    run = jax.jit(functools.partial(step.train_step, start.config))
    count = {}
    for hold in (True, False):
        state = init_state(start.config, start.params, hold_zeros=hold)
        count[hold] = zeros(run(state, jax.random.key(0), 4)[0].params)
    assert count[True] == zeros(start.params) > count[False]


def test_fresh_parameters_are_never_held():
    config = start_of("rms").config
    state = init_state(config)
    assert np.any(state.params["embed_bias"] == 0)
    ones = jax.tree.map(jnp.ones_like, state.params)
    equal_bits(step.free_gradients(config, state, ones), ones)


def test_trainable_unrolls_a_schedule_and_leaves_other_networks_alone():
    start = start_of("rms")
    assert start.config.model.schedule is None
    assert start.config.model.norm_eps == NORM_EPS > start.model.norm_eps
    equal_bits(start.params, unroll(Network(start.model, start.written)).params)
    model = ModelConfig(num_blocks=2, looped=True)
    assert trainable(Network(model, {})).config == model


def other_k(params):
    del params
    return trainable(power_method_params(DIM, 1, ITERS, "rms")).params


def without_registers(params):
    return {name: leaf for name, leaf in params.items() if name != "registers"}


def of_half_precision(params):
    return params | {"registers": np.asarray(params["registers"], np.float16)}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (other_k, r"registers has shape \(1, \d+\), expected \(2, \d+\)"),
        (without_registers, "do not fit the model: missing registers. Build them with"),
        (of_half_precision, "registers has dtype float16, expected float32"),
    ],
)
def test_weights_that_do_not_fit_are_refused(spoil, message, tmp_path):
    start = start_of("rms")
    with pytest.raises(ParamsError, match=message):
        pretrain(start.config, tmp_path / "run", init_params=spoil(start.params))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_stopped_and_resumed_equals_uninterrupted_bit_for_bit(tmp_path):
    start = start_of("rms")
    config, hot = start.config, {"init_params": start.params, "devices": ONE}
    whole = jax.device_get(pretrain(config, **hot))

    def stop(progress):
        if progress.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted):
        pretrain(config, tmp_path, on_call=stop, **hot)
    assert int(restore_latest(tmp_path).state.step) == 2
    # What is given at a resume is not looked at.
    hot["init_params"] = {"not": "weights"}
    equal_bits(jax.device_get(pretrain(config, tmp_path, resume=True, **hot)), whole)


SIZES = shlex.split(
    "--num-steps 2 --steps-per-call 1 --warmup-steps 0 --batch-size 4 "
    f"--model.num-components {K}"
)


def command(capsys, tmp_path, text, sizes=SIZES):
    """Exit code and the last line on stderr of `spectral-tf pretrain`."""
    run = ["pretrain", "--run-dir", str(tmp_path / "run"), *sizes]
    code = main([*run, *shlex.split(text)])
    return code, capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.slow
def test_the_command_constructs_and_resumes(capsys, tmp_path):
    hot = f"--init constructed --init-iters {ITERS} --shapes {DIM} 8"
    assert command(capsys, tmp_path, hot)[0] == 0
    restored = restore_latest(tmp_path / "run")
    model, params = trainable(power_method_params(DIM, K, ITERS, "rms"))
    assert restored.config.model == model
    old, new = flatten_params(params), flatten_params(restored.state.params)
    assert all(np.max(np.abs(new[path] - old[path])) < 0.01 for path in old)
    assert command(capsys, tmp_path, "--resume", [])[0] == 0
    assert command(capsys, tmp_path, f"{hot} --resume")[0] == 0
    code, line = command(capsys, tmp_path, hot)
    assert code == 2
    assert "holds a run already" in line


def test_the_command_starts_from_a_folder_of_weights(capsys, tmp_path):
    start = start_of("rms")
    save_weights(tmp_path / "w", Network(start.model, start.written))
    where = f"--init-weights {tmp_path / 'w'} --shapes {DIM} 8"
    assert command(capsys, tmp_path, where)[0] == 0
    assert restore_latest(tmp_path / "run").config.model == start.config.model


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--shapes 3 8 4 8", "shapes has d=3, 4, but constructed weights are for one"),
        ("--shapes 3 8 --init-variant cube", "unknown variant 'cube'"),
        ("--shapes 3 8 --init-iters 0", "num_iters=0 must be >= 1"),
        ("--shapes 3 8 --init-weights w", "--init-weights w both give the first"),
        ("--shapes 3 8 --model.num-blocks 5", "--model.num-blocks would be ignored"),
    ],
)
def test_a_start_that_cannot_be_is_one_clear_line(flags, message, capsys, tmp_path):
    code, line = command(capsys, tmp_path, f"--init constructed {flags}")
    assert code == 2
    assert line.startswith("spectral-tf: ")
    assert message in line
    assert not (tmp_path / "run").exists()


def test_weights_for_another_d_are_refused(capsys, tmp_path):
    start = start_of("rms")
    save_weights(tmp_path / "w", Network(start.model, start.written))
    code, line = command(
        capsys, tmp_path, f"--init-weights {tmp_path / 'w'} --shapes 4 8"
    )
    assert code == 2
    assert "made for dim=3 only" in line
