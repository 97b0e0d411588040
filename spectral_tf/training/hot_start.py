"""What constructed weights need before they can be trained."""

import jax
import jax.numpy as jnp

from spectral_tf.config import ModelConfig, require
from spectral_tf.model.network import Network
from spectral_tf.model.params import (
    flatten_params,
    init_params,
    unflatten_params,
    unroll,
)

NORM_EPS = 1e-16
"""Least `norm_eps` that is trained. The gradient of v / sqrt(|v|^2 + eps) at v = 0 has
eps^-3/2 in it, which overflows float32 below 1e-25. Beside |v|^2 > 2e-9 it is lost to
rounding, so the answers stay the same."""


def trainable(network: Network[ModelConfig]) -> Network[ModelConfig]:
    """The same network, ready for `pretrain(..., init_params=network.params)`.

    Args:
        network: one with a schedule (a construction) is unrolled, so that every block
            can be trained by itself.

    Returns:
        The network with a `norm_eps` of at least `NORM_EPS`.
    """
    config, params = unroll(network) if network.config.schedule else network
    return Network(config.replace(norm_eps=max(config.norm_eps, NORM_EPS)), params)


ADAPTIVE = ("up", "gate", "products", "down")
"""The parameters of a gated MLP that make what it does depend on the instance."""


def with_adaptive_mlp(
    network: Network[ModelConfig], key: jax.Array, *, products: bool = True
) -> Network[ModelConfig]:
    """A construction whose MLPs are free to be trained.

    In a `subspace_iteration` an MLP sees the register's codes alone: `cross` drops the
    scalars that products write before the next MLP reads them.

    A construction mixes vectors by constants and leaves the MLPs' hidden units at 0,
    where a hot start would hold them. They are drawn anew here, as small as in a fresh
    network, and change the answers a little.

    Args:
        network: equivariant, with `mlp` sublayers.
        key: typed PRNG key; consumed.
        products: whether inner products of vectors may become scalars; without them
            what an MLP does depends on the register alone.

    Returns:
        The network with new parameters.

    Raises:
        ConfigError: if there is no MLP.
    """
    config, params = network
    fresh = flatten_params(init_params(config, key))
    flat = flatten_params(params)
    roles = [role for role in ADAPTIVE if products or role != "products"]
    ends = tuple(f"/mlp/{role}" for role in roles)
    chosen = [path for path in flat if path.endswith(ends)]
    require(
        bool(chosen) and not config.is_dense,
        f"block={config.block} of a {config.layout.kind} network has no gated MLP "
        "on channels; give an equivariant one with 'mlp' in block.",
    )
    freed = flat | {path: fresh[path] for path in chosen}
    return Network(config, unflatten_params(freed))


def with_exact_images(network: Network[ModelConfig]) -> Network[ModelConfig]:
    """A trained Krylov network whose images are S q to rounding again.

    The read-out `ritz` takes the raw channels for images of the basis. Training moves
    the gains on their way by a thousandth or so, which no cosine of training shows, but
    the eigenvalues and a second pass in double precision do.

    Args:
        network: equivariant, of read-out `ritz`; made by `krylov` and trained.

    Returns:
        The network with gains of 1 from the product to the read-out; everything else is
        as it was trained.

    Raises:
        ConfigError: for another read-out.
    """
    config, params = network
    require(
        config.layout.readout == "ritz" and not config.is_dense,
        f"readout={config.layout.readout!r} of a {config.layout.kind} network reads no "
        "images; give an equivariant one that `krylov` made.",
    )
    half = config.channels.raw
    older = half + jnp.arange(half - 1)
    flat = flatten_params(params)
    for path in flat:
        leaf = jnp.asarray(flat[path])
        if path.endswith("_cross/attention/query"):
            leaf = leaf.at[:, 0, 0].set(1.0)  # the newest vector is what is multiplied
        elif path.endswith("_cross/attention/out"):
            leaf = leaf.at[:, 0, half].set(1.0)
        elif path.endswith("_cross/skip"):
            leaf = leaf.at[:, half + 1 :].set(1.0)  # at `half` it is written anew
        elif path.endswith("_self/skip"):
            leaf = leaf.at[:, half:].set(1.0)
        elif path.endswith("_mlp/mlp/move"):
            leaf = leaf.at[:, older, older + 1].set(1.0)
        flat[path] = leaf
    return Network(config, unflatten_params(flat))
