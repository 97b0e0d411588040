"""Kill -9 at random moments: what is resumed ends where an uninterrupted run does.

Run as a script this file is the child that is killed.
"""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from spectral_tf.config import TrainConfig
from spectral_tf.training.checkpoint import (
    CheckpointError,
    checkpoint_folders,
    restore_latest,
)
from spectral_tf.training.loop import pretrain
from tests.training.test_parallel import TINY

ROOT = Path(__file__).parents[2]
CONFIG = TINY.replace(
    model=TINY.model.replace(block=("cross",)),
    shapes=((3, 6),),
    steps_per_call=1,
    calls_per_save=1,
)


def train(config: TrainConfig, run: Path) -> None:
    """Begin, or go on from whatever is there."""
    is_begun = bool(checkpoint_folders(run))
    pretrain(config, run, resume=is_begun, devices=jax.devices()[:1])


def start(config, run, cache):
    """A process of its own; what it compiles is kept for the next one."""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    command = [sys.executable, __file__, json.dumps(config.to_dict()), str(run)]
    return subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )


def entries(run):
    root = run / "checkpoints"
    return {path.name for path in root.iterdir()} if root.is_dir() else set()


def wait_for_a_moment(child, run, draw):
    """Return at a moment to kill: while a checkpoint is written, or any other."""
    if draw.random() < 0.15:
        # Before or while it begins.
        time.sleep(draw.uniform(0.0, 2.0))
        return
    before, in_a_save = entries(run), draw.random() < 0.6
    skip = draw.randrange(3)
    while child.poll() is None:
        new = entries(run) - before
        is_hidden = [name.startswith(".") for name in new]
        if len(new) > skip and (any(is_hidden) or not in_a_save):
            time.sleep(draw.uniform(0.0, 0.15))
            return
        time.sleep(0.001)


def step_of_the_newest(run):
    """Of a verified checkpoint, or 0 if none was written; nothing is ever damaged."""
    if not checkpoint_folders(run):
        with pytest.raises(CheckpointError, match="no checkpoint"):
            restore_latest(run)
        return 0
    return int(restore_latest(run).state.step)


def kill_and_resume(num_kills, num_steps, folder, seed):
    """Kill a run again and again, let it end, compare it with one left alone."""
    config = CONFIG.replace(num_steps=num_steps)
    draw, run, cache = random.Random(seed), folder / "run", folder / "cache"
    reference = start(config, folder / "whole", cache)
    reached = []
    for _ in range(num_kills):
        child = start(config, run, cache)
        wait_for_a_moment(child, run, draw)
        child.kill()
        # Killed and not ended before: the test would prove nothing.
        assert child.wait() == -9, child.communicate()[1]
        child.communicate()
        reached.append(step_of_the_newest(run))
    assert reached == sorted(reached)
    assert 0 < reached[-1] < num_steps
    for one in (reference, start(config, run, cache)):
        complaint = one.communicate()[1]
        assert one.returncode == 0, complaint
    states = [restore_latest(one, config).state for one in (run, folder / "whole")]
    jax.tree.map(np.testing.assert_array_equal, *states)
    assert int(states[0].step) == num_steps
    lines = (run / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [*range(1, num_steps + 1)]
    assert not any(name.startswith(".") for name in entries(run))


@pytest.mark.slow
def test_three_kills(tmp_path):
    kill_and_resume(3, 16, tmp_path, seed=1)


@pytest.mark.long
def test_fifty_kills(tmp_path):
    kill_and_resume(50, 400, tmp_path, seed=2)


if __name__ == "__main__":
    train(TrainConfig.from_dict(json.loads(sys.argv[1])), Path(sys.argv[2]))
