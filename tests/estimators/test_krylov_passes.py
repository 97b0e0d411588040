"""The constructed engine runs the recursion of the network that is written down."""

import jax
import jax.numpy as jnp
import numpy as np

from spectral_tf.certificate.sources import Matrix
from spectral_tf.estimators.krylov_passes import DROPPED, PASS, krylov_pass, network_of
from spectral_tf.model.network import Network
from spectral_tf.model.transformer import predict_from_covariance


def test_a_pass_of_the_engine_is_a_forward_pass_of_the_network():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 90)) * np.arange(1, 91) ** -0.5
    x -= x.mean(axis=0)
    covariance = x.T @ x / len(x)
    start = np.linalg.qr(rng.normal(size=(90, 5)))[0].T
    mine = krylov_pass(Matrix(covariance, 0.0, True), start)
    with jax.enable_x64(True):
        config, params = network_of(5)
        assert (config.num_products, config.norm_floor) == (PASS, DROPPED)
        double = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), params)
        # Ritz vectors of the same space, parted as far as squaring parts them.
        network = Network(config.replace(squarings=30), double)
        theirs = predict_from_covariance(
            network.config,
            network.params,
            jnp.asarray(covariance),
            start=jnp.asarray(start),
        )
    cosine = np.abs(np.sum(mine * np.asarray(theirs.eigenvectors), axis=1))
    np.testing.assert_allclose(cosine, 1, atol=1e-9)
