"""Registers that start near the answer, so that a loop learns to stay there."""

import jax.numpy as jnp
import numpy as np
import pytest

from spectral_tf.config import ConfigError, TrainConfig
from spectral_tf.constructive.subspace import subspace_iteration
from spectral_tf.model.presets import model_preset
from spectral_tf.training.batch import Draw, draw, draw_starts, parts_of


def config_with(share, registers=4):
    model, _ = subspace_iteration(3, 2, registers=registers, looped=True)
    return TrainConfig(model=model, shapes=((6, 20),), depths=(2,), warm_starts=share)


def starts_of(config, key, indices):
    part = parts_of(config)[0]
    batch = draw(part, Draw(key, 0, 0.0), indices)
    return batch, draw_starts(config, part, key, indices, batch)


def test_all_are_near_the_answer_at_distances_from_a_ten_thousandth_to_one(key):
    batch, starts = starts_of(config_with(1.0), key, jnp.arange(400))
    assert starts.shape == (400, 4, 6)
    off = np.linalg.norm(starts[:, :3] - batch.eigenvectors, axis=2)
    # A Gaussian vector over sqrt(d) is about 1 long.
    assert 3e-5 < off.min() < 1e-3
    assert 0.3 < off.max() < 3
    assert np.isclose(np.median(np.log10(off)), -2, atol=0.3)


def test_the_share_is_kept_and_the_others_stay_as_they_are(key):
    indices = jnp.arange(400)
    batch, cold = starts_of(config_with(0.0), key, indices)
    _, some = starts_of(config_with(0.25), key, indices)
    changed = np.any(np.asarray(cold != some), axis=(1, 2))
    assert np.isclose(changed.mean(), 0.25, atol=0.07)
    off = np.linalg.norm(some[:, :3] - batch.eigenvectors, axis=2).max(axis=1)
    assert np.all(off[changed] < 3.5)
    # Registers beyond k have no eigenvector to be near.
    np.testing.assert_array_equal(some[:, 3], cold[:, 3])


def test_an_instance_has_its_start_whatever_share_of_the_batch_a_device_draws(key):
    config = config_with(0.5)
    _, whole = starts_of(config, key, jnp.arange(8))
    _, half = starts_of(config, key, jnp.arange(4, 8))
    np.testing.assert_array_equal(whole[4:], half)


def test_what_cannot_be_is_refused():
    with pytest.raises(ConfigError, match=r"warm_starts=1\.5 must lie in"):
        config_with(1.5)
    with pytest.raises(ConfigError, match="needs an equivariant model"):
        TrainConfig(model=model_preset("register"), warm_starts=0.5)
