"""Every composition, block by block, against the recursion it claims to run.

Three independent descriptions must agree: the numpy recursion, the chain of gadget
semantics, and the Flax forward with the assembled weights.
"""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from spectral_tf.constructive.power_method import (
    VARIANTS,
    power_method_composition,
    power_method_params,
)
from spectral_tf.constructive.registers import WARM_UP
from spectral_tf.constructive.tolerance import (
    SQUARING_ACCURACY,
    Tolerance,
    polish_steps,
)
from spectral_tf.model.inputs import embedded_rows, scaled_rows
from spectral_tf.model.network import Network
from spectral_tf.model.params import unroll
from spectral_tf.spectra import covariance
from tests.problems import forward, spectrum_table, table

ITERS = {
    "register": 7,
    "rms": 7,
    "accelerated": 10,
    "columns": 17,
    "squaring": 4,
    "krylov": 3,
}
# d, k, N: N from d/2 to 10 d, k up to 8.
SIZES = [(2, 1, 20), (2, 2, 3), (8, 3, 6), (10, 3, 50), (32, 4, 16), (64, 8, 100)]
# The paper's construction has a block for every step of every vector: half a minute.
MOST_OF_THEM = [
    pytest.param(one, marks=pytest.mark.long) if one in ("columns", "squaring") else one
    for one in VARIANTS
]
CASES = [
    pytest.param(
        *(variant, *size),
        marks=[pytest.mark.long] if (variant, size[0]) == ("columns", 64) else [],
    )
    for size in SIZES
    for variant in VARIANTS
]
SPECTRA = {
    "power law": lambda d: np.arange(1, d + 1) ** -1.0,
    "two equal pairs": lambda d: np.repeat([3.0, 2.0, 1.0], [2, 2, d - 4]),
    "all equal": np.ones,
    "condition 1e12": lambda d: np.append(np.arange(1, d) ** -1.0, 1e-12),
    "steep": lambda d: np.geomspace(1, 1e-3, d),
}


def wanted(variant, x, k, iters, accuracy=None):
    """What the recursion holds after every block."""
    matrix = np.asarray(covariance(x), np.float64)
    trace = np.trace(matrix)
    sigma = matrix / trace if trace > 0 else matrix
    tolerance = Tolerance(accuracy=accuracy)
    return VARIANTS[variant].reference(sigma, k, iters, tolerance)


def held(layout, registers, names, k):
    """The same quantities, read off the register tokens of one block."""
    rows = layout.split(registers)
    dim, found = layout.size("x"), {}
    for name in names:
        if "turn" in rows:  # krylov keeps what it had, and reads no row lam
            found |= {name: rows[name]} if name in rows else {}
        elif name in ("u", "lam") and "u" in rows:
            found[name] = rows[name] if name == "u" else rows["lam"][:, 0]
        elif name == "b":
            found[name] = rows["b"][0, 0]
        elif name in ("a", "base"):
            found[name] = rows[name][k : k + dim]
        elif name in ("v", "w"):
            found[name] = rows[name][-1]
    return found


def differences(variant, x, k, iters, accuracy=None):
    """Largest difference from the recursion after each block, and in the answer."""
    dim = x.shape[1]
    sizes = dim, k, iters, variant
    config, params = power_method_params(*sizes, accuracy=accuracy)
    layout = power_method_composition(*sizes, accuracy=accuracy).layout
    estimate, inside = forward(config, params, x)
    history = list(wanted(variant, x, k, iters, accuracy))
    assert len(history) == config.num_blocks
    worst = []
    for registers, want in zip(np.asarray(inside.state[1]), history, strict=True):
        got = held(layout, registers, want, k)
        assert got
        worst.append(max(np.max(np.abs(got[n] - want[n])) for n in got))
    last = history[-1]
    vectors = last["vectors" if "vectors" in last else "u"][:k]
    matrix = np.asarray(covariance(x), np.float64)
    worst.append(np.max(np.abs(estimate.eigenvectors - vectors)))
    values = estimate.eigenvalues / (np.trace(matrix) or 1.0)
    worst.append(np.max(np.abs(values - last["lam"][:k])))
    return max(worst)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(("variant", "dim", "k", "num_samples"), CASES)
def test_every_block_follows_the_recursion_in_float64(variant, dim, k, num_samples):
    x = table(num_samples, dim) + 2.0
    assert differences(variant, x, k, ITERS[variant]) <= 1e-10


@pytest.mark.usefixtures("x64")
@pytest.mark.slow
@pytest.mark.parametrize("variant", MOST_OF_THEM)
def test_a_hundred_and_twenty_eight_features(variant):
    iters = {"columns": 8, "squaring": 3, "krylov": 2}.get(variant, 7)
    # Fewer knots are fewer heads: that of `columns` would have 170.
    accuracy = {"columns": 0.018}.get(variant)
    assert differences(variant, table(64, 128), 8, iters, accuracy) <= 1e-10


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", SPECTRA)
def test_spectra_of_every_kind(variant, name):
    x = spectrum_table(SPECTRA[name](10), 30)
    assert differences(variant, x, 5, ITERS[variant]) <= 1e-10


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("dim", "k", "num_samples"), [(2, 1, 4), (10, 3, 50)])
def test_every_block_follows_the_recursion_in_float32(variant, dim, k, num_samples):
    x = table(num_samples, dim)
    assert differences(variant, x, k, ITERS[variant]) <= 1e-5


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("variant", VARIANTS)
def test_masked_rows_take_no_part(variant):
    config, params = power_method_params(5, 2, 6, variant)
    x, mask = table(30, 5), jnp.arange(30) < 11
    masked, _ = forward(config, params, x.at[11:].set(jnp.nan), mask)
    alone, _ = forward(config, params, x[:11])
    np.testing.assert_allclose(masked.eigenvectors, alone.eigenvectors, atol=1e-10)
    np.testing.assert_allclose(masked.eigenvalues, alone.eigenvalues, atol=1e-10)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("variant", VARIANTS)
def test_designed_gadgets_compute_what_the_module_computes(variant):
    """Named rows through `semantics` equal the whole residual stream, every block."""
    composition = power_method_composition(5, 3, 4, variant)
    config, params = power_method_params(5, 3, 4, variant)
    x = table(9, 5) + 1.0
    features = embedded_rows(config, scaled_rows(config, x))
    embedded = features @ params["embed_kernel"] + params["embed_bias"][None]
    layout = composition.layout
    stream = layout.split(np.concatenate([embedded, params["registers"]]))
    _, inside = forward(config, params, x)
    for block, index in enumerate(composition.order):
        stream = composition.gadgets[index].semantics(stream)
        tokens = np.concatenate([np.asarray(leaf[block]) for leaf in inside.state])
        np.testing.assert_allclose(layout.join(stream), tokens, atol=1e-10)


@pytest.mark.parametrize("variant", VARIANTS)
def test_data_tokens_are_written_only_by_the_block_that_centres(variant):
    composition = power_method_composition(5, 3, 4, variant)
    config, params = power_method_params(5, 3, 4, variant)
    _, inside = forward(config, params, table(9, 5) + 1.0)
    data = np.asarray(inside.state[0])
    for name, _ in composition.layout.sizes:
        rows = data[:, :, composition.layout[name]]
        if name in ("x", "c", "one", "work", "entry", "col", "pos", "next", "low"):
            np.testing.assert_array_equal(rows, np.broadcast_to(rows[:1], rows.shape))
        elif name not in ("r", "b"):  # data tokens write these and nobody reads them
            assert not rows.any(), name


@pytest.mark.parametrize("variant", VARIANTS)
def test_unrolled_equals_looped(variant):
    x = table(20, 5)
    looped, few = power_method_params(5, 2, 4, variant)
    unrolled, many = unroll(Network(looped, few))
    assert looped.num_unique_blocks <= 15
    assert unrolled.num_unique_blocks == unrolled.num_blocks == looped.num_blocks
    (a, _), (b, _) = forward(looped, few, x), forward(unrolled, many, x)
    np.testing.assert_allclose(a.eigenvectors, b.eigenvectors, atol=1e-6)
    np.testing.assert_allclose(a.eigenvalues, b.eigenvalues, rtol=1e-5)


def test_many_components():
    for variant in VARIANTS:
        config, _ = power_method_params(20, 17, 17, variant)
        assert config.num_components == 17


@pytest.mark.long
def test_sizes_are_those_of_the_docstrings():
    for k, tau in itertools.product((1, 3), (6, 31)):
        blocks = lambda variant, k=k, tau=tau: (
            power_method_params(5, k, tau, variant).config.num_blocks
        )
        # The paper's theorem: L = 1 + 2 tau + 4 k.
        assert blocks("columns") == 1 + 2 * tau + 4 * k
        warm = min(tau, WARM_UP) * (k - 1)
        assert blocks("rms") == 1 + 2 * tau + warm + k + 3
        epilogue = 8 if k > 1 else 6
        assert blocks("register") == 1 + 4 * tau + 3 * (k - 1 + warm) + epilogue
        assert blocks("krylov") == 1 + tau + (tau - 1) * (5 + 2)  # b = d = 5
        assert blocks("squaring") == 2 + k * (
            3 * tau + 13 + polish_steps(SQUARING_ACCURACY)
        )
    columns = power_method_params(5, 2, 6, "columns").config
    assert columns.block == ("attention",)
    assert columns.layout.norm == "none"
    for variant in ("register", "rms", "accelerated", "squaring", "krylov"):
        heads = {
            power_method_params(d, 2, 3, variant).config.num_heads for d in (3, 20)
        }
        assert len(heads) == 1, variant
