"""Daily demand: a table of dates, items and quantities, from a file or a package."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from spectral_tf.apps.report.page.parts import Text
from spectral_tf.apps.studies.packages import imported
from spectral_tf.apps.studies.words import say
from spectral_tf.config import DataError
from spectral_tf.config.wording import counted

COLUMNS = ("date", "item", "quantity")
LEAST_DAYS = 120
LEAST_ITEMS = 5
MOST_ITEMS = 5000
NAME = "pizzaplace"
CITATION = say("stock.data.citation")
OWN_FILE = say("stock.data.own_file")


@dataclasses.dataclass(frozen=True)
class Demand:
    """Demand of every item on every day on which anything was booked.

    Attributes:
        dates: `[T]` datetime64[D], rising.
        items: `[n]` names.
        quantity: `[T, n]` >= 0; a pair that is not in the source is 0.
        name: of the source.
        citation: what it is.
        path: of the file, or None.
        sha256: of the dates, items and quantities.
        notes: one sentence for each thing that was summed up or is missing.
    """

    dates: np.ndarray
    items: tuple[str, ...]
    quantity: np.ndarray
    name: str
    citation: Text
    path: str | None
    sha256: str
    notes: tuple[Text, ...]

    @property
    def weekdays(self) -> np.ndarray:
        """`[T]` 0 is Monday."""
        return (self.dates.astype("datetime64[D]").astype(np.int64) + 3) % 7

    def document(self) -> dict[str, Any]:
        """What a report says of the data, JSON-ready."""
        return {
            "name": self.name,
            "citation": dataclasses.asdict(self.citation),
            "path": self.path,
            "sha256": self.sha256,
            "days": len(self.dates),
            "items": len(self.items),
            "first": str(self.dates[0]),
            "last": str(self.dates[-1]),
            "mean_quantity": float(self.quantity.mean()),
            "notes": [dataclasses.asdict(note) for note in self.notes],
        }


def load_demand(source: str | None) -> Demand:
    """Read demand from a file, or take the public example.

    Args:
        source: a .csv or .parquet file with columns date, item and quantity, one row
            for each booking or for each day and item; None: the year of orders in
            great-tables, an item being a pizza in one size.

    Returns:
        The demand.

    Raises:
        DataError: if the file cannot be read or used, or a package is missing.
    """
    pandas = imported("pandas")
    if source is None:
        frame = pandas.DataFrame(imported("great_tables.data").pizzaplace)
        items = frame["name"].astype(str) + " " + frame["size"].astype(str)
        columns = {"date": frame["date"], "item": items, "quantity": 1.0}
        return _demand(pandas.DataFrame(columns), NAME, None)
    path = Path(source).expanduser()
    if path.suffix not in (".csv", ".parquet") or not path.is_file():
        raise DataError(
            f"--data {source} must be a .csv or .parquet file that exists, with the "
            f"columns {', '.join(COLUMNS)}."
        )
    try:
        frame = (
            pandas.read_parquet(path)
            if path.suffix == ".parquet"
            else pandas.read_csv(path)
        )
    except (OSError, ValueError) as error:
        raise DataError(f"{source} cannot be read: {error}.") from error
    return _demand(frame, path.name, str(path.resolve()))


def _demand(frame: Any, name: str, path: str | None) -> Demand:
    """Checked, summed over bookings, one row for each day."""
    missing = [column for column in COLUMNS if column not in frame]
    if missing:
        raise DataError(
            f"{name} has no column {', '.join(missing)}; it has "
            f"{', '.join(map(str, frame.columns[:20]))}. Give {', '.join(COLUMNS)}."
        )
    frame = frame[list(COLUMNS)]
    empty = frame.isna().sum()
    if empty.any():
        counts = ", ".join(f"{n} in {c}" for c, n in empty.items() if n)
        raise DataError(f"{name} has missing values ({counts}); fill or drop them.")
    days, quantity = _days(frame["date"], name), _quantities(frame["quantity"], name)
    frame = frame.assign(date=days, item=frame["item"].astype(str), quantity=quantity)
    table = frame.pivot_table(
        index="date", columns="item", values="quantity", aggfunc="sum", fill_value=0.0
    )
    dates = table.index.to_numpy().astype("datetime64[D]")
    _check_size(len(dates), table.shape[1], name)
    span = int((dates[-1] - dates[0]).astype(int)) + 1
    notes = []
    if span > len(dates):
        notes.append(say("stock.data.closed", closed=span - len(dates), days=span))
    if len(frame) > np.count_nonzero(table.to_numpy()):
        notes.append(say("stock.data.summed", bookings=len(frame)))
    values = np.ascontiguousarray(table.to_numpy(), np.float64)
    items = tuple(map(str, table.columns))
    digest = hashlib.sha256(repr((items, dates.astype(str).tolist())).encode())
    digest.update(values.astype("<f8").tobytes())
    citation = CITATION if path is None else OWN_FILE
    sha256 = digest.hexdigest()
    return Demand(dates, items, values, name, citation, path, sha256, tuple(notes))


def _days(column: Any, name: str) -> Any:
    pandas = imported("pandas")
    try:
        return pandas.to_datetime(column.astype(str), format="ISO8601").dt.normalize()
    except ValueError as error:
        raise DataError(
            f"{name}: the column date must have ISO dates such as 2025-03-31; {error}."
        ) from error


def _quantities(column: Any, name: str) -> Any:
    pandas = imported("pandas")
    try:
        numbers = pandas.to_numeric(column).astype("float64")
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{name}: the column quantity must have numbers; {error}."
        ) from error
    if not np.isfinite(numbers).all() or (numbers < 0).any():
        raise DataError(
            f"{name}: the column quantity must be finite and >= 0, and has "
            f"{float(numbers.min())!r}; book returns in a table of their own."
        )
    return numbers


def _check_size(days: int, items: int, name: str) -> None:
    if days < LEAST_DAYS or not LEAST_ITEMS <= items <= MOST_ITEMS:
        raise DataError(
            f"{name} has {counted(days, 'day')} and {counted(items, 'item')}; this "
            f"study needs at least {LEAST_DAYS} days and {LEAST_ITEMS} to {MOST_ITEMS} "
            "items."
        )
