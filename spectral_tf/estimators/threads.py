"""One BLAS thread for small products, whoever else fits at the same time."""

import contextlib
import functools
import os
import threading
from collections.abc import Iterator
from typing import Any

from threadpoolctl import ThreadpoolController


@functools.cache
def blas_controller() -> ThreadpoolController:
    """Looks once which BLAS libraries are loaded."""
    return ThreadpoolController()


class SingleThread:
    """A limit of the process that several Python threads can ask for at once.

    The first that enters sets it and the last that leaves restores what was before:
    each for itself, the first to leave would lift the limit of the others, and the last
    would set it for ever.
    """

    def __init__(self) -> None:
        self._lock, self._users, self._limit = threading.Lock(), 0, None

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        """While inside, BLAS has one thread."""
        with self._lock:
            if self._users == 0:
                self._limit: Any = blas_controller().limit(limits=1, user_api="blas")
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    self._limit.restore_original_limits()


one_blas_thread = SingleThread()

if hasattr(os, "register_at_fork"):
    # The lock could be held by a thread that the child does not have.
    os.register_at_fork(after_in_child=one_blas_thread.__init__)
