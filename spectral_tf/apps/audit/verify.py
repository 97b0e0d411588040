"""The reader: whether a log is as it was written, and where it is not."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from spectral_tf.apps.audit.head import HEX, Files, Head, files_of, read_head
from spectral_tf.apps.audit.lines import NONE, AuditError, BrokenLine, digest_of, opened
from spectral_tf.apps.audit.locking import read_locked
from spectral_tf.config.base import require
from spectral_tf.config.wording import counted

LAST = "last"
"""What stands for the id of the last entry."""
NUMBER_DIGITS = 6
"""Digits of the number of an entry, at most; more may be the beginning of an id."""
BEYOND = (
    "it stands after the last line that the head has: a writer was killed before it "
    "was done (the next one settles that), or the line was added"
)


class Fault(NamedTuple):
    """The first thing that is wrong with a log.

    Attributes:
        line: its number, from 1; None if it is not a line that is wrong.
        id: of the entry, where it can be read.
        what: in words.
    """

    line: int | None
    id: str | None
    what: str

    def sentence(self) -> str:
        """Where, and what."""
        name = f" (id {self.id})" if self.id else ""
        return f"line {self.line}{name}: {self.what}" if self.line else self.what


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What is known about a log.

    Attributes:
        log: path.
        log_id: from its header; None if that cannot be read.
        lines: good ones from the start, the header included.
        last: digest of the last good one; that of the head if nothing is wrong.
        fault: the first, or None.
        since: entries after the one with the expected digest; None if none was given.
    """

    log: Path
    log_id: str | None
    lines: int
    last: str | None
    fault: Fault | None
    since: int | None = None

    @property
    def is_intact(self) -> bool:
        """Whether nothing is wrong."""
        return self.fault is None

    @property
    def entries(self) -> int:
        """Good entries, without the header."""
        return max(self.lines - 1, 0)


@dataclasses.dataclass
class _Reading:
    """How far the chain holds, and what it is held against."""

    head: Head | None = None
    expect: str | None = None
    log_id: str | None = None
    lines: int = 0
    last: str = NONE
    size: int = 0
    fault: Fault | None = None
    since: int | None = None

    def take(self, line: bytes) -> dict[str, Any] | None:
        """One more line; None, and the fault is noted, if something is wrong."""
        n, head = self.lines, self.head
        is_beyond = head is not None and n >= head.entries
        try:
            entry = opened(line, n, self.last)
        except BrokenLine as broken:
            also = f"; {BEYOND}" if is_beyond else ""
            self.fault = Fault(n + 1, broken.id, broken.what + also)
            return None
        if is_beyond:
            self.fault = Fault(n + 1, entry["id"], BEYOND)
            return None
        self.log_id = self.log_id or entry["id"]
        self.lines, self.last = n + 1, digest_of(line)
        self.size += len(line)
        if self.last == self.expect:
            self.since = 0
        elif self.since is not None:
            self.since += 1
        if head is not None and self.lines == head.entries:
            self.fault = _last_fault(head, self, entry["id"])
        return None if self.fault else entry


def verify_log(log: Path, expect: str | None = None) -> Verdict:
    """Check every line of a log, and its head.

    Args:
        log: path that ends in .jsonl.
        expect: digest of the head at some earlier time, kept elsewhere: shows also that
            the log was not rewritten together with its head, up to that entry.

    Returns:
        The verdict.

    Raises:
        AuditError: if there is neither log nor head.
        ConfigError: for a path that does not end in .jsonl, or a digest that is none.
    """
    require(
        expect is None or (len(expect) == 64 and HEX.fullmatch(expect) is not None),
        f"expect={expect!r} must be the 64 hexadecimal digits of a digest, as the "
        "commands print it.",
    )
    files = files_of(log)
    if not files.log.exists() and not files.head.exists():
        raise AuditError(f"there is no audit log {log}; check the path.")
    with read_locked(files.lock):
        head, head_fault = _head(files)
        reading = _Reading(head, expect)
        for _ in _checked(files, reading):
            pass
    fault = reading.fault or head_fault or _end_fault(head, reading)
    if fault is None and expect is not None and reading.since is None:
        what = (
            f"no entry has the digest {expect}: the log was rewritten, or cut and "
            "continued, since that was its head"
        )
        fault = Fault(None, None, what)
    last = reading.last if reading.lines else None
    verdict = Verdict(log, reading.log_id, reading.lines, last, fault)
    return dataclasses.replace(verdict, since=reading.since)


def find_entry(log: Path, name: str) -> dict[str, Any]:
    """An entry by its number or its id.

    Args:
        log: path that ends in .jsonl.
        name: its number, the first entry being 1, if it has at most `NUMBER_DIGITS`
            digits and nothing else; the id; the beginning of the id, if no other
            has the same; or `last`.

    Returns:
        The entry.

    Raises:
        AuditError: if there is none, or more than one, among those before the first
            fault of the log.
        ConfigError: for a path that does not end in .jsonl.
    """
    files = files_of(log)
    if not files.log.exists():
        raise AuditError(f"there is no audit log {log}; check the path.")
    found: list[dict[str, Any]] = []
    count = 0
    reading = _Reading()
    with read_locked(files.lock):
        for entry in _checked(files, reading):
            count = entry["n"]
            if count > 0 and _is_called(entry, name):
                found = [entry] if name == LAST else [*found, entry]
    extent = " up to its first fault" if reading.fault is not None else ""
    if _is_number(name) and not found:
        entries = counted(count, "entry", "entries")
        raise AuditError(
            f"there is no entry {name} in {log}, which has {entries}{extent}; numbers "
            "count from 1, and the beginning of an id needs more than "
            f"{NUMBER_DIGITS} letters where all are digits."
        )
    if len(found) != 1 or not name:
        several = counted(len(found), "entry", "entries")
        many = f"{several} have" if found else "no entry has"
        raise AuditError(
            f"{many} an id that begins with {name!r} in {log}{extent}; "
            "the command that made an entry prints its id, `last` is the last one, and "
            "a number counts from the first."
        )
    return found[0]


def _is_number(name: str) -> bool:
    """Whether a name is the number of an entry; a longer one may begin an id."""
    return name.isascii() and name.isdecimal() and len(name) <= NUMBER_DIGITS


def _is_called(entry: dict[str, Any], name: str) -> bool:
    if _is_number(name):
        return entry["n"] == int(name)
    return name == LAST or entry["id"].startswith(name)


def _head(files: Files) -> tuple[Head | None, Fault | None]:
    try:
        head = read_head(files.head)
    except AuditError as error:
        return None, Fault(None, None, str(error))
    missing = Fault(None, None, f"{files.head} is missing: lines may be missing, too")
    return head, missing if head is None else None


def _checked(files: Files, reading: _Reading) -> Iterator[dict[str, Any]]:
    """The entries up to the first fault, which is noted in `reading`."""
    if not files.log.exists():
        reading.fault = Fault(1, None, "the log is missing, its head is there")
        return
    with files.log.open("rb") as stream:
        for line in stream:
            entry = reading.take(line)
            if entry is None:
                return
            yield entry


def _last_fault(head: Head, reading: _Reading, name: str) -> Fault | None:
    """What the head says against the line that it calls the last."""
    if reading.last != head.sha256:
        what = (
            "its sha256 is not the one in the head: it was altered and sealed anew, or "
            "the head was altered"
        )
        return Fault(head.entries, name, what)
    if reading.size != head.size:
        what = f"the head was altered: it says {counted(head.size, 'byte')} at line "
        return Fault(None, None, f"{what}{head.entries}, there are {reading.size:,}")
    if reading.log_id != head.log:
        what = f"the head was altered: it is of log {head.log}, this is "
        return Fault(None, None, f"{what}{reading.log_id}")
    return None


def _end_fault(head: Head | None, reading: _Reading) -> Fault | None:
    """Lines that are missing at the end."""
    if head is None or reading.lines == head.entries:
        return None
    due = counted(head.entries, "line")
    what = f"it is missing: the log ends after {reading.lines:,} of {due}"
    return Fault(reading.lines + 1, None, what)
