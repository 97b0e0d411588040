"""How the file of a table is read: what a reader of files cannot know by itself."""

import dataclasses
from typing import Literal

from spectral_tf.config.base import Config, require


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReadOptions(Config):
    """What a user says about the file of a table; every default finds out by itself.

    `header`, `sep`, `decimal` and `keep_index` concern text files and sheets (a sheet
    has no `sep`), `keep_index` Parquet, too; `id_column` and `drop` name columns of any
    kind of file, and `missing` is of any.
    """

    # The first line holds column names, or none; default: decided by what is on it.
    header: bool | None = None
    # Mark between cells: a comma, semicolon, tab or other; default: found.
    sep: str | None = None
    # Mark before the decimals; if given, the other mark, a space or an apostrophe may
    # part thousands (1.299,5).
    decimal: Literal[".", ","] | None = None
    # Column that names the rows; it goes into the results, not into the analysis.
    id_column: str | None = None
    # Keep an unnamed first column that looks like the index of a saved data frame.
    keep_index: bool = False
    # Numbers or texts that stand for a missing value, e.g. -999 n.a.
    missing: tuple[str, ...] = ()
    # Columns to leave out, by name.
    drop: tuple[str, ...] = ()

    def validate(self) -> None:
        """Check the mark between cells."""
        if self.sep is None:
            return
        # A shell passes \t as two characters.
        object.__setattr__(self, "sep", "\t" if self.sep == r"\t" else self.sep)
        require(
            len(self.sep) == 1 and self.sep not in '"\r\n',
            f"sep={self.sep!r} must be one character that is no quote and no line "
            "break, such as ',' ';' '|' or a tab, written \\t.",
        )
        require(
            self.sep != self.decimal,
            f"sep={self.sep!r} is the decimal mark, too; give two marks that differ.",
        )
