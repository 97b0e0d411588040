"""What is left of the claims where the theorem's assumptions do not hold?

Heavy tails, contamination, dependent rows, small gaps and repeated eigenvalues. Two
errors are kept apart: to the eigenvectors of the table's own covariance (what an
algorithm can be blamed for), and to those of the population (what the rows allow).
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import methods
import numpy as np
from records import Interval, Records, Values, over_seeds

from spectral_tf.apps.report import plain_table

SHARE, REACH = 0.05, 10.0
"""Contamination: the share of rows, and how far they lie in standard deviations."""
CORRELATION, DEGREES, RATIO = 0.9, 2.5, 0.97
PAIRS = (4.0, 4.0, 2.0, 2.0)
"""Repeated eigenvalues; all others are 1."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is run."""

    shapes: tuple[tuple[int, int], ...] = ((10, 50), (30, 100))
    k: int = 4
    count: int = 300
    networks: tuple[str, ...] = tuple(methods.SHIPPED)
    seeds: int = 5


def plan(*, smoke: bool) -> Plan:
    """The run, or one whose numbers mean nothing."""
    small = Plan(((3, 8),), k=2, count=4, networks=("pca-small",), seeds=2)
    return small if smoke else Plan()


class Law:
    """Tables `[B, N, d]` and the covariance of their clean rows `[B, d, d]`."""

    def __init__(self, seed: int, count: int, shape: tuple[int, int]) -> None:
        self.rng = np.random.default_rng((seed, *shape))
        self.count, (self.dim, self.rows) = count, shape

    def normal(self, *shape: int) -> np.ndarray:
        return self.rng.standard_normal((self.count, *shape))

    def factor(self) -> np.ndarray:
        """The authors' L = G + 0.1 I."""
        return self.normal(self.dim, self.dim) + 0.1 * np.eye(self.dim)

    def turned(self, values: np.ndarray) -> np.ndarray:
        """Factors of covariances with these eigenvalues in random directions."""
        return np.linalg.qr(self.normal(self.dim, self.dim))[0] * np.sqrt(values)


Drawn = tuple[np.ndarray, np.ndarray]


def population(factor: np.ndarray) -> np.ndarray:
    return factor @ np.swapaxes(factor, 1, 2)


def with_factor(factor: np.ndarray, noise: np.ndarray) -> Drawn:
    return noise @ np.swapaxes(factor, 1, 2), population(factor)


def gaussian(law: Law) -> Drawn:
    return with_factor(law.factor(), law.normal(law.rows, law.dim))


def heavy_tails(law: Law) -> Drawn:
    scale = np.sqrt(DEGREES / law.rng.chisquare(DEGREES, (law.count, law.rows, 1)))
    return with_factor(law.factor(), law.normal(law.rows, law.dim) * scale)


def contaminated(law: Law) -> Drawn:
    """The first rows of each table lie far out in one random direction."""
    x, clean = gaussian(law)
    bad = max(1, round(SHARE * law.rows))
    direction = law.normal(1, law.dim)
    direction /= np.linalg.norm(direction, axis=2, keepdims=True)
    spread = np.sqrt(np.trace(clean, axis1=1, axis2=2) / law.dim)[:, None, None]
    x[:, :bad] += REACH * spread * direction
    return x, clean


def dependent(law: Law) -> Drawn:
    noise = law.normal(law.rows, law.dim)
    for i in range(1, law.rows):
        fresh = np.sqrt(1 - CORRELATION**2) * noise[:, i]
        noise[:, i] = CORRELATION * noise[:, i - 1] + fresh
    return with_factor(law.factor(), noise)


def small_gaps(law: Law) -> Drawn:
    factor = law.turned(RATIO ** np.arange(law.dim))
    return with_factor(factor, law.normal(law.rows, law.dim))


def repeated(law: Law) -> Drawn:
    """The table's own covariance has eigenvalues that are equal up to rounding."""
    values = np.ones(law.dim)
    pairs = np.array(PAIRS[: law.dim])
    values[: len(pairs)] = pairs
    noise = law.normal(law.rows, law.dim)
    white = np.linalg.qr(noise - noise.mean(axis=1, keepdims=True))[0]
    return with_factor(law.turned(values), white * np.sqrt(law.rows))


LAWS: dict[str, Callable[[Law], Drawn]] = {
    "gaussian": gaussian,
    f"t({DEGREES:g}) tails": heavy_tails,
    f"{SHARE:.0%} outliers": contaminated,
    f"rows AR({CORRELATION:g})": dependent,
    f"gaps of {1 - RATIO:.0%}": small_gaps,
    "pairs of equal": repeated,
}


def tyler(x: np.ndarray, iterations: int = 60) -> np.ndarray:
    """`[B, d, d]` Tyler's shape of the rows about their median, of trace d.

    Source: Tyler (1987), Annals of Statistics 15(1), eq. 2.2.
    """
    x = x - np.median(x, axis=1, keepdims=True)
    dim = x.shape[2]
    shape = np.broadcast_to(np.eye(dim), (len(x), dim, dim))
    for _ in range(iterations):
        solved = np.linalg.solve(shape, np.swapaxes(x, 1, 2))
        squared = np.sum(x * np.swapaxes(solved, 1, 2), axis=2, keepdims=True)
        shape = np.swapaxes(x / np.maximum(squared, 1e-12), 1, 2) @ x
        shape = shape * dim / np.trace(shape, axis1=1, axis2=2)[:, None, None]
    return shape


def cluster_sines(answer: methods.Answer, truth: np.ndarray) -> list[float]:
    """Mean sine to the spans of the first 2, 4, ... eigenvectors."""
    sizes = range(2, truth.shape[1] + 1, 2)
    cut = lambda m: answer._replace(vectors=answer.vectors[:, :m])
    sines = [methods.span_sines(cut(m), truth[:, :m]) for m in sizes]
    return [float(sine.mean()) for sine in sines]


def scores(plan: Plan, law: str, shape: tuple[int, int], seed: int) -> Values:
    """Of each method |cos| to the table's and the population's eigenvectors."""
    x, clean = LAWS[law](Law(seed, plan.count, shape))
    matrix = methods.covariances(x)
    own, target = methods.exact(matrix, plan.k), methods.exact(clean, plan.k).vectors
    mean = lambda stack: np.mean(np.abs(stack), axis=0).tolist()
    results = {}
    networks = methods.compared(plan.k, plan.networks)
    for name, method in networks.items():
        answer = method(matrix)
        results[name] = {
            "sample": mean(methods.cosines(answer, own.vectors)),
            "population": mean(methods.cosines(answer, target)),
            "value": mean(methods.value_errors(answer, own.values)),
            "spans": cluster_sines(answer, own.vectors),
        }
    robust = tyler(x)
    first = plan.networks[0]
    others = {
        "exact": own,
        "exact, Tyler": methods.exact(robust, plan.k),
        f"{first}, Tyler": networks[first](robust),
    }
    for name, answer in others.items():
        results[name] = {"population": mean(methods.cosines(answer, target))}
    return results


def measure(plan: Plan, records: Records) -> dict[Any, Any]:
    """Shape, then law -> seed after seed."""
    results: dict[Any, Any] = {}
    for shape in plan.shapes:
        for law in LAWS:
            dim, rows = shape
            cell = {"law": law, "d": dim, "N": rows, "n": plan.count, "k": plan.k}
            results.setdefault(shape, {})[law] = records.of_seeds(
                cell, plan.seeds, scores, plan, law, shape
            )
    return results


def marks_of(seeds: list[Values], name: str, kind: str) -> list[Interval]:
    return over_seeds([seed[name][kind] for seed in seeds])


def plot(plan: Plan, results: dict[Any, Any], path: Path) -> None:
    """|cos| at the last rank to the sample (above) and to the population (below)."""
    shapes = plan.shapes
    figure, axes = plt.subplots(
        2,
        len(shapes),
        figsize=(6 * len(shapes), 8),
        layout="constrained",
        squeeze=False,
    )
    for column, shape in enumerate(shapes):
        for row, kind in enumerate(("sample", "population")):
            axis = axes[row, column]
            draw(axis, results[shape], kind)
            axis.set_title(f"rank {plan.k} to the {kind}'s, d={shape[0]}, N={shape[1]}")
            axis.set(ylabel="mean |cos|", ylim=(0, 1.4))
    figure.savefig(path, dpi=100)
    plt.close(figure)


def draw(axis: Any, by_law: dict[str, list[Values]], kind: str) -> None:
    """A group of marks for each law, one for each method."""
    names = [
        name
        for name, scored in next(iter(by_law.values()))[0].items()
        if kind in scored
    ]
    if kind == "population":
        names = [n for n in names if "P=" not in n]
    place = np.arange(len(by_law))
    for index, name in enumerate(names):
        marks = [marks_of(seeds, name, kind)[-1] for seeds in by_law.values()]
        offset = 0.7 * (index / max(1, len(names) - 1) - 0.5)
        errors = [mark.half_width for mark in marks]
        means = [mark.mean for mark in marks]
        axis.errorbar(place + offset, means, errors, fmt="o", ms=4, label=name)
    axis.set_xticks(place, list(by_law), rotation=20, ha="right")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=7, ncols=3, loc="upper left")


def table(plan: Plan, results: dict[Any, Any]) -> str:
    """The page's tables: an interval per rank, or per span."""
    kinds = {
        "sample": "|cos| to the table's own eigenvectors",
        "spans": "sine of the largest angle to the span of ranks 1-2, 1-4",
        "value": "eigenvalue error, relative to the table's own",
        "population": "|cos| to the population's eigenvectors",
    }
    texts = []
    for (dim, rows), by_law in results.items():
        for kind, title in kinds.items():
            lines = []
            for law, seeds in by_law.items():
                names = [name for name in seeds[0] if kind in seeds[0][name]]
                for index, name in enumerate(names):
                    marks = [m.text() for m in marks_of(seeds, name, kind)]
                    lines.append(("" if index else law, name, *marks))
            count = len(lines[0]) - 2
            label = "span" if kind == "spans" else "rank"
            header = (
                f"d={dim} N={rows}, {plan.count} x {plan.seeds}",
                title,
                *(f"{label} {i + 1}" for i in range(count)),
            )
            texts.append(plain_table(header, lines))
    return "\n\n".join(texts)
