"""Parquet files: which columns are features, and their numbers.

One rule for a file that is read as a whole (`read_parquet`) and for one that is read in
chunks of rows (`spectral_tf.estimators.read_chunks`).
"""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from spectral_tf.config import DataError, ReadOptions
from spectral_tf.exact import Relative, column_relative
from spectral_tf.tables.columns import Columns, LeftOut, made_unique
from spectral_tf.tables.missing import codes_of, marked
from spectral_tf.tables.row_index import LOOKS_LIKE_INDEX, leading_unnamed

IS_INDEX = "it is the index of a pandas table"
INDEX_REASONS = IS_INDEX, LOOKS_LIKE_INDEX
"""Why a column is no feature unless it is asked for."""
_INDEX_MARKS = ("__index_level_", "__null_dask_index__")
"""Names that pandas and dask give to an index that has none."""


class Field(NamedTuple):
    """A column of a Parquet file.

    Attributes:
        name: no two are alike; `a.2` for a second `a`.
        source: as the file has it.
        turn: which of the columns of that name, from 0.
        kind: its type, of pyarrow.
        reason: why it is no feature unless asked for, as half a sentence; or None.
    """

    name: str
    source: str
    turn: int
    kind: Any
    reason: str | None

    @property
    def is_number(self) -> bool:
        """Whether its values can be used as numbers."""
        return is_number(self.kind)

    def values(self, table: Any) -> Any:
        """The column in a table or batch of pyarrow that has all of its name."""
        names = table.schema.names
        places = [place for place, name in enumerate(names) if name == self.source]
        return table.column(places[self.turn])


def is_number(kind: Any) -> bool:
    """Whether a type of pyarrow is used as a number: truth values and decimals, too."""
    from pyarrow import types

    tests = types.is_integer, types.is_floating, types.is_boolean, types.is_decimal
    return any(test(kind) for test in tests)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The file as a `pyarrow.parquet.ParquetFile`, closed in the end.

    Args:
        path: of a Parquet file.

    Raises:
        DataError: if it is not readable, or becomes so meanwhile, or if pyarrow is not
            installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise DataError(
            f"{path} needs pyarrow, which is not installed; run `pip install "
            "'spectral_tf[sklearn]'`."
        ) from error
    try:
        with parquet.ParquetFile(path) as file:
            yield file
    except DataError:
        raise
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise DataError(
            f"{path} is not a readable Parquet file ({error}); write it again."
        ) from error


def fields_of(schema: Any) -> tuple[list[Field], list[str]]:
    """The columns of a file, and whether each is a feature.

    Args:
        schema: of pyarrow, with the metadata of the file.

    Returns:
        `(fields, notes)`, a note for each name that was changed.

    Source: https://pandas.pydata.org/docs/development/developer.html (the metadata).
    """
    from pyarrow import types

    names, notes = made_unique(schema.names)
    index = index_names(schema.metadata or {})
    leading = leading_unnamed(schema.names)
    turns: dict[str, int] = {}
    fields = []
    triples = zip(names, schema.names, schema.types, strict=True)
    for place, (name, source, kind) in enumerate(triples):
        turn = turns[source] = turns.get(source, -1) + 1
        reason = None if is_number(kind) else f"its type is {kind}, not a number"
        if source in index or source.startswith(_INDEX_MARKS):
            reason = IS_INDEX
        elif place < leading and types.is_integer(kind):
            # A CSV file that another program has read with its index.
            reason = LOOKS_LIKE_INDEX
        fields.append(Field(name, source, turn, kind, reason))
    return fields, notes


def index_names(metadata: Mapping[bytes, bytes]) -> frozenset[str]:
    """Columns that are the index of the pandas table that was written.

    Args:
        metadata: of the schema; that of pandas may be missing, or of any other shape.

    Returns:
        Their names in the file; empty without such metadata. An index that counts the
        rows is not in the file, and has none.

    Source: https://pandas.pydata.org/docs/development/developer.html.
    """
    try:
        names = json.loads(metadata[b"pandas"])["index_columns"]
        return frozenset(name for name in names if isinstance(name, str))
    except (KeyError, ValueError, TypeError):
        return frozenset()


def entries_of(column: Any) -> np.ndarray:
    """A column of numbers or truth values with all its digits.

    Args:
        column: of pyarrow, of a type of which `is_number`.

    Returns:
        `[rows]`; decimals without gaps are objects, all else as from `numbers_of`.
    """
    from pyarrow import types

    if types.is_decimal(column.type) and not column.null_count:
        return np.array([*column.to_pylist(), None], object)[:-1]
    return numbers_of(column)


def relative_of(column: Any, values: np.ndarray) -> Relative | None:
    """A column relative to an exact centre, if it has digits that float64 has not.

    Args:
        column: of pyarrow, of a type of which `is_number`.
        values: `[rows]` of it in float64.

    Returns:
        The column; None if its float64 numbers are as good.
    """
    from pyarrow import types

    kind = column.type
    if types.is_integer(kind) and not column.null_count:
        return column_relative(column.to_numpy(), values)
    if types.is_integer(kind) or types.is_decimal(kind):
        return column_relative(column.to_pylist(), values)
    return None


def numbers_of(column: Any) -> np.ndarray:
    """A column of numbers or truth values as an array, NaN where there is none.

    Args:
        column: of pyarrow, of a type of which `is_number`.

    Returns:
        `[rows]`; integers without gaps stay integers.
    """
    import pyarrow
    from pyarrow import types

    if types.is_boolean(column.type):
        column = column.cast(pyarrow.int8())
    elif types.is_decimal(column.type):
        column = column.cast(pyarrow.float64(), safe=False)
    if isinstance(column, pyarrow.ChunkedArray):
        return column.to_numpy()
    return column.to_numpy(zero_copy_only=False)


def read_parquet(path: Path, options: ReadOptions) -> Columns:
    """The columns of numbers and of truth values of a .parquet file.

    Args:
        path: of the file.
        options: `keep_index` says whether the index of a pandas table is a column as
            others are.

    Returns:
        The columns in float64; what is missing is NaN.

    Raises:
        DataError: if the file is empty, not readable, or has no numeric column, or
            pyarrow is not installed.
    """
    with opened(path) as file:
        table = file.read()
    if not table.num_rows or not table.num_columns:
        raise DataError(f"{path} is empty; it needs at least one row of numbers.")
    fields, notes = fields_of(table.schema)
    codes = codes_of(options.missing)
    features, columns, left_out, exact = [], [], [], {}
    for field, column in zip(fields, table.itercolumns(), strict=True):
        values, reason = _feature(field, column, keep_index=options.keep_index)
        if reason is not None:
            left_out.append(LeftOut(field.name, reason))
            continue
        features.append(values)
        columns.append(field.name)
        relative = relative_of(column, marked(values, codes))
        exact |= {} if relative is None else {field.name: relative}
    if not features:
        raise DataError(f"{path} has no numeric column. {_reasons(left_out)}")
    return Columns(
        name=path.name,
        x=np.column_stack(features),
        columns=tuple(columns),
        left_out=tuple(left_out),
        notes=tuple(notes),
        exact=exact,
    )


def _reasons(left_out: Sequence[LeftOut]) -> str:
    return " ".join(column.sentence() for column in left_out)


def _feature(
    field: Field, column: Any, *, keep_index: bool
) -> tuple[np.ndarray, str | None]:
    """A column as float64, and why it is no feature if so."""
    none, reason = np.empty(0), field.reason
    if column.null_count == len(column):
        return none, "it is empty"
    if reason in INDEX_REASONS and keep_index and field.is_number:
        reason = None
    if reason is not None:
        return none, reason
    values = numbers_of(column).astype(np.float64)
    return (none, "it is empty") if np.isnan(values).all() else (values, None)
