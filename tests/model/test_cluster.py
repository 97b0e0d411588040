"""The network that clusters: what its weights cannot break, and what it refuses."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spectral_tf.config import ClusterModelConfig, ConfigError, DataError
from spectral_tf.model.cluster import (
    ClusterTable,
    ClusterTransformer,
    cluster_start,
    predict_clusters,
)
from spectral_tf.model.params import check_params, init_params

CONFIG = ClusterModelConfig(num_blocks=2)
DIM, ROWS, CLASSES = 4, 30, 3


@pytest.fixture(scope="module")
def params() -> Any:
    """Weights far from their start, so that nothing holds by their smallness."""
    fresh = init_params(CONFIG, jax.random.key(0))
    leaves, tree = jax.tree.flatten(fresh)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    noisy = [
        leaf + 0.1 * jax.random.normal(key, leaf.shape)
        for leaf, key in zip(leaves, keys, strict=True)
    ]
    return jax.tree.unflatten(tree, noisy)


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    rng = np.random.default_rng(0)
    means = rng.normal(size=(CLASSES, DIM)) * 3
    labels = np.arange(ROWS) % CLASSES
    return (means[labels] + rng.normal(size=(ROWS, DIM))).astype(np.float32)


START = cluster_start(CONFIG, CLASSES, DIM)


@functools.partial(jax.jit, static_argnames="capture")
def run(params: Any, x: Any, start: Any, capture: bool = False, **given: Any) -> Any:
    network = ClusterTransformer(CONFIG)
    return network.apply({"params": params}, x, start, capture=capture, **given)


def same(found: Any, wanted: Any, atol: float = 2e-3) -> None:
    for got, want in zip(found, wanted, strict=True):
        np.testing.assert_allclose(got, want, atol=atol)


def test_centres_turn_with_the_data_and_nothing_else_changes(params, x):
    turn, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(DIM, DIM)))
    before, _ = run(params, x, START)
    after, _ = run(params, x @ turn, START @ turn)
    same(after, before._replace(centres=before.centres @ turn))
    assert np.ptp(before.log_probabilities) > 0.5


def test_the_order_of_the_rows_is_not_seen(params, x):
    order = np.random.default_rng(4).permutation(ROWS)
    before, _ = run(params, x, START)
    after, _ = run(params, x[order], START)
    logs = before.log_probabilities[order]
    same(after, before._replace(log_probabilities=logs))


@pytest.mark.parametrize(("scale", "shift"), [(1e-12, 0.0), (1e12, 0.0), (1.0, 50.0)])
def test_scale_and_shift_pass_to_the_centres_alone(params, x, scale, shift):
    before, _ = run(params, x, START)
    after, _ = run(params, x * scale + shift, START)
    centres = (after.centres - shift) / scale
    same(after._replace(centres=centres), before, atol=5e-3)


def test_registers_have_no_names(params, x):
    order = jnp.array([2, 0, 1])
    before, _ = run(params, x, START)
    after, _ = run(params, x, START[order])
    wanted = before._replace(
        log_probabilities=before.log_probabilities[:, order],
        centres=before.centres[order],
        log_weights=before.log_weights[order],
    )
    same(after, wanted)


def test_masked_rows_and_inactive_registers_are_as_if_they_were_not_there(params, x):
    alone, _ = run(params, x[:20], START)
    mask = jnp.arange(ROWS) < 20
    start = jnp.concatenate([START, jnp.ones((2, DIM))])
    active = jnp.arange(5) < CLASSES
    junk = np.where(np.asarray(mask)[:, None], x, 1e6)
    found, _ = run(params, junk, start, mask=mask, active=active)
    np.testing.assert_array_less(found.log_probabilities[:, CLASSES:], -1e6)
    kept = found._replace(
        log_probabilities=found.log_probabilities[:20, :CLASSES],
        centres=found.centres[:CLASSES],
        log_weights=found.log_weights[:CLASSES],
    )
    same(kept, alone)


@pytest.mark.long
def test_new_rows_get_what_their_copies_get_and_move_nothing(params, x):
    mask = np.arange(ROWS) % 5 > 0
    before, _ = run(params, x, START, mask=mask)
    far = np.full((2, DIM), 1e30, np.float32)
    asked = jnp.concatenate([x, far])
    after, _ = run(params, x, START, mask=mask, asked=asked)
    wanted, found = np.exp(before.log_probabilities), np.exp(after.log_probabilities)
    assert found.shape == (2 * ROWS + 2, CLASSES)
    same(after[1:], before[1:], atol=1e-5)
    same([found[:ROWS][mask]], [wanted[mask]], atol=1e-5)
    same([found[ROWS:-2][mask]], [wanted[mask]], atol=1e-4)
    assert found[-2:].sum(axis=1) == pytest.approx(1.0, abs=0.1)  # of scores near 1e5


def test_the_last_block_read_out_is_the_answer(params, x):
    answer, blocks = run(params, x, START, capture=True)
    same([leaf[-1] for leaf in blocks], answer, atol=1e-5)
    assert len(blocks.confidence) == CONFIG.num_blocks


@pytest.mark.parametrize(
    "rows",
    [
        np.ones((6, 3)),
        pytest.param(np.repeat(np.eye(3), 3, axis=0), marks=pytest.mark.long),
        pytest.param(np.arange(6)[:, None], marks=pytest.mark.long),
    ],
    ids=["ones", "no noise", "one column"],
)
def test_degenerate_tables_give_numbers_and_finite_gradients(params, rows):
    rows = jnp.asarray(rows, jnp.float32)
    start = cluster_start(CONFIG, 2, rows.shape[1])

    def total(params: Any) -> Any:
        found, _ = run(params, rows, start)
        return sum(jnp.sum(leaf) for leaf in found)

    value, slope = jax.value_and_grad(total)(params)
    assert np.isfinite(value)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(slope))


def test_of_several_starts_the_surest_answer_is_given_largest_cluster_first(params, x):
    found = predict_clusters(CONFIG, params, jnp.asarray(x), CLASSES, num_starts=3)
    sure = [
        float(run(params, x, cluster_start(CONFIG, CLASSES, DIM, one))[0].confidence)
        for one in range(3)
    ]
    assert found.confidence == pytest.approx(max(sure), abs=1e-4)
    assert np.all(np.diff(found.log_weights) <= 0)
    np.testing.assert_allclose(np.exp(found.log_probabilities).sum(1), 1, atol=1e-5)


def test_starts_differ_by_index_and_extend_with_k():
    assert not np.allclose(START, cluster_start(CONFIG, CLASSES, DIM, 1))
    np.testing.assert_array_equal(START, cluster_start(CONFIG, 5, DIM)[:CLASSES])


@pytest.mark.parametrize(
    ("classes", "mask", "match"),
    [
        (1, None, "num_classes=1 must lie in 2..30"),
        (31, None, "num_classes=31 must lie in 2..30"),
        (4, np.arange(ROWS) < 3, "num_classes=4 must lie in 2..3"),
    ],
)
def test_a_number_of_clusters_that_cannot_be_is_refused(
    params, x, classes, mask, match
):
    mask = None if mask is None else jnp.asarray(mask)
    with pytest.raises(ConfigError, match=match):
        predict_clusters(CONFIG, params, jnp.asarray(x), classes, mask)


def test_bad_rows_and_no_start_are_refused(params, x):
    table = ClusterTable(jnp.asarray(x), asked=jnp.full((2, DIM), np.nan))
    with pytest.raises(DataError, match=r"x\[0, 0\] is nan"):
        predict_clusters(CONFIG, params, table, 2)
    bad = x.copy()
    bad[3, 2] = np.nan
    with pytest.raises(DataError, match=r"x\[3, 2\] is nan"):
        predict_clusters(CONFIG, params, jnp.asarray(bad), 2)
    with pytest.raises(ConfigError, match="num_starts=0 must be >= 1"):
        predict_clusters(CONFIG, params, jnp.asarray(x), 2, num_starts=0)


def test_the_parameters_fit_every_table_and_no_other_model(params):
    check_params(CONFIG, params)
    with pytest.raises(ValueError, match="has shape"):
        check_params(CONFIG.replace(num_blocks=4), params)
    with pytest.raises(ConfigError, match=r"vector_channels=2 must be >= 3"):
        ClusterModelConfig(vector_channels=2)
