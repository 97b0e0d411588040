"""Whether the process of a run is still there: a lock that it holds, and how it ended.

`process.json` in the run folder names the host, and is locked while the run goes on.
The system frees the lock of a process that is killed; a run that ends by itself says
so in the file, for readers on other hosts, which may not see the lock.
"""

import contextlib
import json
import os
import socket
import time
from pathlib import Path
from typing import Any, Literal

PROCESS = "process.json"

# `unknown`: no such file, or one of another host that does not say that it ended.
Presence = Literal["running", "ended", "unknown"]


class RunLock:
    """Marks a run folder as one that a process is working on.

    Where the file cannot be made or locked nothing happens: the run matters more.

    Args:
        folder: of the run; None marks nothing. It need not exist before `hold`.
    """

    def __init__(self, folder: Path | None) -> None:
        self.path = None if folder is None else folder / PROCESS
        self._descriptor: int | None = None

    def hold(self) -> None:
        """Mark the folder; it exists."""
        if self.path is None:
            return
        with contextlib.suppress(OSError, ImportError):
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                _lock(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            self._descriptor = descriptor
            self._write({"ended": False})

    def _write(self, fields: dict[str, Any]) -> None:
        about = {"host": socket.gethostname(), "pid": os.getpid(), **fields}
        descriptor = self._descriptor
        if descriptor is not None:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{json.dumps(about)}\n".encode(), 0)

    def release(self) -> None:
        """Say that the run has ended, and let go."""
        if self._descriptor is None:
            return
        with contextlib.suppress(OSError):
            self._write({"ended": True})
        os.close(self._descriptor)  # frees the lock
        self._descriptor = None


def _lock(descriptor: int, tries: int = 20) -> None:
    """Lock a file; a reader holds it for a moment only."""
    import fcntl

    for left in range(tries - 1, -1, -1):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if not left:
                raise
            time.sleep(0.01)


def presence(folder: Path) -> Presence:
    """Whether a process works on a run.

    Args:
        folder: of the run.

    Returns:
        `running`, `ended`, or `unknown` where that cannot be told.
    """
    try:
        import fcntl

        with (folder / PROCESS).open("rb") as stream:
            about = json.loads(stream.read() or b"{}")
            try:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return "running"
    except (OSError, ValueError, ImportError):
        return "unknown"
    if not isinstance(about, dict):
        return "unknown"
    is_here = about.get("host") == socket.gethostname()
    return "ended" if about.get("ended") or is_here else "unknown"
