"""The keys of a run: one seed, and from it a stream for everything that is drawn.

Instance g of step s is drawn from `fold_in(fold_in(shape_key, s), g)`
(sampling/sampler.py), so it depends neither on the number of devices nor on the depth
of the network. What is drawn beside the instances has a constant folded in that no
step, index or place of a shape reaches. Two more are folded into an instance's own key:
`FAMILY_STREAM` (sampling/mixtures.py) and `BLOCK_STREAM` (sampling/blocks.py).
"""

import jax
from jaxtyping import Array, Int

from spectral_tf.settings import random_key

START_STREAM = 1_000_003
"""Start vectors of the registers, drawn anew at every step."""

WARM_STREAM = 1_000_000_007
"""Which registers start near the answer, and how near. Added to the index of an
instance, whose start vectors have the index itself: shipped runs are made so."""

HELDOUT_STREAM = 2_000_003
"""Instances that no step trains on."""


def shape_key(key: Array, place: int) -> Array:
    """Of the instances of the shape at this place in `config.shapes`.

    Args:
        key: of the run, or of its held-out instances; not consumed.
        place: from 0.
    """
    return jax.random.fold_in(key, place)


def start_key(key: Array, place: int, step: int | Int[Array, ""]) -> Array:
    """Of the start vectors of one shape at one step.

    Args:
        key: of the run; not consumed.
        place: of the shape, from 0.
        step: of the run.
    """
    key = jax.random.fold_in(jax.random.fold_in(key, START_STREAM), place)
    return jax.random.fold_in(key, step)


def warm_key(key: Array, index: int | Int[Array, ""]) -> Array:
    """Of how near the answer one instance starts.

    Args:
        key: of the start vectors of this shape and step; not consumed.
        index: global one of the instance.
    """
    return jax.random.fold_in(key, index + WARM_STREAM)


def heldout_key(seed: int) -> Array:
    """Of all held-out instances of a run.

    Args:
        seed: of the run.
    """
    return jax.random.fold_in(random_key(seed), HELDOUT_STREAM)
