"""One training step: pure, un-batched over devices, the same under every lift.

With an `axis_name` the function is the program of one device among many: it draws its
own share of the global batch (by axis index), differentiates the loss of that share,
and averages gradient and metrics over the axis in one collective. This is right where
differentiation does not look at the axis: under `pmap`, and under `shard_map` with
`check_vma=False` (see `parallel.py`).
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Int

from spectral_tf.config import AnyRun
from spectral_tf.training.batch import Draw, Metrics
from spectral_tf.training.state import (
    TrainState,
    free_gradients,
    learning_rate,
    moving_average,
    optimiser,
)
from spectral_tf.training.tasks import task_of


def gradients(  # noqa: PLR0913 - half of them are keywords with a default
    config: AnyRun,
    state: TrainState,
    key: Array,
    horizon: int | Int[Array, ""] | None = None,
    *,
    axis_name: str | None = None,
    num_shards: int = 1,
    rows: Array | None = None,
) -> tuple[Any, Metrics]:
    """Gradient of the global batch at `state.step`, and the metrics.

    Each device takes its share of the batch in `config.microbatches` parts, one after
    the other; the sum over the devices is one collective for the whole step.

    Args:
        config: the run.
        state: read at `state.step`.
        key: key of the run; the data follow from (key, step, global index).
        horizon: end of the run in steps, for mixtures that change; None is
            `config.num_steps`.
        axis_name: mapped axis to average over; None on a single device.
        num_shards: static size of that axis; it and `config.microbatches` must divide
            `config.batch_size`.
        rows: `[R, D]` of the run's table, equal on every device; None without one.

    Returns:
        `(gradients, metrics)`, equal on every device.
    """
    # Device s of S draws the global indices s B/S .. (s + 1) B/S - 1, so that the data
    # of a step do not depend on the number of devices.
    local = config.batch_size // num_shards
    shard = 0 if axis_name is None else jax.lax.axis_index(axis_name)
    indices = (shard * local + jnp.arange(local)).reshape(config.microbatches, -1)
    steps = config.num_steps if horizon is None else horizon
    progress = jnp.clip(state.step / jnp.maximum(steps, 1), 0.0, 1.0)
    origin = Draw(key, state.step, progress, rows)
    loss = task_of(config).loss
    differentiate = jax.value_and_grad(
        lambda params, part: loss(params, origin, part), has_aux=True
    )

    # Sums over instances, not means: a limit of gradients then sees that of one.
    def sums(part: Int[Array, " B"]) -> tuple[Any, Metrics]:
        (loss, metrics), grads = differentiate(state.params, part)
        return grads, metrics | {"loss": loss}

    if config.microbatches == 1:
        totals = sums(indices[0])
    else:
        # In turns: memory is that of one part, and the sum is the same.
        add = lambda total, part: (jax.tree.map(jnp.add, total, sums(part)), None)
        shapes = jax.eval_shape(sums, indices[0])
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        totals, _ = jax.lax.scan(add, zeros, indices)
    return _means(config, totals, local, axis_name)


def _means(
    config: AnyRun, totals: tuple[Any, Metrics], local: int, axis_name: str | None
) -> tuple[Any, Metrics]:
    """Sums over a device's share to means over the global batch."""
    grads, metrics = totals
    # A rank counts only where a shape has it: d >= rank.
    per_rank = jnp.maximum(task_of(config).counts() * local, 1)
    count = local * len(config.shapes)
    grads = jax.tree.map(lambda leaf: leaf / count, grads)
    metrics = {
        name: leaf / (count if name == "loss" else per_rank)
        for name, leaf in metrics.items()
    }
    if axis_name is None:
        return grads, metrics
    # One vector, so that one collective is all there is, whatever the compiler joins.
    flat, restore = ravel_pytree((grads, metrics))
    return restore(jax.lax.pmean(flat, axis_name))


def train_step(  # noqa: PLR0913 - half of them are keywords with a default
    config: AnyRun,
    state: TrainState,
    key: Array,
    horizon: int | Int[Array, ""],
    *,
    axis_name: str | None = None,
    num_shards: int = 1,
    rows: Array | None = None,
) -> tuple[TrainState, Metrics]:
    """One step of gradient descent.

    Args:
        config: the run; static.
        state: before the step.
        key: key of the run, the same for every step.
        horizon: end of the learning-rate schedule, in steps.
        axis_name: mapped axis, or None.
        num_shards: static size of that axis.
        rows: `[R, D]` of the run's table, or None.

    Returns:
        `(state, metrics)`: loss, |cos| per rank, eigenvalue error per rank, learning
        rate and the global norms of gradient, update and parameters.
    """
    axis = {"axis_name": axis_name, "num_shards": num_shards}
    grads, metrics = gradients(config, state, key, horizon, rows=rows, **axis)
    with jax.named_scope("update"):
        state, norms = _updated(config, state, grads, horizon)
    return state, metrics | norms


def _updated(
    config: AnyRun, state: TrainState, grads: Any, horizon: int | Int[Array, ""]
) -> tuple[TrainState, Metrics]:
    """The state after a step with these gradients, and norms."""
    grads = free_gradients(config, state, grads)
    updates, opt_state = optimiser(config).update(grads, state.opt_state, state.params)
    # theta <- theta - eta_t u_t, with u_t what the optimiser makes of the gradient.
    rate = learning_rate(config, state.step, horizon)
    updates = jax.tree.map(lambda update: -rate * update, updates)
    params = optax.apply_updates(state.params, updates)
    norms = {
        "grad_norm": optax.tree.norm(grads),
        "update_norm": optax.tree.norm(updates),
        "param_norm": optax.tree.norm(params),
        "learning_rate": rate,
    }
    # Averaged weights are what held-out instances are scored with.
    ema = moving_average(config, state.ema, params, state.step)
    return TrainState(state.step + 1, params, opt_state, ema), norms
