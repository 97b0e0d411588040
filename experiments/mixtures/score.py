"""Scores of the network on the kinds of `cells.py`, beside the classical methods'."""

import functools
import json
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
from calibration import draw_calibration
from cells import BEST_OF_10, K_MEANS, ONE_START, SPECTRAL, Cell, cells
from classical import classical_scores

from spectral_tf import Network
from spectral_tf.apps.report import plain_table
from spectral_tf.clustering import (
    BAYES,
    ClusterInstance,
    each_instance,
    misclassification,
    valid_part,
)
from spectral_tf.evaluation import Statistic

STARTS = (1, 8)
OURS = "network, {} start(s)"
COLUMNS = (BAYES, SPECTRAL, K_MEANS, ONE_START, BEST_OF_10)
AT_ONCE = 25
"""Instances that a device answers at once."""


@functools.partial(jax.jit, static_argnums=2)
def _answers(network: Network, batch: ClusterInstance, num_starts: int) -> Any:
    count = batch.weights.shape[1]

    def one(rows: Any) -> Any:
        x, mask = rows
        found = network(x, count, mask, num_starts=num_starts)
        return found.log_probabilities, found.confidence

    return jax.lax.map(one, (batch.x, batch.mask), batch_size=AT_ONCE)


def network_scores(
    network: Network, batch: ClusterInstance, num_starts: int
) -> dict[str, np.ndarray]:
    """Of each instance: `wrong`, share of its rows, and `confidence`."""
    logs, confidence = map(np.asarray, _answers(network, batch, num_starts))
    wrong = []
    for truth, log in zip(each_instance(batch), logs, strict=True):
        _, labels = valid_part(truth)
        found = np.argmax(log[truth.mask], axis=1)
        scored, count = labels >= 0, len(truth.weights)
        wrong.append(misclassification(found[scored], labels[scored], count))
    return {"wrong": np.array(wrong), "confidence": confidence}


def cell_scores(network: Network, cell: Cell, num_starts: int) -> dict[str, np.ndarray]:
    """`network_scores` of all instances of a cell."""
    found = [network_scores(network, batch, num_starts) for _, batch in cell.chunks()]
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]}


def compare(
    network: Network, out: Path, *, count: int, smoke: bool
) -> list[dict[str, Any]]:
    """Misclassification of the network and the classical methods on every kind.

    Written as `comparison.json`; and `calibration.png`: how often the network is right
    where it says that it is sure.

    Args:
        network: that clusters.
        out: folder of the files; what `classical.py` left there is not computed again.
        count: instances of each kind, at most.
        smoke: a few instances of two kinds.

    Returns:
        For each kind the percentages with their intervals, and those of the paired
        differences: network from 8 starts less the other.
    """
    document: list[dict[str, Any]] = []
    judged: list[dict[str, np.ndarray]] = []
    for cell in cells(count, smoke=smoke):
        found = classical_scores(cell, out)
        each = [cell_scores(network, cell, number) for number in STARTS]
        for number, own in zip(STARTS, each, strict=True):
            found[OURS.format(number)] = own["wrong"]
        ours, sure = each[-1]["wrong"], each[-1]["confidence"]
        judged.append(
            {**each[-1], "dim": np.full(cell.count, cell.instances.dim)},
        )
        one = {
            "group": cell.group,
            "instances": cell.name,
            "count": cell.count,
            "confidence": _percent(sure),
            "percent": {name: _percent(values) for name, values in found.items()},
            "network_less": {
                name: _percent(ours - values) for name, values in found.items()
            },
        }
        document.append(one)
        print(_row(one), file=sys.stderr, flush=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / "comparison.json").write_text(json.dumps(document, indent=1) + "\n")
    joined = {name: np.concatenate([one[name] for one in judged]) for name in judged[0]}
    draw_calibration(joined, out / "calibration.png")
    return document


def table_of(document: list[dict[str, Any]]) -> str:
    """Percentages of misclassification, and the difference to EM from 10 starts."""
    columns = [*COLUMNS, *(OURS.format(number) for number in STARTS)]
    header = ("group", "instances", "n", *columns, "less best of 10", "sure of")
    return plain_table(header, [_row(one) for one in document])


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    percent, less = one["percent"], one["network_less"][BEST_OF_10]
    columns = [*COLUMNS, *(OURS.format(number) for number in STARTS)]
    cut = lambda name: f"{percent[name]['mean']:.1f}" if name in percent else ""
    return (
        *(one["group"], one["instances"], str(one["count"]), *map(cut, columns)),
        f"{less['mean']:+.1f} ± {less['half_width']:.1f}",
        f"{one['confidence']['mean']:.1f}",
    )


def _percent(values: np.ndarray) -> dict[str, float]:
    one = Statistic.of(100 * values)
    return {"mean": round(one.mean, 3), "half_width": round(one.half_width, 3)}
