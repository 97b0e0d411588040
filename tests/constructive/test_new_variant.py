"""A composition of one's own: one file, this one, through the public pieces alone.

`full` is `register` with k rounds after every product, not only in the warm-up.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import spectral_tf
from spectral_tf.config import ConfigError
from spectral_tf.constructive import reference
from spectral_tf.constructive import register_gadgets as make
from spectral_tf.constructive.composition import Composition
from spectral_tf.constructive.explain import explained, summary
from spectral_tf.constructive.power_method import power_method_composition
from spectral_tf.constructive.program import series
from spectral_tf.constructive.registers import (
    orthonormal,
    register_rounds,
    register_start,
    start_rows,
)
from spectral_tf.constructive.residual_layout import register_layout
from spectral_tf.constructive.tolerance import (
    CHOSEN,
    deflating_normaliser,
    polish_steps,
)
from spectral_tf.constructive.variant import Variant
from spectral_tf.model.network import Network
from spectral_tf.spectra import covariance, top_eigenpairs
from tests.problems import forward, spectrum_table

EVERY = 10**9


def full(dim, k, num_iters, tolerance):
    """Orthonormalise fully after every product."""
    layout = register_layout(dim, k)
    normaliser = deflating_normaliser(dim, k, tolerance)
    normalise = series(
        make.squared_norm(layout, normaliser), make.scale(layout, normaliser.peak)
    )
    deflate = make.deflate(layout)
    iteration = series(make.multiply(layout), series(normalise, deflate) * k)
    return Composition(
        layout=layout,
        program=series(
            make.centre(layout),
            iteration * num_iters,
            orthonormal(layout, normalise, deflate, normaliser),
            make.image(layout),
            make.rayleigh(layout),
        ),
        registers=register_start(layout),
        embed=("x", "one", "c"),
        vector_row="u",
    )


def recursion(sigma, k, num_iters, tolerance):
    """The same in plain float64."""
    root = deflating_normaliser(len(sigma), k, tolerance)
    polish, start = polish_steps(root.error_bound), start_rows(len(sigma), k)
    return reference.register_recursion(sigma, start, root, num_iters, polish, EVERY)


def rounds(dim, k, tolerance):
    """The same for the bound: every iteration is full."""
    return register_rounds(dim, k, tolerance)._replace(full=EVERY)


FULL = Variant(build=full, reference=recursion, bound=rounds, fair_iters=30)
SIZES = 6, 3, 30
X = spectrum_table(2.0 ** -np.arange(6), 40)


@pytest.mark.usefixtures("x64")
def test_it_is_constructed_and_follows_its_recursion():
    composition = power_method_composition(*SIZES, FULL)
    config, params = spectral_tf.power_method_params(*SIZES, FULL)
    assert config.schedule == composition.schedule
    assert composition.schedule.startswith("0 (1 (2 3 4)*3)*30 ")
    x = jnp.asarray(X, jnp.float64)
    sigma = np.asarray(covariance(x), np.float64)
    history = FULL.reference(sigma / np.trace(sigma), 3, 30, CHOSEN)
    _, inside = forward(config, params, x)
    registers = np.asarray(inside.state[1])
    for tokens, held in zip(registers, history, strict=True):
        rows = composition.layout.split(tokens)
        np.testing.assert_allclose(rows["u"], held["u"], atol=1e-10)
        np.testing.assert_allclose(rows["lam"][:, 0], held["lam"], atol=1e-10)


def test_it_predicts_fuses_and_is_traced():
    config, params = spectral_tf.power_method_params(*SIZES, FULL)
    values, vectors = top_eigenpairs(covariance(X), 3)
    for answer in (
        spectral_tf.predict(config, params, X),
        jax.jit(spectral_tf.fuse(Network(config, params)))(X),
    ):
        np.testing.assert_allclose(answer.eigenvalues, values, rtol=1e-4)
        np.testing.assert_allclose(answer.eigenvectors, vectors, atol=1e-3)
    angles = spectral_tf.trace(Network(config, params), X).angles
    assert angles.shape == (config.num_blocks, 3, 6)
    places = power_method_composition(*SIZES, FULL).places("multiply")
    first = np.tan(np.asarray(angles[:, 0, 0], np.float64))[list(places)]
    assert np.all(first[1:8] < 0.6 * first[:7])


def test_it_is_explained():
    blocks = explained(power_method_composition(*SIZES, FULL))
    runs = {block["name"]: block["runs"] for block in blocks}
    assert (runs["multiply"], runs["deflate"]) == (30, 93)
    assert all(block["explain"] for block in blocks)
    lines = summary(spectral_tf.power_method_params(*SIZES, FULL).config)
    assert "8 with weights of their own" in lines[0]


@pytest.mark.parametrize("num_iters", [5, 30])
def test_its_bound_is_kept_and_needs_its_rounds(num_iters):
    sizes = 6, 3, num_iters
    x = np.asarray(X, np.float32)
    answer = spectral_tf.power_method_params(*sizes, FULL)(X)
    bound = spectral_tf.error_bound(x, 3, num_iters, FULL)
    values = np.linalg.eigvalsh(np.cov(x.T.astype(np.float64), bias=True))[::-1][:3]
    assert np.all(np.abs(answer.eigenvalues - values) <= bound.eigenvalue)
    if num_iters == 30:
        assert np.all(bound.eigenvalue < 1e-3 * values[0])


def test_without_a_bound_none_is_claimed():
    silent = Variant(build=full, reference=recursion)
    with pytest.raises(
        ConfigError,
        match=r"no bound is known for this variant.*register or rms or krylov",
    ):
        spectral_tf.error_bound(np.asarray(X, np.float32), 3, 5, silent)
    with pytest.raises(ConfigError, match="30 is a fair start"):
        power_method_composition(6, 3, 0, FULL)
