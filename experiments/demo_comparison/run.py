"""Run the demo for several seeds; write its files, and `summary.json` over the seeds.

python experiments/demo_comparison/run.py [--smoke] [--seeds 3] [--out DIR]
"""

import argparse
import datetime
import itertools
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from config import demo_config
from scipy import stats

from spectral_tf.apps.demo import run_demo
from spectral_tf.apps.report import plain_table

sys.path.append(str(Path(__file__).parents[2]))
from experiments import harness

HEADER = (
    *("instances", "network", "beside", "rank"),
    *("|cos|", "|cos| of that", "difference"),
)
Report = dict[str, Any]


def interval(values: Sequence[float]) -> dict[str, float | None]:
    """Mean over seeds, and half the width of its 95 % interval by Student's t.

    Not 1.96 standard errors: with three seeds that would be an interval of 81 %.
    """
    count, mean = len(values), math.fsum(values) / len(values)
    if count == 1:
        return {"mean": mean, "half_width": None}
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    width = float(stats.t.ppf(0.975, count - 1)) * math.sqrt(variance / count)
    return {"mean": mean, "half_width": width}


def scores(reports: Sequence[Report]) -> list[dict[str, Any]]:
    """One row for each instance set, method and rank: mean over the seeds."""
    rows = []
    for entries in zip(*(report["entries"] for report in reports), strict=True):
        label = {name: entries[0][name] for name in ("instances", "method")}
        each = [entry["report"] for entry in entries]
        for place in range(len(each[0]["cosine"])):
            row = {
                name: interval([report[name][place]["mean"] for report in each])
                for name in ("cosine", "eigenvalue_error")
            }
            count = each[0]["num_instances"]
            rows.append(label | {"rank": place + 1, "num_instances": count} | row)
    return rows


def comparisons(reports: Sequence[Report]) -> list[dict[str, Any]]:
    """A network minus what it is compared with in mean |cos|, paired by seed.

    The constructed network's rival is the entry after it; those of the trained one are
    named in the report.
    """
    entries = reports[0]["entries"]
    pairs = [
        (ours["instances"], ours["method"], other["method"])
        for ours, other in itertools.pairwise(entries)
        if ours["method"].startswith("constructed")
    ]
    pairs += [
        (row["instances"], row["method"], row["against"])
        for row in reports[0]["comparisons"]
    ]
    order = list(dict.fromkeys(entry["instances"] for entry in entries))
    return [
        difference(reports, *pair, place)
        for pair in sorted(pairs, key=lambda pair: order.index(pair[0]))
        for place in range(len(entries[0]["report"]["cosine"]))
    ]


def difference(
    reports: Sequence[Report], instances: str, method: str, against: str, place: int
) -> dict[str, Any]:
    """One row of `comparisons`."""

    def cosine(report: Report, name: str) -> float:
        for entry in report["entries"]:
            if (entry["instances"], entry["method"]) == (instances, name):
                return entry["report"]["cosine"][place]["mean"]
        raise KeyError(f"no entry of {name} on {instances}")

    gaps = [cosine(report, method) - cosine(report, against) for report in reports]
    above = sum(gap > 0 for gap in gaps)
    return {
        "instances": instances,
        "network": method,
        "against": against,
        "rank": place + 1,
        "difference": interval(gaps),
        "seeds_above": above,
        "is_above": above == len(gaps),
    }


def show(value: dict[str, float | None], form: str = ".4f") -> str:
    width = value["half_width"]
    return f"{value['mean']:{form}}" + ("" if width is None else f" ± {width:.4f}")


def table(summary: dict[str, Any]) -> str:
    """The summary as text."""
    key = lambda row, name: (row["instances"], row[name], row["rank"])
    cosine = {key(row, "method"): row["cosine"] for row in summary["scores"]}
    rows = []
    for row in summary["comparisons"]:
        label = (row["instances"], row["network"], row["against"].partition(",")[0])
        both = (show(cosine[key(row, name)]) for name in ("network", "against"))
        rows.append((*label, str(row["rank"]), *both, show(row["difference"], "+.4f")))
    text = plain_table(HEADER, rows)
    trained = [row for row in summary["comparisons"] if is_trained(row)]
    for against in dict.fromkeys(row["against"] for row in trained):
        above = [row["is_above"] for row in trained if row["against"] == against]
        text += (
            f"\ntrained above {against} in every seed on {sum(above)} of {len(above)} "
            "ranks"
        )
    return f"{text}\n"


def is_trained(row: dict[str, Any]) -> bool:
    return row["network"].startswith("trained")


def summarise(reports: Sequence[Report], seconds: float) -> dict[str, Any]:
    """Everything that README.md and the figure show."""
    first = reports[0]
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds": seconds,
        "seeds": [report["demo"]["seed"] for report in reports],
        "steps": [report["steps"] for report in reports],
        "cpu_seconds": [report["cpu_seconds"] for report in reports],
        "sentences": [report["sentences"] for report in reports],
        **{name: first[name] for name in ("demo", "train", "versions", "machine")},
        "scores": scores(reports),
        "comparisons": comparisons(reports),
    }


def seed_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0, 1, ...")


def main() -> int:
    args = harness.options(__file__, __doc__, smoke="one small seed", more=seed_option)
    seeds = range(1 if args.smoke else max(args.seeds, 1))
    harness.refuse_taken(args.out, map(str, seeds))
    begin, reports = time.perf_counter(), []
    for seed in seeds:
        say = lambda text, seed=seed: print(f"seed {seed}: {text}", file=sys.stderr)
        config = demo_config(seed, smoke=args.smoke)
        reports.append(run_demo(config, args.out / str(seed), on_stage=say).report)
    summary = summarise(reports, time.perf_counter() - begin)
    harness.write(args.out / "summary.json", summary)
    print(f"{table(summary)}Written to {args.out}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
