"""Checkpoints: what is in them, which are kept, and disks that fail."""

import errno
import json
import os
import resource
import subprocess
from contextlib import contextmanager
from pathlib import Path

import jax
import numpy as np
import pytest

from spectral_tf.training import checkpoint
from spectral_tf.training.checkpoint import (
    CheckpointError,
    DamagedCheckpointWarning,
    checkpoint_folders,
    clean_unfinished,
    fault_of,
    restore_best,
    restore_latest,
    save_checkpoint,
    to_host,
)
from spectral_tf.training.provenance import DATA_RULE, source_commit
from spectral_tf.training.saver import Saver
from spectral_tf.training.state import TrainState, init_state
from tests.training.test_parallel import TINY

CONFIG = TINY.replace(keep_checkpoints=2)


@pytest.fixture(scope="module")
def fresh():
    """A state of the run on the host."""
    return to_host(init_state(CONFIG))


def at(state, step):
    return state._replace(step=np.int32(step))


def save(run, state, step, loss=None):
    scores = None if loss is None else {"loss": loss}
    return save_checkpoint(run, CONFIG, at(state, step), {"heldout": scores})


def names(run):
    return [int(folder.name) for folder in checkpoint_folders(run)]


def equal_bits(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_the_meta_says_where_the_numbers_come_from(fresh, tmp_path):
    save(tmp_path, fresh, 3)
    meta = restore_latest(tmp_path).meta
    assert {"jax", "orbax", "python"} <= set(meta["versions"])
    assert meta["data"] == {"seed": 0, "step": 3, "rule": DATA_RULE}
    assert meta["instances"] == 3 * CONFIG.batch_size
    assert (meta["devices"], meta["processes"]) == (jax.device_count(), 1)
    assert meta["git"] == source_commit()


def git(folder, *arguments):
    who = ["-c", "user.name=n", "-c", "user.email=e"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True)


def test_the_commit_is_that_of_the_source_or_none(tmp_path, monkeypatch):
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.py").write_text("1")
    assert source_commit(source) is None
    source_commit.cache_clear()
    git(tmp_path, "init", "-q")
    # Below a checkout, but no part of it.
    assert source_commit(source) is None
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "x")
    source_commit.cache_clear()
    clean = source_commit(source)
    assert clean is not None
    assert len(clean["commit"]) == 40
    assert clean["dirty"] is False
    (source / "a.py").write_text("2")
    source_commit.cache_clear()
    assert source_commit(source) == clean | {"dirty": True}
    source_commit.cache_clear()
    monkeypatch.setenv("PATH", "")
    assert source_commit(source) is None
    source_commit.cache_clear()


@pytest.mark.parametrize("is_none", [False, True])
@pytest.mark.parametrize("field", TrainState._fields[2:])
def test_a_field_that_may_be_none_survives(field, is_none, tmp_path, monkeypatch):
    """As the average of the weights, which only some runs have."""
    whole = init_state(CONFIG)
    state = whole._replace(**{field: None if is_none else whole.params})
    monkeypatch.setattr(checkpoint, "init_state", lambda _: state)
    save_checkpoint(tmp_path, CONFIG, state, {})
    restored = restore_latest(tmp_path).state
    equal_bits(restored, to_host(state))
    assert (getattr(restored, field) is None) is is_none


def test_kept_are_the_newest_and_the_best(fresh, tmp_path):
    for step, loss in enumerate([0.9, 0.2, 0.5, None, float("nan"), 0.2, 0.8], 1):
        save(tmp_path, fresh, step, loss)
        assert len(names(tmp_path)) <= 3
    # Of the equal ones, 2 and 6, the later one is as good and 2 may go.
    assert names(tmp_path) == [7, 6]
    best = restore_best(tmp_path)
    assert int(best.state.step) == 6
    assert best.meta["heldout"] == {"loss": 0.2}
    for step in (8, 9):
        save(tmp_path, fresh, step)
    assert names(tmp_path) == [9, 8, 6]


def test_the_best_is_verified_too(fresh, tmp_path):
    for step, loss in ((1, 0.1), (2, 0.3)):
        save(tmp_path, fresh, step, loss)
    best = save(tmp_path, fresh, 3, 0.2)
    (tmp_path / "checkpoints/00000001/meta.json").write_text('{"heldout": {"loss": 0}}')
    with pytest.warns(DamagedCheckpointWarning, match="00000001 is damaged"):
        assert restore_best(tmp_path).path == best


def test_no_best_without_an_evaluation(fresh, tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint in"):
        restore_best(tmp_path)
    save(tmp_path, fresh, 1)
    with pytest.raises(CheckpointError, match="calls_per_eval > 0"):
        restore_best(tmp_path)


def no_space(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def leave_half(monkeypatch, name):
    """The disk is full when a file of this name has been half written."""
    whole = Path.write_text

    def half(self, text, *arguments, **named):
        if self.name != name:
            return whole(self, text, *arguments, **named)
        whole(self, text[: len(text) // 2])
        return no_space()

    monkeypatch.setattr(Path, "write_text", half)


@contextmanager
def files_no_larger_than(size):
    """The system itself refuses to write more: also what orbax writes without us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def only_the_first_is_there(run):
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["00000001"]
    assert int(restore_latest(run).state.step) == 1


@pytest.mark.parametrize("name", ["meta.json", "manifest.json"])
def test_a_full_disk_leaves_the_last_good_checkpoint(
    name, fresh, tmp_path, monkeypatch
):
    save(tmp_path, fresh, 1)
    leave_half(monkeypatch, name)
    with pytest.raises(CheckpointError, match=r"00000002: .*No space.*free some space"):
        save(tmp_path, fresh, 2)
    only_the_first_is_there(tmp_path)


# The first write that fails ends orbax's event loop; the others complain of that.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_disk_that_is_full_for_orbax_too(fresh, tmp_path):
    save(tmp_path, fresh, 1)
    with (
        files_no_larger_than(1000),
        pytest.raises(CheckpointError, match=r"cannot write checkpoint .*00000002"),
    ):
        save(tmp_path, fresh, 2)
    only_the_first_is_there(tmp_path)


def test_a_disk_that_is_full_when_it_is_flushed(fresh, tmp_path, monkeypatch):
    save(tmp_path, fresh, 1)
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(CheckpointError, match="No space"):
        save(tmp_path, fresh, 2)
    only_the_first_is_there(tmp_path)


def test_a_folder_that_cannot_be_made(fresh, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="choose another run folder"):
        save(tmp_path / "file" / "run", fresh, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_a_crash_left_is_not_read_and_is_cleaned(fresh, tmp_path):
    save(tmp_path, fresh, 1)
    half = tmp_path / "checkpoints" / ".00000002-17"
    (tmp_path / "checkpoints" / "00000001").rename(half)
    save(tmp_path, fresh, 1)
    assert names(tmp_path) == [1]
    clean_unfinished(tmp_path)
    only_the_first_is_there(tmp_path)


def test_a_save_copies_at_once_and_tells_of_its_error_later(
    fresh, tmp_path, monkeypatch
):
    state = jax.tree.map(np.copy, fresh)
    with Saver(tmp_path, CONFIG) as saver:
        saver.save(at(state, 1), {})
        for leaf in jax.tree.leaves(state.params):
            leaf[...] = 7
        saver.wait()
        equal_bits(restore_latest(tmp_path).state, at(fresh, 1))
        with monkeypatch.context() as patch:
            leave_half(patch, "meta.json")
            saver.save(at(state, 2), {})
            saver.save(at(state, 3), {})
        assert saver.has_failed
        with pytest.raises(CheckpointError, match="No space"):
            saver.check()
        assert not saver.has_failed
        saver.save(at(state, 4), {})
    assert names(tmp_path) == [4, 1]


def test_the_end_of_a_saver_tells_of_the_last_error(fresh, tmp_path, monkeypatch):
    leave_half(monkeypatch, "meta.json")
    with (
        pytest.raises(CheckpointError, match="No space"),
        Saver(tmp_path, CONFIG) as saver,
    ):
        saver.save(fresh, {})

    def fail():
        with Saver(tmp_path, CONFIG) as saver:
            saver.save(fresh, {})
            raise KeyError("first")

    with pytest.raises(KeyError, match="first") as seen:
        fail()
    assert "No space" in seen.value.__notes__[0]


def test_every_file_counts(fresh, tmp_path):
    folder = save(tmp_path, fresh, 1)
    assert fault_of(folder) is None
    manifest = json.loads((folder / "manifest.json").read_text())["sha256"]
    assert "meta.json" in manifest
    (folder / "state" / "new").write_text("")
    assert fault_of(folder) == "state/new does not match its sha256"
    assert isinstance(fresh, TrainState)
