"""Many processes as one run: each host of a cluster runs the same command.

**When a process is lost** (killed, its host gone) the others cannot go on: every step
ends in an all-reduce. Each stops with an exit code that is not 0, and one line on
stderr says so and how to resume. There are two ways:

* the all-reduce fails, as it does between CPUs as soon as a connection breaks: an error
  in the loop, which `stops_with_the_others` turns into the line and exit code `LOST`,
  after the checkpoint that was being written is whole. The exit is immediate: the
  ordinary one would wait at a barrier for the process that is lost;
* JAX's coordination service loses process 0, or misses a heartbeat for `HEARTBEAT`
  seconds while the others hang in an all-reduce. JAX then aborts the process from a
  thread of its own (SIGABRT, with a stack trace), before Python can say anything, and
  jaxlib 0.10.2 cannot call Python there (`missed_heartbeat_callback` ends in
  std::bad_cast). So a small second process, the `Guardian`, says the line.

A checkpoint is whole or not there, so every moment will do.
"""

import atexit
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jax

from spectral_tf.config import ConfigError, require

HEARTBEAT = 30
"""Seconds until a process that no longer answers stops the others."""

LOST = 1
"""Exit code of a process that stops because another one is lost."""

DONE = "done"
"""What the guardian is told by a process that ends in order."""

GUARD = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
said = sys.stdin.readline().strip()
if said != {DONE!r}:
    sys.stderr.write(sys.argv[1].replace("CAUSE", said or "killed, or JAX aborted it"))
"""
"""The program of the guardian: one line in, at most one line out."""


class Guardian:
    """A process that says how to resume when this one ends without having said `DONE`.

    Attributes:
        process: the second process; it ends when this one does.
    """

    def __init__(self, run_dir: Path | None) -> None:
        index, count = jax.process_index(), jax.process_count()
        folder = "" if run_dir is None else f" --run-dir {run_dir}"
        line = (
            f"spectral-tf: process {index} of {count} stops: it was killed, or a "
            f"process of the run was lost (CAUSE). The checkpoints are intact: start "
            f"all {count} again, each with its options and --resume: spectral-tf "
            f"pretrain{folder} --resume\n"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", GUARD, line],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # so that Ctrl-C does not reach it
        )
        atexit.register(self.tell, DONE)

    def tell(self, what: str) -> None:
        """Say `DONE`, or why this process stops, and wait until it is said."""
        # It may be told, or gone, already.
        with contextlib.suppress(OSError, ValueError, subprocess.TimeoutExpired):
            self.process.communicate(f"{what}\n", timeout=10)


_guardians: list[Guardian] = []


def join(
    detect: bool,
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    run_dir: Path | None = None,
) -> None:
    """Join the processes of a run, before anything else touches a device.

    With `detect` alone JAX reads the launcher's environment (SLURM, Open MPI, GKE, TPU
    pods). By hand all three others are given. With neither nothing happens.

    Args:
        detect: let JAX find the other processes.
        coordinator: `host:port` of process 0.
        num_processes: how many there are.
        process_id: which one this is, from 0.
        run_dir: what is said to be resumed if a process is lost.

    Raises:
        ConfigError: if only some of the three are given, they do not fit, or no
            launcher is found.

    Source: JAX documentation, "Introduction to multi-controller JAX".
    """
    by_hand = (coordinator, num_processes, process_id)
    if not detect and all(value is None for value in by_hand):
        return
    is_given = [value is not None for value in by_hand]
    require(
        all(is_given) or (detect and not any(is_given)),
        f"coordinator={coordinator}, num_processes={num_processes}, process_id="
        f"{process_id}: give all three, or only --distributed on a cluster whose "
        "launcher JAX knows (SLURM, Open MPI, GKE, TPU pods).",
    )
    if num_processes is not None and process_id is not None:
        require(
            0 <= process_id < num_processes,
            f"process_id={process_id} must lie in 0..{num_processes - 1}, below "
            f"num_processes={num_processes}.",
        )
    try:
        jax.distributed.initialize(
            coordinator,
            num_processes,
            process_id,
            heartbeat_timeout_seconds=HEARTBEAT,
        )
    except (ValueError, RuntimeError) as error:
        raise ConfigError(
            f"the processes cannot be joined: {str(error).splitlines()[0]} Give "
            "--coordinator HOST:PORT --num-processes N --process-id I by hand, the "
            "same on every host but for the last."
        ) from error
    if jax.process_count() > 1:
        _guardians.append(Guardian(run_dir))


@contextlib.contextmanager
def stops_with_the_others() -> Iterator[None]:
    """End this process, with one line, where an all-reduce fails inside.

    Does nothing in a run of one process. A device that is out of memory is an error
    of this process, and passes.

    Yields:
        Nothing.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if not _guardians or "RESOURCE_EXHAUSTED" in str(error):
            raise
        _guardians[-1].tell(str(error).splitlines()[0][:160])
        os._exit(LOST)
