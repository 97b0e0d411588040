"""What constructed weights need before they can be trained."""

import jax

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
        bool(chosen) and config.parameterisation == "equivariant",
        f"block={config.block} of a {config.parameterisation} network has no gated MLP "
        "on channels; give an equivariant one with 'mlp' in block.",
    )
    freed = flat | {path: fresh[path] for path in chosen}
    return Network(config, unflatten_params(freed))
