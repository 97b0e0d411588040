"""Signs where the largest entries of a vector are tied: rounding does not turn them."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from spectral_tf import spectra
from spectral_tf.constructive.equivariant import equivariant_power_method
from spectral_tf.estimators import SpectralPCA
from spectral_tf.estimators.solution import signed
from spectral_tf.model.transformer import predict

RNG = np.random.default_rng(0)
PERMUTATIONS = 10


def canonical(vectors: np.ndarray) -> np.ndarray:
    with jax.enable_x64(vectors.dtype == np.float64):
        return np.asarray(spectra.canonical_sign(jnp.asarray(vectors)))


RULES = {"numpy": signed, "jax": canonical}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_the_first_of_the_tied_entries_is_positive(rule, dtype):
    half, above = dtype(0.5), np.nextafter(dtype(0.5), dtype(1))
    vectors = np.array(
        [
            [half, -above, half, -half],
            [above, -half, half, -half],
            [-half, above, half, -above],
            [0.1, -half, above, -half],
            [0.1, half, -above * (1 + 1e-6), 0],
            [0.1, half, -0.501, 0],
            [0.0, 0.0, 0.0, -1.0],
            [0.0, 0.0, 0.0, 0.0],
        ],
        dtype,
    )
    flips = np.array([1, 1, -1, -1, 1, -1, -1, 1], dtype)
    for turn in (1, -1):
        for scale in (1, 1e-30, 1e30):
            result = rule(vectors * dtype(turn) * dtype(scale))
            assert result.dtype == dtype
            assert_array_equal(result, (vectors * dtype(scale)) * flips[:, None])


def tied(rows: int = 60) -> Iterator[tuple[str, np.ndarray]]:
    """Tables of whose leading components the largest entries are equal."""
    a, b, c = RNG.normal(size=(3, rows))
    yield "a column and its negative", np.c_[a, -a, 0.3 * b]
    yield "late, after smaller ones", np.c_[0.3 * b, a, 0.1 * c, -a]
    yield "two pairs", np.c_[a, -a, 0.5 * b, -0.5 * b, 0.5 * b]
    # Closed under exchanges of columns: the ties are of sums, not of copies.
    x = a[:, None] * [1, -1, 1, -1] + 0.1 * RNG.normal(size=(rows, 4))
    turns = [x, -x[:, [1, 0, 3, 2]], x[:, [2, 3, 0, 1]], -x[:, [3, 2, 1, 0]]]
    yield "exchanges", np.concatenate(turns)
    yield "few rows", np.c_[np.tile([a[:9], -a[:9]], (10, 1)).T, 0.2 * b[:9]]
    # Whole numbers of a balanced design, and of counts.
    grid = np.indices((3, 3, 2)).reshape(3, -1).T.astype(float)
    yield "design", np.c_[grid @ [[1, -1, 0], [1, -1, 0], [0, 0, 0.5]], 9 - grid[:, 0]]


TIED = dict(tied())


def variants(x: np.ndarray) -> Iterator[np.ndarray]:
    """The same table in other orders of its rows, units and precisions."""
    for round_ in range(PERMUTATIONS):
        y = x[RNG.permutation(len(x))] * (1, 3.7, 1 / 3, 1e-5, 1e7 / 7)[round_ % 5]
        yield y.astype(np.float32) if round_ % 4 == 3 else y


@pytest.mark.parametrize("name", TIED)
@pytest.mark.parametrize("engine", ["exact", "constructed"])
def test_components_are_the_same_in_every_order_unit_and_precision(engine, name):
    x = TIED[name]
    first = SpectralPCA(2, engine=engine).fit(x).components_
    size = np.abs(first)
    pivots = np.argmax(size > size.max(axis=1, keepdims=True) * 0.999, axis=1)
    assert np.all(first[[0, 1], pivots] > 0)
    for y in variants(x):
        components = SpectralPCA(2, engine=engine).fit(y).components_
        assert_allclose(components, first, atol=2e-4)


def test_components_are_the_same_in_parts():
    x = TIED["exchanges"]
    whole = SpectralPCA(2).fit(x).components_
    for cut in (50, 100, 201):
        parts = SpectralPCA(2).partial_fit(x[:cut]).partial_fit(x[cut:])
        assert_allclose(parts.components_, whole, atol=1e-6)


@pytest.mark.parametrize("name", ["a column and its negative", "exchanges"])
def test_a_network_has_the_same_signs_in_every_order(name):
    x = TIED[name]
    config, params = equivariant_power_method(1, 60)
    answer = jax.jit(lambda rows: predict(config, params, rows).eigenvectors)
    exact = SpectralPCA(1, engine="exact").fit(x).components_
    for y in variants(x):
        assert_allclose(answer(jnp.asarray(y, jnp.float32)), exact, atol=1e-3)


def test_the_oracle_has_the_same_signs_in_every_order():
    x = TIED["exchanges"]
    oracle = jax.jit(
        lambda rows: spectra.top_eigenpairs(spectra.covariance(rows), 2)[1]
    )
    exact = SpectralPCA(2, engine="exact").fit(x).components_
    for y in variants(x):
        assert_allclose(oracle(jnp.asarray(y, jnp.float32)), exact, atol=1e-3)
