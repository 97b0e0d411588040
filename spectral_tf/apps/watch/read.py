"""What a run folder says: its configuration, its metrics, how far it came.

`config.json` and `metrics.jsonl` are enough; checkpoints are not opened. A run may be
going on: a last line that is half written is left out.
"""

import dataclasses
import functools
import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from spectral_tf.config import (
    AnyModel,
    ConfigError,
    DataError,
    EnsembleConfig,
    ModelConfig,
    run_config,
)
from spectral_tf.model.params import count_params, parameter_shapes
from spectral_tf.training.presence import presence

CONFIG, METRICS = "config.json", "metrics.jsonl"
# Shorter silences say nothing: compiling can take minutes.
LEAST_SILENCE = 300.0

# `running?`: below the horizon, written to not long ago, and no process is known.
State = Literal["finished", "stopped", "running", "running?"]


class Extreme(NamedTuple):
    """The `last` value of a metric, its lowest (`best`), and the step of that."""

    last: float
    best: float
    best_step: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """One run folder.

    Attributes:
        folder: of the run.
        config: its configuration as JSON values, defaults filled in; as it stands in
            the file if this version of the package does not know all its fields.
        metrics: name -> `[T]` or `[T, k]`, one row per line of metrics.jsonl; NaN
            where a line lacks the name. What is held out is named `heldout/loss` etc.
        state: `finished` at its horizon; else `running` or `stopped`, as its process
            says, see `training/presence.py`. Where that is not known, `stopped` if
            metrics.jsonl has not grown for longer than 10 of its longest calls (and 5
            minutes), else `running?`.
        num_params: scalars of the model; None if this version cannot build it.
        num_bytes: of all files in the folder.
    """

    folder: Path
    config: dict[str, Any]
    metrics: dict[str, np.ndarray]
    state: State
    num_params: int | None
    num_bytes: int

    @property
    def steps(self) -> np.ndarray:
        """Steps done at each line `[T]`."""
        return self.metrics["step"].astype(int)

    @property
    def step(self) -> int:
        """Steps done; 0 before the first line."""
        return int(self.steps[-1]) if self.steps.size else 0

    @property
    def horizon(self) -> int:
        """Steps in all, as far as known."""
        last = self.metrics["horizon"][-1:]
        known = last.size and math.isfinite(last[0])
        return int(last[0]) if known else int(self.config["num_steps"])

    @property
    def instances_per_step(self) -> int:
        """Instances of one step, over all shapes."""
        return int(self.config["batch_size"]) * len(self.config["shapes"])

    @property
    def instances(self) -> int:
        """Instances seen so far."""
        return self.step * self.instances_per_step

    @property
    def seconds(self) -> float:
        """Time spent, the first call of each start left out (it compiles)."""
        seconds = self.metrics["seconds"]
        return float(np.nansum(np.maximum(np.diff(seconds, prepend=0.0), 0)))

    @property
    def instances_per_second(self) -> float:
        """Median over the calls that do not compile; NaN if there is no call."""
        rates, seconds = self.metrics["instances_per_second"], self.metrics["seconds"]
        # The clock of `seconds` starts again when a run is resumed.
        warm = rates[np.diff(seconds, prepend=math.inf) > 0]
        chosen = warm if warm.size else rates
        return float(np.nanmedian(chosen)) if np.isfinite(chosen).any() else math.nan

    def extreme(self, name: str) -> Extreme | None:
        """Last and best of a metric `[T]`; None if it was never recorded."""
        values = self.metrics.get(name, np.zeros(0))
        (seen,) = np.nonzero(np.isfinite(values))
        if not seen.size:
            return None
        best = seen[np.argmin(values[seen])]
        last, lowest = float(values[seen[-1]]), float(values[best])
        return Extreme(last, lowest, int(self.steps[best]))

    def last(self, name: str) -> np.ndarray:
        """The newest row of a metric `[T, k]`; empty if it was never recorded."""
        values = self.metrics.get(name, np.zeros((0, 0)))
        seen = values[np.isfinite(values).all(axis=1)] if values.ndim == 2 else values
        return seen[-1] if values.ndim == 2 and len(seen) else np.zeros(0)


def read_run(folder: Path | str) -> Run:
    """Read a run folder; nothing is written.

    Args:
        folder: holds config.json and metrics.jsonl.

    Returns:
        The run.

    Raises:
        DataError: if a file is missing or damaged; the message says where.
    """
    path = Path(folder)
    for name in (CONFIG, METRICS):
        if not (path / name).is_file():
            raise DataError(
                f"{path} is not a run: it has no {name}; give the --run-dir of a "
                "`spectral-tf pretrain`."
            )
    config, size = _read_config(path / CONFIG)
    metrics = _stack(path / METRICS, _read_lines(path / METRICS))
    draft = Run(
        folder=path,
        config=config,
        metrics=metrics,
        state="stopped",
        num_params=size,
        num_bytes=_num_bytes(path),
    )
    return dataclasses.replace(draft, state=_state(draft))


def find_runs(root: Path | str) -> list[Path]:
    """Folders of runs at or below a folder; what is inside a run is not searched.

    Args:
        root: where to look; links to folders are not followed.

    Returns:
        Folders with config.json and metrics.jsonl, sorted.

    Raises:
        DataError: if `root` is not a folder.
    """
    if not Path(root).is_dir():
        raise DataError(f"{root} is not a folder; give one that runs are kept in.")
    found = []
    for folder, inside, files in os.walk(root):
        if {CONFIG, METRICS} <= set(files):
            found.append(Path(folder))
            inside.clear()
    return sorted(found)


@functools.cache
def num_params(model: AnyModel) -> int:
    """Scalars of a model's parameters."""
    return count_params(parameter_shapes(model))


def _read_config(path: Path) -> tuple[dict[str, Any], int | None]:
    """The configuration, and the model's number of parameters."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}; restore the file.") from error
    needed = {"batch_size": int, "num_steps": int, "shapes": list}
    has_all = isinstance(values, dict) and all(
        isinstance(values.get(name), kind) for name, kind in needed.items()
    )
    if not has_all:
        raise DataError(
            f"{path} is not the configuration of a run: it must be a JSON object with "
            f"{', '.join(needed)}; restore the file."
        )
    try:
        config = run_config(values)
    except (ConfigError, TypeError):
        for name, kind in (("model", ModelConfig), ("ensemble", EnsembleConfig)):
            if isinstance(values.get(name), dict):
                values[name] = kind.flattened(values[name])
        return json.loads(json.dumps(values)), None  # of another version
    # Through JSON: tuples become lists, as in the file.
    return json.loads(json.dumps(config.flat())), num_params(config.model)


def _read_lines(path: Path) -> list[dict[str, Any]]:
    """The records, each flat; a last line that is half written is left out."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}.") from error
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        # The start of a run on a table has a held-out loss alone.
        flat = _flat(record) if isinstance(record, dict) else {}
        if "step" in flat and ("loss" in flat or "heldout/loss" in flat):
            records.append(flat)
        elif number < len(lines):
            raise DataError(
                f"{path}, line {number} is not a JSON object with step and loss; "
                "remove the line, or restore the file."
            )
    return records


def _flat(record: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """`{"heldout": {"loss": 1}}` to `{"heldout/loss": 1}`; no None, no text."""
    flat = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{above}{name}/")
        elif value is not None and not isinstance(value, str):
            flat[f"{above}{name}"] = value
    return flat


def _stack(path: Path, records: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Name -> array with one row per record, NaN where a record lacks the name."""
    always = ("step", "horizon", "seconds", "instances_per_second", "loss")
    names = dict.fromkeys([*always, *(name for one in records for name in one)])
    stacked = {}
    for name in names:
        given = [np.asarray(one[name]) for one in records if name in one]
        shape = given[0].shape if given else ()
        blank = np.full(shape, math.nan)
        try:
            rows = [np.asarray(one.get(name, blank), float) for one in records]
            stacked[name] = np.stack(rows) if rows else np.zeros((0, *shape))
        except (ValueError, TypeError) as error:
            raise DataError(
                f"{path}: {name} is not of one shape, or not numbers: {error}; "
                "restore the file."
            ) from error
    return stacked


def _num_bytes(folder: Path) -> int:
    """Bytes of all files; one that vanishes meanwhile (an old checkpoint) is none."""
    total = 0
    for above, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(os.path.join(above, name)).st_size
            except OSError:
                continue
    return total


def _state(run: Run) -> State:
    if run.step >= run.horizon:
        return "finished"
    known = presence(run.folder)
    if known != "unknown":
        return "running" if known == "running" else "stopped"
    gaps = np.diff(run.metrics["seconds"], prepend=0.0)
    longest = float(np.nanmax(gaps, initial=0.0))
    silence = time.time() - (run.folder / METRICS).stat().st_mtime
    return "stopped" if silence > max(LEAST_SILENCE, 10 * longest) else "running?"
