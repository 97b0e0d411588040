"""Tables from files: which columns are numbers, what is missing, what was left out."""

from typing import TYPE_CHECKING

from spectral_tf.lazy import lazily

if TYPE_CHECKING:
    from spectral_tf.tables.columns import (
        BadCells,
        Columns,
        LeftOut,
        column_scaling,
        columns_digest,
    )
    from spectral_tf.tables.load import Table, load_columns, load_table
    from spectral_tf.tables.missing import Codes, Missing, Suspect
    from spectral_tf.tables.parquet import read_parquet
    from spectral_tf.tables.sheets import read_sheet

__all__ = [
    "BadCells",
    "Codes",
    "Columns",
    "LeftOut",
    "Missing",
    "Suspect",
    "Table",
    "column_scaling",
    "columns_digest",
    "load_columns",
    "load_table",
    "read_parquet",
    "read_sheet",
]

_HOMES = {
    "columns": ("BadCells", "Columns", "LeftOut", "column_scaling", "columns_digest"),
    "load": ("Table", "load_columns", "load_table"),
    "missing": ("Codes", "Missing", "Suspect"),
    "parquet": ("read_parquet",),
    "sheets": ("read_sheet",),
}
"""Module -> the public names that it defines."""

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES)
