"""The main job, small: every file it promises, and numbers that are its own."""

import json

import numpy as np
import pytest

from spectral_tf.apps.demo import (
    RIVALS,
    DemoConfig,
    compare_trained,
    instance_sets,
    run_demo,
    training_start,
)
from spectral_tf.config import ConfigError, EnsembleConfig
from spectral_tf.estimators.networks import load_network
from spectral_tf.sampling.sampler import sample_batch
from spectral_tf.settings import random_key
from spectral_tf.tables.load import DataError, load_table
from spectral_tf.training.checkpoint import restore_latest

SMALL = DemoConfig(steps=1, num_instances=16, num_iters=30, max_blocks=9)
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
    assert report["notes"] == ["Left out the labels of the images."]
    assert len(result.sentences) == 5
    assert str(result.folder) in result.sentences[-1]
    assert report["sentences"] == list(result.sentences)
    restored = restore_latest(result.folder / "train")
    assert int(restored.state.step) == report["steps"]


def test_the_table_compares_equal_numbers_of_products(result):
    entries = result.report["entries"]
    assert len(entries) == 4 * 6
    for start in range(0, len(entries), 6):
        block = entries[start : start + 6]
        assert len({entry["instances"] for entry in block}) == 1
        assert len({entry["report"]["num_instances"] for entry in block}) == 1
        assert [entry["method"] for entry in block] == [
            "constructed, 30 products",
            "orthogonal iteration, 30 products",
            "trained, 8 products",
            "its untrained start, 8 products",
            "orthogonal iteration, 8 products",
            "Ritz of 8 vectors, 8 products",
        ]


def test_the_sentences_count_what_the_table_has(result):
    """The differences are those of the table, and each sentence is of its rival."""
    entries = {
        (entry["instances"], entry["method"]): entry["report"]
        for entry in result.report["entries"]
    }
    comparisons = result.report["comparisons"]
    assert len(comparisons) == 4 * 3
    for item in comparisons:
        names = (item["method"], item["against"])
        ours, other = (entries[item["instances"], name] for name in names)
        for rank, mine, its in zip(
            item["cosine"], ours["cosine"], other["cosine"], strict=True
        ):
            gap = mine["mean"] - its["mean"]
            assert rank["mean"] == pytest.approx(gap, abs=1e-5)
        angle = ours["angle"]["mean"] - other["angle"]["mean"]
        assert item["angle"]["mean"] == pytest.approx(angle, abs=1e-5)
    for rival, sentence in zip(RIVALS, result.sentences[1:4], strict=True):
        mine = [item for item in comparisons if item["against"].startswith(rival)]
        ranks = [rank for item in mine for rank in item["cosine"]]
        above = sum(rank["mean"] > rank["half_width"] for rank in ranks)
        smaller = sum(
            item["angle"]["mean"] < -item["angle"]["half_width"] for item in mine
        )
        assert f"|cos| is higher on {above} of {len(ranks)} ranks" in sentence
        assert f"angle is smaller on {smaller} of {len(mine)} sets" in sentence


def test_the_constructed_network_is_orthogonal_iteration(result):
    entries = result.report["entries"]
    for ours, classic in zip(entries[::6], entries[1::6], strict=True):
        for one, other in zip(
            ours["report"]["cosine"], classic["report"]["cosine"], strict=True
        ):
            assert one["mean"] == pytest.approx(other["mean"], abs=1e-3)


@pytest.mark.long
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_seed_trains_ahead_of_its_start_and_of_the_classic(seed, tmp_path):
    """The demo as it is, some minutes for each seed: on every rank of every set."""
    config = DemoConfig(seed=seed)
    run = run_demo(config, tmp_path / "run")
    assert run.report["steps"] == config.steps
    for sentence in run.sentences[1:3]:
        assert "of 12 ranks" in sentence
        assert "of 4 sets" in sentence
    items = run.report["comparisons"]
    # As wide as the narrow tables that it is trained on, which the demo does not show.
    narrow = EnsembleConfig(dim=16, num_samples=64)
    batch = sample_batch(random_key(100 + seed), narrow, 400)
    start = training_start(config)[1]
    network = load_network(run.folder / "train")
    added = compare_trained(start, network, "synthetic d=16 N=64", batch)[1]
    items = [*items, *(item.to_dict() for item in added)]
    rivals = [item for item in items if item["against"].startswith(RIVALS[:2])]
    assert len(rivals) == 5 * 2
    for item in rivals:
        gains = np.array([rank["mean"] for rank in item["cosine"]])
        assert np.all(gains > 0), (item["instances"], item["against"], gains)
        if item["instances"].startswith("synthetic d=64"):
            widths = [rank["half_width"] for rank in item["cosine"]]
            assert np.all(gains > widths), (item["against"], gains, widths)


def test_depth_curves_end_at_full_depth(result):
    for curve in result.report["depth"]:
        ours = curve["ours"]
        products = 30 if curve["network"] == "constructed" else 8
        assert ours["products"][-1] == products
        assert len(ours["cosine"]) == len(ours["products"])


def test_d_64_is_never_trained_on():
    assert max(dim for dim, _ in training_start(DemoConfig())[0].shapes) < 64


def test_a_table_of_the_users_own(tmp_path):
    path = tmp_path / "mine.csv"
    rows = np.random.default_rng(0).standard_normal((120, 12))
    np.savetxt(path, rows, delimiter=",", header=",".join("abcdefghijkl"), comments="")
    config = SMALL.replace(data=str(path), block_size=40)
    sets = instance_sets(config, load_table(config.data))
    assert list(sets)[2:] == ["mine.csv SVD d=10 N=40", "mine.csv d=12 N=40"]
    assert sets["mine.csv d=12 N=40"].x.shape == (3, 40, 12)


def test_refusals(tmp_path):
    with pytest.raises(ConfigError, match="num_components=9 must be <= 8"):
        DemoConfig(num_components=9)
    with pytest.raises(DataError, match="absent"):
        run_demo(SMALL.replace(data="absent.csv"), tmp_path / "new")
    assert not (tmp_path / "new").exists()
    (tmp_path / "results.txt").write_text("of another run")
    for taken in (tmp_path, tmp_path / "results.txt"):
        with pytest.raises(FileExistsError, match="choose another run folder"):
            run_demo(SMALL, taken)
