"""One set of weights for every d, N and k: how good is it at each of them?

Errors to the eigenvectors of the table's own covariance, which an algorithm is to
blame for, beside those to the population's, which the number of rows decides.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import methods
import numpy as np
from assumptions import Law, gaussian
from records import Interval, Records, Values, over_seeds

from spectral_tf import load_pretrained
from spectral_tf.apps.report import plain_table

DENSE = "pca-dense"
MOST_COLUMNS, MOST_RANKS = 16, 4
"""Of the tables that the dense checkpoint takes, and what it answers."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is run."""

    dims: tuple[int, ...] = (2, 5, 10, 20, 30, 50)
    rows_per_column: int = 5
    rows: tuple[int, ...] = (10, 20, 50, 100, 200, 400)
    rows_dims: tuple[int, ...] = (10,)
    k: int = 5
    count: int = 200
    networks: tuple[str, ...] = tuple(methods.SHIPPED)
    seeds: int = 5


def plan(*, smoke: bool) -> Plan:
    """The run, or one whose numbers mean nothing."""
    small = Plan(
        dims=(3,),
        rows=(4, 8),
        rows_dims=(3,),
        k=2,
        count=4,
        networks=("pca-small",),
        seeds=2,
    )
    return small if smoke else Plan()


def shapes(plan: Plan) -> list[tuple[int, int]]:
    """Every (d, N) once."""
    by_dim = [(dim, plan.rows_per_column * dim) for dim in plan.dims]
    by_rows = [(dim, rows) for dim in plan.rows_dims for rows in plan.rows]
    return list(dict.fromkeys(by_dim + by_rows))


@jax.jit
def _dense_answers(network: Any, x: Any) -> Any:
    return jax.vmap(network)(x)


def dense_answer(x: np.ndarray, k: int) -> methods.Answer:
    """Of the dense checkpoint, whose k is fixed: the first k of its ranks."""
    found = _dense_answers(load_pretrained(DENSE), jnp.asarray(x, jnp.float32))
    values, vectors = (np.asarray(leaf, np.float64) for leaf in found)
    return methods.Answer(values[:, :k], vectors[:, :k])


def scores(plan: Plan, shape: tuple[int, int], k: int, seed: int) -> Values:
    """Of each method, per rank: |cos| twice, and the eigenvalue's relative error."""
    x, clean = gaussian(Law(seed, plan.count, shape))
    matrix = methods.covariances(x)
    own, target = methods.exact(matrix, k), methods.exact(clean, k).vectors
    answers = {
        name: method(matrix)
        for name, method in methods.compared(k, plan.networks).items()
    }
    # The smallest tables that it was trained on have 4 columns for its 4 ranks.
    if MOST_RANKS <= shape[0] <= MOST_COLUMNS:
        answers[DENSE] = dense_answer(x, min(k, MOST_RANKS))
    answers["exact"] = own
    mean = lambda stack: np.mean(np.abs(stack), axis=0).tolist()
    results = {}
    for name, answer in answers.items():
        ranks = answer.values.shape[1]
        results[name] = {
            "sample": mean(methods.cosines(answer, own.vectors[:, :ranks])),
            "population": mean(methods.cosines(answer, target[:, :ranks])),
            "value": mean(methods.value_errors(answer, own.values[:, :ranks])),
        }
    return results


def measure(plan: Plan, records: Records) -> dict[str, Any]:
    """Shape -> seeds, at the largest k."""
    results: dict[str, Any] = {"shapes": {}}
    sizes = {"n": plan.count}
    for dim, rows in shapes(plan):
        # Beyond the rank of the table no eigenvector is determined.
        k = min(plan.k, dim, rows - 1)
        cell = {**sizes, "d": dim, "N": rows, "k": k}
        results["shapes"][dim, rows] = records.of_seeds(
            cell, plan.seeds, scores, plan, (dim, rows), k
        )
    return results


def marks_of(seeds: list[Values], name: str, kind: str) -> list[Interval]:
    return over_seeds([seed[name][kind] for seed in seeds])


def line(
    axis: Any, x: Sequence[int], seeds: list[list[Values]], name: str, **style: Any
) -> None:
    """A method's |cos| at the last rank that all of these cells have."""
    kind = style.pop("kind", "sample")
    rank = style.pop("rank", -1)
    pairs = [
        (place, marks_of(cell, name, kind)[rank])
        for place, cell in zip(x, seeds, strict=True)
        if name in cell[0]
    ]
    if pairs:
        places, marks = zip(*pairs, strict=True)
        errors = [mark.half_width for mark in marks]
        axis.errorbar(places, [m.mean for m in marks], errors, marker="o", **style)


def plot(plan: Plan, results: dict[str, Any], path: Path) -> None:
    """|cos| against d, against N (twice), and by rank at the largest d."""
    figure, axes = plt.subplots(1, 4, figsize=(17, 4.2), layout="constrained")
    by_shape = results["shapes"]
    by_dim = [by_shape[dim, plan.rows_per_column * dim] for dim in plan.dims]
    most = max(plan.rows_dims)
    names = list(by_shape[most, plan.rows_per_column * most][0])
    common = min(plan.k, *plan.dims)
    for index, name in enumerate(names):
        style = {"label": name, "color": f"C{index}", "ms": 4}
        line(axes[0], plan.dims, by_dim, name, rank=common - 1, **style)
        for axis, kind in zip(axes[1:3], ("sample", "population"), strict=True):
            seeds = [by_shape[most, rows] for rows in plan.rows]
            line(axis, plan.rows, seeds, name, kind=kind, **style)
        for rank in range(plan.k):
            line(axes[3], [rank + 1], by_dim[-1:], name, **style | {"rank": rank})
    axes[0].set(xlabel="d", ylabel="mean |cos|")
    axes[0].set_title(f"Rank {common}, N = {plan.rows_per_column} d")
    last = f"Last rank (k={plan.k}), d={most}"
    for axis, kind in zip(axes[1:3], ("table", "population"), strict=True):
        axis.set(xscale="log", xlabel="N")
        axis.set_title(f"{last}, to the {kind}'s")
    axes[3].set(xlabel="rank", xticks=range(1, plan.k + 1))
    axes[3].set_title(
        f"By rank, d={plan.dims[-1]}, N={plan.rows_per_column * plan.dims[-1]}"
    )
    for axis in axes:
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=7)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def table(plan: Plan, results: dict[str, Any]) -> str:
    """The page's tables."""
    texts = []
    titles = {
        "sample": "|cos| to the table's own",
        "population": "|cos| to the population's",
        "value": "eigenvalue error",
    }
    ranks = tuple(f"rank {rank + 1}" for rank in range(plan.k))
    for kind, title in titles.items():
        rows = []
        for (dim, samples), seeds in results["shapes"].items():
            for index, name in enumerate(seeds[0]):
                marks = [mark.text(4) for mark in marks_of(seeds, name, kind)]
                marks += [""] * (plan.k - len(marks))
                rows.append(("" if index else f"d={dim} N={samples}", name, *marks))
        texts.append(plain_table((title, "", *ranks), rows))
    return "\n\n".join(texts)
