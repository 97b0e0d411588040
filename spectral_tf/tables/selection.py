"""Columns that a user left out by name, and cells that must not be passed over."""

from collections.abc import Sequence

from spectral_tf.config import ConfigError, DataError, ReadOptions
from spectral_tf.tables.columns import BadCells, Columns, LeftOut, listed

MOST_NAMES = 20
"""Columns that a refusal names, at most."""
MOST_BAD = 3
"""Columns with cells that are no numbers that a refusal describes."""
DROPPED = "it was dropped, as asked"
NAMES_ROWS = "it names the rows, as said"


def without_dropped(read: Columns, options: ReadOptions) -> Columns:
    """The columns but for those that `drop` and `id_column` name.

    Args:
        read: the columns of a source.
        options: how it is read.

    Returns:
        The others.

    Raises:
        ConfigError: for a name that is not there.
        DataError: if no numeric column is left.
    """
    reasons = dict.fromkeys(options.drop, DROPPED)
    if options.id_column is not None:
        reasons[options.id_column] = NAMES_ROWS
    if not reasons:
        return read
    known = [*read.columns, *(column.name for column in read.left_out)]
    for name in reasons:
        if name not in known:
            names = listed([repr(column) for column in known], MOST_NAMES)
            raise ConfigError(
                f"{read.name} has no column {name!r}; its columns are {names}."
            )
    places = [i for i, name in enumerate(read.columns) if name not in reasons]
    if not places:
        raise DataError(
            f"{read.name} has no numeric column but those that were dropped: "
            f"{listed([repr(name) for name in read.columns], MOST_NAMES)}."
        )
    others = [column for column in read.left_out if column.name not in reasons]
    return read._replace(
        x=read.x[:, places],
        columns=tuple(read.columns[i] for i in places),
        left_out=(*others, *(LeftOut(name, why) for name, why in reasons.items())),
        bad=tuple(cells for cells in read.bad if cells.name not in reasons),
    )


def refuse_bad_cells(source: str, bad: Sequence[BadCells], remedy: str) -> None:
    """Raise if a column of numbers has cells that are none.

    Args:
        source: what was read.
        bad: columns with such cells.
        remedy: what to do about them, as half a sentence.

    Raises:
        DataError: if there is one; it names column, cells and places.
    """
    if not bad:
        return
    words = "; ".join(cells.words() for cells in bad[:MOST_BAD])
    if len(bad) > MOST_BAD:
        rest = [repr(cells.name) for cells in bad[MOST_BAD:]]
        words += f"; and such cells in {listed(rest, MOST_NAMES)}"
    if any(cells.other_notation for cells in bad):
        words += (
            "; where a comma marks decimals (1,5 is 1.5), give --decimal ',', where "
            "it, a space or an apostrophe parts thousands (1,299 is 1299), --decimal ."
        )
    raise DataError(f"{source}: {words}; {remedy}.")
