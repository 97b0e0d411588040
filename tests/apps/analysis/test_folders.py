"""Two commands that start in the same second have a folder each."""

import datetime
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from spectral_tf.apps.analysis import folders
from spectral_tf.apps.analysis.folders import results_folder
from spectral_tf.apps.cli import main
from spectral_tf.config import DataError


@pytest.fixture(autouse=True)
def one_second(tmp_path, monkeypatch):
    """An empty folder, in which it is always the same second."""

    class Stopped(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 2, 3, 4, 5, tzinfo=tz)

    class Clock:
        datetime = Stopped

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(folders, "datetime", Clock)


def test_the_same_command_twice_in_a_second_has_two_folders(tmp_path, capsys):
    rows = "\n".join(f"{i},{i * i % 7},{i % 3}" for i in range(30))
    (tmp_path / "t.csv").write_text(f"a,b,c\n{rows}\n")
    for _ in range(2):
        command = ["pca", "t.csv", "--engine", "exact", "--n-components", "1"]
        assert main(command) == 0
    names = ["20260102-030405-pca", "20260102-030405-pca-2"]
    assert sorted(path.name for path in Path("runs").iterdir()) == names
    shown = capsys.readouterr().out
    for name in names:
        assert f"Results in runs/{name}: " in shown
        assert (Path("runs") / name / "summary.json").is_file()


def test_many_at_once_have_a_folder_each():
    def taken(_):
        with results_folder(None, "detect") as folder:
            assert not any(folder.iterdir())
            return folder

    with ThreadPoolExecutor(16) as pool:
        taken_folders = list(pool.map(taken, range(64)))
    assert len(set(taken_folders)) == 64


def test_a_command_that_fails_leaves_nothing(tmp_path):
    assert main(["pca", "absent.csv"]) == 2
    assert main(["demo", "--data", "absent.csv"]) == 2
    assert list(tmp_path.iterdir()) == []
    Path("runs").mkdir()
    assert main(["pca", "absent.csv"]) == 2
    assert list(Path("runs").iterdir()) == []


def test_what_was_written_before_a_failure_is_kept():
    def interrupted():
        with results_folder(None, "demo") as folder:
            (folder / "train.txt").write_text("work")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    (path,) = Path("runs").glob("*/*")
    assert path.read_text() == "work"


def test_the_users_own_folder_is_not_touched(tmp_path):
    with results_folder(tmp_path / "mine", "pca") as folder:
        assert folder == tmp_path / "mine"
    assert not folder.exists()


def test_a_file_in_the_way_is_said(capsys):
    Path("runs").write_text("not a folder")
    with (
        pytest.raises(DataError, match=r"Not a directory; give one.*--out"),
        results_folder(None, "pca"),
    ):
        pass
    assert main(["pca", "digits"]) == 2
    assert "--out" in capsys.readouterr().err
