"""How accurate a network is after every block, beside orthogonal iteration."""

from functools import partial
from typing import NamedTuple, cast

import jax
import numpy as np

from spectral_tf.apps.report.figures import Curve
from spectral_tf.config import ModelConfig
from spectral_tf.model.describe import total_flops
from spectral_tf.model.network import Network
from spectral_tf.model.transformer import (
    Intermediates,
    SpectralTransformer,
    default_start,
)
from spectral_tf.sampling.instance import Instance
from spectral_tf.spectra import abs_cosine, covariance, orthogonal_iteration_trace

CAPTURED_FLOPS = 2e11
"""Largest work for a dense network whose every block is looked at: sets are cut to it
for the curves over depth (but to no fewer than 2 instances)."""


class Contestant(NamedTuple):
    """A network by name, and how often it multiplies by S.

    `multiply` is the block that does so, where only one in the schedule does.
    """

    name: str
    network: Network[ModelConfig]
    products: int
    multiply: int | None = None


def _first(batch: Instance, count: int) -> Instance:
    return jax.tree.map(lambda leaf: leaf[:count], batch)


def depth_curves(contestant: Contestant, batch: Instance) -> tuple[Curve, Curve]:
    """Mean |cos| per rank after every block, and after every step of the classic.

    Args:
        contestant: whose blocks are watched.
        batch: at most 32 instances are used, fewer (at least 2) where they are wide.

    Returns:
        `(network, orthogonal iteration)`.
    """
    network, products, multiply = contestant[1:]
    config, (_, num_samples, dim) = network.config, batch.x.shape
    work = total_flops(config, num_samples=num_samples, dim=dim)
    batch = _first(batch, min(32, max(2, int(CAPTURED_FLOPS / work))))
    ours, classic = _traced(network, batch, products)
    order, each = np.array(config.block_order), products / config.num_blocks
    counts = np.full(len(order), each) if multiply is None else order == multiply
    mean = lambda cosine: np.mean(np.asarray(cosine), axis=0)
    return (
        Curve(np.cumsum(counts), mean(ours)),
        Curve(np.arange(1, products + 1), mean(classic)),
    )


@partial(jax.jit, static_argnums=2)
def _traced(
    network: Network[ModelConfig], batch: Instance, products: int
) -> tuple[jax.Array, jax.Array]:
    """|cos| `[B, blocks, k]` of the network and `[B, products, k]` of the classic."""
    config, module = network.config, SpectralTransformer(network.config)

    def both(instance: Instance) -> tuple[jax.Array, jax.Array]:
        x, mask = instance.x, instance.mask
        _, captured = module.apply({"params": network.params}, x, mask, capture=True)
        inside = cast(Intermediates, captured)
        start = default_start(config, x.shape[1], x.dtype)
        classic = orthogonal_iteration_trace(
            covariance(x, mask), start, num_iters=products
        )
        along = jax.vmap(lambda rows: abs_cosine(rows, instance.eigenvectors))
        return along(inside.eigenvectors), along(classic)

    return jax.lax.map(both, batch, batch_size=8)
