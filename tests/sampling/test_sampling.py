"""Instances: their targets, their families, and what their keys decide."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from spectral_tf.config import ConfigError, EnsembleConfig, Spiked, StudentT
from spectral_tf.sampling import ensembles
from spectral_tf.sampling.ensembles import ENSEMBLES, sample_instance
from spectral_tf.sampling.instance import Instance, make_instance
from spectral_tf.sampling.sampler import batch_at, sample_batch
from tests.sampling.families import of_family

CONFIG = EnsembleConfig(dim=6, num_samples=40, num_components=4)
RAGGED = CONFIG.replace(min_samples=20)
EIGHT = jnp.arange(8)
POPULATION = {
    "power_law": [j**-1.5 for j in range(1, 7)],
    "spiked": [20.0, 10.0, 1.0, 1.0, 1.0, 1.0],
    "flat": [1.0] * 6,
    "linear": [j / 6 for j in range(6, 0, -1)],
    "low_rank": [1.0, 0.5, 0.0, 0.0, 0.0, 0.0],
}


def close(actual, expected, atol: float) -> None:
    np.testing.assert_allclose(actual, expected, atol=atol, rtol=0)


def assert_same(actual: Instance, expected: Instance) -> None:
    """Equal to the rounding of products and of eigh in batches of another size."""
    close(actual.x, expected.x, 1e-5)
    np.testing.assert_array_equal(actual.mask, expected.mask)
    scale = float(np.max(expected.eigenvalues))
    close(actual.eigenvalues, expected.eigenvalues, 1e-5 * scale)
    close(actual.eigenvectors, expected.eigenvectors, 1e-3)


def row(batch: Instance, index: int) -> Instance:
    return Instance(*(field[index] for field in batch))


@pytest.fixture(scope="module")
def many() -> Instance:
    """500 ragged instances, each with one direction that dwarfs the others."""
    config = RAGGED.replace(family=Spiked(rank=1, spike=1e4), num_components=1)
    return sample_batch(jax.random.key(1), config, 500)


ROWS = ["authors", "student_t", "correlated", "whitened", "scaled"]


@pytest.mark.parametrize("spectrum", [*ROWS, *POPULATION])
def test_targets_are_eigenpairs_of_the_sample_covariance(key, spectrum):
    is_ragged = spectrum in ROWS
    config = of_family(spectrum, RAGGED if is_ragged else CONFIG)
    for index in range(3):
        instance = sample_instance(jax.random.fold_in(key, index), config)
        x, mask, values, vectors = map(np.asarray, instance)
        assert x.shape == (40, 6)
        assert mask.all() or is_ragged
        matrix = np.cov(x[mask].astype(np.float64), rowvar=False, bias=True)
        scale = values[0]
        close(vectors @ matrix / scale, values[:, None] * vectors / scale, 1e-5)
        close(values / scale, np.linalg.eigvalsh(matrix)[::-1][:4] / scale, 1e-5)
        close(vectors @ vectors.T, np.eye(4), 1e-5)
        largest = np.abs(vectors).argmax(axis=1)
        assert (vectors[np.arange(4), largest] > 0).all()


@pytest.mark.parametrize("spectrum", POPULATION)
def test_population_spectrum_is_recovered_from_many_rows(key, spectrum):
    wanted = {"exponent": 1.5, "rank": 2, "spike": 10.0}
    names = set(EnsembleConfig.from_flat(spectrum=spectrum).family.to_dict())
    options = {name: value for name, value in wanted.items() if name in names}
    config = of_family(spectrum, CONFIG.replace(num_samples=20_000), **options)
    x = np.asarray(ENSEMBLES[spectrum](key, config), np.float64)
    values = np.linalg.eigvalsh(np.cov(x, rowvar=False, bias=True))[::-1]
    # A sample eigenvalue has relative standard deviation sqrt(2 / N) = 1 %, and
    # equal ones spread to 1 +- 2 sqrt(d / N) = 3.5 % (Marchenko-Pastur): allow 6 %.
    np.testing.assert_allclose(values, POPULATION[spectrum], rtol=0.06, atol=1e-5)


def test_orientation_of_a_prescribed_family_is_uniform(many):
    first = np.asarray(many.eigenvectors[:, 0])
    # Each v_i v_j has a standard deviation of at most 0.19 around I / d, the mean
    # of 500 of 0.0085: allow five.
    close(first.T @ first / 500, np.eye(6) / 6, 0.043)


def test_authors_follow_their_formula(key):
    key_factor, key_rows = jax.random.split(key)
    factor = np.asarray(jax.random.normal(key_factor, (6, 6)), np.float64)
    rows = np.asarray(jax.random.normal(key_rows, (40, 6)), np.float64)
    expected = rows @ (factor + 0.1 * np.eye(6)).T
    close(ensembles.authors(key, CONFIG), expected, 1e-5)
    # An instance spends one half of its key on the rows.
    row_key = jax.random.split(key)[0]
    close(sample_instance(key, CONFIG).x, ensembles.authors(row_key, CONFIG), 1e-5)


def test_student_t_scales_each_authors_row_by_a_chi_square(key):
    nu, count = 5.0, 20_000
    config = CONFIG.replace(num_samples=count, family=StudentT(degrees_of_freedom=nu))
    heavy = ensembles.student_t(key, config)
    light = ensembles.authors(jax.random.split(key)[0], config)
    ratio = np.asarray(heavy / light, np.float64)
    np.testing.assert_allclose(ratio, ratio[:, :1].repeat(6, 1), rtol=1e-4)
    chi2 = nu / ratio[:, 0] ** 2
    # Mean nu and variance 2 nu, with the standard errors sqrt(2 nu / N) = 0.022
    # and, for the variance, about sqrt((2 + 12 / nu) / N) 2 nu = 0.15: allow five.
    close(chi2.mean(), nu, 0.11)
    close(chi2.var(), 2 * nu, 0.75)
    assert tail(heavy) > 10 * tail(light)


def tail(x) -> float:
    """Share of rows longer than four medians, plus one in 20,000."""
    lengths = np.linalg.norm(x, axis=1)
    return (1 + (lengths > 4 * np.median(lengths)).sum()) / 20_000


def test_number_of_valid_rows_is_drawn_between_its_bounds(many):
    x, mask = np.asarray(many.x), np.asarray(many.mask)
    counts = mask.sum(axis=1)
    # Each of 21 counts is missed by 500 draws with probability 3e-11.
    assert set(counts) == set(range(20, 41))
    np.testing.assert_array_equal(mask, np.arange(40) < counts[:, None])
    assert (x[~mask] == 0).all()
    assert (x[mask] != 0).any(axis=1).all()


def test_make_instance_zeroes_masked_rows_and_reads_none_of_them(key):
    x = jax.random.normal(key, (9, 3))
    mask = jnp.arange(9) < 7
    masked = make_instance(x.at[7:].set(jnp.nan), mask, 3)
    whole = make_instance(x[:7], None, 3)
    close(masked.x[7:], np.zeros((2, 3)), 0)
    close(masked.eigenvalues, whole.eigenvalues, 1e-6)
    close(masked.eigenvectors, whole.eigenvectors, 1e-5)
    with pytest.raises(ValueError, match=r"num_components=4 must lie in 1\.\.3"):
        make_instance(x, None, 4)


def test_one_instance_equals_its_row_of_the_lifted_batch(key):
    batch = batch_at(key, 2, EIGHT, RAGGED)
    one_key = jax.random.fold_in(jax.random.fold_in(key, 2), 5)
    assert_same(sample_instance(one_key, RAGGED), row(batch, 5))


def test_the_index_alone_decides_an_instance(key):
    batch = batch_at(key, 2, EIGHT, RAGGED)
    alone = batch_at(key, 2, jnp.array([5]), RAGGED)
    assert_same(row(alone, 0), row(batch, 5))
    others = batch_at(key, 2, jnp.array([70, 71, 72, 73, 74, 5, 76, 77]), RAGGED)
    assert_same(row(others, 5), row(batch, 5))
    distinct = {np.asarray(x).tobytes() for x in (*batch.x, *others.x)}
    assert len(distinct) == 15


def test_another_step_or_key_gives_other_instances(key):
    batch = batch_at(key, 0, EIGHT, RAGGED)
    for other in (
        batch_at(key, 1, EIGHT, RAGGED),
        batch_at(jax.random.key(1), 0, EIGHT, RAGGED),
    ):
        for one, two in zip(batch.x, other.x, strict=True):
            assert not np.isclose(one[:20], two[:20]).all()


def test_the_key_is_not_consumed(key):
    before = np.asarray(jax.random.key_data(key))
    batches = [sample_batch(key, RAGGED, 8) for _ in range(2)]
    batches.append(batch_at(key, 0, EIGHT, RAGGED))
    for again in batches[1:]:
        jax.tree.map(np.testing.assert_array_equal, batches[0], again)
    assert not key.is_deleted()
    np.testing.assert_array_equal(jax.random.key_data(key), before)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_data_do_not_depend_on_the_number_of_devices(key, count):
    devices = jax.devices("cpu")[:count]
    assert len(devices) == count
    mesh = Mesh(np.array(devices), ("batch",))
    split, whole = PartitionSpec("batch"), PartitionSpec()

    def local(key: jax.Array, indices: jax.Array) -> Instance:
        return batch_at(key, 7, indices, RAGGED)

    # As the mapped training step samples: every device its own indices.
    mapped = jax.shard_map(
        local, mesh=mesh, in_specs=(whole, split), out_specs=split, check_vma=False
    )
    sharded = jax.jit(mapped)(key, jax.device_put(EIGHT, NamedSharding(mesh, split)))
    assert len(sharded.x.sharding.device_set) == count
    assert_same(sharded, batch_at(key, 7, EIGHT, RAGGED))


def test_the_second_call_does_not_recompile(key):
    compiled = vars(batch_at)["__wrapped__"]  # without the door for raw keys
    batch_at(key, 0, EIGHT, RAGGED)
    size = compiled._cache_size()
    batch_at(jax.random.fold_in(key, 9), 41, EIGHT + 5, RAGGED.replace())
    assert compiled._cache_size() == size >= 1


@pytest.mark.parametrize("size", [0, -2])
def test_an_empty_batch_is_refused(key, size):
    with pytest.raises(ConfigError, match=rf"batch_size={size} must be >= 1; ask for"):
        sample_batch(key, CONFIG, size)
