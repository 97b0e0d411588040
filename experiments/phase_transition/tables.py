"""The tables of README.md, from the results alone."""

from collections.abc import Sequence
from typing import Any

from methods import FLOOR
from theory import RATES

from spectral_tf.apps.report import plain_table

Record = dict[str, Any]


def percent(one: dict[str, float], sign: str = "") -> str:
    return f"{100 * one['mean']:{sign}.2f} ± {100 * one['half_width']:.2f}"


def within(points: Sequence[Record], statistics: Sequence[dict[str, float]]) -> str:
    """How many 95 % intervals hold 0, and at which |mu| one does not."""
    pairs = zip(points, statistics, strict=True)
    out = [
        f"{point['signal']:g}"
        for point, one in pairs
        if abs(one["mean"]) > one["half_width"]
    ]
    held = f"{len(points) - len(out)} of {len(points)}"
    return f"{held}, not at {', '.join(out)}" if out else held


def grid(points: Sequence[Record], names: Sequence[str], key: str) -> str:
    """A line for each method or rate, a column for each |mu|."""
    rows = []
    for name in names:
        cells = []
        for point in points:
            if key == "rates":
                cells.append(f"{100 * point[key][name]:.2f}")
            elif key == "excess":
                cells.append(percent(point["methods"][name][key], "+"))
            else:
                cells.append(percent(point["methods"][name]))
        rows.append((name, "", *cells))
    head = ("", "|mu| =", *(f"{point['signal']:g}" for point in points))
    return plain_table(head, rows)


def case_text(points: Sequence[Record], shown: Sequence[float]) -> str:
    """Everything of one (d, N) at the |mu| that are shown."""
    own = [point for point in points if point["signal"] in shown]
    names = list(own[0]["methods"])
    others = [name for name in names if name != FLOOR]
    begin = own[0]
    title = f"d = {begin['dim']}, N = {begin['num_samples']}"
    return "\n".join(
        (
            f"== {title}; threshold |mu| = {begin['threshold']:.2f}",
            "Misclassification, %",
            grid(own, names, "mean"),
            "The same less the floor, points, paired by instance",
            grid(own, others, "excess"),
            "Theory, %",
            grid(own, RATES, "rates"),
        )
    )


def check_rows(points: Sequence[Record]) -> list[tuple[str, ...]]:
    """One line for each check of one (d, N)."""
    exact = [point["knows mu - exact"] for point in points]
    rows = [("Bayes rule - exact", within(points, exact))]
    for name in points[0]["floor"]:
        checks = [point["floor"][name] for point in points]
        for key in ("floor - other", "measured - expected"):
            held = within(points, [check[key] for check in checks])
            rows.append((f"{name}: {key}", held))
        differing = max(check["rows"] / check["of"] for check in checks)
        rows.append((f"{name}: rows that differ, most", f"{differing:.2%}"))
    return rows


def network_rows(points: Sequence[Record]) -> list[tuple[str, ...]]:
    """Rows of the network that differ, one line for each |mu|."""
    rows = []
    for point in points:
        found = point["network"]
        title = f"{point['dim']}, {point['num_samples']}"
        gap = percent(found["network - leading direction"], "+")
        same, exact = found["power method"], found["leading direction"]
        counts = (f"{same['rows']}", f"{exact['rows']}", f"{same['of']:,}")
        rows.append((title, f"{point['signal']:g}", *counts, gap))
    return rows


def text(results: Record) -> str:
    """All tables."""
    plan, points = results["study"], results["points"]
    parts = []
    cases = [tuple(case) for case in plan["cases"]]
    for case in cases:
        own = [p for p in points if (p["dim"], p["num_samples"]) == case]
        parts.append(case_text(own, plan["shown"]))
    parts.append("Checks: 95 % intervals of a difference that hold 0, over all |mu|")
    for case in cases:
        own = [p for p in points if (p["dim"], p["num_samples"]) == case]
        head = (f"d = {case[0]}, N = {case[1]}", "")
        parts.append(plain_table(head, check_rows(own)))
    head = ("d, N", "|mu|", "power method", "leading direction", "of", "loss, points")
    parts.append(
        f"Rows of the constructed network (tau = {plan['num_iters']}) on another side "
        "than\na power method of as many steps, and than the leading direction"
    )
    parts.append(plain_table(head, network_rows(points)))
    parts.append(
        f"The same from the leading direction at |mu| = {plan['deep_signal']:g}, by "
        "depth"
    )
    deep = []
    for one in results["deep"]:
        title = f"{one['dim']}, {one['num_samples']}"
        for name, tau in one["depths"].items():
            deep.append((title, name, f"{tau['rows']}", f"{tau['of']:,}"))
    parts.append(plain_table(("d, N", "", "rows", "of"), deep))
    parts.append(
        f"{results['seconds']:.0f} s, of which {results['processor_seconds']:.0f} s on "
        "a processor."
    )
    return "\n".join(parts)
