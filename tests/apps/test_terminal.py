"""The program on any terminal: other encodings, closed pipes, full disks, nothing."""

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spectral_tf.apps.cli import main
from spectral_tf.apps.terminal import CLOSED_PIPE, HANDLER, readable_streams

REPOSITORY = Path(__file__).parents[2]
NAMES = ["売上", "größe", "température ±", "цена"]
ENCODINGS = ["ascii", "cp1252", "euc_jp"]
COMMANDS = {
    "pca": ["--n-components", "2", "--engine", "exact"],
    "detect": ["--n-components", "2", "--engine", "exact"],
    "cluster": ["--n-clusters", "2", "--engine", "exact"],
}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("表") / "表.csv"
    rows = np.random.default_rng(0).normal(size=(40, 4)) * [4.0, 3.0, 2.0, 1.0]
    lines = [NAMES, *([repr(value) for value in row] for row in rows.tolist())]
    path.write_text("\n".join(map(",".join, lines)), "utf-8")
    return path


def call(arguments, encoding="utf-8"):
    """`(exit code, stdout, stderr)` of the program in this process, streams encoded."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
    out, err = streams
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([*map(str, arguments)])
    texts = []
    for stream in streams:
        assert stream.errors == "strict"
        stream.seek(0)
        texts.append(stream.read())
    return code, *texts


def analysed(command, table, folder, encoding="utf-8"):
    """What a command prints, but for the audit entry, which has the time."""
    given = [command, table, *COMMANDS[command], "--out", folder, "--force"]
    code, text, said = call(given, encoding)
    assert (code, said) == (0, "")
    return [line for line in text.splitlines() if not line.startswith("Audit entry")]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_letter_can_be_written(command, table, tmp_path):
    text = analysed(command, table, tmp_path / "結果")
    assert "結果" in "".join(text)
    assert any(name in line for line in text for name in NAMES)
    for encoding in ENCODINGS if command == "pca" else ("ascii",):
        lines = analysed(command, table, tmp_path / "結果", encoding)
        wanted = [line.encode(encoding, HANDLER).decode(encoding) for line in text]
        assert lines == wanted


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_is_the_same_in_every_encoding(encoding, table, tmp_path):
    given = ["pca", table, *COMMANDS["pca"], "--out", tmp_path / "a", "--json"]
    code, text, _ = call(given, encoding)
    assert code == 0
    assert NAMES[0] in str(json.loads(text))


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_an_error_names_a_file_in_any_letters(encoding, tmp_path):
    code, _, said = call(["pca", tmp_path / "無い±.csv"], encoding)
    assert code == 2
    assert "\\u7121\\u3044" in said
    assert ("+-" if encoding == "ascii" else "±") in said


def test_help_is_readable_in_ascii():
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with contextlib.redirect_stdout(out), pytest.raises(SystemExit):
        main(["--help"])
    out.seek(0)
    assert "describe" in out.read()


def test_signs_become_ascii_and_letters_their_codes():
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with contextlib.redirect_stdout(out), readable_streams():
        out.write("0.5 ± 0.1 – “名” ≤ 1 … é 𝛼 \udc80")
        out.flush()
    out.seek(0)
    assert out.read() == r'0.5 +- 0.1 - "\u540d" <= 1 ... \xe9 \U0001d6fc \udc80'


def program(arguments, **streams):
    """The program as a process of its own."""
    command = [sys.executable, "-m", "spectral_tf.apps.cli", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONUTF8": "0"}
    environment |= streams.pop("env", {})
    return subprocess.run(command, env=environment, check=False, timeout=300, **streams)


@contextlib.contextmanager
def closed_pipe():
    """The end of a pipe that nobody reads from."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        yield writer
    finally:
        os.close(writer)


PIPED = [
    ["--help"],
    ["--version"],
    ["models"],
    ["models", "--json"],
    ["describe", "--help"],
    ["audit", "--help"],
]


@pytest.mark.slow
@pytest.mark.parametrize("arguments", PIPED, ids=" ".join)
def test_a_reader_that_has_gone_ends_the_program_quietly(arguments):
    with closed_pipe() as writer:
        done = program(arguments, stdout=writer, stderr=subprocess.PIPE, text=True)
    assert done.stderr == ""
    assert done.returncode == CLOSED_PIPE


@pytest.mark.slow
def test_analyses_end_quietly_with_their_results_in_place(table, tmp_path):
    given = ["pca", table, *COMMANDS["pca"], "--out", tmp_path / "out"]
    with closed_pipe() as writer:
        done = program(given, stdout=writer, stderr=subprocess.PIPE, text=True)
    assert (done.stderr, done.returncode) == ("", CLOSED_PIPE)
    assert (tmp_path / "out" / "summary.json").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["pca", "absent.csv"], ["describe", "--colour"]])
def test_a_closed_standard_error_is_quiet_too(arguments, tmp_path):
    with closed_pipe() as writer:
        done = program(arguments, stdout=subprocess.PIPE, stderr=writer, cwd=tmp_path)
    assert done.stdout == b""
    assert done.returncode in (CLOSED_PIPE, 2)


@pytest.mark.slow
def test_stages_on_a_closed_standard_error_end_the_program_quietly(tmp_path):
    """Progress goes to stderr: `pretrain 2>&1 | head -1`."""
    given = ["pretrain", "--run-dir", tmp_path / "r", "--num-steps", "25"]
    with closed_pipe() as writer:
        done = program(given, stdout=writer, stderr=writer)
    assert done.returncode == CLOSED_PIPE


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["models"], ["--version"]])
def test_a_full_disk_is_an_error_in_one_line(arguments):
    with open("/dev/full", "w") as full:
        done = program(arguments, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert "cannot write to standard output: No space left" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_the_whole_program_under_another_encoding(table, tmp_path):
    """Files are written in UTF-8 whatever the locale, and nothing is a traceback."""
    given = ["pca", table, *COMMANDS["pca"], "--out", tmp_path / "out"]
    locale = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "cp1252"}
    done = program(given, capture_output=True, env=locale, text=True, encoding="cp1252")
    assert (done.returncode, done.stderr) == (0, "")
    assert "größe" in done.stdout
    assert r"\u58f2\u4e0a" in done.stdout
    assert "売上" in (tmp_path / "out" / "components.csv").read_text("utf-8")


def test_the_program_runs_without_any_stream(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["--version"]) == 0
    assert main(["runs", "/absent"]) == 2
