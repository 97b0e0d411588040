"""`--missing`: the command line says what may be a code, and the audit log keeps it."""

import contextlib
import io
import json

import numpy as np
import pytest

from spectral_tf.apps.analysis.prepare import Preparation, prepare
from spectral_tf.apps.analysis.replay import command_of
from spectral_tf.apps.audit import find_entry, start_log
from spectral_tf.apps.cli import main
from spectral_tf.tables.load import load_columns
from tests.apps.analysis.conftest import call

FLAGS = ["--n-components", "1", "--engine", "exact"]


@pytest.fixture
def sensors(tmp_path):
    """Correlated sensors, independently missing as -999: 8 % of the cells."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 1)) * [3.0, 1.0, 2.0, -1.0] + rng.normal(
        [20, 5, 50, 10], 0.3, (200, 4)
    )
    marked = np.where(rng.random(x.shape) < 0.08, -999.0, x)
    path = tmp_path / "sensors.csv"
    np.savetxt(path, marked, delimiter=",", header="a,b,c,d", comments="", fmt="%.6f")
    return path, x, marked


def summary_of(run):
    return json.loads((run.folder / "summary.json").read_text())


def largest_angle(run, x):
    """Between the component that was found and that of the whole table."""
    _, (row,) = run.table("components.csv")
    loadings = np.array(row[-4:], float)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    truth = np.linalg.svd(z, full_matrices=False)[2][0]
    return np.arccos(min(abs(loadings @ truth) / np.linalg.norm(loadings), 1.0))


def test_a_note_names_the_value_its_columns_and_cells(sensors, tmp_path):
    path, _, marked = sensors
    run = call("pca", path, *FLAGS, folder=tmp_path / "out")
    assert run.code == 0, run.err
    cells = ", ".join(
        f"'{name}': {int(count)}"
        for name, count in zip("abcd", (marked == -999).sum(axis=0), strict=True)
    )
    assert "-999 is repeated and stands far apart" in run.out
    (note,) = [n for n in summary_of(run)["notes"] if "-999" in n]
    assert f"cells by column: {cells}; if it marks missing values" in note


def test_what_is_named_is_missing(sensors, tmp_path):
    path, x, _ = sensors
    run = call("pca", path, "--missing", "-999", *FLAGS, folder=tmp_path / "no")
    assert run.code != 0
    assert "has missing values" in run.err
    assert not run.folder.exists()
    filled = ["--impute", "median"]
    run = call("pca", path, *FLAGS, "--missing", "-999", *filled, folder=tmp_path / "a")
    assert run.code == 0, run.err
    assert "Read -999 as missing" in run.out
    assert "stands far apart" not in run.out
    assert summary_of(run)["parameters"]["reading"]["missing"] == ["-999"]
    plain = call("pca", path, *FLAGS, folder=tmp_path / "plain")
    # Of the cells that are missing alone comes the first component without it.
    assert largest_angle(run, x) < 0.1 < 0.3 < largest_angle(plain, x)


def test_the_audit_log_keeps_the_codes_and_replays_with_them(sensors, tmp_path):
    path, _, _ = sensors
    flags = ["--missing", "-999", "n.a.", "--impute", "median"]
    run = call("pca", path, *FLAGS, *flags, folder=tmp_path / "out")
    log = run.folder / "audit.jsonl"
    entry = find_entry(log, "last")
    assert entry["command"]["arguments"]["reading"]["missing"] == ["-999", "n.a."]
    assert command_of(entry, None).reading.missing == ("-999", "n.a.")
    shown = show(log)
    assert "The decision is confirmed." in shown


def test_an_entry_of_before_there_were_codes_is_replayed(sensors, tmp_path):
    path, _, _ = sensors
    run = call("pca", path, *FLAGS, folder=tmp_path / "out")
    entry = find_entry(run.folder / "audit.jsonl", "last")
    names = {"id", "n", "previous", "sha256"}
    body = {name: value for name, value in entry.items() if name not in names}
    del body["command"]["arguments"]["reading"]
    old = tmp_path / "old"
    old.mkdir()
    start_log(old / "audit.jsonl", body)
    assert command_of(body, None).reading.missing == ()
    assert "The decision is confirmed." in show(old / "audit.jsonl")


def show(log):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["audit", "show", str(log), "last"]) == 0
    return out.getvalue()


def test_a_column_of_codes_alone_is_left_out(write):
    rows = "\n".join(f"{i % 7},{i * i % 11},-999" for i in range(20))
    read = load_columns(str(write(f"a,b,c\n{rows}\n")), missing=[-999])
    table = prepare(read, Preparation())
    assert table.columns == ("a", "b")
    assert dict(table.left_out)["c"] == "it is empty"
