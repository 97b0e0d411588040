r"""How eigenpairs are read off the tokens.

`linear`: eigenvalues and eigenvectors are affine in the register.
`rayleigh`: the register's vector u, and one more linear attention over the data,
:math:`\lambda = \frac1N\sum_i \langle x_i, u\rangle^2 / |u|^2`. `flatten`: one linear
map of all tokens, as the authors' code has it; it fixes N.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from spectral_tf.config import ModelConfig
from spectral_tf.model.attention import contraction
from spectral_tf.model.inputs import ScaledRows
from spectral_tf.model.moment import Moment
from spectral_tf.spectra import unit


class Estimate(NamedTuple):
    """Eigenpairs claimed for one instance.

    Attributes:
        eigenvalues: `[k]` in the units of x squared, as register j has rank j.
        eigenvectors: `[k, d]` rows; unit norm where the read-out is `rayleigh`.
    """

    eigenvalues: Array
    eigenvectors: Array


def rayleigh(
    config: ModelConfig, vectors: Float[Array, "k d"], data: ScaledRows | Moment
) -> Estimate:
    """Unit vectors, and their Rayleigh quotients by one linear attention over the data.

    Args:
        config: the model.
        vectors: `[k, d]`, any scale.
        data: centred rows, or their moment.

    Returns:
        The estimate.
    """
    einsum = contraction(config)
    vectors = unit(vectors)
    if isinstance(data, Moment):
        # lambda_j = v_j^T S v_j.
        values = einsum("kd,de,ke->k", vectors, data.matrix, vectors)
        return Estimate(values * data.unscale, vectors)
    # lambda_j = (1/N) sum_i <x_i, v_j>^2; with "sum" the 1/N is in the rows already.
    rows = data
    scores = jnp.where(rows.mask[:, None], einsum("nd,kd->nk", rows.x, vectors), 0.0)
    values = jnp.sum(scores**2, axis=0)
    if config.attention_scale == "mean":
        values /= jnp.maximum(jnp.sum(rows.mask), 1)
    return Estimate(values * rows.unscale, vectors)


def cut_columns(estimate: Estimate, dim: int) -> Estimate:
    """What an estimate for a padded table says of its first `dim` columns.

    Args:
        estimate: of read-out `rayleigh`, with unit vectors `[k, D]` in all columns.
        dim: d <= D; the columns of the table behind it are zero.

    Returns:
        The vectors cut to `[k, d]` and made unit, with their own Rayleigh quotients:
        for v = (a, b) and S zero in the places of b it is v^T S v / |a|^2.
    """
    values, vectors = estimate
    if vectors.shape[1] == dim:
        return estimate
    cut = vectors[:, :dim]
    # v^T S v / |a|^2; `values` hold v^T S v of the unit v = (a, b).
    squared = jnp.sum(cut**2, axis=1)
    tiny = jnp.finfo(vectors.dtype).tiny
    return Estimate(values / jnp.maximum(squared, tiny), unit(cut))


def read_tokens(
    config: ModelConfig,
    kernels: Mapping[str, Array],
    tokens: Float[Array, "t D"],
    rows: ScaledRows,
) -> Estimate:
    """Apply the read-out of a dense network.

    Args:
        config: the model.
        kernels: `vector_kernel`, and unless the read-out is `rayleigh` `value_kernel`
            and `value_bias`.
        tokens: the k register tokens, or one row that holds every token (`flatten`).
        rows: the input.

    Returns:
        The estimate.
    """
    einsum, k = contraction(config), config.num_components
    # u_j = W_u h_j and lambda_j = <w, h_j> + b of register j.
    vectors = einsum("tD,Dd->td", tokens, kernels["vector_kernel"])
    vectors = vectors.reshape(k, rows.x.shape[1])
    if config.layout.readout == "rayleigh":
        return rayleigh(config, vectors, rows)
    values = einsum("tD,Dv->tv", tokens, kernels["value_kernel"])
    values = (values + kernels["value_bias"][None]).reshape(k)
    return Estimate(values * rows.unscale, vectors)
