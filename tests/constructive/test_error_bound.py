"""The computed bound is never exceeded: random and adversarial tables, two types."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spectral_tf.config import ConfigError, DataError
from spectral_tf.constructive.error_bound import error_bound
from spectral_tf.constructive.fuse import fuse
from spectral_tf.constructive.power_method import VARIANTS, power_method_params
from spectral_tf.model.network import Network

DIM, K = 5, 2
ROWS = 13  # of the longest table; shorter ones are filled up and masked
ITERS = {"krylov": (1, 3)}  # of which each adds a channel
BOUNDED = [name for name, variant in VARIANTS.items() if variant.bound is not None]


def with_spectrum(rng, eigenvalues, num_samples=12):
    draw = rng.standard_normal((num_samples, DIM))
    left = np.linalg.qr(draw - draw.mean(axis=0))[0]
    right = np.linalg.qr(rng.standard_normal((DIM, DIM)))[0]
    return left * np.sqrt(num_samples * np.asarray(eigenvalues)) @ right.T


def gaussian(rng, num_samples=12):
    return rng.standard_normal((num_samples, DIM)) @ rng.standard_normal((DIM, DIM))


FAMILIES = {
    "gaussian": gaussian,
    "few rows": lambda rng: gaussian(rng, 3),
    "one row": lambda rng: gaussian(rng, 1),
    "zero": lambda rng: np.full((6, DIM), rng.integers(0, 2) * 3.7),
    "rank one": lambda rng: np.outer(rng.standard_normal(12), rng.standard_normal(DIM)),
    "all equal": lambda rng: with_spectrum(rng, np.ones(DIM)),
    "equal pairs": lambda rng: with_spectrum(rng, [2.0, 2.0, 1.0, 1.0, 0.5]),
    "nearly equal pairs": lambda rng: with_spectrum(
        rng, [2.0, 2.0 - 10 ** rng.uniform(-14, -2), 1.0, 1 - 1e-9, 0.5]
    ),
    "condition 1e12": lambda rng: with_spectrum(rng, np.geomspace(1, 1e-12, DIM)),
    "one large": lambda rng: with_spectrum(rng, [1.0, 1e-7, 1e-7, 1e-8, 0.0]),
    "at the floor": lambda rng: with_spectrum(
        rng, [1.0, 10 ** rng.uniform(-6, -2), 1e-6, 1e-8, 0.0]
    ),
    "huge": lambda rng: gaussian(rng) * 10 ** rng.uniform(5, 14),
    "tiny": lambda rng: gaussian(rng) * 10 ** rng.uniform(-14, -5),
    "large mean": lambda rng: gaussian(rng) + 10 ** rng.uniform(0, 4),
    "an outlier": lambda rng: np.vstack([gaussian(rng), 1e3 * gaussian(rng, 1)]),
    "small integers": lambda rng: rng.integers(0, 3, (12, DIM)).astype(float),
    "unequal columns": lambda rng: gaussian(rng) * np.geomspace(1, 1e4, DIM),
}


def sine_outside(vectors, basis):
    """Sine of the largest angle between the span of rows and that of columns."""
    rows = np.linalg.qr(vectors.T)[0].T
    return np.linalg.norm(rows - rows @ basis @ basis.T, 2)


def assert_kept(x, estimate, bound, name):
    rows = x.astype(np.float64)
    scale = np.max(np.abs(rows)) or 1.0
    centred = (rows - rows[0]) / scale
    centred = centred - centred.mean(axis=0)
    values, basis = np.linalg.eigh(centred.T @ centred / len(x))
    values, basis = np.clip(values[::-1], 0, None), basis[:, ::-1]
    got = np.asarray(estimate.eigenvalues, np.float64) / scale**2
    allowed = bound.eigenvalue / scale**2
    # 1e-15: the rounding of the comparison itself.
    slack = 1e-15 * values[0]
    assert np.all(np.abs(got - values[:K]) <= allowed + slack), (name, got, values)
    vectors = np.asarray(estimate.eigenvectors, np.float64)
    for j in range(K):
        if bound.last[j] - bound.first[j] < DIM - 1:
            cluster = basis[:, bound.first[j] - 1 : bound.last[j]]
            sine = sine_outside(vectors[j : j + 1], cluster)
            assert sine <= np.sin(bound.angle[j]) + 1e-14, (name, j, sine, bound)
        if bound.subspace[j] < np.pi / 2 - 1e-3:
            sine = sine_outside(vectors[: j + 1], basis[:, : j + 1])
            assert sine <= np.sin(bound.subspace[j]) + 1e-14, (name, j, sine, bound)


@functools.cache
def network(num_iters, variant, dtype):
    """One compiled function for all families; weights in their type."""
    del dtype
    config, params = power_method_params(DIM, K, num_iters, variant)
    return jax.jit(jax.vmap(fuse(Network(config, params))))


def filled_up(tables):
    """`(x [B, ROWS, d], mask [B, ROWS])` of tables of equally many rows."""
    count = len(tables[0])
    x = np.pad(np.stack(tables), ((0, 0), (0, ROWS - count), (0, 0)))
    mask = np.broadcast_to(np.arange(ROWS) < count, x.shape[:2])
    return jnp.asarray(x), jnp.asarray(mask)


def check_family(name, variant, dtype, count):
    """`count` tables of one family, at few and many iterations in turn."""
    rng = np.random.default_rng(sum(map(ord, name)))
    tables = [FAMILIES[name](rng).astype(dtype) for _ in range(count)]
    few, many = ITERS.get(variant, (9, 40))
    for num_iters, part in ((few, tables[::2]), (many, tables[1::2])):
        answer = network(num_iters, variant, dtype)(*filled_up(part))
        for index, x in enumerate(part):
            one = jax.tree.map(lambda leaf, i=index: leaf[i], answer)
            bound = error_bound(x, K, num_iters, variant)
            assert_kept(x, one, bound, f"{name} {index} {num_iters}")


@pytest.mark.parametrize("count", [40, pytest.param(300, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", FAMILIES)
def test_tables_in_float32(name, count):
    """17 families of 2 x 40; by `-m long` of 2 x 300, more than 10,000 tables."""
    for variant in BOUNDED:
        check_family(name, variant, np.float32, count)


@pytest.mark.usefixtures("x64")
@pytest.mark.long
@pytest.mark.parametrize("name", FAMILIES)
def test_tables_in_float64(name):
    for variant in BOUNDED:
        check_family(name, variant, np.float64, 20)


def test_the_bound_says_something():
    """Well separated eigenvalues, enough iterations: a bound near the rounding."""
    rng = np.random.default_rng(0)
    x = with_spectrum(rng, [4.0, 2.0, 1.0, 0.5, 0.1], 40).astype(np.float32)
    bound = error_bound(x, K, 60)
    assert np.all(bound.eigenvalue < 1e-3)
    assert list(bound.first) == list(bound.last) == [1, 2]
    assert np.all(bound.angle < 0.01)
    early = error_bound(x, K, 6)
    assert np.all(early.iteration > 100 * bound.iteration)
    assert np.all(early.eigenvalue >= early.iteration)


def test_for_equal_eigenvalues_the_claim_is_about_the_span():
    rng = np.random.default_rng(0)
    x = with_spectrum(rng, [2.0, 2.0, 1.0, 1.0, 0.5], 40).astype(np.float32)
    bound = error_bound(x, K, 60)
    assert list(bound.first) == [1, 1]
    assert list(bound.last) == [2, 2]
    assert bound.subspace[0] > 1
    assert bound.subspace[1] < 0.01


def test_coarse_knots_count():
    rng = np.random.default_rng(0)
    x = with_spectrum(rng, [4.0, 2.0, 1.0, 0.5, 0.1], 40)
    coarse = error_bound(x, K, 60, accuracy=0.04, smallest=0.1)
    assert np.all(coarse.approximation >= 0)
    assert np.all(coarse.rounding < 1e-9)


def test_bad_arguments_are_named():
    x = np.ones((4, 3), np.float32)
    with pytest.raises(
        ConfigError, match="'squaring'; choose register or rms or krylov"
    ):
        error_bound(x, 1, 5, "squaring")
    with pytest.raises(ConfigError, match="num_components=4"):
        error_bound(x, 4, 5)
    with pytest.raises(ConfigError, match="num_iters=0"):
        error_bound(x, 1, 0)
    with pytest.raises(DataError, match="not finite"):
        error_bound(x * np.nan, 1, 5)
