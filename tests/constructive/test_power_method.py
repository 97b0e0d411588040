"""What constructed networks answer: against two oracles, any scale, bad arguments."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from spectral_tf.config import ConfigError, DataError, EnsembleConfig
from spectral_tf.constructive.fuse import fuse
from spectral_tf.constructive.power_method import VARIANTS, power_method_params
from spectral_tf.evaluation import (
    evaluate,
    orthogonal_iteration_predict,
)
from spectral_tf.model.inputs import check_rows
from spectral_tf.model.network import Network
from spectral_tf.model.params import check_params, flatten_params
from spectral_tf.model.transformer import default_start, predict
from spectral_tf.sampling.sampler import sample_batch
from spectral_tf.spectra import (
    abs_cosine,
    covariance,
    largest_principal_angle,
    orthogonal_iteration,
    top_eigenpairs,
)
from tests.problems import spectrum_table, table


def test_the_weights_are_ordinary_parameters():
    for variant in VARIANTS:
        config, params = power_method_params(6, 2, 3, variant)
        check_params(config, params)
        leaves = flatten_params(params).values()
        assert all(np.all(np.isfinite(leaf)) for leaf in leaves)


ENOUGH = {"columns": 400, "squaring": 12, "krylov": 3}


@functools.cache
def compiled(variant):
    """Fused, which equals dense by `test_fuse`: 200 iterations cost nothing."""
    return jax.jit(fuse(power_method_params(8, 2, ENOUGH.get(variant, 200), variant)))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("scale", [1e-15, 1.0, 1e15])
def test_top_pairs_against_two_oracles(variant, scale):
    x = scale * table(60, 8, seed=3) + 5 * scale
    estimate = compiled(variant)(x)
    unscaled = np.asarray(x, np.float64) / scale
    matrix = np.cov(unscaled.T, bias=True)
    values, vectors = top_eigenpairs(jnp.asarray(matrix, jnp.float32), 2)
    np.testing.assert_allclose(estimate.eigenvalues / scale**2, values, rtol=1e-4)
    np.testing.assert_allclose(estimate.eigenvectors, vectors, atol=1e-3)
    other = optax.power_iteration(
        jnp.asarray(matrix, jnp.float32), num_iters=500, error_tolerance=1e-9
    )[1]
    assert isinstance(other, jax.Array)
    assert float(abs_cosine(estimate.eigenvectors[0], other)) > 1 - 1e-5


@pytest.mark.parametrize("variant", VARIANTS)
def test_data_without_variance(variant):
    config, params = power_method_params(4, 2, 6, variant)
    estimate = predict(config, params, jnp.full((6, 4), 3.0))
    np.testing.assert_array_equal(estimate.eigenvalues, 0.0)
    assert bool(jnp.all(jnp.isfinite(estimate.eigenvectors)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2, 3, 5), r"num_components=3 must lie in 1\.\.dim=2"),
        ((2, 0, 5), r"num_components=0 must lie in 1\.\.dim=2"),
        ((4, 2, 0), "num_iters=0 must be >= 1"),
        ((4, 2, 5, "columsn"), "unknown variant 'columsn'; choose one of register"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ConfigError, match=message):
        power_method_params(*arguments)
    with pytest.raises(ValueError, match=r"accuracy=1\.5 must lie in"):
        power_method_params(4, 2, 5, accuracy=1.5)
    with pytest.raises(
        ValueError, match=r"smallest=0\.3 cannot hold.*\[1e-15, 0\.125\]"
    ):
        power_method_params(4, 2, 5, smallest=0.3)
    with pytest.raises(ValueError, match=r"accuracy=0\.01 cannot hold.*2 accuracy < "):
        power_method_params(4, 2, 5, accuracy=0.01)
    with pytest.raises(
        ValueError, match=r"accuracy=0\.1 cannot hold.*3 accuracy\^2 < "
    ):
        power_method_params(4, 2, 5, "columns", accuracy=0.1)
    with pytest.raises(ValueError, match=r"num_iters=2 is the total.*>= num_comp"):
        power_method_params(4, 3, 2, "columns")
    with pytest.raises(ValueError, match=r"num_iters=60 .* squarings.*<= 40"):
        power_method_params(4, 3, 60, "squaring")


@pytest.mark.parametrize(
    "variant", ["register", pytest.param("rms", marks=pytest.mark.long)]
)
def test_a_thousand_instances_equal_orthogonal_iteration(variant):
    """Within 1e-4 of the same tau from the same start."""
    config, params = power_method_params(10, 3, 60, variant)
    ensemble = EnsembleConfig(dim=10, num_samples=100)
    batch = sample_batch(jax.random.key(1), ensemble, 1000)
    ours = evaluate(fuse(Network(config, params)), batch)
    classic = evaluate(orthogonal_iteration_predict(config, 60), batch)
    for one, other in zip(ours.cosine, classic.cosine, strict=True):
        assert one.mean == pytest.approx(other.mean, abs=1e-4)
        assert one.mean > 0.99


@pytest.mark.parametrize("num_iters", [1, 2, 5])
def test_few_iterations_equal_orthogonal_iteration_too(num_iters):
    """The rounds at the end make parallel deflation Gram-Schmidt, converged or not."""
    x = table(60, 10, seed=3)
    start = default_start(power_method_params(10, 4, 1).config, 10, x.dtype)
    want = orthogonal_iteration(covariance(x), start, num_iters=num_iters)
    for variant in ("register", "rms"):
        estimate = power_method_params(10, 4, num_iters, variant)(x)
        np.testing.assert_allclose(estimate.eigenvalues, want[0], rtol=1e-4)
        np.testing.assert_allclose(estimate.eigenvectors, want[1], atol=1e-4)


def test_squaring_is_that_many_power_steps():
    x = table(60, 10, seed=3)
    start = default_start(power_method_params(10, 1, 1).config, 10, x.dtype)
    want = orthogonal_iteration(covariance(x), start, num_iters=2**4 + 1)
    estimate = power_method_params(10, 1, 4, "squaring")(x)
    np.testing.assert_allclose(estimate.eigenvectors, want[1], atol=1e-5)
    columns = power_method_params(10, 1, 17, "columns")(x)
    np.testing.assert_allclose(columns.eigenvectors, want[1], atol=1e-5)


def test_acceleration_needs_fewer_iterations_for_small_gaps():
    x = spectrum_table(np.concatenate([[1.05, 1.02], np.geomspace(0.97, 0.1, 18)]), 80)
    vectors = top_eigenpairs(covariance(x), 2)[1]
    angle = {
        variant: float(
            largest_principal_angle(
                power_method_params(20, 2, 100, variant)(x).eigenvectors,
                vectors,
            )
        )
        for variant in ("register", "accelerated")
    }
    assert angle["accelerated"] < 0.1 * angle["register"]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_rows_that_are_not_finite_are_refused_before_anything_runs(bad):
    config, params = power_method_params(3, 1, 4)
    x = jnp.ones((5, 3)).at[2, 1].set(bad)
    with pytest.raises(DataError, match=rf"x\[2, 1\] is {bad}; 1 entry of .*[Dd]rop"):
        predict(config, params, x)
    predict(config, params, x, jnp.arange(5) != 2)
    with pytest.raises(DataError, match=r"\(0, 3\); expected \[N, d\] with N >= 1"):
        predict(config, params, jnp.ones((0, 3)))
    with pytest.raises(DataError, match="no valid row"):
        predict(config, params, x, jnp.zeros(5, bool))
    with pytest.raises(DataError, match=r"\(2, 5, 3\).*vmap"):
        check_rows(jnp.ones((2, 5, 3)))
