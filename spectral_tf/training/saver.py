"""Checkpoints written in the background, one at a time."""

from collections.abc import Mapping
from concurrent import futures
from pathlib import Path
from types import TracebackType
from typing import Any

from spectral_tf.config import AnyRun
from spectral_tf.training.checkpoint import CheckpointError, save_checkpoint, to_host
from spectral_tf.training.state import TrainState


class Saver:
    """Saves while the run goes on; a context that ends when all is written.

    The state is copied to the host at once; one thread writes it. A failed write is
    raised by `check`, by `wait`, or at the end of the context.

    Args:
        run_dir: of the run.
        config: stored in every `meta.json`.
    """

    def __init__(self, run_dir: Path, config: AnyRun) -> None:
        self.run_dir, self.config = run_dir, config
        self._pool = futures.ThreadPoolExecutor(1, "checkpoint")
        self._pending: futures.Future[Path] | None = None

    def save(self, state: TrainState, extra: Mapping[str, Any]) -> None:
        """Begin to write a checkpoint, once the one before is written.

        Args:
            state: copied to the host before this returns. Dropped if the one before
                could not be written and nobody was told: `check` tells.
            extra: as for `save_checkpoint`.
        """
        if self._pending is not None:
            futures.wait([self._pending])
        if not self.has_failed:
            self._pending = self._pool.submit(
                save_checkpoint, self.run_dir, self.config, to_host(state), extra
            )

    @property
    def has_failed(self) -> bool:
        """True if a write has ended in an error that nobody was told of."""
        pending = self._pending
        if pending is None or not pending.done():
            return False
        return pending.exception() is not None

    def check(self) -> None:
        """Raise the error of a write that has failed; do not wait for one under way."""
        if self.has_failed:
            self.wait()

    def wait(self) -> None:
        """Wait until all is written; raise `CheckpointError` if it could not be."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def __enter__(self) -> "Saver":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.wait()
        except CheckpointError as failed:
            if error is None:
                raise
            # The first error is the one to see; this one must not be lost.
            error.add_note(str(failed))
        finally:
            self._pool.shutdown()
