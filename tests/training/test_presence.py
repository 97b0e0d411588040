"""How a run ended is seen at once, however it ended."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from spectral_tf.apps.watch.read import read_run
from spectral_tf.training.loop import pretrain
from spectral_tf.training.presence import PROCESS, RunLock, presence
from spectral_tf.training.stopping import Interrupted
from tests.training.test_parallel import TINY

REPOSITORY = Path(__file__).parents[2]
CONFIG = TINY.replace(num_steps=8, steps_per_call=2)
HOLDS = """
import sys, time
from pathlib import Path
from spectral_tf.training.presence import RunLock
RunLock(Path(sys.argv[1])).hold()
print("held", flush=True)
time.sleep(600)
"""


def holder(folder):
    """A process that works on a run."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(folder)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )
    assert process.stdout
    assert process.stdout.readline() == b"held\n"
    return process


def test_a_lock_says_that_somebody_works_and_how_that_ended(tmp_path):
    assert presence(tmp_path) == "unknown"
    lock = RunLock(tmp_path)
    lock.hold()
    assert presence(tmp_path) == "running"
    lock.release()
    assert presence(tmp_path) == "ended"
    lock.hold()
    assert presence(tmp_path) == "running"
    lock.release()


def test_a_killed_process_is_seen_to_be_gone(tmp_path):
    process = holder(tmp_path)
    try:
        assert presence(tmp_path) == "running"
        # A second run beside it takes nothing from it, even when that ends.
        second = RunLock(tmp_path)
        second.hold()
        second.release()
        assert presence(tmp_path) == "running"
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert presence(tmp_path) == "ended"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('{"host": "elsewhere", "pid": 1, "ended": false}', "unknown"),
        ('{"host": "elsewhere", "pid": 1, "ended": true}', "ended"),
        ("", "unknown"),
        ("[1]", "unknown"),
        ('{"ho', "unknown"),
    ],
)
def test_another_host_is_believed_only_where_it_says_that_it_ended(
    text, wanted, tmp_path
):
    (tmp_path / PROCESS).write_text(text)
    assert presence(tmp_path) == wanted


def test_a_run_that_was_interrupted_has_stopped_at_once(tmp_path):
    seen = []

    def watch(progress):
        seen.append(read_run(tmp_path / "run").state)
        if progress.step == 4:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted):
        pretrain(CONFIG, tmp_path / "run", on_call=watch)
    assert seen == ["running", "running"]
    assert read_run(tmp_path / "run").state == "stopped"
    about = json.loads((tmp_path / "run" / PROCESS).read_text())
    assert about["ended"] is True
    state = pretrain(CONFIG, tmp_path / "run", resume=True, on_call=watch)
    assert int(state.step) == 8
    assert seen[2:] == ["running", "finished"]


def test_a_run_that_fails_has_stopped(tmp_path):
    def fail(_):
        raise RuntimeError("the watcher broke")

    with pytest.raises(RuntimeError, match="the watcher broke"):
        pretrain(CONFIG, tmp_path / "run", on_call=fail)
    assert read_run(tmp_path / "run").state == "stopped"


COMPILES = """
import hashlib, sys
from spectral_tf.training.stopping import stop_requests
with stop_requests() as asked:
    print("ready", flush=True)
    # Compiled code that lets other threads run, as XLA's compiler does.
    hashlib.pbkdf2_hmac("sha256", b"a", b"b", 20_000_000)
    sys.stderr.write(f"compiled, code {asked.code}\\n")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "said"),
    [(signal.SIGINT, "Ctrl-C again stops at once"), (signal.SIGTERM, "SIGTERM: ")],
)
def test_a_signal_is_answered_while_the_main_thread_compiles(number, said):
    process = subprocess.Popen(
        [sys.executable, "-c", COMPILES],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        text=True,
    )
    assert process.stdout
    assert process.stderr
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    lines = process.stderr.readlines()
    process.communicate()
    assert said in lines[0]
    assert lines[1].startswith("compiled, code ")
    assert process.returncode == 0


def test_what_waited_for_signals_before_still_does():
    from spectral_tf.training.stopping import stop_requests

    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer)
    try:
        threads = threading.active_count()
        with stop_requests() as asked:
            signal.raise_signal(signal.SIGTERM)
            assert os.read(reader, 1) == bytes([signal.SIGTERM])
        assert asked.code > 0
        assert threading.active_count() == threads
        assert signal.set_wakeup_fd(writer) == writer
    finally:
        signal.set_wakeup_fd(before)
        os.close(writer)
        os.close(reader)
