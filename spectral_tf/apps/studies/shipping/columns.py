"""Which columns of a file are measurements, which are labels, and which are neither."""

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from spectral_tf.apps.report.page.parts import Text
from spectral_tf.apps.studies.packages import imported
from spectral_tf.apps.studies.words import say

if TYPE_CHECKING:
    import pandas as pd

MOST_LEVELS = 12
"""Values of a text column that describes groups, at most."""
MOST_COLUMNS = 60
NEARLY_ALL = 0.95
"""Share of a text column's cells that must be numbers for it to be one of numbers."""
MISSING = "(missing)"
IDENTIFIER = re.compile(r"(^|[_\s-])(id|no|nr|number|code|key)$", re.IGNORECASE)


class Kept(NamedTuple):
    """The columns of a file that are used, and a note on every other one.

    Attributes:
        numbers: name -> `[N]` float64, NaN where a number is missing.
        texts: name -> `[N]` texts.
        notes: one sentence each.
    """

    numbers: dict[str, np.ndarray]
    texts: dict[str, np.ndarray]
    notes: list[Text]


def sorted_out(frame: "pd.DataFrame", most_missing: float) -> Kept:
    """Numbers, labels and what is neither.

    Args:
        frame: as read.
        most_missing: share of missing cells beyond which a column is left out.

    Returns:
        The columns.
    """
    kept = Kept({}, {}, [])
    for name in map(str, frame.columns):
        column: Any = frame[name]
        numbers = _numbers(name, column, kept.notes)
        if numbers is None:
            _keep_texts(name, column, kept)
            continue
        reason = _reason_to_leave(name, numbers, most_missing)
        if reason is None:
            kept.numbers[name] = numbers
        else:
            kept.notes.append(left_out(name, reason))
    return kept


def left_out(name: str, reason: Text) -> Text:
    """The note on a column that is not used."""
    return say("shipping.columns.left_out", name=name, reason=reason)


def _numbers(name: str, column: Any, notes: list[Text]) -> np.ndarray | None:
    """`[N]` float64, or None if the column is one of texts."""
    types = imported("pandas").api.types
    if types.is_bool_dtype(column) or types.is_datetime64_any_dtype(column):
        return None
    if types.is_numeric_dtype(column) and not types.is_complex_dtype(column):
        return column.to_numpy(np.float64, na_value=np.nan)
    if not (types.is_object_dtype(column) or types.is_string_dtype(column)):
        return None
    there = column.notna().to_numpy()
    tried: Any = imported("pandas").to_numeric(column.astype(str), errors="coerce")
    values = np.where(there, tried.to_numpy(np.float64), np.nan)
    bad = there & np.isnan(values)
    if not there.any() or bad.sum() > (1 - NEARLY_ALL) * there.sum():
        return None
    if bad.any():
        count, example = int(bad.sum()), str(column[bad].iloc[0])
        notes.append(
            say("shipping.columns.not_numbers", count=count, name=name, example=example)
        )
    return values


def _keep_texts(name: str, column: Any, kept: Kept) -> None:
    """Keep a label with few values; note any other column."""
    texts = column.astype("object").where(column.notna(), MISSING).astype(str)
    values = texts.to_numpy(dtype=object).astype(str)
    levels = len(np.unique(values))
    if 2 <= levels <= MOST_LEVELS:
        kept.texts[name] = values
        return
    if levels < 2:
        reason = say("shipping.columns.one_value")
    else:
        reason = say("shipping.columns.many_texts", levels=levels)
    kept.notes.append(left_out(name, reason))


def _reason_to_leave(
    name: str, numbers: np.ndarray, most_missing: float
) -> Text | None:
    """Why a column of numbers is no measurement, or None if it is one."""
    missing = float(np.mean(np.isnan(numbers)))
    present = numbers[~np.isnan(numbers)]
    if missing > most_missing:
        return say("shipping.columns.missing", missing=missing)
    if np.all(present == present[0]):
        return say("shipping.columns.one_value")
    with np.errstate(invalid="ignore"):  # infinite ones are refused later
        steps = np.diff(present)
    if len(present) > 2 and np.all(steps == 1):
        return say("shipping.columns.row_numbers")
    if IDENTIFIER.search(name) and len(np.unique(present)) == len(present):
        return say("shipping.columns.identifier")
    return None
