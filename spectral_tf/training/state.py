"""What a run carries from step to step, and the optimiser that moves it."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
from flax import struct
from jaxtyping import Array, Float, Int

from spectral_tf.config import AnyRun, require
from spectral_tf.model.network import Network
from spectral_tf.model.params import (
    check_params,
    flatten_params,
    init_params,
    unflatten_params,
)
from spectral_tf.settings import random_key, standard_settings


class TrainState(NamedTuple):
    """State of a run; replicated on every device, never stacked.

    Attributes:
        step: `[]` int32, steps done.
        params: parameters of `config.model`.
        opt_state: of `optimiser(config)`.
        ema: running average of the parameters, or None without `ema_decay`.
    """

    step: Array
    params: Any
    opt_state: Any
    ema: Any = None

    @property
    def averaged(self) -> Any:
        """The parameters to use: the average, where one is kept."""
        return self.params if self.ema is None else self.ema


class Trained(struct.PyTreeNode):
    """What a run ends with.

    Attributes:
        state: the last one, replicated on the devices of the run.
        config: of the run; static under JAX.
    """

    state: TrainState
    config: AnyRun = struct.field(pytree_node=False)

    @property
    def step(self) -> Array | np.ndarray:
        """`[]` int32, steps done."""
        return self.state.step

    @property
    def params(self) -> Any:
        """The parameters after the last step."""
        return self.state.params

    @property
    def averaged(self) -> Any:
        """The parameters to use: the average, where one is kept."""
        return self.state.averaged

    @property
    def network(self) -> Network[Any]:
        """The network to use: averaged where an average is kept, on one device."""
        params = jax.device_get(self.state.averaged)
        return Network(self.config.model, jax.tree.map(jnp.asarray, params))


def optimiser(config: AnyRun) -> optax.GradientTransformation:
    """Adam, AdamW or Muon after clipping by global norm; the step applies the rate.

    Muon moves every stacked matrix `[L, a, b]` by its orthogonalised momentum, at the
    root mean square of an Adam update, and all else by Adam.

    Args:
        config: `optimiser`, `weight_decay` and `max_grad_norm` are read.

    Returns:
        A transformation whose updates are still to be scaled by `-learning_rate`.

    Source: Kingma & Ba (2015); Loshchilov & Hutter (2019); Jordan et al. (2024), Muon;
    Pascanu et al. (2013) for clipping.
    """
    if config.optimiser == "muon":
        mover = optax.contrib.muon(
            -1.0,  # a rate of -1 keeps the sign: the step multiplies by -learning_rate
            weight_decay=config.weight_decay,
            adam_weight_decay=config.weight_decay,
            muon_weight_dimension_numbers=_matrices,
            consistent_rms=0.2,
        )
    else:
        mover = optax.scale_by_adam()
        if config.weight_decay:
            decay = optax.add_decayed_weights(config.weight_decay)
            mover = optax.chain(mover, decay)
    return optax.chain(optax.clip_by_global_norm(config.max_grad_norm), mover)


def _matrices(params: Any) -> Any:
    """Which axes of each leaf make a matrix; None for all that is none."""

    def axes(path: Any, leaf: Any) -> Any:
        is_block = getattr(path[0], "key", None) == "blocks"
        if not is_block or leaf.ndim < 3:
            return None
        return optax.contrib.MuonDimensionNumbers(leaf.ndim - 2, leaf.ndim - 1)

    return jax.tree.map_with_path(axes, params)


def moving_average(config: AnyRun, ema: Any, params: Any, step: Any) -> Any:
    """The average after a step; shorter in the beginning, so that it forgets the start.

    Args:
        config: `ema_decay` is read.
        ema: average before, or None.
        params: after the step.
        step: steps done before it.

    Returns:
        The average, or None without one.

    Source: Polyak & Juditsky (1992); the ramp is TensorFlow's `num_updates`.
    """
    if ema is None:
        return None
    decay = jnp.minimum(config.ema_decay, (1.0 + step) / (10.0 + step))
    return jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, ema, params)


def learning_rate(
    config: AnyRun, step: Int[Array, ""], horizon: int | Int[Array, ""]
) -> Float[Array, ""]:
    """Linear warm-up, then the schedule, down to `final_fraction` at the horizon.

    Args:
        config: `learning_rate`, `warmup_steps`, `schedule`, `decay_fraction` and
            `final_fraction` are read.
        step: steps done.
        horizon: the step at which the schedule ends. A run-time value, so that a run
            with a time limit can set it from its measured speed without compiling
            again; the warm-up does not depend on it.

    Returns:
        `[]` learning rate.

    Source: Loshchilov & Hutter (2017), eq. (5), for `cosine`; Hu et al. (2024),
    MiniCPM, for `wsd` (warm-up, stable, decay).
    """
    warm = (step + 1) / max(config.warmup_steps, 1)
    past = step - config.warmup_steps
    length = jnp.maximum(horizon - config.warmup_steps, 1)
    done = jnp.clip(past / length, 0.0, 1.0)
    shapes = {
        "cosine": 0.5 * (1 + jnp.cos(jnp.pi * done)),
        "wsd": jnp.minimum(1.0, (1 - done) / config.decay_fraction),
        "constant": 1.0,
    }
    left = shapes[config.schedule]
    decayed = config.final_fraction + (1 - config.final_fraction) * left
    return config.learning_rate * jnp.where(past < 0, warm, decayed)


@standard_settings()
def init_state(
    config: AnyRun, params: Any = None, *, hold_zeros: bool = True
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
    """
    step = jnp.zeros((), jnp.int32)
    if params is None:
        params = init_params(config.model, random_key(config.seed))
        return _with_average(
            config, TrainState(step, params, optimiser(config).init(params))
        )
    check_params(config.model, params)
    flat = flatten_params(params)
    dtype = jnp.result_type(float)
    params = unflatten_params({path: jnp.asarray(flat[path], dtype) for path in flat})
    opt_state = optimiser(config).init(params)
    if hold_zeros:
        require(
            config.optimiser != "muon",
            "TrainConfig.optimiser='muon' moves whole matrices and cannot hold the "
            "zeros of given weights; use adam or adamw, or hold_zeros=False.",
        )
        moment = lambda leaf: jnp.where(leaf == 0, jnp.inf, jnp.zeros_like(leaf))
        opt_state = optax.tree.set(opt_state, nu=jax.tree.map(moment, params))
    return _with_average(config, TrainState(step, params, opt_state))


def _with_average(config: AnyRun, state: TrainState) -> TrainState:
    if not config.ema_decay:
        return state
    return state._replace(ema=jax.tree.map(jnp.copy, state.params))


def free_gradients(config: AnyRun, state: TrainState, grads: Any) -> Any:
    """Gradients with 0 for every weight that is held.

    Most constructed weights are 0, and these zeros keep data tokens from having a
    vector to iterate. No step that gives them one is small, because the next norm makes
    it of unit length, and registers then deflate by it. So a hot start moves the other
    weights only. Adam alone does not move a weight of infinite second moment; here its
    gradient is left out of the clipped norm as well.

    Args:
        config: of the run.
        state: of `init_state`.
        grads: as `state.params`.

    Returns:
        As `grads`; they themselves if nothing is held.
    """
    if config.optimiser == "muon":
        return grads
    second = optax.tree.get(state.opt_state, "nu")
    hold = lambda moment, leaf: jnp.where(jnp.isinf(moment), 0.0, leaf)
    return jax.tree.map(hold, second, grads)
