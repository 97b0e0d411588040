"""The live line of a training run, on stderr."""

from rich import progress as bar
from rich.console import Console

from spectral_tf.training.records import Progress


class Watch:
    """A live line on stderr: step, time left, instances/s, loss, |cos| per rank."""

    def __init__(self, quiet: bool) -> None:
        console = Console(stderr=True, quiet=quiet)
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

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        if self.task is not None:
            self.bar.stop()

    def stage(self, text: str) -> None:
        """One line of text; ends the bar, if there is one."""
        if self.task is not None:
            self.bar.stop()
        self.console.print(text, highlight=False)

    def call(self, seen: Progress) -> None:
        """Move the bar."""
        if self.task is None:
            self.bar.start()
            self.task = self.bar.add_task("", total=seen.horizon)
        cosine = " ".join(f"{value:.3f}" for value in seen.metrics["cosine"])
        self.bar.update(
            self.task,
            total=seen.horizon,
            completed=seen.step,
            description=(
                f"{seen.instances_per_second:,.0f} instances/s  "
                f"loss {seen.metrics['loss']:.4f}  |cos| {cosine}"
            ),
        )
