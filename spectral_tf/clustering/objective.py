r"""The loss of a clustering: the best renaming counts.

Clusters have no names, so row i of class :math:`z_i` costs
:math:`-\log p_{i\,\pi^{-1}(z_i)}` under the renaming :math:`\pi` of the whole instance
that makes the mean least. Up to five classes all K! renamings are tried; more are
matched by the Hungarian algorithm. Both run on the device.
"""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from spectral_tf.clustering.instances import ClusterInstance
from spectral_tf.config import ConfigError

MOST_ENUMERATED = 5
"""Largest K of which all K! renamings are tried."""
UNLIKELY = -30.0
"""Least log-probability that a loss sees."""
NEVER = 1e3
"""Cost of renaming a cluster that is there to a class that is not."""


class Matched(NamedTuple):
    """The best renaming: `classes [K]` (cluster j is class classes[j]), `cost []`."""

    classes: Array
    cost: Array


def class_costs(
    log_probabilities: Float[Array, "N K"], labels: Int[Array, " N"]
) -> Float[Array, "K K"]:
    """Mean cost of calling cluster j class c, over the rows of that class.

    Args:
        log_probabilities: of the clusters.
        labels: classes; rows of label -1 cost nothing.

    Returns:
        `[K, K]`; the sum along a renaming is the mean cross-entropy of all rows.
    """
    is_class = jax.nn.one_hot(labels, log_probabilities.shape[1])
    count = jnp.maximum(jnp.sum(labels >= 0), 1)
    logs = jnp.maximum(log_probabilities, UNLIKELY)
    return -jnp.einsum("nk,nc->kc", logs, is_class) / count


def best_renaming(costs: Float[Array, "K K"]) -> Matched:
    """The renaming of least cost.

    Args:
        costs: of cluster j as class c.

    Returns:
        Renaming and cost; the cost is differentiable, the renaming constant.

    Source: the permutation-invariant loss of Yu et al. (2017), arXiv:1607.00325. Beyond
    five classes the Hungarian algorithm, Kuhn (1955), by `optax.assignment`.
    """
    count = len(costs)
    if count < 2:
        raise ConfigError(f"K={count}: renaming needs at least 2 clusters.")
    if count > MOST_ENUMERATED:
        fixed = jax.lax.stop_gradient(costs)
        clusters, matched = optax.assignment.hungarian_algorithm(fixed)
        classes = jnp.zeros(count, matched.dtype).at[clusters].set(matched)
        return Matched(classes, jnp.sum(costs[jnp.arange(count), classes]))
    renamings = jnp.asarray(np.array(list(itertools.permutations(range(count)))))
    totals = jnp.sum(costs[jnp.arange(count)[None], renamings], axis=1)
    best = jnp.argmin(totals)
    return Matched(renamings[best], totals[best])


def renamed(
    log_probabilities: Float[Array, "N K"], instance: ClusterInstance
) -> Matched:
    """The best renaming of an answer to an instance.

    Args:
        log_probabilities: of the clusters.
        instance: a class of weight 0 is not there; the cluster in its place neither.

    Returns:
        See `best_renaming`.
    """
    costs = class_costs(log_probabilities, instance.labels)
    is_present = instance.weights > 0
    return best_renaming(costs + NEVER * (is_present[:, None] != is_present[None]))
