"""The promised ablation: attention, norm, read-out and loss of dense networks.

Every combination of the first three is a cell; the four losses and the seeds are
trained in it together, on the same instances.
"""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import grids
import matplotlib.pyplot as plt
import nets
import numpy as np
from instances import classical_errors
from records import Interval, Records, Values

from spectral_tf import ConfigError, ModelConfig
from spectral_tf.apps.report import plain_table

LOSSES = {"signed": 1.0, "cosine": 1.0, "projector": 1.0, "rayleigh": 0.0}
"""With the weight of the eigenvalue error, of which a label-free loss knows nothing."""
TITLES = {"cosine": "|cos|", "rayleigh": "label-free trace"}
FACTORS = ("attention", "norm", "readout", "loss")


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is run."""

    budget: grids.Budget = grids.FULL
    attention: tuple[str, ...] = ("relu", "linear", "softmax")
    norm: tuple[str, ...] = ("none", "rms", "layer")
    readout: tuple[str, ...] = ("flatten", "linear", "rayleigh")
    losses: tuple[str, ...] = tuple(LOSSES)
    squares: int = 3
    blocks: int = 2
    width: int = 32


def plan(*, smoke: bool) -> Plan:
    """The run, or one cell of a step, whose numbers mean nothing."""
    small = Plan(
        budget=grids.SMOKE,
        attention=("relu",),
        norm=("rms",),
        readout=("linear",),
        losses=("cosine",),
        blocks=1,
        width=8,
    )
    return small if smoke else Plan()


def combinations(plan: Plan) -> list[tuple[str, str, str]]:
    """Some Latin squares, in which every two levels meet once; three are all.

    A stopped run is balanced early.
    """
    triples = itertools.product(
        *(range(len(levels)) for levels in (plan.attention, plan.norm, plan.readout))
    )
    square = lambda triple: (triple[2] - triple[0] - triple[1]) % len(plan.readout)
    return [
        (plan.attention[a], plan.norm[n], plan.readout[r])
        for a, n, r in sorted(triples, key=square)
        if square((a, n, r)) < plan.squares
    ]


def model(plan: Plan, attention: str, norm: str, readout: str) -> ModelConfig:
    """Preset `register` with these parts."""
    dim, rows = plan.budget.shape
    sizes = {"width": plan.width, "head_dim": 8, "num_heads": 2}
    return nets.configuration(
        *("dense", dim, rows, plan.budget.k),
        **{"attention": attention, "norm": norm, "readout": readout},
        **{"num_blocks": plan.blocks, "mlp_width": 2 * plan.width, **sizes},
    )


def learned(plan: Plan, *parts: str) -> Values:
    """Errors of every loss and seed, or why there is no such network."""
    try:
        config = model(plan, *parts)
    except ConfigError as error:
        return {"refused": str(error)}
    losses = {loss: LOSSES[loss] for loss in plan.losses}
    return grids.trained(config, plan.budget, losses)


def measure(plan: Plan, records: Records) -> dict[str, Any]:
    """(attention, norm, read-out) -> what was learned, and what needs no learning."""
    base = {**dataclasses.asdict(plan.budget), "blocks": plan.blocks}
    base |= {"width": plan.width, "losses": list(plan.losses)}
    results: dict[str, Any] = {"cells": {}}
    for parts in combinations(plan):
        cell = {**dict(zip(FACTORS, parts, strict=False)), **base}
        results["cells"][parts] = records.measured(cell, learned, plan, *parts)
    cell = {"what": "classical", **base}
    results["classical"] = records.of_seeds(
        cell, plan.budget.seeds, classical_errors, plan.budget, plan.blocks
    )
    return results


def scores(plan: Plan, results: dict[str, Any], what: str) -> dict[tuple, np.ndarray]:
    """(attention, norm, read-out, loss) -> `[seeds, k]`, without what is refused."""
    return {
        (*parts, loss): np.array([seed[what] for seed in values[loss]], np.float64)
        for parts, values in results["cells"].items()
        if "refused" not in values
        for loss in plan.losses
    }


def levels(plan: Plan) -> dict[str, tuple[str, ...]]:
    return {
        "attention": plan.attention,
        "norm": plan.norm,
        "readout": plan.readout,
        "loss": plan.losses,
    }


def effect(cells: dict[tuple, np.ndarray], place: int, level: str) -> list[Interval]:
    """Mean over all cells with this level, rank by rank, over the seeds."""
    chosen = [array for parts, array in cells.items() if parts[place] == level]
    means = np.mean(chosen, axis=0)
    return [Interval.of(means[:, rank]) for rank in range(means.shape[1])]


def plot(plan: Plan, results: dict[str, Any], path: Path) -> None:
    """Each factor's levels: all cells as dots, their mean with its interval."""
    cells = scores(plan, results, "cosine")
    figure, axes = plt.subplots(
        plan.budget.k, len(FACTORS), figsize=(15, 7), layout="constrained", sharey="row"
    )
    for rank, row in enumerate(axes):
        for place, (axis, (factor, names)) in enumerate(
            zip(row, levels(plan).items(), strict=True)
        ):
            for index, level in enumerate(names):
                dots = [
                    x.mean(axis=0)[rank] for p, x in cells.items() if p[place] == level
                ]
                places = index + np.linspace(-0.25, 0.25, len(dots))
                axis.plot(places, sorted(dots), "o", ms=3, alpha=0.5, color=f"C{index}")
                mark = effect(cells, place, level)[rank]
                axis.errorbar(index, mark.mean, mark.half_width, fmt="ks", capsize=6)
            axis.set_xticks(range(len(names)), [TITLES.get(x, x) for x in names])
            axis.grid(alpha=0.3)
            axis.set_title(f"{factor}, rank {rank + 1}")
        row[0].set_ylabel("|cos|, unseen instances")
    figure.savefig(path, dpi=100)
    plt.close(figure)


def factor_rows(plan: Plan, results: dict[str, Any]) -> list[tuple[str, ...]]:
    """Each level: mean over its cells of |cos| and eigenvalue error, and the range."""
    cells, values = scores(plan, results, "cosine"), scores(plan, results, "value")
    # Eigenvalues that no loss asked for say nothing.
    asked = {parts: x for parts, x in values.items() if LOSSES[parts[3]]}
    rows = []
    for place, (factor, names) in enumerate(levels(plan).items()):
        for index, level in enumerate(names):
            means = [x.mean(axis=0) for p, x in cells.items() if p[place] == level]
            low, high = np.min(means, axis=0), np.max(means, axis=0)
            marks = [mark.text() for mark in effect(cells, place, level)]
            ranges = [f"{a:.3f} to {b:.3f}" for a, b in zip(low, high, strict=True)]
            has_values = any(parts[place] == level for parts in asked)
            errors = effect(asked, place, level) if has_values else []
            texts = [mark.text() for mark in errors] or [""] * plan.budget.k
            title = TITLES.get(level, level)
            rows.append(("" if index else factor, title, *marks, *ranges, *texts))
    return rows


def table(plan: Plan, results: dict[str, Any]) -> str:
    """The page's tables."""
    ranks = [f"rank {rank + 1}" for rank in range(plan.budget.k)]
    header = [
        *(f"|cos| {rank}" for rank in ranks),
        *(f"cells {rank}" for rank in ranks),
    ]
    header += [f"value {rank}" for rank in ranks]
    texts = [plain_table(("factor", "level", *header), factor_rows(plan, results))]
    rows = []
    cells, values = scores(plan, results, "cosine"), scores(plan, results, "value")
    for parts, array in sorted(cells.items(), key=lambda item: -item[1].mean()):
        marks = [Interval.of(x).text() for x in (*array.T, *values[parts].T)]
        rows.append((*parts[:3], TITLES.get(parts[3], parts[3]), *marks))
    for name in results["classical"][0]:
        seeds = [seed[name] for seed in results["classical"]]
        columns = [np.array([x[what] for x in seeds]).T for what in ("cosine", "value")]
        marks = [Interval.of(x).text() for column in columns for x in column]
        rows.append((name, "", "", "", *marks))
    header = [f"{what} {rank}" for what in ("|cos|", "value") for rank in ranks]
    texts.append(plain_table((*FACTORS, *header), rows))
    refused = [
        (", ".join(parts), values["refused"])
        for parts, values in results["cells"].items()
        if "refused" in values
    ]
    if refused:
        texts.append(plain_table(("refused", "because"), refused))
    return "\n\n".join(texts)
