r"""What a network's vectors are after every block: quotients, angles and lengths.

*Angles*. In the eigenbasis of the covariance a vector has the coordinates
:math:`c_i = \langle v_i, u\rangle`, and its angle to :math:`v_i` satisfies

.. math:: \tan\theta_i = \sqrt{\textstyle\sum_{j\ne i} c_j^2}\, /\, |c_i| .

The sum has positive terms only, so a small angle keeps its digits; an arccos of
:math:`|c_i|` would lose every angle below the root of the rounding unit.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from spectral_tf.config import ModelConfig
from spectral_tf.model.inputs import check_rows, scaled_rows
from spectral_tf.model.network import Network
from spectral_tf.model.ritz import basis_of, ritz
from spectral_tf.model.transformer import SpectralTransformer
from spectral_tf.settings import standard_settings
from spectral_tf.spectra import covariance, einsum, rayleigh_quotients, top_eigenpairs


class Trace(NamedTuple):
    """The vectors that the read-out would answer after each of the L blocks.

    Attributes:
        rayleigh: `[L, k]` Rayleigh quotients with the covariance, in units of x
            squared; 0 for a zero vector.
        angles: `[L, k, d]` radians in [0, pi/2] from vector j to eigenvector i, signs
            ignored; pi/2 for a zero vector.
        length_error: `[L, k]` | |u| - 1 |; 0 to rounding where the read-out makes unit
            vectors, in constructed networks the error of the normaliser.
    """

    rayleigh: Array
    angles: Array
    length_error: Array


class KrylovTrace(NamedTuple):
    """`Trace` of a network whose registers keep their past, and what they kept.

    Attributes:
        rayleigh: as in `Trace`.
        angles: as in `Trace`.
        length_error: as in `Trace`.
        basis: `[P, b, d]` the blocks of the Krylov basis, one for each product: unit
            rows, or 0 where the space was exhausted.
        ritz: `[P, k]` Ritz values of the first p blocks, in units of x squared; those
            that their products allow.
    """

    rayleigh: Array
    angles: Array
    length_error: Array
    basis: Array
    ritz: Array


@standard_settings()
def trace(
    network: Network[ModelConfig],
    x: Float[Array, "N d"],
    mask: Bool[Array, " N"] | None = None,
) -> Trace | KrylovTrace:
    """Follow the vectors of any network, constructed or trained, through its blocks.

    Args:
        network: constructed or trained.
        x: `[N, d]` rows; any finite scale.
        mask: `[N]` True for valid rows; None means all.

    Returns:
        `Trace`; eigenvectors are ordered by descending eigenvalue, all d of them. Of
        networks with read-out `ritz` a `KrylovTrace`.

    Raises:
        ConfigError: if x has another d, or N, than the weights are made for.
        DataError: if x has no (valid) row, or NaN or infinity in one.

    Numerics:
        Angles are right to a few rounding units of the dtype, however small. Where
        eigenvalues are equal, the angle to one of their eigenvectors means nothing.

    Example:
        >>> import jax, spectral_tf
        >>> network = spectral_tf.power_method_params(5, 2, 30)
        >>> x = jax.random.normal(jax.random.key(0), (40, 5))
        >>> spectral_tf.trace(network, x).angles.shape  # blocks, k, d
        (150, 2, 5)

    Source: Golub & Van Loan (2013), section 8.2, for the quotients.
    """
    check_rows(x, mask)
    return _trace(network.config, network.params, x, mask)


@functools.partial(jax.jit, static_argnums=0)
def _trace(
    config: ModelConfig, params: Any, x: Array, mask: Array | None
) -> Trace | KrylovTrace:
    model = SpectralTransformer(config)
    inside: Any = model.apply({"params": params}, x, mask, capture=True)[1]
    # Rows of unit trace, so that the squares of any finite x stay in range.
    rows = scaled_rows(ModelConfig(attention_scale="mean"), x, mask)
    matrix = covariance(rows.x, rows.mask)
    shape = inside.eigenvectors.shape
    vectors = inside.eigenvectors.reshape(-1, shape[-1])
    peak = jnp.max(jnp.abs(vectors), axis=-1, keepdims=True)
    scaled = vectors / jnp.where(peak > 0, peak, 1.0)
    length = peak[:, 0] * jnp.linalg.norm(scaled, axis=-1)
    plain = Trace(
        rayleigh=rayleigh_quotients(matrix, scaled).reshape(shape[:2]) * rows.unscale,
        angles=_angles(matrix, scaled).reshape(shape),
        length_error=jnp.abs(length - 1.0).reshape(shape[:2]),
    )
    if config.layout.readout != "ritz":
        return plain
    last = jax.tree.map(lambda leaf: leaf[-1], inside.state)
    unscale = scaled_rows(config, x, mask).unscale
    return KrylovTrace(*plain, *_krylov(config, basis_of(config, last), unscale))


def _krylov(
    config: ModelConfig, vectors: Float[Array, "R C d"], unscale: Float[Array, ""]
) -> tuple[Float[Array, "P R d"], Float[Array, "P k"]]:
    """The blocks that have an image, oldest first, and Ritz values of the first p."""
    half = vectors.shape[1] // 2
    # Channel i of either half holds block half - i; channel 0 has no image.
    block = half - jnp.arange(vectors.shape[1]) % half
    config = config.replace(terminator=False)

    def values(products: Array) -> Array:
        is_there = (block <= products)[None, :, None]
        first = jnp.where(is_there, vectors, 0.0)
        return ritz(config, first, jnp.zeros(2), unscale).eigenvalues

    basis = jnp.swapaxes(vectors[:, 1:half], 0, 1)[::-1]
    return basis, jax.vmap(values)(jnp.arange(1, half))


def _angles(
    matrix: Float[Array, "d d"], vectors: Float[Array, "n d"]
) -> Float[Array, "n d"]:
    """Angles to all eigenvectors, see the top of this file."""
    dim = matrix.shape[0]
    _, basis = top_eigenpairs(matrix, dim)
    coordinates = einsum("nd,id->ni", vectors, basis)
    others = jnp.ones((dim, dim), basis.dtype) - jnp.eye(dim, dtype=basis.dtype)
    # tan theta_j = sqrt(sum_{i != j} c_i^2) / |c_j|
    outside = jnp.sqrt(einsum("ni,ij->nj", coordinates**2, others))
    is_zero = jnp.all(vectors == 0, axis=-1, keepdims=True)
    return jnp.where(is_zero, jnp.pi / 2, jnp.arctan2(outside, jnp.abs(coordinates)))
