"""The files of a run: config.json, metrics.jsonl, checkpoints.

Process 0 writes them, and nobody else. A file that is rewritten is replaced as a whole.
"""

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax

from spectral_tf.config import AnyRun
from spectral_tf.training.checkpoint import (
    CheckpointError,
    best_folder,
    checkpoint_folders,
    clean_unfinished,
    heldout_loss,
)
from spectral_tf.training.presence import RunLock
from spectral_tf.training.saver import Saver
from spectral_tf.training.state import TrainState


class Progress(NamedTuple):
    """One call of the compiled function, seen from the host.

    Attributes:
        step: steps done.
        horizon: steps in all, as far as known.
        seconds: since the end of the first call, which compiles; 0 for that call.
        instances_per_second: over this call.
        metrics: name -> mean over the steps of this call (a list per rank for
            `cosine` and `eigenvalue_error`).
        heldout: scores on the held-out instances, after the calls that evaluate.
    """

    step: int
    horizon: int
    seconds: float
    instances_per_second: float
    metrics: dict[str, Any]
    heldout: dict[str, Any] | None = None


def check_run_dir(folder: Path | None) -> None:
    """Refuse a folder that no run can be written to, before anything is compiled.

    Args:
        folder: of the run, which need not exist; None keeps nothing.

    Raises:
        CheckpointError: if it is or lies below a file, or may not be written to.
    """
    if folder is None:
        return
    paths = [folder.absolute(), *folder.absolute().parents]
    nearest = next(path for path in paths if path.exists())
    if not nearest.is_dir():
        raise CheckpointError(
            f"the run folder {folder} cannot be made: {nearest} is a file; choose "
            "another run folder."
        )
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise CheckpointError(
            f"the run folder {folder} cannot be written: you may not write to "
            f"{nearest}; choose another run folder."
        )


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn an error of the file system into one that says what to do."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"cannot write {path}: {error}. Checkpoints that are there are intact; "
            "free some space or choose another run folder, then resume."
        ) from error


def _replace(path: Path, text: str) -> None:
    """Write a file so that a crash leaves the old one or the new one."""
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        temporary.write_text(text, "utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _step_of(line: str) -> float:
    """Step of a line of metrics.jsonl; infinite if a crash left half of it."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf


class Records:
    """A context that writes the files of a run; it ends when all is written.

    Args:
        run_dir: None keeps nothing.
        config: of the run.
    """

    def __init__(self, run_dir: Path | None, config: AnyRun) -> None:
        self.run_dir, self.config = run_dir, config
        is_mine = run_dir is not None and jax.process_index() == 0
        self._folder = run_dir if is_mine else None
        self._saver = Saver(run_dir, config) if run_dir and is_mine else None
        self._lock = RunLock(self._folder)
        self.best_loss = math.inf

    def open(self, step: int) -> None:
        """Begin at a step: forget what was logged beyond it or left unfinished.

        Args:
            step: 0, or that of the checkpoint that the run goes on from.

        Raises:
            CheckpointError: if the folder cannot be written.
        """
        folder = self._folder
        if folder is None:
            return
        with _explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._lock.hold()
            clean_unfinished(folder)
            _replace(
                folder / "config.json", json.dumps(self.config.to_dict(), indent=1)
            )
            path = folder / "metrics.jsonl"
            # After a resume, what was logged beyond the checkpoint is logged again.
            text = path.read_text("utf-8", errors="replace") if path.exists() else ""
            lines = [line for line in text.splitlines() if _step_of(line) <= step]
            _replace(path, "".join(f"{line}\n" for line in lines))
            best = best_folder(checkpoint_folders(folder))
        self.best_loss = math.inf if best is None else heldout_loss(best)

    def log(self, progress: Progress) -> None:
        """Add a line to metrics.jsonl.

        Args:
            progress: its metrics become fields of the line; heldout, if there is any.

        Raises:
            CheckpointError: if it cannot be written.
        """
        if self._folder is None:
            return
        flat = progress._asdict() | progress.metrics
        del flat["metrics"]
        if progress.heldout is None:
            del flat["heldout"]
        path = self._folder / "metrics.jsonl"
        with _explained(path), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(flat) + "\n")

    def save(self, state: TrainState, extra: Mapping[str, Any]) -> None:
        """Begin to write a checkpoint; see `Saver.save`."""
        if self._saver is not None:
            self._saver.save(state, extra)

    @property
    def has_failed(self) -> bool:
        """True if a checkpoint could not be written, and nobody was told yet."""
        return self._saver is not None and self._saver.has_failed

    def check(self) -> None:
        """Raise `CheckpointError` if a checkpoint could not be written."""
        if self._saver is not None:
            self._saver.check()

    def wait(self) -> None:
        """Wait until all is written; raise `CheckpointError` if it could not be."""
        if self._saver is not None:
            self._saver.wait()

    def __enter__(self) -> "Records":
        return self

    def __exit__(self, *error: Any) -> None:
        try:
            if self._saver is not None:
                self._saver.__exit__(*error)
        finally:
            self._lock.release()
