"""The paper and its reviewers, answered part by part: records, figures, tables.

python experiments/paper/run.py [NAME ... | all] [--out DIR] [--smoke]

Each part keeps its measurements in DIR/NAME.jsonl; what is recorded is not run again.
"""

import argparse
import importlib
import sys
from pathlib import Path

from records import Records

sys.path.append(str(Path(__file__).parents[2]))
from experiments import harness

PARTS = (
    "sign",
    "assumptions",
    "theory",
    "dimension",
    "instances",
    "ablation",
    "depth",
)
"""Files of this folder, each with `plan`, `measure`, `plot` and `table`."""


def answer(name: str, out: Path, *, smoke: bool) -> None:
    """Measure what is missing of one part, draw its figure and write its tables."""
    part = importlib.import_module(name)
    plan = part.plan(smoke=smoke)
    records = Records(out / f"{name}.jsonl")
    results = part.measure(plan, records)
    part.plot(plan, results, out / f"{name}.png")
    text = f"{part.table(plan, results)}\n"
    (out / f"{name}.txt").write_text(text)
    print(f"== {name}: {records.seconds:.0f} s on the processor\n{text}", flush=True)


def more_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PARTS))


def main() -> int:
    args = harness.options(
        __file__, __doc__, smoke="tiny and meaningless", more=more_options
    )
    names = PARTS if args.names in ([], ["all"]) else tuple(args.names)
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        choices = ", ".join(("all", *PARTS))
        print(f"unknown part {unknown[0]!r}; choose {choices}", file=sys.stderr)
        return 2
    for name in names:
        answer(name, args.out, smoke=args.smoke)
    return 0


if __name__ == "__main__":
    sys.exit(main())
