"""The writer: one more line, on the disk before the call returns, or none.

Under the lock a line is written and synced, and then the head. A process that is killed
leaves a head that is behind by one line at most, which the next writer settles: a whole
line that continues the chain is accepted, a half one is moved to `.rejected`. Anything
else was not left by a writer, and is refused.

A new log gets its head before its first line, so that a log without a head is never
the work of a writer that was killed.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from spectral_tf.apps.audit.head import (
    Files,
    Head,
    files_of,
    read_head,
    replace_file,
    write_head,
)
from spectral_tf.apps.audit.lines import (
    AuditError,
    BrokenLine,
    digest_of,
    header,
    new_id,
    now,
    opened,
    sealed,
)
from spectral_tf.apps.audit.locking import locked
from spectral_tf.config.wording import counted

STEP = 1 << 16
"""Bytes read first when looking for the start of the last line."""
REMEDY = (
    "Look with `spectral-tf audit verify`; move the log and its head away to begin anew"
)


class Receipt(NamedTuple):
    """What a writer gets for an entry.

    Attributes:
        id: of the entry.
        n: its number, the header being 0.
        head: digest of the entry, which is that of the head: keep it elsewhere.
        log: path of the log.
    """

    id: str
    n: int
    head: str
    log: Path

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {**self._asdict(), "log": str(self.log)}


def check_log(log: Path) -> None:
    """Refuse early a log that a writer would refuse for its name or its head.

    Args:
        log: path; need not exist.

    Raises:
        ConfigError: for a path that does not end in .jsonl.
        AuditError: if there is a log without a whole head, or a head without a log.
    """
    _head(files_of(log))


def append_entry(
    log: Path, body: Mapping[str, Any], name: str | None = None
) -> Receipt:
    """Append an entry to a log; a log that is not there is begun.

    Args:
        log: path that ends in .jsonl; its folder is made.
        body: plain data; `time` is added where it lacks.
        name: id of the entry; default a random one.

    Returns:
        The receipt. The entry and the head are on the disk then.

    Raises:
        AuditError: if the log does not end as its head says, cannot be written, or
            cannot be locked.
        ConfigError: for a path that does not end in .jsonl, or a name in the body
            that the log itself adds.
    """
    files, name = files_of(log), name or new_id()
    body = {"time": now(), **body}
    sealed(body, name, 0, "")  # what cannot be written is refused before a file is made
    with _readable_errors(files.log):
        files.log.parent.mkdir(parents=True, exist_ok=True)
        with locked(files.lock):
            _begin(files)
            with files.log.open("r+b", buffering=0) as stream:
                last = _settled(stream, files)
                line = sealed(body, name, last.entries, last.sha256)
                _write(stream, line, last.size)
                head = _after(last, line)
                write_head(files.head, head)
    return Receipt(name, last.entries, head.sha256, files.log)


def start_log(log: Path, body: Mapping[str, Any], name: str | None = None) -> Receipt:
    """Write a new log with one entry, where nobody else can be writing.

    Args:
        log: path that ends in .jsonl, in a folder that exists; must not exist.
        body: plain data; `time` is added where it lacks.
        name: id of the entry; default a random one.

    Returns:
        The receipt.

    Raises:
        OSError: if it cannot be written.
        AuditError: if it exists.
        ConfigError: as `append_entry`.
    """
    files, name = files_of(log), name or new_id()
    if files.log.exists() or files.head.exists():
        raise AuditError(f"{log} exists; append to it, or name another log.")
    first, log_id = header()
    begun = Head(log_id, 1, digest_of(first), len(first))
    line = sealed({"time": now(), **body}, name, 1, begun.sha256)
    head = _after(begun, line)
    write_head(files.head, head)
    replace_file(files.log, first + line)
    return Receipt(name, 1, head.sha256, files.log)


@contextlib.contextmanager
def _readable_errors(log: Path) -> Iterator[None]:
    """What the system refuses, as one sentence."""
    try:
        yield
    except OSError as error:
        raise AuditError(
            f"cannot write the audit log {log}: {error.strerror or error}; no entry "
            "was added. Free some space, or name a log in a folder that you may write "
            "to."
        ) from error


def _after(last: Head, line: bytes) -> Head:
    """The head when one more line is there."""
    size = last.size + len(line)
    return Head(last.log, last.entries + 1, digest_of(line), size)


def _head(files: Files) -> Head | None:
    """The head; None, or a head of one line, where the log may be begun."""
    head, is_there = read_head(files.head), files.log.exists()
    if is_there and head is None:
        raise AuditError(f"{files.log} has no {files.head.name} beside it. {REMEDY}.")
    if head is not None and head.entries > 1 and not is_there:
        raise AuditError(
            f"{files.log} is missing, and {files.head} says that it has "
            f"{counted(head.entries, 'line')}. {REMEDY}."
        )
    return head


def _begin(files: Files) -> None:
    """Write the header of a log that is not there."""
    _head(files)
    if files.log.exists():
        return
    first, log_id = header()
    write_head(files.head, Head(log_id, 1, digest_of(first), len(first)))
    replace_file(files.log, first)


def _settled(stream: BinaryIO, files: Files) -> Head:
    """The head, after what a killed writer left behind is accepted or cut off."""
    head = _head(files)
    if head is None:
        raise AuditError(f"{files.log} was moved away while an entry was appended.")
    size = stream.seek(0, os.SEEK_END)
    if size < head.size or digest_of(_line_before(stream, head.size)) != head.sha256:
        raise AuditError(
            f"{files.log} does not end as {files.head.name} says (line {head.entries}, "
            f"byte {head.size:,}): it was cut or altered. {REMEDY}."
        )
    stream.seek(head.size)
    tail = stream.read()
    if not tail:
        return head
    if b"\n" not in tail:
        _reject(stream, files, head, tail)
        return head
    try:
        opened(tail, head.entries, head.sha256)
    except BrokenLine as broken:
        raise AuditError(
            f"{files.log} has a line {head.entries + 1} that {files.head.name} does "
            f"not have, and that no writer left there: {broken.what}. {REMEDY}."
        ) from broken
    os.fsync(stream.fileno())
    head = _after(head, tail)
    write_head(files.head, head)
    return head


def _line_before(stream: BinaryIO, end: int) -> bytes:
    """The line that ends at a byte."""
    start, line, step = end, b"", STEP
    while start > 0:
        low = max(start - step, 0)
        stream.seek(low)
        line = stream.read(start - low) + line
        start, step = low, 2 * step
        cut = line.rfind(b"\n", 0, -1)
        if cut >= 0:
            return line[cut + 1 :]
    return line


def _reject(stream: BinaryIO, files: Files, head: Head, tail: bytes) -> None:
    """Keep a half line elsewhere, then cut it off."""
    with files.rejected.open("ab") as other:
        other.write(tail + b"\n")
        other.flush()
        os.fsync(other.fileno())
    stream.truncate(head.size)
    os.fsync(stream.fileno())


def _write(stream: BinaryIO, line: bytes, start: int) -> None:
    """Write a line and sync it; if the disk is full, none of it stays."""
    try:
        stream.seek(start)
        left = memoryview(line)
        while left:
            left = left[stream.write(left) :]
        os.fsync(stream.fileno())
    except OSError:
        with contextlib.suppress(OSError):  # else the next writer cuts it off
            stream.truncate(start)
        raise
