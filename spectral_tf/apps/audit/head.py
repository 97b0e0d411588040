"""The head of a log: a small file that says where the log ends.

Without it a log that lost its last lines would be a shorter, valid log.
"""

import contextlib
import json
import os
import re
from pathlib import Path
from typing import NamedTuple

from spectral_tf.apps.audit.lines import FORMAT, AuditError, canonical
from spectral_tf.config.base import require

HEX = re.compile(r"[0-9a-f]+")


class Head(NamedTuple):
    """Where a log ends.

    Attributes:
        log: id of the log.
        entries: lines, the header included.
        sha256: digest of the last line.
        size: bytes.
    """

    log: str
    entries: int
    sha256: str
    size: int


class Files(NamedTuple):
    """A log and what lies beside it."""

    log: Path
    head: Path
    lock: Path
    rejected: Path


def files_of(log: Path) -> Files:
    """The files of a log.

    Args:
        log: path of the log; links are followed, so that all its names share a lock.

    Returns:
        The paths.

    Raises:
        ConfigError: if the name does not end in .jsonl, or is a folder.
    """
    path = log.expanduser().resolve()
    require(
        path.suffix == ".jsonl" and not path.is_dir(),
        f"the audit log {log} must be a file whose name ends in .jsonl, e.g. "
        "audit.jsonl.",
    )
    beside = (path.with_suffix(end) for end in (".head", ".lock", ".rejected"))
    return Files(path, *beside)


def head_bytes(head: Head) -> bytes:
    """The content of a head file."""
    return canonical({"format": FORMAT, **head._asdict()}) + b"\n"


def write_head(path: Path, head: Head) -> None:
    """Replace the head file in one step; it is on the disk then."""
    replace_file(path, head_bytes(head))


def read_head(path: Path) -> Head | None:
    """Read a head file.

    Args:
        path: of the head.

    Returns:
        The head; None if there is none.

    Raises:
        AuditError: if it is not what `write_head` writes, byte for byte.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    with contextlib.suppress(ValueError, KeyError, TypeError):
        found = json.loads(raw)
        head = Head(**{name: found[name] for name in Head._fields})
        are_counts = type(head.entries) is int and type(head.size) is int
        are_names = HEX.fullmatch(head.log) and HEX.fullmatch(head.sha256)
        if are_counts and are_names and head_bytes(head) == raw:
            return head
    raise AuditError(f"{path} was altered: it is not a head as it was written")


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, and wait until the disk has it.

    Args:
        path: replaced if it exists.
        content: bytes.

    Raises:
        OSError: if it cannot be written.
    """
    draft = path.with_name(f".{path.name}.tmp")
    with draft.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(draft, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the names in a folder; only POSIX can be asked to."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
