"""`Network`: a pair, a pytree, a function; of either kind by its configuration."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spectral_tf.config import (
    ClusterModelConfig,
    ConfigError,
    ModelConfig,
    kind_of,
    model_config,
    run_config,
)
from spectral_tf.config.cluster_runs import ClusterTrainConfig
from spectral_tf.config.runs import TrainConfig
from spectral_tf.evaluation import evaluate
from spectral_tf.model.cluster import predict_clusters
from spectral_tf.model.network import Network
from spectral_tf.model.params import init_params, load_weights, save_weights
from spectral_tf.model.transformer import predict
from spectral_tf.sampling.sampler import sample_batch
from tests.problems import table

PAIRS = ModelConfig(num_blocks=1, num_components=2, block=("cross", "mlp"))
CLUSTERS = ClusterModelConfig(num_blocks=1, scalar_channels=4, token_channels=2)


def network_of(config):
    return Network(config, init_params(config, jax.random.key(0)))


def test_it_unpacks_as_the_pair():
    network = network_of(PAIRS)
    config, params = network
    assert config is network.config
    assert params is network.params


class Called(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True, with_device=True)  # pyright: ignore
    def test_it_answers_as_predict_does(self):
        network, x = network_of(PAIRS), table(12, 5)
        answer = self.variant(lambda rows: network(rows))(x)  # pyright: ignore
        wanted = predict(network.config, network.params, x)
        chex.assert_trees_all_close(answer, wanted, rtol=1e-6, atol=1e-6)


def test_mask_and_start_go_through():
    network, x = network_of(PAIRS), table(12, 5)
    mask, start = jnp.arange(12) < 9, jnp.eye(5)[:2]
    answer = network(x, mask, start)
    chex.assert_trees_all_close(
        answer, predict(network.config, network.params, x, mask, start=start)
    )
    by_name = network(x, mask=mask, start=start)
    chex.assert_trees_all_equal(answer, by_name)


def test_it_is_a_pytree_with_a_static_configuration():
    network, x = network_of(PAIRS), table(12, 5)
    leaves, structure = jax.tree.flatten(network)
    assert all(isinstance(leaf, jax.Array) for leaf in leaves)
    again = jax.tree.unflatten(structure, leaves)
    assert again.config == PAIRS
    answer = jax.jit(lambda one, rows: one(rows))(again, x)
    chex.assert_trees_all_close(answer, jax.jit(network)(x), rtol=1e-6)
    size = lambda one: jnp.sum(one(x).eigenvectors[:, 0] ** 2)
    gradient = jax.grad(size)(network)
    assert isinstance(gradient, Network)
    chex.assert_trees_all_equal_shapes_and_dtypes(gradient.params, network.params)


def test_vmap_and_evaluate_take_it():
    network = network_of(PAIRS)
    from spectral_tf.config import EnsembleConfig

    batch = sample_batch(
        jax.random.key(1), EnsembleConfig(dim=4, num_samples=9, num_components=2), 3
    )
    answers = jax.vmap(network)(batch.x, batch.mask)
    chex.assert_shape(answers.eigenvectors, (3, 2, 4))
    assert evaluate(network, batch).num_instances == 3


def test_a_network_that_clusters_takes_the_number_of_classes():
    network, x = network_of(CLUSTERS), table(12, 3)
    answer = network(x, 2, num_starts=2)
    wanted = predict_clusters(network.config, network.params, x, 2, num_starts=2)
    chex.assert_trees_all_equal(answer, wanted)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (PAIRS, "Network(eigenpairs, equivariant, 1 block of cross+mlp, k=2, any d, "),
        (CLUSTERS, "Network(clusters, 1 block, any d, N and K, "),
    ],
)
def test_it_prints_its_shape_in_one_line(config, words):
    network = network_of(config)
    text = repr(network)
    assert text.startswith(words)
    assert text.endswith(f" {network.num_parameters:,} parameters)")
    count = sum(np.size(leaf) for leaf in jax.tree.leaves(network.params))
    assert network.num_parameters == count


@pytest.mark.parametrize("config", [PAIRS, CLUSTERS])
def test_the_configuration_says_its_kind(config, tmp_path):
    values = config.to_dict()
    assert values["kind"] == kind_of(values) == config.kind
    assert model_config(values) == config
    # Files of version 0.1.0 do not say it.
    del values["kind"]
    assert kind_of(values) == config.kind
    assert model_config(values) == config
    network = network_of(config)
    save_weights(tmp_path / "w", network)
    again = load_weights(tmp_path / "w")
    assert again.config == config
    chex.assert_trees_all_equal(again.params, network.params)


def test_a_run_is_of_the_kind_of_its_model():
    pairs = TrainConfig(model=PAIRS, num_steps=25, warmup_steps=1)
    clusters = ClusterTrainConfig(model=CLUSTERS, num_steps=25, warmup_steps=1)
    for config in (pairs, clusters):
        values = config.to_dict()
        assert run_config(values) == config
        del values["model"]["kind"]
        assert run_config(values) == config


def test_another_kind_is_refused():
    values = PAIRS.to_dict()
    with pytest.raises(ConfigError, match="must be 'clusters'"):
        ClusterModelConfig.from_dict({"kind": "eigenpairs"})
    with pytest.raises(ConfigError, match="kind='poems' of a network is unknown"):
        model_config({**values, "kind": "poems"})
