"""A composition: gadgets, the order in which they run, and what the tokens start with.

Everything a network is made of, still as named rows; `assemble.py` turns it into the
parameters of the one module.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from spectral_tf.config import parse_schedule
from spectral_tf.constructive.gadgets import Gadget
from spectral_tf.constructive.residual_layout import ResidualLayout


@dataclasses.dataclass(frozen=True, kw_only=True)
class Composition:
    """A network in named rows.

    Attributes:
        layout: the rows.
        gadgets: the blocks that have weights of their own.
        schedule: which gadget runs at each place, see `parse_schedule`.
        registers: row -> `[R, size]` start values of the register tokens; rows left out
            are 0.
        embed: rows of data tokens: row -> where it comes from, `x`, `one` or `c`.
        vector_row: row of the first k registers that ends as an eigenvector.
        config: further fields of `ModelConfig`.
    """

    layout: ResidualLayout
    gadgets: tuple[Gadget, ...]
    schedule: str
    registers: Mapping[str, np.ndarray]
    embed: tuple[str, ...]
    vector_row: str
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def order(self) -> tuple[int, ...]:
        """Index of the gadget at each place."""
        return parse_schedule(self.schedule)

    @property
    def num_registers(self) -> int:
        """R, the register tokens."""
        return len(next(iter(self.registers.values())))

    def register_rows(self) -> np.ndarray:
        """`[R, D]` start values of the register tokens."""
        empty = {
            name: np.zeros((self.num_registers, size))
            for name, size in self.layout.sizes
        }
        return self.layout.join(empty | dict(self.registers))
