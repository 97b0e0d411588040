"""Make a shipped checkpoint from nothing: construct, pre-train, score, write.

python experiments/checkpoints/run.py [NAME] [--smoke] [--out DIR]
    [--ship] [--score]

The run folder (configuration, metrics, curve) is DIR/NAME; a run that was stopped goes
on. --ship writes the checkpoint into the package. --score prints the evaluation of the
checkpoint in the package, without training.
"""

import argparse
import os
import platform
import sys
import time
from pathlib import Path

import jax
import numpy as np
from config import RECIPES, Recipe, start_of, train_config
from score import score_table, scores

from spectral_tf import (
    Network,
    TrainConfig,
    expand,
    load_pretrained,
    pretrain,
    save_pretrained,
)
from spectral_tf.apps.watch import write_curve
from spectral_tf.model import flatten_params, without_idle_units
from spectral_tf.training import (
    Progress,
    checkpoint_folders,
    restore_latest,
    with_exact_images,
)

sys.path.append(str(Path(__file__).parents[2]))
from experiments import harness

PACKAGE = Path(__file__).parent.parent.parent / "spectral_tf" / "weights"


def show(progress: Progress) -> None:
    cosine = " ".join(f"{value:.3f}" for value in progress.metrics["cosine"])
    print(
        f"step {progress.step}/{progress.horizon} {progress.seconds:.0f} s "
        f"loss {progress.metrics['loss']:.4f} |cos| {cosine} "
        f"{progress.instances_per_second:.0f}/s",
        file=sys.stderr,
        flush=True,
    )


def record(recipe: Recipe, config: TrainConfig, run_dir: Path, name: str) -> dict:
    """What the manifest says of how the weights came to be."""
    meta = restore_latest(run_dir).meta
    same = ("instances", "versions")
    return {name: meta[name] for name in same} | {
        "purpose": recipe.purpose,
        "train": config.to_dict(),
        "construction": recipe.construction,
        "seed": recipe.seed,
        "steps": int(meta["step"]),
        "wall_seconds": meta["seconds"],
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, "
        f"{jax.default_backend()}",
        "command": f"python experiments/checkpoints/run.py {name} --ship",
    }


def trained_numbers(recipe: Recipe) -> str:
    """What training may move: what is not zero where it starts."""
    leaves = flatten_params(start_of(recipe).params).items()
    counts = {path: int(np.count_nonzero(leaf)) for path, leaf in leaves}
    scalars = sum(n for path, n in counts.items() if path.endswith("skip_scalars"))
    return (
        f"{sum(counts.values())} numbers are trained, {scalars} of them gains on "
        "scalars"
    )


def written_densely(network: Network, dim: int) -> Network:
    """The same network as ordinary weights for tables of at most `dim` columns."""
    dense, weights = without_idle_units(expand(network, dim))
    layout = dense.dense.replace(pad_columns=True)
    return Network(dense.replace(layout=layout), weights)


def make(name: str, recipe: Recipe, out: Path, *, smoke: bool, ship: bool) -> int:
    run_dir = out / name
    config, params = train_config(recipe, smoke=smoke)
    resume = bool(checkpoint_folders(run_dir))
    begin = time.perf_counter()
    result = pretrain(config, run_dir, resume=resume, init_params=params, on_call=show)
    write_curve(run_dir)
    model, params = result.network
    layout = model.channels.replace(gradient_limit=None)
    network = Network(model.replace(layout=layout), params)
    if recipe.is_krylov:
        network = with_exact_images(network)
    if recipe.dense_dim:
        network = written_densely(network, recipe.dense_dim)
    found = scores(recipe, network, smoke=smoke)
    print(score_table(found))
    print(f"{time.perf_counter() - begin:.0f} s in this run")
    facts = record(recipe, config, run_dir, name) | {"evaluation": found}
    folder = PACKAGE if ship else out
    save_pretrained(folder, name, network, facts, overwrite=ship)
    print(f"{folder / name}.safetensors")
    return 0


def more_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", default="pca-small", choices=RECIPES)
    parser.add_argument("--ship", action="store_true", help="write into the package")
    parser.add_argument("--score", action="store_true", help="score what is shipped")


def main() -> int:
    args = harness.options(__file__, __doc__, smoke="two tiny steps", more=more_options)
    if args.score:
        network = load_pretrained(args.name)
        found = scores(RECIPES[args.name], network, smoke=args.smoke)
        print(score_table(found))
        print(trained_numbers(RECIPES[args.name]))
        return 0
    return make(
        args.name, RECIPES[args.name], args.out, smoke=args.smoke, ship=args.ship
    )


if __name__ == "__main__":
    sys.exit(main())
