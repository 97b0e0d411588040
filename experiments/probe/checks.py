"""Answers that are known beforehand, of the two networks that are written down."""

from typing import Any

import numpy as np
from networks import POWER, START

from spectral_tf.apps.report import plain_table
from spectral_tf.constructive import SHIFTS

Report = dict[str, Any]


def _of(report: Report, part: str, name: str) -> list[Report]:
    return [one for one in report[part] if one["network"] == name]


def _power(report: Report) -> list[tuple[str, float, float]]:
    """`(what, distance from the known answer, bound)` of the power method."""
    traces, (ablation,) = _of(report, "traces", POWER), _of(report, "ablations", POWER)
    (polynomials,) = _of(report, "polynomials", POWER)
    (sweep,), found = _of(report, "sweeps", POWER), []
    for one in traces:
        blocks = np.arange(len(one["order"]))
        at = f"power method, d={one['dim']}"
        wrong = np.max(np.abs(one["order"] - blocks[:, None]))
        found.append((f"{at}: m(l) = l", float(wrong), 0.5))
        miss = 1 - float(np.min(one["match"][1:]))  # the start is not orthogonal
        found.append((f"{at}: the match is 1", miss, 1e-4))
        left = 1 - float(np.min(one["single"]))
        found.append((f"{at}: register 1 in its own Krylov space", left, 1e-5))
    grid = polynomials["grid"]
    for degree, fits in polynomials["fits"].items():
        error = np.abs(np.median(fits, axis=0) - grid**degree)
        what = f"power method: p_{degree}(t) = t^{degree}"
        found.append((what, float(error.max()), 1e-3))
    labels, loss = ablation["labels"], ablation["loss"]
    silent = [place for place, label in enumerate(labels) if "self" in label]
    every = ablation["everywhere"][labels.index("every self")]
    left = ablation["whole"] - every
    kept = np.max(np.abs(loss[silent][:, :, 0]))
    found.append(("power method: rank 1 needs no deflation", float(kept), 1e-6))
    what = "power method: with no deflation at all ranks 2 and up are lost"
    found.append((what, float(np.max(left[1:])), 0.35))
    (cross,) = (at for at, label in enumerate(labels) if "cross" in label)
    gone = np.max(np.abs(loss[cross] - ablation["whole"]))
    found.append(("power method: without one product all is lost", float(gone), 1e-6))
    slope = sweep["pair"]["slope"]
    found.append(("power method: slope of the first sweep is 1", abs(slope - 1), 0.1))
    return found


def _start(report: Report) -> list[tuple[str, float, float]]:
    """The same of subspace iteration, whose shifts are written down."""
    (one,) = _of(report, "shifts", START)
    count = len(one["together"]["zero"])
    known = np.array(SHIFTS)[np.minimum(np.arange(count), len(SHIFTS) - 1)]
    found = [
        (
            "subspace iteration: its shifts",
            float(np.max(np.abs(one["together"]["zero"] + known))),
            2e-3,
        )
    ]
    for change in ("mean", "other"):
        moved = np.max(np.abs(one["gates"][change] - one["gates"]["none"]))
        what = f"subspace iteration: scalars ({change}) do not matter"
        found.append((what, float(moved), 1e-5))
    return found


def _all(report: Report) -> list[tuple[str, float, float]]:
    """What holds for every equivariant network with one product in a block."""
    found = []
    for one in report["shifts"]:
        if one["gates"] is not None:
            gap = np.max(np.abs(one["gates"]["none"] - one["gates"]["network"]))
            what = f"{one['network']}: block by block is the network"
            found.append((what, float(gap), 1e-3))
    for one in report["traces"]:
        if not one["is_equivariant"]:
            continue  # its vectors may leave every Krylov space
        left = 1 - float(np.min(one["block"]))
        what = f"{one['network']}, d={one['dim']}: l products, block l"
        found.append((what, left, 1e-5))
    for one in report["polynomials"]:
        left = 1 - float(np.min(one["share"]))
        found.append((f"{one['network']}: alone it is a polynomial", left, 1e-5))
    return found


def check_table(report: Report) -> tuple[str, bool]:
    """The table, and whether all of it is as it must be."""
    found = [*_power(report), *_start(report), *_all(report)]
    rows = [
        (what, f"{error:.1e}", f"{bound:.0e}", "yes" if error <= bound else "NO")
        for what, error, bound in found
    ]
    header = ("known beforehand", "off by", "at most", "found")
    return plain_table(header, rows), all(row[-1] == "yes" for row in rows)
