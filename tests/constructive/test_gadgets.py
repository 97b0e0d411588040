"""Gadgets alone, on random streams: weights against meaning, and the normaliser."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectral_tf.constructive.columns import ring_and_worker
from spectral_tf.constructive.normaliser import (
    Normaliser,
    knots_for,
    relative_error_bound,
)
from spectral_tf.constructive.power_method import VARIANTS, power_method_composition
from spectral_tf.constructive.register_gadgets import deflate, multiply, squared_norm
from spectral_tf.constructive.residual_layout import register_layout

NORMALISER = Normaliser(low=1e-6, high=1.0, num_knots=40)


def dense_forward(gadget, tokens):
    """The block from its maps alone: relu attention, sum over senders, then the MLP."""
    out = tokens.copy()
    for head in gadget.heads:
        scores = (tokens @ head.query.T) @ (tokens @ head.key.T).T
        out += np.maximum(scores, 0) @ (tokens @ head.value.T) @ head.out.T
    return out + np.maximum(out @ gadget.mlp.up.T, 0) @ gadget.mlp.down.T


def data_rows(rng, layout, num_data, total):
    """Rows of all tokens, zero but for x, c and one of the data tokens."""
    stream = {name: np.zeros((total, size)) for name, size in layout.sizes}
    rows = rng.standard_normal((num_data, layout.size("x")))
    stream["x"][:num_data] = rows / np.sqrt(np.sum(rows**2))
    for name, value in (("one", 1.0), ("c", num_data**-0.5)):
        if name in stream:
            stream[name][:num_data] = value
    return stream


def unit_or_shorter(rng, shape):
    rows = rng.standard_normal(shape)
    length = rng.uniform(0.01, 1, (shape[0], 1))
    return length * rows / np.linalg.norm(rows, axis=1, keepdims=True)


def register_stream(rng, layout, num_data):
    """Registers as they may stand before any block: |u| <= 1, scratch rows zero."""
    k = layout.size("pos")
    stream = data_rows(rng, layout, num_data, num_data + k)
    shape = (k, layout.size("x"))
    for name in ("u", "p"):
        if name in stream:
            stream[name][num_data:] = unit_or_shorter(rng, shape)
    codes = {"one": np.ones((k, 1)), "pos": np.eye(k), "low": np.triu(np.ones((k, k)))}
    for name, rows in codes.items():
        stream[name][num_data:] = rows
    if "b" in stream:
        stream["b"] += rng.uniform(0, 0.5)
    return stream


def column_stream(rng, layout, num_data):
    """Columns of a positive semi-definite matrix, a worker and a ring."""
    k, dim = layout.size("pos"), layout.size("x")
    rows = ring_and_worker(layout, unit_or_shorter(rng, (k, dim)))
    stream = data_rows(rng, layout, num_data, num_data + k + dim + 1)
    for name, start in rows.items():
        stream[name][num_data:] = start
    factor = rng.standard_normal((dim, dim))
    matrix = factor @ factor.T / np.trace(factor @ factor.T)
    columns = slice(num_data + k, num_data + k + dim)
    stream["a"][columns] = matrix
    stream["lam"][num_data : num_data + k] = rng.uniform(size=(k, 1))
    if "base" in stream:
        stream["base"][columns] = matrix @ matrix
        stream["one"][num_data:] = stream["col"][columns] = 1.0
        stream["off"][columns] = 1.0 - np.eye(dim)
    return stream


def fill(rng, name, stream):
    """What the gadget of this name reads and the builders above leave zero."""
    if "v" in stream:
        return fill_columns(rng, name, stream)
    shape = (len(stream["u"]), 1)
    if name == "scale":
        stream["r"] = rng.uniform(0, NORMALISER.peak, shape)
    if name == "rayleigh":
        stream["w"] = (stream["u"] @ stream["x"].T) @ stream["x"]
    if name == "broadcast":
        stream["lam"] = rng.uniform(0, 1, shape) * (stream["u"][:, :1] != 0)
    return stream


def fill_columns(rng, name, stream):
    worker, shape = stream["work"], stream["lam"].shape
    if name in ("scale columns", "scale worker"):
        stream["r"] = rng.uniform(0, NORMALISER.peak, shape)
    if name == "trace":
        stream["s"] = stream["col"] * rng.uniform(0, 1, shape)
    if name == "normalise":
        stream["w"], stream["v"] = stream["v"], stream["w"]
    if name in ("remove", "rayleigh", "halve", "deflate", "shift"):
        matrix = stream["base"] if "base" in stream else stream["a"]
        stream["w"] = (stream["v"] @ stream["id"].T) @ matrix
        stream["lam"] = stream["lam"] + worker * rng.uniform()
    return stream


def gadgets_of(variant, dim, k):
    composition = power_method_composition(dim, k, 8, variant)
    return composition.layout, composition.gadgets


ALL = [
    (variant, index)
    for variant in VARIANTS
    for index, gadget in enumerate(gadgets_of(variant, 6, 2)[1])
    # A norm is not in the heads and MLP; test_compositions has it.
    if not gadget.explain[-1].startswith("norm:")
]
NAMES = [f"{v}-{gadgets_of(v, 6, 2)[1][i].name}" for v, i in ALL]


@pytest.mark.parametrize(("variant", "index"), ALL, ids=NAMES)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 9))
@settings(max_examples=25)
def test_weights_mean_what_the_semantics_say(variant, index, seed, k, num_data):
    layout, gadgets = gadgets_of(variant, 6, k)
    rng, gadget = np.random.default_rng(seed), gadgets[index]
    build = register_stream if "u" in dict(layout.sizes) else column_stream
    stream = fill(rng, gadget.name, build(rng, layout, num_data))
    got = dense_forward(gadget, layout.join(stream))
    want = layout.join(gadget.semantics(stream))
    np.testing.assert_allclose(got, want, atol=1e-9)


def test_semantics_are_the_mathematics():
    layout = register_layout(6, 3)
    stream = register_stream(np.random.default_rng(1), layout, 8)
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
    layout = register_layout(6, 4)
    stream = register_stream(np.random.default_rng(2), layout, 5)
    stream["u"][:] = 0
    tokens = layout.join(stream)
    for name in ("squared_norm", "deflate"):
        gadget = (
            deflate(layout) if name == "deflate" else squared_norm(layout, NORMALISER)
        )
        head = gadget.heads[0]
        scores = (tokens @ head.query.T) @ (tokens @ head.key.T).T
        registers = scores[5:, 5:]
        is_open = (
            np.eye(4, dtype=bool) if name == "squared_norm" else np.tri(4, k=-1) > 0
        )
        assert np.all(registers[is_open] == 0)
        assert np.all(registers[~is_open] <= -1)


@given(st.floats(1e-6, 1.0), st.sampled_from([0.5, 1.0]))
def test_the_normaliser_keeps_its_bound(squared, power):
    normaliser = Normaliser(low=1e-6, high=1.0, num_knots=40, power=power)
    relative = float(normaliser(np.float64(squared))) * squared**power - 1
    assert -1e-12 <= relative <= normaliser.error_bound


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


@pytest.mark.parametrize("power", [0.5, 1.0])
@pytest.mark.parametrize("accuracy", [0.3, 1e-2, 1e-3, 1e-5])
def test_knots_for_is_the_smallest_number_that_fits(accuracy, power):
    knots = knots_for(accuracy, 1e-8, 1.0, power)
    bound = lambda count: relative_error_bound(1e8 ** (1 / (count - 1)), power)
    assert bound(knots) <= accuracy
    assert knots == 2 or bound(knots - 1) > accuracy


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
