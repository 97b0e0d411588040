"""Instances with their right answers: random families, and tables cut into blocks."""

from typing import TYPE_CHECKING

from spectral_tf.lazy import lazily

if TYPE_CHECKING:
    from spectral_tf.sampling.blocks import block_batch, block_rows
    from spectral_tf.sampling.ensembles import ENSEMBLES, family, sample_instance
    from spectral_tf.sampling.instance import Instance, make_instance
    from spectral_tf.sampling.mixtures import mixture_weights, sample_mixture
    from spectral_tf.sampling.orientation import uniform_rotation
    from spectral_tf.sampling.past import PastTable, load_past
    from spectral_tf.sampling.real import row_blocks, svd_reduce
    from spectral_tf.sampling.sampler import (
        batch_at,
        instance_keys,
        mixture_batch_at,
        sample_batch,
    )

__all__ = [
    "ENSEMBLES",
    "Instance",
    "PastTable",
    "batch_at",
    "block_batch",
    "block_rows",
    "family",
    "instance_keys",
    "load_past",
    "make_instance",
    "mixture_batch_at",
    "mixture_weights",
    "row_blocks",
    "sample_batch",
    "sample_instance",
    "sample_mixture",
    "svd_reduce",
    "uniform_rotation",
]

_HOMES = {
    "blocks": ("block_batch", "block_rows"),
    "ensembles": ("ENSEMBLES", "family", "sample_instance"),
    "instance": ("Instance", "make_instance"),
    "mixtures": ("mixture_weights", "sample_mixture"),
    "orientation": ("uniform_rotation",),
    "past": ("PastTable", "load_past"),
    "real": ("row_blocks", "svd_reduce"),
    "sampler": ("batch_at", "instance_keys", "mixture_batch_at", "sample_batch"),
}
"""Module -> the public names that it defines."""

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES)
