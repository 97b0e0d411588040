"""Smoke runs of the training benchmark: it records what it prints."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def smoke_of(part: str, folder: Path) -> tuple[str, list[dict]]:
    """A part's smoke run: what it prints, and its records."""
    out = folder / f"{part}.jsonl"
    command = [sys.executable, "benchmarks/bench_train.py", "--smoke", "--out", out]
    done = subprocess.run(
        [*command, "--part", part],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = out.read_text().splitlines() if out.exists() else []
    return done.stdout, [json.loads(line) for line in lines]


@pytest.mark.long  # tests/training/test_parallel.py reads the compiled step, too
def test_a_step_over_devices_communicates_its_gradient_once(tmp_path):
    printed, lines = smoke_of("devices", tmp_path)
    assert [line["kind"] for line in lines] == ["pmap", "shard_map"]
    for line in lines:
        (size,) = line["collectives"]["all-reduce"]
        assert list(line["collectives"]) == ["all-reduce"]
        # The gradient, and metrics of a few numbers.
        assert line["parameter_bytes"] <= size <= line["parameter_bytes"] + 64
        assert f"1 all-reduce: {size} bytes" in printed


@pytest.mark.long
def test_speed_and_memory_are_recorded_with_the_peak_they_are_measured_by(tmp_path):
    printed, lines = smoke_of("throughput", tmp_path)
    assert [line["dtype"] for line in lines] == ["float32", "bfloat16"]
    for line in lines:
        low, high = line["quartiles"]
        assert 0 < low <= line["instances_per_s"] <= high
        assert f"{line['instances_per_s']:.0f}" in printed
        share = line["gflops"] / line["matmul_gflops"]
        assert 0 < share == pytest.approx(line["share_of_peak"])
        assert line["peak_mb"] > line["step_mb"] >= 0


@pytest.mark.long
def test_ways_of_training_are_scored_on_the_same_instances(tmp_path):
    _, lines = smoke_of("samples", tmp_path)
    assert len({line["heldout"] for line in lines}) == 1
    for line in lines:
        seen, scores = line["curve"]
        assert seen == [0, 4, 8]
        assert line["needed"] is None
        assert scores[0] == pytest.approx(line["start"], abs=1e-4)
