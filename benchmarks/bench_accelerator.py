"""What TPUs and GPUs would run, counted by their own compilers; a check on a real one.

    python benchmarks/bench_accelerator.py [--part NAME] [--target NAME ...]
        [--program NAME ...] [--batch N] [--smoke] [--out FILE.jsonl]
    python benchmarks/bench_accelerator.py --here [--profile FOLDER]

Parts: `steps` (training steps over all devices of a target), `forward` (batches of
tables), `sampler`, `portability` (library calls of every public program, by
`jax.export`; needs no compiler). Counted, not timed: nothing here runs but on a CPU.
`pods`: instances/s, time and chip-hours on 1, 8 and 256 chips, by arithmetic on the
records of `steps` (`--counts FILE`, two batch sizes). `--here` is what to run where
there is a GPU or TPU.
"""

import argparse
import contextlib
import datetime
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
from accelerator import absent, here, pods, portable, programs, tables
from accelerator.measure import measured
from timing import record

import spectral_tf
from spectral_tf.apps.report import plain_table
from spectral_tf.weights import load_manifest

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
                unroll = {"unroll": args.unroll} if name != "gmm-small" else {}
                lowered = programs.lowered_step(
                    name,
                    args.batch,
                    target.devices,
                    args.smoke,
                    **({"parallel": kind} | unroll),
                )
                row = measured(lowered, target) | {"shapes": [10, 50], "lift": kind}
                row["unroll"] = args.unroll
                label = name if kind == "shard_map" else f"{name}, {kind}"
                rows.append(keep(out, "steps", row | {"program": label}))
    return tables.steps_table(rows)


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
    return tables.calls_table(rows)


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
    return tables.calls_table(rows)


def bench_portability(args: argparse.Namespace, out: Path) -> str:
    """Programs that hand something to a library, and how many do not."""
    platforms = (*portable.PLATFORMS, "cpu")
    rows, plain = [], 0
    builds = portable.programs()
    names = chosen(args, builds)[: 2 if args.smoke else None]
    for name in names:
        build = portable.once(builds[name])
        calls = {p: sorted(portable.exported(build, p).calls) for p in platforms}
        keep(out, "portability", {"program": name, "calls": calls, "shapes": []})
        plain += not any(calls.values())
        if any(calls.values()):
            rows.append((name, *(" ".join(calls[p]) or "none" for p in platforms)))
    note = f"Nothing but XLA's own operations on any platform: {plain} of {len(names)}."
    return "\n".join([plain_table(("program", *platforms), rows), note])


def bench_pods(args: argparse.Namespace, out: Path) -> str:
    """Arithmetic on the counts of earlier runs; nothing is compiled."""
    del out
    lines = pods.read_counts(args.counts)
    names = spectral_tf.pretrained_names()
    runs = pods.runs_of([(name, load_manifest(name)) for name in names])
    hop, launch = 1e-6 * args.hop_us, 1e-6 * args.launch_us
    rows = pods.table_rows(lines, runs, hop, args.price)
    table = plain_table(pods.HEADER, rows)
    said = [
        "Arithmetic, not measurement: v5e, instances of d=10 and N=50.",
        f"Assumed: {args.hop_us:g} us from chip to chip.",
        *pods.notes({name: lines[name] for name in lines}, hop, launch),
    ]
    return "\n".join([table, *said])


PARTS: dict[str, Callable[[argparse.Namespace, Path], str]] = {
    "steps": bench_steps,
    "forward": bench_forward,
    "sampler": bench_sampler,
    "portability": bench_portability,
    "pods": bench_pods,
}
COUNTED = ("steps", "forward", "sampler", "portability")
"""Parts of `--part all`; `pods` reads what they have counted."""


def check_here(args: argparse.Namespace, out: Path) -> bool:
    """Answers and speed of what is here; whether all answers are right."""
    device = jax.devices()[0]
    print(f"{len(jax.devices())} of {device.device_kind} ({device.platform})")
    work, lines = here.plan(args.smoke), []
    trace = (
        jax.profiler.trace(args.profile) if args.profile else contextlib.nullcontext()
    )
    with trace:
        for section, run in here.SECTIONS.items():
            for row in run(work):
                print(f"here: {section}: {row['name']}", file=sys.stderr)
                lines.append(row)
                keep(out, f"here-{section}", row | {"shapes": [], "smoke": args.smoke})
    header = ("what", "result", "against the CPU")
    print(plain_table(header, [here.cells(row) for row in lines]))
    return all(row.get("right") is not False for row in lines)


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--part", choices=[*PARTS, "all"], default="all")
    add("--target", nargs="+", default=list(absent.TARGETS), metavar="NAME")
    add("--program", nargs="+", metavar="NAME", help="of the part; default all")
    add("--batch", type=int, help="instances of a device in a step, default 256")
    add("--unroll", type=int, default=1, help="steps: blocks in one turn of the loop")
    add("--lift", nargs="+", choices=("shard_map", "pmap"), default=["shard_map"])
    add("--counts", type=Path, help="records of --part steps, for --part pods")
    add("--hop-us", type=float, default=1.0, help="pods: us from chip to chip")
    add("--launch-us", type=float, default=3.0, help="pods: us of a kernel launch")
    add("--price", type=float, help="pods: of a chip-hour, in your currency")
    add("--here", action="store_true", help="check the devices of this machine")
    add("--profile", help="folder for a trace of --here")
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
    if args.part == "pods" and not args.counts:
        raise SystemExit("--part pods needs --counts FILE, records of --part steps.")
    if not args.here:
        for part in COUNTED if args.part == "all" else (args.part,):
            print(PARTS[part](args, out))
    # The smoke of everything has a smoke of the check, too.
    is_right = True
    if args.here or (args.smoke and args.part == "all"):
        is_right = check_here(args, out)
    print(f"recorded in {out}")
    if not is_right:
        raise SystemExit("an answer differs from the CPU's: see WRONG above")


if __name__ == "__main__":
    main()
