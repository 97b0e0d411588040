"""The training loop: calls, metrics, checkpoints, and how a run stops.

It prints nothing; whoever calls it passes `on_call` to watch.
"""

import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from spectral_tf.config import ConfigError, TrainConfig
from spectral_tf.training.checkpoint import (
    CheckpointError,
    checkpoint_folders,
    restore_latest,
    save_checkpoint,
)
from spectral_tf.training.parallel import Device, MultiStep, parallel_steps
from spectral_tf.training.state import TrainState, init_state


class NonFiniteError(RuntimeError):
    """Loss or a norm is NaN or infinite; the message gives the step and the norms."""


class Interrupted(RuntimeError):
    """The run was asked to stop (Ctrl-C, SIGTERM) and has saved what it had."""


class Progress(NamedTuple):
    """One call of the compiled function, seen from the host.

    Attributes:
        step: steps done.
        horizon: steps in all, as far as known.
        seconds: since the end of the first call, which compiles; 0 for that call.
        instances_per_second: over this call.
        metrics: name -> mean over the steps of this call (a list per rank for
            `cosine` and `eigenvalue_error`).
    """

    step: int
    horizon: int
    seconds: float
    instances_per_second: float
    metrics: dict[str, Any]


@contextmanager
def stop_requests() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set; a second Ctrl-C interrupts at once."""
    asked = threading.Event()

    def handler(signum: int, _: Any) -> None:
        if asked.is_set() and signum == signal.SIGINT:
            raise KeyboardInterrupt
        asked.set()

    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {
        one: signal.signal(one, handler) for one in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield asked
    finally:
        for one, old in before.items():
            signal.signal(one, old)


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


class _Records:
    """Files of a run: config.json, metrics.jsonl, checkpoints; nothing if no folder."""

    def __init__(self, run_dir: Path | None, config: TrainConfig) -> None:
        self.run_dir, self.config = run_dir, config

    def open(self, step: int) -> None:
        if self.run_dir is None:
            return
        self.run_dir.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.config.to_dict(), indent=1)
        (self.run_dir / "config.json").write_text(text)
        path = self.run_dir / "metrics.jsonl"
        # After a resume, what was logged beyond the checkpoint is logged again.
        lines = path.read_text().splitlines() if path.exists() else []
        kept = [line for line in lines if json.loads(line)["step"] <= step]
        path.write_text("".join(f"{line}\n" for line in kept))

    def log(self, progress: Progress) -> None:
        if self.run_dir is None:
            return
        with (self.run_dir / "metrics.jsonl").open("a") as file:
            flat = progress._asdict() | progress.metrics
            del flat["metrics"]
            file.write(json.dumps(flat) + "\n")

    def save(self, state: TrainState, horizon: int) -> None:
        if self.run_dir is not None:
            save_checkpoint(self.run_dir, self.config, state, {"horizon": horizon})


def pretrain(  # noqa: PLR0913 - all but two are keywords with a default
    config: TrainConfig,
    run_dir: Path | str | None = None,
    *,
    resume: bool = False,
    max_seconds: float | None = None,
    on_call: Callable[[Progress], None] | None = None,
    devices: Sequence[Device] | None = None,
    init_params: Any = None,
) -> TrainState:
    """Pre-train on instances sampled on the devices.

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

    Returns:
        The final state, replicated on the devices.

    Raises:
        CheckpointError: if `run_dir` holds a run already and resume is False, or
            nothing can be resumed, or a checkpoint cannot be written.
        ParamsError: if `init_params` do not fit `config.model`; nothing is written.
        NonFiniteError: if a loss or norm is not finite.
        Interrupted: after Ctrl-C or SIGTERM, with a checkpoint saved.

    Example:
        >>> import spectral_tf
        >>> config = spectral_tf.TrainConfig(
        ...     model=spectral_tf.ModelConfig(num_blocks=1, block=("cross", "mlp")),
        ...     shapes=((4, 8),), num_steps=2, steps_per_call=1, warmup_steps=1,
        ...     batch_size=4)
        >>> int(spectral_tf.pretrain(config).step)
        2

    Source: ours.
    """
    folder = None if run_dir is None else Path(run_dir)
    state, horizon = _begin(config, folder, resume, init_params)
    records = _Records(folder, config)
    run = _Run(config, parallel_steps(config, devices), records, on_call)
    records.open(int(state.step))
    with stop_requests() as asked:
        return run(state, horizon, max_seconds, asked)


def _begin(
    config: TrainConfig, folder: Path | None, resume: bool, init_params: Any
) -> tuple[TrainState, int]:
    """Fresh or restored state, and the horizon."""
    if resume:
        if folder is None:
            raise ConfigError("resume=True needs run_dir, the folder of the run.")
        restored = restore_latest(folder, config)
        return restored.state, int(restored.meta["horizon"])
    if folder is not None and checkpoint_folders(folder):
        raise CheckpointError(
            f"{folder} holds a run already; resume it, or choose another run folder."
        )
    return init_state(config, init_params), config.num_steps


class _Run:
    """The loop itself, with what does not change from call to call."""

    def __init__(
        self,
        config: TrainConfig,
        steps: MultiStep,
        records: _Records,
        on_call: Callable[[Progress], None] | None,
    ) -> None:
        self.config, self.steps, self.records = config, steps, records
        self.on_call, self.begin = on_call, time.perf_counter()
        self.key = jax.random.key(config.seed)

    def __call__(
        self,
        state: TrainState,
        horizon: int,
        max_seconds: float | None,
        asked: threading.Event,
    ) -> TrainState:
        calls = 0
        while int(state.step) < horizon:
            step, started = int(state.step), time.perf_counter()
            state, metrics = self.steps(
                state, self.key, jnp.asarray(horizon, jnp.int32)
            )
            # Fetching waits: calls in flight can deadlock on several CPU devices.
            host = jax.tree.map(np.asarray, metrics)
            took = time.perf_counter() - started
            check_finite(host, step)
            calls += 1
            if calls == 1:
                self.begin = time.perf_counter()
            if max_seconds is not None and calls == 2:
                horizon = self._fit(step, took, max_seconds)
            self._report(int(state.step), horizon, took, host)
            every = self.config.calls_per_save
            if asked.is_set():
                self._stop(state, horizon)
            elif every and calls % every == 0:
                self.records.save(state, horizon)
        self.records.save(state, horizon)
        return state

    def _fit(self, step: int, took: float, max_seconds: float) -> int:
        """The horizon that the time left allows, in whole calls."""
        size = self.config.steps_per_call
        left = max_seconds - (time.perf_counter() - self.begin)
        calls = max(int(left / took), 0)
        return min(step + size + calls * size, self.config.num_steps)

    def _report(
        self, step: int, horizon: int, took: float, host: dict[str, np.ndarray]
    ) -> None:
        config = self.config
        instances = config.steps_per_call * config.batch_size * len(config.shapes)
        means = {name: np.mean(leaf, axis=0).tolist() for name, leaf in host.items()}
        seconds = time.perf_counter() - self.begin
        progress = Progress(step, horizon, seconds, instances / took, means)
        self.records.log(progress)
        if self.on_call is not None:
            self.on_call(progress)

    def _stop(self, state: TrainState, horizon: int) -> None:
        self.records.save(state, horizon)
        where = self.records.run_dir
        raise Interrupted(
            f"stopped at step {int(state.step)} of {horizon}; nothing was kept, since "
            "the run has no folder."
            if where is None
            else f"stopped at step {int(state.step)} of {horizon} with a checkpoint. "
            f"Resume with: spectral-tf pretrain --run-dir {where} --resume"
        )
