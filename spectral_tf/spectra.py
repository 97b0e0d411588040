r"""The conventions of the package, and the classical algorithms it is measured against.

Written here once and never decided again:

* a covariance is :math:`S = \frac1N \sum_i (x_i - \bar x)(x_i - \bar x)^\top`;
* eigenvalues descend;
* eigenvectors are the **rows** of a `[k, d]` array, of unit 2-norm, with the entry
  of largest magnitude positive; of several as large, the first (`canonical_sign`);
* functions return `(eigenvalues, eigenvectors)` in this order.

Everything is written for one instance; lift it with `jax.vmap`. Products run at
`Precision.HIGHEST`, because the default precision of TPUs and recent GPUs is far
below float32.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

einsum = functools.partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)
"""`jnp.einsum` at `Precision.HIGHEST`; the only product used for linear algebra."""

TIED = 1e-4
"""Entries of a vector that differ by this share of the largest count as equally large:
above the rounding of float32 and what iteration leaves, so that neither decides."""


def canonical_sign(vectors: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
    """Flip each vector so that its entry of largest magnitude is positive.

    Where several are as large within `TIED`, the first of them is: which one is largest
    would be left to rounding, and with it the sign.

    Args:
        vectors: `[..., d]` vectors along the last axis; a zero vector is kept.

    Returns:
        `[..., d]` vectors, each multiplied by +1 or -1.

    Source: scikit-learn's `svd_flip`, where rounding decides ties.
    """
    size = jnp.abs(vectors)
    largest = jnp.max(size, axis=-1, keepdims=True)
    index = jnp.argmax(size >= (1 - TIED) * largest, axis=-1, keepdims=True)
    pivot = jnp.take_along_axis(vectors, index, axis=-1)
    return jnp.where(pivot < 0, -vectors, vectors)


def unit(vectors: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
    """Scale each vector to unit 2-norm; zero stays zero, and its gradient is finite.

    Args:
        vectors: `[..., d]` vectors along the last axis. Any scale whose square
            does not overflow.

    Returns:
        `[..., d]` unit vectors (or zeros).
    """
    # v / |v|; 1 in place of |v|^2 = 0 keeps the derivative of rsqrt finite.
    squared = jnp.sum(vectors**2, axis=-1, keepdims=True)
    is_zero = squared == 0
    return jnp.where(is_zero, 0.0, vectors * jax.lax.rsqrt(squared + is_zero))


def centred(
    x: Float[Array, "N d"], mask: Bool[Array, " N"] | None = None
) -> Float[Array, "N d"]:
    """Subtract the mean of the valid rows; masked rows become zero.

    Args:
        x: `[N, d]` rows are samples.
        mask: `[N]` True for valid rows; None means all.

    Returns:
        `[N, d]` centred rows, zero where masked. If no row is valid, zeros.
    """
    if mask is None:
        return x - jnp.mean(x, axis=0, keepdims=True)
    valid = mask.astype(x.dtype)[:, None]
    count = jnp.maximum(jnp.sum(valid), 1)
    # `where`, not a product: a masked row may hold NaN and must not leak.
    rows = jnp.where(mask[:, None], x, 0.0)
    return jnp.where(
        mask[:, None], rows - jnp.sum(rows, axis=0, keepdims=True) / count, 0.0
    )


def covariance(
    x: Float[Array, "N d"], mask: Bool[Array, " N"] | None = None
) -> Float[Array, "d d"]:
    r"""Sample covariance :math:`S = \frac1N\sum_i (x_i-\bar x)(x_i-\bar x)^\top`.

    Args:
        x: `[N, d]` rows are samples, any units.
        mask: `[N]` True for valid rows; None means all. N counts valid rows only.

    Returns:
        `[d, d]` symmetric positive semi-definite matrix, units of x squared.
    """
    rows = centred(x, mask)
    count = x.shape[0] if mask is None else jnp.maximum(jnp.sum(mask), 1)
    # S = (1/N) sum_i (x_i - mean) (x_i - mean)^T.
    return einsum("ni,nj->ij", rows, rows) / count


_sequential_eigh = jax.custom_batching.sequential_vmap(
    lambda matrix: jnp.linalg.eigh(matrix)
)


def symmetric_eigh(
    matrix: Float[Array, "d d"],
) -> tuple[Float[Array, " d"], Float[Array, "d d"]]:
    """`jnp.linalg.eigh`, safe to vmap on a CPU.

    jaxlib's batched LAPACK kernel waits on a pool thread for other pool threads. Two
    of them at once (two shapes of a training step, or two devices) can each hold a
    thread and wait for ever: seen as a hang on two cores with jaxlib 0.10.2. So a
    vmapped call becomes a loop of single ones on the CPU and stays batched elsewhere.

    Args:
        matrix: `[d, d]` symmetric.

    Returns:
        `(values [d] ascending, vectors [d, d] as columns)`, as `jnp.linalg.eigh`.

    Source: `ParallelBatchMap` in jaxlib's `lapack_kernels.cc`.
    """
    return jax.lax.platform_dependent(
        matrix, cpu=_sequential_eigh, default=lambda matrix: jnp.linalg.eigh(matrix)
    )


def top_eigenpairs(
    matrix: Float[Array, "d d"], num_components: int
) -> tuple[Float[Array, " k"], Float[Array, "k d"]]:
    """Largest eigenpairs of a symmetric matrix: the oracle, by `jnp.linalg.eigh`.

    Args:
        matrix: `[d, d]` symmetric.
        num_components: k, `1 <= k <= d`.

    Returns:
        `(eigenvalues [k], eigenvectors [k, d])`, descending, rows, canonical sign.

    Raises:
        ValueError: if k is outside `1..d`.

    Numerics:
        Do not differentiate through it: the gradient is NaN at equal eigenvalues.

    Source: LAPACK `syevd` through JAX.
    """
    dim = matrix.shape[0]
    if not 1 <= num_components <= dim:
        raise ValueError(
            f"num_components={num_components} must lie in 1..{dim}, the size of the "
            f"matrix; ask for fewer components."
        )
    values, columns = symmetric_eigh(matrix)
    # LAPACK ascends and has columns; here they descend, as rows.
    rows = jnp.flip(columns.T, axis=0)[:num_components]
    return jnp.flip(values)[:num_components], canonical_sign(rows)


# At module level, so that un-jitted calls of `gram_schmidt` compile it only once.
def _project_row(j: Array, basis: Float[Array, "k d"]) -> Float[Array, "k d"]:
    """Row j made orthogonal to the rows before it, and unit."""
    row = unit(basis[j])
    before = (jnp.arange(basis.shape[0]) < j).astype(basis.dtype)
    for _ in range(2):
        # The barrier: XLA may else compute the row anew where it is read, each time
        # with other roundings, and the second pass corrects another row's error.
        row = jax.lax.optimization_barrier(row)
        # v_j <- unit(v_j - sum_{l < j} <v_l, v_j> v_l).
        overlap = einsum("kd,d->k", basis, row) * before
        row = unit(row - einsum("k,kd->d", overlap, basis))
    return basis.at[j].set(row)


def gram_schmidt(vectors: Float[Array, "k d"]) -> Float[Array, "k d"]:
    r"""Orthonormalise rows in order, by classical Gram-Schmidt done twice.

    Done twice because one classical pass loses :math:`O(\kappa^2 \epsilon)` of
    orthogonality; two passes reach rounding ("twice is enough").

    Args:
        vectors: `[k, d]` rows, any scale; `k <= d`. A row that depends on the
            rows before it becomes zero or an arbitrary rounding residue.

    Returns:
        `[k, d]` orthonormal rows; row j spans with rows < j what it did before.

    Source: Giraud, Langou, Rozloznik, van den Eshof (2005), Numer. Math. 101.
    """
    return jax.lax.fori_loop(0, vectors.shape[0], _project_row, vectors)


def rayleigh_quotients(
    matrix: Float[Array, "d d"], vectors: Float[Array, "k d"]
) -> Float[Array, " k"]:
    r"""Rayleigh quotients :math:`v^\top S v / v^\top v`; 0 for a zero vector.

    Args:
        matrix: `[d, d]` symmetric.
        vectors: `[k, d]` rows, any scale.

    Returns:
        `[k]` in the units of `matrix`.

    Source: Golub & Van Loan (2013), section 8.2.
    """
    rows = unit(vectors)
    return einsum("ki,ij,kj->k", rows, matrix, rows)  # v^T S v, |v| = 1


def orthogonal_iteration(
    matrix: Float[Array, "d d"], start: Float[Array, "k d"], *, num_iters: int
) -> tuple[Float[Array, " k"], Float[Array, "k d"]]:
    r"""Top eigenpairs by orthogonal iteration: :math:`V \leftarrow GS(S V)`.

    This is the power method with deflation, all k vectors at once. Exactly
    `num_iters` steps (no early exit), so it can be compared layer by layer.

    Args:
        matrix: `[d, d]` symmetric positive semi-definite; any scale.
        start: `[k, d]` start vectors as rows, `k <= d`; normalised here.
        num_iters: tau >= 0, static.

    Returns:
        `(Rayleigh quotients [k], unit rows [k, d])`, in iteration order (no
        sorting), canonical sign.

    Numerics:
        Error of row j decays as :math:`(\lambda_{j+1}/\lambda_j)^\tau`.

    Source: Golub & Van Loan (2013), section 8.2.4 (orthogonal iteration).
    """
    scale = jnp.trace(matrix)
    scaled = matrix / jnp.where(scale > 0, scale, 1.0)  # keeps squares in range

    def step(_: Array, rows: Float[Array, "k d"]) -> Float[Array, "k d"]:
        # V <- GS(S V); S / tr S has the same vectors.
        return gram_schmidt(einsum("ij,kj->ki", scaled, rows))

    rows = jax.lax.fori_loop(0, num_iters, step, unit(start))
    return rayleigh_quotients(matrix, rows), canonical_sign(rows)


def orthogonal_iteration_trace(
    matrix: Float[Array, "d d"], start: Float[Array, "k d"], *, num_iters: int
) -> Float[Array, "steps k d"]:
    """Unit rows after every step of `orthogonal_iteration`.

    Args:
        matrix: `[d, d]` symmetric positive semi-definite.
        start: `[k, d]` start vectors as rows.
        num_iters: tau >= 0, static.

    Returns:
        `[tau, k, d]`: entry t holds the rows after t + 1 steps.

    Source: as `orthogonal_iteration`.
    """
    scale = jnp.trace(matrix)
    scaled = matrix / jnp.where(scale > 0, scale, 1.0)

    def step(rows: Float[Array, "k d"], _: None) -> tuple[Array, Array]:
        rows = gram_schmidt(einsum("ij,kj->ki", scaled, rows))
        return rows, rows

    return jax.lax.scan(step, unit(start), None, length=num_iters)[1]


def abs_cosine(
    vectors: Float[Array, "*batch d"], reference: Float[Array, "*batch d"]
) -> Float[Array, "*batch"]:
    """|cos| of the angle between paired vectors; 0 if one of them is zero.

    Args:
        vectors: `[..., d]`, any scale and sign.
        reference: `[..., d]`, any scale and sign.

    Returns:
        `[...]` in [0, 1].
    """
    cosine = jnp.sum(unit(vectors) * unit(reference), axis=-1)
    return jnp.minimum(jnp.abs(cosine), 1.0)


def largest_principal_angle(
    vectors: Float[Array, "k d"], reference: Float[Array, "k d"]
) -> Float[Array, ""]:
    r"""Largest principal angle between two row spans.

    Computed from its sine, the 2-norm of what is left of the one basis outside
    the other, which keeps its digits for small angles where an arccos does not.

    Args:
        vectors: `[k, d]` rows; orthonormalised here.
        reference: `[k, d]` orthonormal rows.

    Returns:
        `[]` radians in [0, pi/2].

    Source: Knyazev & Argentati (2002), SIAM J. Sci. Comput. 23(6), eq. (3.1).
    """
    basis = gram_schmidt(vectors)
    # sin theta = |(I - F^T F) E^T|_2, with E and F the two bases as rows.
    inside = einsum("kd,ld->kl", basis, reference)
    outside = basis - einsum("kl,ld->kd", inside, reference)
    sine = jnp.linalg.norm(outside, ord=2)
    # A basis that collapsed (zero rows) spans less: its angle is a right one.
    is_full = jnp.min(jnp.sum(basis**2, axis=-1)) > 0.5
    return jnp.where(is_full, jnp.arcsin(jnp.clip(sine, 0.0, 1.0)), jnp.pi / 2)


def residuals(
    matrix: Float[Array, "d d"],
    eigenvalues: Float[Array, " k"],
    eigenvectors: Float[Array, "k d"],
) -> Float[Array, " k"]:
    r"""Residual norms :math:`\lVert S v - \lambda v\rVert_2` of claimed eigenpairs.

    Some eigenvalue of S lies within the residual of each claimed one.

    Args:
        matrix: `[d, d]` symmetric.
        eigenvalues: `[k]` claimed.
        eigenvectors: `[k, d]` claimed, unit rows.

    Returns:
        `[k]` in the units of `matrix`.

    Source: Parlett (1998), The Symmetric Eigenvalue Problem, theorem 4.5.1.
    """
    # |S v_j - lambda_j v_j|.
    image = einsum("ij,kj->ki", matrix, eigenvectors)
    return jnp.linalg.norm(image - eigenvalues[:, None] * eigenvectors, axis=-1)
