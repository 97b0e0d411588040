"""The constructed engine: passes of a Krylov network until the answer is accurate.

A pass takes `PASS` products with a block of vectors, keeps all that it has seen, and
answers with the best in that space (block Lanczos with full reorthogonalisation and
Rayleigh-Ritz); the next pass starts from there. After each, one product says how
accurate the vectors look, residuals against gaps. Then `polish.py` makes the answer
exact to rounding.

*Network and recursion.* The network is `krylov(b, PASS, block=b)`. Its forward pass is
block Lanczos, proven in `constructive/lanczos.py`; here the same recursion runs in
float64 by BLAS, which needs no compiling for every new size of block. A test holds a
pass of either to the other.

*Which side.* X^T X and X X^T have the same eigenvalues but for zeros, and X^T turns the
eigenvectors u of the second into those of the first. Where a table has fewer rows than
columns, the network reads the Gram matrix of the rows if it is needed for a proof
anyway or cheap to make, else the rows themselves. Directions of almost no variance are
rounding there, and are found of the rows.
"""

import contextlib
import math
from typing import NamedTuple

import numpy as np

from spectral_tf.certificate.sources import LARGEST_FACTOR, CentredRows, Matrix, Source
from spectral_tf.certificate.tall import SMALL, orthonormal
from spectral_tf.config import ModelConfig
from spectral_tf.constructive.lanczos import krylov
from spectral_tf.estimators.costs import rows_cost, square_cost
from spectral_tf.estimators.polish import Span
from spectral_tf.estimators.threads import one_blas_thread
from spectral_tf.model.network import Network

PASS = 10
"""Products of one forward pass of the constructed network."""
MARGIN = 1e-3
"""Iterate until angles look smaller than this times the tolerance."""
EXACT = 1e-12
"""And polish those until they look smaller than this."""
DROPPED = 1e-10
"""A candidate of which deflation leaves no more is rounding."""
NEAR = 1e-9
"""Or than this, where a product reads the rows."""
ENOUGH = 100
"""Times the goal of polishing: above, another pass is worth its products."""
SMALLEST = 1e-8
"""Eigenvalues over the largest that the Gram matrix of the rows knows well enough."""


class Passes(NamedTuple):
    """What the passes reached.

    Attributes:
        span: Ritz pairs, as many as iterate.
        products: with S, that the network took.
        is_accurate: whether the first k look it.
    """

    span: Span
    products: int
    is_accurate: bool


class Effort(NamedTuple):
    """How far the engine goes.

    Attributes:
        tol: radians that the answer should reach.
        max_iter: most products of the network; at least one pass is taken.
        proof: whether the answer will be proven, which takes a square matrix anyway.
    """

    tol: float
    max_iter: int
    proof: bool = True


def network_of(block: int) -> Network[ModelConfig]:
    """The network whose pass `krylov_pass` is.

    Args:
        block: b, vectors that iterate.

    Returns:
        The construction; in double precision its answers are those of a pass.
    """
    return krylov(block, PASS, block=block, floor=DROPPED)


def solved(source: Source, k: int, effort: Effort, start: np.ndarray) -> Passes:
    """The leading eigenpairs of a source by the constructed network.

    Args:
        source: S.
        k: how many are wanted.
        effort: how far it goes.
        start: `[b, d]` start vectors, b >= k.

    Returns:
        The passes, of the source itself.
    """
    if not isinstance(source, CentredRows) or not is_by_gram(
        source, len(start), effort.proof
    ):
        with one_blas_thread():
            return passes(source, k, effort, start)
    with one_blas_thread() if source.x.size <= SMALL else contextlib.nullcontext():
        gram = Matrix(source.gram, source.error, True)
    with one_blas_thread():
        within = passes(gram, k, effort, start @ source.x.T)
    values = within.span.values
    if not within.is_accurate or values[k - 1] <= SMALLEST * values[0]:
        with one_blas_thread():
            return passes(source, k, effort, start)
    known = values > SMALLEST * values[0]
    known[k:] &= not effort.proof  # guards have done their work, and are long
    with one_blas_thread():
        lifted = within.span.vectors[known] @ source.x
        lifted /= np.linalg.norm(lifted, axis=1, keepdims=True)
        span = Span.of(source, lifted).polished(source, k, NEAR)
    return within._replace(span=span)


def is_by_gram(source: CentredRows, count: int, proof: bool) -> bool:
    """Whether the Gram matrix of the rows is there anyway, or cheaper than products."""
    shape = source.x.shape
    if shape[0] >= shape[1] or shape[0] > LARGEST_FACTOR:
        return False
    return proof or square_cost(shape) < rows_cost(shape, count)


def passes(source: Source, k: int, effort: Effort, start: np.ndarray) -> Passes:
    """Passes on one source, until accurate or until it will not become so in time."""
    tol, max_iter, _ = effort
    products, last, vectors = 0, math.inf, start
    goal = EXACT if isinstance(source, Matrix) else NEAR
    while True:
        span = Span.of(source, krylov_pass(source, vectors))
        products += PASS
        angle, passes_left = span.angle(k), (max_iter - products) / PASS
        if angle <= MARGIN * tol or (angle <= tol and passes_left <= 0):
            span = span.polished(source, k, goal)
            # Three steps are not enough where the spectrum is flat; a pass is.
            if span.angle(k) <= ENOUGH * goal or passes_left <= 0 or angle > last / 2:
                break
        elif passes_left <= 0 or not is_promising(angle, last, tol, passes_left):
            break
        last, vectors = angle, span.vectors
    return Passes(span, products, angle <= tol)


def is_promising(angle: float, last: float, tol: float, passes_left: float) -> bool:
    """Whether angles that go on falling as they did will be below tol in time."""
    if angle <= tol or not math.isfinite(last):
        return True
    speed = math.log(max(last / angle, 1.0))
    return speed * passes_left >= math.log(angle / tol)


def krylov_pass(source: Source, start: np.ndarray) -> np.ndarray:
    """`[b, d]` Ritz vectors of the space of `PASS` products from `start [b, d]`."""
    space, image = np.zeros((source.dim, 0)), np.zeros((source.dim, 0))
    block = start.T
    for _ in range(PASS):
        sizes = np.linalg.norm(block, axis=0)
        block = block[:, sizes > 0] / sizes[sizes > 0]
        for _ in range(2):
            block = block - space @ (space.T @ block)
            block, upper = orthonormal(block)
            turn, scales, _ = np.linalg.svd(upper)
            block = block @ turn[:, scales > DROPPED]
        if block.shape[1] == 0:
            break
        space = np.concatenate([space, block], axis=1)
        block = source.product(block)
        image = np.concatenate([image, block], axis=1)
    inner = space.T @ image
    turn = np.linalg.eigh((inner + inner.T) / 2)[1]
    best = (space @ turn[:, : -len(start) - 1 : -1]).T
    if len(best) == len(start):
        return best
    # The space ended early: other directions stand in for the rest.
    return np.linalg.qr(np.concatenate([best, start]).T)[0].T[: len(start)]
