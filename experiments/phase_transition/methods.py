"""The methods by name, each `(instances) -> labels [B, N]` of 0 and 1.

A learned network is one more function of this kind in `methods`.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from config import Study
from floor import all_best_labels, gibbs_posterior
from threadpoolctl import threadpool_limits

from spectral_tf import clustering, mixture_labels, mixture_params
from spectral_tf.clustering import ClusterInstance
from spectral_tf.constructive import spectral_scores, start_rows
from spectral_tf.estimators import top_pairs
from spectral_tf.settings import random_key

Method = Callable[[ClusterInstance], np.ndarray]

KNOWS, FLOOR = "knows mu", "floor"
NETWORK, EM = "constructed spectral", "constructed EM"
CENTRED, DIRECTION = "leading direction, centred", "leading direction"
REFINED = "refined (Ndaoud)"
CHEAP = (KNOWS, CENTRED, DIRECTION)
"""Run on more instances than the others."""


def knows_mu(instances: ClusterInstance) -> np.ndarray:
    """The side of each row on the true mean."""
    means = np.asarray(instances.means, np.float64)[:, 0]
    rows = np.asarray(instances.x, np.float64)
    return (np.einsum("bnd,bd->bn", rows, means) < 0).astype(int)


def floor_labels(
    instances: ClusterInstance, plan: tuple[int, int, int], seed: int
) -> np.ndarray:
    """The best labels of one who knows |mu| and not mu."""
    x, means = instances.x, instances.means[:, 0]
    posterior = gibbs_posterior(random_key(seed), x, means, plan)
    return (np.asarray(all_best_labels(x, posterior)) < 0).astype(int)


@functools.cache
def network(dim: int, num_iters: int, variant: str) -> Method:
    """A constructed network; it is compiled once."""
    constructed = mixture_params(dim, num_iters, variant)

    def one(x: jax.Array) -> jax.Array:
        return mixture_labels(constructed, x).labels

    run = jax.jit(lambda rows: jax.lax.map(one, rows, batch_size=4))
    return lambda instances: np.asarray(run(instances.x))


def power_method(instances: ClusterInstance, num_iters: int) -> np.ndarray:
    """What the constructed network must say: as many steps from the same start."""
    start = start_rows(instances.x.shape[2], 1)[0]
    rows = np.asarray(instances.x, np.float64)
    scores = [spectral_scores(x, start, num_iters) for x in rows]
    return (np.array(scores) < 0).astype(int)


def one_by_one(method: clustering.Method, seed: int) -> Method:
    """A method of the package, on one instance after the other."""

    def run(instances: ClusterInstance) -> np.ndarray:
        rows = np.asarray(instances.x, np.float64)
        with threadpool_limits(limits=1):
            answers = [method(x, 2, seed + index) for index, x in enumerate(rows)]
        return np.array([answer.labels for answer in answers])

    return run


def refined(instances: ClusterInstance) -> np.ndarray:
    """The leading eigenvector of the hollow Gram matrix, then Lloyd-like sign steps.

    Source: Ndaoud (2018), arXiv:1812.08078: H is X X^T with zeros on its diagonal,
        and signs <- sign(H signs), 3 log N times.
    """
    found = []
    for rows in np.asarray(instances.x, np.float64):
        gram = rows @ rows.T
        np.fill_diagonal(gram, 0.0)
        leading = top_pairs(gram, 1)[1][0]
        signs = np.where(leading < 0, -1.0, 1.0)
        for _ in range(math.floor(3 * math.log(len(rows)))):
            signs = np.where(gram @ signs < 0, -1.0, 1.0)
        found.append(signs < 0)
    return np.array(found).astype(int)


def methods(plan: Study, case: tuple[int, int]) -> dict[str, Method]:
    """Name -> method for rows of this d and N."""
    dim, seed = case[0], plan.seed
    found: dict[str, Method] = {
        KNOWS: knows_mu,
        FLOOR: functools.partial(floor_labels, plan=plan.chain, seed=seed + 1),
        NETWORK: network(dim, plan.num_iters, "spectral"),
        CENTRED: one_by_one(clustering.leading_direction(centre=True), seed),
        DIRECTION: one_by_one(clustering.leading_direction(centre=False), seed),
        REFINED: refined,
        "k-means, best of 10": one_by_one(clustering.k_means, seed),
        "mixture, best of 10": one_by_one(
            clustering.gaussian_mixture(10, "spherical"), seed
        ),
    }
    if case in plan.em_cases:
        found[EM] = network(dim, plan.num_iters, "em")
    return found


def first(instances: ClusterInstance, count: int) -> ClusterInstance:
    """The first instances of a batch."""
    cut: Any = jax.tree.map(lambda field: field[:count], instances)
    return cut
