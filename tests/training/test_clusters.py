"""Training of the network that clusters, by the same loop as the others."""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spectral_tf.config import (
    ClusterConfig,
    ClusterFamily,
    ClusterModelConfig,
    ClusterTrainConfig,
    ConfigError,
    run_config,
)
from spectral_tf.estimators.networks import load_network
from spectral_tf.training.batch import Draw
from spectral_tf.training.checkpoint import CheckpointError, restore_latest
from spectral_tf.training.cluster_batch import cluster_parts, draw_clusters
from spectral_tf.training.loop import pretrain

SMALL = ClusterModelConfig(
    num_blocks=1, num_heads=1, scalar_channels=4, token_channels=2, mlp_width=4
)
EASY = ClusterConfig(separation=2.0)
CONFIG = ClusterTrainConfig(
    model=SMALL,
    shapes=((2, 12),),
    families=(ClusterFamily(instances=EASY),),
    batch_size=8,
    num_steps=12,
    steps_per_call=3,
    warmup_steps=1,
    learning_rate=1e-2,
    max_grad_norm=1.0,
    calls_per_eval=2,
    calls_per_save=2,
    eval_instances=8,
    ema_decay=0.5,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Any:
    folder = tmp_path_factory.mktemp("clusters") / "run"
    return folder, pretrain(CONFIG, folder)


def test_a_run_keeps_what_it_did_and_learns(run):
    folder, _ = run
    text = (folder / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    scored = [line["heldout"]["loss"] for line in lines if "heldout" in line]
    assert scored[-1] < scored[0]
    (right,) = lines[-1]["accuracy"]
    assert 0 < right <= 1
    assert run_config(json.loads((folder / "config.json").read_text())) == CONFIG
    assert restore_latest(folder).config == CONFIG


def test_a_stopped_run_goes_on_to_the_same_weights(run, tmp_path):
    _, whole = run

    class Stop(RuntimeError):
        pass

    def stop(progress: Any) -> None:
        if progress.step == 9:
            raise Stop

    with pytest.raises(Stop):
        pretrain(CONFIG, tmp_path, on_call=stop)
    again = pretrain(CONFIG, tmp_path, resume=True)
    for one, other in zip(
        jax.tree.leaves(again.averaged), jax.tree.leaves(whole.averaged), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_a_run_of_clusters_is_no_network_for_eigenpairs(run):
    with pytest.raises(CheckpointError, match="is of a network that clusters"):
        load_network(run[0])


def test_an_instance_depends_on_its_own_index_and_families_are_mixed():
    tight = ClusterFamily(instances=EASY.replace(num_classes=3), weight=1.0)
    config = CONFIG.replace(families=(*CONFIG.families, tight))
    (part,) = cluster_parts(config)
    drawn = Draw(jax.random.key(0), 3, 0.0)
    draw = jax.jit(draw_clusters, static_argnums=0)
    all_of_them = draw(part, drawn, jnp.arange(24))
    backwards = draw(part, drawn, jnp.arange(24)[::-1])
    np.testing.assert_allclose(all_of_them.x[5], backwards.x[18], atol=1e-5)
    classes = np.sum(np.asarray(all_of_them.weights) > 0, axis=1)
    assert set(classes) == {2, 3}
    rows = np.sum(np.asarray(all_of_them.mask), axis=1)
    assert rows.min() >= 6
    assert rows.max() <= 12


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"least_rows": 0.0}, "least_rows=0.0 must lie in"),
        ({"depth_decay": 1.5}, "depth_decay=1.5 must lie in"),
        ({"shapes": ((2, 3),)}, "leaves fewer rows than 2 classes"),
        (
            {"families": (ClusterFamily(instances=EASY, dims=(5, 9)),)},
            "has d=2, for which no family is",
        ),
        ({"num_steps": 13}, "ClusterTrainConfig.num_steps=13 must be a multiple"),
    ],
)
def test_a_run_that_cannot_be_is_refused(changes, match):
    with pytest.raises(ConfigError, match=match):
        CONFIG.replace(**changes)


def test_families_and_instances_are_checked():
    with pytest.raises(ConfigError, match=r"dims=\(5, 2\) must be \(low, high\)"):
        ClusterFamily(dims=(5, 2))
    with pytest.raises(ConfigError, match=r"min_classes=4 must lie in 2..num_classes"):
        ClusterConfig(num_classes=3, min_classes=4)
    with pytest.raises(ConfigError, match=r"min_separation=2.0 must lie in"):
        ClusterConfig(min_separation=2.0)
