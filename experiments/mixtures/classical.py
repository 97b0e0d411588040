"""Scores of the classical methods and the Bayes rule, kept as they are computed.

python experiments/mixtures/classical.py [--out DIR] [--smoke]

Takes hours on one core; what is in DIR/classical is not computed again, so it
can be stopped and started, and run by several processes at once.
"""

import argparse
from pathlib import Path

import numpy as np
from cells import CHUNK, Cell, cells
from threadpoolctl import threadpool_limits

from spectral_tf.clustering.evaluate import BAYES, each_instance
from spectral_tf.clustering.instances import ClusterInstance
from spectral_tf.clustering.metrics import bayes_rule, misclassification, valid_part

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


def classical_scores(cell: Cell, out: Path) -> dict[str, np.ndarray]:
    """Name -> `[count]`, computed where it is not there yet."""
    parts = []
    for index, batch in cell.chunks():
        path = path_of(out, cell, index)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_suffix(".part.npz")
            np.savez(temporary, **chunk_scores(cell, index * CHUNK, batch))
            temporary.replace(path)
        parts.append(dict(np.load(path)))
    return {name: np.concatenate([one[name] for one in parts]) for name in parts[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--smoke", action="store_true", help="four instances each")
    parser.add_argument("--count", type=int, default=5_000, help="most per kind")
    args = parser.parse_args()
    for cell in cells(args.count, smoke=args.smoke):
        found = classical_scores(cell, args.out)
        means = " ".join(f"{name} {value.mean():.4f}" for name, value in found.items())
        print(f"{cell.group}: {cell.name}: {means}", flush=True)


if __name__ == "__main__":
    main()
