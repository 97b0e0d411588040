"""A run as lines of text: often enough to be seen, not more often."""

import io
import json
import re

import pytest

from spectral_tf.apps.cli import main
from spectral_tf.apps.watch.live import Watch
from spectral_tf.training import lines
from spectral_tf.training.lines import ProgressLines
from spectral_tf.training.loop import pretrain
from spectral_tf.training.records import Progress
from tests.apps.test_cli import TINY as TINY_OPTIONS
from tests.training.test_parallel import TINY

LINE = r"step 2/8  [\d,]+ instances/s  loss \d\.\d{4}  \|cos\|( \d\.\d{3})+"


def progress(step, seconds, **metrics):
    return Progress(step, 100, seconds, 1234.0, {"loss": 0.25, **metrics})


def test_a_line_every_few_seconds_and_the_last_one(monkeypatch):
    clock = iter([0.0, 1.0, 4.9, 5.0, 6.0, 7.0])
    monkeypatch.setattr(lines.time, "monotonic", lambda: next(clock))
    said = []
    watch = ProgressLines(said.append)
    for step, seconds in ((10, 0.0), (20, 1.0), (30, 2.0), (40, 3.0), (50, 4.0)):
        watch(progress(step, seconds, cosine=[0.9, 0.5]))
    watch(progress(100, 9.0, accuracy=0.5))
    assert said == [
        "step 10/100  1,234 instances/s  loss 0.2500  |cos| 0.900 0.500",
        "step 40/100  1,234 instances/s  loss 0.2500  |cos| 0.900 0.500  0:06 left",
        "step 100/100  1,234 instances/s  loss 0.2500  share of rows right 0.500",
    ]


def test_verbose_says_where_a_run_is(capsys):
    config = TINY.replace(num_steps=8, steps_per_call=2)
    pretrain(config)
    assert capsys.readouterr().err == ""
    pretrain(config, verbose=True)
    first, *others = capsys.readouterr().err.splitlines()
    assert first.startswith("compiling for ")
    assert re.fullmatch(LINE, others[0])
    assert others[-1].startswith("step 8/8  ")


def test_pretrain_into_a_log_has_lines(capsys, tmp_path):
    options = ["--num-steps", "8", *TINY_OPTIONS]
    assert main(["pretrain", "--run-dir", str(tmp_path / "r"), *options]) == 0
    said = capsys.readouterr().err.splitlines()
    assert said[0].endswith("; compiling")
    assert said[1].startswith("step 1/8  ")
    assert said[-1].startswith("step 8/8  ")
    assert main(["pretrain", "--run-dir", str(tmp_path / "q"), "--json", *options]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert json.loads(shown.out)["step"] == 8


def test_a_line_is_not_broken_at_the_width_of_a_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    watch = Watch(quiet=False)
    watch.console.file = io.StringIO()
    watch.call(progress(10, 0.0, cosine=[0.5] * 12))
    watch.stage("[red]reading[/red] " + "a long name " * 9)
    text = watch.console.file.getvalue().splitlines()
    assert len(text) == 2
    assert text[1].startswith("[red]reading[/red] a long")


def test_a_reader_that_has_gone_is_known_to_the_caller():
    class Closed(io.StringIO):
        def write(self, _text, /):
            raise BrokenPipeError

    watch = Watch(quiet=False)
    watch.console.file = Closed()
    with pytest.raises(BrokenPipeError):
        watch.stage("reading")
    watch.stage("nobody reads this, and nobody minds")
