"""The parameter tree: refused by name when it does not fit; saved and read back."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spectral_tf.config import ConfigError, ModelConfig
from spectral_tf.model.describe import cost_table
from spectral_tf.model.module import Module
from spectral_tf.model.network import Network
from spectral_tf.model.params import (
    ParamsError,
    block_path,
    check_params,
    count_params,
    flatten_params,
    load_weights,
    parameter_shapes,
    save_weights,
    unflatten_params,
)
from spectral_tf.model.presets import model_preset
from spectral_tf.model.transformer import SpectralTransformer
from tests.problems import random_params

CONFIG = ModelConfig(num_blocks=2)


def changed(**changes):
    """Initial parameters with leaves replaced, or dropped where the value is None."""
    flat = flatten_params(random_params(CONFIG))
    for path, leaf in changes.items():
        if leaf is None:
            del flat[path]
        else:
            flat[path] = leaf
    return unflatten_params(flat)


PATH = block_path(CONFIG, 0, "query", "attention")


def test_paths_follow_the_blocks():
    assert PATH == "blocks/0_cross/attention/query"
    assert block_path(CONFIG, 2, "skip") == "blocks/2_mlp/skip"
    assert PATH in parameter_shapes(CONFIG)


def test_a_fitting_tree_passes():
    check_params(CONFIG, random_params(CONFIG))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({PATH: None}, f"missing {PATH}"),
        ({"blocks/0_cross/attention/qeury": jnp.ones(3)}, "unexpected .*/qeury"),
        ({PATH: jnp.ones((2, 3))}, rf"{PATH} has shape \(2, 3\), expected \(2, 4, 1\)"),
        ({PATH: jnp.ones((2, 4, 1), jnp.int32)}, f"{PATH} has dtype int32"),
    ],
)
def test_a_leaf_that_does_not_fit_is_named(changes, message):
    with pytest.raises(ParamsError, match=message):
        check_params(CONFIG, changed(**changes))


def test_flatten_inverts():
    params = random_params(CONFIG)
    again = unflatten_params(flatten_params(params))
    assert jax.tree.structure(again) == jax.tree.structure(params)


def test_weights_are_read_back(tmp_path):
    params = random_params(CONFIG)
    save_weights(tmp_path / "w", Network(CONFIG, params))
    config, again = load_weights(tmp_path / "w")
    assert config == CONFIG
    jax.tree.map(np.testing.assert_array_equal, again, params)
    with pytest.raises(FileExistsError, match="choose another folder"):
        save_weights(tmp_path / "w", Network(CONFIG, params))
    (tmp_path / "w" / "params.npz").write_bytes(b"not a zip")
    with pytest.raises(ParamsError, match="is not a folder of weights"):
        load_weights(tmp_path / "w")
    with pytest.raises(ParamsError, match=r"expected config\.json"):
        load_weights(tmp_path / "absent")


@pytest.mark.parametrize("preset", ["equivariant", "theory", "paper_gpt2", "register"])
def test_flops_agree_with_the_compiler(preset):
    """XLA counts a scanned body once, so one block; it adds element-wise work."""
    sizes = {"width": 256, "head_dim": 64, "mlp_width": 512}
    if preset == "equivariant":
        sizes = {"mlp_width": 512, "scalar_channels": 128}
    config = model_preset(preset, num_blocks=1, **sizes)
    params, x = random_params(config), jnp.ones((50, 10))
    # The state is returned too, or the compiler drops what the last block need not do.
    run = jax.jit(
        lambda p, x: SpectralTransformer(config).apply({"params": p}, x, capture=True)
    )
    cost = run.lower(params, x).compile().cost_analysis()
    assert cost is not None
    table = cost_table(config, num_samples=50, dim=10)
    assert table[-1].params == count_params(params)
    assert table[-1].flops == pytest.approx(cost["flops"], rel=0.1)


def test_the_cost_table_asks_for_d():
    with pytest.raises(ConfigError, match="say for which one with dim=d"):
        cost_table(CONFIG, num_samples=5)
    with pytest.raises(ConfigError, match="dim=4 contradicts the model's dim=10"):
        cost_table(model_preset("theory"), num_samples=5, dim=4)


def test_a_parameter_that_is_given_is_not_initialised_again():
    """Flax 0.12.8 would: findings/flax_apply_calls_initialisers.sh."""
    calls = []

    def initialiser(key, shape):
        calls.append(shape)
        return jax.random.normal(key, shape)

    class Scale(Module):
        @nn.compact
        def __call__(self, x):
            return x * self.param("gain", initialiser, (3,))

    x = jnp.arange(3.0)
    variables = Scale().init(jax.random.key(0), x)
    assert calls == [(3,)]
    answer = jax.jit(Scale().apply)(variables, x)
    np.testing.assert_array_equal(answer, x * np.asarray(variables["params"]["gain"]))
    Scale().apply(variables, x)
    assert calls == [(3,)]


def test_shapes_that_are_kept_are_those_of_the_precision():
    """They are traced once, for each type of floats."""
    dtypes = lambda: {str(s.dtype) for s in parameter_shapes(ModelConfig()).values()}
    single = dtypes()
    with jax.enable_x64(True):
        double = dtypes()
    assert (single, dtypes()) == ({"float32"}, {"float32"})
    assert double <= {"float32", "float64"}
