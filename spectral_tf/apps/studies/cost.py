"""What a run costs: seconds, memory, energy, with the assumptions beside them."""

import dataclasses
import os
import platform
import resource
import sys
import time
from typing import Any

from spectral_tf.apps.studies.methods import NETWORK
from spectral_tf.weights import load_manifest

WATTS_PER_CORE = 15.0
"""Assumed for a busy core of a server, its share of memory and cooling included."""


@dataclasses.dataclass
class Meter:
    """Clocks a run and its stages."""

    stages: list[tuple[str, float]] = dataclasses.field(default_factory=list)
    begun: float = dataclasses.field(default_factory=time.perf_counter)
    cpu: float = dataclasses.field(default_factory=time.process_time)

    def stage(self, name: str) -> None:
        """A stage begins; the one before is over."""
        self.stages.append((name, time.perf_counter()))

    def document(self) -> dict[str, Any]:
        """What was measured, JSON-ready; compiling is part of it.

        Returns:
            Seconds by the clock and of processors, peak memory of the process in MB,
            watt hours, and what the shipped network's training took.
        """
        now = time.perf_counter()
        ends = [*(start for _, start in self.stages[1:]), now]
        cpu = time.process_time() - self.cpu
        seconds = float(load_manifest(NETWORK)["record"]["wall_seconds"])
        return {
            "seconds": now - self.begun,
            "processor_seconds": cpu,
            "stages": [
                {"name": name, "seconds": end - start}
                for (name, start), end in zip(self.stages, ends, strict=True)
            ],
            "peak_mb": _peak_mb(),
            "watts_per_core": WATTS_PER_CORE,
            "watt_hours": cpu * WATTS_PER_CORE / 3600,
            "pre_training": {
                "network": NETWORK,
                "seconds": seconds,
                "watt_hours": seconds * WATTS_PER_CORE / 3600,
            },
            "processors": os.cpu_count(),
            "machine": platform.machine(),
        }


def _peak_mb() -> float:
    """High-water mark of the process; Linux counts in kilobytes, macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
