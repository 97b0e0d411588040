"""Mixtures as weights: labels of the classical method, and Lloyd and EM block by block.

Three independent descriptions must agree: the numpy recursion, the chain of gadget
semantics, and the Flax forward with the assembled weights.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.cluster import KMeans

from spectral_tf.clustering.instances import sample_clusters
from spectral_tf.clustering.metrics import misclassification
from spectral_tf.config import ClusterConfig, ConfigError, DataError
from spectral_tf.constructive import mixture_reference as reference
from spectral_tf.constructive.em import mixture_trace
from spectral_tf.constructive.em_gadgets import Entropy
from spectral_tf.constructive.explain import explained
from spectral_tf.constructive.mixture import (
    SPECTRAL,
    mixture_composition,
    mixture_labels,
    mixture_params,
    subspace_coordinates,
)
from spectral_tf.constructive.power_method import power_method_params
from spectral_tf.constructive.registers import start_rows
from spectral_tf.model.inputs import embedded_rows, scaled_rows
from spectral_tf.model.network import Network
from spectral_tf.model.params import check_params
from tests.problems import forward


def two_classes(count, num_samples, dim, seed=0):
    """`[B, N, d]` rows y mu + noise + offset, |mu| from 0.3 to 4, and masks."""
    rng = np.random.default_rng(seed)
    mean = rng.standard_normal((count, 1, dim))
    mean *= (
        rng.uniform(0.3, 4.0, (count, 1, 1)) / np.linalg.norm(mean, axis=2)[..., None]
    )
    side = rng.choice([-1.0, 1.0], (count, num_samples, 1))
    noise = rng.standard_normal((count, num_samples, dim))
    x = side * mean + noise + rng.standard_normal((count, 1, dim))
    valid = rng.integers(num_samples // 2, num_samples + 1, (count, 1))
    return x, np.arange(num_samples)[None] < valid


def classes(num_classes, num_samples, dim, seed=0):
    """`[N, d]` rows of K classes with unit noise."""
    rng = np.random.default_rng(seed)
    means = rng.uniform(-5, 5, (num_classes, dim))
    rows = means[rng.integers(0, num_classes, num_samples)]
    return jnp.asarray(rows + rng.standard_normal(rows.shape), jnp.result_type(float))


def spectral_disagreements(variant, count, num_samples, dim, iters):
    """Rows on the other side than in the classical method: their margins, and how many.

    The margin is the distance from the border over the root mean square of it.
    """
    x, mask = two_classes(count, num_samples, dim)
    config, params = mixture_params(dim, iters, variant)

    def one(batch):
        return mixture_labels(Network(config, params), *batch).labels

    rows = jnp.asarray(x, jnp.result_type(float))
    run = jax.jit(lambda *batch: jax.lax.map(one, batch, batch_size=50))
    found = np.asarray(run(rows, jnp.asarray(mask)))
    start, margins = start_rows(dim, 1)[0], []
    for labels, table, valid in zip(found, np.asarray(rows), mask, strict=True):
        assert np.all(labels[~valid] == -1)
        scores = reference.spectral_scores(table[valid], start, iters)
        wrong = labels[valid] != (scores < 0)
        margins += [*np.abs(scores[wrong]) / np.sqrt(np.mean(scores**2))]
    return np.array(margins), mask.sum()


@pytest.mark.usefixtures("x64")
def test_spectral_labels_are_exactly_the_classical_ones():
    margins, rows = spectral_disagreements("spectral", 500, 24, 5, 8)
    assert len(margins) == 0
    assert rows > 500 * 12


@pytest.mark.long
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("variant", SPECTRAL)
def test_ten_thousand_instances_have_exactly_the_classical_labels(variant):
    margins, _ = spectral_disagreements(variant, 10_000, 64, 10, 20)
    assert len(margins) == 0


@pytest.mark.long
@pytest.mark.parametrize("variant", SPECTRAL)
def test_in_float32_only_rows_on_the_border_may_differ(variant):
    margins, rows = spectral_disagreements(variant, 10_000, 64, 10, 20)
    assert np.all(margins < 1e-5)
    assert len(margins) < 1e-5 * rows


def test_a_sign_of_the_wrong_vector_would_be_seen():
    """The comparison above can fail: other start, or fewer iterations."""
    x, mask = two_classes(40, 24, 5)
    start, other = np.ones(5), np.eye(5)[0]
    other_start = fewer_steps = 0
    for table, valid in zip(x, mask, strict=True):
        signs = reference.spectral_scores(table[valid], start, 8) < 0
        less = reference.spectral_scores(table[valid], start, 7) < 0
        else_ = reference.spectral_scores(table[valid], other, 8) < 0
        fewer_steps += bool(np.any(signs != less))
        other_start += 0 < np.sum(signs != else_) < len(signs)
    assert min(other_start, fewer_steps) > 0


CASES = {
    "spectral": (4, 2, 25),
    "spectral_rms": (4, 2, 25),
    "lloyd": (2, 3, 40),
    "em": (3, 4, 40),
}
"""Variant -> d, K, N."""


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    "variant",
    ["spectral", "lloyd", "em", pytest.param("spectral_rms", marks=pytest.mark.long)],
)
def test_every_block_does_what_its_gadget_says(variant):
    dim, num_classes, num_samples = CASES[variant]
    sizes = {"num_classes": num_classes, "knots": 64}
    x = classes(num_classes, num_samples, dim) + 1.0
    composition = mixture_composition(dim, 3, variant, **sizes)
    config, params = mixture_params(dim, 3, variant, **sizes)
    check_params(config, params)
    params = jax.tree.map(np.asarray, params)
    features = np.asarray(embedded_rows(config, scaled_rows(config, x)))
    data = features @ params["embed_kernel"] + params["embed_bias"]
    tokens = np.concatenate([data, params["registers"]])
    stream = composition.layout.split(tokens)
    history = forward(config, params, x)[1].state
    assert len(history[0]) == len(composition.order)
    for index, rows, registers in zip(composition.order, *history, strict=True):
        gadget = composition.gadgets[index]
        stream = gadget.semantics(stream)
        got = composition.layout.split(np.concatenate([rows, registers]))
        # r of the register composition on data tokens is unread.
        for name in set(stream) - ({"r"} if "u" in stream else set()):
            error = np.max(np.abs(got[name] - stream[name]))
            assert error <= 1e-10, (gadget.name, name)


def largest_errors(x, num_classes, iters, sigma, entropy=None, mask=None):
    """Of centres, over the largest |x - mean|, and of responsibilities; all blocks."""
    variant = "lloyd" if sigma is None else "em"
    knots = entropy.num_knots if entropy else 1024
    config, params = mixture_params(
        x.shape[1],
        iters,
        variant,
        num_classes=num_classes,
        sigma=sigma or 1.0,
        knots=knots,
    )
    found = mixture_trace(Network(config, params), x, mask)
    rows = np.asarray(x, np.float64)
    valid = np.ones(len(rows), bool) if mask is None else np.asarray(mask)
    rows = rows[valid]
    history = reference.em_recursion(rows, num_classes, iters, sigma, entropy)
    pairs = list(zip(*found, history, strict=True))
    assert len(pairs) == config.num_blocks == 2 * num_classes + 2 * iters + 1
    mean = rows.mean(axis=0)
    centres = [np.asarray(c) - mean - h["c"] for _, c, h in pairs]
    shares = [np.asarray(r)[valid] - h["r"] for r, _, h in pairs]
    scale = np.max(np.abs(rows - mean))
    return np.max(np.abs(centres)) / scale, np.max(np.abs(shares))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("sigma", "entropy"), [(None, None), (1.2, Entropy(num_knots=64))]
)
def test_lloyd_and_em_follow_the_recursion_in_float64(sigma, entropy):
    mask = jnp.arange(40) % 5 != 2
    x = jnp.where(mask[:, None], classes(4, 40, 3), jnp.nan)
    errors = largest_errors(x, 4, 6, sigma, entropy, mask)
    assert max(errors) <= 1e-11


def test_em_takes_the_exact_steps_to_1e_5_in_float32():
    # K > d, overlapping, off the origin; the recursion is that without interpolant.
    x = classes(5, 60, 2, seed=3) + 10.0
    assert max(largest_errors(x, 5, 10, 0.8)) <= 1e-5


@pytest.mark.long
@pytest.mark.parametrize("sigma", [None, 0.5, 1.0, 2.0])
@pytest.mark.parametrize(("num_classes", "dim"), [(2, 1), (3, 2), (5, 2), (8, 16)])
def test_more_sizes_agree_to_1e_5_in_float32(sigma, num_classes, dim):
    for seed in range(10):
        x = classes(num_classes, 100, dim, seed=seed)
        centres, shares = largest_errors(x, num_classes, 20, sigma)
        assert centres <= 1e-5
        # A score is rounded to the digits of |x|^2 / sigma^2, and a share with it.
        squared = float(jnp.max(jnp.sum((x - jnp.mean(x, 0)[None]) ** 2, axis=1)))
        assert shares <= 1e-5 * max(1.0, squared / (sigma or jnp.inf) ** 2 / 100)


def test_the_entropy_is_as_near_as_its_bound_says():
    for knots in (2, 16, 1024):
        entropy = Entropy(num_knots=knots)
        share = np.concatenate([np.linspace(0, 1, 3001), np.geomspace(1e-12, 1, 501)])
        exact = -share * np.log(np.maximum(share, 1e-300))
        gap = exact - entropy(share)
        assert np.all(gap >= -1e-14)
        assert 0.2 * entropy.error_bound < np.max(gap) <= entropy.error_bound


def test_lloyd_ends_where_k_means_ends():
    x = classes(3, 60, 2, seed=1)
    config, params = mixture_params(2, 15, "lloyd", num_classes=3)
    found = mixture_labels(Network(config, params), x)
    rows = np.asarray(x, np.float64)
    start: Any = rows[reference.farthest_rows(rows, 3)]
    oracle = KMeans(3, init=start, n_init="auto", max_iter=300, tol=0).fit(rows)
    np.testing.assert_array_equal(found.labels, oracle.labels_)
    centres = mixture_trace(Network(config, params), x).centres[-1]
    np.testing.assert_allclose(centres, oracle.cluster_centers_, atol=1e-5)
    # Equal rows, and a row that is alone: no NaN, and no row without a class.
    same = jnp.zeros((60, 2)).at[0].set(1.0)
    odd = mixture_labels(Network(config, params), same)
    np.testing.assert_allclose(jnp.sum(odd.scores, axis=1), 1.0)
    assert odd.labels[0] not in odd.labels[1:]


@pytest.mark.long
def test_in_many_dimensions_lloyd_is_better_off_in_the_subspace_of_the_means():
    config = ClusterConfig(num_classes=3, dim=32, num_samples=60, separation=0.15)
    batch = sample_clusters(jax.random.key(5), config, 40)
    power = power_method_params(32, 2, 30, "rms")
    coordinates = jax.jit(jax.vmap(lambda x: subspace_coordinates(power, x)))(batch.x)
    assert coordinates.shape == (40, 60, 2)
    wrong = []
    for rows in (batch.x, coordinates):
        network = mixture_params(rows.shape[2], 8, "lloyd", num_classes=3)
        label = functools.partial(mixture_labels, *network)
        found = np.asarray(jax.jit(jax.vmap(label))(rows).labels)
        pairs = zip(found, np.asarray(batch.labels), strict=True)
        shares = [misclassification(ours, truth, 3) for ours, truth in pairs]
        wrong.append(np.mean(shares))
    assert wrong[1] < wrong[0] - 0.03, wrong


def test_explain_names_the_blocks_and_how_often_they_run():
    blocks = explained(mixture_composition(2, 7, "em", num_classes=3))
    runs = {block["name"]: block["runs"] for block in blocks}
    assert runs == {
        "begin": 1,
        **{f"choose {index}": 1 for index in range(3)},
        "nearest": 2,
        "expect": 8,
        "maximise": 7,
    }
    assert explained(mixture_composition(2, 7))[-1]["name"] == "side"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2, 0), "num_iters=0 must be >= 1"),
        ((2, 5, "kmeans"), "unknown variant 'kmeans'; choose one of spectral"),
        ((2, 5, "spectral", 3), "num_classes=3 must be 2"),
        ((2, 5, "lloyd", 9), r"num_classes=9 must lie in 2\.\.8"),
        ((2, 5, "em", 3, 0.0), "sigma=0.0 must be > 0; use variant='lloyd'"),
        ((2, 5, "em", 3, 1.0, 1), "knots=1 must be >= 2"),
    ],
)
def test_bad_arguments_are_refused_with_a_remedy(arguments, message):
    names = ("num_classes", "sigma", "knots")
    keywords = dict(zip(names, arguments[3:], strict=False))
    with pytest.raises(ConfigError, match=message):
        mixture_params(*arguments[:3], **keywords)


def test_bad_rows_and_other_networks_are_refused():
    config, params = mixture_params(2, 1, "lloyd")
    with pytest.raises(DataError, match=r"5e\+06 from the mean .*Divide x"):
        mixture_labels(Network(config, params), jnp.array([[0.0, 0.0], [1e7, 0.0]]))
    with pytest.raises(DataError, match="not finite"):
        mixture_labels(Network(config, params), jnp.array([[0.0, jnp.nan]]))
    with pytest.raises(ConfigError, match=r"spectral_tf\.trace for the others"):
        mixture_trace(mixture_params(2, 1), jnp.ones((3, 2)))
