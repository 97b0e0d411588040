"""The command `pretrain`: from typed arguments to a run, and what is seen of it."""

import contextlib
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import jax
import tyro

from spectral_tf.apps.analysis.commands import Shown
from spectral_tf.apps.watch.commands import CURVE, write_curve
from spectral_tf.apps.watch.fine_tuning import filled_in, outcome
from spectral_tf.apps.watch.live import Watch
from spectral_tf.config import DataError, ModelConfig, TrainConfig, require
from spectral_tf.constructive.power_method import power_method_params
from spectral_tf.estimators.networks import load_network, trained_on
from spectral_tf.model.network import Network
from spectral_tf.sampling.past import load_past
from spectral_tf.training.checkpoint import restore_latest
from spectral_tf.training.distributed import join, stops_with_the_others
from spectral_tf.training.hot_start import trainable
from spectral_tf.training.loop import pretrain
from spectral_tf.training.profile import profile
from spectral_tf.training.records import Progress, check_run_dir
from spectral_tf.training.tensorboard import TensorboardSink

Flat = tyro.conf.arg(name="")


class _Start(NamedTuple):
    """The run's configuration, its first parameters (None: random), what to tell."""

    config: TrainConfig
    params: Any
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Pretrain:
    """Pre-train on instances sampled on the devices."""

    # Folder of the run: config.json, metrics.jsonl, checkpoints.
    run_dir: Path
    # Everything that decides the numbers of the run.
    train: Annotated[TrainConfig, Flat] = dataclasses.field(default_factory=TrainConfig)
    # Learn from blocks of rows of this table as well: see the fields of train.table.
    # With --init-weights this is fine-tuning, and fields of train at their defaults
    # take its recipe (learning rate, steps, batch, the families of those weights).
    data: str | None = None
    # First weights; constructed: the power method for the one d of shapes.
    init: Literal["random", "constructed"] = "random"
    # constructed: rms trains at learning-rate 2e-3; register diverges above 1e-6.
    init_variant: str = "rms"
    # constructed: iterations, which decide the number of blocks.
    init_iters: int = 4
    # Start from a shipped checkpoint, a folder of weights or of a run, and its model.
    init_weights: str | None = None
    # Go on from the newest good checkpoint in run_dir, with its configuration.
    resume: bool = False
    # Shorten the run to about this many seconds.
    max_seconds: float | None = None
    # The configuration from this JSON file, e.g. the config.json of another run.
    config: Path | None = None
    # Join the other processes that the cluster's launcher started (SLURM, GKE, TPU).
    distributed: bool = False
    # Join by hand: HOST:PORT of process 0; then these two as well.
    coordinator: str | None = None
    # Processes in all.
    num_processes: int | None = None
    # Which of them this one is, from 0.
    process_id: int | None = None
    # Write TensorBoard events into the run folder.
    tensorboard: bool = False
    # Trace calls 2 and 3 for the JAX profiler into the run folder.
    profile: bool = False
    # Print the last metrics as JSON on stdout and nothing else.
    json: bool = False

    def _start(self) -> _Start:
        """What the arguments ask for."""
        train, params = self._first()
        if self.data is None:
            return _Start(train, params, _notes(train))
        train = train.replace(table=train.table.replace(source=self.data))
        known = None if self.init_weights is None else trained_on(self.init_weights)
        past = load_past(train.table)
        filled = filled_in(train, past, known, is_hot=params is not None)
        return _Start(filled, params, past.notes)

    def _first(self) -> tuple[TrainConfig, Any]:
        """The configuration as given, but for the model of weights that are given."""
        train, folder = self.train, self.init_weights
        if self.init == "random" and folder is None:
            return train, None
        require(
            self.init == "random" or folder is None,
            f"--init constructed and --init-weights {folder} both give the first "
            "weights; leave one of them out.",
        )
        default, given = ModelConfig().flat(), train.model.flat()
        read = ("num_components", "scalar_channels")  # the latter grows with k
        lost = [name for name in given if given[name] != default[name]]
        lost = [f"model.{name}" for name in lost if name not in read]
        require(
            not lost,
            f"{', '.join(lost)} would be ignored: with --init constructed or "
            "--init-weights the first weights decide the model; leave them out.",
        )
        start = self._constructed() if folder is None else load_network(folder)
        model, params = trainable(start)
        return train.replace(model=model), params

    def _constructed(self) -> Network[ModelConfig]:
        dims = sorted({dim for dim, _ in self.train.shapes})
        require(
            len(dims) == 1,
            f"shapes has d={', '.join(map(str, dims))}, but constructed weights are "
            "for one d; give shapes that agree, e.g. --shapes 10 50 10 100.",
        )
        k = self.train.model.num_components
        return Network(
            *power_method_params(dims[0], k, self.init_iters, self.init_variant)
        )

    def run(self) -> Shown:
        """Train; the run folder holds everything, `curve.png` included."""
        check_run_dir(self.run_dir)
        by_hand = self.coordinator, self.num_processes, self.process_id
        join(self.distributed, *by_hand, run_dir=self.run_dir)
        config, params, notes = self._begin()
        seen: list[Progress] = []

        def keep(progress: Progress) -> None:
            seen[:] = [progress]

        is_first = jax.process_index() == 0
        with contextlib.ExitStack() as stack:
            stack.enter_context(stops_with_the_others())
            watch = stack.enter_context(Watch(quiet=self.json or not is_first))
            watch.stage(f"{len(jax.devices())} device(s), {config.parallel}; compiling")
            observers: list[Callable[[Progress], None]] = [watch.call, keep]
            if self.tensorboard and is_first:
                sink = TensorboardSink(self.run_dir / "tensorboard")
                observers.append(stack.enter_context(sink))
            if self.profile:
                observers.append(stack.enter_context(profile(self.run_dir / "profile")))
            if is_first:
                stack.push(self._drawing(seen))
            state = pretrain(
                config,
                self.run_dir,
                resume=self.resume,
                max_seconds=self.max_seconds,
                on_call=lambda progress: _tell(observers, progress),
                init_params=params,
            )
        last = seen[0].metrics if seen else {}
        document = {"run_dir": str(self.run_dir), "step": int(state.step), **last}
        document |= {"notes": list(notes)} if notes else {}
        text = "".join(f"{note}\n" for note in notes)
        text += (
            f"step {int(state.step)}: checkpoint, metrics.jsonl and {CURVE} in "
            f"{self.run_dir}\n"
        )
        if config.table.source and config.calls_per_eval and is_first:
            document["fine_tuning"], told = outcome(self.run_dir)
            text += told
        return Shown(document, text)

    def _begin(self) -> _Start:
        """What the arguments ask for, or the run that is resumed."""
        if self.resume and self.train == TrainConfig() and self.config is None:
            stored = restore_latest(self.run_dir).train
            require(
                self.data in (None, stored.table.source),
                f"--data {self.data} is not the table of {self.run_dir}, which is "
                f"{stored.table.source or 'none'}; leave --data out to resume.",
            )
            return _Start(stored, None, _notes(stored))
        if self.config is None:
            return self._start()
        require(
            self.train == TrainConfig() and self.data is None,
            f"--config {self.config} decides the whole configuration; leave the other "
            "fields out, or change them in the file.",
        )
        return dataclasses.replace(self, train=_read_config(self.config))._start()

    def _drawing(self, seen: list[Progress]) -> Callable[..., None]:
        """Draws the curve when the run ends, however it ends."""

        def end(_: object, error: BaseException | None, __: object) -> None:
            try:
                if seen:
                    write_curve(self.run_dir)
            except DataError as failed:
                if error is None:
                    raise
                error.add_note(str(failed))  # the first error is the one to see

        return end


def _tell(observers: list[Callable[[Progress], None]], progress: Progress) -> None:
    for observer in observers:
        observer(progress)


def _notes(train: TrainConfig) -> tuple[str, ...]:
    """What is to be told of the table of a run, if it has one."""
    return load_past(train.table).notes if train.table.source else ()


def _read_config(path: Path) -> TrainConfig:
    """A `TrainConfig` from JSON."""
    try:
        values = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"--config {path} cannot be read: {error}. Give the config.json of a run."
        ) from error
    require(isinstance(values, dict), f"--config {path} must hold a JSON object.")
    return TrainConfig.from_dict(values)
