"""Compile a program for absent devices, and count what its compiler made of it."""

import time
from typing import Any

from accelerator import hlo
from accelerator.absent import Target
from accelerator.programs import Lowered


def measured(lowered: Lowered, target: Target) -> dict[str, Any]:
    """Counts of one step (or call) on one device.

    Args:
        lowered: the program.
        target: that it is lowered for.

    Returns:
        JSON-ready: seconds of compiling, bytes of a device, cycles and launches with
        their phases, collectives with bytes, operations per cycle.
    """
    begin = time.perf_counter()
    compiled = lowered.program.compile(target.options)
    seconds = time.perf_counter() - begin
    memory: Any = compiled.memory_analysis()
    cost: Any = compiled.cost_analysis() or {}
    text = str(compiled.as_text())
    counted = hlo.costs(text)
    calls = lowered.calls
    per_call = lambda counts: {name: count / calls for name, count in counts.items()}
    cycles = counted.cycles / calls
    return {
        "target": target.name,
        "instances": lowered.instances,
        "compile_s": seconds,
        "program_bytes": memory.generated_code_size_in_bytes,
        "argument_bytes": memory.argument_size_in_bytes,
        "temporary_bytes": memory.temp_size_in_bytes,
        "cycles": cycles,
        "cycles_per_instance": cycles / lowered.instances,
        "copies_share": counted.copies / counted.cycles if counted.cycles else None,
        "product_flops": lowered.flops,
        "flops_per_cycle": lowered.flops / cycles if cycles else None,
        "bytes_accessed": cost.get("bytes accessed"),
        "launches": counted.launches / calls,
        "cycles_by": per_call(counted.cycles_by),
        "launches_by": per_call(counted.launches_by),
        "collectives": {
            name: sizes[: max(1, len(sizes) // calls)]
            for name, sizes in counted.collectives.items()
        },
        "collectives_per_step": per_call(
            {name: len(sizes) for name, sizes in counted.collectives.items()}
        ),
        "library_calls": per_call(counted.library_calls),
        "unknown_loops": counted.unknown_loops,
    }
