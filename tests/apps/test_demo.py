"""The main job, small: every file it promises, and numbers that are its own."""

import json

import numpy as np
import pytest

from spectral_tf.apps.demo import DemoConfig, instance_sets, run_demo, training_config
from spectral_tf.config import ConfigError
from spectral_tf.tables.load import DataError
from spectral_tf.training.checkpoint import restore_latest

SMALL = DemoConfig(seconds=1.0, num_instances=16, num_iters=30, max_blocks=9)
FIGURES = ("depth_constructed", "depth_trained", "training", "eigenvalues")


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "run"
    return run_demo(SMALL, folder)


def test_every_promised_file_is_there(result):
    for name in FIGURES:
        figure = (result.folder / f"{name}.png").read_bytes()
        assert figure.startswith(b"\x89PNG")
        assert len(figure) > 10_000
    assert (result.folder / "table.txt").read_text() == result.table
    report = json.loads((result.folder / "report.json").read_text())
    assert report["demo"] == json.loads(json.dumps(SMALL.to_dict()))
    assert len(result.sentences) == 3
    assert str(result.folder) in result.sentences[2]
    restored = restore_latest(result.folder / "train")
    assert int(restored.state.step) == report["steps"]


def test_the_table_compares_equal_numbers_of_products(result):
    entries = result.report["entries"]
    assert len(entries) == 4 * 4
    for ours, classic in zip(entries[::2], entries[1::2], strict=True):
        assert ours["instances"] == classic["instances"]
        products = ours["method"].split(", ")[1]
        assert classic["method"] == f"orthogonal iteration, {products}"
        assert ours["report"]["num_instances"] == classic["report"]["num_instances"]


def test_the_constructed_network_is_orthogonal_iteration(result):
    entries = result.report["entries"]
    for ours, classic in zip(entries[::4], entries[1::4], strict=True):
        for one, other in zip(
            ours["report"]["cosine"], classic["report"]["cosine"], strict=True
        ):
            assert one["mean"] == pytest.approx(other["mean"], abs=1e-3)


def test_depth_curves_end_at_full_depth(result):
    for curve in result.report["depth"]:
        ours = curve["ours"]
        products = 30 if curve["network"] == "constructed" else 8
        assert ours["products"][-1] == products
        assert len(ours["cosine"]) == len(ours["products"])


def test_d_64_is_never_trained_on():
    assert max(dim for dim, _ in training_config(DemoConfig()).shapes) < 64


def test_a_table_of_the_users_own(tmp_path):
    path = tmp_path / "mine.csv"
    rows = np.random.default_rng(0).standard_normal((120, 12))
    np.savetxt(path, rows, delimiter=",", header=",".join("abcdefghijkl"), comments="")
    sets = instance_sets(SMALL.replace(data=str(path), block_size=40))
    assert list(sets)[2:] == ["mine.csv SVD d=10 N=40", "mine.csv d=12 N=40"]
    assert sets["mine.csv d=12 N=40"].x.shape == (3, 40, 12)


def test_refusals(tmp_path):
    with pytest.raises(ConfigError, match="num_components=7 must be <= 6"):
        DemoConfig(num_components=7)
    with pytest.raises(DataError, match="absent"):
        run_demo(SMALL.replace(data="absent.csv"), tmp_path / "new")
    assert not (tmp_path / "new").exists()
    (tmp_path / "results.txt").write_text("of another run")
    for taken in (tmp_path, tmp_path / "results.txt"):
        with pytest.raises(FileExistsError, match="choose another run folder"):
            run_demo(SMALL, taken)
