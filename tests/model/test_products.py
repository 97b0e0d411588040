"""Small products as sums: the same numbers and gradients as matrix products."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spectral_tf.config import Channels, ModelConfig, TrainConfig
from spectral_tf.model import products
from spectral_tf.model.attention import contraction
from spectral_tf.settings import random_key
from spectral_tf.training import step
from spectral_tf.training.state import init_state

SIZES = dict(zip("jlkhgcdesmn", (3, 3, 4, 2, 3, 5, 6, 5, 7, 8, 9), strict=True))
SPECS = (
    "kcd,ch->khd",
    "khd,de->khe",
    "jhd,lhd->hjl",
    "hjl,lhd->jhd",
    "hjl,lh->jh",
    "jc,chg->jhg",
    "km,mce->kce",
    "kcd,kce->ked",
    "kce,ces->ks",
)


def operands(spec, dtype=float):
    rng = np.random.default_rng(0)
    left, right, _ = products._letters(spec)
    make = lambda letters: jnp.asarray(
        rng.standard_normal([SIZES[c] for c in letters]), dtype
    )
    return make(left), make(right)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("spec", SPECS)
def test_a_sum_of_products_is_einsum(spec):
    left, right = operands(spec)
    np.testing.assert_allclose(
        products.summed(spec, left, right), jnp.einsum(spec, left, right), rtol=1e-12
    )


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("spec", SPECS)
def test_gradients_are_those_of_einsum_on_every_platform(spec, monkeypatch):
    einsum = contraction(ModelConfig())
    wanted = jax.vjp(functools.partial(jnp.einsum, spec), *operands(spec))
    for chosen in ("cpu", "default"):
        pick = lambda *args, chosen=chosen, **ways: ways[chosen](*args)
        monkeypatch.setattr(jax.lax, "platform_dependent", pick)
        product = functools.partial(products._product, spec, einsum, False)
        out, back = jax.vjp(product, *operands(spec))
        np.testing.assert_allclose(out, wanted[0], rtol=1e-12)
        for ours, theirs in zip(back(out), wanted[1](out), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-12)


def test_half_precision_is_added_in_single():
    left, right = operands("kc,cm->km", jnp.bfloat16)
    out = products.summed("kc,cm->km", left, right)
    exact = np.asarray(left, np.float64) @ np.asarray(right, np.float64)
    assert out.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.asarray(out, np.float64), exact, rtol=2**-8)


def lowered(shape, platform, **options):
    product = products.small_products(ModelConfig(), **options)
    f = lambda a, b: product("kc,cm->km", a, b)
    struct = jax.ShapeDtypeStruct(shape, jnp.float32)
    return jax.jit(f).trace(struct, struct).lower(lowering_platforms=(platform,))


@pytest.mark.parametrize("platform", ["cuda", "rocm", "tpu"])
def test_only_small_products_off_the_cpu_are_sums(platform):
    small, large = (8, 8), (64, 64)
    assert "dot_general" not in lowered(small, platform).as_text()
    assert "dot_general" in lowered(large, platform).as_text()
    assert "dot_general" in lowered(small, "cpu").as_text()


def test_sums_can_be_kept_to_tpus():
    text = lambda platform: lowered((8, 8), platform, tpu_only=True).as_text()
    assert "dot_general" not in text("tpu")
    assert "dot_general" in text("cuda")
    assert "dot_general" in text("cpu")


RUN = TrainConfig(
    model=ModelConfig(
        num_components=2,
        num_blocks=3,
        mlp_width=4,
        layout=Channels(vectors=2, scalars=8, gradient_limit=1.0),
    ),
    shapes=((4, 8),),
    batch_size=4,
)


def gradient(config):
    """Of one step, in double precision where it is on, as one vector."""
    state = init_state(config)
    double = jax.tree.map(lambda leaf: leaf.astype(float), state.params)
    state = state._replace(params=double)
    grads, _ = jax.jit(functools.partial(step.gradients, config))(state, random_key(1))
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(grads)])


@pytest.mark.usefixtures("x64")
def test_the_gradient_of_a_step_is_the_same_as_sums_and_unrolled(monkeypatch):
    reference = gradient(RUN)
    assert np.linalg.norm(reference) > 1e-3
    near = functools.partial(np.testing.assert_allclose, rtol=1e-7, atol=1e-9)
    near(gradient(RUN.replace(unroll=3)), reference)
    pick = lambda *args, **ways: ways["default"](*args)
    monkeypatch.setattr(products.jax.lax, "platform_dependent", pick)
    near(gradient(RUN.replace(unroll=2)), reference)
