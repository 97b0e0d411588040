"""Scalars of a run for TensorBoard, written as the run goes.

tensorboardX's `SummaryWriter` hands events to a thread over a queue; if that thread
dies (a full disk), the queue fills and training waits for ever. Here its event file is
written directly: a dozen numbers per call, on disk when the call returns.
"""

import contextlib
import numbers
import socket
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spectral_tf.config import ConfigError
from spectral_tf.training.loop import Progress


class LogWarning(UserWarning):
    """The TensorBoard log cannot be written any more; training goes on without it."""


def scalars(name: str, value: Any) -> Iterator[tuple[str, float]]:
    """Tags and numbers of one metric.

    Args:
        name: of the metric, e.g. `cosine`.
        value: a number; a list of numbers, one per rank; or a mapping of such. None
            and text give nothing.

    Yields:
        `(cosine/rank_1, 0.99)` and so on; mappings add their keys: `heldout/loss`.
    """
    value = value.tolist() if isinstance(value, np.ndarray) else value
    if isinstance(value, numbers.Real):
        yield name, float(value)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from scalars(f"{name}/{key}" if name else str(key), inner)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for rank, inner in enumerate(value, start=1):
            yield from scalars(f"{name}/rank_{rank}", inner)


class TensorboardSink:
    """Writes every `Progress` it is called with to an event file; a context manager.

    If the folder holds event files already (a resumed run), what they say of steps
    from the first new one on is hidden by TensorBoard.

    Args:
        folder: of the event files; made if need be. Show it with
            `tensorboard --logdir FOLDER`.

    Raises:
        ConfigError: if tensorboardX is missing, or the folder cannot be made.

    Warns:
        LogWarning: once, if the file cannot be written; later calls do nothing.

    Example:
        >>> import tempfile
        >>> from spectral_tf.training.loop import Progress
        >>> from spectral_tf.training.tensorboard import TensorboardSink
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with TensorboardSink(folder) as sink:
        ...         sink(Progress(1, 2, 0.0, 64.0, {"loss": 0.5, "cosine": [0.9]}))
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        try:
            from tensorboardX.proto import event_pb2, summary_pb2
            from tensorboardX.record_writer import RecordWriter
        except ImportError as error:
            raise ConfigError(
                f"a TensorBoard log needs tensorboardX ({error}); install it with: "
                "pip install 'spectral_tf[watch]'"
            ) from error
        self._new_writer = RecordWriter
        # Made at import from descriptors: a type checker does not see their names.
        self._event: Any = event_pb2
        self._summary: Any = summary_pb2
        self._writer: RecordWriter | None = None
        self._is_closed = False
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"the TensorBoard log cannot go to {self.folder}: {error}; choose a "
                "folder that can be written to."
            ) from error

    def __enter__(self) -> "TensorboardSink":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self, progress: Progress) -> None:
        """Write the numbers of one call, against `progress.step`."""
        if self._is_closed:
            return
        fields = progress._asdict()
        step, metrics = fields.pop("step"), fields.pop("metrics")
        values = [
            self._summary.Summary.Value(tag=tag, simple_value=number)
            for tag, number in scalars("", fields | metrics)
        ]
        try:
            if self._writer is None:
                self._open(step)
            self._write(step=step, summary=self._summary.Summary(value=values))
        except OSError as error:
            self._give_up()
            warnings.warn(
                f"the TensorBoard log in {self.folder} cannot be written: {error}; "
                "training goes on without it.",
                LogWarning,
                stacklevel=2,
            )

    def _give_up(self) -> None:
        self._is_closed = True
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.close()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._writer is not None and not self._is_closed:
            self._writer.close()
        self._is_closed = True

    def _open(self, step: int) -> None:
        """A new file, which starts by hiding the later steps of older files."""
        is_resumed = any(self.folder.glob("events.out.tfevents.*"))
        now = time.time_ns()
        name = f"events.out.tfevents.{now // 10**9}.{socket.gethostname()}.{now}"
        self._writer = self._new_writer(str(self.folder / name))
        self._write(file_version="brain.Event:2")
        if is_resumed:
            log = self._event.SessionLog
            self._write(step=step, session_log=log(status=log.START))

    def _write(self, **fields: Any) -> None:
        """Append an event; it is on disk when this returns."""
        event = self._event.Event(wall_time=time.time(), **fields)
        if self._writer is not None:
            self._writer.write(event.SerializeToString())
            self._writer.flush()
