"""Names of the rows of a table, where a column holds them."""

from pathlib import Path

from spectral_tf.tables.columns import Columns

_PARQUET = (".parquet", ".pq")


def with_row_names(read: Columns, path: Path | None, name: str | None) -> Columns:
    """The columns with the names of their rows.

    Args:
        read: the columns; a reader of text has put names in already.
        path: of the file; None for a table without one.
        name: of the column of names; None for none.

    Returns:
        The same with `row_names`, if there is such a column.
    """
    if name is None or read.row_names:
        return read
    if path is not None and path.suffix.lower() in _PARQUET:
        from pyarrow import parquet

        if name in parquet.read_schema(path).names:
            column = parquet.read_table(path, columns=[name]).column(0)
            cells = column.to_pylist()
            texts = tuple("" if cell is None else str(cell) for cell in cells)
            return read._replace(row_names=texts)
    if name in read.columns:
        numbers = read.x[:, read.columns.index(name)].tolist()
        return read._replace(row_names=tuple(_as_text(number) for number in numbers))
    return read


def _as_text(number: float) -> str:
    return str(int(number)) if number.is_integer() else str(number)
