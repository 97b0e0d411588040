r"""Read-out `ritz`: Rayleigh-Ritz among registers that kept their past.

Half of the vector channels of a register hold basis vectors q, unit and orthogonal to
one another (or 0), the other, raw, half their images c = S q. Channel 0 is the block of
registers that came last: it has no image, since no product followed. With Q the rows
that have an image and C their images, the scores of registers with registers

.. math:: T = Q S Q^\top = (\langle q_i, c_j\rangle)

are all that the answer needs: no product with S, and nothing of the size of d but the
last mixture :math:`v = \sum_i y_i q_i` of an eigenvector y of T. Products are at full
precision whatever the network's are: they are few and small.

*Orthonormal first.* Registers deflate one another once more, by the scores
:math:`\langle q_i, q_j\rangle` alone: where training, or a short construction, leaves
them only well conditioned, that makes them orthonormal, and drops what depends on
others.

*Eigenvectors by attention.* Let :math:`M = T / |T|_F`. One linear attention of the
registers to one another, scores :math:`\langle m_i, m_j\rangle`, position codes as
values, replaces the rows of M by those of :math:`M M^\top`. After s of them, M is
:math:`T^{2^s}` but for its size: every column is the eigenvector of the largest
eigenvalue to :math:`(\lambda_2 / \lambda_1)^{2^s}`, and the longest one is read, or the
first of those that are nearly as long: where T is a multiple of the identity, rounding
is not to choose. T is then deflated on both sides, :math:`(I - y y^\top) T (I - y
y^\top)`, for the next.

*What it costs.* 2^10 = 1024 steps of the power method in ten small products: vectors
whose eigenvalues differ by less than 1 / 1024 of their size stay mixed, with values
within that of both. T is shifted by a few roundings of its trace on its live part,
which moves no vector: a table of rank below k is then answered by orthonormal
completions with value 0.

*The terminator.* The last block q' was made orthogonal to Q but has no image. Its
scores with Q are known from the other side, :math:`\langle q', S q_j\rangle = \langle
q', c_j\rangle`; unknown is one block on the diagonal, :math:`Q' S Q'^\top`. With
`terminator` it is taken for a multiple of the identity: the means of the two blocks
before, times gains that are trained (a construction takes the last mean as it is). So P
products answer from P + 1 blocks, exactly so if the block is as guessed; the values are
then no longer below the largest eigenvalue by proof.

Source: Parlett (1998), The Symmetric Eigenvalue Problem, chapter 11 (Rayleigh-Ritz);
Haydock (1980), Solid State Physics 35, for ending a recursion by a guess of its tail.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from spectral_tf.config import ModelConfig
from spectral_tf.model.readout import Estimate
from spectral_tf.spectra import einsum

NEARLY = 0.99
"""Of the longest column: the first that is so long is read."""


def last_mean(key: Array, shape: tuple[int, ...], dtype: Any = float) -> Array:
    """Gains of a fresh terminator: the mean of the last block as it is."""
    del key
    return jnp.zeros(shape, dtype).at[0].set(1.0)


def basis_of(config: ModelConfig, state: tuple[Array, Array]) -> Float[Array, "R C d"]:
    """The vector channels of the registers, from a state of either parameterisation.

    Args:
        config: the model.
        state: equivariant `(vectors [R, C, d], scalars)`, or dense `(data [N, D],
            registers [R, D])`.

    Returns:
        `[R, C, d]`: C / 2 basis vectors, then their images.
    """
    if not config.is_dense:
        return state[0]
    groups, size = config.dense.norm_groups or (1, config.dim or 1)
    registers = state[1]
    flat = registers[:, : 2 * groups * size]
    return flat.reshape(registers.shape[0], 2 * groups, size)


def ritz(
    config: ModelConfig,
    vectors: Float[Array, "R C d"],
    gains: Float[Array, " 2"],
    unscale: Float[Array, ""],
) -> Estimate:
    """The best eigenpairs in the span of the registers' basis vectors.

    Args:
        config: `num_components`, `squarings` and `terminator` are read.
        vectors: `[R, C, d]`: basis and images.
        gains: of the terminator's guess.
        unscale: turns eigenvalues of the scaled rows into those of x.

    Returns:
        The estimate: k values, descending but for rounding, and k rows, orthonormal.
    """
    half = vectors.shape[1] // 2
    # Oldest first: the last block, channel 0 of every register, has no image.
    blocks = jnp.swapaxes(vectors, 0, 1)
    basis, images = blocks[:half][::-1], blocks[half:][::-1]
    if not config.terminator:
        basis = basis[:-1]
    rows = basis.reshape(-1, basis.shape[2])
    count, width, dim = images[:-1].shape
    images = images[:-1].reshape(count * width, dim)
    for floor in (float(jnp.finfo(rows.dtype).eps) ** 0.5, 0.25):
        rows, images, live = orthonormal(rows, images, floor)
    matrix = span_matrix(config, rows, images, (count, width), gains)
    values, mixtures = top_by_squaring(
        matrix, live, config.num_components, config.squarings
    )
    # v_j = sum_i y_ji q_i.
    return Estimate(values * unscale, einsum("ki,id->kd", mixtures, rows))


def orthonormal(
    rows: Float[Array, "m d"],
    images: Float[Array, "n d"],
    floor: float,
) -> tuple[Float[Array, "m d"], Float[Array, "n d"], Float[Array, " m"]]:
    """Gram-Schmidt among the registers, on vectors and images alike.

    By their scores with one another: the Gram matrix says what is left of a vector, and
    with which mixture. A vector is dropped (it becomes 0) where less than `floor` of
    its squared length is left, or where the mixture is so long that it would be made
    of rounding.

    Args:
        rows: `[m, d]` unit, or 0.
        images: `[n, d]` S times the first n rows.
        floor: smallest squared remainder.

    Returns:
        `(rows [m, d], images [n, d], live [m])`: orthonormal to the rounding of the
        mixtures, so that a second time makes them so to rounding; live is 1, or 0 where
        dropped.

    Source: Yamamoto et al. (2015), Electron. Trans. Numer. Anal. 44 (CholeskyQR2).
    """
    size, known = rows.shape[0], images.shape[0]
    place = jnp.arange(size)

    def deflate(state: tuple[Array, Array], step: Array) -> tuple[Any, Array]:
        rest, mixer = state
        pivot = rest[step, step]  # |q|^2 without its part in those before
        scale = jax.lax.rsqrt(jnp.where(pivot > floor, pivot, 1.0))
        length = jnp.sum((scale * mixer[step]) ** 2)
        live = (pivot > floor) & (length * floor < 1)
        row, mixture = (jnp.where(live, scale * m[step], 0.0) for m in state)
        later = jnp.where(place > step, row, 0.0)[:, None]
        rest = rest - later * row[None]
        mixer = (mixer - later * mixture[None]).at[step].set(mixture)
        return (rest, mixer), live.astype(rest.dtype)

    gram = einsum("id,jd->ij", rows, rows)
    (_, mixer), live = jax.lax.scan(
        deflate, (gram, jnp.eye(size, dtype=gram.dtype)), place
    )
    return (
        einsum("ij,jd->id", mixer, rows),
        # The mixer is lower triangular: rows with an image mix rows with an image.
        einsum("ij,jd->id", mixer[:known, :known], images),
        live,
    )


def span_matrix(
    config: ModelConfig,
    rows: Float[Array, "m d"],
    images: Float[Array, "n d"],
    blocks: tuple[int, int],
    gains: Float[Array, " 2"],
) -> Float[Array, "m m"]:
    """T of the rows with an image, and with `terminator` of the last block.

    Args:
        config: `terminator` is read.
        rows: `[m, d]` orthonormal or 0, oldest first.
        images: `[n, d]` of the first n of them.
        blocks: how many blocks have images, and of how many rows; static.
        gains: of the guess, for the last and the last but one block with an image.

    Returns:
        `[m, m]` symmetric.
    """
    known = images.shape[0]
    scores = einsum("id,jd->ij", rows, images)
    square = (scores[:known] + scores[:known].T) / 2  # symmetric but for rounding
    if not config.terminator:
        return square
    side, last = scores[known:], rows[known:]  # <q', S q_j>
    # The mean of <q, S q> over the live rows of each block, newest first.
    totals = jnp.diagonal(square).reshape(blocks)[::-1][:2]
    counts = jnp.sum(rows[:known] ** 2, axis=1).reshape(blocks)[::-1][:2]
    means = jnp.sum(totals, axis=1) / jnp.maximum(jnp.sum(counts, axis=1), 1.0)
    guess = jnp.sum(gains[: len(means)] * means)
    corner = jnp.diag(guess * jnp.sum(last**2, axis=1))
    return jnp.block([[square, side.T], [side, corner]])


def top_by_squaring(
    matrix: Float[Array, "m m"], live: Float[Array, " m"], k: int, squarings: int
) -> tuple[Float[Array, " k"], Float[Array, "k m"]]:
    """The k leading eigenpairs of a small symmetric matrix, by products alone.

    Args:
        matrix: `[m, m]`, positive semi-definite but for rounding.
        live: `[m]` 1 for rows that are in use, 0 for the others, which are zero.
        k: how many.
        squarings: of the matrix, for each vector.

    Returns:
        `(values [k], vectors [k, m])`; rows of unit length, orthogonal to rounding.
        Where fewer than k rows are live the rest is 0.
    """
    # M M^T and not M M: symmetric to the last digit, where rounding would turn what is
    # nearly a multiple of the identity, a little more with every squaring.
    square_of = lambda m: einsum("ij,kj->ik", m, m)
    info = jnp.finfo(matrix.dtype)
    # Small beside the matrix, large beside what rounding leaves of deflated parts.
    shift = 8 * info.eps * jnp.trace(matrix) + info.tiny
    matrix = matrix + shift * jnp.diag(live)

    def unit_size(square: Array) -> Array:
        # Entries first: the squares of small ones must not underflow.
        square = square / jnp.maximum(jnp.max(jnp.abs(square)), info.tiny)
        return square / jnp.maximum(jnp.sqrt(jnp.sum(square**2)), info.tiny)

    def leading(state: tuple[Array, Array], _: Any) -> tuple[Any, Any]:
        rest, before = state
        power, _ = jax.lax.scan(
            lambda m, _: (unit_size(square_of(m)), None),
            unit_size(rest),
            None,
            length=squarings,
        )
        lengths = jnp.diagonal(power)
        vector = power[:, jnp.argmax(lengths >= NEARLY * jnp.max(lengths))]
        for _ in range(2):  # what rounding left of the vectors before
            overlap = einsum("km,m->k", before, vector)
            vector = vector - einsum("km,k->m", before, overlap)
            vector = vector / jnp.maximum(jnp.linalg.norm(vector), info.tiny)
        value = einsum("m,mn,n->", vector, matrix, vector)
        for _ in range(2):  # (I - y y^T) T (I - y y^T), and what rounding left of y
            projected = einsum("mn,n->m", rest, vector)
            outer = vector[:, None] * projected[None]
            both = jnp.sum(vector * projected) * vector[:, None] * vector[None]
            rest = rest - outer - outer.T + both
        before = jnp.roll(before, 1, axis=0).at[0].set(vector)
        return (rest, before), (value - shift, vector)

    none = jnp.zeros((k, matrix.shape[0]), matrix.dtype)
    _, (values, vectors) = jax.lax.scan(leading, (matrix, none), None, length=k)
    return values, vectors
