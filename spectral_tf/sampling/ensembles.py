r"""Families of random tables: one pure function `(key, config) -> x [N, d]` each.

To add one, write such a function, name it in `ENSEMBLES` and in `config.Spectrum`.
All are written for one instance; `sampler.py` lifts them with `jax.vmap`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from spectral_tf.config import EnsembleConfig
from spectral_tf.sampling.instance import Instance, make_instance
from spectral_tf.spectra import einsum

Rows = Float[Array, "N d"]


def authors(key: Array, config: EnsembleConfig) -> Rows:
    r"""The authors' family: :math:`L = G + 0.1 I`, :math:`X = Z L^\top`.

    Args:
        key: consumed.
        config: `num_samples` and `dim` are read.

    Returns:
        `[N, d]`.

    Source: He et al. (2025), arXiv:2501.01312, section 4 and the authors' code.
    """
    key_factor, key_rows = jax.random.split(key)
    n, d = config.num_samples, config.dim
    factor = jax.random.normal(key_factor, (d, d)) + 0.1 * jnp.eye(d)
    return einsum("nj,ij->ni", jax.random.normal(key_rows, (n, d)), factor)


def power_law_spectrum(config: EnsembleConfig) -> Float[Array, " d"]:
    """Eigenvalue j is `j ** -exponent`."""
    return jnp.arange(1, config.dim + 1, dtype=float) ** -config.exponent


def spiked_spectrum(config: EnsembleConfig) -> Float[Array, " d"]:
    """`rank` eigenvalues `spike * rank, ..., spike`, over a bulk of 1."""
    index = jnp.arange(config.dim)
    spikes = config.spike * (config.rank - index)
    return jnp.where(index < config.rank, spikes, 1.0)


def flat_spectrum(config: EnsembleConfig) -> Float[Array, " d"]:
    """All eigenvalues 1: the gaps of the sample covariance are chance."""
    return jnp.ones(config.dim)


def linear_spectrum(config: EnsembleConfig) -> Float[Array, " d"]:
    """Eigenvalues d, d - 1, ..., 1, over d."""
    return jnp.arange(config.dim, 0, -1, dtype=float) / config.dim


def low_rank_spectrum(config: EnsembleConfig) -> Float[Array, " d"]:
    """`rank` eigenvalues rank, ..., 1, over rank; the others are zero."""
    index = jnp.arange(config.dim)
    return jnp.maximum(config.rank - index, 0) / config.rank


def prescribed(
    spectrum: Callable[[EnsembleConfig], Float[Array, " d"]],
) -> Callable[[Array, EnsembleConfig], Rows]:
    r"""A family with a given population spectrum and a random orientation.

    :math:`X = Z \Lambda^{1/2} Q^\top` with Q uniform on the orthogonal group.

    Args:
        spectrum: `config -> [d]` non-negative population eigenvalues, descending.

    Returns:
        A function `(key, config) -> x [N, d]`.

    Source: ours; Stewart (1980) for the uniform Q.
    """

    def sample(key: Array, config: EnsembleConfig) -> Rows:
        key_turn, key_rows = jax.random.split(key)
        turn = jax.random.orthogonal(key_turn, config.dim)
        rows = jax.random.normal(key_rows, (config.num_samples, config.dim))
        return einsum("nj,ij->ni", rows * jnp.sqrt(spectrum(config))[None], turn)

    return sample


def student_t(key: Array, config: EnsembleConfig) -> Rows:
    r"""Heavy tails: each row of `authors` over :math:`\sqrt{\chi^2_\nu / \nu}`.

    Args:
        key: consumed.
        config: `degrees_of_freedom` is nu; > 2, so the covariance exists.

    Returns:
        `[N, d]`; rows are multivariate Student-t.

    Source: Kotz & Nadarajah (2004), eq. (1.1).
    """
    key_rows, key_scale = jax.random.split(key)
    nu = config.degrees_of_freedom
    chi2 = 2 * jax.random.gamma(key_scale, nu / 2, (config.num_samples, 1))
    return authors(key_rows, config) * jnp.sqrt(nu / chi2)


ENSEMBLES: dict[str, Callable[[Array, EnsembleConfig], Rows]] = {
    "authors": authors,
    "power_law": prescribed(power_law_spectrum),
    "spiked": prescribed(spiked_spectrum),
    "flat": prescribed(flat_spectrum),
    "linear": prescribed(linear_spectrum),
    "low_rank": prescribed(low_rank_spectrum),
    "student_t": student_t,
}


def sample_instance(key: Array, config: EnsembleConfig) -> Instance:
    """One instance of the family that `config.spectrum` names.

    Args:
        key: typed PRNG key; consumed.
        config: family and sizes. With `min_samples`, the number of valid rows is
            uniform in `[min_samples, num_samples]` and the others are masked.

    Returns:
        The instance, targets from `eigh` of its own sample covariance.

    Source: ours.
    """
    key_rows, key_count = jax.random.split(key)
    x = ENSEMBLES[config.spectrum](key_rows, config)
    mask = None
    if config.min_samples is not None:
        low, high = config.min_samples, config.num_samples
        count = jax.random.randint(key_count, (), low, high + 1)
        mask = jnp.arange(config.num_samples) < count
    return make_instance(x, mask, config.num_components)
