"""The program as a user meets it: exit codes, one clear line, JSON alone on stdout."""

import json
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from spectral_tf.apps import cli
from spectral_tf.apps.audit import AuditError
from spectral_tf.apps.cli import main
from spectral_tf.certificate import CertificateError
from spectral_tf.config import ConfigError, DataError
from spectral_tf.model.params import ParamsError
from spectral_tf.training.checkpoint import CheckpointError, restore_latest
from spectral_tf.training.loop import NonFiniteError
from spectral_tf.training.stopping import Interrupted, Preempted
from spectral_tf.weights import PretrainedError

REPOSITORY = Path(__file__).parents[2]
TINY = shlex.split(
    "--warmup-steps 1 --steps-per-call 1 --batch-size 4 --shapes 4 8 "
    "--model.num-blocks 1 --model.block cross mlp --model.mlp-width 4"
)


def run(capsys, *arguments):
    """`(exit code, stdout, stderr)` of the program in this process."""
    code = main(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "run"
    assert main(["pretrain", "--run-dir", str(folder), "--num-steps", "4", *TINY]) == 0
    return folder


def test_pretrain_then_evaluate_and_describe(trained, capsys):
    assert int(restore_latest(trained).state.step) == 4
    weights = ["--weights", str(trained)]
    code, out, _ = run(capsys, "evaluate", *weights, "--num-instances", "9")
    assert code == 0
    assert "orthogonal iteration, 1 product" in out
    code, out, _ = run(capsys, "describe", *weights, "--json")
    rows = {row["name"]: row for row in json.loads(out)["rows"]}
    assert rows["total"]["params"] == sum(
        row["params"] for name, row in rows.items() if name != "total"
    )


def test_construct_writes_weights_that_evaluate_reads(tmp_path, capsys):
    folder = str(tmp_path / "w")
    sizes = ["--dim", "4", "--num-components", "2", "--num-iters", "40"]
    code, out, _ = run(capsys, "construct", *sizes, "--out", folder, "--explain")
    assert code == 0
    assert "block 4: deflate\n    head 0 (register j reads l < j)" in out
    assert "schedule: 0 (1 (2 3 4)*2)*6 (1 2 3 4)*34" in out
    table = tmp_path / "table.npy"
    np.save(table, np.random.default_rng(0).standard_normal((40, 4)) * [9, 4, 1, 1])
    where = ["--weights", folder, "--data", str(table), "--block-size", "20"]
    code, out, _ = run(capsys, "evaluate", *where, "--json")
    assert code == 0
    ours, classic = (entry["report"] for entry in json.loads(out)["entries"])
    assert ours["num_instances"] == 2
    for one, other in zip(ours["cosine"], classic["cosine"], strict=True):
        assert one["mean"] == pytest.approx(other["mean"], abs=1e-3)


@pytest.mark.parametrize(
    "command",
    [
        "describe",
        "construct --dim 3 --num-iters 3 --variant columns",
        "evaluate --num-instances 8 --num-iters 2",
        "pca digits --engine exact --n-components 2",
    ],
)
def test_json_is_alone_on_stdout(command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = run(capsys, *command.split(), "--json")
    assert code == 0
    assert isinstance(json.loads(out), dict)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            "construct --dim 2 --num-components 5",
            "--num-components=5 must lie in 1..--dim=2",
        ),
        ("construct --dim 2 --variant cube", "unknown variant 'cube'; choose one of"),
        ("construct --dim 4 --accuracy 2", "accuracy=2.0 must lie in (0, 0.5)"),
        ("describe --preset bert", "unknown preset 'bert'; choose one of"),
        ("describe --weights absent", "--weights=absent is not a folder (looked in"),
        ("evaluate --data absent.csv", "'absent.csv' is not a file"),
        ("evaluate --data digits --svd 100", "100"),
        ("evaluate --num-components 11", "num-components=11 must be <= "),
        ("demo --max-seconds -1", "--max-seconds=-1.0 must be > 0"),
        ("demo --steps 0", "--steps=0 must be >= 1"),
        ("demo --data absent", "'absent' is not a known source"),
        ("pretrain --run-dir r --learning-rate -1", "--learning-rate=-1.0 must be > 0"),
        ("pretrain --run-dir r --batch-size 3", "--batch-size=3 must be a multiple"),
        ("pretrain --run-dir r --resume", "no checkpoint in r/checkpoints"),
        ("pca absent.csv", "'absent.csv' is not a file"),
        ("cluster table.xlsx", "'table.xlsx' is not a file"),
        ("cluster table.docx", "'table.docx' is not a known source"),
        ("detect digits --top -1", "top=-1 must be >= 0"),
    ],
)
def test_bad_input_is_exit_code_2_and_one_clear_line(
    command, message, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *command.split())
    assert code == 2
    assert out == ""
    line = err.strip().splitlines()[-1]
    assert line.startswith("spectral-tf: ")
    assert message in line
    assert "Traceback" not in err
    assert not list(tmp_path.rglob("*.json")), "something was half written"


def test_an_unknown_flag_is_exit_code_2(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["describe", "--colour", "red"])
    assert stop.value.code == 2
    assert "--colour" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ConfigError("a=1 must\n be 2."), 2, "a=1 must be 2."),
        (DataError("no file"), 2, "no file"),
        (ParamsError("no weights"), 2, "no weights"),
        (PretrainedError("no name"), 2, "no name"),
        (CheckpointError("no run"), 2, "no run"),
        (AuditError("no log"), 2, "no log"),
        (FileExistsError("x exists"), 2, "x exists"),
        (NonFiniteError("step 3"), 1, "step 3"),
        (CertificateError("not certified\nrank 1"), 1, "not certified"),
        (Preempted("at step 3"), 0, "at step 3"),
        (Interrupted("--run-dir 'a  b'"), 130, "--run-dir 'a  b'"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_error_has_its_exit_code(error, code, line, monkeypatch, capsys):
    class Failing:
        def run(self):
            raise error

    monkeypatch.setattr(cli, "parse", lambda _: Failing())
    assert run(capsys, "pca") == (code, "", f"spectral-tf: {line}\n")


def test_a_fault_of_the_program_is_not_hidden(monkeypatch):
    class Failing:
        def run(self):
            raise ZeroDivisionError

    monkeypatch.setattr(cli, "parse", lambda _: Failing())
    with pytest.raises(ZeroDivisionError):
        main(["pca"])


def test_a_run_that_diverges_is_exit_code_1(capsys, tmp_path):
    flags = ["--learning-rate", "1e38", "--num-steps", "4", *TINY]
    code, _, err = run(capsys, "pretrain", "--run-dir", str(tmp_path / "r"), *flags)
    assert code == 1
    assert re.search(r"step \d+ is not finite: loss=", err)


@pytest.mark.slow
def test_ctrl_c_leaves_a_checkpoint_and_says_how_to_resume(tmp_path):
    """Also: `python -m spectral_tf.apps.cli` is the same program."""
    program = [sys.executable, "-m", "spectral_tf.apps.cli"]
    start = ["pretrain", "--run-dir", "r", "--num-steps", "1000000", *TINY]
    process = subprocess.Popen(
        [*program, *start],
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    metrics = tmp_path / "r" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.exists() and metrics.stat().st_size):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    said = re.search(r"Resume with: spectral-tf (.*)$", err.strip())
    assert said
    step = int(restore_latest(tmp_path / "r").state.step)
    assert step >= 1
    again = subprocess.run(
        [*program, *said[1].split(), "--max-seconds", "0.1", "--json"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["step"] > step


def environment():
    import os

    return os.environ | {"PYTHONPATH": str(REPOSITORY)}
