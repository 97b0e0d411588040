"""`poc` and `report`, from a file to a folder that an audit confirms."""

import csv
import json

import numpy as np
import pytest

from spectral_tf.apps.cli import main
from spectral_tf.apps.report.page.parts import Text
from spectral_tf.apps.studies.sections import labelled_section

DAYS, ITEMS = 160, 25
QUICK = ["--quick", "--events", "2", "--alarms-per-week", "4"]


@pytest.fixture(scope="module")
def sales(tmp_path_factory):
    """A user's file, with a hostile name among the items."""
    rng = np.random.default_rng(0)
    names = ["<script>alert(1)</script>", *(f"item {i}" for i in range(1, ITEMS))]
    start = np.datetime64("2025-01-01")
    path = tmp_path_factory.mktemp("sales") / "sales.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["date", "item", "quantity"])
        for day in range(DAYS):
            counts = rng.poisson(np.linspace(2, 9, ITEMS))
            for name, count in zip(names, counts.tolist(), strict=True):
                writer.writerow([str(start + day), name, count])
    return path


@pytest.fixture(scope="module")
def folder(sales, tmp_path_factory):
    out = tmp_path_factory.mktemp("poc") / "stock"
    arguments = ["poc", "stock", "--data", str(sales), "--out", str(out), *QUICK]
    assert main(arguments) == 0
    return out


def test_every_file_is_there_and_says_that_faults_are_injected(folder):
    names = {path.name for path in folder.iterdir()}
    assert names >= {"poc.json", "report-en.html", "alarms.csv", "audit.jsonl"}
    document = json.loads((folder / "poc.json").read_text())
    page = (folder / "report-en.html").read_text()
    assert "injected by a published generator" in page
    assert document["quick"] is True
    assert "Made with --quick" in page
    assert len(document["events"]) == 2 * 5
    assert [one["name"] for one in document["methods"]][:2] == [
        "constructed",
        "pre-trained",
    ]
    with (folder / "alarms.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(document["alarms"]) > 10
    assert float(rows[0]["score"]) >= float(rows[-1]["score"])


def test_a_hostile_item_stays_text(folder):
    page = (folder / "report-en.html").read_text()
    assert "<script>alert(1)</script>" not in page


def test_no_sales_are_in_the_audit_log(folder):
    entry = (folder / "audit.jsonl").read_text().splitlines()[-1]
    body = json.loads(entry)
    assert body["command"]["name"] == "poc stock"
    assert "sold" not in entry
    assert "quantity" not in entry


def test_the_decision_is_made_again(folder, capsys):
    log = str(folder / "audit.jsonl")
    assert main(["audit", "verify", log]) == 0
    assert main(["audit", "show", log, "last"]) == 0
    assert "The decision is confirmed." in capsys.readouterr().out


def test_other_sales_do_not_confirm_the_decision(folder, sales, tmp_path, capsys):
    lines = sales.read_text().splitlines()
    changed = tmp_path / "changed.csv"
    changed.write_text("\n".join([*lines[:-1], lines[-1].rsplit(",", 1)[0] + ",99"]))
    log = str(folder / "audit.jsonl")
    assert main(["audit", "show", log, "last", "--data", str(changed)]) == 1
    out = capsys.readouterr().out
    assert "DIFFERS  input" in out
    assert "NOT confirmed" in out


def test_the_report_is_made_again_in_japanese(folder, capsys):
    assert main(["report", str(folder), "--lang", "ja"]) == 0
    page = (folder / "report-ja.html").read_text()
    assert 'lang="ja"' in page
    assert "在庫異常検知" in page
    assert "is intact" in page
    assert main(["report", str(folder), "--lang", "ja"]) == 2
    assert "--force" in capsys.readouterr().err
    assert main(["report", str(folder), "--lang", "ja", "--force"]) == 0


def test_a_log_that_was_altered_shows_in_the_report(folder, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    log = copy / "audit.jsonl"
    log.write_text(log.read_text().replace('"seed":0', '"seed":1', 1))
    assert main(["report", str(copy), "--lang", "en", "--force"]) == 0
    assert "is NOT intact" in (copy / "report-en.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["report", "FOLDER"], "has no poc.json"),
        (["report", "FOLDER", "--out", "x.pdf"], "has no poc.json"),
        (["poc", "stock", "--data", "absent.csv"], "must be a .csv or .parquet"),
        (["poc", "stock", "--past", "0.01"], "must lie in"),
    ],
)
def test_refusals(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = [str(tmp_path) if one == "FOLDER" else one for one in arguments]
    assert main(given) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_folder_that_exists_is_kept(folder, sales, capsys):
    before = (folder / "poc.json").read_bytes()
    arguments = ["poc", "stock", "--data", str(sales), "--out", str(folder), *QUICK]
    assert main(arguments) == 2
    assert "--force" in capsys.readouterr().err
    assert (folder / "poc.json").read_bytes() == before


def test_tables_that_are_not_installed_are_said_to_be_missing():
    (part,) = labelled_section([]).parts
    assert isinstance(part, Text)
    assert "Not run" in part.en
