"""Arithmetic on counted steps: lines through two batches, scaling, where it ends."""

import json

import pytest

from benchmarks.accelerator import pods

HOP = 1e-6


def row(program, instances, cycles, launches=0.0, reduced=400_000):
    return {
        "benchmark": "accelerator-steps",
        "program": program,
        "instances": instances,
        "cycles": cycles,
        "launches": launches,
        "collectives": {"all-reduce": [reduced]} if cycles else {},
    }


def written(tmp_path, *rows):
    path = tmp_path / "counts.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in rows))
    return path


def test_a_line_goes_through_two_batches(tmp_path):
    other = {"benchmark": "accelerator-forward", "program": "net"}
    path = written(
        tmp_path,
        *(other, row("net", 32, 1.32e6), row("net", 256, 3.56e6)),
        *(row("net", 256, 0, 800.0), row("single", 32, 1e6)),
    )
    lines = pods.read_counts(path)
    assert set(lines) == {"net"}
    assert lines["net"].fixed == pytest.approx(1e6)
    assert lines["net"].slope == pytest.approx(1e4)
    assert (lines["net"].bytes, lines["net"].launches) == (400_000, 800.0)
    with pytest.raises(ValueError, match="two batch sizes"):
        pods.read_counts(written(tmp_path, row("net", 32, 1e6)))


LINE = pods.Line(fixed=1e6, slope=1e4, bytes=400_000, launches=800.0)


def test_one_chip_reduces_nothing_and_more_chips_more():
    times = [pods.reduce_seconds(LINE, chips, HOP) for chips in pods.CHIPS]
    assert times[0] == 0
    # 2 p-1/p of the bytes at 200 GB/s, and 6 or 32 hops.
    assert times[1] == pytest.approx(2 * 7 / 8 * 2e-6 + 6e-6)
    assert times[2] == pytest.approx(2 * 255 / 256 * 2e-6 + 32e-6)


def test_the_clock_is_that_of_the_published_peak():
    assert pytest.approx(1.503e9, rel=1e-3) == pods.CLOCK


def test_where_the_all_reduce_begins_to_dominate():
    assert pods.dominating_batch(LINE, 256, HOP) is None  # 1e6 cycles are 665 us
    light = LINE._replace(fixed=0.0)
    batch = pods.dominating_batch(light, 256, HOP)
    assert batch is not None
    assert pods.compute_seconds(light, batch) == pytest.approx(
        pods.reduce_seconds(light, 256, HOP)
    )
    said = list(pods.notes({"net": LINE, "light": light}, HOP, 3e-6))
    assert "net on 256 chips: the all-reduce (36 us) never dominates" in said[1]
    assert "800 launches of 3 us are 2.4 ms" in said[2]
    assert "light on 8 chips: the all-reduce" in said[3]


def test_strong_scaling_divides_the_batch_and_stops_at_one_instance():
    run = pods.Run(instances=6400, batch=64)
    rows = pods.table_rows({"net": LINE}, {"net": run, "other": run}, HOP, 2.0)
    assert [line[1] for line in rows] == ["1", "8", "256"]
    assert [line[4] for line in rows] == ["64", "8", "1"]
    alone = 100 * (1e6 + 64e4) / pods.CLOCK
    assert rows[0][8] == f"{alone:,.0f} s"
    assert rows[0][6] == "1e+02 %"
    assert float(rows[0][10]) == pytest.approx(alone / 3600 * 2, abs=0.01)
    without = pods.table_rows({"net": LINE}, {"net": run}, HOP, None)
    assert without[0][10] == "-"


def test_what_a_checkpoint_records_of_its_training():
    train = {"batch_size": 16, "shapes": [[4, 12], [10, 50]]}
    full = {"record": {"instances": 3200, "train": train}}
    runs = pods.runs_of([("net", full), ("bare", {"record": {}})])
    assert runs == {"net": pods.Run(3200, 32)}
