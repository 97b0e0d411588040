"""The theorem, executed: depth, heads and width for a given accuracy, and bounds kept.

The paper proves that L = 1 + 2 tau + 4 k layers of ReLU attention run the power method,
with lambda_1^d C / eps^2 heads. `columns` is that network written down; `register`,
`rms`, `accelerated`, `squaring` and `krylov` do the same in other ways.
"""

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import matplotlib.pyplot as plt
import methods
import numpy as np
from assumptions import Law, gaussian
from records import Interval, Records, Values, over_seeds

from spectral_tf import Network, error_bound, fuse, krylov, power_method_params
from spectral_tf.apps.report import plain_table
from spectral_tf.constructive import (
    VARIANTS,
    Composition,
    Tolerance,
    power_method_composition,
)

QUANTILE = 0.9
"""Of instances: an accuracy is reached where so many have it on all k ranks."""
STEPS: dict[str, tuple[int, ...]] = {
    "columns": (10, 30, 100),
    "register": (10, 30, 100),
    "rms": (10, 30, 100),
    "accelerated": (10, 30, 100),
    "squaring": (3, 5, 7),
    "krylov": (1, 2, 4, 6),
}
"""Steps of each vector; squarings of `squaring`, products of `krylov`."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is run."""

    dim: int = 10
    heads_dims: tuple[int, ...] = (5, 10, 30)
    k: int = 3
    rows_per_column: int = 5
    count: int = 40
    lengths: int = 4  # of `STEPS`, the first ones
    accuracies: tuple[float, ...] = (4e-4, 4e-5, 4e-6)
    bound_steps: tuple[int, ...] = (10, 30, 100)
    bound_count: int = 40
    seeds: int = 3


def plan(*, smoke: bool) -> Plan:
    """The run, or one whose numbers mean nothing."""
    small = Plan(
        dim=3,
        heads_dims=(3,),
        k=2,
        count=4,
        lengths=1,
        accuracies=(4e-4,),
        bound_steps=(3,),
        bound_count=3,
        seeds=2,
    )
    return small if smoke else Plan()


def rows_of(plan: Plan, dim: int, count: int, seed: int) -> np.ndarray:
    """`[B, N, d]` rows of the authors' family."""
    return gaussian(Law(seed, count, (dim, plan.rows_per_column * dim)))[0]


def steps_of(plan: Plan) -> Iterator[tuple[str, int]]:
    """Every variant with each of its numbers of steps."""
    for variant, numbers in STEPS.items():
        for steps in numbers[: plan.lengths]:
            yield variant, steps


def iterations(variant: str, steps: int, k: int) -> int:
    """tau as the variant counts it: `columns` iterates vector after vector."""
    return steps * k if variant == "columns" else steps


@functools.cache
def one_product(k: int) -> Network:
    """Block Lanczos as a network, of which each product is as deep as the first."""
    return krylov(k, 1)


def sizes(variant: str, dim: int, k: int, steps: int) -> Values:
    """Attention sublayers, heads, width and hidden units of what is written down."""
    if variant == "krylov":
        config = one_product(k).config
        attention = sum(name != "mlp" for name in config.block)
        layers, hidden = steps * attention, config.mlp_width
        return {"layers": layers, "heads": config.num_heads, "hidden": hidden}
    tau = iterations(variant, steps, k)
    composition = power_method_composition(dim, k, tau, variant)
    return {
        "layers": len(composition.order),
        "heads": max(len(gadget.heads) for gadget in composition.gadgets),
        "width": composition.layout.width,
        "hidden": hidden_units(composition),
    }


def hidden_units(composition: Composition) -> int:
    return max(len(gadget.mlp.up) for gadget in composition.gadgets)


def largest_sines(
    variant: str, matrix: np.ndarray, plan: Plan, steps: int
) -> np.ndarray:
    """`[B]` largest sine over the k ranks, of the recursion in float64."""
    k, truth = plan.k, methods.exact(matrix, plan.k).vectors
    if variant == "krylov":
        answer = methods.lanczos(one_product(k), k, steps)(matrix)
    else:
        tau = iterations(variant, steps, k)
        vectors = []
        for sigma in matrix / np.trace(matrix, axis1=1, axis2=2)[:, None, None]:
            *_, last = VARIANTS[variant].reference(sigma, k, tau, Tolerance())
            rows = last["vectors"] if "vectors" in last else last["u"]
            vectors.append(rows[:k])
        stack = np.stack(vectors)
        answer = methods.Answer(np.zeros(stack.shape[:2]), stack)
    cosine = methods.cosines(answer, truth)
    return np.sqrt(np.clip(1 - np.min(np.abs(cosine), axis=1) ** 2, 0, 1))


def accuracy(plan: Plan, variant: str, steps: int, seed: int) -> Values:
    """What the network of these steps gets wrong on most instances."""
    matrix = methods.covariances(rows_of(plan, plan.dim, plan.count, seed))
    sines = largest_sines(variant, matrix, plan, steps)
    return {
        "sine": float(np.quantile(sines, QUANTILE)),
        "median": float(np.median(sines)),
    }


def theorem_heads(plan: Plan, dim: int, seed: int) -> Values:
    """Logarithm of the theorem's heads with C = 1 and eps = 1, on the same tables."""
    matrix = methods.covariances(rows_of(plan, dim, plan.count, seed))
    leading = methods.exact(matrix, 1).values[:, 0]
    return {"log10": float(dim * np.mean(np.log10(leading)))}


def heads(plan: Plan, dim: int, eps: float) -> Values:
    """Heads and hidden units that are written down for norms of accuracy eps."""
    written = {
        variant: power_method_composition(dim, plan.k, plan.k, variant, accuracy=eps)
        for variant in ("columns", "register")
    }
    counts = {
        f"{variant} heads": max(len(gadget.heads) for gadget in composition.gadgets)
        for variant, composition in written.items()
    }
    return counts | {"register hidden": hidden_units(written["register"])}


def bounds(plan: Plan, steps: int, seed: int) -> Values:
    """Measured errors of the float32 network beside `error_bound` of the same table."""
    dim, k = plan.dim, plan.k
    x = rows_of(plan, dim, plan.bound_count, seed).astype(np.float32)
    answers = jax.jit(jax.vmap(fuse(power_method_params(dim, k, steps))))(x)
    own = methods.exact(methods.covariances(np.asarray(x, np.float64)), k)
    error = np.abs(np.asarray(answers.eigenvalues, np.float64) - own.values)
    proved = [error_bound(one, k, steps) for one in x]
    bound = np.stack([one.eigenvalue for one in proved])
    found = methods.Answer(own.values, np.asarray(answers.eigenvectors, np.float64))
    angle = np.arcsin(methods.span_sines(found, own.vectors))
    subspace = np.array([one.subspace[-1] for one in proved])
    return {
        "measured": np.median(error / own.values, axis=0).tolist(),
        "bound": np.median(bound / own.values, axis=0).tolist(),
        "broken": int(np.sum(error > bound)) + int(np.sum(angle > subspace + 1e-6)),
        "angle": float(np.median(angle)),
        "angle bound": float(np.median(subspace)),
    }


def measure(plan: Plan, records: Records) -> dict[str, Any]:
    """Everything, from the records where it is there."""
    results: dict[str, Any] = {"accuracy": {}, "heads": {}, "theorem": {}, "bounds": {}}
    sizes_of = {"k": plan.k, "N/d": plan.rows_per_column}
    for variant, steps in steps_of(plan):
        what = {"variant": variant, "d": plan.dim, "steps": steps}
        size = records.measured(
            {"what": "sizes", "k": plan.k, **what},
            *(sizes, variant, plan.dim, plan.k, steps),
        )
        seeds = records.of_seeds(
            {"what": "accuracy", **sizes_of, "n": plan.count, **what},
            *(plan.seeds, accuracy, plan, variant, steps),
        )
        results["accuracy"][variant, steps] = size, seeds
    for dim in plan.heads_dims:
        cell = {"what": "theorem", **sizes_of, "n": plan.count, "d": dim}
        results["theorem"][dim] = records.of_seeds(
            cell, plan.seeds, theorem_heads, plan, dim
        )
        for eps in plan.accuracies:
            cell = {"what": "heads", "k": plan.k, "d": dim, "eps": eps}
            results["heads"][dim, eps] = records.measured(cell, heads, plan, dim, eps)
    for steps in plan.bound_steps:
        cell = {"what": "bounds", "d": plan.dim, "steps": steps, "n": plan.bound_count}
        results["bounds"][steps] = records.of_seeds(
            {**cell, **sizes_of}, plan.seeds, bounds, plan, steps
        )
    return results


def log10_heads(results: dict[str, Any], dim: int, eps: float) -> Interval:
    """log10 of lambda_1^d / eps^2, the theorem's heads with C = 1."""
    seeds = results["theorem"][dim]
    return Interval.of([seed["log10"] - 2 * np.log10(eps) for seed in seeds])


def plot(plan: Plan, results: dict[str, Any], path: Path) -> None:
    """Accuracy against depth; heads against accuracy; measured errors and bounds."""
    figure, axes = plt.subplots(1, 3, figsize=(14, 4.2), layout="constrained")
    for index, variant in enumerate(STEPS):
        lines = [
            (size["layers"], Interval.of([seed["sine"] for seed in seeds]))
            for (name, _), (size, seeds) in results["accuracy"].items()
            if name == variant
        ]
        layers, marks = zip(*lines, strict=True)
        errors = [mark.half_width for mark in marks]
        means = [max(mark.mean, 1e-9) for mark in marks]
        style = {"marker": "o", "label": variant, "color": f"C{index}"}
        axes[0].errorbar(layers, means, errors, **style)
    axes[0].set(xscale="log", yscale="log", xlabel="attention layers")
    axes[0].set(
        ylabel=f"sine that {QUANTILE:.0%} stay below, k={plan.k}", ylim=(1e-9, 2)
    )
    axes[0].set_title(f"Depth, d={plan.dim}")
    draw_heads(axes[1], plan, results)
    draw_bounds(axes[2], plan, results["bounds"])
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_heads(axis: Any, plan: Plan, results: dict[str, Any]) -> None:
    """Heads on a logarithmic axis: the theorem's leave every machine behind."""
    for index, dim in enumerate(plan.heads_dims):
        color = {"color": f"C{index}"}
        marks = [log10_heads(results, dim, eps) for eps in plan.accuracies]
        theorem = [10.0**mark.mean for mark in marks]
        axis.plot(plan.accuracies, theorem, "--", **color, label=f"theorem, d={dim}")
        for variant, line in (("columns", "o-"), ("register", "s-")):
            counts = [
                results["heads"][dim, eps][f"{variant} heads"]
                for eps in plan.accuracies
            ]
            axis.plot(
                plan.accuracies, counts, line, **color, label=f"{variant}, d={dim}"
            )
    axis.set(xscale="log", yscale="log", xlabel="accuracy of a norm", ylabel="heads")
    axis.invert_xaxis()
    axis.set_title("Heads (theorem with C = 1)")


def draw_bounds(axis: Any, plan: Plan, by_steps: dict[int, list[Values]]) -> None:
    """Medians of relative eigenvalue errors, and of what is proved of them."""
    steps = list(by_steps)
    for rank in range(plan.k):
        for kind, line in (("measured", "o-"), ("bound", "^--")):
            marks = [
                Interval.of([seed[kind][rank] for seed in seeds])
                for seeds in by_steps.values()
            ]
            errors = [mark.half_width for mark in marks]
            label = f"rank {rank + 1}, {kind}"
            axis.errorbar(
                *(steps, [mark.mean for mark in marks], errors),
                **{"fmt": line, "color": f"C{rank}", "label": label},
            )
    axis.set(xscale="log", yscale="log", xlabel="iterations")
    axis.set_title(f"Eigenvalue error, `register`, d={plan.dim}")


def table(plan: Plan, results: dict[str, Any]) -> str:
    """The page's tables."""
    rows = []
    for (variant, steps), (size, seeds) in results["accuracy"].items():
        sine = Interval.of([seed["sine"] for seed in seeds])
        names = ("layers", "heads", "width", "hidden")
        counts = [f"{size[name]:,}" if name in size else "any d" for name in names]
        shown = f"{sine.mean:.1e} ± {sine.half_width:.0e}"
        rows.append((f"d={plan.dim} {variant}", str(steps), *counts, shown))
    header = ("network", "steps", "layers", "heads", "width", "hidden")
    texts = [plain_table((*header, f"sine, {QUANTILE:.0%}"), rows)]
    rows = [
        (
            f"d={dim} eps={eps:g}",
            f"10^{log10_heads(results, dim, eps).text(1)}",
            *map(str, counts.values()),
        )
        for (dim, eps), counts in results["heads"].items()
    ]
    header = ("accuracy", "theorem, C=1", "columns heads", "register heads", "hidden")
    texts.append(plain_table(header, rows))
    rows = []
    for steps, seeds in results["bounds"].items():
        for kind in ("measured", "bound"):
            marks = over_seeds([seed[kind] for seed in seeds])
            angle = "angle" if kind == "measured" else "angle bound"
            span = Interval.of([seed[angle] for seed in seeds])
            shown = [f"{m.mean:.1e} ± {m.half_width:.0e}" for m in (*marks, span)]
            broken = sum(seed["broken"] for seed in seeds)
            rows.append((f"{steps} {kind}", *shown, str(broken)))
    ranks = (f"value {j + 1}" for j in range(plan.k))
    texts.append(plain_table(("iterations", *ranks, "span", "broken"), rows))
    return "\n\n".join(texts)
