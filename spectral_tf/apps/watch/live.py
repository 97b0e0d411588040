"""What is seen of a run on stderr: a live line on a terminal, plain lines elsewhere."""

from rich import progress as bar
from rich.console import Console

from spectral_tf.training.lines import ProgressLines, described
from spectral_tf.training.records import Progress


class _Stderr(Console):
    """A console that lets its caller know when its reader has gone."""

    def on_broken_pipe(self) -> None:
        """Be quiet from here on, and raise; rich would end the process."""
        self.quiet = True
        raise BrokenPipeError("standard error has no reader")


class Watch:
    """Stages, and of a training run: step, instances/s, loss, |cos| per rank, time.

    On a terminal that is one live line; in a log, a line every few seconds.

    Args:
        quiet: nothing is shown.
    """

    def __init__(self, quiet: bool) -> None:
        console = _Stderr(stderr=True, quiet=quiet)
        self.console = console
        self.bar = bar.Progress(
            bar.TextColumn("step {task.completed:.0f}/{task.total:.0f}"),
            bar.BarColumn(bar_width=20),
            bar.TextColumn("{task.description}"),
            bar.TextColumn("left"),
            bar.TimeRemainingColumn(),
            console=console,
        )
        self.task: bar.TaskID | None = None
        self.lines = ProgressLines(self._plain)

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        if self.task is not None:
            self.bar.stop()

    def _plain(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def stage(self, text: str) -> None:
        """One line of text; ends the bar, if there is one."""
        if self.task is not None:
            self.bar.stop()
        self._plain(text)

    def call(self, seen: Progress) -> None:
        """Move the bar, or write a line."""
        if not self.console.is_terminal:
            self.lines(seen)
            return
        if self.task is None:
            self.bar.start()
            self.task = self.bar.add_task("", total=seen.horizon)
        self.bar.update(
            self.task,
            total=seen.horizon,
            completed=seen.step,
            description=described(seen),
        )
