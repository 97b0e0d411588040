"""`pca --cluster`: Parquet parts summed up by the workers of a scheduler."""

import json

import numpy as np
import pandas as pd
import pytest
from dask import config

from spectral_tf.apps.analysis import Pca, on_cluster
from spectral_tf.config import ConfigError, DataError

NAMES = [f"x{place}" for place in range(6)]
X = np.random.default_rng(0).normal(size=(300, 6)) * 2.0 ** -np.arange(6) + 7


@pytest.fixture
def parts(tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    for place, rows in enumerate(np.array_split(X, 4)):
        frame = pd.DataFrame(rows, columns=NAMES)
        frame["word"] = "a"
        path = folder / f"part-{place}.parquet"
        frame.to_parquet(path, row_group_size=40, index=False)
    return folder


@pytest.fixture
def local(monkeypatch):
    """No scheduler but the one in this process."""
    monkeypatch.setattr(on_cluster, "connected", lambda _: config.set(num_workers=2))


@pytest.mark.usefixtures("local")
def test_the_answer_is_that_of_the_whole_file(parts, tmp_path):
    pd.DataFrame(X, columns=NAMES).to_csv(tmp_path / "whole.csv", index=False)
    here = Pca(str(tmp_path / "whole.csv"), out=tmp_path / "here", n_components=3).run()
    there = Pca(
        str(parts), out=tmp_path / "there", n_components=3, cluster="tcp://there:1"
    ).run()
    assert there.document["rows"] == 300
    assert there.document["columns"] == NAMES
    assert there.document["left_out"][0]["column"] == "word"
    assert "300 rows in 8 parts, 6 columns, summed up at tcp://there:1" in there.text
    read = [
        pd.read_csv(tmp_path / name / "components.csv") for name in ("here", "there")
    ]
    assert read[0]["name"].tolist() == read[1]["name"].tolist()
    numbers = [frame.drop(columns="name").to_numpy() for frame in read]
    np.testing.assert_allclose(*numbers, rtol=1e-9, atol=1e-11)
    certificate = json.loads((tmp_path / "there" / "certificate.json").read_text())
    assert certificate["status_counts"]["certified"] == 3
    files = ["certificate.json", "components.csv", "scree.png", "summary.json"]
    assert there.document["files"] == files
    for name, value in here.document["scaling"].items():
        assert there.document["scaling"][name] == pytest.approx(value)


@pytest.mark.usefixtures("local")
def test_one_file_and_chosen_columns(parts, tmp_path):
    shown = Pca(
        str(parts / "part-0.parquet"),
        out=tmp_path / "there",
        columns=("x1", "x4"),
        standardize=False,
        n_components=1,
        cluster="tcp://there:1",
    ).run()
    assert shown.document["columns"] == ["x1", "x4"]
    assert shown.document["rows"] == 75


@pytest.mark.usefixtures("local")
def test_what_is_refused_leaves_nothing_behind(parts, tmp_path):
    def run(file=parts, **options):
        Pca(str(file), out=tmp_path / "there", cluster="tcp://there:1", **options).run()

    with pytest.raises(ConfigError, match="--impute median needs the rows"):
        run(impute="median")
    with pytest.raises(DataError, match=r"no Parquet file .* and no folder of them"):
        run(tmp_path / "nowhere")
    with pytest.raises(DataError, match="has no numbers in word"):
        run(columns=("word",))
    frame = pd.DataFrame(X[:, :5], columns=NAMES[:5])
    frame.to_parquet(parts / "part-9.parquet", index=False)
    with pytest.raises(DataError, match=r"part-9.parquet has other columns"):
        run()
    frame = pd.DataFrame(np.where(X > 8, np.nan, X), columns=NAMES)
    frame.to_parquet(parts / "part-9.parquet", index=False)
    with pytest.raises(DataError, match="part 9 of X has NaN"):
        run()
    assert not (tmp_path / "there").exists()


def test_a_scheduler_that_does_not_answer(parts, tmp_path, monkeypatch):
    monkeypatch.setattr(on_cluster, "WAIT", "1s")
    with pytest.raises(DataError, match="no Dask scheduler answers at --cluster tcp"):
        Pca(str(parts), out=tmp_path / "x", cluster="tcp://127.0.0.1:9").run()
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_on_a_real_cluster(parts, tmp_path):
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options) as cluster:
        address = cluster.scheduler_address
        shown = Pca(str(parts), out=tmp_path / "there", cluster=address).run()
    assert shown.document["rows"] == 300
