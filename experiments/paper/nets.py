"""Small networks, trained here: their configurations, and learning from n instances."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import methods
import numpy as np

from spectral_tf import EnsembleConfig, ModelConfig, Network, TrainConfig, model_preset
from spectral_tf.sampling import Instance
from spectral_tf.settings import compiled_settings, random_key
from spectral_tf.training import (
    init_state,
    instance_loss,
    learning_rate,
    optimiser,
    parts_of,
)

KINDS = ("equivariant", "dense")


def configuration(
    kind: str, dim: int, rows: int, k: int, **changes: Any
) -> ModelConfig:
    """The one place where this folder says what a trained network is made of.

    Args:
        kind: of `KINDS`; `dense` is preset `register`, ordinary weights for one d.
        dim: d.
        rows: N, which a read-out of all tokens fixes.
        k: components.
        **changes: of the preset's fields.

    Returns:
        The configuration, of the preset where `changes` are silent.
    """
    if kind == "equivariant":
        return model_preset("equivariant", num_components=k, **changes)
    fixed = {"num_samples": rows} if changes.get("readout") == "flatten" else {}
    return model_preset("register", dim=dim, num_components=k, **fixed, **changes)


def run_of(model: ModelConfig, shape: tuple[int, int], **changes: Any) -> TrainConfig:
    """A run on tables of one shape, that evaluates and saves nothing on its way."""
    return TrainConfig(model=model, shapes=(shape,), **changes)


@functools.cache
def instances(
    what: str,
    seed: int,
    sizes: tuple[tuple[int, int], int, int],
    *,
    by_convention: bool = True,
) -> Instance:
    """Tables of the authors' family with their right answers, float32.

    Args:
        what: they are for: other tables for every name and seed.
        seed: of the instances.
        sizes: (d, N), k, and how many.
        by_convention: the largest entry of a vector is positive, not LAPACK's sign.

    Returns:
        All in one, with a leading axis.
    """
    (shape, k, count), key = sizes, methods.key_for(what, seed)
    dim, rows = shape
    ensemble = EnsembleConfig(dim=dim, num_samples=rows, num_components=k)
    x = methods.rows_of(key, ensemble, count)
    own = methods.exact(methods.covariances(x), k)
    vectors = own.vectors
    if by_convention:
        index = np.argmax(np.abs(vectors), axis=2)[..., None]
        vectors = vectors * np.sign(np.take_along_axis(vectors, index, axis=2))
    mask = np.ones(x.shape[:2], bool)
    as_floats = lambda leaf: jnp.asarray(leaf, jnp.float32)
    return Instance(
        as_floats(x), jnp.asarray(mask), as_floats(own.values), as_floats(vectors)
    )


@functools.partial(jax.jit, static_argnums=0)
def _steps(
    config: TrainConfig, state: Any, data: Instance, count: Any, key: Any
) -> Any:
    """All steps of a run, each on a batch of the first `count` instances."""
    part, mover = parts_of(config)[0], optimiser(config)

    def mean_loss(params: Any, batch: Instance) -> Any:
        loss = lambda one: instance_loss(config, part, params, one, None)[0]
        return jnp.mean(jax.vmap(loss)(batch))

    def step(carry: Any, index: Any) -> tuple[Any, None]:
        params, moments = carry
        chosen = jax.random.randint(
            jax.random.fold_in(key, index), (config.batch_size,), 0, count
        )
        batch = jax.tree.map(lambda leaf: leaf[chosen], data)
        gradient = jax.grad(mean_loss)(params, batch)
        updates, moments = mover.update(gradient, moments, params)
        rate = learning_rate(config, index, config.num_steps)
        params = jax.tree.map(lambda p, u: p - rate * u, params, updates)
        return (params, moments), None

    start = (state.params, state.opt_state)
    (params, _), _ = jax.lax.scan(step, start, jnp.arange(config.num_steps))
    return params


@compiled_settings()
def fitted(config: TrainConfig, data: Instance, count: int) -> Network:
    """The network after `config.num_steps` steps on the first `count` instances.

    Args:
        config: of the run; its seed gives the first weights and the batches.
        data: B >= count instances; the compiled program depends on B alone.
        count: n, of which every batch is drawn with replacement.

    Returns:
        The network after the last step.
    """
    state, key = init_state(config), random_key(config.seed + 1)
    # Of equal runs but for the seed one program is compiled.
    params = _steps(config.replace(seed=0), state, data, jnp.asarray(count), key)
    return Network(config.model, params)


@jax.jit
def _answers(network: Network, x: Any) -> Any:
    return jax.lax.map(network, x, batch_size=100)


def answered(network: Network, x: Any) -> methods.Answer:
    """What a network answers for `[B, N, d]` rows."""
    found = _answers(network, jnp.asarray(x, jnp.float32))
    return methods.Answer(*(np.asarray(leaf, np.float64) for leaf in found))
