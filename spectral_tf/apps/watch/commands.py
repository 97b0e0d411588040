"""The command `runs`, and the learning curve that is left in a run folder."""

import dataclasses
import os
from pathlib import Path
from typing import Annotated, Any

import tyro

from spectral_tf.apps.analysis.commands import Shown
from spectral_tf.apps.report.curves import learning_curve_figure
from spectral_tf.apps.report.stream_figure import check_figure, save_figure
from spectral_tf.apps.watch.compare import (
    FIELDS,
    compare_runs,
    differences_table,
    run_curve,
    run_names,
    runs_document,
)
from spectral_tf.apps.watch.read import Run, find_runs, read_run
from spectral_tf.config import DataError

CURVE = "curve.png"


@dataclasses.dataclass(frozen=True)
class Runs:
    """List and compare the runs of training below a folder."""

    # Folder of one run, or of many, at any depth.
    root: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="ROOT")] = Path(
        "runs"
    )
    # New PNG of their learning curves, at most 12 runs.
    figure: Path | None = None
    # Show every field in which they differ, in full length.
    fields: bool = False
    # Print the runs as JSON on stdout and nothing else.
    json: bool = False

    def run(self) -> Shown:
        """Read the runs; draw them if asked.

        Returns:
            What is shown. A folder that cannot be read is named, and left out.

        Raises:
            DataError: if there is no run, none can be read, or none can be drawn.
            ConfigError: if the figure is not named .png.
            FileExistsError: if the figure exists.
        """
        if self.figure is not None:
            check_figure(self.figure)
        runs, faults = self._read()
        document: dict[str, Any] = runs_document(runs)
        document |= {"unreadable": faults, "figure": None}
        lines = [compare_runs(runs)]
        differences = differences_table(runs, None if self.fields else FIELDS)
        lines += [f"They differ in:\n{differences}"] if differences else []
        lines += [f"left out: {fault}\n" for fault in faults]
        if self.figure is not None:
            logged = [
                (run, name)
                for run, name in zip(runs, run_names(runs), strict=True)
                if run.step
            ]
            curves = [run_curve(run, name) for run, name in logged]
            save_figure(learning_curve_figure(curves), self.figure)
            document["figure"] = str(self.figure)
            lines.append(f"figure written to {self.figure}\n")
        return Shown(document, "\n".join(lines))

    def _read(self) -> tuple[list[Run], list[str]]:
        """Runs, and what is wrong with those that cannot be read."""
        folders = find_runs(self.root)
        if not folders:
            raise DataError(
                f"no run in {self.root}: no folder at or below it has config.json and "
                "metrics.jsonl; give the folder that --run-dir of `spectral-tf "
                "pretrain` named, or one above it."
            )
        runs, faults = [], []
        for folder in folders:
            try:
                runs.append(read_run(folder))
            except DataError as error:
                faults.append(str(error))
        if not runs:
            raise DataError(faults[0])
        return runs, faults


def write_curve(folder: Path | str) -> Path:
    """Draw a run's learning curve into its folder; an older one is replaced.

    Args:
        folder: of the run.

    Returns:
        Path of the PNG, `curve.png`.

    Raises:
        DataError: if the folder is not a run with at least one call, or cannot be
            written to; an older curve is left as it was then.
    """
    run = read_run(folder)
    figure = learning_curve_figure(run_curve(run, run_names([run])[0]))
    path = run.folder / CURVE
    draft = run.folder / f".{CURVE}-{os.getpid()}"
    try:
        figure.savefig(draft, dpi=130, format="png")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise DataError(
            f"cannot write {path}: {error}; free some space, or make the folder "
            "writable."
        ) from error
    return path
