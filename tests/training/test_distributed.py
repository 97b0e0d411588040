"""Two processes on loopback are one run: the numbers of one process of two devices."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from spectral_tf.config import ConfigError
from spectral_tf.training.checkpoint import restore_latest
from spectral_tf.training.distributed import join

RUN = ["--shapes", "4", "8", "--batch-size", "8", "--num-steps", "6"]
RUN += ["--steps-per-call", "2", "--warmup-steps", "1", "--model.num-blocks", "1"]
RUN += ["--model.num-components", "2", "--calls-per-save", "1"]


def start(folder, devices, *more):
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", "spectral_tf.apps.cli", "pretrain", "--json"]
    return subprocess.Popen(
        [*command, "--run-dir", str(folder), *RUN, *more],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def losses(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.mark.slow
def test_two_processes_give_the_numbers_of_two_devices(tmp_path):
    address = f"127.0.0.1:{free_port()}"
    by_hand = ["--coordinator", address, "--num-processes", "2", "--process-id"]
    both = [start(tmp_path / "two", 1, *by_hand, str(index)) for index in range(2)]
    for one in both:
        _, error = one.communicate(timeout=400)
        assert one.returncode == 0, error
    alone = start(tmp_path / "one", 2)
    _, error = alone.communicate(timeout=300)
    assert alone.returncode == 0, error
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)


LONG_RUN = ["--num-steps", "600", "--calls-per-save", "10"]


def start_both(folder, *more):
    """The two processes of a run."""
    by_hand = ["--coordinator", f"127.0.0.1:{free_port()}", "--num-processes", "2"]
    both = [*by_hand, *more, "--process-id"]
    return [start(folder, 1, *both, str(index)) for index in range(2)]


def wait_until(is_so, seconds):
    """Wait for what must come to pass."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Where a run of two processes ended that nothing happened to."""
    folder = tmp_path_factory.mktemp("run") / "undisturbed"
    for one in start_both(folder, *LONG_RUN):
        _, error = one.communicate(timeout=400)
        assert one.returncode == 0, error
        assert "was lost" not in error
    return restore_latest(folder)


@pytest.mark.long
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("lost", [0, 1])
def test_a_lost_process_stops_the_other_and_the_run_resumes(
    lost, how, undisturbed, tmp_path
):
    folder = tmp_path / "run"
    both = start_both(folder, *LONG_RUN)
    checkpoint = folder / "checkpoints" / "00000100"
    wait_until(checkpoint.is_dir, 120)
    both[lost].send_signal(how)
    _, said = both[1 - lost].communicate(timeout=120)
    both[lost].kill()  # one that is stopped
    both[lost].communicate()
    assert both[1 - lost].returncode not in (0, None)
    lines = [line for line in said.splitlines() if "was lost" in line]
    assert len(lines) == 1, said
    assert lines[0].startswith(f"spectral-tf: process {1 - lost} of 2 stops")
    assert lines[0].endswith(f"spectral-tf pretrain --run-dir {folder} --resume")
    assert 100 <= int(restore_latest(folder).state.step) < 600
    for one in start_both(folder, *LONG_RUN, "--resume"):
        _, error = one.communicate(timeout=400)
        assert one.returncode == 0, error
    states = [run.state for run in (restore_latest(folder), undisturbed)]
    assert int(states[0].step) == 600
    jax.tree.map(np.testing.assert_array_equal, *states)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((False, "127.0.0.1:1", None, None), "give all three"),
        ((True, "127.0.0.1:1", 2, None), "give all three"),
        ((False, "127.0.0.1:1", 2, 2), r"process_id=2 must lie in 0\.\.1"),
    ],
)
def test_half_a_description_of_the_processes_is_refused(given, said):
    with pytest.raises(ConfigError, match=said):
        join(*given)


def test_nothing_is_joined_without_being_asked():
    join(False)
