"""Make `gmm-small` from nothing, and compare it with the classical methods.

python experiments/mixtures/run.py [--smoke] [--out DIR] [--ship] [--score]

The run folder (configuration, metrics, curve) is DIR/gmm-small; a run that was stopped
goes on. --ship writes the checkpoint into the package. --score trains nothing and
compares the checkpoint in the package; classical.py makes the other half of the table.
"""

import argparse
import os
import platform
import sys
from pathlib import Path

import jax
from config import PURPOSE, train_config
from score import compare, table_of

from spectral_tf import Network, load_pretrained, pretrain, save_pretrained
from spectral_tf.apps.watch import write_curve
from spectral_tf.config import ClusterTrainConfig
from spectral_tf.training import Progress, checkpoint_folders, restore_latest

sys.path.append(str(Path(__file__).parents[2]))
from experiments import harness

NAME = "gmm-small"
PACKAGE = Path(__file__).parent.parent.parent / "spectral_tf" / "weights"


def show(progress: Progress) -> None:
    right = " ".join(f"{value:.3f}" for value in progress.metrics["accuracy"])
    held = progress.heldout and f" held-out loss {progress.heldout['loss']:.4f}"
    print(
        f"step {progress.step}/{progress.horizon} {progress.seconds:.0f} s loss "
        f"{progress.metrics['loss']:.4f} right {right} "
        f"{progress.instances_per_second:.0f}/s{held or ''}",
        file=sys.stderr,
        flush=True,
    )


def record(config: ClusterTrainConfig, run_dir: Path) -> dict:
    """What the manifest says of how the weights came to be."""
    meta = restore_latest(run_dir).meta
    return {
        "instances": meta["instances"],
        "versions": meta["versions"],
        "purpose": PURPOSE,
        "train": config.to_dict(),
        "seed": config.seed,
        "steps": int(meta["step"]),
        "wall_seconds": meta["seconds"],
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, "
        f"{jax.default_backend()}",
        "command": "python experiments/mixtures/run.py --ship",
    }


def make(out: Path, args: argparse.Namespace) -> None:
    run_dir, config = out / NAME, train_config(smoke=args.smoke)
    resume = bool(checkpoint_folders(run_dir))
    result = pretrain(config, run_dir, resume=resume, on_call=show)
    write_curve(run_dir)
    model, params = result.network
    network = Network(model.replace(gradient_limit=None), params)
    found = compare(network, out, count=args.count, smoke=args.smoke)
    print(table_of(found))
    facts = record(config, run_dir) | {"evaluation": found}
    folder = PACKAGE if args.ship else out
    save_pretrained(folder, NAME, network, facts, overwrite=args.ship)
    print(f"{folder / NAME}.safetensors")


def more_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ship", action="store_true", help="write into the package")
    parser.add_argument("--score", action="store_true", help="compare what is shipped")
    parser.add_argument("--count", type=int, default=5_000, help="most per kind")


def main() -> int:
    args = harness.options(__file__, __doc__, smoke="two tiny steps", more=more_options)
    out = args.out
    if args.score:
        found = compare(load_pretrained(NAME), out, count=args.count, smoke=args.smoke)
        print(table_of(found))
        return 0
    make(out, args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
