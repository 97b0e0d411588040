"""Mixtures: what each instance is, how often, and that its index alone decides."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from spectral_tf.config import (
    ConfigError,
    EnsembleConfig,
    Flat,
    Gapped,
    MixturePart,
    Spiked,
    Uniform,
    Whitened,
)
from spectral_tf.sampling.ensembles import ENSEMBLES, sample_instance
from spectral_tf.sampling.instance import Instance
from spectral_tf.sampling.mixtures import mixture_weights, sample_mixture
from spectral_tf.sampling.sampler import mixture_batch_at
from tests.sampling.families import of_family

BASE = EnsembleConfig(dim=4, num_samples=12, num_components=2)
PARTS = (
    MixturePart(ensemble=BASE.replace(min_samples=5)),
    MixturePart(ensemble=BASE.replace(family=Gapped()), weight=2.0),
    MixturePart(ensemble=BASE.replace(family=Uniform(), orientation="reflections")),
    MixturePart(ensemble=BASE.replace(family=Whitened(), min_samples=9)),
)
EIGHT = jnp.arange(8)


def spikes(*weights: tuple[float, float | None]) -> tuple[MixturePart, ...]:
    """Parts whose largest eigenvalue is about 1, 1e4, 1e8: it tells the part."""
    config = EnsembleConfig(dim=2, num_samples=12, num_components=1)
    return tuple(
        MixturePart(
            ensemble=config.replace(family=Spiked(rank=1, spike=1e4**index)),
            weight=first,
            final_weight=last,
        )
        for index, (first, last) in enumerate(weights)
    )


def assert_same(actual: Instance, expected: Instance) -> None:
    for one, other, atol in zip(actual, expected, (1e-5, 0, 1e-4, 1e-3), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=atol)


def row(batch: Instance, index: int) -> Instance:
    return Instance(*(field[index] for field in batch))


def instance_key(key: jax.Array, step: int, index: int) -> jax.Array:
    return jax.random.fold_in(jax.random.fold_in(key, step), index)


def test_an_instance_is_that_of_the_family_that_came_up(key):
    @jax.jit
    def alone(keys: jax.Array) -> list[Instance]:
        samples = [lambda one, c=p.ensemble: sample_instance(one, c) for p in PARTS]
        return [jax.vmap(sample)(keys) for sample in samples]

    came_up = set()
    for step in range(4):
        batch = mixture_batch_at(key, step, EIGHT, PARTS, 0.0)
        keys = jnp.stack([instance_key(key, step, index) for index in range(8)])
        candidates = alone(keys)
        same = np.array([is_same_rows(one, batch) for one in candidates])
        # Exactly one family gives each instance.
        np.testing.assert_array_equal(same.sum(axis=0), 1)
        for index, part in enumerate(same.argmax(axis=0).tolist()):
            assert_same(row(batch, index), row(candidates[part], index))
            came_up.add(part)
    assert came_up == {0, 1, 2, 3}


def is_same_rows(one: Instance, other: Instance) -> np.ndarray:
    """For each instance: equal rows and equal masks."""
    rows = np.isclose(one.x, other.x, atol=1e-5).all(axis=(1, 2))
    return rows & (np.asarray(one.mask) == np.asarray(other.mask)).all(axis=1)


def test_a_mixture_of_one_part_is_that_part(key):
    part = PARTS[3]
    alone = jax.jit(lambda key: sample_instance(key, part.ensemble))
    mixture = jax.jit(lambda key: sample_mixture(key, (part,), 0.3))
    assert_same(mixture(key), alone(key))


def test_the_parts_own_number_of_valid_rows_is_kept(key):
    parts = tuple(
        MixturePart(ensemble=BASE.replace(min_samples=least)) for least in (5, None, 9)
    )
    mask = mixture_batch_at(key, 0, jnp.arange(300), parts, 0.0).mask
    counts = np.bincount(np.asarray(mask).sum(axis=1), minlength=13) / 300
    # The first part has 5 to 12 valid rows, the second 12, the last 9 to 12, each of
    # them as often: a share p has a standard deviation below sqrt(p / 300).
    expected = np.zeros(13)
    expected[5:] += 1 / 24
    expected[9:] += 1 / 12
    expected[12] += 1 / 3
    assert (np.abs(counts - expected) <= 5 * (expected / 300) ** 0.5).all()
    assert (counts[5:] > 0).all()


def test_frequencies_follow_the_weights_as_they_move():
    parts, count = spikes((3.0, 0.0), (1.0, None), (0.0, 6.0)), 3000
    for progress in (0.0, 0.5, 1.0, 7.0):
        batch = mixture_batch_at(
            jax.random.key(1), 0, jnp.arange(count), parts, jnp.float32(progress)
        )
        values = np.asarray(batch.eigenvalues[:, 0])
        found = np.bincount(np.digitize(values, [1e2, 1e6]), minlength=3)
        share = min(progress, 1.0)
        weights = (1 - share) * np.array([3.0, 1, 0]) + share * np.array([0.0, 1, 6])
        expected = count * weights / weights.sum()
        close_to = expected > 0
        assert (found[~close_to] == 0).all()
        # Chi-square of at most 2 degrees of freedom: above 20 with p < 5e-5.
        chi2 = (found - expected)[close_to] ** 2 / expected[close_to]
        assert chi2.sum() < 20


def test_weights_are_linear_in_the_progress_and_clipped():
    parts = spikes((1.0, 3.0), (2.0, None))
    for progress, expected in ((0, 1.0), (0.25, 1.5), (1, 3.0), (2, 3.0), (-1, 1.0)):
        weights = mixture_weights(parts, float(progress))
        np.testing.assert_allclose(weights, [expected, 2.0], rtol=1e-6)


def test_the_index_alone_decides_an_instance(key):
    batch = mixture_batch_at(key, 2, EIGHT, PARTS, 0.5)
    order = jnp.array([3, 0, 7, 6, 1, 2, 5, 4])
    shuffled = mixture_batch_at(key, 2, order, PARTS, 0.5)
    for place, index in enumerate(order.tolist()):
        assert_same(row(shuffled, place), row(batch, index))
    others = mixture_batch_at(key, 2, EIGHT + 8, PARTS, 0.5)
    later = mixture_batch_at(key, 3, EIGHT, PARTS, 0.5)
    distinct = {np.asarray(x).tobytes() for x in (*batch.x, *others.x, *later.x)}
    assert len(distinct) == 24


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_data_do_not_depend_on_the_number_of_devices(key, count):
    devices = jax.devices("cpu")[:count]
    mesh = Mesh(np.array(devices), ("batch",))
    split, whole = PartitionSpec("batch"), PartitionSpec()

    def local(key: jax.Array, indices: jax.Array) -> Instance:
        return mixture_batch_at(key, 7, indices, PARTS[:2], 0.5)

    mapped = jax.shard_map(
        local, mesh=mesh, in_specs=(whole, split), out_specs=split, check_vma=False
    )
    sharded = jax.jit(mapped)(key, jax.device_put(EIGHT, NamedSharding(mesh, split)))
    assert len(sharded.x.sharding.device_set) == count
    assert_same(sharded, mixture_batch_at(key, 7, EIGHT, PARTS[:2], 0.5))


def count_of(primitive: str, function: Any, *args: Any) -> int:
    return str(jax.make_jaxpr(jax.vmap(function))(*args)).count(f" = {primitive}[")


def test_all_families_share_one_eigh_and_one_rotation(key):
    keys = jax.random.split(key, 3)
    every = tuple(MixturePart(ensemble=of_family(s, BASE)) for s in ENSEMBLES)
    alone = lambda one: sample_instance(one, BASE.replace(family=Flat()))
    for primitive in ("eigh", "qr"):
        wanted = count_of(primitive, alone, keys)
        found = count_of(primitive, lambda one: sample_mixture(one, every, 0.5), keys)
        assert found == wanted >= 1


def test_progress_does_not_recompile(key):
    compiled = vars(mixture_batch_at)["__wrapped__"]  # without the door for raw keys
    mixture_batch_at(key, 0, EIGHT, PARTS, 0.1)
    size = compiled._cache_size()
    again = tuple(part.replace() for part in PARTS)
    mixture_batch_at(key, 5, EIGHT + 1, again, 0.9)
    assert compiled._cache_size() == size


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((), "parts=()|at least one MixturePart"),
        (
            (PARTS[0], MixturePart(ensemble=BASE.replace(dim=5))),
            "dim=4, 5|the same in all|ensemble.replace(dim=",
        ),
        (
            (PARTS[0], MixturePart(ensemble=BASE.replace(num_samples=20))),
            "num_samples=12, 20|the same",
        ),
        (
            (PARTS[0], MixturePart(ensemble=BASE.replace(num_components=3))),
            "num_components=2, 3|the same",
        ),
        (spikes((0.0, 1.0), (0.0, None)), "MixturePart.weight is 0 in every part"),
        (spikes((1.0, 0.0)), "MixturePart.final_weight is 0 in every part|raise it"),
    ],
)
def test_a_mixture_that_cannot_be_drawn_is_refused(key, parts, expected):
    with pytest.raises(ConfigError) as caught:
        mixture_batch_at(key, 0, EIGHT, parts, 0.5)
    message = str(caught.value)
    assert [part for part in expected.split("|") if part not in message] == [], message
