"""Wine as a user has it: a CSV with a column of text; and the program in-process."""

import contextlib
import csv
import dataclasses
import io
from pathlib import Path

import pytest
from sklearn.datasets import load_wine

from spectral_tf.apps.cli import main


@dataclasses.dataclass
class Run:
    """One call of the program: exit code, what it printed, its folder."""

    code: int
    out: str
    err: str
    folder: Path

    def table(self, name):
        """Header and rows of a CSV file, as text."""
        with (self.folder / name).open(newline="", encoding="utf-8") as stream:
            head, *rows = csv.reader(stream)
        return head, rows


def call(*arguments, folder):
    """Run the program; `--out folder` is added."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([*map(str, arguments), "--out", str(folder)])
    return Run(code, out.getvalue(), err.getvalue(), Path(folder))


@pytest.fixture(scope="session")
def wine():
    return load_wine()


@pytest.fixture(scope="session")
def wine_csv(wine, tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "wine.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([*wine.feature_names, "cultivar"])
        pairs = zip(wine.data.tolist(), wine.target_names[wine.target], strict=True)
        writer.writerows([*row, name] for row, name in pairs)
    return path


@pytest.fixture
def write(tmp_path):
    """A function that writes a text file and returns its path."""

    def write_file(text, name="table.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write_file
