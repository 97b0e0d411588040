"""Depth, heads and width: what more of each is worth, in training and as written.

Dense and equivariant networks of equal depth, trained alike, beside what as many
products give without learning.
"""

import dataclasses
from pathlib import Path
from typing import Any

import grids
import matplotlib.pyplot as plt
import nets
import numpy as np
from instances import classical_errors
from records import Interval, Records, Values

from spectral_tf import ModelConfig
from spectral_tf.apps.report import plain_table

LOSSES = {"cosine": 1.0}


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is run: each size is changed alone, from the middle one of the others."""

    budget: grids.Budget = grids.FULL
    kinds: tuple[str, ...] = nets.KINDS
    blocks: tuple[int, ...] = (2, 4, 8)
    heads: tuple[int, ...] = (2, 4, 8)
    width: tuple[int, ...] = (16, 32, 64)


def plan(*, smoke: bool) -> Plan:
    """The run, or one cell of a step, whose numbers mean nothing."""
    small = Plan(
        budget=grids.SMOKE, kinds=("dense",), blocks=(1,), heads=(2,), width=(8,)
    )
    return small if smoke else Plan()


def sizes(plan: Plan) -> list[dict[str, int]]:
    """Depths first, then heads, then widths; the middle of all three once."""
    axes = {"blocks": plan.blocks, "heads": plan.heads, "width": plan.width}
    middle = {name: values[len(values) // 2] for name, values in axes.items()}
    cells = [
        {**middle, name: value} for name, values in axes.items() for value in values
    ]
    return [cell for index, cell in enumerate(cells) if cell not in cells[:index]]


def model(plan: Plan, kind: str, size: dict[str, int]) -> ModelConfig:
    """A network of this kind; `width` is D, and an eighth of it the vector channels."""
    dim, rows = plan.budget.shape
    width = size["width"]
    parts: dict[str, Any] = {"vectors": max(width // 8, 2)}
    if kind == "dense":
        parts = {"width": width, "head_dim": 8}
    return nets.configuration(
        *(kind, dim, rows, plan.budget.k),
        **{"num_blocks": size["blocks"], "num_heads": size["heads"]},
        **{"mlp_width": 2 * width, **parts},
    )


def learned(plan: Plan, kind: str, size: dict[str, int]) -> Values:
    """Errors of every seed."""
    return grids.trained(model(plan, kind, size), plan.budget, LOSSES)


def measure(plan: Plan, records: Records) -> dict[str, Any]:
    """Trained cells as (kind, sizes, values); products -> what needs no learning."""
    base = dataclasses.asdict(plan.budget)
    results: dict[str, Any] = {"cells": [], "classical": {}}
    for products in plan.blocks:
        cell = {"what": "classical", **base, "products": products}
        results["classical"][products] = records.of_seeds(
            cell, plan.budget.seeds, classical_errors, plan.budget, products
        )
    for size in sizes(plan):
        for kind in plan.kinds:
            cell = {"kind": kind, **base, **size}
            values = records.measured(cell, learned, plan, kind, size)
            results["cells"].append((kind, size, values))
    return results


def marks(seeds: list[Values], what: str) -> list[Interval]:
    """Rank by rank."""
    return [Interval.of(x) for x in np.array([seed[what] for seed in seeds]).T]


def curve(plan: Plan, results: dict[str, Any], kind: str, axis: str) -> list[tuple]:
    """(size, seeds) of the cells that differ from the middle in this size alone."""
    others = {"blocks": plan.blocks, "heads": plan.heads, "width": plan.width}
    del others[axis]
    return [
        (size[axis], values["cosine"])
        for name, size, values in results["cells"]
        if name == kind and all(size[o] == v[len(v) // 2] for o, v in others.items())
    ]


def plot(plan: Plan, results: dict[str, Any], path: Path) -> None:
    """1 - |cos| of each rank against depth, heads and width."""
    figure, axes = plt.subplots(
        plan.budget.k, 3, figsize=(14, 7), layout="constrained", sharey="row"
    )
    for rank, row in enumerate(axes):
        for axis, name in zip(row, ("blocks", "heads", "width"), strict=True):
            for index, kind in enumerate(plan.kinds):
                points = sorted(curve(plan, results, kind, name), key=lambda p: p[0])
                found = [marks(seeds, "cosine")[rank] for _, seeds in points]
                axis.errorbar(
                    [size for size, _ in points],
                    [1 - mark.mean for mark in found],
                    [mark.half_width for mark in found],
                    **{"fmt": "o-", "color": f"C{index}", "capsize": 4},
                    label=f"trained, {kind}",
                )
            axis.set(xscale="log", xlabel=name, yscale="log")
            ticks = getattr(plan, name)
            axis.set_xticks(ticks, [str(tick) for tick in ticks])
            axis.minorticks_off()
            axis.set_title(f"Rank {rank + 1}: 1 - |cos|")
            axis.grid(alpha=0.3)
        draw_classical(plan, results, row[0], rank)
    axes[0, 0].legend(fontsize=8)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def draw_classical(plan: Plan, results: dict[str, Any], axis: Any, rank: int) -> None:
    """What as many products give without learning, down to float32's rounding."""
    by_products = results["classical"]
    names = by_products[plan.blocks[0]][0]
    for index, name in enumerate(names, start=len(plan.kinds)):
        means = [
            np.mean([seed[name]["cosine"][rank] for seed in by_products[products]])
            for products in plan.blocks
        ]
        lost = np.maximum(1 - np.array(means), 1e-7)
        axis.plot(plan.blocks, lost, "s--", ms=4, color=f"C{index}", label=name)


def table(plan: Plan, results: dict[str, Any]) -> str:
    """The page's tables."""
    ranks = [f"rank {rank + 1}" for rank in range(plan.budget.k)]
    header = [f"{what} {rank}" for what in ("|cos|", "value") for rank in ranks]
    columns = lambda seeds: [
        mark.text() for what in ("cosine", "value") for mark in marks(seeds, what)
    ]
    rows = [
        (
            kind,
            *(str(size[name]) for name in ("blocks", "heads", "width")),
            str(values["parameters"]),
            *columns(values["cosine"]),
        )
        for kind, size, values in results["cells"]
    ]
    for products, seeds in results["classical"].items():
        for name in seeds[0]:
            found = columns([seed[name] for seed in seeds])
            rows.append((name, str(products), "", "", "", *found))
    return plain_table(("", "L", "heads", "width", "weights", *header), rows)
