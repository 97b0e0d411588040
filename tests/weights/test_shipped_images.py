"""What the read-out of a Krylov network takes for images are images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spectral_tf.config import ConfigError
from spectral_tf.constructive import POLAR, krylov
from spectral_tf.model.network import Network
from spectral_tf.model.params import flatten_params, unflatten_params, unroll
from spectral_tf.training import with_exact_images
from spectral_tf.weights import load_pretrained
from tests.problems import forward, table


def off_the_image(network):
    """Largest entry of c - S q over all that a network keeps, in double precision."""
    with jax.enable_x64(True):
        config, params = network
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), params)
        x = jnp.asarray(table(60, 40, seed=4), jnp.float64)
        _, steps = forward(config, params, x)
        rows = np.asarray(x) - np.asarray(x).mean(axis=0)
        matrix = rows.T @ rows
        matrix /= np.linalg.norm(matrix)
        last, half = np.asarray(steps.state[0][-1]), config.channels.raw
    basis, images = last[:, 1:half], last[:, half + 1 :]
    assert np.abs(basis).max() > 0.1
    return np.abs(images - basis @ matrix).max()


@pytest.mark.parametrize("name", ["pca-base", "pca-small"])
def test_images_of_the_shipped_networks_are_exact(name):
    assert off_the_image(load_pretrained(name)) < 1e-12


def moved(network):
    """Every weight that is not 0 a little off, as training leaves it."""
    rng = np.random.default_rng(0)
    flat = {
        path: leaf * (1 + 1e-3 * rng.standard_normal(leaf.shape))
        for path, leaf in flatten_params(network.params).items()
    }
    return Network(network.config, unflatten_params(flat))


def test_what_training_moves_is_made_exact_and_nothing_else():
    start = unroll(krylov(2, 3, block=4, polar=POLAR, terminator=True))
    trained = moved(start)
    assert off_the_image(trained) > 1e-5
    exact = with_exact_images(trained)
    assert off_the_image(exact) < 1e-12
    before, after = flatten_params(trained.params), flatten_params(exact.params)
    changed = [path for path in before if np.any(before[path] != after[path])]
    assert {path.split("/")[-1] for path in changed} == {"query", "out", "skip", "move"}
    deflations = [path for path in changed if "_self/attention" in path]
    assert deflations == []


def test_other_networks_have_no_images():
    with pytest.raises(ConfigError, match=r"readout='rayleigh'.*krylov"):
        with_exact_images(load_pretrained("pca-base-1"))
