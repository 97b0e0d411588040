"""What TPUs and GPUs would run, counted by their own compilers; a check on a real one.

    python benchmarks/bench_accelerator.py [--part NAME] [--target NAME ...]
        [--program NAME ...] [--batch N] [--smoke] [--out FILE.jsonl]
    python benchmarks/bench_accelerator.py --here [--profile FOLDER]

Parts: `steps` (training steps over all devices of a target), `forward` (batches of
tables), `sampler`, `portability` (library calls of every public program, by
`jax.export`; needs no compiler). Counted, not timed: nothing here runs but on a CPU.
`--here` is what to run where there is a GPU or TPU.
"""

import argparse
import datetime
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from accelerator import absent, portable, programs, tables
from accelerator.measure import measured
from timing import record

from spectral_tf.apps.report import plain_table

HERE = Path(__file__).parent
SIZES = ((8, 16, 6, 2),)
"""Of the smoke test."""


def keep(out: Path, part: str, row: dict[str, Any]) -> dict[str, Any]:
    """Append one line to the records."""
    record(
        out,
        benchmark=f"accelerator-{part}",
        precision="float32, Precision.HIGHEST",
        shapes=row.pop("shapes"),
        seed=programs.SEED,
        **row,
    )
    return row


def targets(args: argparse.Namespace) -> Iterator[absent.Target]:
    """Those whose compiler is here; one line for each of the others."""
    for name in args.target:
        why = absent.missing(name)
        if why:
            print(why)
        else:
            yield absent.target(name)


def chosen(args: argparse.Namespace, names: Any) -> list[str]:
    """The programs of a part that are asked for."""
    return [name for name in names if not args.program or name in args.program]


def say(part: str, target: absent.Target, name: str) -> None:
    print(f"{part}: {name} for {target.name} ...", file=sys.stderr)


def bench_steps(args: argparse.Namespace, out: Path) -> str:
    rows = []
    for target in targets(args):
        for name in chosen(args, ("equivariant",) if args.smoke else programs.STEPS):
            for kind in args.lift:
                say("steps", target, f"{name} by {kind}")
                lowered = programs.lowered_step(
                    name, args.batch, target.devices, args.smoke, parallel=kind
                )
                row = measured(lowered, target) | {"shapes": [10, 50], "lift": kind}
                label = name if kind == "shard_map" else f"{name}, {kind}"
                rows.append(keep(out, "steps", row | {"program": label}))
    return tables.steps_table(rows) if rows else ""


def bench_forward(args: argparse.Namespace, out: Path) -> str:
    rows = []
    sizes = SIZES if args.smoke else programs.FORWARD_SIZES
    for target in targets(args):
        for shape in sizes:
            names = chosen(args, programs.solvers(shape[2], shape[3]))
            for name in names[-2:] if args.smoke else names:
                say("forward", target, f"{name} {shape}")
                row = measured(
                    programs.lowered_forward(name, shape, target.devices), target
                )
                row |= {"program": name, "shapes": shape}
                row["sizes"] = "{} of {} x {}, k={}".format(*shape)
                rows.append(keep(out, "forward", row))
    return tables.calls_table(rows) if rows else ""


def bench_sampler(args: argparse.Namespace, out: Path) -> str:
    rows = []
    for target in targets(args):
        for name in chosen(args, programs.FAMILIES[: 1 if args.smoke else None]):
            say("sampler", target, name)
            batch = 8 if args.smoke else 1024
            lowered = programs.lowered_sampler(name, batch, target.devices)
            row = measured(lowered, target) | {"program": name, "shapes": [10, 50]}
            row["sizes"] = f"{batch} of 50 x 10"
            rows.append(keep(out, "sampler", row))
    return tables.calls_table(rows) if rows else ""


def bench_portability(args: argparse.Namespace, out: Path) -> str:
    """Programs that hand something to a library, and how many do not."""
    platforms = (*portable.PLATFORMS, "cpu")
    rows, plain = [], 0
    builds = portable.programs()
    names = chosen(args, builds)
    for name in names[-12:] if args.smoke else names:
        build = portable.once(builds[name])
        calls = {p: sorted(portable.exported(build, p).calls) for p in platforms}
        keep(out, "portability", {"program": name, "calls": calls, "shapes": []})
        plain += not any(calls.values())
        if any(calls.values()):
            rows.append((name, *(" ".join(calls[p]) or "none" for p in platforms)))
    note = f"Nothing but XLA's own operations on any platform: {plain} of {len(names)}."
    return "\n".join([plain_table(("program", *platforms), rows), note])


PARTS: dict[str, Callable[[argparse.Namespace, Path], str]] = {
    "steps": bench_steps,
    "forward": bench_forward,
    "sampler": bench_sampler,
    "portability": bench_portability,
}


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--part", choices=[*PARTS, "all"], default="all")
    add("--target", nargs="+", default=list(absent.TARGETS), metavar="NAME")
    add("--program", nargs="+", metavar="NAME", help="of the part; default all")
    add("--batch", type=int, help="instances of a device in a step, default 256")
    add("--lift", nargs="+", choices=("shard_map", "pmap"), default=["shard_map"])
    add("--smoke", action="store_true", help="one tiny program of each part")
    add("--out", type=Path, help="JSON lines are appended to it")
    return parser


def main() -> None:
    args = options().parse_args()
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    out = args.out or HERE / "results" / f"accelerator-{stamp}.jsonl"
    args.batch = args.batch or (4 if args.smoke else 256)
    if args.smoke:
        args.target = ["v5e:2x2", "h200"]
    for part in PARTS if args.part == "all" else (args.part,):
        table = PARTS[part](args, out)
        if table:
            print(table)
    print(f"recorded in {out}")


if __name__ == "__main__":
    main()
