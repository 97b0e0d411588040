"""The main job: construct, pre-train, and run both on synthetic and on real data.

`run_demo` computes and writes files; `cli.py` prints. Everything that is shown is in
`report.json`, and the figures are drawn from it.
"""

import dataclasses
import datetime
import itertools
import math
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from spectral_tf.apps.report.claims import Comparison, compared, verdict
from spectral_tf.apps.report.curves import learning_curve_figure
from spectral_tf.apps.report.depth import Contestant, depth_curves
from spectral_tf.apps.report.figures import (
    Curve,
    depth_figure,
    eigenvalue_figure,
)
from spectral_tf.apps.report.stream_figure import save_figure
from spectral_tf.apps.report.tables import HEADER, Entry, plain_table, table_rows
from spectral_tf.apps.watch.compare import run_curve
from spectral_tf.apps.watch.read import Run, read_run
from spectral_tf.config import Config, EnsembleConfig, ModelConfig, TrainConfig, require
from spectral_tf.config.wording import counted, json_text
from spectral_tf.constructive.fuse import fuse
from spectral_tf.constructive.power_method import power_method_params
from spectral_tf.constructive.subspace import subspace_iteration
from spectral_tf.evaluation import (
    PredictFn,
    evaluate,
    instance_scores,
    orthogonal_iteration_predict,
    rayleigh_ritz_predict,
)
from spectral_tf.model.network import Network
from spectral_tf.model.transformer import Estimate
from spectral_tf.sampling.instance import Instance
from spectral_tf.sampling.real import row_blocks, svd_reduce
from spectral_tf.sampling.sampler import sample_batch
from spectral_tf.settings import random_key
from spectral_tf.tables.load import Table, load_table
from spectral_tf.training.checkpoint import versions
from spectral_tf.training.hot_start import with_adaptive_mlp
from spectral_tf.training.loop import Progress, pretrain

REGISTERS = 8
"""Vectors that the trained network iterates; the first k of them are its answer."""
BLOCKS = 8
"""Of the trained network, one product with S each."""
SHAPES = ((16, 64), (48, 128))
"""Columns and rows of the tables that it is trained on, as many of each in every step.

Trained on the narrow ones alone, it forgets on tables of 64 columns what it started
from."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DemoConfig(Config):
    """The demo: what it trains, and what it is shown."""

    # digits, mnist, fashion-mnist, or FILE.csv, FILE.tsv, FILE.npz, FILE.npy.
    data: str = "digits"
    # Rows of one real instance.
    block_size: int = 50
    # Features kept by the SVD in the first real set; 0 leaves that set out.
    svd: int = 10
    # At most this many real blocks.
    max_blocks: int = 200
    # k, the eigenpairs asked for.
    num_components: int = 3
    # Iterations of the constructed network, four blocks each.
    num_iters: int = 30
    # Gradient steps of the training; the learning rate ends with them.
    steps: int = 400
    # A machine that would train longer than about this does fewer steps, and says so.
    max_seconds: float = 900.0
    # Synthetic instances at d = 10; a quarter of it at d = 64.
    num_instances: int = 400
    # Seed of the training, of the synthetic instances and of the real blocks.
    seed: int = 0

    def validate(self) -> None:
        """Check the bounds."""
        self.at_least(2, "block_size")
        self.at_least(1, "num_components", "num_iters", "max_blocks", "num_instances")
        self.at_least(1, "steps")
        self.at_least(0, "svd", "seed")
        self.above(0, "max_seconds")
        require(
            self.svd == 0 or self.svd >= self.num_components,
            f"DemoConfig.svd={self.svd} must be 0 or >= num_components="
            f"{self.num_components}.",
        )
        require(
            self.num_components <= REGISTERS,
            f"DemoConfig.num_components={self.num_components} must be <= {REGISTERS}, "
            "the vectors that the trained network iterates.",
        )


class DemoResult(NamedTuple):
    """What the demo found: `table` text, `report` (as in report.json), `sentences`."""

    table: str
    report: dict[str, Any]
    sentences: tuple[str, ...]
    folder: Path


def training_start(config: DemoConfig) -> tuple[TrainConfig, Network[ModelConfig]]:
    """The demo's run, and the network that it starts from.

    The start is subspace iteration, which is ahead of orthogonal iteration before the
    first step; its MLPs are random, so the seed decides them. What is kept is an
    average of the weights. Of two shapes, a narrow and a wide one; d = 64 is never
    seen.
    """
    model, params = subspace_iteration(
        config.num_components, BLOCKS, registers=REGISTERS
    )
    # Where a register nearly depends on those before it, gradients through deflation
    # overflow; each instance's gradient is cut where it does.
    written = Network(
        model.replace(layout=model.channels.replace(gradient_limit=1.0)), params
    )
    start = with_adaptive_mlp(written, random_key(config.seed))
    train = TrainConfig(
        model=start.config,
        shapes=SHAPES,
        batch_size=16,
        num_steps=config.steps,
        steps_per_call=math.gcd(config.steps, 25),
        warmup_steps=min(50, config.steps // 4),
        learning_rate=2e-4,
        ema_decay=0.98,
        seed=config.seed,
    )
    return train, start


def instance_sets(config: DemoConfig, table: Table) -> dict[str, Instance]:
    """Synthetic and real instances by name, in the order of the table of scores.

    Args:
        config: of the demo.
        table: that its `data` names.

    Returns:
        name -> batched instances.

    Raises:
        DataError: if the table has too few rows or columns.

    Source: DESIGN of the package, section 9.
    """
    key = random_key(config.seed + 1)
    # What the user gave comes first: it may be refused.
    real = _real_sets(config, key, table)
    ensemble = EnsembleConfig(num_components=config.num_components)
    wide = ensemble.replace(dim=64, num_samples=200)
    quarter = max(config.num_instances // 4, 1)
    return {
        "synthetic d=10 N=50": sample_batch(key, ensemble, config.num_instances),
        "synthetic d=64 N=200": sample_batch(key, wide, quarter),
        **real,
    }


def _real_sets(config: DemoConfig, key: jax.Array, table: Table) -> dict[str, Instance]:
    """Blocks of rows of the table, with and without the SVD before."""
    name = Path(table.name).name
    options = {
        "block_size": config.block_size,
        "num_components": config.num_components,
        "max_blocks": config.max_blocks,
    }
    dim, size = table.x.shape[1], config.block_size
    sets = {}
    if 0 < config.svd < dim:
        reduced = svd_reduce(table.x, config.svd)
        label = f"{name} SVD d={config.svd} N={size}"
        sets[label] = row_blocks(key, reduced, **options)
    sets[f"{name} d={dim} N={size}"] = row_blocks(key, table.x, **options)
    return sets


def constructed_for(config: DemoConfig, batch: Instance) -> Contestant:
    """Constructed weights for the set's d."""
    dim, k = int(batch.x.shape[2]), config.num_components
    network = power_method_params(dim, k, config.num_iters)
    return Contestant("constructed", network, config.num_iters, multiply=1)


def compare(contestant: Contestant, name: str, batch: Instance) -> list[Entry]:
    """The network, and orthogonal iteration with as many products with S."""
    network, products = contestant.network, contestant.products
    classic = orthogonal_iteration_predict(network.config, products)
    steps = counted(products, "product")
    methods: dict[str, PredictFn] = {
        f"{contestant.name}, {steps}": fuse(network),
        f"orthogonal iteration, {steps}": classic,
    }
    return [
        Entry(instances=name, method=method, report=evaluate(predict_fn, batch))
        for method, predict_fn in methods.items()
    ]


def compare_trained(
    start: Network[ModelConfig],
    network: Network[ModelConfig],
    name: str,
    batch: Instance,
) -> tuple[list[Entry], list[Comparison]]:
    """The trained network beside what it started from and two classics.

    Args:
        start: before training.
        network: after it, of the same configuration.
        name: of the instances.
        batch: the instances.

    Returns:
        The scores of the four, and the trained network's differences from the other
        three in the order of `RIVALS`; all have as many products with S.
    """
    config, products = network.config, network.config.num_products
    steps = counted(products, "product")
    names = [f"{method}, {steps}" for method in ("trained", *RIVALS)]
    methods: list[PredictFn] = [
        network,
        start,
        orthogonal_iteration_predict(config, products),
        rayleigh_ritz_predict(config, REGISTERS, products),
    ]
    scores = [instance_scores(method, batch) for method in methods]
    scored = list(zip(names, scores, strict=True))
    entries = [
        Entry(instances=name, method=method, report=values.report())
        for method, values in scored
    ]
    return entries, [compared(name, scored[0], other) for other in scored[1:]]


RIVALS = ("its untrained start", "orthogonal iteration", f"Ritz of {REGISTERS} vectors")
"""What the trained network is compared with."""


@jax.jit
def _answers(network: Network[ModelConfig], batch: Instance) -> Estimate:
    return jax.vmap(network)(batch.x, batch.mask)


def run_demo(
    config: DemoConfig,
    folder: Path,
    *,
    on_call: Callable[[Progress], None] | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> DemoResult:
    """Train, construct, compare, draw, write.

    Args:
        config: of the demo.
        folder: of the results; must not exist, or be empty.
        on_call: watches the training, see `pretrain`.
        on_stage: called with one line at each stage.

    Returns:
        `DemoResult`; `folder` then holds report.json, table.txt, the figures, and
        `train/` with the run and its checkpoint.

    Raises:
        DataError: if the data cannot be read; before any training.
        FileExistsError: if the folder exists and is not empty.
        Interrupted: after Ctrl-C, with a checkpoint in `folder/train`.
    """
    begin = time.perf_counter(), time.process_time()
    say = on_stage or (lambda _: None)
    _refuse_taken(folder)
    say(f"reading {config.data} and sampling instances")
    sets = instance_sets(config, source := load_table(config.data))
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / "demo.json", config.to_dict())
    run, start = training_start(config)
    say(f"compiling, then pre-training for {counted(config.steps, 'step')}")
    result = pretrain(
        run,
        folder / "train",
        init_params=start.params,
        max_seconds=config.max_seconds,
        on_call=on_call,
    )
    network = result.network
    trained = Contestant("trained", network, network.config.num_products)
    entries, comparisons, curves, values = [], [], {}, {}
    for name, batch in sets.items():
        say(f"scoring on {name}")
        constructed = constructed_for(config, batch)
        scored, differences = compare_trained(start, network, name, batch)
        entries += compare(constructed, name, batch) + scored
        comparisons += differences
        if name.startswith("synthetic d=64"):
            continue
        for contestant in (constructed, trained):
            curves[contestant.name, name] = depth_curves(contestant, batch)
        found = _answers(network, batch)
        values[name] = (np.asarray(batch.eigenvalues), np.asarray(found.eigenvalues))
    say("drawing")
    training = read_run(folder / "train")
    _draw(folder, curves, values, training)
    table = plain_table(HEADER, table_rows(entries))
    (folder / "table.txt").write_text(table, "utf-8")
    sentences = (
        constructed_sentence(config, entries),
        *trained_sentences(config, comparisons, int(result.step)),
        f"Table, report.json, figures and the trained checkpoint are in {folder}.",
    )
    report = {
        "demo": config.to_dict(),
        "notes": list(source.notes),
        "train": run.flat(),
        "parameters": network.num_parameters,
        "steps": int(result.step),
        **_circumstances(*begin),
        "train_seconds": training.metrics["seconds"][-1],
        "entries": [entry.to_dict() for entry in entries],
        "comparisons": [item.to_dict() for item in comparisons],
        "depth": _depths(curves),
        "sentences": sentences,
    }
    _write_json(folder / "report.json", report)
    return DemoResult(table, report, sentences, folder)


def _depths(curves: Mapping[tuple[str, str], tuple[Curve, Curve]]) -> list[Any]:
    """The curves of each network on each set of instances, JSON-ready."""
    return [
        {"network": who, "instances": name, **_curve_dict(*pair)}
        for (who, name), pair in curves.items()
    ]


def _write_json(path: Path, document: Any) -> None:
    path.write_text(json_text(document, indent=1), "utf-8")


def _refuse_taken(folder: Path) -> None:
    """Refuse a folder that holds something."""
    if folder.is_file() or (folder.exists() and any(folder.iterdir())):
        raise FileExistsError(
            f"{folder} exists and is not empty; choose another run folder."
        )


def _circumstances(begin: float, begin_cpu: float) -> dict[str, Any]:
    """Versions, machine, date, and what the run has taken so far."""
    return {
        "versions": versions() | {"python": platform.python_version()},
        "machine": f"{platform.machine()}, {jax.default_backend()}",
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds": time.perf_counter() - begin,
        "cpu_seconds": time.process_time() - begin_cpu,
    }


def _curve_dict(ours: Curve, classic: Curve) -> dict[str, Any]:
    named = {"ours": ours, "orthogonal_iteration": classic}
    return {
        name: {"products": curve.products.tolist(), "cosine": curve.cosine.tolist()}
        for name, curve in named.items()
    }


def _draw(
    folder: Path,
    curves: dict[tuple[str, str], tuple[Curve, Curve]],
    values: dict[str, tuple[np.ndarray, np.ndarray]],
    training: Run,
) -> None:
    for who in ("constructed", "trained"):
        panels = {name: pair for (owner, name), pair in curves.items() if owner == who}
        title = f"Accuracy after every block of the {who} transformer"
        depth_figure(panels, folder / f"depth_{who}.png", title)
    curve = learning_curve_figure(run_curve(training, "trained"))
    save_figure(curve, folder / "training.png")
    eigenvalue_figure(values, folder / "eigenvalues.png")


def constructed_sentence(config: DemoConfig, entries: Sequence[Entry]) -> str:
    """How far the constructed network is from orthogonal iteration.

    Args:
        config: of the demo.
        entries: its scores, each directly before those of orthogonal iteration.
    """
    gaps = [
        abs(mine.mean - its.mean)
        for ours, classic in itertools.pairwise(entries)
        if ours.method.startswith("constructed")
        for mine, its in zip(ours.report.cosine, classic.report.cosine, strict=True)
    ]
    return (
        f"The constructed transformer, {counted(config.num_iters, 'iteration')} with "
        f"no training, is within {max(gaps):.1g} of orthogonal iteration in mean |cos| "
        "on every rank of every set."
    )


def trained_sentences(
    config: DemoConfig, comparisons: Sequence[Comparison], steps: int
) -> tuple[str, ...]:
    """What training did, and where the network stands: of every rank and every set.

    Args:
        config: of the demo.
        comparisons: of the trained network with each of `RIVALS`.
        steps: that were trained.
    """
    cut = (
        f"; the limit of {config.max_seconds:g} s left no time for "
        f"{config.steps - steps:,} more"
        if steps < config.steps
        else ""
    )
    begin = f"Training, {counted(steps, 'step')} on synthetic tables of "
    widths = " and ".join(str(dim) for dim, _ in SHAPES) + " columns"
    subjects = (
        f"{begin}{widths}{cut}: beside its untrained start",
        "The trained transformer beside orthogonal iteration with as many products "
        "with S",
        f"Beside Rayleigh-Ritz, which solves exactly (eigh) in {REGISTERS} vectors "
        "with as many products",
    )
    verdicts = [
        verdict([item for item in comparisons if item.against.startswith(rival)])
        for rival in RIVALS
    ]
    return tuple(
        f"{subject}, {result}."
        for subject, result in zip(subjects, verdicts, strict=True)
    )
