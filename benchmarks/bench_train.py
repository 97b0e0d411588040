"""Pre-training: instances per second, collectives, compile time, PyTorch, samples.

    python benchmarks/bench_train.py [--part NAME] [--smoke] [--out FILE.jsonl]

Parts: `throughput` (each case and type: speed, memory, share of this machine's matmul
peak), `devices` (1, 2 and 4 virtual CPU devices: the collectives of a step, read from
the compiled program), `depth` (compile time by the number of blocks), `torch` (the
dense network beside plain PyTorch, interleaved), `samples` (instances until the mean
|cos| of rank 1 stays at 0.9). Every job has a process of its own.
"""

import argparse
import datetime
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from timing import record
from train_samples import GOAL, METHODS, job_of
from train_step import CASES, SEED, SHAPE

from spectral_tf.apps.report import plain_table

HERE = Path(__file__).parent
DTYPES = ("float32", "bfloat16")
THREADS = len(os.sched_getaffinity(0))
DEPTHS = (4, 8, 16, 32)
SHAPES = dict(zip("dN", SHAPE, strict=True))
NO_TORCH = (
    "torch: skipped, PyTorch is not installed. pip install -e '.[torch]' (for a "
    "machine without a GPU: PyTorch's CPU build)."
)
NOTES = {
    "throughput": """
Drawing the instances included (its share in the last column), 2 steps in a call, d=10,
N=50, batch 64. GFLOP/s: matrix products alone, forward and backward, as the traced
program has them; peak: one jitted 1024 x 1024 product of the same type in the same
process. peak MB: high-water mark of the process, compiling included; step MB: of a
call, beyond what is resident before it.
""",
    "devices": """
Collectives of one step and their bytes, read from the compiled program. Virtual devices
share the processors of one CPU: here the bytes say something, the speed does not.
""",
    "depth": "\nSeconds to trace and lower, and to compile, a call of two steps.\n",
    "torch": """
The same instances and parameters for both; answers, loss and gradients agree, or the
part fails. Interleaved repeats; speedup: median of the ratios of neighbouring repeats.
""",
    "samples": f"""
Instances until mean |cos| of rank 1 on the held-out instances is >= {GOAL} in ten
evaluations in a row (the first of the ten counts); the same held-out instances for all.
`>` marks a run that ended before, by its time or its 128,000 instances.
""",
}


class JobFailed(RuntimeError):
    """A job ended with an error; the message has its last lines."""


def run_job(script: str, job: dict[str, Any]) -> dict[str, Any]:
    """One job in a new process; what it found."""
    environment = dict(os.environ)
    if job["smoke"]:  # for the scripts alone: do not optimise
        environment["XLA_FLAGS"] = "--xla_backend_optimization_level=0"
    done = subprocess.run(
        [sys.executable, str(HERE / script), json.dumps(job)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise JobFailed(f"{script} {job} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def keep(out: Path, part: str, job: dict[str, Any], found: dict[str, Any]) -> None:
    """Append one line to the records."""
    job = {name: value for name, value in job.items() if name != "job"}
    record(
        out,
        benchmark=f"train-{part}",
        precision=f"{job.get('dtype', 'float32')}, Precision.HIGHEST",
        shapes=SHAPES,
        seed=SEED,
        **{**job, **found},
    )


def bench_throughput(smoke: bool, out: Path) -> str:
    header = "case,type,inst./s,quartiles,compile s,GFLOP/s,of peak,peak MB,step MB"
    shown = []
    for case in CASES[:1] if smoke else CASES:
        for dtype in DTYPES:
            job = {"job": "throughput", "case": case, "dtype": dtype, "smoke": smoke}
            job["budget_s"] = 1.0 if smoke else 15.0
            found = run_job("train_step.py", job)
            keep(out, "throughput", job, found)
            low, high = found["quartiles"]
            shown.append(
                (
                    *(case, dtype, f"{found['instances_per_s']:.0f}"),
                    f"{low:.0f}-{high:.0f}",
                    f"{found['lower_s'] + found['compile_s']:.1f}",
                    f"{found['gflops']:.3g}",
                    f"{100 * found['share_of_peak']:.1f} %",
                    *(f"{found['peak_mb']:.0f}", f"{found['step_mb']:.0f}"),
                    f"{100 * found['draw_share']:.0f} %",
                )
            )
    return plain_table([*header.split(","), "drawing"], shown)


def bench_devices(smoke: bool, out: Path) -> str:
    header = ("case", "lift", "devices", "inst./s", "collectives", "parameter bytes")
    shown = []
    for case in CASES[:1] if smoke else ("equivariant", "dense"):
        for devices in (2,) if smoke else (1, 2, 4):
            for kind in ("pmap", "shard_map"):
                job = {"job": "devices", "case": case, "kind": kind, "smoke": smoke}
                job |= {"devices": devices, "budget_s": 1.0 if smoke else 8.0}
                found = run_job("train_step.py", job)
                keep(out, "devices", job, found)
                bytes_of = [
                    f"{len(sizes)} {name}: {' + '.join(map(str, sizes))} bytes"
                    for name, sizes in found["collectives"].items()
                ]
                speed = f"{found['instances_per_s']:.0f}"
                traffic = "; ".join(bytes_of) or "none"
                size = str(found["parameter_bytes"])
                shown.append((case, kind, str(devices), speed, traffic, size))
    return plain_table(header, shown)


def bench_depth(smoke: bool, out: Path) -> str:
    shown = []
    for case in CASES[:1] if smoke else ("equivariant", "dense"):
        blocks = (2, 3) if smoke else DEPTHS
        job = {"job": "depth", "case": case, "blocks": blocks, "smoke": smoke}
        found = run_job("train_step.py", job)
        keep(out, "depth", job, found)
        for number, one in found["by_blocks"]:
            seconds = (f"{one['lower_s']:.2f}", f"{one['compile_s']:.2f}")
            shown.append((case, str(number), *seconds))
    return plain_table(("case", "blocks", "lower s", "compile s"), shown)


def bench_torch(smoke: bool, out: Path) -> str:
    if importlib.util.find_spec("torch") is None:
        return NO_TORCH
    shown = []
    several = [(THREADS, 1), (THREADS, THREADS)] * (THREADS > 1)
    for threads, devices in [(1, 1), *([] if smoke else several)]:
        job = {"job": "torch", "case": "dense", "smoke": smoke, "threads": threads}
        job["devices"] = devices
        job |= {"batch": 4 if smoke else 64}
        job |= {"repeats": 2 if smoke else 15, "steps": 1 if smoke else 3}
        found = run_job("train_torch.py", job)
        keep(out, "torch", job, found)
        for name, one in found["methods"].items():
            low, high = one["quartiles"]
            speed = f"{one['instances_per_s']:.0f}"
            ratio = f"{one['speedup']:.2f}"
            shown.append((name, str(threads), speed, ratio, f"{low:.2f}-{high:.2f}"))
    header = ("method", "threads", "inst./s", "speedup", "quartiles")
    return plain_table(header, shown)


def bench_samples(smoke: bool, out: Path) -> str:
    shown, seconds = [], 60.0 if smoke else 900.0
    results: dict[str, dict[str, Any]] = {}
    for method in (METHODS[0], METHODS[-1]) if smoke else METHODS:
        job = job_of(method, smoke, seconds)
        found = run_job("train_samples.py", job)
        keep(out, "samples", job, found)
        results[method] = found
    if len({one["heldout"] for one in results.values()}) != 1:
        raise JobFailed("the methods were scored on different held-out instances.")
    for method, one in results.items():
        needed, spent = one["needed"], f"> {one['instances']:,}"
        scores = (f"{one[name]:.3f}" for name in ("start", "best", "last"))
        count = spent if needed is None else f"{needed:,}"
        shown.append((method, count, *scores, f"{one['seconds']:.0f}"))
    header = ("method", "instances", "start", "best", "last", "seconds")
    return plain_table(header, shown)


PARTS: dict[str, Callable[[bool, Path], str]] = {
    "throughput": bench_throughput,
    "devices": bench_devices,
    "depth": bench_depth,
    "torch": bench_torch,
    "samples": bench_samples,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--part", choices=[*PARTS, "all"], default="all")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes")
    parser.add_argument("--out", type=Path, help="JSON lines are appended to it")
    args = parser.parse_args()
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    out = args.out or HERE / "results" / f"train-{stamp}.jsonl"
    for name in PARTS if args.part == "all" else (args.part,):
        print(f"{name} ...", file=sys.stderr)
        table = PARTS[name](args.smoke, out)
        print(table if table == NO_TORCH else table + NOTES[name])
    print(f"recorded in {out}")


if __name__ == "__main__":
    main()
