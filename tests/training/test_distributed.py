"""Two processes on loopback are one run: the numbers of one process of two devices."""

import json
import os
import socket
import subprocess
import sys

import pytest

from spectral_tf.config import ConfigError
from spectral_tf.training.distributed import join

RUN = ["--shapes", "4", "8", "--batch-size", "8", "--num-steps", "6"]
RUN += ["--steps-per-call", "2", "--warmup-steps", "1", "--model.num-blocks", "1"]
RUN += ["--model.num-components", "2", "--calls-per-save", "1"]


def start(folder, devices, *more):
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", "spectral_tf.cli", "pretrain", "--json"]
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
        _, error = one.communicate(timeout=150)
        assert one.returncode == 0, error
    alone = start(tmp_path / "one", 2)
    _, error = alone.communicate(timeout=100)
    assert alone.returncode == 0, error
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)


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
