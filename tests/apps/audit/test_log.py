"""A log as its writers and readers meet it: growth, refusals, what a crash leaves."""

import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spectral_tf.apps.audit import (
    AuditError,
    append_entry,
    find_entry,
    start_log,
    verify_log,
)
from spectral_tf.config import ConfigError

REPOSITORY = Path(__file__).parents[3]
WRITER = Path(__file__).parent / "writer.py"


def writer(log, count, size):
    """A process that writes `count` entries of up to `size` bytes."""
    arguments = [str(REPOSITORY), str(log), str(count), str(size)]
    return subprocess.Popen(
        [sys.executable, str(WRITER), *arguments], stdout=subprocess.PIPE, text=True
    )


def entries(log):
    return [json.loads(line) for line in log.read_bytes().splitlines()]


def test_a_log_grows_line_by_line_and_is_found_intact(tmp_path):
    log = tmp_path / "deep" / "audit.jsonl"
    receipts = [append_entry(log, {"command": "detect", "i": i}) for i in range(3)]
    header, *rest = entries(log)
    assert (header["kind"], header["format"], header["n"]) == ("header", 1, 0)
    assert [entry["i"] for entry in rest] == [0, 1, 2]
    assert [entry["n"] for entry in rest] == [receipt.n for receipt in receipts]
    assert [entry["sha256"] for entry in rest] == [one.head for one in receipts]
    assert rest[1]["previous"] == rest[0]["sha256"]
    assert rest[0]["time"].endswith("+00:00")
    verdict = verify_log(log)
    assert (verdict.is_intact, verdict.entries) == (True, 3)
    assert (verdict.last, verdict.log_id) == (receipts[-1].head, header["id"])
    names = {path.name for path in log.parent.iterdir()}
    assert names == {"audit.jsonl", "audit.head", "audit.lock"}


def test_an_entry_is_found_by_its_id_or_as_the_last(log):
    wanted = entries(log)[3]
    assert find_entry(log, wanted["id"]) == wanted
    assert find_entry(log, wanted["id"][:8]) == wanted
    assert find_entry(log, "last") == entries(log)[-1]
    for name in ("nothing", entries(log)[0]["id"], ""):
        with pytest.raises(AuditError, match="begins with"):
            find_entry(log, name)


def test_only_a_log_with_a_fault_is_said_to_have_one(log):
    with pytest.raises(AuditError, match=r"which has \d+ entries; numbers"):
        find_entry(log, "999")
    with pytest.raises(AuditError, match=r"jsonl; the command that made"):
        find_entry(log, "nothing")
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join([*lines[:3], "{}\n", *lines[4:]]))
    for name in ("999", "nothing"):
        with pytest.raises(AuditError, match="up to its first fault"):
            find_entry(log, name)


def test_a_new_log_beside_nobody_has_no_lock(tmp_path):
    log = tmp_path / "audit.jsonl"
    receipt = start_log(log, {"command": "pca"}, "0123456789abcdef")
    assert {path.name for path in tmp_path.iterdir()} == {"audit.jsonl", "audit.head"}
    assert receipt.id == entries(log)[1]["id"] == "0123456789abcdef"
    assert verify_log(log).entries == 1
    assert not (tmp_path / "audit.lock").exists(), "reading leaves nothing behind"
    assert append_entry(log, {"command": "pca"}).n == 2
    assert verify_log(log).entries == 2
    with pytest.raises(AuditError, match="exists"):
        start_log(log, {})


def test_a_link_to_a_log_is_that_log(log, tmp_path):
    link = tmp_path / "elsewhere" / "mine.jsonl"
    link.parent.mkdir()
    link.symlink_to(log)
    assert append_entry(link, {"command": "pca"}).n == 8
    assert verify_log(link).entries == verify_log(log).entries == 8
    assert [path.name for path in link.parent.iterdir()] == ["mine.jsonl"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"sha256": "0"}, "the entry has sha256, which the log itself adds; rename"),
        ({"n": 1, "id": "x"}, "the entry has id, n, which"),
    ],
)
def test_names_of_the_log_are_refused(body, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        append_entry(tmp_path / "audit.jsonl", body)
    assert not list(tmp_path.iterdir())


def test_other_names_and_numbers_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"whose name ends in \.jsonl"):
        append_entry(tmp_path / "audit.log", {})
    with pytest.raises(ConfigError, match="64 hexadecimal digits"):
        verify_log(tmp_path / "audit.jsonl", "abc")
    with pytest.raises(AuditError, match="there is no audit log"):
        verify_log(tmp_path / "audit.jsonl")
    with pytest.raises(ValueError, match="JSON compliant"):
        append_entry(tmp_path / "audit.jsonl", {"score": float("nan")})
    assert not list(tmp_path.iterdir())


def test_without_fcntl_the_error_says_what_is_left(tmp_path, monkeypatch):
    start_log(tmp_path / "audit.jsonl", {"command": "pca"})
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(AuditError, match=r"no fcntl \(Windows\)\. Leave out"):
        append_entry(tmp_path / "audit.jsonl", {})
    assert verify_log(tmp_path / "audit.jsonl").entries == 1


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda log: log.write_bytes(log.read_bytes()[:-9]), "does not end as"),
        (lambda log: log.write_bytes(log.read_bytes() + b"{}\n"), "no writer left"),
        (
            lambda log: log.write_bytes(log.read_bytes().replace(b"1.25", b"9.25")),
            "does not end as audit.head says",
        ),
        (lambda log: log.with_suffix(".head").unlink(), "has no audit.head"),
        (lambda log: log.with_suffix(".head").write_text("{}"), "was altered"),
        (lambda log: log.unlink(), "is missing, and"),
    ],
)
def test_a_damaged_log_is_not_continued(damage, message, log):
    damage(log)
    before = {path: path.read_bytes() for path in log.parent.iterdir()}
    with pytest.raises(AuditError, match=message):
        append_entry(log, {"command": "pca"})
    assert {path: path.read_bytes() for path in log.parent.iterdir()} == before


def test_half_a_line_is_moved_aside_wherever_it_was_cut(log):
    head, raw = log.with_suffix(".head").read_bytes(), log.read_bytes()
    append_entry(log, {"command": "killed"})
    line = log.read_bytes()[len(raw) :]
    rejected = b""
    for cut in [*range(1, len(line), 13), len(line) - 1]:
        log.with_suffix(".head").write_bytes(head)
        log.write_bytes(raw + line[:cut])
        fault = verify_log(log).fault
        assert fault is not None
        assert fault.line == 9
        assert "a writer was killed before it was done" in fault.what
        append_entry(log, {"command": "next"})
        assert [entry["command"] for entry in entries(log)[-2:]] == ["detect", "next"]
        rejected += line[:cut] + b"\n"
    assert log.with_suffix(".rejected").read_bytes() == rejected
    assert verify_log(log).entries == 8


def test_a_whole_line_that_the_head_lacks_is_accepted(log):
    head = log.with_suffix(".head").read_bytes()
    receipt = append_entry(log, {"command": "killed before the head"})
    log.with_suffix(".head").write_bytes(head)
    fault = verify_log(log).fault
    assert fault is not None
    assert (fault.line, fault.id) == (9, receipt.id)
    assert append_entry(log, {"command": "next"}).n == 9
    assert find_entry(log, receipt.id)["command"] == "killed before the head"
    assert verify_log(log).entries == 9
    assert not log.with_suffix(".rejected").exists()


def test_a_log_whose_first_line_was_never_written_begins(tmp_path):
    log = tmp_path / "audit.jsonl"
    start_log(log, {"command": "pca"})
    old = log.read_bytes().splitlines(keepends=True)[0]
    digest = json.loads(old)["sha256"]
    name, size = json.loads(old)["id"], len(old)
    text = (
        f'{{"entries":1,"format":1,"log":"{name}","sha256":"{digest}","size":{size}}}'
    )
    log.with_suffix(".head").write_text(text + "\n")
    log.unlink()
    assert append_entry(log, {"command": "pca"}).n == 1
    assert verify_log(log).is_intact


def test_a_full_disk_adds_nothing(log, monkeypatch):
    before = log.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(AuditError, match="No space left on device; no entry"):
            append_entry(log, {"command": "pca"})
    assert log.read_bytes() == before
    assert verify_log(log).is_intact


def test_processes_take_turns(tmp_path):
    log = tmp_path / "audit.jsonl"
    running = [writer(log, 20, 2_000) for _ in range(4)]
    said = [process.communicate(timeout=60)[0].splitlines() for process in running]
    assert [process.returncode for process in running] == [0] * 4
    verdict = verify_log(log)
    assert (verdict.is_intact, verdict.entries) == (True, 80)
    acknowledged = {line.split()[0] for lines in said for line in lines}
    assert acknowledged == {entry["id"] for entry in entries(log)[1:]}
    numbers = [[int(line.split()[1]) for line in lines] for lines in said]
    assert sorted(n for each in numbers for n in each) == list(range(1, 81))
    assert all(each == sorted(each) for each in numbers)


def killed_writers(log, kills, rng):
    """Kill two writers at once at a random moment; then write one more entry."""
    seen: set[str] = set()
    for _ in range(kills):
        running = [writer(log, 10**6, 400_000) for _ in range(2)]
        first = [next(iter(process.stdout or [])) for process in running]
        time.sleep(rng.uniform(0, 0.05))
        for process in running:
            process.kill()
        # Through the buffer that `next` has filled, which communicate(timeout=) skips.
        rest = []
        for process in running:
            with process.stdout or io.StringIO() as stream:
                rest.append(stream.read())
        codes = [process.wait(timeout=60) for process in running]
        assert codes == [-signal.SIGKILL] * 2
        said = "".join([*first, *rest]).splitlines(keepends=True)
        seen |= {line.split()[0] for line in said if line.endswith("\n")}
        seen.add(append_entry(log, {"command": "next"}).id)
        fault = verify_log(log).fault
        assert fault is None, fault
    return seen


@pytest.mark.parametrize(
    "kills", [3, pytest.param(50, marks=pytest.mark.long)], ids=str
)
def test_killed_writers_lose_nothing_and_leave_no_half_entry(kills, tmp_path):
    log = tmp_path / "audit.jsonl"
    seen = killed_writers(log, kills, random.Random(kills))
    found = [entry["id"] for entry in entries(log)[1:]]
    assert len(found) == len(set(found))
    assert seen <= set(found), "an entry that was acknowledged is lost"
    # A line that was whole when its writer was killed counts, acknowledged or not.
    assert len(found) - len(seen) <= 2 * kills


def test_an_entry_is_found_by_its_number(log):
    written = entries(log)[1:]
    for number, wanted in enumerate(written, start=1):
        assert find_entry(log, str(number)) == wanted
    for name in ("0", str(len(written) + 1), "000099"):
        pattern = rf"no entry {name} in .* has {len(written)} entries"
        with pytest.raises(AuditError, match=pattern):
            find_entry(log, name)


def test_a_small_number_is_not_the_beginning_of_an_id(tmp_path):
    log = tmp_path / "audit.jsonl"
    append_entry(log, {"command": "pca"}, "2f00000000000000")
    append_entry(log, {"command": "detect"}, "1a00000000000000")
    append_entry(log, {"command": "cluster"}, "1234567890123456")
    assert [find_entry(log, n)["command"] for n in "123"] == [
        "pca",
        "detect",
        "cluster",
    ]
    assert find_entry(log, "1234567")["command"] == "cluster"
    assert find_entry(log, "1a")["command"] == "detect"
