"""Run folders read while they grow, after they broke, and side by side."""

import json
import os
import shutil
import time
from typing import Any

import numpy as np
import pytest
import tyro

from spectral_tf.apps.watch.commands import CURVE, Runs, write_curve
from spectral_tf.apps.watch.compare import (
    FIELDS,
    compare_runs,
    differences_table,
    differing_fields,
    run_names,
    runs_document,
)
from spectral_tf.apps.watch.read import Run, find_runs, read_run
from spectral_tf.config import (
    ClusterTrainConfig,
    ConfigError,
    DataError,
    EnsembleConfig,
    MixturePart,
    TrainConfig,
)
from tests.training.test_parallel import TINY

CONFIG = TINY.replace(shapes=((4, 8), (3, 6)), num_steps=8, steps_per_call=2)


def line(step, seconds, loss, heldout=None, **more):
    """A line of metrics.jsonl, as the loop writes it."""
    record = {
        "step": step,
        "horizon": 8,
        "seconds": seconds,
        "instances_per_second": 10.0 if seconds == 0 else 100.0 * step,
        "loss": loss,
        "cosine": [1 - loss / 4, 1 - loss],
        "learning_rate": 0.001,
        "grad_norm": 2.0,
        **more,
    }
    return record | ({} if heldout is None else {"heldout": heldout})


LINES = (
    line(2, 0.0, 0.5),
    line(4, 1.5, 0.25, {"loss": 0.5, "cosine": [0.75, 0.5], "shape": {"a": 1.0}}),
    line(6, 0.0, 0.125, {"loss": 0.25, "cosine": [0.875, 0.625]}),
    line(8, 2.0, 0.375, {"loss": 0.375, "cosine": [0.75, 0.75]}),
)


def write(folder, lines=LINES, config: Any = CONFIG, text=None):
    """A run folder; its second start is the third line."""
    folder.mkdir(parents=True)
    values = config.to_dict() if isinstance(config, TrainConfig) else config
    (folder / "config.json").write_text(json.dumps(values))
    joined = "".join(json.dumps(one) + "\n" for one in lines)
    (folder / "metrics.jsonl").write_text(joined if text is None else text)
    return folder


def same(one: Run, two: Run) -> bool:
    """Whether two runs have the same numbers."""
    return one.metrics.keys() == two.metrics.keys() and all(
        np.array_equal(one.metrics[name], two.metrics[name], equal_nan=True)
        for name in one.metrics
    )


def test_best_last_and_clock_of_a_resumed_run(tmp_path):
    run = read_run(write(tmp_path / "run"))
    assert run.extreme("loss") == (0.375, 0.125, 6)
    assert run.extreme("heldout/loss") == (0.375, 0.25, 6)
    assert run.extreme("never") is None
    np.testing.assert_array_equal(run.last("heldout/cosine"), [0.75, 0.75])
    np.testing.assert_array_equal(
        run.metrics["heldout/loss"], [np.nan, 0.5, 0.25, 0.375]
    )
    assert run.metrics["heldout/cosine"].shape == (4, 2)
    assert run.metrics["heldout/shape/a"][1] == 1
    # Both starts compile: their calls count neither as time nor as speed.
    assert run.seconds == 3.5
    assert run.instances_per_second == (400 + 800) / 2
    assert run.instances == 8 * 8 * 2


@pytest.mark.parametrize("kept", [0, 1, 20, -2])
def test_a_half_written_last_line_is_left_out(kept, tmp_path):
    whole = "".join(json.dumps(one) + "\n" for one in LINES[:2])
    half = json.dumps(LINES[2])[:kept]
    run = read_run(write(tmp_path / "cut", text=whole + half))
    assert same(run, read_run(write(tmp_path / "whole", LINES[:2])))
    assert run.step == 4


def test_a_whole_last_line_without_its_newline_is_kept(tmp_path):
    text = "\n".join(json.dumps(one) for one in LINES)
    assert read_run(write(tmp_path / "run", text=text)).step == 8


def test_a_run_that_has_logged_nothing_is_a_run(tmp_path):
    run = read_run(write(tmp_path / "run", text='{"step": 2, "lo'))
    assert (run.step, run.horizon, run.instances, run.seconds) == (0, 8, 0, 0)
    assert run.state == "running?"
    assert run.extreme("loss") is None
    assert "0/8" in compare_runs([run])
    json.dumps(runs_document([run]), allow_nan=False)
    with pytest.raises(DataError, match="run has not logged a call yet"):
        write_curve(tmp_path / "run")


def test_the_state_follows_from_the_horizon_and_the_silence(tmp_path):
    folder = write(tmp_path / "run", [line(2, 0.0, 0.5), line(4, 400.0, 0.5)])
    seen = []
    for silence in (10, 3000, 5000):
        then = time.time() - silence
        os.utime(folder / "metrics.jsonl", (then, then))
        seen.append(read_run(folder).state)
    # Its longest call took 400 s, so 3000 s say nothing yet.
    assert seen == ["running?", "running?", "stopped"]
    done = write(tmp_path / "done", LINES)
    assert read_run(done).state == "finished"
    # A time limit shortens a run: the last horizon counts.
    short = write(tmp_path / "short", [line(2, 0.0, 0.5, horizon=2)])
    assert read_run(short).state == "finished"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"step": 1, "loss": 1}\n{"st\n{"step": 3, "loss": 1}\n', "line 2 is not"),
        ('[1]\n{"step": 3, "loss": 1}\n', "line 1 is not a JSON object"),
        ('{"loss": 1}\n{"step": 3, "loss": 1}\n', "line 1 is not.*step and loss"),
        (
            '{"step": 1, "loss": 1, "cosine": [1]}\n'
            '{"step": 2, "loss": 1, "cosine": [1, 2]}\n',
            "cosine is not of one shape",
        ),
    ],
)
def test_a_damaged_log_names_the_place(text, message, tmp_path):
    with pytest.raises(DataError, match=rf"metrics\.jsonl.*{message}"):
        read_run(write(tmp_path / "run", text=text))


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"is not a run: it has no config\.json.*give"):
        read_run(tmp_path)
    folder = write(tmp_path / "run")
    (folder / "metrics.jsonl").unlink()
    with pytest.raises(DataError, match=r"it has no metrics\.jsonl"):
        read_run(folder)
    for text in ("{", "[]", "{}", '{"batch_size": "a", "num_steps": 1, "shapes": []}'):
        shutil.rmtree(folder)
        write(folder)
        (folder / "config.json").write_text(text)
        with pytest.raises(DataError, match=r"config\.json .*restore the file"):
            read_run(folder)


def test_a_run_of_another_version_can_still_be_seen(tmp_path):
    values = CONFIG.to_dict()
    values["model"]["forgotten"] = 3
    old = read_run(write(tmp_path / "old", config=values))
    new = read_run(write(tmp_path / "new"))
    assert old.num_params is None
    assert old.instances == new.instances
    assert differing_fields([old, new]) == {"model.forgotten": [3, None]}
    assert "old" in compare_runs([old, new])


def test_runs_are_found_at_any_depth_but_not_inside_runs(tmp_path):
    wanted = [write(tmp_path / name) for name in ("a", "b/c", "b/d/e")]
    write(tmp_path / "a" / "checkpoints" / "inner")
    (write(tmp_path / "half") / "config.json").unlink()
    assert find_runs(tmp_path) == wanted
    assert find_runs(tmp_path / "a") == [tmp_path / "a"]
    assert find_runs(tmp_path / "half") == []
    with pytest.raises(DataError, match="nowhere is not a folder"):
        find_runs(tmp_path / "nowhere")


def test_names_are_what_tells_runs_apart(tmp_path):
    folders = [write(tmp_path / name) for name in ("x/1/train", "x/2/train", "y")]
    runs = [read_run(folder) for folder in folders]
    assert run_names(runs) == ["x/1/train", "x/2/train", "y"]
    assert run_names(runs[:2]) == ["1/train", "2/train"]
    assert run_names(runs[:1]) == ["train"]


def test_the_fields_that_differ_are_named_by_dots(tmp_path):
    part = MixturePart(ensemble=EnsembleConfig(), weight=1.0)
    configs = [
        CONFIG,
        CONFIG.replace(
            learning_rate=0.5,
            model=CONFIG.model.replace(num_blocks=2),
            mixture=(part,),
        ),
        CONFIG.replace(mixture=(part.replace(weight=2.0),)),
    ]
    runs = [
        read_run(write(tmp_path / str(place), config=config))
        for place, config in enumerate(configs)
    ]
    fields = differing_fields(runs)
    assert fields["learning_rate"] == [CONFIG.learning_rate, 0.5, CONFIG.learning_rate]
    assert fields["model.num_blocks"] == [1, 2, 1]
    assert fields["mixture.0.weight"] == [None, 1.0, 2.0]
    assert "seed" not in fields
    assert differing_fields(runs[:1]) == {}
    assert differences_table(runs[:1]) == ""
    rows = [row.split() for row in differences_table(runs).splitlines()]
    assert rows[0] == ["field", "0", "1", "2"]
    assert ["mixture.0.weight", "-", "1.0", "2.0"] in rows


def test_runs_of_two_kinds_differ_in_a_short_table(tmp_path):
    """Networks of clusters and of eigenpairs share few fields of their hundred."""
    write(tmp_path / "runs" / "a")
    write(tmp_path / "runs" / "b", config=CONFIG.replace(seed=1))
    write(tmp_path / "runs" / "c", config=ClusterTrainConfig().to_dict())
    runs = [read_run(folder) for folder in find_runs(tmp_path)]
    fields = differing_fields(runs)
    assert len(fields) > 50
    full = differences_table(runs).splitlines()
    assert len(full) == len(fields) + 2
    short = Runs(root=tmp_path / "runs").run().text
    table = short.partition("They differ in:\n")[2].splitlines()
    assert len(table) == FIELDS + 2
    assert max(map(len, table)) < 140
    # What all of them have is what tells them apart.
    shared = [name for name, row in fields.items() if None not in row]
    names = [row.split()[0] for row in table[2:-1]]
    assert names[: len(shared)] == shared[: FIELDS - 1]
    count = len(fields) - len(names)
    assert table[-1].startswith(f"and {count} more fields, ")
    assert table[-1].endswith("; --fields shows all")
    everything = Runs(root=tmp_path / "runs", fields=True).run().text
    for name in fields:
        assert f"\n{name} " in everything


def test_the_table_says_where_its_cosines_come_from(tmp_path):
    one = read_run(write(tmp_path / "one"))
    bare = [{k: v for k, v in record.items() if k != "heldout"} for record in LINES]
    two = read_run(write(tmp_path / "two", bare[:2]))
    header, _, *rows = compare_runs([one]).splitlines()
    assert "held-out |cos| 2" in header
    row = rows[0].split()
    assert row[:3] == ["one", "finished", "8/8"]
    assert row[-2:] == ["0.7500", "0.7500"]
    assert row[-4:-2] == ["0.3750", "(0.2500)"]
    header, _, *rows = compare_runs([one, two]).splitlines()
    assert "held-out |cos|" not in header
    assert "held-out loss (best)" in header
    assert "  |cos| 2" in header
    assert rows[0].split()[-2:] == ["0.9062", "0.6250"]
    assert rows[1].split()[-2:] == ["0.9375", "0.7500"]


def test_the_command_lists_compares_and_draws(tmp_path):
    write(tmp_path / "runs" / "a")
    write(tmp_path / "runs" / "b", LINES[:3], CONFIG.replace(seed=1))
    write(tmp_path / "runs" / "c", text="{\n{}\n")
    figure = tmp_path / "new" / "both.png"
    args = [str(tmp_path / "runs"), "--figure", str(figure)]
    command = tyro.cli(Runs, args=args)
    document, text = command.run()
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert [run["name"] for run in document["runs"]] == ["a", "b"]
    assert document["differing_fields"] == {"seed": [0, 1]}
    assert document["runs"][0]["heldout_loss"]["best_step"] == 6
    assert document["figure"] == str(figure)
    assert len(document["unreadable"]) == 1
    for part in (
        "They differ in:",
        "left out: ",
        "c/metrics.jsonl, line 1",
        "both.png",
    ):
        assert part in text
    with pytest.raises(FileExistsError, match=r"both\.png exists"):
        command.run()
    with pytest.raises(ConfigError, match=r"must end in \.png"):
        Runs(root=tmp_path / "runs", figure=tmp_path / "x.pdf").run()
    with pytest.raises(DataError, match=r"line 1 is not a JSON object"):
        Runs(root=tmp_path / "runs" / "c").run()
    with pytest.raises(DataError, match=r"no run in .*new.*--run-dir"):
        Runs(root=tmp_path / "new").run()
    assert tyro.cli(Runs, args=[]).root.name == "runs"


def test_the_curve_is_replaced_whole_or_not_at_all(tmp_path):
    folder = write(tmp_path / "run")
    (folder / CURVE).write_text("old")
    assert write_curve(folder) == folder / CURVE
    assert (folder / CURVE).read_bytes().startswith(b"\x89PNG")
    (folder / CURVE).unlink()
    (folder / CURVE).mkdir()
    with pytest.raises(DataError, match=r"cannot write .*curve\.png"):
        write_curve(folder)
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["config.json", CURVE, "metrics.jsonl"]
