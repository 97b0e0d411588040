"""What was counted, as plain tables."""

from collections.abc import Sequence
from typing import Any

from spectral_tf.apps.report import plain_table

STEP_HEADER = (
    *("target", "program", "inst./device", "kcycles/inst.", "copies", "FLOP/cycle"),
    *("launches", "sampling", "targets", "forward", "backward", "update", "other"),
    *("collectives", "args MB", "temp MB", "program MB", "compile s"),
)
PHASES = ("sampling", "targets", "forward", "backward", "update", "other")


def number(value: float | None, digits: int = 3) -> str:
    """Significant digits without an exponent; `-` for what there is none of."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"


def split(row: dict[str, Any]) -> list[str]:
    """Shares of a step's phases: of the cycles, or of the launches without them."""
    counts = row["cycles_by"] if row["cycles"] else row["launches_by"]
    total = sum(counts.values()) or 1
    return [f"{100 * counts[name] / total:.0f} %" for name in PHASES]


def traffic(row: dict[str, Any]) -> str:
    """Collectives of a step with their bytes."""
    return (
        "; ".join(
            f"{row['collectives_per_step'][name]:g} {name} of {sizes[0]:,} B"
            for name, sizes in row["collectives"].items()
        )
        or "none"
    )


def step_cells(row: dict[str, Any]) -> tuple[str, ...]:
    """One line of the table of steps."""
    share = row["copies_share"]
    is_gpu = not row["cycles"]
    return (
        *(row["target"], row["program"], str(row["instances"])),
        "-" if is_gpu else number(row["cycles_per_instance"] / 1e3),
        "-" if share is None else f"{100 * share:.0f} %",
        number(row["flops_per_cycle"]),
        number(row["launches"], 5),
        *split(row),
        traffic(row),
        *(number(row[name] / 2**20) for name in ("argument_bytes", "temporary_bytes")),
        *(number(row["program_bytes"] / 2**20), number(row["compile_s"])),
    )


def steps_table(rows: Sequence[dict[str, Any]]) -> str:
    """Training steps; "" without any."""
    return (
        "" if not rows else plain_table(STEP_HEADER, [step_cells(row) for row in rows])
    )


CALL_HEADER = (
    *("target", "program", "sizes", "Mcycles", "kcycles/inst.", "FLOP/cycle"),
    *("launches", "library calls", "open loops", "temp MB", "compile s"),
)


def call_cells(row: dict[str, Any]) -> tuple[str, ...]:
    """One line of the table of forward passes and samplers."""
    has_cycles = bool(row["cycles"])
    calls = [f"{times:g} {name}" for name, times in row["library_calls"].items()]
    return (
        *(row["target"], row["program"], row["sizes"]),
        number(row["cycles"] / 1e6) if has_cycles else "-",
        number(row["cycles_per_instance"] / 1e3) if has_cycles else "-",
        number(row["flops_per_cycle"]),
        number(row["launches"], 5),
        "; ".join(calls) or "none",
        str(row["unknown_loops"]),
        *(number(row["temporary_bytes"] / 2**20), number(row["compile_s"])),
    )


def calls_table(rows: Sequence[dict[str, Any]]) -> str:
    """Forward passes and samplers; "" without any."""
    return (
        "" if not rows else plain_table(CALL_HEADER, [call_cells(row) for row in rows])
    )
