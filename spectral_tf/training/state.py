"""What a run carries from step to step, and the optimiser that moves it."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from spectral_tf.config import TrainConfig
from spectral_tf.model.params import init_params


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


def init_state(config: TrainConfig, params: Any = None) -> TrainState:
    """A state at step 0.

    Args:
        config: the run; `config.seed` gives the fresh parameters.
        params: start from these instead (a hot start), of `config.model`.

    Returns:
        The state.

    Source: ours.
    """
    if params is None:
        params = init_params(config.model, jax.random.key(config.seed))
    opt_state = optimiser(config).init(params)
    return TrainState(jnp.zeros((), jnp.int32), params, opt_state)
