"""A lock that processes and threads take in turn, on a file of its own."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from spectral_tf.apps.audit.lines import AuditError


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait for the lock of a log, and hold it; the system frees it if we are killed.

    Args:
        path: of the lock file; it stays, because a writer may be waiting on it.

    Yields:
        Nothing.

    Raises:
        AuditError: on a system without `fcntl`.
        OSError: if the lock file cannot be made.
    """
    try:
        import fcntl
    except ImportError as error:
        raise AuditError(
            f"{path} cannot be locked: this system has no fcntl (Windows). Leave out "
            "--audit; the log in the folder of the results needs no lock."
        ) from error
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)  # this opening of the file is what holds the lock


@contextlib.contextmanager
def read_locked(path: Path) -> Iterator[None]:
    """Keep writers out while reading, where there is anything to keep out.

    Where there is no lock file nobody has ever taken turns, and none is left behind.

    Args:
        path: of the lock file.

    Yields:
        Nothing.
    """
    try:
        import fcntl

        descriptor = os.open(path, os.O_RDONLY)
    except (ImportError, FileNotFoundError):
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)
