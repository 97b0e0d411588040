r"""What linear attention over the rows can see of them: their second moment.

A head with linear scores sends to a register with query q

.. math:: \sum_i x_i \langle x_i, q\rangle = \Bigl(\sum_i x_i x_i^\top\Bigr) q .

In an equivariant network nothing else reads the data, and no block changes it. So with
`cross_attention="linear"` the answer depends on the rows only through that d x d
matrix: a table of any length can be summed up in one pass, in parts, and read as often
as the network likes at O(d^2) a time. Exact, for trained and constructed weights alike.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from spectral_tf.config import ModelConfig, require


class Moment(NamedTuple):
    """A table as its second moment: `matrix [d, d]`, S / tr S, the factor of lambda."""

    matrix: Array
    unscale: Array

    @property
    def dim(self) -> int:
        """d, the number of features."""
        return self.matrix.shape[1]


def scaled_moment(config: ModelConfig, covariance: Float[Array, "d d"]) -> Moment:
    """The second moment of the rows that the network would have been given.

    Args:
        config: an equivariant model with linear cross attention and `unit_trace`.
        covariance: `[d, d]` symmetric positive semi-definite, any scale.

    Returns:
        The moment; that of a zero matrix is zero.

    Raises:
        ConfigError: if such a network reads more of the rows than their moment.
    """
    check_reads_moment_only(config)
    # Divided by the largest entry first: then no trace and no square overflows.
    peak = jnp.max(jnp.abs(covariance))
    peak = jnp.where(peak > 0, peak, 1.0)
    scaled = covariance / peak
    total = jnp.trace(scaled)
    total = jnp.where(total > 0, total, 1.0)
    matrix, unscale = scaled / total, peak * total  # S / tr S
    if config.inputs.unit_frobenius:
        size = jnp.sqrt(jnp.sum(matrix**2))
        size = jnp.where(size > 0, size, 1.0)
        matrix, unscale = matrix / size, unscale * size  # S / |S|_F
    return Moment(matrix, unscale)


def reads_moment_only(config: ModelConfig) -> bool:
    """True if the network sees nothing of the rows but their second moment."""
    is_linear = config.cross_attention == "linear"
    return not config.is_dense and is_linear and config.inputs.unit_trace


def check_reads_moment_only(config: ModelConfig) -> None:
    """Refuse a network that reads more of the rows than their second moment.

    Args:
        config: the model.

    Raises:
        ConfigError: for a dense one, cross attention that is not linear, or rows that
            are not scaled to unit trace.
    """
    is_linear = config.cross_attention == "linear"
    reasons = {
        f"ModelConfig.layout={type(config.layout).__name__}(...)": not config.is_dense,
        f"ModelConfig.cross_attention={config.cross_attention!r}": is_linear,
        f"InputScaling.unit_trace={config.inputs.unit_trace}": config.inputs.unit_trace,
    }
    for field, is_right in reasons.items():
        require(
            is_right,
            f"{field}: this network reads more of the rows than their "
            "covariance. Give it the rows, or use an equivariant network with linear "
            "cross attention and unit_trace=True.",
        )
