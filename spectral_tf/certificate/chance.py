r"""A bound on what a span misses that holds with a stated probability, not for certain.

Where a factorisation (`sources.py`) costs too much, a Krylov space is looked at. Let
A = P S P, semi-definite, with P the projector on the complement of the claimed span and
n its dimension, and b a random vector, uniform in direction and independent of S and of
the span. The largest Ritz value :math:`\xi` of A in :math:`\{b, A b, \dots,
A^{q-1} b\}` misses a share :math:`\epsilon` of :math:`\lambda_1(A)` with

.. math:: \Pr\{\lambda_1(A) > \xi / (1 - \epsilon)\} \le 1.648 \sqrt n\,
   e^{-\sqrt\epsilon\,(2 q - 1)} .

*Proof.* Let :math:`\lambda_1 = 1`, :math:`b_i` the coordinates of the unit vector b in
the eigenbasis, and :math:`\xi < 1 - \epsilon`. Every vector p(A) b, p of degree q - 1,
then has a quotient below that:

.. math:: \epsilon\, p(1)^2 b_1^2 \le
   \sum_{\lambda_i < 1 - \epsilon} (1 - \epsilon - \lambda_i)\, p(\lambda_i)^2 b_i^2 .

Write :math:`\lambda = (1 - \epsilon)(1 - s^2)`, so that :math:`s \in [0, 1]` there and
:math:`s = iy,\ y^2 = \epsilon / (1 - \epsilon)` at 1, and take the p with :math:`s\,
p(\lambda) = T_{2q-1}(s)`, an odd polynomial. On the right :math:`s^2 p^2 \le 1`, so the
sum is at most :math:`(1 - \epsilon)(1 - b_1^2)`; on the left :math:`|T_{2q-1}(iy)| =
\sinh\theta` with :math:`\theta = (2q-1)\operatorname{arsinh} y = (2q - 1)
\operatorname{artanh}\sqrt\epsilon`, so :math:`\epsilon\, p(1)^2 = (1 - \epsilon)
\sinh^2\theta`. Together, a miss implies

.. math:: |b_1| \le 1 / \cosh\theta, \qquad \theta \ge (2 q - 1) \sqrt\epsilon .

:math:`b_1` has the density :math:`c_n (1 - t^2)^{(n-3)/2}` on [-1, 1] with :math:`c_n =
\Gamma(\tfrac n2) / (\sqrt\pi\, \Gamma(\tfrac{n-1}2)) \le \sqrt{(n-1) / 2\pi}`
(Gautschi). For n >= 3 it is nowhere above :math:`c_n`, so the chance of it is at most
:math:`2 c_n / \cosh\theta \le \sqrt{2 (n-1)/\pi}\, 2 e^{-\theta} < 1.596 \sqrt n\,
e^{-\theta}`; for n = 2 it is :math:`\tfrac2\pi \arcsin(1/\cosh\theta) \le 2
e^{-\theta}`, below :math:`1.648 \sqrt 2\, e^{-\theta}`; for n = 1 nothing is missed.
The constant of the paper, used here, is 2 times .824 and holds for every n. The bound
on :math:`b_1` is sharp: it is reached for eigenvalues at the extrema of
:math:`T_{2q-1}` (`tests/certificate/test_chance_theorem.py` counts both sides).

*More starts.* The space of s independent vectors holds that of each, so it fails only
if all do: the s-th power. Solved for the share at a given chance :math:`\eta`,

.. math:: \sqrt\epsilon = \frac{\ln(1.648 \sqrt n) + \frac1s \ln\frac1\eta}{2 q - 1} .

The space is grown until the bound is of use, at most through `LENGTHS`; each of them
has an equal part of :math:`\eta`, so that stopping early is no choice among chances.
Where it fills the complement, nothing is left to chance but rounding.

*What the probability is over.* The draw of the vectors, whatever the table is. The seed
is fixed by default, so that the same table gets the same statement again; a table that
was made with this seed in view is out of its scope.

*Rounding.* Steps are orthogonal to all before them; a step off by f is an exact one of
A + E with |E| <= f for each block, so E adds to both sides. Directions that are nothing
but rounding only widen the space, which makes the bound larger.

Source: Kuczynski & Wozniakowski (1992), SIAM J. Matrix Anal. Appl. 13, for the bound
and its constant; the proof above stands by itself.
"""

import dataclasses
import math

import numpy as np

from spectral_tf.certificate.sources import Complement, Source
from spectral_tf.certificate.tall import orthonormal
from spectral_tf.config import require
from spectral_tf.moments import UNIT_ROUNDOFF

ETA = 1e-3
"""The chance that is taken by default."""
STARTS = 8
"""s: more cost as much as they save."""
LENGTHS = (5, 10, 20, 40)
"""q: products with S, of s vectors each, after which the bound is looked at."""
FACTOR = 1.648
"""Of the bound, see above: 1.596 would do for n >= 3."""
SEED = 1992
"""Of the random vectors; nothing else in the package draws from it."""


@dataclasses.dataclass(frozen=True)
class Chance:
    """The chance that a statement may be false, and the draw that it is over.

    Attributes:
        eta: in (0, 1).
        seed: of the random vectors; independent of the table.
    """

    eta: float = ETA
    seed: int = SEED

    def __post_init__(self) -> None:
        require(
            0 < self.eta < 1,
            f"eta={self.eta} must lie in (0, 1), the chance of a false statement, "
            f"e.g. {ETA:g}.",
        )

    def half(self) -> "Chance":
        """The same with half the chance, for a second statement about the same S."""
        return Chance(self.eta / 2, self.seed)

    def other(self) -> "Chance":
        """The same with another draw."""
        return Chance(self.eta, self.seed + 1)


def missed_share(size: int, products: int, starts: int, eta: float) -> float:
    """Epsilon: the share of the largest eigenvalue that is missed with chance eta.

    Args:
        size: n, order of the matrix.
        products: q.
        starts: s.
        eta: in (0, 1).

    Returns:
        1 or more where nothing can be said.

    Source: Kuczynski & Wozniakowski (1992), SIAM J. Matrix Anal. Appl. 13.
    """
    root = math.log(FACTOR * math.sqrt(size)) + math.log(1 / eta) / starts
    return (root / (2 * products - 1)) ** 2


def probable(
    source: Source, basis: np.ndarray, target: float, chance: Chance
) -> Complement:
    """A bound of a semi-definite S on the complement of a span, for one chance.

    Args:
        source: S.
        basis: `[d, m]` orthonormal columns, m < d.
        target: the space grows until the bound is below this, or for `LENGTHS`.
        chance: eta, and the draw.

    Returns:
        The smallest bound, of method `chance`; infinite if there is none.
    """
    size, eta = source.dim - basis.shape[1], chance.eta / len(LENGTHS)
    starts = min(STARTS, size)
    rng = np.random.default_rng(chance.seed)
    space = basis
    following = rng.standard_normal((source.dim, starts))
    image = np.zeros((source.dim, 0))
    best = math.inf
    for products in range(1, LENGTHS[-1] + 1):
        space = widened(space, following)
        following = source.product(space[:, basis.shape[1] + image.shape[1] :])
        image = np.concatenate([image, following], axis=1)
        is_whole = image.shape[1] == size
        if products in LENGTHS or is_whole:
            share = 0.0 if is_whole else missed_share(size, products, starts, eta)
            best = min(best, _bound(source, space[:, basis.shape[1] :], image, share))
        if is_whole or (math.isfinite(best) and best <= target):
            break
    return Complement(best, "chance")


def widened(space: np.ndarray, block: np.ndarray) -> np.ndarray:
    """`[d, m + s]` orthonormal: a space and what a block has outside of it."""
    left = min(block.shape[1], len(space) - space.shape[1])
    for _ in range(2):
        for _ in range(2):
            block = block - space @ (space.T @ block)
        # What vanished comes back as rounding: some direction, orthogonal at last.
        block = (
            orthonormal(block)[0]
            if left == block.shape[1]
            else np.linalg.svd(block, full_matrices=False)[0][:, :left]
        )
    return np.concatenate([space, block], axis=1)


def _bound(source: Source, basis: np.ndarray, image: np.ndarray, share: float) -> float:
    """The largest Ritz value over 1 - epsilon, with rounding; inf for no statement."""
    if share >= 1:
        return math.inf
    inner = basis.T @ image
    value = float(np.linalg.eigvalsh((inner + inner.T) / 2)[-1])
    width = basis.shape[1]
    # |E| <= |E|_F, of `width` columns that are off by `slack` each.
    off = math.sqrt(width) * source.slack + 16 * width * UNIT_ROUNDOFF * source.norm
    return (max(value, 0.0) + off) / (1 - share) + off
