"""Text files of tables, .csv and .tsv: cells to columns of numbers."""

import csv
import dataclasses
import gzip
import io
import re
import shlex
import zlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spectral_tf.config import DataError, ReadOptions
from spectral_tf.config.wording import counted
from spectral_tf.exact import column_relative
from spectral_tf.tables.cells import (
    Parsed,
    is_missing,
    parse_column,
    plain_text,
)
from spectral_tf.tables.columns import (
    BadCells,
    Columns,
    LeftOut,
    listed,
    made_unique,
    numbered,
)
from spectral_tf.tables.headers import judge_first_line
from spectral_tf.tables.missing import code_note, codes_of, marked
from spectral_tf.tables.row_index import (
    LOOKS_LIKE_INDEX,
    index_places,
    is_unnamed,
    leading_unnamed,
)

MOST_BAD = 3
"""Cells that are no numbers, of a column of numbers, that are shown."""
_QUOTED = r'(?:(?<=[,;\t|\n])|^) *"(?:[^"]|"")*(?:"|$)'
_FIRST_RECORD = re.compile(rf"(?:{_QUOTED}|[^\n])*")
_THOUSANDS = re.compile(r"\s*[+-]?[1-9]\d{0,2}\.\d{3}\s*")
"""A decimal with three places that may be a whole number of thousands."""


class Records(NamedTuple):
    """A table of text as it stands.

    Attributes:
        path: of the file.
        lines: number of the line, or row, in the file, and its cells, equally many.
        sep: mark between the cells; None where there is none.
        line: what a line is called.
    """

    path: Path
    lines: list[tuple[int, list[str]]]
    sep: str | None
    line: str = "line"


@dataclasses.dataclass(frozen=True)
class _Cells:
    """A column of text.

    Attributes:
        name: no two are alike.
        header: as it stands in the file.
        is_leading: no column before it, nor it, has a name.
        is_index: it looks like the index of a data frame.
        texts: its cells.
    """

    name: str
    header: str
    is_leading: bool
    is_index: bool
    texts: list[str]


def read_text(path: Path, options: ReadOptions) -> Columns:
    """The numeric columns of a .csv or .tsv file, plain or gzipped.

    Args:
        path: of a text in UTF-8, separated by commas, semicolons or tabs, with or
            without a line of column names.
        options: how it is read.

    Returns:
        The columns; a missing number is NaN.

    Raises:
        DataError: if the file is empty, ragged, malformed, or has no numeric column.
    """
    return numeric_columns(_records(path, options), options)


def numeric_columns(records: Records, options: ReadOptions) -> Columns:
    """The numeric columns of a table of text.

    Args:
        records: its lines.
        options: how they are read.

    Returns:
        The columns. A number that is missing is NaN, and so is a cell that is none in
        a column of numbers; `bad` counts those.

    Raises:
        DataError: if there are names and no rows, or no numeric column.
    """
    path, lines = records.path, records.lines
    codes = codes_of(options.missing)
    texts = codes.texts
    header, notes = _column_names(records, options)
    if header is None:
        header = numbered(len(lines[0][1]))
    elif len(lines) == 1:
        raise DataError(
            f"{path} has column names but no rows; add at least one row of numbers."
        )
    else:
        lines = lines[1:]
    names, changed = made_unique(header)
    blank = _without_texts(lines, texts)
    notes += changed
    features, left_out, bad, exact = [], [], [], {}
    texts_of = [list(cells) for cells in zip(*(row for _, row in blank), strict=True)]
    leading, places = leading_unnamed(header), index_places(header, texts_of)
    for index, name in enumerate(names):
        is_leading, is_index = index < leading, index in places
        cells = _Cells(name, header[index], is_leading, is_index, texts_of[index])
        parsed = parse_column(cells.texts, options.decimal)
        where = [f"on {records.line} {lines[i][0]}" for i in parsed.bad[:MOST_BAD]]
        reason = _reason_to_leave(cells, parsed, where, options)
        if reason is not None:
            left_out.append(LeftOut(name, reason))
            continue
        features.append((name, parsed.values))
        plain = [plain_text(text, parsed.decimal) for text in cells.texts]
        relative = column_relative(plain, marked(np.array(parsed.values), codes))
        exact |= {} if relative is None else {name: relative}
        notes += _doubts(cells, parsed, records.sep, options)
        if parsed.bad:
            bad.append(_bad_cells(cells, parsed, where))
    empty = [column.name for column in bad if not column.numbers]
    if len(empty) == len(features):
        # No number can be read: what there is has other decimal marks.
        left_out += [LeftOut(column.name, column.reason()) for column in bad]
        reasons = " ".join([*notes, *(column.sentence() for column in left_out)])
        raise DataError(
            f"{path} has no numeric column. {reasons} Write numbers with a decimal "
            "point, as in 1.5, or give --decimal ','."
        )
    return Columns(
        name=path.name,
        x=np.array([values for _, values in features], float).T,
        columns=tuple(name for name, _ in features),
        left_out=tuple(left_out),
        notes=(*notes, *_code_notes(texts, lines, names, left_out)),
        bad=tuple(bad),
        exact=exact,
        row_names=_row_names(names, lines, options),
    )


def _without_texts(
    lines: list[tuple[int, list[str]]], texts: Collection[str]
) -> list[tuple[int, list[str]]]:
    """The lines with blank cells for the texts that a user calls missing."""
    if not texts:
        return lines
    return [
        (place, ["" if cell.strip().lower() in texts else cell for cell in cells])
        for place, cells in lines
    ]


def _code_notes(
    texts: Collection[str],
    lines: Sequence[tuple[int, list[str]]],
    names: Sequence[str],
    left_out: Sequence[LeftOut],
) -> list[str]:
    """A note for each text that a user calls missing: in which columns it was."""
    unused = {column.name for column in left_out}
    used = [(i, name) for i, name in enumerate(names) if name not in unused]
    notes = []
    for code in sorted(texts):
        counts = {
            name: sum(cells[index].strip().lower() == code for _, cells in lines)
            for index, name in used
        }
        notes.append(code_note(repr(code), {n: c for n, c in counts.items() if c}))
    return notes


def _row_names(
    names: Sequence[str],
    lines: Sequence[tuple[int, list[str]]],
    options: ReadOptions,
) -> tuple[str, ...]:
    """The cells of the column that names the rows."""
    if options.id_column not in names:
        return ()
    index = names.index(options.id_column)
    return tuple(cells[index].strip() for _, cells in lines)


def _text(path: Path) -> str:
    """The text of a file, with plain line ends; without blank last lines."""
    try:
        raw = path.read_bytes()
        if path.suffix.lower() == ".gz":
            raw = gzip.decompress(raw)
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text ({error}); save it as CSV in UTF-8."
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read ({error}); compress or copy it again."
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


def _records(path: Path, options: ReadOptions) -> Records:
    """Line number and cells of each line, equally many; blank last lines dropped."""
    text = _text(path)
    if not text.strip():
        raise DataError(f"{path} is empty; it needs at least one row of numbers.")
    mark = options.sep or _delimiter(text, options)
    reader = csv.reader(
        io.StringIO(text), delimiter=mark, skipinitialspace=mark != " ", strict=True
    )
    records = []
    try:
        for cells in reader:
            records.append((reader.line_num, cells))
            if len(cells) != len(records[0][1]):
                raise DataError(
                    f"{path}, line {reader.line_num}: {counted(len(cells), 'cell')}, "
                    f"but the first line has {len(records[0][1])}; correct or remove "
                    f"the line{_other_marks(mark, cells, options)}."
                )
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}: {error}; correct the quotes there, or "
            f"say what parts the cells with --sep (now {mark!r})."
        ) from error
    return Records(path, records, mark)


def _other_marks(mark: str, cells: Sequence[str], options: ReadOptions) -> str:
    """A word on --sep where cells were parted by a mark that nobody gave."""
    if options.sep is not None or not cells:
        return ""
    return f", or say what parts the cells with --sep (now {mark!r})"


def _delimiter(text: str, options: ReadOptions) -> str:
    """The mark beside quotes, or most frequent, in the names; a comma on a tie."""
    first = _FIRST_RECORD.match(text)
    line = re.sub(_QUOTED, '"', first.group() if first else "")
    beside = [a or b for a, b in re.findall(r'"([,;\t])|([,;\t])"', line)]
    if beside:
        return max(",;\t", key=beside.count)
    if ";" in line or "\t" in line or options.decimal == ",":
        # Then "1,5" is a decimal and "height, cm" a name: no delimiters.
        line = re.sub(r"(?<=\d),(?=\d)|,(?= )", "", line)
    mark = max(",;\t", key=line.count)
    return ";" if mark == options.decimal and mark not in line else mark


def _column_names(
    records: Records, options: ReadOptions
) -> tuple[tuple[str, ...] | None, list[str]]:
    """Names on the first line, None if it is a row of data; notes."""
    place, first = records.lines[0]
    names = tuple(cell.strip() for cell in first)
    if options.header is not None:
        return (names, []) if options.header else (None, [])
    codes = codes_of(options.missing)
    texts = codes.texts
    (_, judged), *below = _without_texts(records.lines, texts)
    rest = [cells for _, cells in below]
    verdict = judge_first_line(judged, rest, options.decimal)
    if not verdict.is_doubtful:
        return (names, []) if verdict.is_names else (None, [])
    if verdict.is_names:
        numbers = [cell for cell in names if parse_column([cell]).kind == "number"]
        note = (
            f"Read {records.line} {place} as column names, although it has numbers "
            f"({listed(numbers)}); if it is data, write a line of names above it, or "
            "give --no-header."
        )
        return names, [note]
    note = (
        f"Read {records.line} {place} ({listed(names)}) as data; if it holds column "
        "names, give --header."
    )
    return None, [note]


def _reason_to_leave(
    cells: _Cells, parsed: Parsed, where: Sequence[str], options: ReadOptions
) -> str | None:
    """Why a column is no feature, or None if it is one."""
    if parsed.kind == "empty":
        return "it is empty"
    if parsed.kind == "text":
        return _bad_cells(cells, parsed, where).reason()
    if options.keep_index:
        return None
    numbers, rows = parsed.values, len(parsed.values)
    counts = list(range(rows)), list(range(1, rows + 1))
    if is_unnamed(cells.header) and numbers in counts:
        return "it has no name and counts the rows"
    return f"{LOOKS_LIKE_INDEX}; --keep-index keeps it" if cells.is_index else None


def _doubts(
    cells: _Cells, parsed: Parsed, sep: str | None, options: ReadOptions
) -> list[str]:
    """What a reader should know of how the numbers of a column were read."""
    notes, name = [], cells.name
    if cells.is_leading and not options.keep_index:
        notes.append(
            f"Column {name!r} has no name; if it is an index, leave it out with --drop "
            f"{shlex.quote(name)}."
        )
    is_german = options.decimal is None and sep in (";", "\t")
    is_mixed = options.decimal == "," and parsed.decimal is None
    if not (is_german or is_mixed):
        return notes
    pointed = [text.strip() for text in cells.texts if "." in text[:-1]]
    pointed = [text for text in pointed if not is_missing(text)]
    if not pointed or parsed.kind != "number":
        return notes
    if is_mixed:
        notes.append(
            f"Column {name!r} is written with decimal points, as in {pointed[0]!r}, "
            "and was read so."
        )
    elif all(map(_THOUSANDS.fullmatch, pointed)):
        notes.append(
            f"Column {name!r} was read with decimal points ({pointed[0]!r} is "
            f"{float(pointed[0]):g}); if they part thousands, give --decimal ',', and "
            "--decimal . if they do not."
        )
    return notes


def _bad_cells(cells: _Cells, parsed: Parsed, where: Sequence[str]) -> BadCells:
    """What is known about the cells of a column that are no numbers."""
    missing = sum(map(is_missing, cells.texts))
    shown = [cells.texts[index] for index in parsed.bad[:MOST_BAD]]
    return BadCells(
        name=cells.name,
        count=len(parsed.bad),
        rows=len(cells.texts),
        numbers=len(cells.texts) - missing - len(parsed.bad),
        examples=tuple(f"{a!r} {b}" for a, b in zip(shown, where, strict=True)),
        other_notation=parsed.other_notation,
    )
