"""What every analysis of a table does: options, and what they set going.

A kind of analysis is a subclass of `Analysis` in a file of its own, see `kinds.KINDS`.
The estimators are imported when a command runs, so that its help comes fast.
"""

import abc
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

import tyro

from spectral_tf.config import ReadOptions, require

if TYPE_CHECKING:
    from spectral_tf.apps.analysis.answer import Answer, Search
    from spectral_tf.apps.analysis.checks import Check
    from spectral_tf.apps.analysis.prepare import Prepared
    from spectral_tf.apps.audit import Receipt
    from spectral_tf.tables.columns import Columns


class Shown(NamedTuple):
    """What a command shows: a `document` for `--json`, else the `text`."""

    document: dict[str, Any]
    text: str


def is_weights(path: Path) -> bool:
    """Whether a path may be that of a trained network."""
    return path.is_dir() or (path.suffix == ".json" and path.is_file())


@dataclasses.dataclass(frozen=True)
class Analysis(abc.ABC):
    """What the analyses share: read, fit, write, and what a kind has to add.

    Attributes:
        least_columns: so many must be left of a table.
        decides: a name in its decisions by which they are known, its own alone.
        meant: arguments that entries of the audit log meant where they have none: they
            are older than a choice or its default.
    """

    # FILE.csv, .tsv (either with .gz), .xlsx, .parquet, .npy or .npz; rows are samples,
    # columns features.
    file: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="FILE")]
    # Folder of the results; default runs/<time>-<command>.
    out: Path | None = None
    # Columns to use, by name; default: all that are numeric.
    columns: tuple[str, ...] = ()
    # How the file is read.
    reading: Annotated[tyro.conf.DisallowNone[ReadOptions], tyro.conf.arg(name="")] = (
        dataclasses.field(default_factory=ReadOptions)
    )
    # Missing values: refused, or filled with the median of their column.
    impute: Literal["none", "median"] = "none"
    # Scale every column to zero mean and unit variance.
    standardize: bool = True
    # Who finds the components; a certificate checks them in any case.
    # constructed: a network whose weights are written down, not trained; any table.
    # pretrained: a network that learnt it; a shipped one, or that of --weights.
    # exact: LAPACK, no network.
    # auto: constructed, after a proposal by --weights if they are given and fit; exact
    # for more than 32 components, or all of them.
    engine: Literal["auto", "constructed", "pretrained", "exact"] = "auto"
    # Folder of a run of `pretrain` or of saved weights, or a checkpoint's manifest.
    weights: Path | None = None
    # A component is certified if its angle to the true one is proven smaller (radians).
    tol: float = 1e-3
    # Components that are not certified: replaced by an exact solver's, kept, refused.
    fallback: Literal["eigh", "warn", "raise"] = "eigh"
    # Seed of the start vectors and of the mixture.
    seed: int = 0
    # A longer-lived audit log, NAME.jsonl, that gets the entry, too.
    audit: Path | None = None
    # Replace the folder of the results if it exists.
    force: bool = False
    # Print summary.json on stdout and nothing else.
    json: bool = False

    least_columns: ClassVar[int] = 1
    decides: ClassVar[str] = ""
    meant: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    @property
    def name(self) -> str:
        """Of the command, as in `KINDS`."""
        return type(self).__name__.lower()

    def run(self) -> Shown:
        """Read, fit, write.

        Returns:
            What is shown; the files are in place then.

        Raises:
            ConfigError: for a parameter or a folder that cannot be used.
            DataError: for a table that cannot, or if the folder cannot be written.
            FileExistsError: for a folder that exists, without `force`.
            AuditError: if the longer-lived log cannot be continued.
            CertificateError: with `fallback="raise"`.
        """
        from spectral_tf.apps.analysis.folders import results_folder

        self.check()
        with results_folder(self.out, self.name) as folder:
            return self._run_into(folder)

    def _run_into(self, folder: Path) -> Shown:
        """Read, fit, write into a folder."""
        from spectral_tf.apps.analysis.document import document, parameters_of
        from spectral_tf.apps.analysis.record import entry_of, read_source, write_audit
        from spectral_tf.apps.analysis.results import (
            check_folder,
            new_folder,
            write_certificate,
            write_summary,
        )
        from spectral_tf.apps.analysis.text import opening

        others = [path for path in (self.weights, self.audit) if path is not None]
        inputs = [Path(self.file), *others]
        check_folder(folder, inputs, force=self.force)
        read, source = read_source(self.file, self.reading)
        table, answer = self.analysed(read)
        parameters = parameters_of(self) | {"out": str(folder)}
        summary = document(self, table, answer, parameters)
        entry = entry_of(self, parameters, source, table, answer)
        with new_folder(folder, inputs, force=self.force) as draft:
            self.write(draft, table, answer)
            write_certificate(draft, answer)
            receipts = write_audit(draft, entry, self.audit)
            summary["audit"] = [receipt.to_dict() for receipt in receipts]
            files = write_summary(draft, summary)
        lines = [*opening(table), *self.lines(table, answer)]
        lines.append(f"Results in {folder}: {', '.join(files)}")
        lines += _audit_lines(receipts)
        return Shown(summary, "\n".join(lines) + "\n")

    def analysed(self, read: "Columns") -> tuple["Prepared", "Answer"]:
        """Prepare the columns of a source, and fit.

        Args:
            read: the columns.

        Returns:
            The table as it was analysed, and what was found.

        Raises:
            ConfigError: for a parameter that is out of bounds.
            DataError: for a table that cannot be analysed.
            CertificateError: with `fallback="raise"`.
        """
        from spectral_tf.apps.analysis.prepare import Preparation, prepare

        how = Preparation(
            columns=self.columns, impute=self.impute, standardize=self.standardize
        )
        table = prepare(read, how, least_columns=self.least_columns)
        return table, self.fitted(table, self.search())

    def search(self) -> "Search":
        """How components are found and checked."""
        from spectral_tf.apps.analysis.answer import Search

        return Search(
            engine=self.engine,
            weights=self.weights,
            tol=self.tol,
            fallback=self.fallback,
            seed=self.seed,
        )

    def check(self) -> None:
        """Refuse what is out of bounds before anything is read."""
        require(self.seed >= 0, f"seed={self.seed} must be >= 0.")
        require(
            self.weights is None or is_weights(self.weights.expanduser()),
            f"--weights {self.weights} is not a folder, nor a manifest (.json); give "
            "a run of `spectral-tf pretrain`, saved weights, or the manifest of a "
            "checkpoint.",
        )
        if self.audit is not None:
            from spectral_tf.apps.audit import check_log

            check_log(self.audit)

    @abc.abstractmethod
    def fitted(self, table: "Prepared", search: "Search") -> Any:
        """What is found in the table, an `Answer`."""

    @abc.abstractmethod
    def results(self, table: "Prepared", answer: Any) -> dict[str, Any]:
        """Its part of summary.json."""

    @abc.abstractmethod
    def decision(self, table: "Prepared", answer: Any) -> dict[str, Any]:
        """What the audit log keeps; JSON-ready, with `decides` among its names."""

    @staticmethod
    @abc.abstractmethod
    def compared(old: Mapping[str, Any], new: Mapping[str, Any]) -> "list[Check]":
        """A decision of the log beside the one that is made now."""

    @abc.abstractmethod
    def write(self, folder: Path, table: "Prepared", answer: Any) -> None:
        """Write the files that only this analysis has."""

    @abc.abstractmethod
    def lines(self, table: "Prepared", answer: Any) -> list[str]:
        """What is found, as lines."""


def _audit_lines(receipts: "list[Receipt]") -> list[str]:
    """Where the entry is, and what to keep elsewhere."""
    return [
        f"Audit entry {receipt.id} in {receipt.log}, head {receipt.head}"
        for receipt in receipts
    ]
