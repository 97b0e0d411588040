"""The program of a composition: named steps in the order in which they run.

A program is a value. `series(a, b)` is a, then b; a product with a number repeats; and
series may stand in series. The blocks that have weights, the text of the schedule and
the places of a step all follow from it:

    >>> a_round = series("squared_norm", "scale", "deflate")
    >>> program = series("centre", series("multiply", a_round * 2) * 3, "rayleigh")
    >>> str(program)
    'centre (multiply (squared_norm scale deflate)*2)*3 rayleigh'
    >>> program.steps()
    ('centre', 'multiply', 'squared_norm', 'scale', 'deflate', 'rayleigh')
    >>> program.schedule(program.steps())
    '0 (1 (2 3 4)*2)*3 5'

A step is anything with a hash: here a word, in a composition a gadget, which is the
same step wherever that very object stands.
"""

import dataclasses
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from spectral_tf.config import require

Step = TypeVar("Step", bound=Hashable)
Image = TypeVar("Image", bound=Hashable)


@dataclasses.dataclass(frozen=True)
class Series(Generic[Step]):
    """Steps and series, one after the other, `times` times over.

    Attributes:
        parts: in the order in which they run.
        times: 0 leaves the whole series out.

    Source: `SeriesWithResiduals` of tracr, without its depth of one.
    """

    parts: tuple["Step | Series[Step]", ...]
    times: int = 1

    def __mul__(self, times: int) -> "Series[Step]":
        """The series, `times` times over."""
        require(times >= 0, f"a series cannot run {times} times; give 0 or more.")
        return Series((self,), times) if self.times != 1 else Series(self.parts, times)

    def steps(self) -> tuple[Step, ...]:
        """Every step once, in the order of first use."""
        return tuple(dict.fromkeys(self._written()))

    def visits(self) -> Iterator[Step]:
        """Every step as often as it runs, in order."""
        for _ in range(self.times):
            for part in self.parts:
                if isinstance(part, Series):
                    yield from part.visits()
                else:
                    yield part

    def mapped(self, change: Callable[[Step], Image]) -> "Series[Image]":
        """The same program of other steps."""
        parts = (
            part.mapped(change) if isinstance(part, Series) else change(part)
            for part in self.parts
        )
        return Series(tuple(parts), self.times)

    def schedule(self, steps: Sequence[Step]) -> str:
        """The program with the index in `steps` for every step, see `parse_schedule`.

        Args:
            steps: all of the program's, in any order.

        Returns:
            The text; what runs once has no bracket, what never runs is left out.
        """
        numbers = {step: str(index) for index, step in enumerate(steps)}
        return " ".join(self._words(numbers.__getitem__))

    def __str__(self) -> str:
        """The program with the name of every step."""
        return " ".join(self._words(lambda step: getattr(step, "name", str(step))))

    def _written(self) -> Iterator[Step]:
        """Every step as often as it stands in the text."""
        for part in self.parts if self.times else ():
            if isinstance(part, Series):
                yield from part._written()
            else:
                yield part

    def _words(self, word: Callable[[Step], str]) -> list[str]:
        words: list[str] = []
        for part in self.parts if self.times else ():
            words += part._words(word) if isinstance(part, Series) else [word(part)]
        if self.times == 1 or not words:
            return words
        body = " ".join(words)
        is_bare = len(words) == 1 and not {*" (*"} & {*body}
        return [f"{body}*{self.times}" if is_bare else f"({body})*{self.times}"]


def series(*parts: Any) -> Series[Any]:
    """Steps and series, one after the other.

    Args:
        *parts: steps of one kind, and series of them.

    Returns:
        The series, to be repeated by a product with a number.
    """
    return Series(parts)
