"""Checkpoints that are verified when they are read.

orbax writes the arrays; beside them stand `meta.json` (configuration, versions, step)
and `manifest.json` (sha256 of every file), because orbax restores a flipped byte
without a word. A checkpoint is written to a temporary folder and renamed, so a crash
leaves either the whole of it or nothing that counts.

    RUN/checkpoints/00000250/state/...   meta.json   manifest.json
"""

import datetime
import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import flax
import jax
import numpy as np
import optax
import orbax.checkpoint as ocp

from spectral_tf.config import TrainConfig
from spectral_tf.training.state import TrainState, init_state

MANIFEST = "manifest.json"
META = "meta.json"


class CheckpointError(RuntimeError):
    """No checkpoint can be written, or none can be read; the message says which."""


class DamagedCheckpointWarning(UserWarning):
    """A checkpoint fails its digest; the one before is used."""


class Restored(NamedTuple):
    """A verified checkpoint: `state`, `config`, its `meta` dictionary, its folder."""

    state: TrainState
    config: TrainConfig
    meta: dict[str, Any]
    path: Path


def _digests(folder: Path) -> dict[str, str]:
    """Relative path -> sha256 of every file but the manifest itself."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in files
        if path.name != MANIFEST
    }


def fault_of(folder: Path) -> str | None:
    """What is wrong with a checkpoint, or None if it matches its manifest.

    Args:
        folder: of one checkpoint.

    Returns:
        One phrase naming the first file that is missing, new or altered.

    Source: ours.
    """
    try:
        wanted = json.loads((folder / MANIFEST).read_text())["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{MANIFEST} is missing or unreadable ({type(error).__name__})"
    found = _digests(folder)
    for name in sorted(wanted.keys() | found.keys()):
        if name not in found:
            return f"{name} is missing"
        if wanted.get(name) != found[name]:
            return f"{name} does not match its sha256"
    return None


def checkpoint_folders(run_dir: Path) -> list[Path]:
    """Folders of the checkpoints of a run, newest first; unfinished ones left out."""
    root = run_dir / "checkpoints"
    if not root.is_dir():
        return []
    found = [path for path in root.iterdir() if path.is_dir() and path.name.isdigit()]
    return sorted(found, key=lambda path: int(path.name), reverse=True)


def versions() -> dict[str, str]:
    """Versions of the libraries that decide the numbers."""
    modules = {"jax": jax, "flax": flax, "optax": optax, "numpy": np, "orbax": ocp}
    return {name: module.__version__ for name, module in modules.items()}


def save_checkpoint(
    run_dir: Path, config: TrainConfig, state: TrainState, extra: Mapping[str, Any]
) -> Path:
    """Write a checkpoint, then drop the oldest beyond `config.keep_checkpoints`.

    Args:
        run_dir: of the run; created if need be.
        config: stored in `meta.json`.
        state: fetched to the host.
        extra: JSON-ready values to store in `meta.json`.

    Returns:
        Folder of the checkpoint.

    Raises:
        CheckpointError: if it cannot be written; earlier checkpoints are untouched.

    Source: ours.
    """
    host = jax.tree.map(np.asarray, state)
    step = int(host.step)
    final = run_dir / "checkpoints" / f"{step:08d}"
    if fault_of(final) is None:
        return final
    temporary = final.with_name(f".{final.name}-{os.getpid()}")
    meta = {
        "step": step,
        "config": config.to_dict(),
        "versions": versions(),
        "saved": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **extra,
    }
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        with ocp.StandardCheckpointer() as writer:
            writer.save((temporary / "state").absolute(), host._asdict())
        (temporary / META).write_text(json.dumps(meta, indent=1))
        manifest = json.dumps({"sha256": _digests(temporary)}, indent=1)
        (temporary / MANIFEST).write_text(manifest)
        shutil.rmtree(final, ignore_errors=True)
        temporary.rename(final)
    except (OSError, ValueError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise CheckpointError(
            f"cannot write checkpoint {final}: {error}. Earlier checkpoints are "
            "intact; free some space or choose another run folder, then resume."
        ) from error
    for old in checkpoint_folders(run_dir)[config.keep_checkpoints :]:
        shutil.rmtree(old)
    return final


def restore_latest(run_dir: Path, config: TrainConfig | None = None) -> Restored:
    """The newest checkpoint that matches its manifest.

    Args:
        run_dir: of the run.
        config: must equal the stored one; None takes the stored one.

    Returns:
        The verified checkpoint.

    Raises:
        CheckpointError: if there is none, all are damaged, or the configurations
            differ (the message names the fields).

    Warns:
        DamagedCheckpointWarning: for each newer checkpoint that is damaged.

    Source: ours.
    """
    folders = checkpoint_folders(run_dir)
    if not folders:
        raise CheckpointError(
            f"no checkpoint in {run_dir / 'checkpoints'}; start the run without resume."
        )
    for folder in folders:
        fault = fault_of(folder)
        if fault is None:
            return _restore(folder, config)
        warnings.warn(
            f"checkpoint {folder} is damaged: {fault}; using the one before it.",
            DamagedCheckpointWarning,
            stacklevel=2,
        )
    raise CheckpointError(
        f"all {len(folders)} checkpoints in {run_dir / 'checkpoints'} are damaged; "
        "start the run again in another folder."
    )


def _restore(folder: Path, config: TrainConfig | None) -> Restored:
    meta = json.loads((folder / META).read_text())
    stored = TrainConfig.from_dict(meta["config"])
    if config is not None and config != stored:
        ours, theirs = config.to_dict(), stored.to_dict()
        fields = [name for name in ours if ours[name] != theirs[name]]
        raise CheckpointError(
            f"{folder} was written with another configuration; these fields differ: "
            f"{', '.join(fields)}. Resume with the same one, or start a new run folder."
        )
    shapes = jax.eval_shape(lambda: init_state(stored))
    like = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    with ocp.StandardCheckpointer() as reader:
        values = reader.restore((folder / "state").absolute(), like._asdict())
    leaves = jax.tree.leaves(TrainState(**values))
    state = jax.tree.unflatten(jax.tree.structure(shapes), leaves)
    return Restored(state, stored, meta, folder)
