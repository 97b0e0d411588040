"""The streams of keys: each as runs were made with, and no two alike."""

import itertools

import jax
import numpy as np

from spectral_tf.sampling.blocks import BLOCK_STREAM
from spectral_tf.sampling.mixtures import FAMILY_STREAM
from spectral_tf.settings import random_key
from spectral_tf.training import streams


def folded(key, *numbers):
    for number in numbers:
        key = jax.random.fold_in(key, number)
    return tuple(np.asarray(jax.random.key_data(key)).tolist())


def test_the_keys_are_those_that_shipped_runs_were_made_with():
    key = random_key(3)
    assert folded(streams.shape_key(key, 2)) == folded(key, 2)
    assert folded(streams.start_key(key, 2, 40)) == folded(key, 1_000_003, 2, 40)
    assert folded(streams.warm_key(key, 5)) == folded(key, 1_000_000_012)
    assert folded(streams.heldout_key(3)) == folded(key, 2_000_003)
    assert (FAMILY_STREAM, BLOCK_STREAM) == (1_000_033, 1_000_037)


def test_no_stream_is_another_or_that_of_a_shape():
    key, few = random_key(0), range(4)
    keys = [streams.shape_key(key, place) for place in few]
    keys += [streams.start_key(key, p, s) for p, s in itertools.product(few, few)]
    keys += [streams.warm_key(streams.start_key(key, 0, 0), index) for index in few]
    heldout = streams.heldout_key(0)
    keys += [heldout, *(streams.shape_key(heldout, place) for place in few)]
    assert len({folded(one) for one in keys}) == len(keys)
