"""One training step: pure, un-batched over devices, the same under every lift.

With an `axis_name` the function is the program of one device among many: it draws its
own share of the global batch (by axis index) and averages over the axis. The loss is
averaged inside the gradient and the gradient once more outside,
`pmean(grad(pmean(loss)))`: the only form that is right both under `pmap`, whose
gradient is local, and under `shard_map`, whose gradient is already summed.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from spectral_tf.config import EnsembleConfig, TrainConfig
from spectral_tf.model.transformer import SpectralTransformer
from spectral_tf.objective import LOSSES, eigenvalue_loss
from spectral_tf.sampling.instance import Instance
from spectral_tf.sampling.sampler import batch_at
from spectral_tf.spectra import abs_cosine
from spectral_tf.training.state import (
    TrainState,
    free_gradients,
    learning_rate,
    optimiser,
)

Metrics = dict[str, Array]

START_STREAM = 1_000_003
"""Folded into the key for start vectors, so that they differ from the data's keys."""


def shape_ensemble(config: TrainConfig, shape: tuple[int, int]) -> EnsembleConfig:
    """The ensemble of `config` at one of its `(d, N)` shapes."""
    dim, num_samples = shape
    return config.ensemble.replace(
        dim=dim,
        num_samples=num_samples,
        num_components=config.model.num_components,
        rank=min(config.ensemble.rank, dim),
    )


def start_vectors(
    config: TrainConfig, key: Array, indices: Int[Array, " B"], dim: int
) -> Float[Array, "B k d"] | None:
    """Gaussian start vectors per instance, keyed by global index; None if fixed."""
    if not config.random_starts or config.model.parameterisation == "dense":
        return None
    one = lambda g: jax.random.normal(
        jax.random.fold_in(key, g), (config.model.num_components, dim)
    )
    return jax.vmap(one)(indices)


def instance_loss(
    config: TrainConfig, params: Any, instance: Instance, start: Array | None
) -> tuple[Float[Array, ""], Metrics]:
    """Loss of one instance, mean over ranks, and its metrics."""
    model = SpectralTransformer(config.model)
    estimate, _ = model.apply({"params": params}, instance.x, instance.mask, start)
    error = eigenvalue_loss(estimate, instance)
    loss = jnp.mean(LOSSES[config.loss](estimate, instance))
    if config.eigenvalue_weight:
        loss += config.eigenvalue_weight * jnp.mean(error)
    cosine = abs_cosine(estimate.eigenvectors, instance.eigenvectors)
    return loss, {"cosine": cosine, "eigenvalue_error": error}


def batch_loss(
    config: TrainConfig,
    params: Any,
    keys: tuple[Array, Array],
    step: Int[Array, ""],
    indices: Int[Array, " B"],
) -> tuple[Float[Array, ""], Metrics]:
    """Mean loss of the instances with these global indices, over all shapes."""
    total, collected = jnp.zeros(()), []
    for place, shape in enumerate(config.shapes):
        data_key, start_key = (jax.random.fold_in(key, place) for key in keys)
        batch = batch_at(data_key, step, indices, shape_ensemble(config, shape))
        starts = start_vectors(
            config, jax.random.fold_in(start_key, step), indices, shape[0]
        )
        one = lambda instance, start: instance_loss(config, params, instance, start)
        axes = (0, None if starts is None else 0)
        loss, metrics = jax.vmap(one, in_axes=axes)(batch, starts)
        total += jnp.mean(loss) / len(config.shapes)
        collected.append(metrics)
    mean = lambda *leaves: jnp.mean(jnp.concatenate(leaves), axis=0)
    return total, jax.tree.map(mean, *collected)


def gradients(
    config: TrainConfig,
    state: TrainState,
    key: Array,
    *,
    axis_name: str | None = None,
    num_shards: int = 1,
) -> tuple[Any, Metrics]:
    """Gradient of the global batch at `state.step`, and the metrics.

    Args:
        config: the run.
        state: read at `state.step`.
        key: key of the run; the data follow from (key, step, global index).
        axis_name: mapped axis to average over; None on a single device.
        num_shards: static size of that axis; must divide `config.batch_size`.

    Returns:
        `(gradients, metrics)`, equal on every device.

    Source: ours.
    """
    local = config.batch_size // num_shards
    shard = 0 if axis_name is None else jax.lax.axis_index(axis_name)
    indices = shard * local + jnp.arange(local)
    keys = (key, jax.random.fold_in(key, START_STREAM))
    average = lambda tree: tree if axis_name is None else jax.lax.pmean(tree, axis_name)

    def loss_fn(params: Any) -> tuple[Float[Array, ""], Metrics]:
        loss, metrics = batch_loss(config, params, keys, state.step, indices)
        return average(loss), metrics

    (loss, metrics), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
    grads, metrics = average((grads, metrics))
    return grads, metrics | {"loss": loss}


def train_step(
    config: TrainConfig,
    state: TrainState,
    key: Array,
    horizon: int | Int[Array, ""],
    *,
    axis_name: str | None = None,
    num_shards: int = 1,
) -> tuple[TrainState, Metrics]:
    """One step of gradient descent.

    Args:
        config: the run; static.
        state: before the step.
        key: key of the run, the same for every step.
        horizon: end of the learning-rate schedule, in steps.
        axis_name: mapped axis, or None.
        num_shards: static size of that axis.

    Returns:
        `(state, metrics)`: loss, |cos| per rank, eigenvalue error per rank, learning
        rate and the global norms of gradient, update and parameters.

    Source: ours.
    """
    grads, metrics = gradients(
        config, state, key, axis_name=axis_name, num_shards=num_shards
    )
    grads = free_gradients(state, grads)
    updates, opt_state = optimiser(config).update(grads, state.opt_state, state.params)
    rate = learning_rate(config, state.step, horizon)
    updates = jax.tree.map(lambda update: -rate * update, updates)
    params = optax.apply_updates(state.params, updates)
    norms = {
        "grad_norm": optax.tree.norm(grads),
        "update_norm": optax.tree.norm(updates),
        "param_norm": optax.tree.norm(params),
        "learning_rate": rate,
    }
    return TrainState(state.step + 1, params, opt_state), metrics | norms
