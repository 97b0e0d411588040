"""The main job: construct, pre-train, and run both on synthetic and on real data.

`run_demo` computes and writes files; `cli.py` prints. Everything that is shown is in
`report.json`, and the figures are drawn from it.
"""

import dataclasses
import datetime
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

import jax
import numpy as np

from spectral_tf.apps.report.curves import learning_curve_figure
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
from spectral_tf.evaluation import (
    evaluate,
    orthogonal_iteration_predict,
)
from spectral_tf.model.describe import total_flops
from spectral_tf.model.network import Network
from spectral_tf.model.transformer import (
    Intermediates,
    SpectralTransformer,
    default_start,
)
from spectral_tf.sampling.instance import Instance
from spectral_tf.sampling.real import row_blocks, svd_reduce
from spectral_tf.sampling.sampler import sample_batch
from spectral_tf.settings import random_key
from spectral_tf.spectra import abs_cosine, covariance, orthogonal_iteration_trace
from spectral_tf.tables.load import load_table
from spectral_tf.training.checkpoint import versions
from spectral_tf.training.loop import Progress, pretrain

CAPTURED_FLOPS = 2e11
"""Largest work for a dense network whose every block is looked at: sets are cut to it
for the curves over depth (but to no fewer than 2 instances)."""


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
    # Training time, not counting compilation.
    seconds: float = 75.0
    # Synthetic instances at d = 10; a quarter of it at d = 64.
    num_instances: int = 400
    # Seed of the training, of the synthetic instances and of the real blocks.
    seed: int = 0

    def validate(self) -> None:
        """Check the bounds."""
        self.at_least(2, "block_size")
        self.at_least(1, "num_components", "num_iters", "max_blocks", "num_instances")
        self.at_least(0, "svd", "seed")
        require(
            self.seconds > 0,
            f"DemoConfig.seconds={self.seconds} must be > 0; 75 is the default.",
        )
        require(
            self.svd == 0 or self.svd >= self.num_components,
            f"DemoConfig.svd={self.svd} must be 0 or >= num_components="
            f"{self.num_components}.",
        )
        require(
            self.num_components <= 6,
            f"DemoConfig.num_components={self.num_components} must be <= 6, the "
            "smallest d that the demo trains on.",
        )


class Contestant(NamedTuple):
    """A network by name, and how often it multiplies by S.

    `multiply` is the block that does so, where only one in the schedule does.
    """

    name: str
    network: Network[ModelConfig]
    products: int
    multiply: int | None = None


class DemoResult(NamedTuple):
    """What the demo found: `table` text, `report` (as in report.json), `sentences`."""

    table: str
    report: dict[str, Any]
    sentences: tuple[str, str, str]
    folder: Path


def training_config(config: DemoConfig) -> TrainConfig:
    """The demo's run: small shapes only, so that d = 64 is never seen."""
    rows = config.num_components
    model = ModelConfig(num_components=rows, scalar_channels=max(24, 2 * rows + 12))
    return TrainConfig(model=model, num_steps=20_000, seed=config.seed)


def instance_sets(config: DemoConfig) -> dict[str, Instance]:
    """Synthetic and real instances by name, in the order of the table.

    Args:
        config: of the demo.

    Returns:
        name -> batched instances.

    Raises:
        DataError: if the data cannot be read or are too few.

    Source: DESIGN of the package, section 9.
    """
    key = random_key(config.seed + 1)
    # What the user gave is read first: it may be refused.
    real = _real_sets(config, key)
    ensemble = EnsembleConfig(num_components=config.num_components)
    wide = ensemble.replace(dim=64, num_samples=200)
    quarter = max(config.num_instances // 4, 1)
    return {
        "synthetic d=10 N=50": sample_batch(key, ensemble, config.num_instances),
        "synthetic d=64 N=200": sample_batch(key, wide, quarter),
        **real,
    }


def _real_sets(config: DemoConfig, key: jax.Array) -> dict[str, Instance]:
    """Blocks of rows of the table, with and without the SVD before."""
    table = load_table(config.data)
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


def _first(batch: Instance, count: int) -> Instance:
    return jax.tree.map(lambda leaf: leaf[:count], batch)


def constructed_for(config: DemoConfig, batch: Instance) -> Contestant:
    """Constructed weights for the set's d."""
    dim, k = int(batch.x.shape[2]), config.num_components
    network = power_method_params(dim, k, config.num_iters)
    return Contestant("constructed", network, config.num_iters, multiply=1)


def compare(contestant: Contestant, name: str, batch: Instance) -> list[Entry]:
    """The network, and orthogonal iteration with as many products with S."""
    network, products = contestant.network, contestant.products
    classic = orthogonal_iteration_predict(network.config, products)
    ours = fuse(network)
    steps = counted(products, "product")
    return [
        Entry(
            instances=name,
            method=f"{contestant.name}, {steps}",
            report=evaluate(ours, batch),
        ),
        Entry(
            instances=name,
            method=f"orthogonal iteration, {steps}",
            report=evaluate(classic, batch),
        ),
    ]


def depth_curves(contestant: Contestant, batch: Instance) -> tuple[Curve, Curve]:
    """Mean |cos| per rank after every block, and after every step of the classic.

    Args:
        contestant: whose blocks are watched.
        batch: at most 32 instances are used, fewer (at least 2) where they are wide.

    Returns:
        `(network, orthogonal iteration)`.
    """
    network, products, multiply = contestant[1:]
    config, (_, num_samples, dim) = network.config, batch.x.shape
    work = total_flops(config, num_samples=num_samples, dim=dim)
    batch = _first(batch, min(32, max(2, int(CAPTURED_FLOPS / work))))
    module = SpectralTransformer(config)

    def both(instance: Instance) -> tuple[jax.Array, jax.Array]:
        x, mask = instance.x, instance.mask
        _, kept = module.apply({"params": network.params}, x, mask, capture=True)
        inside = cast(Intermediates, kept)
        start = default_start(config, x.shape[1], x.dtype)
        classic = orthogonal_iteration_trace(
            covariance(x, mask), start, num_iters=products
        )
        along = jax.vmap(lambda rows: abs_cosine(rows, instance.eigenvectors))
        return along(inside.eigenvectors), along(classic)

    ours, classic = jax.jit(lambda data: jax.lax.map(both, data, batch_size=8))(batch)
    order, each = np.array(config.block_order), products / config.num_blocks
    counts = np.full(len(order), each) if multiply is None else order == multiply
    mean = lambda cosine: np.mean(np.asarray(cosine), axis=0)
    return (
        Curve(np.cumsum(counts), mean(ours)),
        Curve(np.arange(1, products + 1), mean(classic)),
    )


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
    begin = time.perf_counter()
    say = on_stage or (lambda _: None)
    if folder.is_file() or (folder.exists() and any(folder.iterdir())):
        raise FileExistsError(
            f"{folder} exists and is not empty; choose another run folder."
        )
    say(f"reading {config.data} and sampling instances")
    sets = instance_sets(config)
    folder.mkdir(parents=True, exist_ok=True)
    text = json_text(config.to_dict(), indent=1)
    (folder / "demo.json").write_text(text, "utf-8")
    run = training_config(config)
    say(f"compiling, then pre-training for {config.seconds:g} s")
    result = pretrain(
        run, folder / "train", max_seconds=config.seconds, on_call=on_call
    )
    network = result.network
    trained = Contestant("trained", network, network.config.num_products)
    entries, curves, values = [], {}, {}
    for name, batch in sets.items():
        say(f"scoring on {name}")
        constructed = constructed_for(config, batch)
        entries += compare(constructed, name, batch) + compare(trained, name, batch)
        if name.startswith("synthetic d=64"):
            continue
        for contestant in (constructed, trained):
            curves[contestant.name, name] = depth_curves(contestant, batch)
        found = jax.vmap(network)(batch.x, batch.mask)
        values[name] = (np.asarray(batch.eigenvalues), np.asarray(found.eigenvalues))
    say("drawing")
    training = read_run(folder / "train")
    _draw(folder, curves, values, training)
    table = plain_table(HEADER, table_rows(entries))
    (folder / "table.txt").write_text(table, "utf-8")
    sentences = _sentences(config, entries, training, folder)
    report = {
        "demo": config.to_dict(),
        "train": run.to_dict(),
        "parameters": network.num_parameters,
        "steps": int(result.step),
        "versions": versions() | {"python": platform.python_version()},
        "machine": f"{platform.machine()}, {jax.default_backend()}",
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds": time.perf_counter() - begin,
        "entries": [entry.to_dict() for entry in entries],
        "depth": [
            {"network": who, "instances": name, **_curve_dict(*pair)}
            for (who, name), pair in curves.items()
        ],
        "sentences": sentences,
    }
    (folder / "report.json").write_text(json_text(report, indent=1), "utf-8")
    return DemoResult(table, report, sentences, folder)


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


def _sentences(
    config: DemoConfig,
    entries: list[Entry],
    training: Run,
    folder: Path,
) -> tuple[str, str, str]:
    """What was shown and where it is, in words that follow from the numbers."""
    pairs = list(zip(entries[::2], entries[1::2], strict=True))
    gaps = [
        abs(ours.mean - classic.mean)
        for entry, other in pairs
        if entry.method.startswith("constructed")
        for ours, classic in zip(entry.report.cosine, other.report.cosine, strict=True)
    ]
    wins = [
        ours.mean > classic.mean
        for entry, other in pairs
        if entry.method.startswith("trained")
        for ours, classic in zip(entry.report.cosine, other.report.cosine, strict=True)
    ]
    minutes = training.metrics["seconds"][-1] / 60
    return (
        f"The constructed transformer, {counted(config.num_iters, 'iteration')} with "
        f"no training, matches orthogonal iteration to {max(gaps):.1g} in mean |cos| "
        "on every rank of every set.",
        f"The trained transformer, after {minutes:.1f} minutes on synthetic tables "
        "with at most 16 columns, is closer to the true eigenvectors than orthogonal "
        f"iteration with as many products with S on {sum(wins)} of "
        f"{counted(len(wins), 'rank')}, real data and d=64 included.",
        f"Table, report.json, figures and the trained checkpoint are in {folder}.",
    )
