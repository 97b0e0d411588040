"""The tutorial runs as it is written, and its numbers are those that were measured."""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from spectral_tf.apps.cli import main

FOLDER = Path(__file__).parents[3] / "experiments" / "tables"
README = (FOLDER / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
SHOWN = dict(re.findall(r"<!-- shown: (\w+) -->\n```text\n(.*?)```", README, re.DOTALL))


def shown_alike(said, written):
    """Equal but for digits of tiny bounds, which cluster is the first, and digests."""
    varying = r"\d+e-\d+|\b[0-9a-f]{64}\b|(?<=entry )[0-9a-f]{16}\b"
    blur = lambda text: sorted(re.sub(varying, "#", text).split())
    return blur(said) == blur(written)


@pytest.mark.slow
def test_the_blocks_run_in_their_order(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names, seen = {}, []
    for kind, text in BLOCKS:
        if kind == "python":
            exec(compile(text, "README.md", "exec"), names)
        for line in text.splitlines() if kind == "bash" else []:
            program, *arguments = shlex.split(line.split("#")[0])
            if program == "spectral-tf":
                capsys.readouterr()
                assert main(arguments) == 0, line
                assert shown_alike(capsys.readouterr().out, SHOWN[arguments[0]])
                seen.append(arguments[0])
    assert seen == ["pca", "cluster", "detect"]


def test_the_numbers_are_those_that_were_measured(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in ("config", "measure", "run"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import run  # pyright: ignore[reportMissingImports]

    summary = json.loads((FOLDER / "results" / "summary.json").read_text())
    begin, end = "<!-- numbers: begin -->\n```text\n", "```\n<!-- numbers: end -->"
    written = README.partition(begin)[2].partition(end)[0]
    assert written.strip() == run.text(summary).strip()
    for name in ("config", "measure", "run"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_the_figures_are_there():
    for name in re.findall(r"\]\(([^)]*\.png)\)", README):
        assert (FOLDER / name).read_bytes().startswith(b"\x89PNG")
