"""Tables larger than memory, in chunks of rows."""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spectral_tf.config import DataError, require
from spectral_tf.config.wording import counted
from spectral_tf.exact import side_by_side
from spectral_tf.tables.columns import LeftOut, numbered
from spectral_tf.tables.missing import (
    Codes,
    Missing,
    cleared,
    codes_of,
    suspicions,
)
from spectral_tf.tables.parquet import (
    INDEX_REASONS,
    Field,
    entries_of,
    fields_of,
    opened,
)


def read_chunks(
    path: str | Path,
    *,
    rows: int = 65_536,
    columns: Sequence[str] | None = None,
    missing: Missing = (),
) -> Iterator[np.ndarray]:
    """Chunks of rows of a file, of which only one is in memory at a time.

    Args:
        path: a `.npy` array `[N, d]` (memory-mapped), or `.parquet` (needs pyarrow).
        rows: of a chunk, at most.
        columns: of a Parquet file; None takes all but the index of a pandas table, by
            the file's own metadata; they must be numbers. Truth values and decimals
            are; the second of two columns called `a` is `a.2`.
        missing: numbers that stand for a missing value, e.g. `[-999]`; they become
            NaN, to be filled in before a chunk is given to an estimator.

    Returns:
        Iterator over arrays `[n, d]`; NaN where a number is missing; of objects where a
        table has decimals, or whole numbers that float64 does not hold beside other
        numbers.

    Raises:
        DataError: if the file is missing, of another kind, or not such a table.
        ConfigError: if rows < 1, or `missing` has something else than numbers.

    Warns:
        UserWarning: naming the index that is left out; and the values that are
            repeated, and stand apart, in the first chunk: they may be codes of missing
            values, and stay numbers.

    Example:
        >>> from spectral_tf.estimators import SpectralPCA, read_chunks
        >>> pca = SpectralPCA(3).partial_fit(read_chunks("big.npy"))  # doctest: +SKIP
    """
    require(rows >= 1, f"rows={rows} must be >= 1.")
    codes = codes_of(missing)
    require(
        not codes.texts,
        f"missing={sorted(codes.texts)} are no numbers; a .npy or .parquet file has no "
        "other codes.",
    )
    path = Path(path).expanduser()
    if not path.is_file():
        raise DataError(f"{path} is not a file (looked in {Path.cwd()}).")
    end = path.suffix.lower()
    if end == ".npy":
        return _cleared(path, _npy(path, rows), None, codes)
    if end in (".parquet", ".pq"):
        with opened(path) as file:
            is_empty = not file.metadata.num_rows
            fields = chosen_fields(path, file.schema_arrow, columns)
        if is_empty:
            raise DataError(f"{path} is empty; it needs at least one row of numbers.")
        names = [field.name for field in fields]
        return _cleared(path, _batches(path, rows, fields), names, codes)
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


def _cleared(
    path: Path,
    chunks: Iterator[np.ndarray],
    names: Sequence[str] | None,
    codes: Codes,
) -> Iterator[np.ndarray]:
    """Chunks with NaN for codes; a warning of others that the first chunk may have."""
    for place, chunk in enumerate(chunks):
        clear = chunk
        if codes.numbers:
            without, cells = cleared(chunk, codes)
            # A chunk without gaps keeps the digits that float64 has not.
            clear = without if np.any(cells) else chunk
        if place == 0:
            columns = names or numbered(clear.shape[1])
            for note in suspicions(clear, columns):
                start = f"{path.name}, first {counted(len(clear), 'row')}"
                warnings.warn(f"{start}: {note}", UserWarning, stacklevel=2)
        yield clear


def _batches(path: Path, rows: int, fields: Sequence[Field]) -> Iterator[np.ndarray]:
    names = list(dict.fromkeys(field.source for field in fields))
    with opened(path) as file:
        for batch in file.iter_batches(batch_size=rows, columns=names):
            yield side_by_side([entries_of(field.values(batch)) for field in fields])


def chosen_fields(
    path: Path, schema: Any, columns: Sequence[str] | None
) -> list[Field]:
    """The columns of a Parquet file that its chunks have.

    Args:
        path: of the file.
        schema: its, of pyarrow.
        columns: names asked for, in this order; None for all but a pandas index.

    Returns:
        At least one field.

    Raises:
        DataError: if one is not there or not numeric, or none is left.

    Warns:
        UserWarning: for a pandas index that is left out.
    """
    fields, _ = fields_of(schema)
    known = {field.name: field for field in fields}
    missing = [name for name in columns or () if name not in known]
    if missing:
        raise DataError(
            f"{path.name} has no column {', '.join(map(str, missing))}; it has "
            f"{', '.join(known)}."
        )
    index = [field for field in fields if field.reason in INDEX_REASONS]
    if columns is None:
        chosen = [field for field in fields if field not in index]
    else:
        chosen = [known[name] for name in columns]
    for field in chosen:
        if not field.is_number:
            raise DataError(
                f"column {field.name!r} of {path.name} is not numeric ({field.kind}); "
                "choose the numeric ones with columns=[...]."
            )
    if not chosen:
        raise DataError(f"{path.name} has no column of numbers.")
    if columns is None and index:
        pairs = ((field.name, field.reason or "") for field in index)
        reasons = " ".join(LeftOut(*pair).sentence() for pair in pairs)
        warnings.warn(
            f"{path.name}: {reasons} To read it, name it in columns=[...].",
            UserWarning,
            stacklevel=3,
        )
    return chosen
