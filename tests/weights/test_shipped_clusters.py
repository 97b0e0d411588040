"""`gmm-small`: what it is recorded as, what it refuses, how good it is."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spectral_tf.clustering.baselines import gaussian_mixture
from spectral_tf.clustering.evaluate import each_instance, evaluate_methods
from spectral_tf.clustering.instances import sample_clusters
from spectral_tf.clustering.metrics import ClusterAnswer
from spectral_tf.config import ClusterConfig, ClusterModelConfig, ConfigError
from spectral_tf.estimators.networks import load_network
from spectral_tf.model.cluster import predict_clusters
from spectral_tf.model.network import Network
from spectral_tf.model.params import init_params
from spectral_tf.weights import (
    PretrainedError,
    load_manifest,
    load_pretrained,
    pretrained_names,
    save_pretrained,
)
from spectral_tf.weights.manifest import record_faults
from tests.weights.helpers import RECORD

NETWORK = load_pretrained("gmm-small")
OVERLAPPING = ClusterConfig(
    num_classes=4, dim=8, num_samples=64, separation=0.25, scale_range=(0.8, 1.2)
)
SMALL = ClusterModelConfig(num_blocks=1, scalar_channels=4, token_channels=2)


def method(num_starts: int = 8) -> Any:
    """The shipped network as one of `clustering.baselines`."""

    @functools.partial(jax.jit, static_argnums=1)
    def run(x: Any, count: int) -> Any:
        return NETWORK(x, count, num_starts=num_starts)

    def answer(x: np.ndarray, count: int, seed: int) -> ClusterAnswer:
        del seed
        found = run(jnp.asarray(x, jnp.float32), count)
        return ClusterAnswer(
            labels=np.argmax(np.asarray(found.log_probabilities), axis=1),
            means=np.asarray(found.centres),
            weights=np.exp(found.log_weights),
        )

    return answer


def test_it_is_in_order():
    assert pretrained_names("clusters") == ("gmm-small",)
    manifest = load_manifest("gmm-small")
    assert manifest["bytes"] <= 8_000_000
    assert record_faults(manifest["record"]) == []


@pytest.mark.parametrize(
    "dirt",
    [pytest.param({}, marks=pytest.mark.long), {"outlier_share": 0.05}],
    ids=["clean", "dirty"],
)
def test_it_is_above_em_from_ten_starts_where_classes_overlap(dirt):
    batch = sample_clusters(jax.random.key(8), OVERLAPPING.replace(**dirt), 40)
    methods = {"ours": method(), "em": gaussian_mixture(10, "spherical")}
    found = evaluate_methods(methods, batch)
    scores: Any = {name: one.scores["misclassification"] for name, one in found.items()}
    assert scores["ours"].mean < scores["em"].mean - 0.02
    for name in ("mean_error", "weight_error"):  # the centres and weights, too
        scores = {of: one.scores[name] for of, one in found.items()}
        assert scores["ours"].mean < 0.8 * scores["em"].mean


@pytest.mark.long
def test_clear_groups_are_found_in_any_size_and_the_order_of_rows_is_not_seen():
    config = ClusterConfig(num_classes=3, dim=40, num_samples=50, separation=0.5)
    truth = next(each_instance(sample_clusters(jax.random.key(2), config, 1)))
    labels = method()(truth.x, 3, 0).labels
    pairs = {*zip(labels.tolist(), truth.labels.tolist(), strict=True)}
    assert len(pairs) == 3
    turned = method()(truth.x[::-1], 3, 0).labels[::-1]
    np.testing.assert_array_equal(labels, turned)


@pytest.mark.long
def test_it_is_less_sure_where_it_is_less_right():
    network = functools.partial(predict_clusters, NETWORK.config, NETWORK.params)
    confidence = jax.jit(jax.vmap(lambda x: network(x, 4, num_starts=2).confidence))
    sure = {}
    for separation in (0.1, 0.6):
        config = OVERLAPPING.replace(separation=separation)
        batch = sample_clusters(jax.random.key(3), config, 20)
        sure[separation] = float(np.mean(confidence(batch.x)))
    assert sure[0.1] < sure[0.6] - 0.2


def test_a_network_of_the_other_kind_is_refused():
    with pytest.raises(PretrainedError, match=r"clusters and .*leave num_components"):
        load_pretrained("gmm-small", num_components=2)
    with pytest.raises(ConfigError, match=r"one that finds eigenpairs.*: pca-base"):
        load_network("gmm-small")
    with pytest.raises(ConfigError, match=r"one that clusters rows.*: gmm-small"):
        load_network("pca-small", "clusters")
    with pytest.raises(ConfigError, match=r"nor a shipped name \(gmm-small\)"):
        load_network("gmm-large", "clusters")


def test_what_is_written_is_read_and_nothing_that_was_changed(tmp_path):
    params = init_params(SMALL, jax.random.key(0))
    path = save_pretrained(tmp_path, "own", Network(SMALL, params), RECORD)
    found = load_pretrained(path)
    assert found.config == SMALL
    for one, other in zip(
        jax.tree.leaves(found.params), jax.tree.leaves(params), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    tensors = path.with_suffix(".safetensors")
    data = bytearray(tensors.read_bytes())
    data[-3] ^= 1
    tensors.write_bytes(bytes(data))
    with pytest.raises(PretrainedError, match="does not match its sha256"):
        load_pretrained(path)
