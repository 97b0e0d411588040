"""Launchers of clusters, as far as processes of this machine can show; fewer hosts."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spectral_tf.training.checkpoint import restore_latest
from tests.training.test_distributed import (
    RUN,
    free_port,
    losses,
    start,
    wait_until,
)

CLUSTERS = Path(__file__).parents[2] / "benchmarks" / "clusters"
SRUN = """\
#!{python}
# What srun does for two tasks on one host.
import os, subprocess, sys
command = [word for word in sys.argv[1:] if not word.startswith("--kill-on-bad-exit")]
tasks = [
    subprocess.Popen(
        command,
        env=os.environ
        | {{
            "SLURM_JOB_ID": "{job}",
            "SLURM_STEP_NODELIST": "localhost",
            "SLURM_NTASKS": "2",
            "SLURM_PROCID": str(task),
            "SLURM_LOCALID": str(task),
        }},
    )
    for task in range(2)
]
sys.exit(max(task.wait() for task in tasks))
"""


def program(path, text):
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("script", ["pretrain.slurm", "tpu_vm.sh"])
def test_a_launcher_is_sound_and_refuses_to_guess(script):
    checked = subprocess.run(
        ["bash", "-n", CLUSTERS / script], capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    bare = subprocess.run(
        ["bash", CLUSTERS / script], capture_output=True, text=True, check=False
    )
    assert bare.returncode != 0
    assert f"usage: {'sbatch ' * (script == 'pretrain.slurm')}{script}" in bare.stderr


def test_the_words_of_a_run_survive_the_shell_of_the_other_side(tmp_path):
    seen = tmp_path / "seen.json"
    dump = "import json, sys; json.dump(sys.argv[1:], open(sys.argv[1], 'w'))"
    gcloud = program(
        tmp_path / "gcloud",
        f'#!/usr/bin/env bash\n"{sys.executable}" -c "{dump}" "{seen}" "$@"\n',
    )
    folder = tmp_path / "a run's folder"
    words = ["--table.source", "my table.csv", "--batch-size", "64"]
    subprocess.run(
        [CLUSTERS / "tpu_vm.sh", "slice", "zone", folder, *words],
        env=os.environ | {"GCLOUD": str(gcloud)},
        check=True,
    )
    sent = json.loads(seen.read_text())
    assert sent[1:7] == ["compute", "tpus", "tpu-vm", "ssh", "slice", "--zone"]
    assert "--worker=all" in sent
    # There, `pip` and `spectral-tf` are stand-ins.
    stands = tmp_path / "bin"
    stands.mkdir()
    program(stands / "pip", "#!/bin/sh\n")
    said = "import json, sys; print(json.dumps(sys.argv[1:]))"
    program(
        stands / "spectral-tf",
        f'#!/usr/bin/env bash\n"{sys.executable}" -c "{said}" "$@"\n',
    )
    path = f"{stands}:{os.environ['PATH']}"

    def there():
        done = subprocess.run(
            ["bash", "-c", sent[sent.index("--command") + 1]],
            env=os.environ | {"PATH": path},
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    run = ["pretrain", "--distributed", "--run-dir", str(folder), *words]
    assert there() == run
    (folder / "checkpoints").mkdir(parents=True)
    assert there() == [*run, "--resume"]


@pytest.mark.long
def test_the_slurm_script_runs_and_goes_on(tmp_path):
    """Submitted twice: the second time it resumes, and has nothing left to do."""
    job = free_port()
    program(tmp_path / "srun", SRUN.format(python=sys.executable, job=job))
    environment = os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHON": sys.executable,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=1",
    }
    folder = tmp_path / "run"
    command = [CLUSTERS / "pretrain.slurm", folder, *RUN]
    for _ in range(2):
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    alone = start(tmp_path / "one", 2)
    _, error = alone.communicate(timeout=150)
    assert alone.returncode == 0, error
    assert losses(folder) == pytest.approx(losses(tmp_path / "one"), rel=1e-5)


SHORT = ["--num-steps", "60", "--calls-per-save", "5"]


def start_all(count, folder, *more):
    """The processes of a run, one device each."""
    address = f"127.0.0.1:{free_port()}"
    by_hand = ["--coordinator", address, "--num-processes", str(count), *SHORT, *more]
    return [
        start(folder, 1, *by_hand, "--process-id", str(index)) for index in range(count)
    ]


@pytest.mark.long
def test_four_processes_lose_one_and_two_go_on(tmp_path):
    """The data of a step do not depend on how many draw them: the run ends as it would.

    To rounding: two devices add the same gradients in another order.
    """
    folder = tmp_path / "run"
    four = start_all(4, folder)
    wait_until((folder / "checkpoints" / "00000010").is_dir, 400)
    four[3].send_signal(signal.SIGKILL)
    for process in four:
        process.communicate(timeout=150)
    assert all(process.returncode != 0 for process in four)
    assert 10 <= int(restore_latest(folder).state.step) < 60
    for process in start_all(2, folder, "--resume"):
        _, error = process.communicate(timeout=300)
        assert process.returncode == 0, error
    whole = start(tmp_path / "one", 2, *SHORT)
    _, error = whole.communicate(timeout=300)
    assert whole.returncode == 0, error
    states = [restore_latest(f).state for f in (folder, tmp_path / "one")]
    assert [int(state.step) for state in states] == [60, 60]
    # Losses of every call, those before a process was lost included. Parameters are no
    # measure: Adam makes a step of full size of a gradient that is rounding alone.
    assert losses(folder) == pytest.approx(losses(tmp_path / "one"), rel=1e-3)
