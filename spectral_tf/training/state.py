"""What a run carries from step to step, and the optimiser that moves it."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from spectral_tf.config import TrainConfig
from spectral_tf.model.params import (
    check_params,
    flatten_params,
    init_params,
    unflatten_params,
)


class TrainState(NamedTuple):
    """State of a run; replicated on every device, never stacked.

    Attributes:
        step: `[]` int32, steps done.
        params: parameters of `SpectralTransformer(config.model)`.
        opt_state: of `optimiser(config)`.

    Source: ours.
    """

    step: Array
    params: Any
    opt_state: Any


def optimiser(config: TrainConfig) -> optax.GradientTransformation:
    """Adam after clipping by global norm; the learning rate is applied by the step.

    Args:
        config: `max_grad_norm` is read.

    Returns:
        A transformation whose updates are still to be scaled by `-learning_rate`.

    Source: Kingma & Ba (2015); Pascanu et al. (2013) for clipping.
    """
    return optax.chain(
        optax.clip_by_global_norm(config.max_grad_norm), optax.scale_by_adam()
    )


def learning_rate(
    config: TrainConfig, step: Int[Array, ""], horizon: int | Int[Array, ""]
) -> Float[Array, ""]:
    """Linear warm-up, then a cosine down to `final_fraction` at the horizon.

    Args:
        config: `learning_rate`, `warmup_steps`, `final_fraction` are read.
        step: steps done.
        horizon: the step at which the cosine ends. A run-time value, so that a run
            with a time limit can set it from its measured speed without compiling
            again; the warm-up does not depend on it.

    Returns:
        `[]` learning rate.

    Source: Loshchilov & Hutter (2017), eq. (5).
    """
    warm = (step + 1) / max(config.warmup_steps, 1)
    past = step - config.warmup_steps
    length = jnp.maximum(horizon - config.warmup_steps, 1)
    cosine = 0.5 * (1 + jnp.cos(jnp.pi * jnp.clip(past / length, 0.0, 1.0)))
    decayed = config.final_fraction + (1 - config.final_fraction) * cosine
    return config.learning_rate * jnp.where(past < 0, warm, decayed)


def init_state(
    config: TrainConfig, params: Any = None, *, hold_zeros: bool = True
) -> TrainState:
    """A state at step 0.

    Args:
        config: the run; `config.seed` gives the fresh parameters.
        params: start from these instead (a hot start): constructed, trained, any that
            fit `config.model`. They are taken as they are, bit for bit.
        hold_zeros: hold those of `params` that are exactly 0 where they are, see
            `free_gradients`. Fresh parameters are never held.

    Returns:
        The state. A weight that is held has an infinite second moment, which the
        checkpoints keep.

    Raises:
        ParamsError: if params do not fit `config.model`; it names every leaf that
            does not.

    Source: ours.
    """
    step = jnp.zeros((), jnp.int32)
    if params is None:
        params = init_params(config.model, jax.random.key(config.seed))
        return TrainState(step, params, optimiser(config).init(params))
    check_params(config.model, params)
    flat = flatten_params(params)
    params = unflatten_params({path: jnp.asarray(flat[path]) for path in flat})
    opt_state = optimiser(config).init(params)
    if hold_zeros:
        moment = lambda leaf: jnp.where(leaf == 0, jnp.inf, jnp.zeros_like(leaf))
        opt_state = optax.tree.set(opt_state, nu=jax.tree.map(moment, params))
    return TrainState(step, params, opt_state)


def free_gradients(state: TrainState, grads: Any) -> Any:
    """Gradients with 0 for every weight that is held.

    Most constructed weights are 0, and these zeros keep data tokens from having a
    vector to iterate. No step that gives them one is small, because the next norm makes
    it of unit length, and registers then deflate by it. So a hot start moves the other
    weights only. Adam alone does not move a weight of infinite second moment; here its
    gradient is left out of the clipped norm as well.

    Args:
        state: of `init_state`.
        grads: as `state.params`.

    Returns:
        As `grads`; they themselves if nothing is held.

    Source: ours.
    """
    second = optax.tree.get(state.opt_state, "nu")
    hold = lambda moment, leaf: jnp.where(jnp.isinf(moment), 0.0, leaf)
    return jax.tree.map(hold, second, grads)
