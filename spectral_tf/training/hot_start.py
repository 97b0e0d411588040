"""What constructed weights need before they can be trained."""

from typing import Any

from spectral_tf.config import ModelConfig
from spectral_tf.model.params import Params, unroll

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
