"""What reading a table leaves out or doubts is told by every command that reads one."""

import json

import numpy as np
import pytest

from spectral_tf.apps.cli import main
from spectral_tf.apps.commands import demo as demo_command
from spectral_tf.apps.demo import DemoResult
from spectral_tf.apps.watch.pretrain import Pretrain
from spectral_tf.config import TrainConfig
from spectral_tf.tables.load import load_table

ROWS, COLUMNS = 70, 10
TOLD = (
    "as column names, although it has numbers (0, 1, 2",
    "Left out column 'column_1': ",
    "-999 is repeated and stands far apart from the other values, cells by column: "
    "'3': 10; if it marks missing values, give --missing -999",
)


@pytest.fixture
def source(tmp_path):
    """Numbers for names, an index in disorder, a seventh of a column is -999."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, COLUMNS))
    x[::7, 3] = -999
    index = rng.permutation(ROWS).tolist()
    lines = [["", *range(COLUMNS)]]
    lines += [[i, *row] for i, row in zip(index, x.tolist(), strict=True)]
    path = tmp_path / "w.csv"
    path.write_text("".join(",".join(map(str, cells)) + "\n" for cells in lines))
    return str(path)


def check(notes):
    for part in TOLD:
        assert sum(part in note for note in notes) == 1, (part, notes)


def test_evaluate_tells(source, capsys):
    argv = ["evaluate", "--data", source, "--num-iters", "2", "--num-components", "1"]
    assert main(argv) == 0
    out, err = capsys.readouterr()
    check(out.splitlines())
    assert main([*argv, "--json"]) == 0
    out, again = capsys.readouterr()
    check(json.loads(out)["notes"])
    assert err == again == ""


def test_evaluate_has_nothing_to_tell_of_synthetic_instances(capsys):
    sizes = ["--num-instances", "2", "--num-iters", "2", "--num-components", "1"]
    assert main(["evaluate", *sizes, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == []


def test_the_demo_tells(source, capsys, monkeypatch, tmp_path):
    """The training is left out: `test_demo` has a whole one."""

    def reads_only(config, folder, **_):
        notes = list(load_table(config.data).notes)
        return DemoResult("a table\n", {"notes": notes}, ("a sentence",), folder)

    monkeypatch.setattr(demo_command, "run_demo", reads_only)
    argv = ["demo", "--data", source, "--out", str(tmp_path / "new")]
    assert main(argv) == 0
    lines = capsys.readouterr().out.splitlines()
    check(lines)
    assert "a table" in lines


@pytest.mark.parametrize("way", ["data", "table", "config"])
def test_pretraining_tells_however_the_table_is_named(way, source, tmp_path):
    plain, run_dir = TrainConfig(shapes=((4, 8),)), tmp_path / "run"
    plain = plain.replace(model=plain.model.replace(num_components=2))
    train = plain.replace(table=plain.table.replace(source=source))
    file = tmp_path / "config.json"
    file.write_text(json.dumps(train.to_dict()))
    command = {
        "data": Pretrain(run_dir, train=plain, data=source),
        "table": Pretrain(run_dir, train=train),
        "config": Pretrain(run_dir, config=file),
    }[way]
    check(command._begin().notes)


def test_many_columns_that_are_left_out_are_counted(tmp_path):
    path = tmp_path / "texts.csv"
    names = ["a", *(f"text {i}" for i in range(30))]
    rows = [[i * i, *["word"] * 30] for i in range(9)]
    text = "".join(",".join(map(str, cells)) + "\n" for cells in [names, *rows])
    path.write_text(text)
    notes = load_table(str(path)).notes
    assert sum("Left out column 'text" in note for note in notes) == 20
    assert notes[-1] == "Left out 10 more columns."
