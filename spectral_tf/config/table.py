"""The configuration of a run that learns from a table: which, and how it is cut."""

import dataclasses
from typing import Literal

from spectral_tf.config.base import Config, require


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableConfig(Config):
    """Blocks of rows of a table of past cases, drawn beside synthetic instances.

    A shape `(d, N)` of the run is a block of N rows. It has all columns where d is
    their number; where d is smaller, every block has columns of its own.
    """

    # The table: a name or a file, as `load_table` takes it; "" = none, all synthetic.
    source: str = ""
    # Share of the rows that is held out: the last ones, in the order of the table.
    holdout: float = 0.2
    # Columns at zero mean and unit variance, both of the training rows.
    standardize: bool = True
    # Share of every batch that is drawn from the run's own families instead.
    synthetic_share: float = 0.5
    # Draw the rows of a block with replacement (bootstrap).
    replacement: bool = False
    # Shapes of fewer columns: some of the table's, or a random projection of all.
    narrow: Literal["subset", "projection"] = "subset"
    # Deviation of log-normal factors, one for each column of a block; 0 = none.
    rescale: float = 0.0
    # Turn the features of every block at random; for dense networks.
    rotate: bool = False

    def validate(self) -> None:
        """Check the bounds."""
        self.at_least(0, "rescale")
        require(
            0 < self.holdout < 1,
            f"TableConfig.holdout={self.holdout} must lie between 0 and 1; try 0.2.",
        )
        require(
            0 <= self.synthetic_share < 1,
            f"TableConfig.synthetic_share={self.synthetic_share} must lie in [0, 1); "
            "lower it, or give no table.",
        )
