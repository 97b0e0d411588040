"""One protocol for every timing: compile time apart from the steady state.

Inputs are put on the device before the clock starts. A compiled function is traced and
lowered, compiled, and called once, each on its own clock; then come the repeats, each
blocked until its result is ready. The steady state is their median, with the
interquartile range; the first call is never among them.
"""

import contextlib
import dataclasses
import datetime
import importlib.metadata
import json
import math
import os
import platform
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from spectral_tf.training import versions

try:
    from threadpoolctl import threadpool_limits
except ImportError:  # it comes with scikit-learn
    threadpool_limits = None

FEWEST = 5
"""Repeats end early once they have taken `budget_s`, but not before so many."""
BLAS_THREADS = 1 if threadpool_limits else None
"""Threads of a `time_host` baseline; None where they cannot be pinned."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds of one function on one input; None for what a host function lacks."""

    lower_s: float | None
    compile_s: float | None
    first_s: float
    steady_s: tuple[float, ...]
    # What the last call returned: accuracy is measured on what was timed.
    output: Any
    # The compiled program, which can be asked for its text and memory.
    program: Any = None

    @property
    def median_s(self) -> float:
        return float(np.median(self.steady_s))

    @property
    def iqr_s(self) -> float:
        low, high = np.percentile(self.steady_s, (25, 75))
        return float(high - low)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the seconds, not the output."""
        names = ("lower_s", "compile_s", "first_s", "median_s", "iqr_s")
        seconds = {name: getattr(self, name) for name in names}
        return seconds | {"repeats": len(self.steady_s)}


def _clocked(call: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    output = call()
    return time.perf_counter() - begin, output


def _called(call: Callable[[], Any], repeats: int, budget_s: float) -> dict[str, Any]:
    """The fields of `Timing` that come from calls: the first, then the steady state."""
    first, output = _clocked(call)
    steady: list[float] = []
    while len(steady) < repeats:
        if sum(steady) > budget_s and len(steady) >= FEWEST:
            break
        took, output = _clocked(call)
        steady.append(took)
    return {"first_s": first, "steady_s": tuple(steady), "output": output}


def time_compiled(
    function: Callable[..., Any],
    *args: Any,
    repeats: int = 20,
    budget_s: float = math.inf,
) -> Timing:
    """Time `jax.jit(function)` on arrays, or pytrees of arrays."""
    args = jax.block_until_ready(jax.device_put(args))
    lower, lowered = _clocked(lambda: jax.jit(function).lower(*args))
    compiling, compiled = _clocked(lowered.compile)
    call = lambda: jax.block_until_ready(compiled(*args))
    calls = _called(call, repeats, budget_s)
    return Timing(lower_s=lower, compile_s=compiling, program=compiled, **calls)


def time_host(
    function: Callable[..., Any],
    *args: Any,
    repeats: int = 20,
    budget_s: float = math.inf,
    threads: int | None = BLAS_THREADS,
) -> Timing:
    """Time a numpy function by the same protocol, BLAS pinned to `threads`."""
    pinned = contextlib.nullcontext()
    if threadpool_limits is not None:
        pinned = threadpool_limits(limits=threads, user_api="blas")
    with pinned:
        calls = _called(lambda: function(*args), repeats, budget_s)
    return Timing(lower_s=None, compile_s=None, **calls)


def git_commit(folder: Path = Path(__file__).parent) -> str | None:
    """Commit of the work tree, with `-dirty` if tracked files differ; else None."""
    git = ("git", "--no-optional-locks", "-C", str(folder))
    show = lambda *words: subprocess.run(
        (*git, *words), capture_output=True, text=True, check=True
    ).stdout.strip()
    try:
        is_dirty = show("status", "--porcelain", "--untracked-files=no")
        return show("rev-parse", "HEAD") + ("-dirty" if is_dirty else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def record(
    path: Path, *, precision: str, shapes: Any, seed: int, **fields: Any
) -> dict[str, Any]:
    """Append one JSON line: the fields, and what decides their meaning."""
    device = jax.devices()[0]
    line = {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": git_commit(),
        "python": platform.python_version(),
        "jaxlib": importlib.metadata.version("jaxlib"),
        **versions(),
        "platform": platform.platform(),
        "device": f"{device.platform}: {device.device_kind}",
        "processors": os.cpu_count(),
        "precision": precision,
        "shapes": shapes,
        "seed": seed,
        **fields,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, allow_nan=False) + "\n")
    return line
