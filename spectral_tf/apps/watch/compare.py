"""Runs side by side: a table, the fields in which they differ, a JSON document."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spectral_tf.apps.report.curves import RunCurve
from spectral_tf.apps.report.tables import plain_table
from spectral_tf.apps.watch.read import Run
from spectral_tf.config.wording import counted
from spectral_tf.training.lines import clock

FIELDS, WIDTH = 20, 32
"""Lines of the table of differences, and letters of a value in it, unless all is asked
for."""


def run_names(runs: Sequence[Run]) -> list[str]:
    """Names of runs: their paths without what all of them share.

    Args:
        runs: the runs.

    Returns:
        One name for each; of a single run, that of its folder.
    """
    paths = [run.folder.resolve() for run in runs]
    if len(set(paths)) < 2:
        return [path.name for path in paths]
    above = os.path.commonpath(paths)
    return [os.path.relpath(path, above) for path in paths]


def compare_runs(runs: Sequence[Run]) -> str:
    """A table of runs, one line each.

    |cos| is of the last held-out evaluation if every run that has logged a call has
    one; else of the last call of training. The header says which.

    Args:
        runs: the runs.

    Returns:
        Text that ends in a newline.
    """
    key, source = _cosine_of(runs)
    has_heldout = any(run.extreme("heldout/loss") for run in runs)
    num_ranks = max((len(run.last(key)) for run in runs), default=0)
    header = ["name", "state", "step", "instances", "inst/s", "time", "params", "loss"]
    header += ["held-out loss (best)"] if has_heldout else []
    header += [f"{source}|cos| {rank}" for rank in range(1, num_ranks + 1)]
    rows = []
    for name, run in zip(run_names(runs), runs, strict=True):
        row = [name, run.state, f"{run.step:,}/{run.horizon:,}", _short(run.instances)]
        row += [_short(run.instances_per_second), clock(run.seconds)]
        loss, held = run.extreme("loss"), run.extreme("heldout/loss")
        row.append("" if run.num_params is None else f"{run.num_params:,}")
        row.append(f"{loss.last:.4f}" if loss else "")
        if has_heldout:
            row.append(f"{held.last:.4f} ({held.best:.4f})" if held else "")
        cosine = [f"{value:.4f}" for value in run.last(key)]
        rows.append([*row, *cosine, *[""] * (num_ranks - len(cosine))])
    return plain_table(header, rows)


def differing_fields(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """The fields of the configuration in which runs differ.

    Args:
        runs: the runs.

    Returns:
        Dotted name, e.g. `model.num_blocks` or `mixture.0.weight`, -> the value of
        each run, None where it has no such field. Empty for one run.
    """
    flat = [_dotted(run.config) for run in runs]
    names = dict.fromkeys(name for fields in flat for name in fields)
    values = {name: [fields.get(name) for fields in flat] for name in names}
    return {
        name: each
        for name, each in values.items()
        if any(one != each[0] for one in each[1:])
    }


def differences_table(runs: Sequence[Run], most: int | None = None) -> str:
    """`differing_fields` as text: a line for each field, a column for each run.

    Fields that every run has come first: runs of two kinds differ in dozens that one
    of the kinds has not.

    Args:
        runs: the runs.
        most: lines of fields; what is left out is counted in a last line. None for all.

    Returns:
        Text that ends in a newline; empty if nothing differs.
    """
    fields = differing_fields(runs)
    if not fields:
        return ""
    lacking = {name: sum(one is None for one in row) for name, row in fields.items()}
    order = sorted(fields, key=lambda name: lacking[name] > 0)
    shown = order if most is None or len(order) <= most else order[: most - 1]
    width = WIDTH if most is not None else None
    rows = [[name, *(_value(one, width) for one in fields[name])] for name in shown]
    table = plain_table(["field", *run_names(runs)], rows)
    rest = order[len(shown) :]
    if rest:
        partial = sum(lacking[name] > 0 for name in rest)
        table += f"and {counted(len(rest), 'more field')}"
        table += f", {partial} of which only some runs have" if partial else ""
        table += "; --fields shows all\n"
    return table


def runs_document(runs: Sequence[Run]) -> dict[str, Any]:
    """JSON-ready: the runs, and the fields in which they differ.

    Args:
        runs: the runs.

    Returns:
        `{"runs": [...], "differing_fields": {...}}`; what is not known is None.
    """
    named = zip(run_names(runs), runs, strict=True)
    return {
        "runs": [_document(name, run) for name, run in named],
        "differing_fields": differing_fields(runs),
    }


def run_curve(run: Run, name: str) -> RunCurve:
    """What is drawn of a run.

    Args:
        run: the run.
        name: in the legend.

    Returns:
        Its arrays; held-out values at the steps where they were measured.
    """
    steps, rows = run.steps, len(run.steps)
    blank = np.full(rows, math.nan)
    clusters = "accuracy" in run.metrics
    key = "accuracy" if clusters else "cosine"
    cosine = run.metrics.get(key, np.zeros((rows, 0)))
    heldout = run.metrics.get("heldout/loss", blank)
    held_cosine = run.metrics.get(f"heldout/{key}", np.zeros((rows, 0)))
    measured = np.isfinite(heldout)
    return RunCurve(
        name=name,
        instances_per_step=run.instances_per_step,
        steps=steps,
        loss=run.metrics["loss"],
        cosine=cosine if cosine.ndim == 2 else np.zeros((rows, 0)),
        learning_rate=run.metrics.get("learning_rate", blank),
        grad_norm=run.metrics.get("grad_norm", blank),
        heldout_steps=steps[measured],
        heldout_loss=heldout[measured],
        heldout_cosine=held_cosine[measured],
        **({"measure": "share of rows right", "column": "shape"} if clusters else {}),
    )


def _cosine_of(runs: Sequence[Run]) -> tuple[str, str]:
    """Which |cos| all runs have: its metric, and how the header calls it."""
    logged = [run for run in runs if run.step]
    has_all = logged and all(len(run.last("heldout/cosine")) for run in logged)
    return ("heldout/cosine", "held-out ") if has_all else ("cosine", "")


def _document(name: str, run: Run) -> dict[str, Any]:
    extremes = {}
    for metric in ("loss", "heldout/loss"):
        found = run.extreme(metric)
        extremes[metric] = found._asdict() if found else None
    rate = run.instances_per_second
    return {
        "name": name,
        "folder": str(run.folder),
        "state": run.state,
        "step": run.step,
        "horizon": run.horizon,
        "instances": run.instances,
        "instances_per_second": rate if math.isfinite(rate) else None,
        "seconds": run.seconds,
        "num_params": run.num_params,
        "num_bytes": run.num_bytes,
        "loss": extremes["loss"],
        "cosine": run.last("cosine").tolist(),
        "heldout_loss": extremes["heldout/loss"],
        "heldout_cosine": run.last("heldout/cosine").tolist(),
        "config": run.config,
    }


def _dotted(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested dictionaries, also in sequences, to one of dotted names."""
    flat = {}
    for name, value in values.items():
        is_parts = isinstance(value, list | tuple) and any(
            isinstance(item, Mapping) for item in value
        )
        if is_parts:
            value = {str(place): item for place, item in enumerate(value)}
        if isinstance(value, Mapping):
            flat |= _dotted(value, f"{above}{name}.")
        else:
            flat[f"{above}{name}"] = value
    return flat


def _value(value: Any, width: int | None = None) -> str:
    """A value as it is shown, cut to a width."""
    if value is None:
        return "-"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if width is None or len(text) <= width else f"{text[: width - 3]}..."


def _short(number: int | float) -> str:
    """Three digits and a letter: 1.44M; empty if not known."""
    if not math.isfinite(number):
        return ""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"
