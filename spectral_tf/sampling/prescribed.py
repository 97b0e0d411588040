r"""Families with a given population spectrum and a random orientation.

A spectrum is a function `(key, config) -> [d]` of non-negative eigenvalues, descending;
`prescribed` makes a family of it. Many are the same for all instances and do not read
their key.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from spectral_tf.config import (
    EnsembleConfig,
    Gapped,
    LowRank,
    MarchenkoPastur,
    PowerLaw,
    Spiked,
)
from spectral_tf.sampling.orientation import Sample, oriented

Eigenvalues = Float[Array, " d"]

NUM_ANGLES = 20_000
"""Points of the midpoint rule by which the quantiles of a law are found."""


class Turned(NamedTuple):
    """A family `(key, config) -> x [N, d]` whose last step is a random orientation.

    Attributes:
        straight: the rows before it, a function of the same key and config. It must
            not use the first half of `jax.random.split(key)`, which turns them.

    A mixture turns once for all its families.
    """

    straight: Callable[[Array, EnsembleConfig], Sample]

    def __call__(self, key: Array, config: EnsembleConfig) -> Sample:
        """The rows of one instance; the key is consumed."""
        key_turn = jax.random.split(key)[0]
        return oriented(key_turn, self.straight(key, config), config)


def prescribed(spectrum: Callable[[Array, EnsembleConfig], Eigenvalues]) -> Turned:
    r"""A family with a given population spectrum and a random orientation.

    :math:`X = Z \Lambda^{1/2} Q^\top` with Q uniform on the orthogonal group, or
    as `config.orientation` says.

    Args:
        spectrum: `(key, config) -> [d]` non-negative population eigenvalues.

    Returns:
        A function `(key, config) -> x [N, d]`.

    Source: Stewart (1980) for the uniform Q.
    """

    def straight(key: Array, config: EnsembleConfig) -> Sample:
        key_rows, key_spectrum = jax.random.split(key)[1], jax.random.fold_in(key, 2)
        rows = jax.random.normal(key_rows, (config.num_samples, config.dim))
        return rows * jnp.sqrt(spectrum(key_spectrum, config))[None]

    return Turned(straight)


def power_law(key: Array, config: EnsembleConfig) -> Eigenvalues:
    """Eigenvalue j is `j ** -exponent`; the exponent is given, or drawn uniformly."""
    law = config.family_as(PowerLaw)
    exponent: float | Array = law.exponent
    if law.exponent_range is not None:
        low, high = law.exponent_range
        exponent = jax.random.uniform(key, (), minval=low, maxval=high)
    return jnp.arange(1, config.dim + 1, dtype=float) ** -exponent


def spiked(key: Array, config: EnsembleConfig) -> Eigenvalues:
    """Spikes over a bulk of 1: given, or random in number and size.

    Given: `rank` of them, `spike * rank, ..., spike`. With `spike_range`, uniformly 1
    to `rank` of them, and the logarithm of each is uniform.
    """
    index, law = jnp.arange(config.dim), config.family_as(Spiked)
    if law.spike_range is None:
        spikes = law.spike * (law.rank - index)
        return jnp.where(index < law.rank, spikes, 1.0)
    key_count, key_size = jax.random.split(key)
    count = jax.random.randint(key_count, (), 1, law.rank + 1)
    low, high = np.log(np.asarray(law.spike_range, float)).tolist()
    size = jax.random.uniform(key_size, (config.dim,), minval=low, maxval=high)
    return -jnp.sort(-jnp.where(index < count, jnp.exp(size), 1.0))


def flat(_: Array, config: EnsembleConfig) -> Eigenvalues:
    """All eigenvalues 1: the gaps of the sample covariance are chance."""
    return jnp.ones(config.dim)


def linear(_: Array, config: EnsembleConfig) -> Eigenvalues:
    """Eigenvalues d, d - 1, ..., 1, over d."""
    return jnp.arange(config.dim, 0, -1, dtype=float) / config.dim


def low_rank(_: Array, config: EnsembleConfig) -> Eigenvalues:
    """`rank` eigenvalues rank, ..., 1, over rank, the others zero; plus `noise`."""
    index, law = jnp.arange(config.dim), config.family_as(LowRank)
    return jnp.maximum(law.rank - index, 0) / law.rank + law.noise


def _quantiles(
    eigenvalues: np.ndarray, weights: np.ndarray, dim: int
) -> Float[Array, " d"]:
    """The d quantiles of a law at (j - 1/2) / d, from descending weighted points."""
    shares = (np.cumsum(weights) - weights / 2) / np.sum(weights)
    wanted = (np.arange(dim) + 0.5) / dim
    return jnp.asarray(np.interp(wanted, shares, eigenvalues), float)


def _angles() -> np.ndarray:
    return (np.arange(NUM_ANGLES) + 0.5) * (np.pi / NUM_ANGLES)


def semicircle(_: Array, config: EnsembleConfig) -> Eigenvalues:
    r"""Quantiles of the semicircle of radius 1 around 1.

    At :math:`\lambda = 1 + \cos\phi` the density is
    :math:`\frac2\pi \sin^2\phi\,d\phi`.
    """
    angle = _angles()
    return _quantiles(1 + np.cos(angle), np.sin(angle) ** 2, config.dim)


def marchenko_pastur(_: Array, config: EnsembleConfig) -> Eigenvalues:
    r"""Quantiles of the Marchenko-Pastur law of ratio :math:`\gamma` = `aspect`.

    At :math:`\lambda = 1 + \gamma + 2 \sqrt\gamma \cos\phi` its density
    :math:`\sqrt{(b - \lambda)(\lambda - a)} / (2 \pi \gamma \lambda)\,d\lambda` is
    :math:`\frac2\pi \sin^2\phi / \lambda\,d\phi`.

    Source: Marchenko & Pastur (1967), Math. USSR Sbornik 1(4).
    """
    angle, ratio = _angles(), config.family_as(MarchenkoPastur).aspect
    eigenvalues = 1 + ratio + 2 * np.sqrt(ratio) * np.cos(angle)
    return _quantiles(eigenvalues, np.sin(angle) ** 2 / eigenvalues, config.dim)


def uniform(key: Array, config: EnsembleConfig) -> Eigenvalues:
    """Independent uniform eigenvalues in (0, 1), drawn for each instance."""
    return -jnp.sort(-jax.random.uniform(key, (config.dim,)))


def laplace(key: Array, config: EnsembleConfig) -> Eigenvalues:
    """The exponentials of independent Laplace variables, drawn for each instance."""
    return -jnp.sort(-jnp.exp(jax.random.laplace(key, (config.dim,))))


def gapped(key: Array, config: EnsembleConfig) -> Eigenvalues:
    """Ratios `lambda[j + 1] / lambda[j]` uniform in `gap` for `rank` gaps, then flat.

    The first eigenvalue is 1, and each ratio is drawn for itself.
    """
    law = config.family_as(Gapped)
    low, high = law.gap
    ratios = jax.random.uniform(key, (config.dim,), minval=low, maxval=high)
    index = jnp.arange(config.dim)
    is_gap = (index >= 1) & (index <= law.rank)
    return jnp.cumprod(jnp.where(is_gap, ratios, 1.0))
