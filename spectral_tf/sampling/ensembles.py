"""Families of random tables: one pure function `(key, config) -> x [N, d]` each.

To use one of your own, write such a function in any module that Python can import and
set `EnsembleConfig(family=Imported(function="package.module:function"))`; nothing is
changed here, and
`prescribed(spectrum)` makes one of any spectrum. A family that the package brings is
named in `ENSEMBLES` and has a class in `config/families.py`.
All are written for one instance; `sampler.py` lifts them with `jax.vmap`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from spectral_tf.config import EnsembleConfig, Imported
from spectral_tf.config.families import imported_family
from spectral_tf.sampling import prescribed as laws
from spectral_tf.sampling.instance import Instance, make_instance
from spectral_tf.sampling.orientation import Sample
from spectral_tf.sampling.prescribed import Turned, prescribed
from spectral_tf.sampling.rows import (
    authors,
    correlated,
    scaled,
    student_t,
    whitened_straight,
)

Family = Callable[[Array, EnsembleConfig], Sample]

ENSEMBLES: dict[str, Family] = {
    "authors": authors,
    "power_law": prescribed(laws.power_law),
    "spiked": prescribed(laws.spiked),
    "flat": prescribed(laws.flat),
    "linear": prescribed(laws.linear),
    "low_rank": prescribed(laws.low_rank),
    "student_t": student_t,
    "semicircle": prescribed(laws.semicircle),
    "marchenko_pastur": prescribed(laws.marchenko_pastur),
    "uniform": prescribed(laws.uniform),
    "laplace": prescribed(laws.laplace),
    "gapped": prescribed(laws.gapped),
    "correlated": correlated,
    "whitened": Turned(whitened_straight),
    "scaled": scaled,
}


def family(config: EnsembleConfig) -> Family:
    """The function of `config.family`, of the package or of the user.

    Args:
        config: checked on construction, so a user's function exists.

    Returns:
        `(key, config) -> x [N, d]`.
    """
    if isinstance(config.family, Imported):
        return imported_family(config.family.function)
    return ENSEMBLES[config.family.kind]


def valid_rows(
    key: Array, least: int | Int[Array, ""], num_samples: int
) -> Bool[Array, " N"]:
    """A mask whose number of valid rows is uniform in `[least, num_samples]`."""
    count = jax.random.randint(key, (), least, num_samples + 1)
    return jnp.arange(num_samples) < count


def sample_instance(key: Array, config: EnsembleConfig) -> Instance:
    """One instance of the family of `config`.

    Args:
        key: typed PRNG key; consumed.
        config: family and sizes. With `min_samples`, the number of valid rows is
            uniform in `[min_samples, num_samples]` and the others are masked.

    Returns:
        The instance, targets from `eigh` of its own sample covariance.
    """
    key_rows, key_count = jax.random.split(key)
    x = family(config)(key_rows, config)
    mask = None
    if config.min_samples is not None:
        mask = valid_rows(key_count, config.min_samples, config.num_samples)
    return make_instance(x, mask, config.num_components)
