"""The commands `pca`, `cluster` and `detect`: options, and what they set going.

The estimators are imported when a command runs, so that the other commands start fast.
"""

import abc
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import tyro

from spectral_tf.config import ReadOptions, require

if TYPE_CHECKING:
    from spectral_tf.apps.analysis.fit import Answer, Search
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
    """What the three commands share."""

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

    least_columns = 1

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
        with results_folder(self.out, type(self).__name__.lower()) as folder:
            return self._run_into(folder)

    def _run_into(self, folder: Path) -> Shown:
        """Read, fit, write into a folder."""
        from spectral_tf.apps.analysis.document import document, parameters_of
        from spectral_tf.apps.analysis.record import entry_of, read_source, write_audit
        from spectral_tf.apps.analysis.results import (
            check_folder,
            new_folder,
            write_results,
            write_summary,
        )
        from spectral_tf.apps.analysis.text import opening

        name = type(self).__name__.lower()
        kept = self.weights, self.audit
        inputs = [Path(self.file), *(path for path in kept if path is not None)]
        check_folder(folder, inputs, force=self.force)
        read, source = read_source(self.file, self.reading)
        table, answer = self.analysed(read)
        parameters = parameters_of(self) | {"out": str(folder)}
        summary = document(name, table, answer, parameters)
        entry = entry_of(name, parameters, source, table, answer)
        with new_folder(folder, inputs, force=self.force) as draft:
            write_results(draft, table, answer, self.rows_explained)
            receipts = write_audit(draft, entry, self.audit)
            summary["audit"] = [receipt.to_dict() for receipt in receipts]
            files = write_summary(draft, summary)
        lines = [*opening(table), *self.text(table, answer)]
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
        from spectral_tf.apps.analysis.fit import Search

        return Search(
            engine=self.engine,
            weights=self.weights,
            tol=self.tol,
            fallback=self.fallback,
            seed=self.seed,
        )

    @property
    def rows_explained(self) -> int:
        """Rows with an explanation of their own."""
        return 0

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
        """What is found in the table."""

    @abc.abstractmethod
    def text(self, table: "Prepared", answer: Any) -> list[str]:
        """What is found, as lines."""


def _audit_lines(receipts: "list[Receipt]") -> list[str]:
    """Where the entry is, and what to keep elsewhere."""
    return [
        f"Audit entry {receipt.id} in {receipt.log}, head {receipt.head}"
        for receipt in receipts
    ]


@dataclasses.dataclass(frozen=True)
class Pca(Analysis):
    """Principal components of a table, each with a certificate."""

    # How many components, or the share of the variance that they shall reach.
    n_components: int | float = 0.9
    # Address of a Dask scheduler, e.g. tcp://HOST:8786: FILE, a Parquet file or a
    # folder of parts that its workers can read, is summed up there, never gathered.
    cluster: str | None = None

    def run(self) -> Shown:
        """Read, fit, write; or have it summed up on a cluster."""
        if self.cluster is None:
            return super().run()
        from spectral_tf.apps.analysis.on_cluster import run_on_cluster

        self.check()
        return run_on_cluster(self)

    def fitted(self, table: "Prepared", search: "Search") -> "Answer":
        """The components."""
        from spectral_tf.apps.analysis.fit import find_components

        return find_components(table, self.n_components, search)

    def text(self, table: "Prepared", answer: Any) -> list[str]:
        """The components, as lines."""
        from spectral_tf.apps.analysis.text import component_text

        return component_text(table, answer)


@dataclasses.dataclass(frozen=True)
class Cluster(Analysis):
    """Clusters of the rows of a table, in its certified components or by a network."""

    # How many clusters; auto: the number with the least information criterion.
    n_clusters: int | Literal["auto"] = "auto"
    # mixture: fitted to the components; network: gmm-small, for overlap and outliers.
    method: Literal["mixture", "network"] = "mixture"

    def fitted(self, table: "Prepared", search: "Search") -> "Answer":
        """The clusters."""
        from spectral_tf.apps.analysis.fit import find_clusters

        return find_clusters(table, self.n_clusters, search, method=self.method)

    def text(self, table: "Prepared", answer: Any) -> list[str]:
        """The clusters, as lines."""
        from spectral_tf.apps.analysis.text import cluster_text

        return cluster_text(table, answer)


@dataclasses.dataclass(frozen=True)
class Detect(Analysis):
    """Outliers of a table: rows far from its certified components, or far out."""

    # How many components, or the share of the variance that they shall reach.
    n_components: int | float = 0.9
    # Share of outliers in (0, 0.5]; auto: from the spread of the distances.
    contamination: float | Literal["auto"] = "auto"
    # Find the components so that outliers do not attract them.
    robust: bool = True
    # combined: how far a row is from its reconstruction, and how far out along the
    # components; residual: the former alone.
    judge: Literal["combined", "residual"] = "combined"
    # Rows that are printed and explained, the strangest first.
    top: int = 10

    least_columns = 2

    @property
    def rows_explained(self) -> int:
        """Rows with an explanation of their own."""
        return self.top

    def check(self) -> None:
        """Refuse what is out of bounds before anything is read."""
        super().check()
        require(self.top >= 0, f"top={self.top} must be >= 0.")

    def fitted(self, table: "Prepared", search: "Search") -> "Answer":
        """The outliers."""
        from spectral_tf.apps.analysis.fit import find_outliers

        return find_outliers(
            table,
            self.n_components,
            search,
            contamination=self.contamination,
            robust=self.robust,
            judge=self.judge,
        )

    def text(self, table: "Prepared", answer: Any) -> list[str]:
        """The outliers, as lines."""
        from spectral_tf.apps.analysis.text import outlier_text

        return outlier_text(table, answer, self.top)
