"""The protocol of the timings, and a smoke run of the forward benchmark."""

import itertools
import json
import os
import subprocess
import sys
import time
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import timing

ROOT = Path(__file__).parent.parent
FIELDS = {
    *("time", "commit", "python", "jax", "jaxlib", "numpy", "platform", "device"),
    *("processors", "precision", "shapes", "seed"),
}


def test_median_and_interquartile_range():
    timed = timing.Timing(
        lower_s=0.1,
        compile_s=0.2,
        first_s=100.0,
        steady_s=(5.0, 1.0, 2.0, 4.0, 3.0),
        output=None,
    )
    assert (timed.median_s, timed.iqr_s) == (3.0, 2.0)
    assert timed.to_dict() == {
        "lower_s": 0.1,
        "compile_s": 0.2,
        "first_s": 100.0,
        "median_s": 3.0,
        "iqr_s": 2.0,
        "repeats": 5,
    }


def test_a_compiled_function_is_traced_once_and_called_once_more_than_repeated():
    traced, called = [], []

    def function(x):
        traced.append(x)
        jax.debug.callback(lambda _: called.append(1), x)
        return {"double": 2 * x}

    timed = timing.time_compiled(function, np.arange(3.0, dtype=np.float32), repeats=7)
    jax.effects_barrier()
    assert (len(traced), len(called), len(timed.steady_s)) == (1, 8, 7)
    np.testing.assert_array_equal(timed.output["double"], [0, 2, 4])
    assert timed.lower_s is not None
    assert timed.compile_s is not None
    assert min(timed.lower_s, timed.compile_s, timed.first_s, *timed.steady_s) > 0


def test_inputs_are_on_the_device_before_the_clock():
    with jax.transfer_guard("disallow"):  # a call with host arrays would raise
        timing.time_compiled(jnp.sin, np.ones(3, np.float32), repeats=2)


def test_the_inputs_and_every_result_are_waited_for(monkeypatch):
    # Counted, not timed: the CPU backend runs small programs before it returns.
    waited, wait = [], jax.block_until_ready
    monkeypatch.setattr(jax, "block_until_ready", lambda x: waited.append(x) or wait(x))
    timing.time_compiled(lambda x: x + 1, np.float32(1), repeats=3)
    assert jax.tree.leaves(waited) == [1, 2, 2, 2, 2]


def test_the_first_call_is_not_in_the_steady_state():
    calls = []

    def function(value):
        calls.append(value)
        time.sleep(0.2 if len(calls) == 1 else 0.0)
        return len(calls)

    timed = timing.time_host(function, "x", repeats=9)
    assert calls == ["x"] * 10
    assert timed.output == 10
    assert timed.first_s >= 0.2
    assert len(timed.steady_s) == 9
    assert timed.median_s < 0.1
    assert timed.lower_s is timed.compile_s is None


def test_a_slow_function_is_repeated_until_the_budget_is_spent(monkeypatch):
    ticks = map(float, itertools.count())
    clock = types.SimpleNamespace(perf_counter=lambda: next(ticks))
    monkeypatch.setattr(timing, "time", clock)
    of = lambda budget: timing.time_host(lambda: None, repeats=20, budget_s=budget)
    assert len(of(0.0).steady_s) == timing.FEWEST
    assert len(of(7.0).steady_s) == 8  # each call takes one second of this clock
    assert len(of(1e9).steady_s) == 20


def test_numpy_runs_on_as_many_threads_as_is_said():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    pools = lambda: [
        pool["num_threads"]
        for pool in threadpoolctl.threadpool_info()
        if pool["user_api"] == "blas"
    ]
    before = pools()
    assert (
        set(timing.time_host(pools, repeats=1).output) == {timing.BLAS_THREADS} == {1}
    )
    assert pools() == before


def test_a_record_is_one_line_of_json_with_all_that_decides_the_number(tmp_path):
    path = tmp_path / "new" / "out.jsonl"
    for seed in (1, 2):
        timing.record(path, precision="float32", shapes=[3, 4], seed=seed, median_s=0.5)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["seed"] for line in lines] == [1, 2]
    assert lines[0].keys() == lines[1].keys() >= FIELDS | {"median_s"}
    assert lines[0]["shapes"] == [3, 4]
    assert lines[0]["time"].endswith("+00:00")
    with pytest.raises(ValueError, match="JSON"):
        timing.record(path, precision="float32", shapes=[], seed=0, x=float("nan"))
    assert len(path.read_text().splitlines()) == 2


def run_git(folder, *words):
    names = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    done = subprocess.run(
        ("git", *names, *words), cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_the_commit_says_if_the_work_tree_differs(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert timing.git_commit(tmp_path) is None  # no work tree
    try:
        run_git(tmp_path, "init")
    except OSError:
        pytest.skip("git is not installed")
    assert timing.git_commit(tmp_path) is None  # no commit
    file = tmp_path / "file"
    file.write_text("a")
    run_git(tmp_path, "add", "file")
    run_git(tmp_path, "commit", "-m", "one")
    commit = run_git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "untracked").write_text("a")
    assert timing.git_commit(tmp_path) == commit
    file.write_text("b")
    assert timing.git_commit(tmp_path) == f"{commit}-dirty"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert timing.git_commit(tmp_path) is None  # no git


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """The smoke run: what it prints, and its records."""
    out = tmp_path_factory.mktemp("bench") / "forward.jsonl"
    command = [sys.executable, "benchmarks/bench_forward.py", "--smoke", "--out", out]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, [json.loads(line) for line in out.read_text().splitlines()]


@pytest.mark.slow
def test_the_forward_benchmark_records_what_it_prints(smoke):
    printed, lines = smoke
    wanted = FIELDS | {"method", "lower_s", "compile_s", "first_s", "median_s", "iqr_s"}
    methods = [line["method"] for line in lines]
    assert len(methods) == 6
    for line in lines:
        assert line.keys() >= wanted | {"ratio", "gflops", "cosine", "blas_threads"}
        assert line["method"] in printed
        assert (line["compile_s"] is None) == (line["method"] == "numpy eigh")
        is_network = line["method"].startswith(("constructed", "equivariant"))
        assert (line["gflops"] is not None) == is_network
        assert line["median_s"] > 0


@pytest.mark.slow
def test_the_methods_of_the_forward_benchmark_agree_where_they_must(smoke):
    _, lines = smoke
    cosine = {(line["method"], line["products"]): line["cosine"] for line in lines}
    ratio = {(line["method"], line["products"]): line["ratio"] for line in lines}
    tau = lines[0]["shapes"]["tau"]
    classic = cosine["orthogonal iteration", tau]
    built = cosine["constructed (register)", tau]
    np.testing.assert_allclose(built, classic, atol=1e-3)
    assert ratio["orthogonal iteration", tau] == 1
    for name in ("jax eigh", "numpy eigh"):
        np.testing.assert_allclose(cosine[name, None], 1, atol=1e-5)
