"""`weights=` of the estimators: shipped names, files, and how many registers run."""

from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from spectral_tf.config import ConfigError
from spectral_tf.estimators import (
    SpectralClusterer,
    SpectralOutlierDetector,
    SpectralPCA,
)
from spectral_tf.estimators.networks import (
    DEFAULT,
    for_table,
    load_network,
    register_starts,
)
from spectral_tf.estimators.solution import start_vectors
from spectral_tf.model.network import Network
from spectral_tf.model.params import save_weights
from spectral_tf.model.transformer import predict_from_covariance
from spectral_tf.weights import PretrainedError, load_pretrained
from tests.estimators.helpers import fresh
from tests.problems import random_params
from tests.weights.helpers import SMALL, shipped_in, use_folder, write_small

X = np.random.default_rng(0).normal(size=(200, 6)) * 3.0 ** -np.arange(6)
PLAIN = SpectralPCA(2, engine="pretrained", certify=False)


@pytest.fixture
def shipped(tmp_path, monkeypatch) -> Iterator[Path]:
    """A folder with the one checkpoint `pca-tiny`, in place of the package's."""
    yield from shipped_in(tmp_path / "shipped", monkeypatch)


def components(weights, pca=PLAIN, x=X):
    fitted = fresh(pca).set_params(weights=weights).fit(x)
    assert fitted.engine_ == "pretrained"
    return fitted.components_


def test_names_paths_and_values_are_one_network(shipped):
    wanted = components((SMALL, random_params(SMALL)))
    path = shipped / "pca-tiny.json"
    for weights in ("pca-tiny", path, str(path), load_pretrained(path)):
        assert_array_equal(components(weights), wanted)
    few = load_pretrained("pca-tiny", num_components=1)
    assert_array_equal(components(few), wanted)
    assert fresh(PLAIN).set_params(weights="pca-tiny").get_params()["weights"]


def test_the_default_is_the_base_checkpoint(shipped):
    with pytest.raises(ConfigError, match=r"needs weights=.*shipped name \(pca-tiny\)"):
        fresh(PLAIN).fit(X)
    write_small(shipped, DEFAULT, SMALL)
    assert_array_equal(components(None), components(DEFAULT))
    # A default is for who asks for trained weights.
    assert SpectralPCA(2).fit(X).engine_ == "constructed"


@pytest.mark.usefixtures("shipped")
def test_a_name_goes_before_a_folder_of_that_name(tmp_path, monkeypatch):
    other = random_params(SMALL, seed=1)
    save_weights(tmp_path / "pca-tiny", Network(SMALL, other))
    monkeypatch.chdir(tmp_path)
    same = lambda one, two: jax.tree.all(jax.tree.map(np.array_equal, one, two))
    assert same(load_network("pca-tiny").params, random_params(SMALL))
    assert same(load_network("./pca-tiny").params, other)


@pytest.mark.usefixtures("shipped")
def test_all_estimators_take_a_name():
    for estimator in (
        SpectralPCA(2, engine="pretrained"),
        SpectralOutlierDetector(2, engine="pretrained"),
        SpectralClusterer(2, engine="pretrained"),
    ):
        with pytest.raises(ConfigError, match=r"nor a shipped name \(pca-tiny\)"):
            estimator.set_params(weights="pca-tinny").fit(X)
        estimator.set_params(weights="pca-tiny").fit(X)
    pca = SpectralPCA(2, weights="pca-tiny").fit(X)
    assert pca.engine_.startswith("pretrained, constructed")
    assert pca.certificate_ is not None
    assert pca.certificate_.is_certified


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize(("d", "rows", "k"), [(2, 50, 1), (9, 5, 4)])
def test_any_k_and_d(d, rows, k):
    x = np.random.default_rng(1).normal(size=(rows, d))
    found = components("pca-tiny", fresh(PLAIN).set_params(n_components=k), x)
    assert found.shape == (k, d)
    assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    with pytest.raises(ConfigError, match="n_components=5 is beyond the 4"):
        components("pca-tiny", fresh(PLAIN).set_params(n_components=5), X)


@pytest.mark.parametrize("d", [3, 6])
def test_more_registers_than_components(d, tmp_path):
    # The zero columns that fill the table up to 8 change nothing, d < R included.
    config = SMALL.replace(num_components=2, register_tokens=4)
    path = write_small(tmp_path, config=config)
    found = components(path, x=X[:, :d])
    covariance = np.cov(X[:, :d], rowvar=False, bias=True).astype(np.float32)
    start = start_vectors(d, 2, None).astype(np.float32)
    predict = jax.jit(predict_from_covariance, static_argnums=0)
    wanted = predict(
        config, random_params(config), jnp.asarray(covariance), jnp.asarray(start)
    )
    order = np.argsort(-np.asarray(wanted.eigenvalues))
    cosine = np.sum(np.asarray(wanted.eigenvectors)[order] * found, axis=1)
    assert_allclose(np.abs(cosine), 1, atol=1e-5)
    wide = for_table(config, 2, d)
    assert register_starts(wide, start).shape == (min(4, d), d)
    assert_array_equal(register_starts(wide, start)[:2], start)


def test_what_is_refused(shipped, tmp_path, monkeypatch):
    for weights in ("pca-tinny", "runs/none"):
        with pytest.raises(ConfigError, match=r"nor a shipped name \(pca-tiny\)"):
            components(weights)
    with pytest.raises(PretrainedError, match="cannot be read"):
        components(tmp_path / "none.json")
    found = load_pretrained("pca-tiny")
    found.params["blocks"].popitem()
    with pytest.raises(PretrainedError, match="weights= does not fit"):
        components(found)
    file = shipped / "pca-tiny.safetensors"
    file.write_bytes(file.read_bytes()[:-4])
    use_folder(monkeypatch, shipped)  # forgets what was loaded
    pca = fresh(PLAIN).set_params(weights="pca-tiny")
    with pytest.raises(PretrainedError, match="truncated"):
        pca.fit(X)
    assert not hasattr(pca, "components_")
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ConfigError, match="weights= is int; give a shipped name"):
        components(5)
