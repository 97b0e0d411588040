"""The training loop: calls, metrics, checkpoints, and how a run stops.

It says nothing unless asked to; whoever calls it passes `on_call` to watch.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from spectral_tf.config import AnyRun, ConfigError, TrainConfig
from spectral_tf.sampling.past import PastTable, check_past, load_past
from spectral_tf.settings import compiled_settings, random_key
from spectral_tf.training.checkpoint import (
    CheckpointError,
    checkpoint_folders,
    restore_latest,
    to_host,
)
from spectral_tf.training.lines import ProgressLines, on_stderr
from spectral_tf.training.parallel import (
    Device,
    MultiStep,
    on_rows,
    parallel_steps,
)
from spectral_tf.training.records import Progress, Records, check_run_dir
from spectral_tf.training.state import Trained, TrainState, init_state
from spectral_tf.training.stopping import (
    FAILED,
    PREEMPT,
    Interrupted,
    Preempted,
    StopRequest,
    agree,
    same_everywhere,
    stop_requests,
)
from spectral_tf.training.tasks import Evaluate, task_of


class NonFiniteError(RuntimeError):
    """Loss or a norm is NaN or infinite; the message gives the step and the norms."""


def check_finite(metrics: dict[str, np.ndarray], step: int) -> None:
    """Raise `NonFiniteError` at the first step whose loss or norms are not finite."""
    names = ("loss", "grad_norm", "update_norm", "param_norm")
    for index in range(len(metrics["loss"])):
        values = {name: float(metrics[name][index]) for name in names}
        if not all(math.isfinite(value) for value in values.values()):
            shown = ", ".join(f"{name}={value:.4g}" for name, value in values.items())
            raise NonFiniteError(
                f"step {step + index + 1} is not finite: {shown}. The last good "
                "checkpoint is kept; lower learning_rate or max_grad_norm and resume "
                "from it in a new run."
            )


@compiled_settings()
def pretrain(  # noqa: PLR0913 - all but two are keywords with a default
    config: AnyRun,
    run_dir: Path | str | None = None,
    *,
    resume: bool = False,
    max_seconds: float | None = None,
    on_call: Callable[[Progress], None] | None = None,
    devices: Sequence[Device] | None = None,
    init_params: Any = None,
    verbose: bool = False,
) -> Trained:
    """Pre-train on instances sampled on the devices.

    With `config.source` a share of them are blocks of rows of that table. It is
    read here; the run is scored on the rows it holds out before the first step, too, so
    that the best checkpoint is the start where training does not help.

    Args:
        config: everything that decides the numbers, but for `init_params`.
        run_dir: where config.json, metrics.jsonl and checkpoints go; None keeps
            nothing.
        resume: go on from the newest verified checkpoint in `run_dir`.
        max_seconds: shorten the run to about this long (not counting the first call,
            which compiles): after two calls the end of the learning-rate schedule is
            set from the measured speed, at most `config.num_steps`. The horizon is
            stored with the state.
        on_call: called with `Progress` after every compiled call.
        devices: defaults to all.
        init_params: start from these parameters of `config.model` (a hot start), with
            those that are exactly 0 held there, see `free_gradients`; None draws them
            from `config.seed`. A resumed run does not look at them.
        verbose: write a line on stderr every few seconds: step, speed, loss, time left.

    Returns:
        The last state, replicated on the devices, and `.network`, to be called.

    Raises:
        CheckpointError: if `run_dir` holds a run already and resume is False, or
            nothing can be resumed, or a file of the run cannot be written, or the
            table is not the one that the run began with.
        DataError: if the table cannot be used, or not with these shapes.
        ParamsError: if `init_params` do not fit `config.model`; nothing is written.
        NonFiniteError: if a loss or norm is not finite.
        Interrupted: after Ctrl-C, with a checkpoint saved.
        Preempted: the same after SIGTERM.

    Example:
        >>> import spectral_tf
        >>> config = spectral_tf.TrainConfig(
        ...     model=spectral_tf.ModelConfig(num_blocks=1, block=("cross", "mlp")),
        ...     shapes=((4, 8),), num_steps=2, steps_per_call=1, warmup_steps=1,
        ...     batch_size=4)
        >>> int(spectral_tf.pretrain(config).step)
        2
    """
    folder = None if run_dir is None else Path(run_dir)
    check_run_dir(folder)
    observers = [ProgressLines()] if verbose else []
    observers += [] if on_call is None else [on_call]
    if verbose:
        on_stderr(f"compiling for {len(devices or jax.devices())} device(s)")
    past = _past(config)
    begun = _begin(config, folder, resume, init_params, past)
    steps = parallel_steps(config, devices)
    if past is not None:
        steps = on_rows(steps, past.training, devices)
    ahead = calls_ahead(jax.devices() if devices is None else devices)
    with Records(folder, config) as records, stop_requests() as request:
        records.open(int(begun.state.step))
        run = _Run(config, steps, records, request, observers, past)
        return Trained(run(begun, max_seconds, ahead), config)


def calls_ahead(devices: Sequence[Device]) -> int:
    """Calls that are dispatched before the metrics of an earlier one are fetched.

    Args:
        devices: of the run.

    Returns:
        1, so that an accelerator never waits for the host; 0 on the CPU, where calls in
        flight on several virtual devices can deadlock in an all-reduce.
    """
    return 0 if any(device.platform == "cpu" for device in devices) else 1


class _Begun(NamedTuple):
    """Where a run begins: state, horizon, and the seconds trained before."""

    state: TrainState
    horizon: int
    seconds: float


def _past(config: AnyRun) -> PastTable | None:
    """The run's table, the same on every process; None without one."""
    if not isinstance(config, TrainConfig) or not config.table.source:
        return None
    past = load_past(config.table)
    check_past(past, config.table, config.shapes)
    part = int(past.digest[:7], 16)
    if part != same_everywhere(part):
        raise CheckpointError(
            f"process {jax.process_index()} reads another {config.source} than "
            "process 0; give all processes the same file."
        )
    return past


def _require_same_table(meta: dict[str, Any], past: PastTable | None) -> None:
    """Refuse to go on with a table that has changed."""
    stored = (meta.get("table") or {}).get("sha256")
    if past is not None and stored != past.digest:
        raise CheckpointError(
            f"{past.name} is not the table that the run began with: its sha256 is "
            f"{past.digest[:12]}..., the checkpoint says {str(stored)[:12]}... Bring "
            "the old file back, or start a new run folder."
        )


def _begin(
    config: AnyRun,
    folder: Path | None,
    resume: bool,
    init_params: Any,
    past: PastTable | None,
) -> _Begun:
    """A fresh state or the newest checkpoint, the same on every process."""
    if not resume:
        if folder is not None and checkpoint_folders(folder):
            raise CheckpointError(
                f"{folder} holds a run already; resume it, or choose another run "
                "folder."
            )
        return _Begun(init_state(config, init_params), config.num_steps, 0.0)
    if folder is None:
        raise ConfigError("resume=True needs run_dir, the folder of the run.")
    state, _, meta, path = restore_latest(folder, config)
    _require_same_table(meta, past)
    first = same_everywhere(int(state.step))
    if int(state.step) != first:
        raise CheckpointError(
            f"process {jax.process_index()} finds {path}, but process 0 resumes from "
            f"step {first}; give all processes the same run folder."
        )
    return _Begun(state, int(meta["horizon"]), float(meta.get("seconds", 0.0)))


def _evaluator(config: AnyRun, rows: np.ndarray | None = None) -> Evaluate | None:
    """Scores parameters on what is held out; None if the run never does."""
    return task_of(config).heldout(rows) if config.calls_per_eval > 0 else None


class _Call(NamedTuple):
    """A call under way: steps done after it, when it began, what it will give."""

    step: int
    started: float
    metrics: dict[str, Array]
    code: Array | None


class _Run:
    """The loop itself, with what does not change from call to call."""

    def __init__(
        self,
        config: AnyRun,
        steps: MultiStep,
        records: Records,
        request: StopRequest,
        observers: Sequence[Callable[[Progress], None]],
        past: PastTable | None,
    ) -> None:
        self.config, self.steps, self.records = config, steps, records
        self.request, self.observers = request, observers
        self.key = random_key(config.seed)
        held = () if past is None else (past.heldout,)
        self.past, self.evaluate = past, _evaluator(config, *held)
        self.heldout: dict[str, Any] | None = None
        self.calls = 0

    def __call__(
        self, begun: _Begun, max_seconds: float | None, ahead: int
    ) -> TrainState:
        state, self.horizon, self.earlier = begun
        self.max_seconds = max_seconds
        self.opened = self.begin = self.fetched = time.perf_counter()
        step, code, under_way = int(state.step), 0, deque[_Call]()
        if step == 0 and self.past is not None:
            self._score_start(state)
        while step < self.horizon:
            step += self.config.steps_per_call
            state, call = self._dispatch(state, step)
            under_way.append(call)
            # The state of a call is gone once the next one has taken it.
            most = 0 if self._needs_state(step, len(under_way)) else ahead
            while len(under_way) > most:
                code = max(code, self._finish(under_way.popleft(), state))
                most = 0 if code else most
            if code:
                self._stop(state, code)
        return state

    def _dispatch(self, state: TrainState, step: int) -> tuple[TrainState, _Call]:
        """Begin a call; nothing here waits for the devices."""
        started = time.perf_counter()
        code = agree(FAILED if self.records.has_failed else self.request.code)
        horizon = jnp.asarray(self.horizon, jnp.int32)
        state, metrics = self.steps(state, self.key, horizon)
        return state, _Call(step, started, metrics, code)

    def _needs_state(self, step: int, under_way: int) -> bool:
        """True if the call must be over before the next: it is saved or evaluated."""
        times_it = self.max_seconds is not None and self.calls + under_way <= 2
        return times_it or self._saves(step) or self._evaluates(step)

    def _saves(self, step: int) -> bool:
        return step >= self.horizon or self._is_turn(step, self.config.calls_per_save)

    def _evaluates(self, step: int) -> bool:
        every = self.config.calls_per_eval
        return every > 0 and (step >= self.horizon or self._is_turn(step, every))

    def _is_turn(self, step: int, every: int) -> bool:
        """Counted from the start of the run, so that a resumed one does the same."""
        return every > 0 and step // self.config.steps_per_call % every == 0

    def _finish(self, call: _Call, state: TrainState) -> int:
        """Wait for a call, check and report it; the code of a wish to stop."""
        metrics = to_host(call.metrics)
        now = time.perf_counter()
        took, self.fetched = now - max(call.started, self.fetched), now
        check_finite(metrics, call.step - self.config.steps_per_call)
        self.calls += 1
        if self.calls == 1:
            self.begin = now
        if self.max_seconds is not None and self.calls == 2:
            self.horizon = self._fit(call.step, took, self.max_seconds)
        self.heldout = self._scores(state) if self._evaluates(call.step) else None
        self._report(call.step, took, metrics)
        if self._saves(call.step) or self._is_best():
            self._save(state)
        return self._agreed(call.code)

    def _agreed(self, posted: Array | None) -> int:
        """The code that all processes act on after a call; raise if a write failed."""
        if posted is None:
            self.records.check()
            return self.request.code
        code = int(to_host(posted))
        if code == FAILED:
            self.records.check()
            raise CheckpointError(
                "process 0 could not write a checkpoint and has stopped; its message "
                "says why. Earlier checkpoints are intact."
            )
        return code

    def _fit(self, step: int, took: float, max_seconds: float) -> int:
        """The horizon that the time left allows, in whole calls."""
        size = self.config.steps_per_call
        left = max_seconds - (time.perf_counter() - self.begin)
        calls = max(int(left / took), 0)
        return same_everywhere(min(step + calls * size, self.config.num_steps))

    def _scores(self, state: TrainState) -> dict[str, Any] | None:
        """Held-out scores of the averaged weights, by each process on one device."""
        if self.evaluate is None:
            return None
        here = lambda leaf: leaf.addressable_shards[0].data
        return self.evaluate(jax.tree.map(here, state.averaged))

    def _score_start(self, state: TrainState) -> None:
        """Score, log and keep what the run starts from, unless that was done before."""
        if self.evaluate is None or math.isfinite(self.records.best_loss):
            return
        self.heldout = self._scores(state)
        self.records.log(Progress(0, self.horizon, 0.0, 0.0, {}, self.heldout))
        if self._is_best():
            self._save(state)

    def _is_best(self) -> bool:
        """True if the scores are the best so far, which is kept whatever its step."""
        if self.heldout is None or not self.heldout["loss"] < self.records.best_loss:
            return False
        self.records.best_loss = self.heldout["loss"]
        return True

    def _report(self, step: int, took: float, metrics: dict[str, np.ndarray]) -> None:
        config = self.config
        instances = config.steps_per_call * config.batch_size * len(config.shapes)
        means = {name: np.mean(leaf, axis=0).tolist() for name, leaf in metrics.items()}
        seconds, speed = self.fetched - self.begin, instances / took
        progress = Progress(step, self.horizon, seconds, speed, means, self.heldout)
        self.records.log(progress)
        for observer in self.observers:
            observer(progress)

    def _save(self, state: TrainState) -> None:
        seconds = self.earlier + time.perf_counter() - self.opened
        extra = {"horizon": self.horizon, "seconds": seconds, "heldout": self.heldout}
        if self.past is not None:
            extra["table"] = self.past.record()
        self.records.save(state, extra)

    def _stop(self, state: TrainState, code: int) -> None:
        self._save(state)
        self.records.wait()
        kind = Preempted if code == PREEMPT else Interrupted
        where, at = self.records.run_dir, f"stopped at step {int(state.step)}"
        raise kind(
            f"{at} of {self.horizon}; nothing was kept, since the run has no folder."
            if where is None
            else f"{at} of {self.horizon} with a checkpoint. Resume with: spectral-tf "
            f"pretrain --run-dir {where} --resume"
        )
