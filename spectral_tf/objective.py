r"""Losses: element-wise per rank, blind to the sign of a vector; the caller reduces.

Eigenvectors have no sign, and near-equal eigenvalues have no separate eigenvectors.
The authors' signed cosine is here for replication only: LAPACK's sign is close to
unlearnable past rank 2, so a perfect PCA scores about 0.9 / 0.6 / 0.1 with it.
All are written for one instance.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from spectral_tf.model.transformer import Estimate
from spectral_tf.sampling.instance import Instance
from spectral_tf.spectra import covariance, einsum, gram_schmidt, unit

Loss = Callable[[Estimate, Instance], Float[Array, " k"]]


def cosine_loss(estimate: Estimate, instance: Instance) -> Float[Array, " k"]:
    r""":math:`1 - \cos^2` of the angle to each eigenvector.

    Args:
        estimate: k claimed eigenpairs; any scale of vector, a zero one costs 1.
        instance: with k targets.

    Returns:
        `[k]` sin^2 of the angle, in [0, 1]; smooth, gradient zero at the target.
    """
    cosine = jnp.sum(unit(estimate.eigenvectors) * instance.eigenvectors, axis=-1)
    return 1 - cosine**2


def projector_loss(estimate: Estimate, instance: Instance) -> Float[Array, " k"]:
    r"""Distance of the spans of the first j vectors, for near-equal eigenvalues.

    :math:`\frac12 |E^\top E - F^\top F|_F^2` with the first j rows of each, for
    j = 1..k; computed from the k x k Gram matrices, never from d x d projectors.

    Args:
        estimate: k claimed eigenpairs; rows are normalised here.
        instance: with k targets.

    Returns:
        `[k]`; entry j - 1 compares the leading j-dimensional spans.

    Source: Edelman, Arias, Smith (1998), section 4.3 (projection F-norm).
    """
    rows, target = unit(estimate.eigenvectors), instance.eigenvectors
    # leading[j] is 1 on the entries of the leading j x j block.
    lower = jnp.tril(jnp.ones((rows.shape[0],) * 2, rows.dtype))
    leading = lower[:, :, None] * lower[:, None, :]
    # |E^T E - F^T F|_F^2 = |E E^T|_F^2 - 2 |E F^T|_F^2 + |F F^T|_F^2; the last is j.
    gram = einsum("id,jd->ij", rows, rows) ** 2
    cross = einsum("id,jd->ij", rows, target) ** 2
    count = jnp.arange(1, rows.shape[0] + 1, dtype=rows.dtype)
    squares = jnp.sum(leading * (gram - 2 * cross)[None], axis=(1, 2))
    return 0.5 * (squares + count)


def rayleigh_loss(estimate: Estimate, instance: Instance) -> Float[Array, " k"]:
    r"""Variance that the first j vectors miss; needs no labels but for reporting.

    With Q the orthonormalised first j rows it is
    :math:`1 - tr(Q S Q^\top) / \sum_{l \le j} \lambda_l`. The captured variance is
    largest, and the loss 0, exactly where Q spans the j leading eigenvectors; so all
    j together pin each vector. (Rewarding each vector against its own eigenvalue,
    less a penalty for overlaps, does not: a sum over ranks then gains by swapping.)

    Args:
        estimate: k claimed eigenpairs; rows are orthonormalised here, in order.
        instance: x and mask are read; eigenvalues only as the scale.

    Returns:
        `[k]` in [0, 1]; 0 at the eigenvectors, of any sign.

    Source: Fan (1949), Proc. Natl. Acad. Sci. 35(11), theorem 1.
    """
    rows = gram_schmidt(estimate.eigenvectors)
    matrix = covariance(instance.x, instance.mask)
    # tr(Q S Q^T) of the first j rows, and the most that j orthonormal rows can have.
    captured = jnp.cumsum(einsum("kd,de,ke->k", rows, matrix, rows))
    most = jnp.cumsum(instance.eigenvalues)
    return (most - captured) / jnp.maximum(most, jnp.finfo(rows.dtype).tiny)


def signed_loss(estimate: Estimate, instance: Instance) -> Float[Array, " k"]:
    """The authors' `1 - cos` against a fixed sign; for replication only.

    Args:
        estimate: k claimed eigenpairs.
        instance: targets with the project's canonical sign.

    Returns:
        `[k]` in [0, 2]; 2 for the exact answer with the other sign.

    Source: He et al. (2025), the authors' code.
    """
    rows = unit(estimate.eigenvectors)  # no square: the sign counts
    return 1 - jnp.sum(rows * instance.eigenvectors, axis=-1)


def eigenvalue_loss(estimate: Estimate, instance: Instance) -> Float[Array, " k"]:
    r"""Relative squared error :math:`((\hat\lambda - \lambda) / \lambda)^2` per rank.

    Args:
        estimate: k claimed eigenpairs.
        instance: with k targets; one below 100 eps of the largest is rounding, and
            is measured against the largest (against 1 if all are zero).

    Returns:
        `[k]`.

    Source: He et al. (2025), section 4.
    """
    true = instance.eigenvalues
    largest = jnp.max(jnp.abs(true))
    # Below the floor lambda is rounding: the error is relative to lambda_1 there.
    floor = 100 * jnp.finfo(true.dtype).eps * largest
    scale = jnp.where(jnp.abs(true) > floor, jnp.abs(true), largest)
    return ((estimate.eigenvalues - true) / jnp.where(scale > 0, scale, 1.0)) ** 2


LOSSES: dict[str, Loss] = {
    "cosine": cosine_loss,
    "projector": projector_loss,
    "rayleigh": rayleigh_loss,
    "signed": signed_loss,
}
