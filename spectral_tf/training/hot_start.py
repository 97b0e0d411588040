"""What constructed weights need before they can be trained."""

from typing import Any

import jax

from spectral_tf.config import ModelConfig, require
from spectral_tf.model.params import (
    Params,
    flatten_params,
    init_params,
    unflatten_params,
    unroll,
)

NORM_EPS = 1e-16
"""Least `norm_eps` that is trained. The gradient of v / sqrt(|v|^2 + eps) at v = 0 has
eps^-3/2 in it, which overflows float32 below 1e-25. Beside |v|^2 > 2e-9 it is lost to
rounding, so the answers stay the same."""


def trainable(
    config: ModelConfig, params: Params
) -> tuple[ModelConfig, dict[str, Any]]:
    """The same network, ready for `pretrain(..., init_params=params)`.

    Args:
        config: of the network; one with a schedule (a construction) is unrolled, so
            that every block can be trained by itself.
        params: its parameters.

    Returns:
        `(config, params)` with a `norm_eps` of at least `NORM_EPS`.

    Source: ours.
    """
    if config.schedule is not None:
        config, params = unroll(config, params)
    config = config.replace(norm_eps=max(config.norm_eps, NORM_EPS))
    return config, dict(params)


ADAPTIVE = ("up", "gate", "products", "down")
"""The parameters of a gated MLP that make what it does depend on the instance."""


def with_adaptive_mlp(
    config: ModelConfig, params: Params, key: jax.Array, *, products: bool = True
) -> dict[str, Any]:
    """Constructed weights whose MLPs are free to be trained.

    In a `subspace_iteration` an MLP sees the register's codes alone: `cross` drops the
    scalars that products write before the next MLP reads them.

    A construction mixes vectors by constants and leaves the MLPs' hidden units at 0,
    where a hot start would hold them. They are drawn anew here, as small as in a fresh
    network, and change the answers a little.

    Args:
        config: an equivariant model with `mlp` sublayers.
        params: its parameters.
        key: typed PRNG key; consumed.
        products: whether inner products of vectors may become scalars; without them
            what an MLP does depends on the register alone.

    Returns:
        New parameters.

    Raises:
        ConfigError: if there is no MLP.

    Source: ours.
    """
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
    return unflatten_params(flat | {path: fresh[path] for path in chosen})
