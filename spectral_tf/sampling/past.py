"""A table of past cases, ready to be learnt from: rows to train on, rows held out.

The split goes by the order of the rows, because rows mostly come in the order of time:
the last ones are held out. Centring and scaling are those of `spectral-tf detect`, but
by the training rows alone.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from spectral_tf.config import DataError, TableConfig
from spectral_tf.config.wording import counted
from spectral_tf.tables.columns import (
    Columns,
    LeftOut,
    bad_counts,
    column_scaling,
    columns_digest,
    left_out_notes,
)
from spectral_tf.tables.load import load_columns

MOST_NAMES = 20
"""Columns that a refusal names, at most."""


class PastTable(NamedTuple):
    """A table, split and scaled.

    Attributes:
        name: of the source.
        training: `[R, D]` float32 rows to train on, the first ones.
        heldout: `[H, D]` float32 rows that are never trained on, the last ones.
        columns: names of the D columns.
        digest: sha256 of the numbers and names of the source, before any scaling.
        notes: one sentence for each thing that was left out or is doubtful.
    """

    name: str
    training: np.ndarray
    heldout: np.ndarray
    columns: tuple[str, ...]
    digest: str
    notes: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """What a checkpoint says of it, JSON-ready."""
        return {
            "name": self.name,
            "sha256": self.digest,
            "training_rows": len(self.training),
            "heldout_rows": len(self.heldout),
            "columns": len(self.columns),
        }


def load_past(config: TableConfig) -> PastTable:
    """Read the table of a run.

    Args:
        config: `source`, `holdout` and `standardize` are read.

    Returns:
        The table. Columns that do not vary over the training rows are left out, with
        a note. Without `standardize` all is divided by one number, the largest
        deviation of a column, which changes no direction.

    Raises:
        DataError: if the source cannot be read, has a missing or infinite number, has
            too few rows to be split, or no column varies.
    """
    read = load_columns(config.source)
    _refuse_gaps(read)
    count = len(read.x)
    held = math.ceil(config.holdout * count)
    if held < 2 or count - held < 2:
        raise DataError(
            f"{read.name} has {counted(count, 'row')}, of which "
            f"holdout={config.holdout:g} leaves {count - held} to train on and {held} "
            "to score; both need at least 2, bring more rows."
        )
    mean, scale, reasons = column_scaling(read.x[: count - held])
    used = [index for index, reason in enumerate(reasons) if reason is None]
    if not used:
        raise DataError(
            f"no column of {read.name} varies over its "
            f"{counted(count - held, 'training row')}; a covariance needs values that "
            "differ."
        )
    scale = scale[used] if config.standardize else np.max(scale[used])
    with np.errstate(over="ignore"):
        exact = (read.x[:, used] - mean[used]) / scale
    _refuse_far(read, used, exact)
    x = exact.astype(np.float32)
    left_out = *read.left_out, *_constant(read, reasons)
    return PastTable(
        name=read.name,
        training=x[: count - held],
        heldout=x[count - held :],
        columns=tuple(read.columns[index] for index in used),
        digest=columns_digest(read),
        notes=(*read.notes, *left_out_notes(left_out)),
    )


def check_past(past: PastTable, config: TableConfig, shapes: Any) -> None:
    """Refuse shapes that the table cannot fill.

    Args:
        past: the table.
        config: `replacement` and `holdout` are read.
        shapes: `(d, N)` of the run.

    Raises:
        DataError: if a shape has more columns than the table, or more rows than
            either part of it.
    """
    most, held = past.training.shape[1], len(past.heldout)
    rows = held if config.replacement else min(held, len(past.training))
    for dim, num_samples in shapes:
        if dim > most:
            raise DataError(
                f"shapes has (d={dim}, N={num_samples}), but {past.name} has "
                f"{counted(most, 'column')} that vary; lower d."
            )
        if num_samples > rows:
            raise DataError(
                f"shapes has (d={dim}, N={num_samples}), but {past.name} has "
                f"{counted(len(past.training), 'row')} to train on and {held} held "
                f"out; N must be <= {rows}, lower it, or change "
                f"table.holdout={config.holdout:g}."
            )


def _refuse_gaps(read: Columns) -> None:
    kinds = {"missing values": np.isnan, "infinite values": np.isinf}
    for what, is_kind in kinds.items():
        counts = bad_counts(read.columns, is_kind(read.x), MOST_NAMES)
        if counts:
            raise DataError(
                f"{read.name} has {what} ({counts}); fill them in, or remove "
                "their rows or columns."
            )


def _refuse_far(read: Columns, used: list[int], x: np.ndarray) -> None:
    """Refuse held-out values so far from the training rows that squares overflow."""
    names = [read.columns[index] for index in used]
    counts = bad_counts(names, ~(np.abs(x) < 1e15), MOST_NAMES)
    if counts:
        raise DataError(
            f"{read.name} has values more than 1e15 deviations from the mean of the "
            f"training rows ({counts}); correct them, or remove these columns."
        )


def _constant(read: Columns, reasons: list[str | None]) -> list[LeftOut]:
    """The columns that do not vary, each with its reason."""
    pairs = zip(read.columns, reasons, strict=True)
    return [
        LeftOut(name, f"over the training rows {reason}")
        for name, reason in pairs
        if reason is not None
    ]
