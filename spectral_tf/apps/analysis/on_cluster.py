"""Components of many Parquet parts, summed up on a Dask cluster and never gathered.

The workers read the parts themselves, so the path must be theirs, too. What comes back
are moments of the columns; rows stay where they are, and get no scores here.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from spectral_tf.apps.analysis.commands import Shown
from spectral_tf.apps.analysis.document import document, parameters_of
from spectral_tf.apps.analysis.folders import results_folder
from spectral_tf.apps.analysis.pca import (
    Components,
    Pca,
    component_lines,
    components_of,
    write_components,
)
from spectral_tf.apps.analysis.prepare import Prepared
from spectral_tf.apps.analysis.results import (
    check_folder,
    new_folder,
    write_certificate,
    write_summary,
)
from spectral_tf.config import DataError, require
from spectral_tf.config.wording import counted
from spectral_tf.estimators import column_scales
from spectral_tf.tables.columns import LeftOut, listed
from spectral_tf.tables.parquet import Field, entries_of, fields_of, opened

ENDS = ("*.parquet", "*.pq")
WAIT = "20s"
"""For a scheduler to answer."""


@dataclasses.dataclass(frozen=True)
class Parts:
    """A table in parts.

    Attributes:
        groups: (file, row group, rows) of each part.
        fields: its columns.
        left_out: the others, and why.
    """

    groups: tuple[tuple[Path, int, int], ...]
    fields: tuple[Field, ...]
    left_out: tuple[LeftOut, ...]

    @classmethod
    def of(cls, path: Path, columns: tuple[str, ...]) -> "Parts":
        """Of a file, or of all Parquet files of a folder; no rows are read.

        Raises:
            DataError: if there are none, or they have no such columns.
        """
        given = path.expanduser().resolve()
        files = [given]
        if given.is_dir():
            files = sorted(file for end in ENDS for file in given.glob(end))
        is_named = bool(files) and any(files[0].match(end) for end in ENDS)
        if not is_named or not files[0].is_file():
            raise DataError(
                f"--cluster reads Parquet alone, and {path} is no Parquet file "
                f"({', '.join(ENDS)}) and no folder of them; write it as Parquet, or "
                "leave out --cluster."
            )
        groups = []
        for file in files:
            with opened(file) as table:
                sizes = [
                    table.metadata.row_group(place).num_rows
                    for place in range(table.num_row_groups)
                ]
                groups += [(file, place, size) for place, size in enumerate(sizes)]
        with opened(files[0]) as table:
            fields, _ = fields_of(table.schema_arrow)
        chosen = [f for f in fields if (f.name in columns if columns else not f.reason)]
        missing = set(columns) - {field.name for field in fields}
        if missing or not chosen or not all(field.is_number for field in chosen):
            raise DataError(
                f"{files[0].name} has no numbers in {listed(sorted(columns) or ['it'])}"
                f"; its columns are {listed([field.name for field in fields])}."
            )
        rest = [field for field in fields if field not in chosen]
        reasons = (LeftOut(f.name, f.reason or "not asked for") for f in rest)
        return cls(tuple(groups), tuple(chosen), tuple(reasons))

    def table(self) -> Any:
        """The parts as a Dask array; nothing is read."""
        import dask
        import dask.array as da

        read = dask.delayed(rows_of)  # pyright: ignore
        names, width = [field.name for field in self.fields], len(self.fields)
        return da.concatenate(
            [
                da.from_delayed(read(str(file), place, names), (rows, width), float)
                for file, place, rows in self.groups
                if rows
            ]
        )


def rows_of(file: str, place: int, names: list[str]) -> np.ndarray:
    """`[n, d]` one row group, on a worker.

    Raises:
        DataError: if the file has not these columns of numbers.
    """
    with opened(Path(file)) as table:
        known = {field.name: field for field in fields_of(table.schema_arrow)[0]}
        fields = [known[name] for name in names if name in known]
        if len(fields) < len(names) or not all(field.is_number for field in fields):
            raise DataError(
                f"{file} has other columns than the first part; expected numbers in "
                f"{listed(names)}."
            )
        sources = list(dict.fromkeys(field.source for field in fields))
        batch = table.read_row_group(place, columns=sources)
        columns = [entries_of(field.values(batch)) for field in fields]
    return np.stack([np.asarray(each, np.float64) for each in columns], axis=1)


@contextlib.contextmanager
def connected(address: str) -> Iterator[None]:
    """A client of the user's own scheduler.

    Raises:
        DataError: if Dask is not installed, or nobody answers.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise DataError(
            "--cluster needs Dask; run `pip install 'spectral_tf[dask]'`."
        ) from error
    try:
        client = Client(address, timeout=WAIT)
    except (OSError, ValueError, TimeoutError) as error:
        raise DataError(
            f"no Dask scheduler answers at --cluster {address} ({error}); start one "
            "with `dask scheduler` and give the address that it prints."
        ) from error
    with client:
        yield


def check(command: Pca) -> None:
    """Refuse what needs the rows here.

    Raises:
        ConfigError: naming the option.
    """
    require(
        command.impute == "none",
        "--impute median needs the rows in one place; fill the parts beforehand, or "
        "leave out --cluster.",
    )
    require(
        command.audit is None,
        "--audit needs the sha256 of one file; leave it out, or leave out --cluster.",
    )
    require(
        command.n_components != 0,
        "n_components=0 leaves nothing to report; ask for at least 1.",
    )


def run_on_cluster(command: Pca) -> Shown:
    """The command `pca`, with `--cluster`.

    Args:
        command: checked.

    Returns:
        What is shown; the files are in place then.

    Raises:
        ConfigError: for an option that needs the rows here.
        DataError: for a table, or a cluster, that cannot be used.
    """
    check(command)
    path = Path(command.file)
    with results_folder(command.out, command.name) as folder:
        check_folder(folder, [path], force=command.force)
        parts = Parts.of(path, command.columns)
        with connected(command.cluster or ""):
            table, answer, count = analysed(command, parts)
        parameters = parameters_of(command) | {"out": str(folder)}
        summary = document(command, table, answer, parameters) | {"rows": count}
        with new_folder(folder, [path], force=command.force) as draft:
            write_components(draft, table, answer)
            write_certificate(draft, answer)
            files = write_summary(draft, summary)
    lines = [
        f"{command.file}: {counted(count, 'row')} in "
        f"{counted(len(parts.groups), 'part')}, "
        f"{counted(len(table.columns), 'column')}, summed up at {command.cluster}.",
        *component_lines(table, answer),
        f"Results in {folder}: {', '.join(files)}",
    ]
    return Shown(summary, "\n".join(lines) + "\n")


def analysed(command: Pca, parts: Parts) -> tuple[Prepared, Components, int]:
    """The components, by one pass over the parts, or two to standardise first."""
    table, dim = parts.table(), len(parts.fields)
    mean, scale = np.zeros(dim), np.ones(dim)
    if command.standardize:
        mean, scale = column_scales(table)
        table = (table - mean) / scale
    answer, model = components_of(table, command.n_components, command.search())
    prepared = Prepared(
        name=Path(command.file).name,
        raw=np.zeros((0, dim)),
        x=np.zeros((0, dim)),
        mean=mean,
        scale=scale,
        is_standardized=command.standardize,
        columns=tuple(field.name for field in parts.fields),
        left_out=parts.left_out,
        imputed={},
        notes=("Rows stay on the cluster, and get no scores here.",),
    )
    return prepared, answer, model.n_samples_
