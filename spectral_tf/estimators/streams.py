"""Tables larger than memory, in chunks of rows."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from spectral_tf.config import DataError, require
from spectral_tf.exact import side_by_side


def read_chunks(
    path: str | Path, *, rows: int = 65_536, columns: Sequence[str] | None = None
) -> Iterator[np.ndarray]:
    """Chunks of rows of a file, of which only one is in memory at a time.

    Args:
        path: a `.npy` array `[N, d]` (memory-mapped), or `.parquet` (needs pyarrow).
        rows: of a chunk, at most.
        columns: of a Parquet file; None takes all, which must be numbers.

    Returns:
        Iterator over arrays `[n, d]`; of objects where a table has decimals, or whole
        numbers that float64 does not hold beside other numbers.

    Raises:
        DataError: if the file is missing, of another kind, or not such a table.
        ConfigError: if rows < 1.

    Example:
        >>> from spectral_tf.estimators import SpectralPCA, read_chunks
        >>> pca = SpectralPCA(3).partial_fit(read_chunks("big.npy"))  # doctest: +SKIP

    Source: ours.
    """
    require(rows >= 1, f"rows={rows} must be >= 1.")
    path = Path(path).expanduser()
    if not path.is_file():
        raise DataError(f"{path} is not a file (looked in {Path.cwd()}).")
    if path.suffix == ".npy":
        return _npy(path, rows)
    if path.suffix in (".parquet", ".pq"):
        return _parquet(path, rows, columns)
    raise DataError(
        f"{path.name} cannot be read in chunks; give a .npy or .parquet file."
    )


def _npy(path: Path, rows: int) -> Iterator[np.ndarray]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(
            f"{path} is not a readable array of numbers ({error}); write it with "
            "numpy.save."
        ) from error
    if array.dtype.kind not in "iufb":
        raise DataError(f"{path} holds {array.dtype}, not numbers.")
    if array.ndim != 2 or 0 in array.shape:
        raise DataError(f"{path} has shape {array.shape}; expected [N, d] with rows.")
    for low in range(0, len(array), rows):
        yield np.asarray(array[low : low + rows])


def _parquet(
    path: Path, rows: int, columns: Sequence[str] | None
) -> Iterator[np.ndarray]:
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise DataError(
            f"{path.name} needs pyarrow; run `pip install 'spectral_tf[sklearn]'`."
        ) from error
    try:
        file = parquet.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a readable Parquet file ({error}).") from error
    with file:
        known = file.schema_arrow.names
        missing = [name for name in columns or () if name not in known]
        if missing:
            raise DataError(
                f"{path.name} has no column {', '.join(missing)}; it has "
                f"{', '.join(known)}."
            )
        for batch in file.iter_batches(batch_size=rows, columns=columns):
            parts = [_numbers(path, batch, name) for name in batch.schema.names]
            yield side_by_side(parts)


def _numbers(path: Path, batch: object, name: str) -> np.ndarray:
    column = batch.column(name)  # pyright: ignore[reportAttributeAccessIssue]
    values = column.to_numpy(zero_copy_only=False)
    import pyarrow

    is_decimal = pyarrow.types.is_decimal(column.type) and not column.null_count
    if values.dtype.kind not in "iufb" and not is_decimal:
        raise DataError(
            f"column {name!r} of {path.name} is not numeric ({column.type}); choose "
            "the numeric ones with columns=[...]."
        )
    return values
