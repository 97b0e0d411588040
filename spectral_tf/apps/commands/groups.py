"""The commands with commands of their own: `audit` and `poc`."""

import dataclasses
from typing import Annotated

import tyro

from spectral_tf.apps.analysis.audit_commands import Judged, Show, Verify
from spectral_tf.apps.analysis.commands import Shown
from spectral_tf.apps.studies.commands import Shipping, Stock

Flat = tyro.conf.arg(name="")


@dataclasses.dataclass(frozen=True)
class Audit:
    """The audit log of pca, cluster and detect."""

    # What to do with a log.
    command: Annotated[Verify | Show, Flat]

    @property
    def json(self) -> bool:
        """Whether a document is wanted."""
        return self.command.json

    def run(self) -> Judged:
        """Read the log; see `Verify.run` and `Show.run`."""
        if isinstance(self.command, Show):
            from spectral_tf.apps.studies.record import RERUNS

            return self.command.run(RERUNS)
        return self.command.run()


@dataclasses.dataclass(frozen=True)
class Poc:
    """A proof of concept, from a table to a report: anomalies in stock, shipping."""

    # What it is about.
    command: Annotated[Stock | Shipping, Flat]

    @property
    def json(self) -> bool:
        """Whether a document is wanted."""
        return self.command.json

    def run(self) -> Shown:
        """Study, write the folder, make the report; see `practice.commands.Poc.run`."""
        from spectral_tf.apps.watch.live import Watch

        with Watch(quiet=self.json) as watch:
            return self.command.run(watch.stage)
