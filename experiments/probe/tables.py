"""The tables of README.md, from the summary's arrays."""

from typing import Any

import numpy as np
from config import Study

from spectral_tf.apps.report import plain_table

Report = dict[str, Any]


def numbers(values: Any, form: str) -> str:
    return " ".join("-" if not np.isfinite(one) else f"{one:{form}}" for one in values)


def trace_table(report: Report) -> str:
    """Every second block of every network and set of instances."""
    header = ("network", "block", "|cos|", "Rayleigh / lambda", "m", "match", "alone")
    header += ("block", "one less")
    rows = []
    for one in report["traces"]:
        last = len(one["order"]) - 1
        shown = sorted({1, 2, 4, 6, 9, last})
        for block in (place for place in shown if place <= last):
            name = f"{one['network']}, d={one['dim']}" if block == 1 else ""
            rows.append(
                (
                    name,
                    str(block),
                    numbers(one["cosine"][block], ".3f"),
                    numbers(one["rayleigh"][block], ".3f"),
                    numbers(one["order"][block], "d"),
                    numbers(one["match"][block], ".3f"),
                    f"{one['single'][block]:.4f}",
                    f"{one['block'][block]:.4f}",
                    f"{one['fewer'][block]:.4f}",
                )
            )
    return plain_table(header, rows)


def sweep_table(report: Report) -> str:
    header = ("network", "varies", "tan at the end", "fall per block", "slope")
    header += ("in the second half", "slope")
    rows = []
    for one in report["sweeps"]:
        for sweep, letter in (("pair", "lambda_2"), ("edge", "lambda_9")):
            own = one[sweep]
            rows.append(
                (
                    one["network"] if sweep == "pair" else "",
                    letter,
                    numbers(own["final"], ".0e"),
                    numbers(own["whole"], ".2f"),
                    f"{own['whole_slope']:.2f}",
                    numbers(own["late"], ".2f"),
                    f"{own['slope']:.2f}",
                )
            )
    own = report["sweeps"][0]["pair"]
    for name, rate in (
        ("power method, for ever", -np.log(own["ratios"])),
        ("Chebyshev, for ever", own["chebyshev"]),
    ):
        rows.append((name, "lambda_2", "", numbers(rate, ".2f"), "", "", ""))
    return plain_table(header, rows)


LEAST = 5e-4
"""Parts that lose less everywhere are counted and not shown."""


def ablation_table(report: Report) -> str:
    """In one block (mean over the blocks, the largest loss), and in all at once."""
    header = ("network", "silenced", "in one block", "the worst", "which", "in all")
    rows = []
    for one in report["ablations"]:
        name, small = one["network"], 0
        parts = zip(one["labels"], one["loss"], one["everywhere"], strict=True)
        for label, loss, everywhere in parts:
            if max(np.abs(loss).max(), np.abs(everywhere).max()) < LEAST:
                small += 1
                continue
            worst = loss.mean(axis=1).argmax()
            rows.append(
                (
                    name,
                    label,
                    numbers(loss.mean(axis=0), "+.3f"),
                    numbers(loss[worst], "+.3f"),
                    str(one["blocks"][worst] + 1),
                    numbers(everywhere, "+.3f"),
                )
            )
            name = ""
        if small:
            rows.append((name, f"{small} others lose < {LEAST}", "", "", "", ""))
    return plain_table(header, rows)


def shift_table(report: Report) -> str:
    header = ("network", "register 1", "block", "zero", "10 % .. 90 %", "explained")
    header += ("pure", "corr. l_1", "l_k+1", "l_R+1")
    rows = []
    for one in report["shifts"]:
        for name in ("together", "alone") if one["network"] != "power method" else ():
            own = one[name]
            for block, zero in enumerate(own["zero"]):
                rows.append(
                    (
                        one["network"] if block == 0 else "",
                        name if block == 0 else "",
                        str(block + 1),
                        f"{zero:.3f}",
                        f"{own['low'][block]:.3f} .. {own['high'][block]:.3f}",
                        f"{own['explained'][block]:.4f}",
                        f"{own['pure'][block]:.2f}",
                        *(numbers([each], "+.2f") for each in own["with"][block]),
                    )
                )
    return plain_table(header, rows)


def gate_table(report: Report) -> str:
    header = ("network", "scalars after every block", "|cos|", "their spread")
    names = {"none": "as they are", "mean": "their mean", "other": "another instance's"}
    rows = []
    for one in report["shifts"]:
        for change, name in names.items():
            if one["gates"] is not None:
                shown = numbers(one["gates"][change], ".4f")
                first = one["network"] if change == "none" else ""
                spread = f"{one['gates']['spread']:.1e}" if first else ""
                rows.append((first, name, shown, spread))
    return plain_table(header, rows)


TITLES = """\
1. What register j is after block l: m, the order of orthogonal iteration that is
nearest (at most {orders}), and the match with it; share of register 1 in the Krylov
space of its own start and l products (alone), of all starts (block), and with one
product less.

{traces}
2. tan of the angle of register 1 (median), and the mean fall of its logarithm in a
block, where lambda_2 / lambda_1 = {pair}
or lambda_9 / lambda_1 = {edge}; slope of the fall against log(1 / ratio).

{sweeps}
3. |cos| lost, ranks 1, 2, ..: a part writes nothing in one block, or in all.

{ablations}
4. Zero of a block's factor (minus its shift), over |S|_F, in float64, and its
correlation with eigenvalues over |S|_F, {count} instances of {families} families.

{shifts}
{gates}"""


def text(report: Report, what: Study) -> str:
    """All tables."""
    return TITLES.format(
        orders=what.most_orders,
        traces=trace_table(report),
        pair=" ".join(map(str, what.pair)),
        edge=" ".join(map(str, what.edge)),
        sweeps=sweep_table(report),
        ablations=ablation_table(report),
        count=what.mixed[2] * len(what.families),
        families=len(what.families),
        shifts=shift_table(report),
        gates=gate_table(report),
    )
