"""Answers that do not depend on how JAX is set around them, nor hang after a fork.

JAX has settings for the whole process, from `jax.config`, from a context or from the
environment. Some of them decide numbers (the random generator, its layout, double
precision), some refuse what is no fault of ours (strict promotion), one makes every
program a hundred times slower. Whatever uses JAX here runs in one of two contexts:

* `standard_settings`: a library function. Double precision and `jax_disable_jit` stay
  with the caller, and so does every check of NaN, ranks, leaks or keys.
* `compiled_settings`: an estimator, a command, a training. These are compiled, and in
  single precision but for the parts that say otherwise.

Keys come from `random_key` alone, which names their generator, and draws of a class
from `random_category`, which names how it draws.
"""

import contextlib
import functools
import inspect
import os
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from spectral_tf.forks import Fork

CONFIG: Any = jax.config  # its types do not name the settings

P = ParamSpec("P")
R = TypeVar("R")

GENERATOR = "threefry2x32"
"""Of every key of the package: checkpoints, start vectors and audits depend on it."""


class ForkError(RuntimeError):
    """JAX was in use when this process was forked, so that it cannot work here."""


def random_key(seed: int) -> Array:
    """The key of a seed, of the same generator however JAX is set.

    Args:
        seed: whole number; the lower 32 bits count.

    Returns:
        Typed PRNG key.

    Source: Salmon et al. (2011), Parallel random numbers: as easy as 1, 2, 3.
    """
    offset = CONFIG.jax_random_seed_offset  # which JAX adds to every seed
    return jax.random.key((int(seed) & 0xFFFFFFFF) - offset, impl=GENERATOR)


def typed_keys(function: Callable[P, R]) -> Callable[P, R]:
    """A function whose `key` may be raw, as `jax.random.PRNGKey` gives it.

    Its generator is the one that JAX is set to where the function is called. Outside of
    all that changes that setting, and of `jax.jit`, which does not see it change.

    Args:
        function: with an argument `key`, a typed PRNG key.

    Returns:
        The same for a key of either kind.
    """
    names = inspect.signature(function)

    @functools.wraps(function)
    def typed(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = names.bind(*args, **kwargs)
        key = bound.arguments["key"]
        if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
            bound.arguments["key"] = jax.random.wrap_key_data(key)
        return function(*bound.args, **bound.kwargs)

    return typed


def random_category(
    key: Array, logits: Float[Array, " K"], shape: tuple[int, ...] = ()
) -> Int[Array, "*shape"]:
    """Draw classes, the same ones however JAX is set.

    `jax_high_dynamic_range_gumbel` would give others, and no context sets it.

    Args:
        key: typed PRNG key; consumed.
        logits: of the K classes, up to a constant.
        shape: of what is drawn.

    Returns:
        Whole numbers in 0..K-1.
    """
    return jax.random.categorical(key, logits, shape=shape, mode="low")


class DeviceError(RuntimeError):
    """JAX has none of the devices that it is told to use."""


@contextlib.contextmanager
def _clear_device_errors() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, AssertionError):  # JAX has both, the second without a word
        try:
            jax.devices()
        except (RuntimeError, AssertionError) as error:
            why = f" ({error})" if str(error) else ""
            raise DeviceError(
                f"JAX cannot start the devices of JAX_PLATFORMS="
                f"{CONFIG.jax_platforms!r}{why}. Unset it or set it to 'cpu', or "
                "install what they need."
            ) from error
        raise


@contextlib.contextmanager
def standard_settings() -> Iterator[None]:
    """What is inside gives the numbers that it gives under JAX's default settings.

    Also a decorator. In a traced function it holds while that is traced; the layout of
    random bits is then the caller's, since JAX reads it as it compiles.

    Raises:
        ForkError: in a process that was forked while JAX was in use.
        DeviceError: if JAX has no device of the platforms that it is set to.
    """
    check_fork()
    with (
        _clear_device_errors(),
        jax.numpy_dtype_promotion("standard"),
        jax.threefry_partitionable(True),
        jax.default_prng_impl(GENERATOR),
        jax.softmax_custom_jvp(False),
        jax.debug_infs(False),  # infinities are values here, e.g. of weights held
        jax.transfer_guard("allow"),
    ):
        yield


@contextlib.contextmanager
def compiled_settings() -> Iterator[None]:
    """`standard_settings`, compiled, and in single precision but where code says so.

    Raises:
        ForkError: in a process that was forked while JAX was in use.
        DeviceError: if JAX has no device of the platforms that it is set to.
    """
    with standard_settings(), jax.disable_jit(False), jax.enable_x64(False):
        yield


def check_fork() -> None:
    """Refuse to use JAX where it would wait for ever.

    A forked process has the memory of its parent but none of its threads, and JAX
    waits for them.

    Raises:
        ForkError: in a process that was forked while JAX was in use.
    """
    if Fork.is_broken:
        raise ForkError(
            f"process {os.getpid()} was forked from one in which JAX was in use, and "
            "would hang: start processes by 'spawn' or 'forkserver' "
            "(multiprocessing.get_context('spawn')), use joblib's default 'loky', or "
            "fork before the first use of JAX."
        )
