"""Scores of the classical methods and the Bayes rule, kept as they are computed.

python experiments/mixtures/classical.py [--out DIR] [--smoke] [--part I/N]

Takes hours on one core; what is in DIR/classical is not computed again, so it
can be stopped and started. Several processes at once share the work as `--part 0/2`
and `--part 1/2`.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
from cells import CHUNK, Cell, cells
from threadpoolctl import threadpool_limits

from spectral_tf.clustering import (
    BAYES,
    ClusterInstance,
    bayes_rule,
    each_instance,
    misclassification,
    valid_part,
)

RESULTS = Path(__file__).parent / "results"


def chunk_scores(cell: Cell, first: int, batch: ClusterInstance) -> dict:
    """Name -> `[n]` misclassification of each instance."""
    found: dict[str, list[float]] = {}
    with threadpool_limits(limits=1):
        for place, truth in enumerate(each_instance(batch)):
            rows, labels = valid_part(truth)
            scored, count = labels >= 0, len(truth.weights)
            answers = {BAYES: bayes_rule(truth)}
            for name, method in cell.methods().items():
                answers[name] = method(rows, count, first + place)
            for name, answer in answers.items():
                wrong = misclassification(answer.labels[scored], labels[scored], count)
                found.setdefault(name, []).append(wrong)
    return {name: np.array(values) for name, values in found.items()}


def path_of(out: Path, cell: Cell, index: int) -> Path:
    words = f"{cell.group} {cell.name}".replace("<=", "").replace("|", "")
    safe = "".join(c if c.isalnum() else "-" for c in words)
    return out / "classical" / f"{safe}-{index}.npz"


def chunk_of_scores(
    cell: Cell, out: Path, index: int, batch: ClusterInstance
) -> dict[str, np.ndarray]:
    """Scores of one chunk, computed if they are not in the folder yet."""
    path = path_of(out, cell, index)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".part.npz")
        np.savez(temporary, **chunk_scores(cell, index * CHUNK, batch))
        temporary.replace(path)
    return dict(np.load(path))


def classical_scores(cell: Cell, out: Path) -> dict[str, np.ndarray]:
    """Name -> `[count]`, computed where it is not there yet."""
    parts = [chunk_of_scores(cell, out, *chunk) for chunk in cell.chunks()]
    return {name: np.concatenate([one[name] for one in parts]) for name in parts[0]}


def fill(kinds: tuple[Cell, ...], out: Path, part: int, parts: int) -> None:
    """See that every `parts`-th chunk is in the folder, from number `part` on."""
    every = ((cell, *chunk) for cell in kinds for chunk in cell.chunks())
    for cell, index, batch in itertools.islice(every, part, None, parts):
        chunk_of_scores(cell, out, index, batch)
        print(path_of(out, cell, index).stem, flush=True)


def share(text: str) -> tuple[int, int]:
    """`I/N` as numbers."""
    part, _, parts = text.partition("/")
    if not (part.isdigit() and parts.isdigit() and int(part) < int(parts)):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no part; give I/N with I from 0 to N - 1, such as 0/2."
        )
    return int(part), int(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--smoke", action="store_true", help="four instances each")
    parser.add_argument("--count", type=int, default=5_000, help="most per kind")
    parser.add_argument("--part", type=share, help="I/N: every Nth chunk from I on")
    args = parser.parse_args()
    kinds = cells(args.count, smoke=args.smoke)
    if args.part:
        fill(kinds, args.out, *args.part)
        return
    for cell in kinds:
        found = classical_scores(cell, args.out)
        means = " ".join(f"{name} {value.mean():.4f}" for name, value in found.items())
        print(f"{cell.group}: {cell.name}: {means}", flush=True)


if __name__ == "__main__":
    main()
