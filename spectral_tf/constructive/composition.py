"""A composition: a program of gadgets, and what the tokens start with.

Everything a network is made of, still as named rows; `assemble.py` turns it into the
parameters of the one module.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from spectral_tf.config import parse_schedule, require
from spectral_tf.constructive.gadgets import Gadget
from spectral_tf.constructive.program import Series
from spectral_tf.constructive.residual_layout import ResidualLayout


@dataclasses.dataclass(frozen=True, kw_only=True)
class Composition:
    """A network in named rows.

    Attributes:
        layout: the rows.
        program: the gadgets in the order in which they run.
        registers: row -> `[R, size]` start values of the register tokens; rows left out
            are 0.
        embed: rows of data tokens: `x` and `c` come from the input, any other is 1.
        vector_row: row of the first k registers that ends as an eigenvector.
        config: fields of `ModelConfig` that differ from those of `model_config`.
        stacked_first: gadgets whose weights stand before those of the others, which
            follow in the order of first use.
    """

    layout: ResidualLayout
    program: Series[Gadget]
    registers: Mapping[str, np.ndarray]
    embed: tuple[str, ...]
    vector_row: str
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    stacked_first: tuple[Gadget, ...] = ()

    @functools.cached_property
    def gadgets(self) -> tuple[Gadget, ...]:
        """The blocks that have weights of their own, in the order of these."""
        steps = self.program.steps()
        first = [gadget for gadget in self.stacked_first if gadget in steps]
        return tuple(dict.fromkeys([*first, *steps]))

    @property
    def schedule(self) -> str:
        """Which gadget runs at each place, see `parse_schedule`."""
        return self.program.schedule(self.gadgets)

    @property
    def order(self) -> tuple[int, ...]:
        """Index of the gadget at each place."""
        return parse_schedule(self.schedule)

    def places(self, name: str) -> tuple[int, ...]:
        """Where in the network the gadgets of this name run.

        Args:
            name: of one gadget or more, e.g. `multiply`.

        Returns:
            Indices of blocks, ascending.

        Raises:
            ConfigError: if no gadget has that name.
        """
        names = [gadget.name for gadget in self.gadgets]
        require(
            name in names,
            f"no gadget is named {name!r}; this composition has {', '.join(names)}.",
        )
        order = enumerate(self.order)
        return tuple(place for place, index in order if names[index] == name)

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
