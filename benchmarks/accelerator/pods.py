"""Arithmetic, not measurement: what compiled programs would take on 1, 8, 256 chips.

    seconds of a step = cycles / clock + bytes / bandwidth + hops x latency

Cycles are `fixed + slope x instances`, a line through the counts of two batch sizes:
the fixed part does not shrink when a batch is shared among more chips. The all-reduce
is a ring's, `2 (p - 1) / p` of the gradient's bytes, and the way to the farthest chip
of the torus and back. On a GPU the floor is launches, which no batch changes.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

CLOCK = 197e12 / (2 * 4 * 128**2)
"""Hz of a v5e: its published peak over what four matrix units of 128 x 128 do.

Source: Google Cloud documentation, "TPU v5e" (197 TFLOP/s in bf16, four MXUs).
"""
REDUCE_BYTES = 51.2e12 / 256
"""Bytes/s of one chip in an all-reduce; 51.2 TB/s of a pod of 256, same source."""
CHIPS = {1: (1, 1), 8: (2, 4), 256: (16, 16)}
"""Chips of a slice, and its torus."""
WEAK_BATCH = 256


class Line(NamedTuple):
    """Cost of a step of one program on one chip.

    Attributes:
        fixed: cycles of a step without instances.
        slope: cycles of one more instance.
        bytes: of the all-reduce.
        launches: kernels of a step on a GPU; None if not counted.
    """

    fixed: float
    slope: float
    bytes: float
    launches: float | None


class Run(NamedTuple):
    """What was trained: instances in all, and in one step."""

    instances: int
    batch: int


def read_counts(path: Path) -> dict[str, Line]:
    """Costs by program from the records of `--part steps`.

    Args:
        path: JSON lines with at least two batch sizes of a program on a TPU.

    Returns:
        Program -> line.

    Raises:
        ValueError: if no program has two batch sizes.
    """
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    steps = [row for row in rows if row.get("benchmark") == "accelerator-steps"]
    lines = {}
    for program in dict.fromkeys(row["program"] for row in steps):
        of_it = [row for row in steps if row["program"] == program]
        points = {row["instances"]: row for row in of_it if row["cycles"]}
        if len(points) >= 2:
            launches = [row["launches"] for row in of_it if not row["cycles"]]
            lines[program] = fitted(points, launches[-1] if launches else None)
    if not lines:
        raise ValueError(
            f"{path} has no program with two batch sizes on a TPU; run --part steps "
            "--target v5e:2x4 with --batch 32 and --batch 256 and the same --out."
        )
    return lines


def fitted(points: dict[int, dict[str, Any]], launches: float | None) -> Line:
    """The line through the smallest and the largest batch."""
    low, high = min(points), max(points)
    rise = points[high]["cycles"] - points[low]["cycles"]
    slope = rise / (high - low)
    sizes = [size for row in points.values() for size in _all_reduces(row)]
    fixed = points[low]["cycles"] - slope * low
    return Line(fixed, slope, max(sizes, default=0), launches)


def _all_reduces(row: dict[str, Any]) -> list[int]:
    return row["collectives"].get("all-reduce", [])


def compute_seconds(line: Line, batch: float) -> float:
    """Of one step of so many instances on one v5e chip."""
    return (line.fixed + line.slope * batch) / CLOCK


def reduce_seconds(line: Line, chips: int, hop: float) -> float:
    """Of the all-reduce of a step.

    Args:
        line: of the program.
        chips: of `CHIPS`.
        hop: seconds from one chip to the next.

    Returns:
        Seconds; 0 on one chip.
    """
    x, y = CHIPS[chips]
    hops = 2 * (x // 2 + y // 2)
    share = 2 * (chips - 1) / chips
    return share * line.bytes / REDUCE_BYTES + hops * hop


def dominating_batch(line: Line, chips: int, hop: float) -> float | None:
    """Instances a chip below which the all-reduce takes longer than the rest.

    Args:
        line: of the program.
        chips: of `CHIPS`.
        hop: seconds from one chip to the next.

    Returns:
        The batch; None if the fixed part of a step alone takes longer.
    """
    room = reduce_seconds(line, chips, hop) * CLOCK - line.fixed
    return room / line.slope if room > 0 else None


HEADER = (
    *("program", "chips", "weak: inst./s", "all-reduce"),
    *("strong: inst./chip", "inst./s", "of ideal", "all-reduce"),
    *("reproduces in", "chip-hours", "cost"),
)


def cells(
    name: str, line: Line, run: Run, chips: int, options: tuple[float, float | None]
) -> tuple[str, ...]:
    """One line of the table: weak scaling at 256 a chip, strong at the run's batch."""
    hop, price = options
    reduce = reduce_seconds(line, chips, hop)
    weak = compute_seconds(line, WEAK_BATCH) + reduce
    used = min(chips, run.batch)
    strong = compute_seconds(line, run.batch / used) + reduce
    alone = compute_seconds(line, run.batch)
    seconds = run.instances / run.batch * strong
    hours = seconds * chips / 3600
    return (
        *(name, str(chips), f"{chips * WEAK_BATCH / weak:,.0f}"),
        f"{100 * reduce / weak:.2g} %",
        *(f"{run.batch / used:g}", f"{run.batch / strong:,.0f}"),
        f"{100 * alone / strong / chips:.2g} %",
        f"{100 * reduce / strong:.2g} %",
        *(f"{seconds:,.0f} s", f"{hours:.3g}"),
        "-" if price is None else f"{hours * price:.2f}",
    )


def table_rows(
    lines: dict[str, Line], runs: dict[str, Run], hop: float, price: float | None
) -> list[tuple[str, ...]]:
    """The table.

    Args:
        lines: of `read_counts`.
        runs: program -> what was trained.
        hop: seconds from one chip to the next.
        price: of a chip-hour in your currency; None leaves the cost out.

    Returns:
        Cells under `HEADER`.
    """
    return [
        cells(name, lines[name], runs[name], chips, (hop, price))
        for name in lines
        if name in runs
        for chips in CHIPS
    ]


def notes(lines: dict[str, Line], hop: float, launch: float) -> Iterable[str]:
    """Sentences under the table: where the all-reduce begins to dominate, and GPUs."""
    for name, line in lines.items():
        yield from (_domination(name, line, chips, hop) for chips in (*CHIPS,)[1:])
        if line.launches is not None:
            floor = line.launches * launch
            yield (
                f"{name} on an H200: {line.launches:.0f} launches of {1e6 * launch:g} "
                f"us are {1e3 * floor:.2g} ms a step at least, "
                f"{WEAK_BATCH / floor:,.0f} instances/s at {WEAK_BATCH} in a step."
            )


def _domination(name: str, line: Line, chips: int, hop: float) -> str:
    batch = dominating_batch(line, chips, hop)
    reduce = 1e6 * reduce_seconds(line, chips, hop)
    said = f"{name} on {chips} chips: the all-reduce ({reduce:.0f} us)"
    if batch is not None:
        return f"{said} dominates below {batch:.0f} instances a chip."
    fixed = 1e6 * line.fixed / CLOCK
    return f"{said} never dominates: what no batch changes takes {fixed:.0f} us."


def runs_of(manifests: Sequence[tuple[str, dict[str, Any]]]) -> dict[str, Run]:
    """What checkpoints record of their training.

    Args:
        manifests: (name, manifest) of each.

    Returns:
        Name -> run, of those that record it.
    """
    runs = {}
    for name, manifest in manifests:
        record = manifest["record"]
        train = record.get("train", {})
        if "instances" in record and "batch_size" in train:
            shapes = len(train.get("shapes", [0]))
            runs[name] = Run(record["instances"], train["batch_size"] * shapes)
    return runs
