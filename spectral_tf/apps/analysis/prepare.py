"""From the columns of a file to a table without gaps, in comparable units."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from spectral_tf.config import ConfigError, DataError
from spectral_tf.config.wording import counted
from spectral_tf.exact import Origin, columns_relative, restored
from spectral_tf.tables.columns import (
    Columns,
    LeftOut,
    bad_counts,
    column_scaling,
    listed,
)
from spectral_tf.tables.selection import MOST_NAMES, refuse_bad_cells

LARGEST = 1e100
"""A number beyond is no measurement; squares of smaller ones do not overflow."""
SMALLEST = 1e-100
"""Squares of smaller numbers vanish."""
NOT_CHOSEN = "it was not chosen"

Impute = Literal["none", "median"]


class Filled(NamedTuple):
    """What was filled into a column: how many cells, and with which value."""

    cells: int
    value: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preparation:
    """How a table is made ready.

    Attributes:
        columns: the ones that are used, in this order; none means all.
        impute: `median` fills missing values with the median of their column, `none`
            refuses them.
        standardize: scale every column to zero mean and unit variance.
    """

    columns: tuple[str, ...] = ()
    impute: Impute = "none"
    standardize: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prepared:
    """A table ready for an estimator.

    Attributes:
        name: of the source.
        raw: `[N, d]` in the units of the file, missing values filled.
        x: `[N, d]` what the estimator sees: `(raw - mean) / scale`, with the digits
            that `raw` cannot hold; if the columns are not standardised, a column that
            has such digits is relative to a constant.
        mean: `[d]`; 0 if the columns are not standardised.
        scale: `[d]` standard deviations (1/N); 1 if they are not.
        is_standardized: whether they are.
        columns: names of the d columns.
        left_out: the others, and why.
        imputed: column -> what was filled in.
        notes: one sentence for each other thing that a reader should know.
        row_names: a name for each row; empty if a column holds none.
    """

    name: str
    raw: np.ndarray
    x: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    is_standardized: bool
    columns: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    imputed: Mapping[str, Filled]
    notes: tuple[str, ...]
    row_names: tuple[str, ...] = ()

    def row_name(self, row: int) -> str:
        """The name of a row, counted from 0; empty where rows have none."""
        return self.row_names[row] if self.row_names else ""


def prepare(read: Columns, how: Preparation, *, least_columns: int = 1) -> Prepared:
    """Choose, check, fill and scale the columns of a source.

    Args:
        read: the numeric columns of a source.
        how: what to choose, and whether to fill and to scale.
        least_columns: so many must be left.

    Returns:
        The table.

    Raises:
        ConfigError: for a column that is not there, not numeric or named twice.
        DataError: for text among numbers and missing values (without `impute`),
            infinite or huge ones, fewer than two rows, or too few columns that vary.
    """
    x, columns, left_out = _chosen(read, how.columns)
    if len(x) < 2:
        raise DataError(
            f"{read.name} has {counted(len(x), 'row')} of numbers; an analysis needs "
            "at least 2."
        )
    bad_notes = _judge_bad_cells(read, columns, how.impute)
    _refuse_unbounded(read.name, x, columns)
    x, origin = columns_relative(x, columns, read.exact)
    x, imputed = _filled(read.name, x, columns, how.impute, origin)
    mean, scale, reasons = column_scaling(x)
    kept = [index for index, reason in enumerate(reasons) if reason is None]
    left_out += [
        LeftOut(columns[index], reason)
        for index, reason in enumerate(reasons)
        if reason is not None
    ]
    if len(kept) < least_columns:
        said = [one.sentence() for one in left_out[:MOST_NAMES]]
        need = f"at least {counted(least_columns, 'numeric column')}"
        raise DataError(
            f"{read.name} has {len(kept) or 'none'} of the columns that are needed: "
            f"{need}, with values that differ. {' '.join(said)}".strip()
        )
    x, mean, scale = x[:, kept], mean[kept], scale[kept]
    origin = origin and tuple(origin[index] for index in kept)
    raw, middle = restored(x, origin), restored(mean, origin)
    if not how.standardize:
        if float(np.max(scale)) < SMALLEST:
            raise DataError(
                f"the columns of {read.name} vary by less than {SMALLEST:g}; leave out "
                "--no-standardize, or multiply them by a constant."
            )
        mean, scale = np.zeros_like(mean), np.ones_like(scale)
        middle = mean
    names = tuple(columns[index] for index in kept)
    return Prepared(
        name=read.name,
        raw=raw,
        x=(x - mean) / scale,
        mean=middle,
        scale=scale,
        is_standardized=how.standardize,
        columns=names,
        left_out=tuple(left_out),
        imputed={name: imputed[name] for name in names if name in imputed},
        row_names=read.row_names,
        notes=(
            *read.notes,
            *bad_notes,
            *_count_notes(x, names, is_chosen=bool(how.columns)),
        ),
    )


def _chosen(
    read: Columns, wanted: Sequence[str]
) -> tuple[np.ndarray, tuple[str, ...], list[LeftOut]]:
    """The columns asked for, all if none are; the others with a reason."""
    if not wanted:
        return read.x, read.columns, list(read.left_out)
    reasons = {one.name: one.reason for one in read.left_out}
    known = [*read.columns, *reasons]
    for name in wanted:
        if name not in known:
            names = listed([repr(one) for one in known], MOST_NAMES)
            raise ConfigError(
                f"{read.name} has no column {name!r}; its columns are {names}."
            )
        if name in reasons:
            raise ConfigError(f"column {name!r} cannot be used: {reasons[name]}.")
        if wanted.count(name) > 1:
            raise ConfigError(f"column {name!r} is named twice; name it once.")
    others = [name for name in known if name not in wanted]
    left_out = [LeftOut(name, reasons.get(name, NOT_CHOSEN)) for name in others]
    indices = [read.columns.index(name) for name in wanted]
    return read.x[:, indices], tuple(wanted), left_out


def _judge_bad_cells(
    read: Columns, columns: Sequence[str], impute: Impute
) -> list[str]:
    """Text among the numbers of a used column: refused, or missing, with a note."""
    bad = [cells for cells in read.bad if cells.name in columns]
    refused = [c for c in bad if impute == "none" or not c.may_be_missing]
    if refused:
        name = refused[0].name
        fill = "take them for missing and fill them with --impute median, "
        can_fill = all(cells.may_be_missing for cells in refused)
        refuse_bad_cells(
            read.name,
            refused,
            f"correct them, {fill if can_fill else ''}name what stands for a missing "
            f"value with --missing, or leave the column out with --drop {name!r}",
        )
    return [f"{cells.words()}: taken for missing." for cells in bad]


def _refuse_unbounded(name: str, x: np.ndarray, columns: Sequence[str]) -> None:
    infinite = bad_counts(columns, np.isinf(x), MOST_NAMES)
    if infinite:
        raise DataError(
            f"{name} has infinite values ({infinite}); correct them, leave these "
            "columns out with --columns, or, if they mark missing values, give "
            "--missing inf."
        )
    huge = bad_counts(columns, np.abs(x) > LARGEST, MOST_NAMES)
    if huge:
        raise DataError(
            f"{name} has values beyond {LARGEST:g} ({huge}); if they mark missing "
            "values, give --missing VALUE; if not, divide the columns by a constant."
        )


def _filled(
    name: str,
    x: np.ndarray,
    columns: Sequence[str],
    impute: Impute,
    origin: Origin | None,
) -> tuple[np.ndarray, dict[str, Filled]]:
    """Missing values refused, or filled with medians; x is relative to the origin."""
    is_missing = np.isnan(x) & ~np.isnan(x).all(axis=0)  # empty ones are left out
    if not is_missing.any():
        return x, {}
    if impute == "none":
        raise DataError(
            f"{name} has missing values "
            f"({bad_counts(columns, is_missing, MOST_NAMES)}); fill them with "
            "--impute median, or leave these columns out with --columns."
        )
    x, imputed = x.copy(), {}
    for index in np.flatnonzero(is_missing.any(axis=0)).tolist():
        gaps = is_missing[:, index]
        value = float(np.median(x[~gaps, index]))
        x[gaps, index] = value
        if origin is not None:
            value = float(restored(np.array([value]), (origin[index],))[0])
        imputed[columns[index]] = Filled(int(gaps.sum()), value)
    return x, imputed


def _count_notes(
    x: np.ndarray, columns: Sequence[str], *, is_chosen: bool
) -> list[str]:
    """A word about columns that number the rows; none if columns were chosen."""
    counting = [
        name
        for name, column in zip(columns, x.T, strict=True)
        if len(x) > 2 and np.all(np.diff(column) == 1)
    ]
    return [
        f"Column {name!r} numbers the rows; if it is no measurement, choose the others "
        "with --columns."
        for name in counting
        if not is_chosen
    ]
