"""Runs that stop, resume, fail and are tampered with."""

import json
import os
import signal

import jax
import numpy as np
import pytest

from spectral_tf.config import ConfigError, TrainConfig
from spectral_tf.training.checkpoint import (
    CheckpointError,
    DamagedCheckpointWarning,
    checkpoint_folders,
    fault_of,
    restore_latest,
)
from spectral_tf.training.loop import Interrupted, NonFiniteError, pretrain
from tests.training.test_parallel import TINY

ONE = jax.devices()[:1]
CONFIG = TINY.replace(shapes=((3, 6),), num_steps=6, steps_per_call=1, calls_per_save=2)


def equal_bits(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


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
    with pytest.raises(Interrupted, match=r"step 3 of 6.*--run-dir .*run --resume"):
        pretrain(CONFIG, run, on_call=stop, devices=ONE)
    assert int(restore_latest(run).state.step) == 3
    state = pretrain(CONFIG, run, resume=True, devices=ONE)
    equal_bits(jax.device_get(state), whole[1])
    steps = lambda folder: [
        json.loads(line)["step"]
        for line in (folder / "metrics.jsonl").read_text().splitlines()
    ]
    assert steps(run) == steps(whole[0]) == [1, 2, 3, 4, 5, 6]


def test_a_crash_between_saves_logs_again_what_it_does_again(whole, tmp_path):
    run = tmp_path / "run"

    def crash():
        raise OSError("power cut")

    with pytest.raises(OSError, match="power cut"):
        pretrain(CONFIG, run, on_call=on_step(3, crash), devices=ONE)
    assert int(restore_latest(run).state.step) == 2
    state = pretrain(CONFIG, run, resume=True, devices=ONE)
    equal_bits(jax.device_get(state), whole[1])
    lines = (run / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 5, 6]


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
        pytest.raises(CheckpointError, match=r"all 1 checkpoints .* are damaged"),
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


def test_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(tmp_path):
    config = CONFIG.replace(learning_rate=5e18, warmup_steps=5, calls_per_save=1)
    with pytest.raises(NonFiniteError, match=r"step \d+ is not finite: loss=.*norm="):
        pretrain(config, tmp_path / "run", devices=ONE)
    restored = restore_latest(tmp_path / "run")
    leaves = jax.tree.leaves(restored.state.params)
    assert all(np.all(np.isfinite(leaf)) for leaf in leaves)


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
    state = pretrain(CONFIG.replace(num_steps=1, warmup_steps=0), devices=ONE)
    assert int(state.step) == 1
    assert list(tmp_path.iterdir()) == []
