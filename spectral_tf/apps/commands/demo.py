"""The command `demo`."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from spectral_tf.apps.analysis.commands import Shown
from spectral_tf.apps.analysis.folders import results_folder
from spectral_tf.apps.analysis.results import check_folder
from spectral_tf.apps.demo import DemoConfig, run_demo
from spectral_tf.apps.watch.live import Watch

Flat = tyro.conf.arg(name="")


@dataclasses.dataclass(frozen=True)
class Demo:
    """Construct a network, pre-train another for 400 steps, run both on real data."""

    # What is trained, and what it is shown.
    config: Annotated[DemoConfig, Flat] = dataclasses.field(default_factory=DemoConfig)
    # Folder of the results; default runs/<time>-demo.
    out: Path | None = None
    # Print report.json on stdout and nothing else.
    json: bool = False

    def run(self) -> Shown:
        """Train, compare, draw.

        Returns:
            What is shown; the files are in place then.

        Raises:
            ConfigError: for a folder that cannot be used.
            DataError: for data that cannot.
            FileExistsError: for a folder that is not empty.
            Interrupted: after Ctrl-C, with a checkpoint.
        """
        with results_folder(self.out, "demo") as folder:
            check_folder(folder, [Path(self.config.data)], force=False)
            with Watch(quiet=self.json) as watch:
                result = run_demo(
                    self.config, folder, on_call=watch.call, on_stage=watch.stage
                )
        notes = "".join(f"{note}\n" for note in result.report["notes"])
        text = f"\n{notes}{result.table}\n" + "\n".join(result.sentences) + "\n"
        return Shown(result.report, text)
