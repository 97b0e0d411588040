"""Measurements as JSON lines: what is recorded is never measured again.

A part is a set of cells, each a small dictionary of what is run; its record is one line
with what was measured there. A stopped run goes on where it was; a changed
configuration makes other cells, and the old ones stay in the file unread.
"""

import dataclasses
import json
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

sys.path.append(str(Path(__file__).parents[2]))
from experiments import harness

Cell = Mapping[str, Any]
Values = dict[str, Any]


class Records:
    """The lines of one part's file, in memory and on disk."""

    def __init__(self, path: Path) -> None:
        """Read what is there; a half-written last line is dropped."""
        self.path = path
        self.lines: dict[str, dict[str, Any]] = {}
        self.is_new = True
        path.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text() if path.exists() else ""
        whole, _, rest = text.rpartition("\n")
        if rest:
            path.write_text(whole + "\n" if whole else "")
        for line in filter(None, whole.split("\n")):
            document = json.loads(line)
            if "cell" in document:
                self.lines[key_of(document["cell"])] = document

    def measured(
        self, cell: Cell, measure: Callable[..., Values], *args: Any
    ) -> Values:
        """What `measure(*args)` gave in this cell, now or in an earlier run."""
        key = key_of(cell)
        if key not in self.lines:
            begin = time.process_time()
            values = measure(*args)
            seconds = round(time.process_time() - begin, 2)
            self._write({"cell": dict(cell), "values": values, "seconds": seconds})
            shown = " ".join(f"{name}={value}" for name, value in cell.items())
            print(f"{shown}: {seconds} s", file=sys.stderr, flush=True)
        return self.lines[key]["values"]

    def of_seeds(
        self, cell: Cell, seeds: int, measure: Callable[..., Values], *args: Any
    ) -> list[Values]:
        """`measured` for each seed, which is the last argument of `measure`."""
        return [
            self.measured({**cell, "seed": seed}, measure, *args, seed)
            for seed in range(seeds)
        ]

    @property
    def seconds(self) -> float:
        """Processor time of all records, without what is not measured (figures)."""
        return sum(line["seconds"] for line in self.lines.values())

    def _write(self, document: dict[str, Any]) -> None:
        lines = [document]
        if self.is_new:  # once in a run: with what the next lines were measured
            lines = [{"circumstances": harness.circumstances()}, document]
        document = json.loads(json.dumps(harness.finite(document)))
        with self.path.open("a") as file:
            file.writelines(json.dumps(harness.finite(x)) + "\n" for x in lines)
        self.is_new = False
        self.lines[key_of(document["cell"])] = document


def key_of(cell: Cell) -> str:
    """The same for equal cells, in whatever order they are written."""
    return json.dumps(dict(cell), sort_keys=True)


@dataclasses.dataclass(frozen=True)
class Interval:
    """A mean over seeds with its 95 % interval, mean +- half_width."""

    mean: float
    half_width: float

    @classmethod
    def of(cls, values: Sequence[float] | np.ndarray) -> "Interval":
        """By Student's t, since seeds are few; infinite for a single seed."""
        array = np.asarray(values, np.float64)
        count = len(array)
        if count < 2:
            return cls(float(array.mean()), math.inf)
        width = stats.t.ppf(0.975, count - 1) * array.std(ddof=1) / math.sqrt(count)
        return cls(float(array.mean()), float(width))

    def text(self, digits: int = 3) -> str:
        """Mean and half width, as a table shows them."""
        if not math.isfinite(self.half_width):
            return f"{self.mean:.{digits}f}"
        return f"{self.mean:.{digits}f} ± {self.half_width:.{digits}f}"


def over_seeds(rows: Sequence[Sequence[float]] | np.ndarray) -> list[Interval]:
    """Of seed after seed `[n]` numbers each: an interval of each number."""
    return [Interval.of(column) for column in np.asarray(rows, np.float64).T]


def slopes(x: np.ndarray, y: np.ndarray) -> Interval:
    """Exponent of y over x: the slope of log y over log x, fitted for each seed.

    Args:
        x: `[n]` positive.
        y: `[seeds, n]` positive.

    Returns:
        Interval of the slope over the seeds.
    """
    return Interval.of([np.polyfit(np.log(x), np.log(row), 1)[0] for row in y])
