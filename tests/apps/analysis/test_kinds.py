"""A kind of analysis is one file and one entry; nothing else knows what there is."""

import ast
import dataclasses
import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from spectral_tf.apps import cli
from spectral_tf.apps.analysis import KINDS, Analysis
from spectral_tf.apps.analysis.kinds import Entry
from spectral_tf.apps.audit import find_entry, start_log
from spectral_tf.apps.cli import main
from tests.apps.analysis import spread
from tests.apps.analysis.conftest import call

FOLDER = Path(sys.modules[Analysis.__module__].__file__ or "").parent


@pytest.fixture
def a_new_kind(monkeypatch):
    """The file in its folder, and its entry."""
    monkeypatch.setitem(sys.modules, "spectral_tf.apps.analysis.spread", spread)
    entry = Entry("analysis.spread", "Spread", "The widest columns of a table.")
    monkeypatch.setitem(KINDS, "spread", entry)
    importlib.reload(cli)
    yield
    monkeypatch.undo()
    importlib.reload(cli)
    assert "spread" not in cli.COMMANDS


@pytest.fixture
def table(tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 3)) * [1, 5, 2]
    np.save(tmp_path / "table.npy", x)
    return tmp_path / "table.npy"


@pytest.mark.usefixtures("a_new_kind")
def test_a_new_kind_runs_writes_its_files_and_is_run_again(table, tmp_path, capsys):
    run = call("spread", table, "--share", "0.8", folder=tmp_path / "out")
    assert (run.code, run.err) == (0, "")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    widest = summary["columns"][1]
    assert f"The widest column is {widest}." in run.out
    assert "Certificate: 1 of 1 component" in run.out
    assert summary["command"] == "spread"
    assert summary["parameters"]["share"] == 0.8
    head, rows = run.table("widths.csv")
    assert head == ["column", "width"]
    widths = {name: float(width) for name, width in rows}
    assert widths == summary["results"]["widths"]
    log = tmp_path / "out" / "audit.jsonl"
    assert find_entry(log, "last")["decision"]["widest"] == widest
    assert main(["audit", "show", str(log), "last"]) == 0
    shown = capsys.readouterr().out
    assert f"same     widest: {widest}" in shown
    assert "same     width: " in shown
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "spread" in capsys.readouterr().out


@pytest.mark.usefixtures("a_new_kind")
def test_its_forged_decision_differs_and_its_old_entries_mean_what_they_meant(
    table, tmp_path, capsys
):
    call("spread", table, "--shift", "0.1", folder=tmp_path / "out")
    entry = find_entry(tmp_path / "out" / "audit.jsonl", "last")
    names = {"id", "n", "previous", "sha256"}
    body = {name: value for name, value in entry.items() if name not in names}
    del body["command"]["arguments"]["shift"]
    for place, (decision, code) in enumerate(
        [(body["decision"], 0), (body["decision"] | {"width": 1.0}, 1)]
    ):
        (tmp_path / str(place)).mkdir()
        log = tmp_path / str(place) / "audit.jsonl"
        start_log(log, body | {"decision": decision})
        assert main(["audit", "show", str(log), "last"]) == code
    assert "DIFFERS  width: now " in capsys.readouterr().out


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_is_known_by_its_decisions_alone(name):
    kind = KINDS[name].load()
    assert issubclass(kind, Analysis)
    assert not kind.__abstractmethods__
    others = [each.load().decides for each in KINDS.values()]
    assert others.count(kind.decides) == 1
    fields = {field.name for field in dataclasses.fields(kind)}
    assert kind.meant.keys() <= fields


def named_kinds(tree):
    """Names of kinds as texts, their classes and those of their answers."""
    classes = {entry.kind for entry in KINDS.values()}
    classes |= {"Components", "Clusters", "Outliers"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in classes:
            yield node.id
        elif isinstance(node, ast.Constant) and node.value in {*KINDS}:
            yield node.value


@pytest.mark.parametrize(
    "path",
    sorted(
        path
        for path in FOLDER.glob("*.py")
        if path.stem not in {*KINDS, "__init__", "kinds", "on_cluster"}
    ),
    ids=lambda path: path.name,
)
def test_what_kinds_share_names_none_of_them(path):
    assert [*named_kinds(ast.parse(path.read_text("utf-8")))] == []


def test_that_check_sees_a_table_of_kinds():
    code = "texts = {'pca': 1}\nisinstance(answer, Outliers) or Detect(pca)"
    assert {*named_kinds(ast.parse(code))} == {"pca", "Outliers", "Detect"}
