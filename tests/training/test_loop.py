"""Runs that stop, resume, fail and are tampered with."""

import json
import os
import signal

import jax
import numpy as np
import pytest

from spectral_tf.config import ConfigError, TrainConfig
from spectral_tf.training import checkpoint, loop
from spectral_tf.training.checkpoint import (
    CheckpointError,
    DamagedCheckpointWarning,
    checkpoint_folders,
    fault_of,
    restore_best,
    restore_latest,
)
from spectral_tf.training.heldout import Heldout
from spectral_tf.training.loop import (
    Interrupted,
    NonFiniteError,
    Preempted,
    pretrain,
)
from spectral_tf.training.parallel import parallel_steps
from tests.training.test_parallel import TINY

ONE = jax.devices()[:1]
CONFIG = TINY.replace(
    model=TINY.model.replace(block=("cross",)),
    shapes=((3, 6),),
    num_steps=6,
    steps_per_call=1,
    calls_per_save=2,
)


HOST = ("num_steps", "calls_per_save", "calls_per_eval", "keep_checkpoints")


@pytest.fixture(scope="module", autouse=True)
def one_program():
    """Runs that differ on the host alone share a program: compiling takes seconds."""
    same = {name: getattr(CONFIG, name) for name in HOST}
    shared = lambda config, devices: parallel_steps(config.replace(**same), devices)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "parallel_steps", shared)
        yield shared


def logged(run):
    """The lines of metrics.jsonl."""
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def numbers(run):
    """What does not depend on the clock, line by line."""
    clock = {"seconds", "instances_per_second"}
    return [{k: v for k, v in line.items() if k not in clock} for line in logged(run)]


def equal_bits(a, b):
    states = (getattr(result, "state", result) for result in (a, b))
    jax.tree.map(np.testing.assert_array_equal, *states)


def on_step(step, action):
    """A watcher that acts once, at a step."""
    return lambda progress: action() if progress.step == step else None


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run: its folder and its final state."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    return folder, jax.device_get(pretrain(CONFIG, folder, devices=ONE))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_and_resumed_equals_uninterrupted_bit_for_bit(number, whole, tmp_path):
    run = tmp_path / "run"
    stop = on_step(3, lambda: os.kill(os.getpid(), number))
    words = r"step 3 of 6.*--run-dir .*run --resume"
    with pytest.raises(Interrupted, match=words) as seen:
        pretrain(CONFIG, run, on_call=stop, devices=ONE)
    assert isinstance(seen.value, Preempted) == (number == signal.SIGTERM)
    assert int(restore_latest(run).state.step) == 3
    state = pretrain(CONFIG, run, resume=True, devices=ONE)
    equal_bits(jax.device_get(state), whole[1])
    assert numbers(run) == numbers(whole[0])
    assert [line["step"] for line in logged(run)] == [1, 2, 3, 4, 5, 6]


def test_a_crash_between_saves_logs_again_what_it_does_again(whole, tmp_path):
    run = tmp_path / "run"

    def crash():
        raise OSError("power cut")

    with pytest.raises(OSError, match="power cut"):
        pretrain(CONFIG, run, on_call=on_step(3, crash), devices=ONE)
    assert int(restore_latest(run).state.step) == 2
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 1, "hori')
    state = pretrain(CONFIG, run, resume=True, devices=ONE)
    equal_bits(jax.device_get(state), whole[1])
    assert numbers(run) == numbers(whole[0])


def test_what_a_run_leaves_behind(whole):
    folder, state = whole
    names = [path.name for path in checkpoint_folders(folder)]
    assert names == ["00000006", "00000004", "00000002"]
    assert all(fault_of(path) is None for path in checkpoint_folders(folder))
    restored = restore_latest(folder, CONFIG)
    equal_bits(restored.state, state)
    assert restored.config == CONFIG
    assert {"jax", "flax", "optax"} <= set(restored.meta["versions"])
    stored = json.loads((folder / "config.json").read_text())
    assert TrainConfig.from_dict(stored) == CONFIG
    line = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert {"loss", "cosine", "grad_norm", "instances_per_second"} <= set(line)


def flip_a_byte(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("victim", ["state", "meta.json", "manifest.json"])
def test_a_damaged_checkpoint_is_noticed_and_the_one_before_used(victim, tmp_path):
    run = tmp_path / "run"
    pretrain(CONFIG.replace(num_steps=4), run, devices=ONE)
    newest = checkpoint_folders(run)[0]
    if victim == "state":
        files = [path for path in (newest / "state").rglob("*") if path.is_file()]
        flip_a_byte(max(files, key=lambda path: path.stat().st_size))
    elif victim == "meta.json":
        (newest / victim).unlink()
    else:
        (newest / victim).write_text("{")
    with pytest.warns(
        DamagedCheckpointWarning, match=f"00000004 is damaged: .*{victim}"
    ):
        restored = restore_latest(run)
    assert int(restored.state.step) == 2


def test_when_every_checkpoint_is_damaged_it_says_so(tmp_path):
    run = tmp_path / "run"
    pretrain(CONFIG.replace(num_steps=2), run, devices=ONE)
    (checkpoint_folders(run)[0] / "manifest.json").unlink()
    with (
        pytest.warns(DamagedCheckpointWarning),
        pytest.raises(CheckpointError, match=r"1 checkpoint in .*, all damaged"),
    ):
        restore_latest(run)


def test_an_empty_numbered_folder_does_not_count(tmp_path):
    run = tmp_path / "run"
    pretrain(CONFIG.replace(num_steps=2), run, devices=ONE)
    (run / "checkpoints" / "00000009").mkdir()
    with pytest.warns(DamagedCheckpointWarning, match="00000009"):
        assert int(restore_latest(run).state.step) == 2


def test_only_the_last_checkpoints_are_kept(tmp_path):
    config = CONFIG.replace(num_steps=5, calls_per_save=1, keep_checkpoints=2)
    pretrain(config, tmp_path / "run", devices=ONE)
    names = [path.name for path in checkpoint_folders(tmp_path / "run")]
    assert names == ["00000005", "00000004"]


def test_a_run_is_never_overwritten(whole):
    with pytest.raises(CheckpointError, match="holds a run already; resume it"):
        pretrain(CONFIG, whole[0], devices=ONE)
    other = CONFIG.replace(learning_rate=0.5)
    with pytest.raises(CheckpointError, match="fields differ: learning_rate"):
        pretrain(other, whole[0], resume=True, devices=ONE)


def test_nothing_to_resume(tmp_path):
    with pytest.raises(CheckpointError, match="start the run without resume"):
        pretrain(CONFIG, tmp_path, resume=True, devices=ONE)
    with pytest.raises(ConfigError, match="resume=True needs run_dir"):
        pretrain(CONFIG, resume=True, devices=ONE)


def test_a_folder_that_cannot_be_written_is_an_error_of_its_own(tmp_path):
    run = tmp_path / "run"
    block = on_step(1, lambda: (run / "checkpoints").write_text("in the way"))
    with pytest.raises(CheckpointError, match=r"cannot write checkpoint .*00000002"):
        pretrain(CONFIG, run, on_call=block, devices=ONE)


@pytest.mark.parametrize("ahead", [0, 1])
def test_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(
    ahead, tmp_path, monkeypatch, one_program
):
    def poisoned(config, devices):
        """Weights that become NaN after step 3; the real program does the rest."""
        run = one_program(config, devices)

        def steps(state, key, horizon):
            if int(state.step) == 3:
                nan = jax.tree.map(lambda leaf: leaf * np.nan, state.params)
                state = state._replace(params=nan)
            return run(state, key, horizon)

        return steps

    monkeypatch.setattr(loop, "parallel_steps", poisoned)
    monkeypatch.setattr(loop, "calls_ahead", lambda _: ahead)
    config = CONFIG.replace(calls_per_save=1)
    with pytest.raises(NonFiniteError, match=r"step 4 is not finite: loss=nan.*norm="):
        pretrain(config, tmp_path / "run", devices=ONE)
    restored = restore_latest(tmp_path / "run")
    assert int(restored.state.step) == 3
    leaves = jax.tree.leaves(restored.state.params)
    assert all(np.all(np.isfinite(leaf)) for leaf in leaves)


def test_a_call_ahead_changes_nothing(whole, tmp_path, monkeypatch):
    """As on an accelerator: the metrics of a call come when the next is under way."""
    assert loop.calls_ahead(ONE) == 0
    monkeypatch.setattr(loop, "calls_ahead", lambda _: 1)
    most, steps = [], loop.parallel_steps

    def counting(config, devices):
        run, begun = steps(config, devices), []
        finish = loop.check_finite

        def one(*arguments):
            begun.append(1)
            most.append(len(begun))
            return run(*arguments)

        def done(*arguments):
            begun.pop()
            finish(*arguments)

        monkeypatch.setattr(loop, "check_finite", done)
        return one

    monkeypatch.setattr(loop, "parallel_steps", counting)
    config = CONFIG.replace(calls_per_save=3)
    state = pretrain(config, tmp_path / "run", devices=ONE)
    assert max(most) == 2
    equal_bits(jax.device_get(state), whole[1])
    assert numbers(tmp_path / "run") == numbers(whole[0])
    names = [path.name for path in checkpoint_folders(tmp_path / "run")]
    assert names == ["00000006", "00000003"]


def test_a_stop_with_a_call_ahead_saves_the_last_call(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "calls_ahead", lambda _: 1)
    config, run = CONFIG.replace(calls_per_save=0), tmp_path / "run"
    stop = on_step(3, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Preempted, match="step 4 of 6"):
        pretrain(config, run, on_call=stop, devices=ONE)
    assert [line["step"] for line in logged(run)] == [1, 2, 3, 4]
    state = pretrain(config, run, resume=True, devices=ONE)
    equal_bits(jax.device_get(state), whole[1])


def test_another_number_of_devices_goes_on_with_the_same_curve(whole, tmp_path):
    run = tmp_path / "run"
    stop = on_step(3, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Preempted):
        pretrain(CONFIG, run, on_call=stop, devices=jax.devices()[:2])
    state = pretrain(CONFIG, run, resume=True, devices=ONE)
    curves = [[line["loss"] for line in logged(one)] for one in (run, whole[0])]
    np.testing.assert_allclose(*curves, rtol=1e-4)
    # Not the weights: Adam divides rounding by rounding where a gradient is nearly 0.
    assert int(state.step) == 6


def scores_of(losses, seen):
    """An evaluator that gives these losses in turn."""
    left = iter(losses)

    def evaluate(params):
        seen.append(params)
        return {"loss": next(left), "cosine": [1.0, 0.5]}

    return lambda _: evaluate


def test_evaluations_are_logged_and_the_best_is_kept(tmp_path, monkeypatch):
    seen, progress, run = [], [], tmp_path / "run"
    monkeypatch.setattr(loop, "_evaluator", scores_of([0.5, 0.1, 0.9, 0.3], seen))
    config = CONFIG.replace(
        num_steps=10, calls_per_eval=3, calls_per_save=1, keep_checkpoints=2
    )
    state = pretrain(config, run, on_call=progress.append, devices=ONE)
    scored = {
        line["step"]: line["heldout"] for line in logged(run) if "heldout" in line
    }
    assert {step: one["loss"] for step, one in scored.items()} == {
        3: 0.5,
        6: 0.1,
        9: 0.9,
        10: 0.3,
    }
    assert [one.step for one in progress if one.heldout] == [3, 6, 9, 10]
    assert progress[-1].heldout == scored[10]
    equal_bits(seen[-1], state.params)
    names = [path.name for path in checkpoint_folders(run)]
    assert names == ["00000010", "00000009", "00000006"]
    best = restore_best(run)
    assert best.meta["heldout"] == scored[6]
    equal_bits(best.state.params, seen[1])


@pytest.mark.long
def test_the_scores_are_those_of_the_held_out_instances(tmp_path):
    config = CONFIG.replace(num_steps=2, calls_per_eval=2, eval_instances=4)
    state = pretrain(config, tmp_path / "run", devices=ONE)
    scores = Heldout(config)(jax.device_get(state.averaged))
    assert restore_best(tmp_path / "run").meta["heldout"] == scores


def test_a_resumed_run_knows_the_best_and_saves_it_whatever_its_step(
    tmp_path, monkeypatch
):
    run = tmp_path / "run"
    config = CONFIG.replace(num_steps=8, calls_per_eval=2, calls_per_save=0)
    monkeypatch.setattr(loop, "_evaluator", scores_of([0.2], []))
    stop = on_step(3, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Preempted):
        pretrain(config, run, on_call=stop, devices=ONE)
    monkeypatch.setattr(loop, "_evaluator", scores_of([0.3, 0.1, 0.4], []))
    pretrain(config, run, resume=True, devices=ONE)
    names = [path.name for path in checkpoint_folders(run)]
    assert names == ["00000008", "00000006", "00000003"]
    assert int(restore_best(run).state.step) == 6


def test_seconds_and_instances_add_up_over_resumes(tmp_path):
    run = tmp_path / "run"
    stop = on_step(3, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(Interrupted):
        pretrain(CONFIG, run, on_call=stop, devices=ONE)
    first = restore_latest(run).meta
    pretrain(CONFIG, run, resume=True, devices=ONE)
    second = restore_latest(run).meta
    assert second["seconds"] > first["seconds"] > 0
    assert (first["instances"], second["instances"]) == (24, 48)


def test_a_failed_write_ends_the_run_at_the_next_call(tmp_path, monkeypatch):
    run, write = tmp_path / "run", checkpoint._write

    def full_at_4(temporary, state, meta):
        if meta["step"] == 4:
            raise OSError("No space left on device")
        write(temporary, state, meta)

    monkeypatch.setattr(checkpoint, "_write", full_at_4)
    with pytest.raises(CheckpointError, match=r"00000004: No space"):
        pretrain(CONFIG, run, devices=ONE)
    assert [path.name for path in checkpoint_folders(run)] == ["00000002"]
    monkeypatch.setattr(checkpoint, "_write", write)
    assert int(pretrain(CONFIG, run, resume=True, devices=ONE).step) == 6


def test_a_stop_that_cannot_save_does_not_claim_to(tmp_path, monkeypatch):
    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpoint, "_write", full)
    stop = on_step(1, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(CheckpointError, match="No space"):
        pretrain(CONFIG, tmp_path / "run", on_call=stop, devices=ONE)


def test_a_log_that_cannot_be_written_is_explained(tmp_path):
    run = tmp_path / "run"

    def block():
        (run / "metrics.jsonl").unlink()
        (run / "metrics.jsonl").mkdir()

    with pytest.raises(CheckpointError, match=r"metrics.jsonl.*free some space"):
        pretrain(CONFIG, run, on_call=on_step(1, block), devices=ONE)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="choose another run folder"):
        pretrain(CONFIG, tmp_path / "file" / "run", devices=ONE)


def test_a_time_limit_sets_the_horizon_and_a_resume_keeps_it(tmp_path):
    config = CONFIG.replace(num_steps=10**6, calls_per_save=0)
    seen = []
    state = pretrain(
        config, tmp_path / "run", max_seconds=1.0, on_call=seen.append, devices=ONE
    )
    assert 2 <= int(state.step) < 10**6
    assert seen[-1].horizon == int(state.step)
    assert seen[-1].seconds < 10
    assert restore_latest(tmp_path / "run").meta["horizon"] == int(state.step)


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    state = pretrain(CONFIG.replace(num_steps=2), devices=ONE)
    assert int(state.step) == 2
    assert list(tmp_path.iterdir()) == []
