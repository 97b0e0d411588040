"""One line of a log: canonical JSON with a number, the last digest and its own.

    {"command": ..., "id": "0f...", "n": 3, "previous": "9c...", ..., "sha256": "51..."}

The digest is over the bytes of the line as they stand, without the digest itself: a
change that leaves the meaning of the JSON as it was is a change. It is the last member
of the object, out of order, so that those bytes are all that comes before it.
"""

import datetime
import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

from spectral_tf.config.base import DataError, require

FORMAT = 1
"""Raised when an older version of the package could misread a log."""
NONE = "0" * 64
"""What stands for the digest before the first line."""
RESERVED = frozenset({"id", "n", "previous", "sha256"})
"""Names that the log itself gives to an entry."""
SEAL = re.compile(rb',"sha256":"([0-9a-f]{64})"\}\n\Z')
SEAL_BYTES = len(',"sha256":""}\n') + 64
ID = re.compile(rb'"id":"([0-9a-f]{16})"')


class AuditError(DataError):
    """A log cannot be used; the message says where, why, and what to do."""


class BrokenLine(ValueError):
    """A line is not what its place in the log demands; `what` says in what."""

    def __init__(self, what: str, name: str | None = None) -> None:
        super().__init__(what)
        self.what, self.id = what, name


def canonical(value: Any) -> bytes:
    """JSON with one spelling: names in order, no spaces, ASCII, finite numbers.

    Args:
        value: plain data.

    Returns:
        Bytes.

    Raises:
        ValueError: for NaN or infinity.
        TypeError: for what is no plain data.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def new_id() -> str:
    """A random name of 16 hexadecimal digits."""
    return uuid.uuid4().hex[:16]


def now() -> str:
    """The time, UTC, to the microsecond."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")


def sealed(body: Mapping[str, Any], name: str, n: int, previous: str) -> bytes:
    """The line of an entry.

    Args:
        body: what it says, without the names in `RESERVED`.
        name: its id.
        n: how many lines come before it.
        previous: digest of the line before, `NONE` for the first.

    Returns:
        Bytes that end in a newline.

    Raises:
        ConfigError: if the body uses a reserved name.
    """
    taken = sorted(RESERVED & set(body))
    require(
        not taken,
        f"the entry has {', '.join(taken)}, which the log itself adds; rename it.",
    )
    open_end = canonical({**body, "id": name, "n": n, "previous": previous})[:-1]
    digest = hashlib.sha256(open_end).hexdigest()
    return open_end + f',"sha256":"{digest}"}}\n'.encode()


def header() -> tuple[bytes, str]:
    """The first line of a new log, and the log's random id."""
    name = new_id()
    body = {"kind": "header", "format": FORMAT, "time": now()}
    return sealed(body, name, 0, NONE), name


def digest_of(line: bytes) -> str:
    """The digest of a line, computed from its bytes."""
    return hashlib.sha256(line[:-SEAL_BYTES]).hexdigest()


def opened(line: bytes, n: int, previous: str) -> dict[str, Any]:
    """Check a line against its place, and read it.

    Args:
        line: with its newline.
        n: how many lines come before it.
        previous: digest of the line before.

    Returns:
        The entry.

    Raises:
        BrokenLine: at the first thing that is wrong.
    """
    found = ID.search(line)
    name = found[1].decode() if found else None
    if not line.endswith(b"\n"):
        raise BrokenLine("it is cut short: its end is missing", name)
    seal = SEAL.search(line)
    if seal is None:
        raise BrokenLine("it was altered: it does not end in its sha256", name)
    if seal[1].decode() != digest_of(line):
        raise BrokenLine("it was altered: its bytes do not match its sha256", name)
    try:
        entry = json.loads(line)
    except ValueError as error:
        raise BrokenLine(f"it is no JSON ({error})", name) from error
    _check_place(entry, name, n, previous)
    return entry


def _check_place(entry: Any, name: str | None, n: int, previous: str) -> None:
    """Refuse an entry that is whole, but belongs elsewhere."""
    if not isinstance(entry, dict) or not entry.keys() >= RESERVED:
        raise BrokenLine(f"it lacks one of {', '.join(sorted(RESERVED))}", name)
    name = str(entry["id"])
    if entry["n"] != n:
        raise BrokenLine(
            f"its number is {entry['n']}, and {n} is due: lines were removed, added or "
            "reordered",
            name,
        )
    if entry["previous"] != previous:
        raise BrokenLine(
            "its `previous` is not the sha256 of the line before: that line was "
            "altered and sealed anew, or this one comes from another log",
            name,
        )
    is_header = entry.get("kind") == "header"
    if is_header != (n == 0):
        raise BrokenLine("a header must be the first line, and only that", name)
    if is_header and entry.get("format") != FORMAT:
        raise BrokenLine(
            f"its format is {entry.get('format')!r}; this version reads {FORMAT}", name
        )
