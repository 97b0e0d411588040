"""Fused equals dense; each rule does what it says, on any weights."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.extend.core import jaxprs_in_params

from spectral_tf.config import DataError, Dense, ModelConfig, parse_schedule
from spectral_tf.constructive.fuse import fuse, fusion_plan
from spectral_tf.constructive.fusion.maps import cut_stream, raw_block
from spectral_tf.constructive.fusion.order import (
    Leaf,
    Repeat,
    distinct_blocks,
    folded,
    leaves,
    visits,
)
from spectral_tf.constructive.power_method import VARIANTS, power_method_params
from spectral_tf.model.network import Network
from spectral_tf.model.params import unroll
from spectral_tf.model.presets import model_preset
from spectral_tf.model.transformer import predict
from tests.problems import random_params, table

ITERS = {"columns": 8, "squaring": 4, "krylov": 3}
dense_predict = jax.jit(predict, static_argnums=0)


@functools.cache
def network(variant, dim=6, k=2):
    return power_method_params(dim, k, ITERS.get(variant, 7), variant)


def assert_same(one, other, rtol=1e-5):
    np.testing.assert_allclose(one.eigenvectors, other.eigenvectors, atol=rtol)
    size = float(np.max(np.abs(other.eigenvalues))) or 1.0
    np.testing.assert_allclose(one.eigenvalues, other.eigenvalues, atol=rtol * size)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    ("dim", "k", "num_samples"),
    [
        (2, 1, 4),
        (6, 2, 5),
        pytest.param(10, 4, 50, marks=pytest.mark.long),
        (24, 3, 100),
    ],
)
def test_fused_equals_dense(variant, dim, k, num_samples):
    config, params = network(variant, dim, k)
    x = table(num_samples, dim) + 1.0
    fused = jax.jit(fuse(Network(config, params)))
    assert_same(fused(x), dense_predict(config, params, x))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("variant", VARIANTS)
def test_fused_equals_dense_in_float64(variant):
    config, params = power_method_params(6, 2, ITERS.get(variant, 7), variant)
    x = table(20, 6) + 1.0
    fused = jax.jit(fuse(Network(config, params)))
    assert_same(fused(x), dense_predict(config, params, x), rtol=1e-11)


@pytest.mark.parametrize("variant", VARIANTS)
def test_under_vmap_and_with_a_mask(variant):
    config, params = network(variant)
    fused = fuse(Network(config, params))
    batch = jnp.stack([table(9, 6, seed=seed) for seed in range(3)])
    mask = jnp.arange(9)[None] < jnp.array([9, 5, 7])[:, None]
    batch = batch.at[1, 5:].set(jnp.nan)
    together = jax.jit(jax.vmap(fused))(batch, mask)
    for index in range(3):
        alone = dense_predict(config, params, batch[index], mask[index])
        assert_same(jax.tree.map(lambda leaf, i=index: leaf[i], together), alone)


@pytest.mark.parametrize(
    "variant",
    [
        pytest.param(one, marks=pytest.mark.long) if one == "columns" else one
        for one in VARIANTS
    ],
)
def test_unrolled_weights_are_found_to_be_equal(variant):
    shared = network(variant, 3, 1)
    plan, other = fusion_plan(shared), fusion_plan(unroll(shared))
    assert plan is not None
    assert other is not None
    assert plan.nodes == other.nodes
    x = table(20, 3)
    assert_same(jax.jit(fuse(unroll(shared)))(x), jax.jit(fuse(shared))(x))


@pytest.mark.long
def test_a_schedule_of_any_order_is_evaluated_faithfully():
    """The rules are about weights: shuffled, the blocks mean nothing, yet agree."""
    for variant in VARIANTS:
        shuffled(variant)


def shuffled(variant):
    config, params = network(variant)
    count = config.num_unique_blocks

    @given(
        st.lists(st.integers(0, count - 1), min_size=1, max_size=6), st.integers(0, 99)
    )
    @settings(max_examples=3)
    def check(order, seed):
        blocks = [*dict.fromkeys(order)]
        text = " ".join(str(blocks.index(block)) for block in order)
        chosen = {
            **params,
            "blocks": jax.tree.map(
                lambda leaf: leaf[jnp.array(blocks)], params["blocks"]
            ),
        }
        small = config.replace(num_blocks=len(order), schedule=text)
        x = table(7, 6, seed=seed)
        # Repeats grow without bound out of order: compare in units of the largest.
        ours, dense = fuse(Network(small, chosen))(x), dense_predict(small, chosen, x)
        for one, other in zip(ours, dense, strict=True):
            size = float(np.max(np.abs(other))) or 1.0
            np.testing.assert_allclose(one / size, other / size, atol=2e-4)

    check()


CHANGES = {
    "registers": lambda leaf, noise: leaf + 0.1 * noise,
    "blocks/1_mlp/mlp/up_bias": lambda leaf, noise: leaf + 0.01 * noise,
    "blocks/1_mlp/mlp/down_bias": lambda leaf, noise: leaf + 0.01 * noise,
    "blocks/0_attention/attention/out": lambda leaf, _: 0.9 * leaf,
    "blocks/0_attention/attention/query": lambda leaf, noise: leaf + 0.01 * noise,
    "embed_bias": lambda leaf, noise: leaf + 0.1 * noise,
    "embed_kernel": lambda leaf, noise: leaf + 0.1 * noise,
    "vector_kernel": lambda leaf, noise: leaf + 0.1 * noise,
}


@pytest.mark.parametrize(
    "variant",
    [
        "register",
        *(pytest.param(v, marks=pytest.mark.long) for v in ("rms", "squaring")),
    ],
)
@pytest.mark.parametrize("path", CHANGES)
def test_changed_weights_are_still_evaluated_faithfully(variant, path):
    """A rule that guesses at what constructed weights mean would fail here."""
    config, params = power_method_params(4, 2, 1, variant)
    *parents, name = path.split("/")
    params = jax.tree.map(lambda leaf: leaf, params)
    node = functools.reduce(dict.__getitem__, parents, params)
    noise = np.random.default_rng(0).standard_normal(node[name].shape)
    node[name] = jnp.asarray(CHANGES[path](node[name], noise), jnp.float32)
    x = table(9, 4)
    ours, dense = fuse(Network(config, params))(x), dense_predict(config, params, x)
    for one, other in zip(ours, dense, strict=True):
        size = float(np.max(np.abs(other))) or 1.0
        np.testing.assert_allclose(one / size, other / size, atol=1e-4)


LAYOUT = Dense(
    dim=4, width=9, head_dim=3, norm="none", skip_gain=False, mlp="plain",
    readout="linear",
)  # fmt: skip
RELU = ModelConfig(
    layout=LAYOUT, num_components=2, block=("attention", "mlp"), num_blocks=2,
    num_heads=2, mlp_width=5,
)  # fmt: skip
KINDS = {
    "relu": RELU,
    "linear, mean, rms": RELU.replace(
        attention="linear",
        attention_scale="mean",
        layout=LAYOUT.replace(norm="rms", width=6),
    ),
    "rms in groups, rayleigh": RELU.replace(
        layout=LAYOUT.replace(norm="rms", norm_groups=(2, 3), readout="rayleigh")
    ),
    "looped, more registers": RELU.replace(looped=True, register_tokens=5),
    "theory": model_preset("theory", num_blocks=2, dim=6),
    "softmax": model_preset("register", num_blocks=2, dim=6),
    "equivariant": ModelConfig(num_blocks=2),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(one, marks=pytest.mark.long) if one == "linear, mean, rms" else one
        for one in KINDS
    ],
)
def test_weights_that_mean_nothing(name):
    config = KINDS[name]
    params = random_params(config, scale=0.3)
    x = table(9, config.dim or 6)
    mask = jnp.arange(9) < 7
    fused = jax.jit(fuse(Network(config, params)))
    assert_same(fused(x), dense_predict(config, params, x), rtol=1e-4)
    assert_same(fused(x, mask), dense_predict(config, params, x, mask), rtol=1e-4)


@pytest.mark.parametrize("name", KINDS)
def test_nothing_to_fuse_is_found_in_them(name):
    params = random_params(KINDS[name])
    plan = fusion_plan(Network(KINDS[name], params))
    assert plan is None or KINDS[name].attention == "linear"


def largest_array(function, *args):
    """Elements of the largest intermediate, inner jaxprs included."""

    def walk(jaxpr):
        sizes = [math.prod(v.aval.shape) for eqn in jaxpr.eqns for v in eqn.outvars]
        inner = [sub for eqn in jaxpr.eqns for sub in jaxprs_in_params(eqn.params)]
        return max([0, *sizes, *map(walk, inner)])

    return walk(jax.make_jaxpr(function)(*args).jaxpr)


def loop_bodies(function, *args):
    """Shapes of all intermediates inside scans."""

    def walk(jaxpr, inside):
        for eqn in jaxpr.eqns:
            if inside:
                yield from (v.aval.shape for v in eqn.outvars)
            for sub in jaxprs_in_params(eqn.params):
                yield from walk(sub, inside or eqn.primitive.name == "scan")

    return list(walk(jax.make_jaxpr(function)(*args).jaxpr, False))


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_array_of_n_by_n_and_no_row_of_the_data_in_a_loop(variant):
    """Rules 2 and 3: re-association, and moments before the loop."""
    config, params = network(variant)
    fused, x = fuse(Network(config, params)), jnp.ones((1999, 6))
    assert largest_array(fused, x) <= 1999 * 8
    assert not [shape for shape in loop_bodies(fused, x) if 1999 in shape]
    dense = functools.partial(predict, config, params)
    assert largest_array(dense, x) >= 1999**2


@pytest.mark.long
def test_few_vectors_and_many_columns_go_without_the_moment():
    """Rule 2 counts: X^T (X u) costs less than X^T X here, and more with more steps."""
    x = jnp.asarray(table(2000, 64))
    shapes = {}
    for num_iters in (3, 60):
        config, params = power_method_params(64, 2, num_iters, "rms")
        fused = fuse(Network(config, params))
        jaxpr = str(jax.make_jaxpr(fused)(x))
        shapes[num_iters] = "f32[64,64] = dot_general" in jaxpr
        assert_same(jax.jit(fused)(x), dense_predict(config, params, x))
    assert shapes == {3: False, 60: True}


@pytest.mark.slow
def test_a_hundred_thousand_rows():
    x = table(100_000, 6) + 1.0
    values = np.linalg.eigvalsh(np.cov(np.asarray(x, np.float64).T, bias=True))[::-1]
    config, params = power_method_params(6, 2, 200)
    estimate = jax.jit(fuse(Network(config, params)))(x)
    np.testing.assert_allclose(estimate.eigenvalues, values[:2], rtol=1e-4)


def test_pairs_are_linear_and_gated_pairs_are_soft():
    """Rule 1, on heads and on hidden units."""
    config, params = network("register")
    blocks, _ = distinct_blocks(config, params)
    raw = [raw_block(config, block) for block in blocks]
    fixed, _ = cut_stream(config, params, raw)
    raw = [raw_block(config, block, fixed) for block in blocks]
    kinds = [[head.kind for head in block.heads] for block in raw]
    assert kinds[:5] == [["linear"], ["linear"], ["relu"], ["relu"], ["soft"]]
    # multiply: u <- w, w <- 0 leaves no hidden unit; squared_norm keeps its hinges.
    assert raw[1].up.shape[0] == 0
    assert raw[1].linear.nnz == 3 * 6
    knots = raw[2].up.shape[0]
    assert 100 < knots < 500
    config, params = network("columns")
    blocks, _ = distinct_blocks(config, params)
    fixed, _ = cut_stream(config, params, [raw_block(config, b) for b in blocks])
    hinges = raw_block(config, blocks[2], fixed).heads
    assert sorted(len(head.gates) for head in hinges)[-1] > 100
    # The last head clears w as well: another value.
    assert len(hinges) <= 3


def test_what_is_computed_for_whom():
    """Rules 4 and 5: zeros, closed pairs, and rows that nobody reads are left out."""
    plan = fusion_plan(network("register"))
    assert plan is not None
    data, registers = plan.data, 0
    sites = {leaf.block: plan.sites[leaf.site] for leaf in leaves(plan.nodes)}
    ends = {
        block: {(head.receiver, head.sender) for head in site.heads}
        for block, site in sites.items()
    }
    assert ends[0] == {(data, data)}  # centre
    assert ends[1] == {(registers, data)}  # multiply: registers read data
    for block in (2, 3, 4, 5, 7):  # norm, scale, deflate, polish, rayleigh
        assert ends[block] == {(registers, registers)}
    # scale reads r > 0 and its gate provably closes l != j; |u|^2 has no such proof.
    assert [head.is_diagonal for head in sites[3].heads] == [True]
    assert [head.is_diagonal for head in sites[2].heads] == [False]
    # Data tokens: x and c, and no MLP. (r of a data token is written; nobody reads it.)
    spans = plan.partition.spans
    names = {(g, spans[span].start) for g, span in plan.live if g == data}
    assert names == {(data, 0), (data, 21)}
    plan = fusion_plan(network("squaring"))
    assert plan is not None
    assert [one.stop - one.start for one in plan.groups] == [2, 6, 1]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_folding_keeps_the_order(order):
    assert [leaf.block for leaf in visits(folded(order))] == order


@pytest.mark.parametrize(
    ("schedule", "nodes"),
    [
        (
            "0 (1 2)*50 3",
            (Leaf(0, 0), Repeat(50, (Leaf(1, 1), Leaf(2, 2))), Leaf(3, 3)),
        ),
        ("0*7", (Repeat(7, (Leaf(0, 0),)),)),
        (
            "(0*9 1)*4",
            (Repeat(4, (Repeat(9, (Leaf(0, 0),)), Leaf(1, 1))),),
        ),
    ],
)
def test_loops_are_found(schedule, nodes):
    assert folded(parse_schedule(schedule)) == nodes


def test_bad_rows_are_refused():
    fused = fuse(network("register"))
    with pytest.raises(DataError, match=r"x\[1, 2\] is nan"):
        fused(jnp.ones((3, 6)).at[1, 2].set(jnp.nan))
    with pytest.raises(ValueError, match=r"x has 5 features, but these weights.*dim=6"):
        fused(jnp.ones((3, 5)))
    config, params = network("register")
    with pytest.raises(ValueError, match="missing registers"):
        fuse(
            Network(
                config, {name: params[name] for name in params.keys() - {"registers"}}
            )
        )


@pytest.mark.long
def test_gradients_flow():
    """A fused network is a function of x like any other."""
    config, params = network("register")
    fused, x = fuse(Network(config, params)), table(20, 6)
    one = jax.grad(lambda x: fused(x).eigenvalues[0])(x)
    other = jax.grad(lambda x: predict(config, params, x).eigenvalues[0])(x)
    np.testing.assert_allclose(one, other, atol=1e-4)
