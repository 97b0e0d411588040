r"""Families defined by how their rows come about, rather than by a spectrum.

All but `student_t` draw their Gaussian rows from the second half of the split key, as
the prescribed spectra do: in a mixture the compiler then draws them once.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from spectral_tf.config import (
    Correlated,
    EnsembleConfig,
    Scaled,
    StudentT,
    Whitened,
)
from spectral_tf.sampling.orientation import Sample, reflected
from spectral_tf.spectra import einsum, unit

MOST_CORRELATED = 0.95
"""Upper bound of a random autocorrelation."""
MOST_BETWEEN = 0.8
"""`whitened`: upper bound of a direction's variance between the classes."""
CLASS_SPREAD = 0.4
"""`whitened`: standard deviation of the logarithm of a class's own variance."""
ROW_SPREAD = 0.25
"""`whitened`: that of the logarithm of a row's own scale."""


def authors(key: Array, config: EnsembleConfig) -> Sample:
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


def student_t(key: Array, config: EnsembleConfig) -> Sample:
    r"""Heavy tails: each row of `authors` over :math:`\sqrt{\chi^2_\nu / \nu}`.

    Args:
        key: consumed.
        config: `degrees_of_freedom` is nu; > 2, so the covariance exists.

    Returns:
        `[N, d]`; rows are multivariate Student-t.

    Source: Kotz & Nadarajah (2004), eq. (1.1).
    """
    key_rows, key_scale = jax.random.split(key)
    nu = config.family_as(StudentT).degrees_of_freedom
    chi2 = 2 * jax.random.gamma(key_scale, nu / 2, (config.num_samples, 1))
    return authors(key_rows, config) * jnp.sqrt(nu / chi2)


def autoregressive(noise: Sample, coefficient: float | Float[Array, ""]) -> Sample:
    r"""A stationary AR(1) down the rows.

    :math:`y_i = \rho y_{i-1} + \sqrt{1 - \rho^2}\, e_i`, and :math:`y_1 = e_1`.
    With the shift S down the rows the sum :math:`\sum_j (\rho S)^j` is the product of
    :math:`1 + (\rho S)^{2^m}`: log2 N steps, each of all rows at once.

    Args:
        noise: `[N, d]` rows e_i, independent, of equal covariance.
        coefficient: rho, |rho| < 1.

    Returns:
        `[N, d]`; every row has the covariance of the noise.

    Source: Box & Jenkins (1970), section 3.2.3.
    """
    count = noise.shape[0]
    is_first = (jnp.arange(count) == 0)[:, None]
    rho = jnp.asarray(coefficient, noise.dtype)
    rows = noise * jnp.where(is_first, 1.0, jnp.sqrt(1 - rho**2))
    shift = 1
    while shift < count:
        rows = rows + rho * jnp.pad(rows[:-shift], ((shift, 0), (0, 0)))
        rho, shift = rho**2, 2 * shift
    return rows


def correlated(key: Array, config: EnsembleConfig) -> Sample:
    """Rows that depend on the row before, as a series in time: AR(1) of `authors`.

    Args:
        key: consumed.
        config: `autocorrelation` of a row with the next; None draws it for each
            instance, uniform in [0, `MOST_CORRELATED`].

    Returns:
        `[N, d]`; each row alone is distributed as a row of `authors`.
    """
    family = config.family_as(Correlated)
    coefficient: float | Array | None = family.autocorrelation
    if coefficient is None:
        key_coefficient = jax.random.fold_in(key, 2)
        coefficient = jax.random.uniform(key_coefficient, (), maxval=MOST_CORRELATED)
    return autoregressive(authors(key, config), coefficient)


def scaled(key: Array, config: EnsembleConfig) -> Sample:
    """Columns in very different units, as a raw table has them.

    Args:
        key: consumed.
        config: the logarithms of the columns' standard deviations are uniform over
            `decades` powers of ten, around 1.

    Returns:
        `[N, d]`; `x / std` has the correlations of a random factor `I + G / sqrt(d)`.
    """
    key_factor, key_rows = jax.random.split(key)
    key_scale = jax.random.fold_in(key, 2)
    n, d = config.num_samples, config.dim
    factor = unit(jnp.eye(d) + jax.random.normal(key_factor, (d, d)) / d**0.5)
    decades = config.family_as(Scaled).decades
    power = decades * (jax.random.uniform(key_scale, (d,)) - 0.5)
    rows = einsum("nj,ij->ni", jax.random.normal(key_rows, (n, d)), factor)
    return rows * (10.0**power)[None]


def class_codes(key: Array, num_classes: int, count: int) -> Float[Array, "K r"]:
    """Points of K classes with mean zero and covariance I, in a random position.

    Args:
        key: consumed.
        num_classes: K >= 2.
        count: r <= K - 1.

    Returns:
        `[K, r]`; the mean over the classes is 0, that of the outer products is I.

    Source: Helmert (1876) for the contrasts.
    """
    index = np.arange(num_classes)
    contrasts = (
        np.tril(np.ones((num_classes - 1, num_classes))) - np.diag(index[1:], 1)[:-1]
    )
    contrasts /= np.linalg.norm(contrasts, axis=1, keepdims=True)
    points = jnp.asarray(contrasts.T * num_classes**0.5, float)
    return reflected(key, points)[:, :count]


def whitened_straight(key: Array, config: EnsembleConfig) -> Sample:
    r"""`whitened` before its orientation: classes apart along the first coordinates.

    In a population of covariance I, the covariance B between the classes and W within
    them have the same eigenvectors, :math:`B + W = I`. So, along each of the first
    K - 1 coordinates, the centres have a variance beta, uniform in [0, 0.8], and the
    rows around them 1 - beta. Classes differ in their spread, and rows in their scale
    (log-normal, which makes the tails heavier).

    Args:
        key: consumed, but for the first half of its split.
        config: `num_classes` is K.

    Returns:
        `[N, d]`; population mean 0 and covariance I, whatever the key.

    On 10 leading components of MNIST, whitened, beta is .71, .68, .60, .41, .38, .26,
    .18, .01, 0, 0.
    """
    key_rows = jax.random.split(key)[1]
    keys = jax.random.split(jax.random.fold_in(key, 2), 5)
    n, d = config.num_samples, config.dim
    num_classes = config.family_as(Whitened).num_classes
    count = min(num_classes - 1, d)
    between = MOST_BETWEEN * jax.random.uniform(keys[0], (count,))
    centres = class_codes(keys[1], num_classes, count) * jnp.sqrt(between)[None]
    spread = jnp.exp(CLASS_SPREAD * jax.random.normal(keys[2], (num_classes,)))
    label = jax.random.randint(keys[3], (n,), 0, num_classes)
    # E exp(2 s g - 2 s^2) = 1 for a Gaussian g.
    scale = jnp.exp(ROW_SPREAD * jax.random.normal(keys[4], (n,)) - ROW_SPREAD**2)
    scale = scale * jnp.sqrt(spread / jnp.mean(spread))[label]
    padding = (0, d - count)
    within = jnp.sqrt(1 - jnp.pad(between, padding))
    rows = scale[:, None] * within[None] * jax.random.normal(key_rows, (n, d))
    return rows + jnp.pad(centres[label], ((0, 0), padding))
