"""Constructed networks under JAX's transformations, and maps that do not fit."""

import dataclasses
import functools
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import spectral_tf
from spectral_tf.config import ConfigError
from spectral_tf.constructive.assemble import assemble, block_params, model_config
from spectral_tf.constructive.power_method import VARIANTS, power_method_composition
from spectral_tf.model.network import Network
from spectral_tf.model.params import unroll
from tests.problems import table

SIZES = 4, 2, 3
variants: Any = chex.variants  # typed as `object` there
EVERYWHERE = variants(with_jit=True, without_jit=True, with_device=True)


@functools.cache
def network(variant="rms"):
    return spectral_tf.power_method_params(*SIZES, variant)


class TestPublicFunctions(chex.TestCase):
    """With and without jit, on a device: the same answer of every public function."""

    @EVERYWHERE
    def test_fuse(self):
        x = table(12, 4)
        answer = self.variant(spectral_tf.fuse(network()))(x)
        wanted = jax.jit(spectral_tf.predict, static_argnums=0)(*network(), x)
        chex.assert_trees_all_close(answer, wanted, atol=1e-5, rtol=1e-5)

    @EVERYWHERE
    def test_trace(self):
        x, constructed = table(12, 4), network()
        config = constructed.config
        answer = self.variant(spectral_tf.trace)(constructed, x)
        chex.assert_shape(answer.rayleigh, (config.num_blocks, 2))
        chex.assert_shape(answer.angles, (config.num_blocks, 2, 4))
        chex.assert_tree_all_finite(answer)
        wanted = spectral_tf.trace(constructed, x)
        chex.assert_trees_all_close(answer, wanted, atol=1e-4, rtol=1e-4)

    @EVERYWHERE
    def test_mixture_labels(self):
        constructed = spectral_tf.mixture_params(4, 3, "spectral_rms")
        label = self.variant(spectral_tf.mixture_labels)
        labels, scores = label(constructed, table(12, 4))
        chex.assert_shape([labels, scores], (12,))
        np.testing.assert_array_equal(labels, jnp.where(scores < 0, 1, 0))


def test_a_second_table_of_the_same_shape_is_not_compiled_again():
    config, params = network()
    fused = spectral_tf.fuse(Network(config, params))
    fast = jax.jit(chex.assert_max_traces(fused, n=1))
    first, second = fast(table(12, 4)), fast(table(12, 4, seed=1))
    assert not np.allclose(first.eigenvalues, second.eigenvalues)
    chex.clear_trace_counter()
    again = jax.jit(chex.assert_max_traces(fused, n=1))
    again(table(12, 4))
    with pytest.raises(AssertionError, match="traced > 1 times"):
        again(table(13, 4))


def test_parameter_trees_are_those_of_the_composition():
    for name, variant in VARIANTS.items():
        composition = power_method_composition(*SIZES, variant)
        params = assemble(composition, model_config(composition, 4, 2))
        named = network(name).params
        chex.assert_trees_all_equal(params, named)
        chex.assert_trees_all_equal_structs(params, unroll(network(name)).params)
        chex.assert_tree_all_finite(params)


@pytest.mark.parametrize("part", ["query", "key", "value", "out", "up", "down"])
def test_a_map_of_another_width_is_refused(part):
    composition = power_method_composition(*SIZES)
    config = model_config(composition, 4, 2)
    good = composition.gadgets[3]
    if part in ("up", "down"):
        mlp = dataclasses.replace(good.mlp, **{part: getattr(good.mlp, part)[:, :-1]})
        bad = dataclasses.replace(good, mlp=mlp)
    else:
        head = good.heads[0]
        head = dataclasses.replace(head, **{part: getattr(head, part)[:, :-1]})
        bad = dataclasses.replace(good, heads=(head,))
    block_params(config, good)
    with pytest.raises(AssertionError, match="shape"):
        block_params(config, bad)


@pytest.mark.parametrize("variant", ["register", "squaring"])
def test_weights_beyond_float32_are_refused_and_fit_float64(variant):
    sizes = 3, 1, 2, variant
    with pytest.raises(ConfigError, match=r"down_kernel is .* beyond .*float32.*1e-12"):
        spectral_tf.power_method_params(*sizes, smallest=1e-15, accuracy=0.1)
    fits = spectral_tf.power_method_params(*sizes, smallest=1e-12, accuracy=0.1)
    with jax.enable_x64(True):
        large = spectral_tf.power_method_params(*sizes, smallest=1e-15, accuracy=0.1)
        chex.assert_tree_all_finite([fits.params, large.params])
