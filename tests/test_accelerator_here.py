"""The check for whoever has an accelerator sees a wrong answer, and says so."""

import argparse
import json
from pathlib import Path

import jax
import numpy as np
import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    """The benchmarks' folder is where they import from."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.fixture
def checked():
    from accelerator import here

    return here


def tiny(here):
    """One composition; no size, no run that is timed."""
    return here.plan(True)._replace(sizes=(), cases=())


def test_right_answers_are_right(checked):
    rows = list(checked.answers(tiny(checked)))
    assert [row["right"] for row in rows] == [True, True, None, None]
    assert max(row["angle"] for row in rows) == 0
    assert checked.cells(rows[0])[0] == "predict rms, highest"
    assert checked.cells(rows[0])[2] == "right"


def test_a_wrong_answer_is_seen(checked, monkeypatch):
    calls, on = [], checked.on

    def tilted(device, function, *arguments):
        estimate = on(device, function, *arguments)
        calls.append(device)
        if len(calls) % 2:  # the accelerator is asked first
            vectors = estimate.eigenvectors + 0.01
            estimate = estimate._replace(eigenvectors=vectors)
        return estimate

    monkeypatch.setattr(checked, "on", tilted)
    rows = list(checked.answers(tiny(checked)))
    assert [row["right"] for row in rows] == [False, False, None, None]
    assert checked.cells(rows[0])[2] == "WRONG"


@pytest.mark.slow
def test_steps_over_all_devices_end_where_one_device_does(checked, monkeypatch):
    single, all_of_them = checked.steps_agree(tiny(checked))
    assert single["right"]
    assert all_of_them["right"]
    assert all_of_them["name"] == f"training steps on 4 of {len(jax.devices())}"
    monkeypatch.setattr(jax.lax, "pmean", lambda tree, _: tree)
    changed = tiny(checked)
    jax.clear_caches()
    from spectral_tf.training import parallel

    parallel._parallel_steps.cache_clear()
    assert [row["right"] for row in checked.steps_agree(changed)] == [True, False]


def test_what_no_time_is_left_for_is_said_to_be_skipped(checked):
    late = tiny(checked)._replace(deadline=0.0, cases=("dense",), sizes=((4, 6),))
    for section in (checked.answers, checked.training, checked.forward):
        rows = list(section(late))
        assert rows
        assert all(row["skipped"] for row in rows)
        assert checked.cells(rows[0])[1] == "skipped: time is up"


def test_angles_are_blind_to_signs_and_exact_when_small(checked):
    vectors = np.eye(3)[:2]
    turned = np.array([[np.cos(1e-6), np.sin(1e-6), 0], [0, -1, 0]])
    np.testing.assert_allclose(checked.angles(vectors, turned), [1e-6, 0], rtol=1e-6)


def test_a_failed_check_ends_with_an_error(monkeypatch, tmp_path, capsys):
    import bench_accelerator

    section = lambda _: iter([{"name": "a", "difference": 1.0, "right": False}])
    monkeypatch.setattr(bench_accelerator.here, "SECTIONS", {"steps": section})
    args = argparse.Namespace(smoke=True, profile=None)
    out = tmp_path / "out.jsonl"
    assert not bench_accelerator.check_here(args, out)
    assert "WRONG" in capsys.readouterr().out
    line = json.loads(out.read_text())
    assert (line["benchmark"], line["right"]) == ("accelerator-here-steps", False)
    monkeypatch.setattr(
        "sys.argv", ["bench_accelerator.py", "--here", "--smoke", "--out", str(out)]
    )
    with pytest.raises(SystemExit, match="WRONG"):
        bench_accelerator.main()
