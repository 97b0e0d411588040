"""`power_method_params(variant="krylov")`: options, words, and what is kept."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import spectral_tf
from spectral_tf.config import ConfigError
from spectral_tf.constructive import krylov, power_method_composition
from spectral_tf.constructive.explain import explained
from spectral_tf.constructive.trace import KrylovTrace
from tests import problems, tables_of_kinds


def build(dim, k, products, **options):
    return spectral_tf.power_method_params(dim, k, products, "krylov", **options)


def test_it_answers_as_the_equivariant_network_for_this_d():
    x = problems.table(60, 20, seed=4) + 3.0
    dense, other = build(20, 3, 3, block=6)(x), krylov(3, 3, block=6)(x)
    np.testing.assert_allclose(dense.eigenvalues, other.eigenvalues, rtol=1e-5)
    np.testing.assert_allclose(dense.eigenvectors, other.eigenvectors, atol=1e-4)


def test_three_blocks_have_weights_whatever_the_sizes():
    for sizes, block in (((20, 3, 6), 8), ((5, 2, 4), 5), ((20, 9, 3), 9)):
        config = build(*sizes).config
        assert config.num_registers == block
        assert config.num_unique_blocks == 3
        rounds = (sizes[2] - 1) * (block + 2)
        assert config.num_blocks == 1 + sizes[2] + rounds
    assert build(20, 1, 2, block=1).config.num_registers == 1


@pytest.mark.parametrize(
    ("variant", "options", "words"),
    [
        ("krylov", {"accuracy": 0.1}, r"accuracy=0\.1 is about the normaliser"),
        ("krylov", {"smallest": 1e-3}, r"smallest=0\.001 is about the normaliser"),
        ("krylov", {"block": 2}, "block=2 must be >= num_components=3"),
        ("rms", {"block": 8}, "block=8 is the number of start vectors of 'krylov'"),
    ],
)
def test_options_mean_something_or_are_refused(variant, options, words):
    with pytest.raises(ConfigError, match=words):
        spectral_tf.power_method_params(9, 3, 2, variant, **options)


def test_a_keyword_that_there_is_not_is_named():
    with pytest.raises(TypeError, match=r"'blok'; there are accuracy, smallest, block"):
        power_method_composition(9, 3, 2, "krylov", **{"blok": 3})  # pyright: ignore


def test_every_sublayer_is_explained():
    blocks = explained(power_method_composition(6, 2, 3, "krylov", block=4))
    runs = {block["name"]: block["runs"] for block in blocks}
    assert runs == {"centre": 1, "multiply": 3, "deflate": 2 * (4 + 2)}
    text = "\n".join(line for block in blocks for line in block["explain"])
    for word in ("multiply, w = Sigma u", "keep, q1 <- u", "deflate", "normalise"):
        assert word in text


@pytest.mark.parametrize("form", ["dense", "equivariant"])
def test_the_trace_has_the_blocks_and_the_ritz_values(form):
    x = problems.table(60, 24, seed=2) * 5.0
    network = build(24, 2, 3, block=4) if form == "dense" else krylov(2, 3, block=4)
    followed = spectral_tf.trace(network, x)
    assert isinstance(followed, KrylovTrace)
    rows = np.asarray(followed.basis, np.float64).reshape(12, 24)
    np.testing.assert_allclose(rows @ rows.T, np.eye(12), atol=1e-5)
    matrix = np.cov(np.asarray(x, np.float64).T, bias=True)
    for products in (1, 2, 3):
        first = rows[: 4 * products]
        want = np.linalg.eigvalsh(first @ matrix @ first.T)[::-1][:2]
        np.testing.assert_allclose(followed.ritz[products - 1], want, rtol=1e-4)
    estimate = network(x)
    np.testing.assert_allclose(followed.ritz[-1], estimate.eigenvalues, rtol=1e-5)


def test_breakdown_is_the_normal_case_here_too():
    """No value above the largest eigenvalue, no NaN, orthonormal answers, fused too."""
    rng = np.random.default_rng(3)
    kinds = sorted(tables_of_kinds.KINDS)
    tables = [tables_of_kinds.KINDS[kind](rng) for kind in kinds for _ in range(4)]
    shapes = {table.shape for table in tables}
    for shape in sorted(shapes)[:3]:
        same = np.stack([t for t in tables if t.shape == shape])
        x = jnp.asarray(same, jnp.float32)
        network = build(shape[1], 3, 3)
        for function in (network, spectral_tf.fuse(network)):
            estimate = jax.jit(jax.vmap(function))(x)
            values = np.asarray(estimate.eigenvalues, np.float64)
            vectors = np.asarray(estimate.eigenvectors, np.float64)
            largest = [np.linalg.eigvalsh(np.cov(t.T, bias=True))[-1] for t in same]
            top = np.array(largest)[:, None]
            assert np.all(values <= top * (1 + 1e-5) + 1e-30)
            assert np.all(values >= -1e-5 * top - 1e-30)
            overlap = np.einsum("bid,bjd->bij", vectors, vectors)
            want = np.broadcast_to(np.eye(3), overlap.shape)
            np.testing.assert_allclose(overlap, want, atol=1e-5)
