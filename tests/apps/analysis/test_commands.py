"""The three commands on real data: every file, against scikit-learn."""

import json
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

from spectral_tf.apps.analysis.record import parameters_digest
from spectral_tf.apps.cli import main
from spectral_tf.estimators import SpectralOutlierDetector
from spectral_tf.model.network import Network
from spectral_tf.model.params import save_weights
from spectral_tf.model.presets import model_preset
from spectral_tf.weights import load_pretrained
from tests.apps.analysis.conftest import call


@pytest.fixture(scope="module")
def pca(wine_csv, tmp_path_factory):
    """The default engine, with the shares of all but the last components."""
    folder = tmp_path_factory.mktemp("runs") / "pca"
    return call("pca", wine_csv, "--n-components", "0.9", folder=folder)


@pytest.fixture(scope="module")
def clusters(wine_csv, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "cluster"
    flags = ["--n-clusters", "3", "--engine", "exact"]
    return call("cluster", wine_csv, *flags, folder=folder)


@pytest.fixture(scope="module")
def planted(wine, tmp_path_factory):
    """Wine with one impossible number: the magnesium of row 51."""
    x = wine.data.copy()
    x[50, 4] = 400
    path = tmp_path_factory.mktemp("planted") / "wine.npy"
    np.save(path, x)
    folder = path.parent / "runs" / "deep"
    flags = ["--engine", "exact", "--top", "3"]
    return call("detect", path, *flags, folder=folder)


def test_components_are_those_of_scikit_learn(pca, wine):
    assert (pca.code, pca.err) == (0, "")
    x = StandardScaler().fit_transform(wine.data)
    theirs = PCA(0.9).fit(x)
    head, rows = pca.table("components.csv")
    assert head == ["name", "eigenvalue", "share", *wine.feature_names]
    assert [row[0] for row in rows] == [f"pc{i + 1}" for i in range(len(rows))]
    numbers = np.array([row[1:] for row in rows], float)
    assert len(numbers) == theirs.n_components_
    np.testing.assert_allclose(numbers[:, 0], theirs.explained_variance_, rtol=1e-6)
    np.testing.assert_allclose(
        numbers[:, 1], theirs.explained_variance_ratio_, rtol=1e-6
    )
    cosine = np.sum(numbers[:, 2:] * theirs.components_, axis=1)
    np.testing.assert_allclose(np.abs(cosine), 1, atol=1e-6)
    head, rows = pca.table("scores.csv")
    assert head == ["row", *(f"pc{i + 1}" for i in range(len(cosine)))]
    assert [row[0] for row in rows] == [str(i + 1) for i in range(len(x))]
    scores = np.array([row[1:] for row in rows], float)
    expected = np.sign(cosine) * theirs.transform(x)
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_the_certificate_is_written_and_shown(pca):
    certificate = json.loads((pca.folder / "certificate.json").read_text())
    counts = {"certified": 8, "probable": 0, "loose": 0, "replaced": 0}
    assert certificate["status_counts"] == counts
    assert certificate["engine"] == "constructed"
    assert certificate["reason"] == "it needs no trained weights"
    assert [entry["rank"] for entry in certificate["entries"]] == list(range(1, 9))
    assert all(entry["angle_bound"] <= 1e-3 for entry in certificate["entries"])
    assert "8 of 8 components are proven to lie within 0.001 rad" in pca.out
    assert pca.out.count(" certified ") == 8


def test_the_summary_says_what_was_done(pca, wine, wine_csv):
    summary = json.loads((pca.folder / "summary.json").read_text())
    assert summary["command"] == "pca"
    assert summary["source"] == str(wine_csv)
    assert summary["rows"] == 178
    assert summary["columns"] == list(wine.feature_names)
    ((left_out),) = summary["left_out"]
    assert left_out["column"] == "cultivar"
    assert "178 of its 178 cells are not numbers" in left_out["reason"]
    scaler: Any = StandardScaler().fit(wine.data)
    mean, scale = (
        [summary["scaling"][name][which] for name in wine.feature_names]
        for which in ("mean", "scale")
    )
    np.testing.assert_allclose(mean, scaler.mean_, rtol=1e-12)
    np.testing.assert_allclose(scale, scaler.scale_, rtol=1e-12)
    assert summary["parameters"]["n_components"] == 0.9
    assert summary["parameters"]["engine"] == "auto"
    assert (summary["seed"], summary["imputed"]) == (0, {})
    assert summary["results"]["n_components"] == 8
    first = summary["results"]["components"][0]
    assert (first["name"], first["status"], first["ranks"]) == (
        "pc1",
        "certified",
        [1, 1],
    )
    assert "flavanoids" in first["largest_loadings"]
    assert {"jax", "numpy", "python", "scikit-learn"} <= set(summary["versions"])
    assert summary["files"] == sorted(path.name for path in pca.folder.iterdir())


def test_the_text_names_what_was_left_out_and_where_the_files_are(pca):
    assert "178 rows, 13 columns analysed" in pca.out
    assert "Left out column 'cultivar': 178 of its 178 cells" in pca.out
    assert "scaled to zero mean and unit variance" in pca.out
    first = "audit.head, audit.jsonl, biplot.png, certificate.json"
    assert f"Results in {pca.folder}: {first}" in pca.out


@pytest.mark.parametrize(
    ("fixture", "names"),
    [
        ("pca", ["biplot.png", "scree.png"]),
        ("clusters", ["clusters.png"]),
        ("planted", ["outliers.png"]),
    ],
)
def test_figures_are_no_blanks(fixture, names, request):
    folder = request.getfixturevalue(fixture).folder
    assert sorted(path.name for path in folder.glob("*.png")) == names
    for name in names:
        figure = (folder / name).read_bytes()
        assert figure.startswith(b"\x89PNG")
        assert len(figure) > 5_000


def test_clusters_are_the_cultivars_nearly(clusters, wine):
    assert (clusters.code, clusters.err) == (0, "")
    head, rows = clusters.table("labels.csv")
    assert head == ["row", "cluster", "probability"]
    labels = np.array([int(row[1]) for row in rows])
    assert adjusted_rand_score(wine.target, labels) > 0.85
    chances = np.array([float(row[2]) for row in rows])
    assert np.all((chances > 1 / 3 - 1e-9) & (chances <= 1 + 1e-9))
    assert "what sets it apart" in clusters.out
    for size in np.bincount(labels):
        assert f" {size}  {size / 178:.1%}" in clusters.out


def test_cluster_centres_are_means_in_the_units_of_the_file(clusters, wine):
    labels = np.array([int(row[1]) for row in clusters.table("labels.csv")[1]])
    head, rows = clusters.table("clusters.csv")
    width = len(wine.feature_names)
    centres = [f"centre of {name}" for name in wine.feature_names]
    assert head[: 2 + width] == ["cluster", "size", *centres]
    assert head[2 + width] == "deviation of alcohol"
    for cluster, row in enumerate(rows):
        own = wine.data[labels == cluster]
        assert row[:2] == [str(cluster), str(len(own))]
        mean = own.mean(axis=0)
        numbers = np.array(row[2:], float)
        np.testing.assert_allclose(numbers[:width], mean, rtol=1e-9)
        apart = (mean - wine.data.mean(axis=0)) / wine.data.std(axis=0)
        np.testing.assert_allclose(numbers[width:], apart, atol=1e-9)


def test_a_planted_outlier_is_on_top_and_its_feature_is_named(planted):
    assert (planted.code, planted.err) == (0, "")
    head, rows = planted.table("outliers.csv")
    assert head[:4] == ["row", "score", "is_outlier", "reason"]
    assert head[4:6] == ["feature_1", "share_1"]
    scores = np.array([float(row[1]) for row in rows])
    assert np.argmax(scores) == 50
    strange = rows[50]
    assert strange[0] == "51"
    assert strange[2] == "True"
    assert "column_5 is" in strange[3]
    assert "above its reconstruction" in strange[3]
    assert strange[4] == "column_5"
    first = next(line for line in planted.out.splitlines() if line.startswith("row"))
    assert first.split()[:2] == ["row", "51"]
    assert "outlier" in first
    x = StandardScaler().fit_transform(np.load(planted.folder.parents[1] / "wine.npy"))
    detector = SpectralOutlierDetector(engine="exact", random_state=0).fit(x)
    np.testing.assert_allclose(scores, -detector.score_samples(x), rtol=1e-9)
    flags = [row[2] == "True" for row in rows]
    np.testing.assert_array_equal(flags, detector.predict(x) < 0)


def test_explanations_are_in_the_units_of_the_file(planted):
    told = json.loads((planted.folder / "explanations.json").read_text())
    assert len(told) == 3
    first = told[0]
    assert (first["row"], first["is_outlier"]) == (51, True)
    feature = first["features"][0]
    assert (feature["column"], feature["value"]) == ("column_5", 400)
    assert 50 < feature["reconstruction"] < 350
    left = 400 - feature["reconstruction"]
    assert f"column_5 is {left:.4g} above" in first["reason"]
    summary = json.loads((planted.folder / "summary.json").read_text())
    assert summary["results"]["strangest"][0]["row"] == 51
    assert 51 in summary["results"]["outliers"]


def test_json_is_the_summary_and_alone_on_stdout(wine_csv, tmp_path):
    flags = ["--n-clusters", "2", "--engine", "exact", "--json"]
    run = call("cluster", wine_csv, *flags, folder=tmp_path / "out")
    assert (run.code, run.err) == (0, "")
    document = json.loads(run.out)
    assert document == json.loads((run.folder / "summary.json").read_text())
    assert document["results"]["n_clusters"] == 2
    assert document["results"]["bic"] is None
    assert document["parameters"]["n_clusters"] == 2


def test_the_number_of_clusters_is_found(tmp_path):
    rng = np.random.default_rng(0)
    centres = np.array([[0, 0, 0, 0], [9, 0, 9, 0], [0, 9, 9, 9]])
    x = np.repeat(centres, 40, axis=0) + rng.normal(size=(120, 4))
    np.savez(tmp_path / "x.npz", x=x)
    run = call(
        "cluster", tmp_path / "x.npz", "--engine", "exact", folder=tmp_path / "out"
    )
    assert "3 is the number from 1 to 10 with the least Bayesian" in run.out
    assert run.out.count(" 33.3% ") == 3


def test_the_network_clusters_says_how_sure_it_is_and_is_in_the_log(tmp_path):
    rng = np.random.default_rng(0)
    x = np.repeat([[0, 0, 0], [8, 0, 8]], [40, 20], axis=0) + rng.normal(size=(60, 3))
    np.save(tmp_path / "x.npy", x)
    flags = ["--method", "network", "--engine", "exact"]
    run = call(
        "cluster",
        tmp_path / "x.npy",
        *flags,
        "--n-clusters",
        "2",
        folder=tmp_path / "a",
    )
    assert (run.code, run.err) == (0, "")
    assert "gmm-small clustered all columns and expects to be right on" in run.out
    _, rows = run.table("labels.csv")
    assert [int(row[1]) for row in rows] == [0] * 40 + [1] * 20
    results = json.loads((run.folder / "summary.json").read_text())["results"]
    assert results["network"] == "gmm-small"
    assert results["confidence"] > 0.9
    entry = json.loads((run.folder / "audit.jsonl").read_text().splitlines()[-1])
    digest = parameters_digest(load_pretrained("gmm-small").params)
    assert entry["engine"]["sha256"] == {"gmm-small": digest}
    never = call("cluster", tmp_path / "x.npy", *flags, folder=tmp_path / "b")
    assert "network has to be told how many" in never.err
    assert not never.folder.exists()


def test_the_default_folder_is_named_by_time_and_command(
    wine_csv, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    flags = ["--n-components", "2", "--engine", "exact", "--no-standardize"]
    assert main(["pca", str(wine_csv), *flags]) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.endswith("-pca")
    out = capsys.readouterr().out
    assert f"runs/{folder.name}" in out
    assert "The columns were not scaled" in out
    assert json.loads((folder / "summary.json").read_text())["scaling"] is None


def test_trained_weights_propose(wine_csv, tmp_path):
    """Untrained ones, here: what they propose is loose, and refined or replaced."""
    import jax

    from spectral_tf.model.params import init_params

    config = model_preset("equivariant")
    save_weights(
        tmp_path / "w", Network(config, init_params(config, jax.random.key(0)))
    )
    flags = ["--n-components", "3", "--weights", tmp_path / "w"]
    run = call(
        "pca", wine_csv, *flags, "--engine", "pretrained", folder=tmp_path / "out"
    )
    assert (run.code, run.err) == (0, "")
    certificate = json.loads((run.folder / "certificate.json").read_text())
    assert certificate["engine"] == "pretrained, exact"
    assert certificate["status_counts"]["replaced"] == 3
    assert "Taken over by an exact solver: 1, 2, 3." in run.out


def test_kept_and_refused_components(wine_csv, tmp_path):
    flags = ["--n-components", "2", "--tol", "1e-16", "--engine", "constructed"]
    kept = call("pca", wine_csv, *flags, "--fallback", "warn", folder=tmp_path / "kept")
    assert (kept.code, kept.err) == (0, "")
    assert "Not proven: 1, 2; certificate.json has their bounds" in kept.out
    refused = call(
        "pca", wine_csv, *flags, "--fallback", "raise", folder=tmp_path / "refused"
    )
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith("spectral-tf: components 1, 2 of 2 are not certified")
    assert len(refused.err.splitlines()) == 1
    assert not refused.folder.exists()
