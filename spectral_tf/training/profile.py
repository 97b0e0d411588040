"""A trace of some calls of a run, for TensorBoard's profile tab or Perfetto."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax

from spectral_tf.config import ConfigError, require
from spectral_tf.config.wording import counted
from spectral_tf.training.loop import Progress


class ProfileWarning(UserWarning):
    """The run ended before the first call that was to be traced; there is no trace."""


class Profiler:
    """Counts calls; starts the trace after call `first`, stops it after call `last`."""

    def __init__(self, folder: Path, first: int, last: int) -> None:
        self.folder, self.first, self.last = folder, first, last
        self.calls, self.is_tracing = 0, False

    def __call__(self, progress: Progress) -> None:
        """One call of the compiled function is done."""
        del progress
        self.calls += 1
        if self.calls == self.last:
            self.stop()
        elif self.calls == self.first:
            jax.profiler.start_trace(self.folder)
            self.is_tracing = True

    def stop(self) -> None:
        """End the trace, if one is going on; its files are written then."""
        if self.is_tracing:
            self.is_tracing = False
            jax.profiler.stop_trace()


@contextmanager
def profile(folder: Path | str, calls: tuple[int, int] = (1, 3)) -> Iterator[Profiler]:
    """An `on_call` observer that traces calls `first + 1` to `last` of a run.

    The first call compiles, so `first` is at least 1. A run that ends earlier, by
    itself or by an error, leaves the trace up to there.

    Args:
        folder: where `plugins/profile/<time>/` goes; made if need be.
        calls: `(first, last)`.

    Yields:
        The observer, for `pretrain(..., on_call=...)`.

    Raises:
        ConfigError: unless 1 <= first < last, or if the folder cannot be made.

    Warns:
        ProfileWarning: if the run ends without an error before call `first + 1`.
    """
    first, last = calls
    require(
        1 <= first < last,
        f"calls=({first}, {last}) must be (first, last) with 1 <= first < last; the "
        "first call compiles. Try (1, 3).",
    )
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"the trace cannot go to {path}: {error}; choose a folder that can be "
            "written to."
        ) from error
    profiler = Profiler(path, first, last)
    try:
        yield profiler
    finally:
        profiler.stop()
    if profiler.calls <= first:
        warnings.warn(
            f"the run ended after {counted(profiler.calls, 'call')}, before call "
            f"{first + 1}, so nothing was traced to {path}; ask for more steps, or "
            "fewer in one call.",
            ProfileWarning,
            stacklevel=3,
        )
