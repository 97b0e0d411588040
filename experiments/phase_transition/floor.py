r"""The least misclassification that a method of the rows alone can have.

The rows are :math:`x_i = y_i \mu + e_i` with :math:`|\mu| = r` known, :math:`\mu`
uniform on the sphere and the signs :math:`y_i` independent and even. That is the law
by which the instances are drawn, so the best labels under the posterior have the least
expected misclassification of all methods. They are the best in the worst case too: the
problem looks the same after a rotation, and after a change of signs of rows, and by the
Hunt-Stein theorem the even law over these two compact groups is the least favourable
one. So this curve is the minimax misclassification at known r.

Labels :math:`\hat y` lose :math:`(1 - |\langle y, \hat y\rangle| / N) / 2`, since names
mean nothing; the best ones maximise :math:`E[|\langle y, \hat y\rangle| \mid x]`.

*Exact*: both conditional laws of the Gibbs sampler, :math:`P(y_i = 1 \mid \mu) =
1/(1 + e^{-2\langle x_i, \mu\rangle})` and :math:`p(\mu \mid y) \propto
e^{\langle\mu, \sum_i y_i x_i\rangle}` on the sphere (von Mises-Fisher).

*Approximate*: the chain is finite; given :math:`\mu` the sum of N independent signs
:math:`\langle y, \hat y\rangle` is taken as normal, with its true mean and variance;
and the maximum is sought by ascent from a few starts. `run.py` checks all of it: a
chain that starts at the true mean against one that starts anywhere, the expected loss
against the measured one, and, for d = 2, the integral over the angle.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import erf
from jaxtyping import Array, Float

from spectral_tf.spectra import einsum, unit

TRIES = 4
"""Proposals of one draw on the sphere; if all are rejected, the mean stays."""
STARTS = 3
"""Starts of the ascent besides the leading eigenvector."""
ASCENTS = 12
"""Steps of the ascent, and of the power method before it."""


class Posterior(NamedTuple):
    """Means drawn from the posterior of an instance, or on a grid.

    Attributes:
        means: `[S, d]`; whether one of them or its mirror image is of no account.
        weights: `[S]` sum 1.
    """

    means: Array
    weights: Array


def draw_on_sphere(
    key: Array, pull: Float[Array, " d"], mean: Float[Array, " d"]
) -> Float[Array, " d"]:
    r"""A draw of :math:`p(\mu) \propto e^{\langle\mu, pull\rangle}`, |mu| as `mean`.

    Whether all proposals are rejected does not depend on `mean`, so that to keep it
    then leaves the law as it is.

    Source: Wood (1994), Simulation of the von Mises Fisher distribution; its beta
        variable is (1 + c) / 2 with c a coordinate of a uniform point on the sphere.
    """
    dim, length = mean.shape[0], jnp.linalg.norm(mean)
    kappa = length * jnp.linalg.norm(pull)
    key_points, key_uniform, key_side = jax.random.split(key, 3)
    points = unit(jax.random.normal(key_points, (TRIES, dim)))
    share = 0.5 * (1 + points[:, 0])
    b = (dim - 1) / (2 * kappa + jnp.sqrt(4 * kappa**2 + (dim - 1) ** 2))
    top = (1 - b) / (1 + b)
    cosine = (1 - (1 + b) * share) / (1 - (1 - b) * share)
    odds = jnp.log(1 - top * cosine) - jnp.log(1 - top**2)
    log_ratio = kappa * (cosine - top) + (dim - 1) * odds
    accepted = log_ratio >= jnp.log(jax.random.uniform(key_uniform, (TRIES,)))
    along = cosine[jnp.argmax(accepted)]
    axis, side = unit(pull), jax.random.normal(key_side, (dim,))
    side = unit(side - jnp.dot(side, axis) * axis)
    across = jnp.sqrt(jnp.maximum(1 - along**2, 0.0))
    drawn = length * (along * axis + across * side)
    return jnp.where(jnp.any(accepted), drawn, mean)


def gibbs_means(
    key: Array,
    x: Float[Array, "N d"],
    start: Float[Array, " d"],
    plan: tuple[int, int, int],
) -> Float[Array, "S d"]:
    """Means drawn from the posterior, and its mirror image, by Gibbs sampling.

    Args:
        key: consumed.
        x: rows.
        start: first mean; its length is the known one.
        plan: sweeps that are thrown away, means that are kept, sweeps for each of them.
    """
    burn, keep, thin = plan

    def sweep(mean: Array, key: Array) -> tuple[Array, None]:
        key_signs, key_mean = jax.random.split(key)
        chance = jax.nn.sigmoid(2 * einsum("nd,d->n", x, mean))
        is_plus = jax.random.uniform(key_signs, chance.shape) < chance
        pull = einsum("n,nd->d", jnp.where(is_plus, 1.0, -1.0), x)
        return draw_on_sphere(key_mean, pull, mean), None

    def several(mean: Array, key: Array) -> tuple[Array, Array]:
        mean = jax.lax.scan(sweep, mean, jax.random.split(key, thin))[0]
        return mean, mean

    key_burn, key_keep = jax.random.split(key)
    mean = jax.lax.scan(sweep, start, jax.random.split(key_burn, burn))[0]
    return jax.lax.scan(several, mean, jax.random.split(key_keep, keep))[1]


def expected_overlap(
    tilts: Float[Array, "S N"], weights: Float[Array, " S"], signs: Float[Array, " N"]
) -> tuple[Float[Array, ""], Float[Array, " S"]]:
    r"""E |<y, signs>|, and its derivative by <E[y | mu], signs> for each mean.

    Args:
        tilts: E[y | mu] of each mean.
        weights: of the means, sum 1.
        signs: the labels.
    """
    mean = einsum("sn,n->s", tilts, signs)
    variance = jnp.sum(1 - tilts**2, axis=1) + 1e-12
    ratio = mean / jnp.sqrt(2 * variance)
    slope = erf(ratio)
    folded = jnp.sqrt(2 * variance / jnp.pi) * jnp.exp(-(ratio**2)) + mean * slope
    return jnp.sum(weights * folded), slope


def tilts_of(x: Float[Array, "N d"], posterior: Posterior) -> Float[Array, "S N"]:
    """E[y | mu] of each mean."""
    return jnp.tanh(einsum("sd,nd->sn", posterior.means, x))


def best_labels(x: Float[Array, "N d"], posterior: Posterior) -> Float[Array, " N"]:
    """Signs with the largest E |<y, signs>|.

    The expectation is convex in the signs, so that to go to the signs of its gradient
    never lowers it.

    Args:
        x: rows.
        posterior: of this instance.
    """
    tilts, weights = tilts_of(x, posterior), posterior.weights

    def turn(vector: Array, _: None) -> tuple[Array, None]:
        image = einsum("sn,n->s", tilts, vector)
        return unit(einsum("sn,s->n", tilts, weights * image)), None

    def climb(signs: Array, _: None) -> tuple[Array, None]:
        slope = expected_overlap(tilts, weights, signs)[1]
        gradient = einsum("sn,s->n", tilts, weights * slope)
        return jnp.where(gradient < 0, -1.0, 1.0), None

    likeliest = tilts[jnp.argmax(weights)]
    leading = jax.lax.scan(turn, likeliest, None, length=ASCENTS)[0]
    some = tilts[jnp.linspace(0, len(weights) - 1, STARTS).astype(int)]
    starts = jnp.sign(jnp.concatenate([leading[None], some]))

    def from_start(start: Array) -> tuple[Array, Array]:
        signs = jax.lax.scan(climb, start, None, length=ASCENTS)[0]
        return signs, expected_overlap(tilts, weights, signs)[0]

    every, overlaps = jax.vmap(from_start)(starts)
    return every[jnp.argmax(overlaps)]


def expected_loss(
    x: Float[Array, "N d"], posterior: Posterior, signs: Float[Array, " N"]
) -> Float[Array, ""]:
    """Expected misclassification of any signs under the posterior."""
    overlap = expected_overlap(tilts_of(x, posterior), posterior.weights, signs)[0]
    return 0.5 * (1 - overlap / x.shape[0])


@functools.partial(jax.jit, static_argnames=("plan", "chunk"))
def gibbs_posterior(
    key: Array,
    x: Float[Array, "B N d"],
    means: Float[Array, "B d"],
    plan: tuple[int, int, int],
    at_truth: bool = False,
    chunk: int = 100,
) -> Posterior:
    """The posterior of each instance by Gibbs sampling.

    Args:
        key: not consumed: the same call gives the same draws.
        x: rows.
        means: true ones; their length is read, and with `at_truth` all of them.
        plan: as in `gibbs_means`.
        at_truth: the chains start at the true means, not in a random direction.
        chunk: instances at once.
    """

    def one(batch: tuple[Array, Array, Array]) -> Array:
        key, rows, mean = batch
        key_start, key_chain = jax.random.split(key)
        anywhere = unit(jax.random.normal(key_start, mean.shape))
        start = jnp.where(at_truth, mean, jnp.linalg.norm(mean) * anywhere)
        return gibbs_means(key_chain, rows, start, plan)

    keys = jax.random.split(key, len(x))
    draws = jax.lax.map(one, (keys, x, means), batch_size=chunk)
    return Posterior(draws, jnp.full(draws.shape[:2], 1 / draws.shape[1]))


@functools.partial(jax.jit, static_argnames="count")
def angle_posterior(
    x: Float[Array, "B N 2"], means: Float[Array, "B 2"], count: int = 2000
) -> Posterior:
    """The posterior of each instance for d = 2 without a chain: half a circle.

    Args:
        x: rows.
        means: true ones, of which the length is read.
        count: angles.
    """

    def one(batch: tuple[Array, Array]) -> Posterior:
        rows, mean = batch
        angles = jnp.pi * (jnp.arange(count) + 0.5) / count
        circle = jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)
        grid = jnp.linalg.norm(mean) * circle
        fields = einsum("sd,nd->sn", grid, rows)
        log_weights = jnp.sum(jnp.logaddexp(fields, -fields), axis=1)
        return Posterior(grid, jax.nn.softmax(log_weights))

    return jax.lax.map(one, (x, means), batch_size=20)


@jax.jit
def all_best_labels(
    x: Float[Array, "B N d"], posterior: Posterior
) -> Float[Array, "B N"]:
    """`best_labels` of each instance."""
    one = lambda batch: best_labels(*batch)
    return jax.lax.map(one, (x, posterior), batch_size=20)


@jax.jit
def all_expected_losses(
    x: Float[Array, "B N d"], posterior: Posterior, signs: Float[Array, "B N"]
) -> Float[Array, " B"]:
    """`expected_loss` of each instance."""
    one = lambda batch: expected_loss(*batch)
    return jax.lax.map(one, (x, posterior, signs), batch_size=20)
