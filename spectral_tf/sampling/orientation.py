"""Random orientations of rows: uniform by QR, or mixed without a factorisation."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from spectral_tf.config import EnsembleConfig
from spectral_tf.spectra import einsum, unit

Sample = Float[Array, "N d"]
"""Rows drawn from a family."""

NUM_REFLECTIONS = 8
"""Householder reflections of an orientation by `reflections`, at most d."""

_sequential_qr = jax.custom_batching.sequential_vmap(
    lambda matrix: jnp.linalg.qr(matrix)
)


def uniform_rotation(key: Array, dim: int) -> Float[Array, "d d"]:
    """`jax.random.orthogonal(key, dim)`: uniform on the orthogonal group.

    Args:
        key: consumed.
        dim: d.

    Returns:
        `[d, d]`.

    Numerics:
        A vmapped QR is a loop of single ones on the CPU, for the reason that
        `spectra.symmetric_eigh` gives; on GPUs it is serial inside the library.

    Source: Mezzadri (2007), Notices AMS 54(5), section 5.
    """
    basis, triangle = jax.lax.platform_dependent(
        jax.random.normal(key, (dim, dim)),
        cpu=_sequential_qr,
        default=lambda matrix: jnp.linalg.qr(matrix),
    )
    pivots = jnp.diagonal(triangle)
    return basis * (pivots / jnp.abs(pivots))[None]


def turned(rows: Sample, turn: Float[Array, "d d"]) -> Sample:
    r"""Rows in another basis: :math:`X Q^\top`."""
    return einsum("nj,ij->ni", rows, turn)


def reflected(key: Array, rows: Sample) -> Sample:
    """Apply random Householder reflections to rows, at most `NUM_REFLECTIONS`.

    Args:
        key: consumed.
        rows: `[N, d]`.

    Returns:
        `[N, d]`, every row reflected by the same `min(d, 8)` hyperplanes.

    Source: Golub & Van Loan (2013), section 5.1.2.
    """
    dim = rows.shape[1]
    normals = unit(jax.random.normal(key, (min(dim, NUM_REFLECTIONS), dim)))

    def reflect(rows: Sample, normal: Float[Array, " d"]) -> tuple[Array, None]:
        heights = einsum("nd,d->n", rows, normal)
        return rows - 2 * heights[:, None] * normal[None], None

    return jax.lax.scan(reflect, rows, normals)[0]


def cosine_matrix(dim: int) -> Float[Array, "d d"]:
    """The orthogonal matrix of the discrete cosine transform (DCT-II).

    Args:
        dim: d.

    Returns:
        `[d, d]`, row j the cosine of frequency j.

    Source: Ahmed, Natarajan & Rao (1974), IEEE Trans. Computers C-23.
    """
    index = np.arange(dim)
    matrix = np.cos(np.pi * index[:, None] * (2 * index + 1) / (2 * dim))
    scale = np.where(index == 0, 1, 2) / dim
    return jnp.asarray(matrix * np.sqrt(scale)[:, None], float)


def mixed(key: Array, rows: Sample) -> Sample:
    r"""A cheap random orientation: :math:`X F D F P R_1 \cdots R_m`.

    F is the cosine transform, D random signs, P a random permutation, and each R a
    random reflection. A few reflections alone leave the axes of a large space almost
    where they were (the squared cosine of an axis with its image is about
    `1 - 4 m / d`), so random signs between two transforms first spread every axis over
    all coordinates.

    Args:
        key: consumed.
        rows: `[N, d]`.

    Returns:
        `[N, d]`; their Gram matrix is that of `rows`. The mean of every squared
        coordinate is that of a uniform orientation; its whole law is not, for d > 2.

    Source: Ailon & Chazelle (2009), SIAM J. Comput. 39(1), for the signs.
    """
    key_signs, key_order, key_normals = jax.random.split(key, 3)
    dim = rows.shape[1]
    signs = jax.random.rademacher(key_signs, (dim,), rows.dtype)
    cosines = cosine_matrix(dim)
    spread = einsum("ni,ij->nj", rows, cosines) * signs[None]
    spread = einsum("ni,ij->nj", spread, cosines)
    order = jax.random.permutation(key_order, dim)
    return reflected(key_normals, spread[:, order])


def oriented(key: Array, rows: Sample, config: EnsembleConfig) -> Sample:
    """Rows in a random orientation, drawn as `config.orientation` says.

    Args:
        key: consumed.
        rows: `[N, d]`.
        config: `orientation` and `dim` are read.

    Returns:
        `[N, d]`.
    """
    if config.orientation == "reflections":
        return mixed(key, rows)
    return turned(rows, uniform_rotation(key, config.dim))
