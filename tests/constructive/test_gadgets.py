"""Gadgets alone, on random streams: weights against meaning, and the normaliser."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectral_tf.constructive.assemble import head_sizes
from spectral_tf.constructive.gadgets import deflate, multiply, scale, squared_norm
from spectral_tf.constructive.normaliser import (
    Normaliser,
    knots_for,
    relative_error_bound,
)
from spectral_tf.constructive.residual_layout import register_layout

NORMALISER = Normaliser(low=1e-6, high=1.0, num_knots=40)


def dense_forward(gadget, tokens):
    """The block from its maps alone: relu attention, sum over senders, then the MLP."""
    out = tokens.copy()
    for head in gadget.heads:
        scores = (tokens @ head.query.T) @ (tokens @ head.key.T).T
        out += np.maximum(scores, 0) @ (tokens @ head.value.T) @ head.out.T
    return out + np.maximum(out @ gadget.mlp.up.T, 0) @ gadget.mlp.down.T


def random_stream(seed, dim, k, num_data):
    """A stream as it may stand before any block: |u| <= 1, scratch rows zero."""
    rng = np.random.default_rng(seed)
    layout, total = register_layout(dim, k), num_data + k
    stream = {name: np.zeros((total, size)) for name, size in layout.sizes}
    stream["one"] += 1
    rows = rng.standard_normal((num_data, dim))
    stream["x"][:num_data] = rows / np.sqrt(np.sum(rows**2))
    start = rng.standard_normal((k, dim))
    length = rng.uniform(0.01, 1, (k, 1))
    stream["u"][num_data:] = length * start / np.linalg.norm(start, axis=1)[:, None]
    stream["pos"][num_data:] = np.eye(k)
    stream["low"][num_data:] = np.triu(np.ones((k, k)))
    return layout, stream


BUILDERS = {
    "multiply": multiply,
    "squared_norm": lambda layout: squared_norm(layout, NORMALISER),
    "scale": lambda layout: scale(layout, NORMALISER.peak),
    "deflate": deflate,
}


@pytest.mark.parametrize("name", BUILDERS)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 9))
def test_weights_mean_what_the_semantics_say(name, seed, k, num_data):
    layout, stream = random_stream(seed, 6, k, num_data)
    if name == "scale":
        rng = np.random.default_rng(seed)
        stream["r"] = rng.uniform(0, NORMALISER.peak, stream["r"].shape)
    gadget = BUILDERS[name](layout)
    got = dense_forward(gadget, layout.join(stream))
    want = layout.join(gadget.semantics(stream))
    np.testing.assert_allclose(got, want, atol=1e-9)


def test_semantics_are_the_mathematics():
    layout, stream = random_stream(1, 6, 3, 8)
    data, rows = stream["x"][:8], stream["u"][8:]
    after = multiply(layout).semantics(stream)["u"][8:]
    np.testing.assert_allclose(after, rows @ data.T @ data, atol=1e-14)
    after = squared_norm(layout, NORMALISER).semantics(stream)["r"][8:, 0]
    np.testing.assert_allclose(after, NORMALISER(np.sum(rows**2, axis=1)))
    after = deflate(layout).semantics(stream)["u"][8:]
    want = [
        row - sum((other * (other @ row) for other in rows[:j]), np.zeros(6))
        for j, row in enumerate(rows)
    ]
    np.testing.assert_allclose(after, want, atol=1e-14)


def test_the_gates_are_exactly_zero_on_open_pairs():
    """+B - B would leave rounding of the size of B; here nothing is left."""
    layout, stream = random_stream(2, 6, 4, 5)
    stream["u"][:] = 0
    tokens = layout.join(stream)
    for name in ("squared_norm", "deflate"):
        head = BUILDERS[name](layout).heads[0]
        scores = (tokens @ head.query.T) @ (tokens @ head.key.T).T
        registers = scores[5:, 5:]
        is_open = (
            np.eye(4, dtype=bool) if name == "squared_norm" else np.tri(4, k=-1) > 0
        )
        assert np.all(registers[is_open] == 0)
        assert np.all(registers[~is_open] <= -1)


def test_heads_do_not_grow_with_d():
    for dim in (2, 50):
        layout = register_layout(dim, 2)
        assert (
            head_sizes([build(layout) for build in BUILDERS.values()])["num_heads"] == 2
        )


@given(st.floats(1e-6, 1.0))
def test_the_normaliser_keeps_its_bound(squared):
    value = float(NORMALISER(np.array([squared]))[0])
    relative = value * np.sqrt(squared) - 1
    assert -1e-12 <= relative <= NORMALISER.error_bound


def test_the_bound_is_nearly_reached():
    fine = Normaliser(low=1e-6, high=1.0, num_knots=400)
    squared = np.geomspace(1e-6, 1, 100_001)
    error = np.max(fine(squared) * np.sqrt(squared) - 1)
    assert error > 0.9 * fine.error_bound


def test_normaliser_units_do_not_cancel_and_float32_is_enough():
    normaliser = Normaliser(low=1e-8, high=1.0, num_knots=193)
    assert np.all(normaliser.coefficients >= 0)
    squared = np.geomspace(1e-8, 1, 1000).astype(np.float32)
    knots = normaliser.knots.astype(np.float32)
    hinges = np.maximum(knots - squared[:, None], 0)
    single = np.float32(normaliser.offset) + hinges @ normaliser.coefficients.astype(
        np.float32
    )
    np.testing.assert_allclose(single, normaliser(squared), rtol=1e-5)


@pytest.mark.parametrize("accuracy", [0.3, 1e-2, 1e-3, 1e-5])
def test_knots_for_is_the_smallest_number_that_fits(accuracy):
    knots = knots_for(accuracy, 1e-8, 1.0)
    ratio = lambda count: 1e8 ** (1 / (count - 1))
    assert relative_error_bound(ratio(knots)) <= accuracy
    assert knots == 2 or relative_error_bound(ratio(knots - 1)) > accuracy


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, 1e-8, 1.0), "accuracy=0.0 must lie in"),
        ((1e-3, 0.0, 1.0), r"range of squared norms \[0.0, 1.0\]"),
        ((1e-3, 2.0, 1.0), r"0 < low < high"),
    ],
)
def test_bad_ranges_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        knots_for(*arguments)


def test_an_unknown_row_is_named():
    with pytest.raises(KeyError, match=r"no row named 'v'.*x, u, w"):
        register_layout(2, 1)["v"]
