"""How does the error fall with n, the instances that a network learns from?

The paper proves that it falls at least as n^(-1/5). Here the same run, of the same
steps, draws its batches from the first n of a set of instances.
"""

import dataclasses
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import methods
import nets
import numpy as np
from records import Records, Values, over_seeds, slopes

from spectral_tf import krylov
from spectral_tf.apps.report import plain_table

EXPONENT = -0.2
"""Of the paper's bound."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is run."""

    shape: tuple[int, int] = (5, 10)
    k: int = 2
    counts: tuple[int, ...] = (32, 100, 316, 1_000, 3_162, 10_000, 31_623)
    tested: int = 1_000
    steps: int = 800
    batch: int = 32
    blocks: int = 3
    rate: float = 2e-3
    width: int = 32
    kinds: tuple[str, ...] = nets.KINDS
    seeds: int = 3


def plan(*, smoke: bool) -> Plan:
    """The run, or one whose numbers mean nothing."""
    small = Plan(
        shape=(3, 8),
        counts=(4, 8),
        tested=4,
        steps=2,
        batch=2,
        blocks=1,
        kinds=("dense",),
        seeds=2,
    )
    return small if smoke else Plan()


def model(plan: Plan, kind: str) -> Any:
    """Both kinds with as many blocks."""
    dense = {"width": plan.width, "head_dim": 8, "mlp_width": 2 * plan.width}
    changes = dense if kind == "dense" else {}
    dim, rows = plan.shape
    return nets.configuration(
        kind, dim, rows, plan.k, num_blocks=plan.blocks, **changes
    )


def errors(answer: methods.Answer, truth: Any) -> Values:
    """Per rank: root mean square of min |v +- u|, mean |cos|, mean of value errors."""
    cosine = np.abs(methods.cosines(answer, np.asarray(truth.eigenvectors, np.float64)))
    # min |v -+ u|^2 = 2 - 2 |cos| for unit vectors.
    distance = np.sqrt(np.mean(2 - 2 * np.minimum(cosine, 1), axis=0))
    value = methods.value_errors(answer, np.asarray(truth.eigenvalues, np.float64))
    return {
        "distance": distance.tolist(),
        "cosine": cosine.mean(axis=0).tolist(),
        "value": value.mean(axis=0).tolist(),
    }


def learned(plan: Plan, kind: str, count: int, seed: int) -> Values:
    """Errors on unseen instances, and on those that were learned from."""
    sizes = lambda count: (plan.shape, plan.k, count)
    data = nets.instances("instances", seed, sizes(max(plan.counts)))
    unseen = nets.instances("unseen", seed, sizes(plan.tested))
    config = nets.run_of(
        model(plan, kind),
        plan.shape,
        **{"num_steps": plan.steps, "batch_size": plan.batch, "seed": seed},
        **{"learning_rate": plan.rate, "warmup_steps": min(100, plan.steps - 1)},
        **{"steps_per_call": 1, "eigenvalue_weight": 1.0},
    )
    network = nets.fitted(config, data, count)
    # Always as many, so that they are answered by one program.
    shown = np.resize(np.arange(min(count, plan.tested)), plan.tested)
    seen = data._replace(**{name: leaf[shown] for name, leaf in data._asdict().items()})
    return {
        "unseen": errors(nets.answered(network, unseen.x), unseen),
        "seen": errors(nets.answered(network, seen.x), seen),
        "parameters": network.num_parameters,
    }


def classical_errors(sizes: Any, products: int, seed: int) -> Values:
    """As many products without learning, on the same unseen instances.

    Args:
        sizes: with `shape`, `k` and `tested`.
        products: with S.
        seed: of the instances.

    Returns:
        Method -> `errors`.
    """
    unseen = nets.instances("unseen", seed, (sizes.shape, sizes.k, sizes.tested))
    matrix = methods.covariances(np.asarray(unseen.x, np.float64))
    written = krylov(sizes.k, products, block=sizes.k)
    others = {
        "constructed": methods.by_network(written),
        "orthogonal iteration": methods.orthogonal_iteration(
            written, sizes.k, products
        ),
        "block Lanczos": methods.lanczos(written, sizes.k, products),
    }
    return {name: errors(method(matrix), unseen) for name, method in others.items()}


def measure(plan: Plan, records: Records) -> dict[str, Any]:
    """Kind -> count -> seeds, and what needs no instances."""
    sizes = dataclasses.asdict(plan)
    base = {name: sizes[name] for name in ("shape", "k", "steps", "batch", "blocks")}
    base |= {"rate": plan.rate, "set": max(plan.counts), "tested": plan.tested}
    results: dict[str, Any] = {}
    for kind in plan.kinds:
        width = {"width": plan.width} if kind == "dense" else {}
        for count in plan.counts:
            cell = {"kind": kind, **base, **width, "n": count}
            seeds = records.of_seeds(cell, plan.seeds, learned, plan, kind, count)
            results.setdefault(kind, {})[count] = seeds
    cell = {"what": "classical", **base}
    results["classical"] = records.of_seeds(
        cell, plan.seeds, classical_errors, plan, plan.blocks
    )
    return results


def curves(by_count: dict[int, list[Values]], side: str, rank: int) -> np.ndarray:
    """`[seeds, counts]` root mean square distances."""
    rows = [
        [seed[side]["distance"][rank] for seed in seeds] for seeds in by_count.values()
    ]
    return np.array(rows).T


def plot(plan: Plan, results: dict[str, Any], path: Path) -> None:
    """Errors against n for each rank, the bound's slope beside them."""
    figure, axes = plt.subplots(
        1, plan.k, figsize=(6 * plan.k, 4.4), layout="constrained", squeeze=False
    )
    counts = np.array(plan.counts)
    for rank, axis in enumerate(axes[0]):
        for index, kind in enumerate(plan.kinds):
            for side, line_style in (("unseen", "o-"), ("seen", "o:")):
                marks = over_seeds(curves(results[kind], side, rank))
                axis.errorbar(
                    *(counts, [m.mean for m in marks], [m.half_width for m in marks]),
                    **{"fmt": line_style, "color": f"C{index}"},
                    label=f"{kind}, {side}",
                )
        for index, name in enumerate(results["classical"][0], start=len(plan.kinds)):
            level = np.mean(
                [seed[name]["distance"][rank] for seed in results["classical"]]
            )
            axis.axhline(level, color=f"C{index}", ls="--", label=name)
        guide = 0.6 * (counts / counts[0]) ** EXPONENT
        axis.plot(counts, guide, "k", lw=0.8, label="slope -1/5")
        axis.set(xscale="log", yscale="log", xlabel="n, instances learned from")
        axis.set_title(f"Rank {rank + 1}: root mean square of |v - u|")
        axis.grid(alpha=0.3)
    axes[0, 0].legend(fontsize=7)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def table(plan: Plan, results: dict[str, Any]) -> str:
    """The page's tables: distances and exponents."""
    ranks = tuple(f"rank {rank + 1}" for rank in range(plan.k))
    rows = []
    for kind in plan.kinds:
        for count, seeds in results[kind].items():
            cells = []
            for side in ("unseen", "seen"):
                distance = [seed[side]["distance"] for seed in seeds]
                cells += [mark.text() for mark in over_seeds(distance)]
            cosine = [seed["unseen"]["cosine"] for seed in seeds]
            value = [seed["unseen"]["value"] for seed in seeds]
            cells += [mark.text() for mark in over_seeds(cosine) + over_seeds(value)]
            rows.append((f"{kind} n={count}", *cells))
    for name in results["classical"][0]:
        seeds = [seed[name] for seed in results["classical"]]
        of = lambda what, seeds=seeds: [
            mark.text() for mark in over_seeds([seed[what] for seed in seeds])
        ]
        nothing = [""] * plan.k
        rows.append((name, *of("distance"), *nothing, *of("cosine"), *of("value")))
    header = [f"{side} {rank}" for side in ("unseen", "seen") for rank in ranks]
    header += [f"{what} {rank}" for what in ("|cos|", "value") for rank in ranks]
    texts = [plain_table(("distance", *header), rows)]
    rows = []
    for kind in plan.kinds:
        for few, many in spans(plan):
            places = slice(plan.counts.index(few), plan.counts.index(many) + 1)
            chosen = np.array(plan.counts[places], float)
            marks = [
                slopes(chosen, curves(results[kind], "unseen", rank)[:, places])
                for rank in range(plan.k)
            ]
            name = f"{kind}, n={few} to {many}"
            rows.append((name, *(mark.text() for mark in marks)))
    rows.append(("the paper's bound", *(f"{EXPONENT:.3f}" for _ in ranks)))
    texts.append(plain_table(("exponent of the distance", *ranks), rows))
    return "\n\n".join(texts)


def spans(plan: Plan) -> list[tuple[int, int]]:
    """All of the counts, their first half and their second half."""
    few, many = plan.counts[0], plan.counts[-1]
    middle = plan.counts[len(plan.counts) // 2]
    pairs = [(few, many), (few, middle), (middle, many)]
    return list(dict.fromkeys(pair for pair in pairs if pair[0] < pair[1]))
