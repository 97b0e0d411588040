"""Mixtures: the family of each instance is drawn by weights that move with progress."""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from spectral_tf.config import EnsembleConfig, MixturePart, require
from spectral_tf.config.ensemble import check_weights
from spectral_tf.sampling.ensembles import family, valid_rows
from spectral_tf.sampling.instance import Instance, make_instance
from spectral_tf.sampling.orientation import Sample, oriented
from spectral_tf.sampling.prescribed import Turned
from spectral_tf.settings import random_category

FAMILY_STREAM = 1_000_033
"""Folded into an instance's key to draw its family."""


def mixture_weights(
    parts: tuple[MixturePart, ...], progress: float | Float[Array, ""]
) -> Float[Array, " P"]:
    """How often each part is drawn, relative to the others.

    Args:
        parts: P of them.
        progress: of the run, clipped to [0, 1]: weights go linearly from `weight`
            to `final_weight`.

    Returns:
        `[P]` >= 0, not normalised.

    Raises:
        ConfigError: if all weights are zero at the start or at the end.
    """
    check_weights(parts)
    first = np.array([part.weight for part in parts], np.float32)
    last = np.array(
        [p.weight if p.final_weight is None else p.final_weight for p in parts],
        np.float32,
    )
    share = jnp.clip(progress, 0.0, 1.0)
    return (1 - share) * first + share * last


def _require_same_sizes(parts: tuple[MixturePart, ...]) -> None:
    require(
        len(parts) > 0,
        "A mixture of parts=() must have at least one MixturePart; name a family.",
    )
    for name in ("dim", "num_samples", "num_components"):
        values = sorted({getattr(part.ensemble, name) for part in parts})
        require(
            len(values) == 1,
            f"The parts of a mixture have {name}={', '.join(map(str, values))}; it "
            f"must be the same in all, set it by `part.ensemble.replace({name}=...)`.",
        )


def _rows(
    key: Array, index: Int[Array, ""], configs: Sequence[EnsembleConfig]
) -> Sample:
    """Rows of the family with this index.

    Under vmap all branches run. So families that end in a random orientation leave it
    to the end, where one of each kind serves all: a QR in every branch would cost as
    much as the one `eigh` that follows.
    """
    branches, kinds = [], []
    for config in configs:
        sample = family(config)
        is_turned = isinstance(sample, Turned)
        straight = sample.straight if is_turned else sample
        branches.append(functools.partial(_call, straight, config))
        kinds.append(config.orientation if is_turned else "none")
    rows = jax.lax.switch(index, branches, key)
    key_turn = jax.random.split(key)[0]
    for kind in sorted({*kinds} - {"none"}):
        is_of_kind = jnp.array([branch_kind == kind for branch_kind in kinds])[index]
        config = configs[kinds.index(kind)]
        rows = jnp.where(is_of_kind, oriented(key_turn, rows, config), rows)
    return rows


def _call(sample: Callable[..., Sample], config: EnsembleConfig, key: Array) -> Sample:
    return sample(key, config)


def sample_mixture(
    key: Array, parts: tuple[MixturePart, ...], progress: float | Float[Array, ""]
) -> Instance:
    """One instance of one of the families, drawn by their weights.

    It is the instance that `sample_instance` draws from the same key and the family
    that came up: a mixture of one part is that part.

    Args:
        key: typed PRNG key; consumed.
        parts: with the same d, N and k; static. The number of valid rows follows the
            `min_samples` of the part that came up.
        progress: of the run, in [0, 1]; see `mixture_weights`.

    Returns:
        The instance, targets from one `eigh` of its own sample covariance.

    Raises:
        ConfigError: if there is no part, if their sizes differ, or if all weights
            are zero.
    """
    x, mask = mixture_rows(key, parts, progress)
    return make_instance(x, mask, parts[0].ensemble.num_components)


def mixture_rows(
    key: Array, parts: tuple[MixturePart, ...], progress: float | Float[Array, ""]
) -> tuple[Sample, Bool[Array, " N"] | None]:
    """The rows of `sample_mixture`, before anything is computed from them.

    Args:
        key: typed PRNG key; consumed.
        parts: as for `sample_mixture`.
        progress: as for `sample_mixture`.

    Returns:
        `(x [N, d], mask [N])`; the mask is None if every row of every part is valid.

    Raises:
        ConfigError: as `sample_mixture`.
    """
    _require_same_sizes(parts)
    configs = [part.ensemble for part in parts]
    logits = jnp.log(mixture_weights(parts, progress))
    index = random_category(jax.random.fold_in(key, FAMILY_STREAM), logits)
    key_rows, key_count = jax.random.split(key)
    x = _rows(key_rows, index, configs)
    num_samples, mask = configs[0].num_samples, None
    if any(config.min_samples is not None for config in configs):
        least = jnp.array([config.min_samples or num_samples for config in configs])
        mask = valid_rows(key_count, least[index], num_samples)
    return x, mask
