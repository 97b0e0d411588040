"""A run as plain lines of text, one every few seconds: for logs, and for notebooks."""

import math
import sys
import time
from collections.abc import Callable
from typing import Any

from spectral_tf.training.records import Progress

SECONDS = 5.0
"""Between two lines; the first and the last call of a run are always said."""


def on_stderr(text: str) -> None:
    """A line on standard error, where there is one."""
    if sys.stderr is not None:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


class ProgressLines:
    """Watches a run: a line for a call, if the last one is some seconds ago.

    Args:
        write: takes a line of text.
        seconds: between two lines.
    """

    def __init__(
        self, write: Callable[[str], Any] = on_stderr, seconds: float = SECONDS
    ) -> None:
        self.write, self.seconds = write, seconds
        self.last_written = -math.inf
        self.first: Progress | None = None

    def __call__(self, progress: Progress) -> None:
        """Say where the run is, if it is time."""
        self.first = self.first or progress
        now = time.monotonic()
        if progress.step < progress.horizon and now - self.last_written < self.seconds:
            return
        self.last_written = now
        self.write(
            f"step {progress.step:,}/{progress.horizon:,}  {described(progress)}"
            f"{self._left(progress)}"
        )

    def _left(self, progress: Progress) -> str:
        """The time that is left at the speed so far; empty if it is not known."""
        steps = progress.step - (self.first or progress).step
        rest = progress.horizon - progress.step
        if steps <= 0 or rest <= 0:
            return ""
        return f"  {clock(rest * progress.seconds / steps)} left"


def described(progress: Progress) -> str:
    """Speed, loss and accuracy of a call, in a few words.

    Args:
        progress: of the call.

    Returns:
        A line without its end: `1,234 instances/s  loss 0.1234  |cos| 0.998 0.987`.
    """
    metrics = progress.metrics
    text = f"{progress.instances_per_second:,.0f} instances/s"
    if "loss" in metrics:
        text += f"  loss {metrics['loss']:.4f}"
    for name, shown in (("cosine", "|cos|"), ("accuracy", "share of rows right")):
        if name in metrics:
            values = metrics[name]
            listed = values if isinstance(values, list) else [values]
            text += f"  {shown} {' '.join(f'{value:.3f}' for value in listed)}"
    return text


def clock(seconds: float) -> str:
    """`1:02:03`, or `2:03` below an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
