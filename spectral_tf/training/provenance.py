"""Where a checkpoint comes from: versions, commit, data, devices."""

import functools
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import flax
import jax
import numpy as np
import optax
import orbax.checkpoint as ocp

from spectral_tf.config import AnyRun
from spectral_tf.settings import GENERATOR

TABLE_RULE = (
    "; with a table, floor((g + 1) share) = floor(g share) makes g a block, of rows "
    "drawn from fold_in of that key and BLOCK_STREAM (sampling/blocks.py)"
)

SOURCE = Path(__file__).parent

DATA_RULE = (
    "instance g of step s is drawn from fold_in(fold_in(key, s), g); shape number p "
    f"has key = fold_in(jax.random.key(seed, impl={GENERATOR!r}), p)"
)


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that decide the numbers."""
    modules = {"jax": jax, "flax": flax, "optax": optax, "numpy": np, "orbax": ocp}
    libraries = {name: module.__version__ for name, module in modules.items()}
    return libraries | {"python": platform.python_version()}


def _git(folder: Path, *arguments: str) -> str | None:
    """What git answers in a folder; None without git, or if it refuses."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
            env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


@functools.cache
def source_commit(folder: Path = SOURCE) -> dict[str, Any] | None:
    """The git commit of the source, looked up once in a process.

    Args:
        folder: of the source; must be under version control itself, so that a package
            installed below some other checkout is not taken for a part of it.

    Returns:
        `{"commit": str, "dirty": bool}`; dirty means that a tracked file has changed.
        None if it is no checkout or there is no git.
    """
    if not _git(folder, "ls-files", "."):
        return None
    commit = _git(folder, "rev-parse", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    if commit is None or changed is None:
        return None
    return {"commit": commit, "dirty": bool(changed)}


def provenance(config: AnyRun, step: int) -> dict[str, Any]:
    """What `meta.json` says of a run at a step, whatever else is known.

    Args:
        config: the run.
        step: steps done.

    Returns:
        JSON-ready: configuration, versions, git commit, state of the data (the next
        step to draw), instances so far, devices and processes.
    """
    rule = DATA_RULE + (TABLE_RULE if config.source else "")
    return {
        "step": step,
        "config": config.to_dict(),
        "versions": versions(),
        "git": source_commit(),
        "data": {"seed": config.seed, "step": step, "rule": rule},
        "instances": step * config.batch_size * len(config.shapes),
        "devices": jax.device_count(),
        "processes": jax.process_count(),
        "platform": jax.default_backend(),
    }
