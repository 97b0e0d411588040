"""Whether this process is a fork of one in which JAX was in use.

Imported before anything else of the package: where the fork was before this import, it
is known by the threads that are missing, and other libraries start threads of theirs.
"""

import os
import sys


class Fork:
    """What is known of this process."""

    is_broken = False
    """JAX had begun to run before the fork, and nobody serves its devices here."""


def _has_begun() -> bool:
    """Whether JAX has devices, and threads that serve them."""
    bridge = sys.modules.get("jax._src.xla_bridge")
    begun = getattr(bridge, "backends_are_initialized", None)
    return begun is not None and begun()


def _has_lost_threads() -> bool:
    """Whether JAX has devices but nobody serves them; only Linux can tell."""
    try:
        return _has_begun() and len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False


def _after_fork() -> None:
    Fork.is_broken = Fork.is_broken or _has_begun()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
    # The fork may have been before this import.
    Fork.is_broken = _has_lost_threads()
