"""How a run is asked to stop, on one process or on many."""

import contextlib
import functools
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from spectral_tf.training.lines import on_stderr

# Codes of a reason to stop; of several, the largest counts.
GO_ON, INTERRUPT, PREEMPT, FAILED = range(4)


class Interrupted(RuntimeError):
    """The run was asked to stop (Ctrl-C, SIGTERM) and has saved what it had."""


class Preempted(Interrupted):
    """The machine is wanted back (SIGTERM); the run has saved what it had."""


class StopRequest:
    """What the signals of this process have asked for: one of the codes above."""

    code: int = GO_ON


STOPPING = {
    signal.SIGINT: "stopping at the end of this call (while it compiles, that can take "
    "minutes); Ctrl-C again stops at once, without saving",
    signal.SIGTERM: "SIGTERM: stopping at the end of this call",
}
"""What is said when a signal comes, since nothing else is until the call ends."""


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """A request that Ctrl-C and SIGTERM set; a second Ctrl-C interrupts at once."""
    request = StopRequest()
    codes = {signal.SIGINT: INTERRUPT, signal.SIGTERM: PREEMPT}

    def handler(signum: int, _: Any) -> None:
        if request.code != GO_ON and signum == signal.SIGINT:
            raise KeyboardInterrupt
        request.code = max(request.code, codes[signal.Signals(signum)])

    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, handler) for number in codes}
    try:
        with _announced():
            yield request
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextmanager
def _announced() -> Iterator[None]:
    """Say at once that a signal came.

    Python runs its handlers when the main thread is back from compiled code, and XLA
    can compile for minutes. The number of the signal is written to a pipe right away,
    though, and a thread can read it there.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    thread = threading.Thread(target=_announce, args=(reader, before), daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(writer)  # the thread ends
        thread.join()
        os.close(reader)


def _announce(reader: int, before: int) -> None:
    """Read numbers of signals; the first of a kind is said, all are passed on."""
    texts = {int(number): text for number, text in STOPPING.items()}
    while number := os.read(reader, 1):
        with contextlib.suppress(OSError, ValueError):
            if before >= 0:
                os.write(before, number)
            if text := texts.pop(number[0], ""):
                on_stderr(text)


def agree(code: int) -> Array | None:
    """Begin to agree on a code with the other processes; all must call this.

    Args:
        code: of this process.

    Returns:
        `[]` int32 on the devices, the largest code of all; None if there is no other
        process. It is fetched with the metrics, so that no device waits for it.
    """
    if jax.process_count() == 1:
        return None
    reduce, mesh = _largest()
    spec = PartitionSpec("processes")
    mine = np.array([code], np.int32)
    largest = reduce(multihost_utils.host_local_array_to_global_array(mine, mesh, spec))
    # Two collective programs in flight can deadlock on the CPU.
    on_cpu = jax.default_backend() == "cpu"
    return jax.block_until_ready(largest) if on_cpu else largest


@functools.cache
def _largest() -> tuple[Any, Mesh]:
    """The compiled maximum over processes, and its mesh of one device of each."""
    first = {device.process_index: device for device in reversed(jax.devices())}
    mesh = Mesh(np.array([first[index] for index in sorted(first)]), ("processes",))
    everywhere = NamedSharding(mesh, PartitionSpec())
    return jax.jit(lambda codes: jnp.max(codes), out_shardings=everywhere), mesh


def same_everywhere(value: int) -> int:
    """The value of process 0; all must call this. Waits."""
    if jax.process_count() == 1:
        return value
    return int(multihost_utils.broadcast_one_to_all(np.int32(value)))
