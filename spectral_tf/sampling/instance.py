"""One problem instance: rows, which of them are valid, and the right answer."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from spectral_tf.spectra import covariance, top_eigenpairs


class Instance(NamedTuple):
    """One instance; with a leading axis `[B, ...]` on every field, a batch.

    Attributes:
        x: `[N, d]` rows are samples; zero where masked.
        mask: `[N]` True for valid rows.
        eigenvalues: `[k]` of the instance's own sample covariance, descending.
        eigenvectors: `[k, d]` rows, unit norm, canonical sign.
    """

    x: Array
    mask: Array
    eigenvalues: Array
    eigenvectors: Array


def make_instance(
    x: Float[Array, "N d"], mask: Bool[Array, " N"] | None, num_components: int
) -> Instance:
    """Attach the oracle's answer: `eigh` of the sample covariance of x.

    Args:
        x: `[N, d]` rows.
        mask: `[N]` True for valid rows; None means all.
        num_components: k, `1 <= k <= d`.

    Returns:
        The instance. Masked rows are set to zero.

    Raises:
        ValueError: if k is outside `1..d`.
    """
    mask = jnp.ones(x.shape[0], bool) if mask is None else mask
    x = jnp.where(mask[:, None], x, 0.0)
    with jax.named_scope("targets"):
        values, vectors = top_eigenpairs(covariance(x, mask), num_components)
    return Instance(x, mask, values, vectors)
