"""How a run is asked to stop, on one process or on many."""

import functools
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

# Codes of a reason to stop; of several, the largest counts.
GO_ON, INTERRUPT, PREEMPT, FAILED = range(4)


class Interrupted(RuntimeError):
    """The run was asked to stop (Ctrl-C, SIGTERM) and has saved what it had."""


class Preempted(Interrupted):
    """The machine is wanted back (SIGTERM); the run has saved what it had."""


class StopRequest:
    """What the signals of this process have asked for: one of the codes above."""

    code: int = GO_ON


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """A request that Ctrl-C and SIGTERM set; a second Ctrl-C interrupts at once."""
    asked = StopRequest()
    codes = {signal.SIGINT: INTERRUPT, signal.SIGTERM: PREEMPT}

    def handler(signum: int, _: Any) -> None:
        if asked.code != GO_ON and signum == signal.SIGINT:
            raise KeyboardInterrupt
        asked.code = max(asked.code, codes[signal.Signals(signum)])

    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {one: signal.signal(one, handler) for one in codes}
    try:
        yield asked
    finally:
        for one, old in before.items():
            signal.signal(one, old)


def agree(code: int) -> Array | None:
    """Begin to agree on a code with the other processes; all must call this.

    Args:
        code: of this process.

    Returns:
        `[]` int32 on the devices, the largest code of all; None if there is no other
        process. It is fetched with the metrics, so that no device waits for it.

    Source: ours.
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
    first = {one.process_index: one for one in reversed(jax.devices())}
    mesh = Mesh(np.array([first[index] for index in sorted(first)]), ("processes",))
    everywhere = NamedSharding(mesh, PartitionSpec())
    return jax.jit(lambda codes: jnp.max(codes), out_shardings=everywhere), mesh


def same_everywhere(value: int) -> int:
    """The value of process 0; all must call this. Waits."""
    if jax.process_count() == 1:
        return value
    return int(multihost_utils.broadcast_one_to_all(np.int32(value)))
