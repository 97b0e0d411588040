"""The records of `experiments/paper`: resumed, never run twice, never half a line."""

import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import pytest

FILE = Path(__file__).parents[1] / "experiments" / "paper" / "records.py"
spec = importlib.util.spec_from_file_location("paper_records", FILE)
assert spec is not None
assert spec.loader is not None
records = importlib.util.module_from_spec(spec)
spec.loader.exec_module(records)


def test_a_recorded_cell_is_not_measured_again(tmp_path):
    path, calls = tmp_path / "part.jsonl", []

    def measure(factor, seed):
        calls.append(seed)
        return {"value": factor * seed, "bad": math.nan}

    first = records.Records(path).of_seeds({"d": 5}, 2, measure, 10)
    assert first == [{"value": 0, "bad": None}, {"value": 10, "bad": None}]
    again = records.Records(path)
    assert again.of_seeds({"d": 5}, 3, measure, 10)[:2] == first
    assert calls == [0, 1, 2]
    assert again.of_seeds({"d": 6}, 1, measure, 1) == [{"value": 0, "bad": None}]
    assert calls == [0, 1, 2, 0]


def test_a_half_written_line_is_dropped_and_written_anew(tmp_path):
    path = tmp_path / "part.jsonl"
    records.Records(path).measured({"seed": 0}, lambda: {"value": 1})
    whole = path.read_text()
    path.write_text(whole + '{"cell": {"seed": 1}, "val')
    again = records.Records(path)
    assert path.read_text() == whole
    assert again.measured({"seed": 1}, lambda: {"value": 2}) == {"value": 2}
    documents = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["cell"]["seed"] for line in documents if "cell" in line] == [0, 1]


def test_intervals_are_student_s_over_seeds():
    # t(0.975, 2) = 4.302653; the values 0, 1, 2 have standard deviation 1.
    mark = records.Interval.of([0.0, 1.0, 2.0])
    assert mark.mean == 1
    assert mark.half_width == pytest.approx(4.302653 / 3**0.5)
    assert math.isinf(records.Interval.of([3.0]).half_width)
    x = np.array([1.0, 10.0, 100.0])
    slope = records.slopes(x, np.stack([2 * x**-0.5, 3 * x**-0.5]))
    assert slope.mean == pytest.approx(-0.5)
    assert slope.half_width < 1e-12
