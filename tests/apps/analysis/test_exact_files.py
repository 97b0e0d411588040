"""Files whose numbers have more digits than a float64: the last ones count."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.apps.analysis.conftest import call

BASE = 1_700_000_000_000_000_000


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    t = rng.integers(0, 1000, 60)
    a = np.round(t + rng.normal(size=60) * 100, 3)
    return pd.DataFrame({"t": t, "a": a, "b": np.round(rng.normal(size=60), 3)})


def written(folder, kind: str, base: int):
    """The frame with the first column moved by `base`, as a file."""
    x = frame()
    x["t"] += base
    seconds = [Decimal(int(value)).scaleb(-9) for value in x["t"]]
    path = folder / f"{kind.replace(' ', '')}{base}.{kind.split()[-1]}"
    if kind == "decimal csv":
        x.assign(t=seconds).to_csv(path, index=False)
    elif kind == "csv":
        x.to_csv(path, index=False)
    elif kind == "npy":
        np.save(path, np.column_stack([x["t"], x["t"] % 977, x["t"] % 531]))
    else:
        stamps = pa.array(x["t"])
        if kind == "decimal parquet":
            stamps = pa.array(seconds, pa.decimal128(28, 9))
        parquet.write_table(pa.table({"t": stamps, "a": x["a"], "b": x["b"]}), path)
    return path


def numbers(run, name: str) -> np.ndarray:
    assert run.code == 0, run.err
    return np.array([row[1:] for row in run.table(name)[1]], float)


KINDS = ["csv", "decimal csv", "parquet", "decimal parquet"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("flag", ["--standardize", "--no-standardize"])
def test_components_are_those_of_small_numbers(kind, flag, tmp_path):
    run = {
        base: call(
            "pca", written(tmp_path, kind, base), flag, folder=tmp_path / str(base)
        )
        for base in (0, BASE)
    }
    for name in ("components.csv", "scores.csv"):
        there, here = (numbers(run[base], name) for base in (0, BASE))
        np.testing.assert_allclose(here, there, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", ["csv", "decimal parquet"])
@pytest.mark.parametrize(
    ("command", "name", "column"),
    [("detect", "outliers.csv", "score"), ("cluster", "labels.csv", "cluster")],
)
def test_outliers_and_clusters(command, name, column, kind, tmp_path):
    flags = ["--n-clusters", "2"] if command == "cluster" else []
    answers = []
    for base in (0, BASE):
        file = written(tmp_path, kind, base)
        run = call(command, file, *flags, folder=tmp_path / f"run{base}")
        assert run.code == 0, run.err
        head, rows = run.table(name)
        answers.append([float(row[head.index(column)]) for row in rows])
    np.testing.assert_allclose(answers[1], answers[0], rtol=1e-6)
