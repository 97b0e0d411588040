"""Checkpoints that are verified when they are read.

orbax writes the arrays; beside them stand `meta.json` (configuration, versions, step)
and `manifest.json` (sha256 of every file), because orbax restores a flipped byte
without a word. A checkpoint is written to a dot-folder, flushed and renamed, so a crash
leaves either the whole of it or nothing that counts. Which one is the best is read from
the metas every time: there is no pointer that could be wrong.

    RUN/checkpoints/00000250/state/...   meta.json   manifest.json
"""

import datetime
import hashlib
import json
import math
import os
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp

from spectral_tf.config import AnyRun, TrainConfig, run_config
from spectral_tf.config.wording import counted
from spectral_tf.settings import compiled_settings
from spectral_tf.training.provenance import provenance
from spectral_tf.training.provenance import versions as versions
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
    config: AnyRun
    meta: dict[str, Any]
    path: Path

    @property
    def train(self) -> TrainConfig:
        """The configuration of a run that trains eigenpairs; others are refused."""
        if not isinstance(self.config, TrainConfig):
            raise CheckpointError(
                f"{self.path} is of a network that clusters; here one that finds "
                "eigenpairs is needed, as `spectral-tf pretrain` makes."
            )
        return self.config


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _digests(folder: Path) -> dict[str, str]:
    """Relative path -> sha256 of every file but the manifest itself."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in _files(folder)
        if path.name != MANIFEST
    }


def fault_of(folder: Path) -> str | None:
    """What is wrong with a checkpoint, or None if it matches its manifest.

    Args:
        folder: of one checkpoint.

    Returns:
        One phrase naming the first file that is missing, new or altered.
    """
    try:
        wanted = json.loads((folder / MANIFEST).read_text())["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{MANIFEST} is missing or unreadable ({type(error).__name__})"
    digests = _digests(folder)
    for name in sorted(wanted.keys() | digests.keys()):
        if name not in digests:
            return f"{name} is missing"
        if wanted.get(name) != digests[name]:
            return f"{name} does not match its sha256"
    return None


def checkpoint_folders(run_dir: Path) -> list[Path]:
    """Folders of the checkpoints of a run, newest first; unfinished ones left out."""
    root = run_dir / "checkpoints"
    if not root.is_dir():
        return []
    folders = [path for path in root.iterdir() if path.is_dir() and path.name.isdigit()]
    return sorted(folders, key=lambda path: int(path.name), reverse=True)


def heldout_loss(folder: Path) -> float:
    """Held-out loss in the meta of a checkpoint; infinite if it was not evaluated."""
    try:
        loss = float(json.loads((folder / META).read_text())["heldout"]["loss"])
    except (OSError, ValueError, KeyError, TypeError):
        return math.inf
    return loss if math.isfinite(loss) else math.inf


def best_folder(folders: Sequence[Path]) -> Path | None:
    """The checkpoint of lowest held-out loss, the first of equals.

    Args:
        folders: of checkpoints.

    Returns:
        One of them, or None if none was evaluated.
    """
    losses = {folder: heldout_loss(folder) for folder in folders}
    best = min(losses, key=lambda folder: losses[folder], default=None)
    return None if best is None or math.isinf(losses[best]) else best


def to_host(tree: Any) -> Any:
    """Copies on the host of arrays that are replicated over the devices.

    Args:
        tree: a pytree of arrays, equal on all devices of all processes.

    Returns:
        The same of NumPy arrays. Nothing is communicated: each process reads its own
        first device. They are copies, so the devices may reuse the buffers.
    """

    def fetch(leaf: Any) -> np.ndarray:
        is_on_device = isinstance(leaf, jax.Array)
        return np.array(leaf.addressable_shards[0].data if is_on_device else leaf)

    return jax.tree.map(fetch, tree)


def _alone() -> ocp.StandardCheckpointer:
    """An orbax checkpointer of this process alone, which waits for no other."""
    this = jax.process_index()
    options = ocp.options.MultiprocessingOptions(
        primary_host=this,
        active_processes={this},
        barrier_sync_key_prefix=f"process{this}",
    )
    return ocp.StandardCheckpointer(multiprocessing_options=options)


def _fields(state: TrainState) -> dict[str, Any]:
    """Fields by name; one that is None is not stored."""
    return {k: v for k, v in state._asdict().items() if v is not None}


def _flush(path: Path) -> None:
    """Have the system write a file or the names in a folder to the disk now."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(folder: Path) -> None:
    """Remove a folder, though after an error some of orbax's threads still write."""
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.lexists(folder):
            return
        time.sleep(0.05)


def _discard(folder: Path) -> None:
    """Remove a checkpoint; a crash half-way leaves a dot-folder, never a part of it."""
    hidden = folder.with_name(f".old-{folder.name}-{os.getpid()}")
    if folder.is_dir():
        folder.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def clean_unfinished(run_dir: Path) -> None:
    """Remove the dot-folders that a crash left among the checkpoints of a run."""
    root = run_dir / "checkpoints"
    for path in root.iterdir() if root.is_dir() else ():
        if path.is_dir() and path.name.startswith("."):
            shutil.rmtree(path, ignore_errors=True)


def _write(temporary: Path, state: TrainState, meta: Mapping[str, Any]) -> None:
    """The files of a checkpoint, complete and on the disk."""
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    with _alone() as writer:
        writer.save((temporary / "state").absolute(), _fields(state))
    (temporary / META).write_text(json.dumps(meta, indent=1))
    manifest = json.dumps({"sha256": _digests(temporary)}, indent=1)
    (temporary / MANIFEST).write_text(manifest)
    for path in _files(temporary):
        _flush(path)
    _flush(temporary)


def save_checkpoint(
    run_dir: Path, config: AnyRun, state: TrainState, extra: Mapping[str, Any]
) -> Path:
    """Write a checkpoint, then drop those that need not be kept.

    Kept are the newest `config.keep_checkpoints` and the best by held-out loss.

    Args:
        run_dir: of the run; created if need be.
        config: stored in `meta.json`.
        state: fetched to the host.
        extra: JSON-ready values to store in `meta.json`; `heldout` counts for the best.

    Returns:
        Folder of the checkpoint.

    Raises:
        CheckpointError: if it cannot be written; earlier checkpoints are untouched, and
            nothing of this one is left.
    """
    host = to_host(state)
    step = int(host.step)
    final = run_dir / "checkpoints" / f"{step:08d}"
    temporary = final.with_name(f".{final.name}-{os.getpid()}")
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    try:
        if fault_of(final) is None:
            return final
        _write(temporary, host, {**provenance(config, step), "saved": now, **extra})
        _discard(final)
        temporary.rename(final)
        _flush(final.parent)
        folders = checkpoint_folders(run_dir)
        best = best_folder(folders)
        for old in folders[config.keep_checkpoints :]:
            if old != best:
                _discard(old)
    except (OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"cannot write checkpoint {final}: {error}. Earlier checkpoints are "
            "intact; free some space or choose another run folder, then resume."
        ) from error
    finally:
        _remove(temporary)
    return final


def _good(run_dir: Path) -> Iterator[Path]:
    """Verified checkpoints, newest first, with a warning for each damaged one."""
    folders, damaged = checkpoint_folders(run_dir), 0
    if not folders:
        raise CheckpointError(
            f"no checkpoint in {run_dir / 'checkpoints'}; start the run without resume."
        )
    for folder in folders:
        fault = fault_of(folder)
        if fault is None:
            yield folder
            continue
        damaged += 1
        warnings.warn(
            f"checkpoint {folder} is damaged: {fault}; using another one.",
            DamagedCheckpointWarning,
            stacklevel=3,
        )
    if damaged == len(folders):
        raise CheckpointError(
            f"{counted(damaged, 'checkpoint')} in {run_dir / 'checkpoints'}, "
            "all damaged; start the run again in another folder."
        )


def restore_latest(run_dir: Path, config: AnyRun | None = None) -> Restored:
    """The newest checkpoint that matches its manifest.

    Args:
        run_dir: of the run.
        config: must equal the stored one; None takes the stored one.

    Returns:
        The verified checkpoint, its state on the host.

    Raises:
        CheckpointError: if there is none, all are damaged, or the configurations
            differ (the message names the fields).

    Warns:
        DamagedCheckpointWarning: for each newer checkpoint that is damaged.
    """
    return _restore(next(_good(run_dir)), config)


def restore_best(run_dir: Path) -> Restored:
    """The verified checkpoint of lowest held-out loss.

    Args:
        run_dir: of a run with `calls_per_eval` > 0.

    Returns:
        The checkpoint, its state on the host, its scores in `meta["heldout"]`.

    Raises:
        CheckpointError: if there is none, all are damaged, or none was evaluated.

    Warns:
        DamagedCheckpointWarning: for each checkpoint that is damaged.
    """
    best = best_folder(list(_good(run_dir)))
    if best is None:
        raise CheckpointError(
            f"no checkpoint in {run_dir / 'checkpoints'} was evaluated on held-out "
            "instances; take the latest one, or train with calls_per_eval > 0."
        )
    return _restore(best, None)


@compiled_settings()
def _restore(folder: Path, config: AnyRun | None) -> Restored:
    meta = json.loads((folder / META).read_text())
    stored = run_config(meta["config"])
    if config is not None and config != stored:
        ours, theirs = config.to_dict(), stored.to_dict()
        fields = [name for name in ours if ours[name] != theirs[name]]
        raise CheckpointError(
            f"{folder} was written with another configuration; these fields differ: "
            f"{', '.join(fields)}. Resume with the same one, or start a new run folder."
        )
    shapes = jax.eval_shape(lambda: init_state(stored))
    like = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    with _alone() as reader:
        values = reader.restore((folder / "state").absolute(), _fields(like))
    leaves = jax.tree.leaves(like._replace(**values))
    state = jax.tree.unflatten(jax.tree.structure(shapes), leaves)
    return Restored(state, stored, meta, folder)
