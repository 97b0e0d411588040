"""The folder of results: whole or not at all, and nothing of the user's is lost."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from spectral_tf.apps.analysis.results import check_folder, new_folder
from spectral_tf.apps.report import table_figures
from spectral_tf.config import ConfigError, DataError
from tests.apps.analysis.conftest import call

FLAGS = ["--n-components", "2", "--engine", "exact"]


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "data" / "table.npy"
    path.parent.mkdir()
    np.save(path, np.random.default_rng(0).normal(size=(20, 3)))
    return path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_with_files_is_kept_unless_forced(table, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    run = call("pca", table, *FLAGS, folder=folder)
    assert (run.code, run.out) == (2, "")
    assert "exists and is not empty" in run.err
    assert "--force" in run.err
    assert (folder / "mine.txt").read_text() == "mine"
    run = call("pca", table, *FLAGS, "--force", folder=folder)
    assert run.code == 0
    assert "mine.txt" not in names(folder)
    assert "summary.json" in names(folder)
    assert names(tmp_path) == ["data", "out"]


def test_an_empty_folder_is_used(table, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    assert call("pca", table, *FLAGS, folder=folder).code == 0
    assert "summary.json" in names(folder)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("the pen broke"),
        OSError(errno.ENOSPC, "No space left on device"),
        PermissionError(errno.EACCES, "Permission denied"),
        KeyboardInterrupt(),
    ],
)
def test_a_failure_in_the_middle_leaves_nothing(error, table, tmp_path, monkeypatch):
    def fail(*_):
        raise error

    old = tmp_path / "old"
    assert call("pca", table, *FLAGS, folder=old).code == 0
    before = (old / "summary.json").read_text()
    monkeypatch.setattr(table_figures, "biplot_figure", fail)
    for folder in (tmp_path / "deep" / "new", old):
        arguments = ["pca", table, *FLAGS, "--force"]
        if isinstance(error, RuntimeError):
            with pytest.raises(RuntimeError, match="the pen broke"):
                call(*arguments, folder=folder)
        else:
            run = call(*arguments, folder=folder)
            assert run.code == (130 if isinstance(error, KeyboardInterrupt) else 2)
            assert run.out == ""
            assert len(run.err.splitlines()) == 1
            if isinstance(error, OSError):
                assert f"cannot write {folder}: {error.strerror}" in run.err
    assert names(tmp_path) == ["data", "old"]
    assert (old / "summary.json").read_text() == before


def test_the_old_folder_comes_back_if_the_last_step_fails(tmp_path, monkeypatch):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    move, moved = os.replace, []

    def fail_at_second(*paths):
        moved.append(paths)
        if len(moved) == 2:
            raise OSError(errno.EIO, "Input/output error")
        move(*paths)

    monkeypatch.setattr(os, "replace", fail_at_second)
    with (
        pytest.raises(DataError, match="Input/output error"),
        new_folder(folder, [], force=True) as draft,
    ):
        (draft / "new.txt").write_text("new")
    assert names(tmp_path) == ["out"]
    assert names(folder) == ["mine.txt"]


def test_a_folder_that_appears_meanwhile_is_not_overwritten(tmp_path):
    folder = tmp_path / "out"

    def fill():
        with new_folder(folder, []) as draft:
            (draft / "new.txt").write_text("new")
            folder.mkdir()
            (folder / "mine.txt").write_text("mine")

    with pytest.raises(FileExistsError):
        fill()
    assert names(tmp_path) == ["out"]
    assert names(folder) == ["mine.txt"]


def test_the_input_is_never_replaced(table, tmp_path):
    raw = table.read_bytes()
    for folder in (table, table.parent, tmp_path, table / "below"):
        run = call("pca", table, *FLAGS, "--force", folder=folder)
        assert (run.code, run.out) == (2, ""), folder
        assert "choose another folder" in run.err
    link = tmp_path / "links" / "table.npy"
    link.parent.mkdir()
    link.symlink_to(table)
    assert call("pca", link, *FLAGS, "--force", folder=link.parent).code == 2
    way_in = tmp_path / "way"
    way_in.symlink_to(table.parent)
    assert call("pca", table, *FLAGS, "--force", folder=way_in).code == 2
    assert table.read_bytes() == raw
    assert link.is_symlink()


def test_places_that_must_not_go_away_are_refused(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for folder in (Path(), Path(".."), Path.home(), Path("/")):
        with pytest.raises(ConfigError, match="the current folder or your home"):
            check_folder(folder, [], force=True)
    weights = tmp_path / "run" / "weights"
    weights.mkdir(parents=True)
    with pytest.raises(ConfigError, match="holds the input"):
        check_folder(tmp_path / "run", [weights], force=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is a file; name a folder"):
        check_folder(tmp_path / "file", [], force=True)
    with pytest.raises(ConfigError, match="cannot be written"):
        check_folder(tmp_path / "file" / "below", [], force=True)


def test_a_link_to_a_folder_stays_a_link(table, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "latest").symlink_to(tmp_path / "there")
    assert call("pca", table, *FLAGS, folder=tmp_path / "latest").code == 0
    assert (tmp_path / "latest").is_symlink()
    assert "summary.json" in names(tmp_path / "there")


def test_a_full_disk_on_the_draft_is_a_clear_line(table, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    run = call("pca", table, *FLAGS, folder=tmp_path / "deep" / "out")
    assert run.code == 2
    assert "No space left on device; nothing was left there" in run.err
    assert names(tmp_path) == ["data"]
    shutil.rmtree(tmp_path / "data")
