"""Data parallelism: the only file that says `pmap`.

The state is replicated, not stacked (`in_axes=None`, `out_axes=None`): no leading
device axis anywhere, no replicate / unreplicate. `pmap` is the default; JAX now builds
it from `shard_map`, which is the other choice and gives the same numbers.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Int

from spectral_tf.config import AnyRun, require
from spectral_tf.config.wording import counted
from spectral_tf.training.state import TrainState
from spectral_tf.training.step import Metrics, train_step

AXIS = "devices"

Device = Any
"""A `jax.Device`; jaxlib ships no types, so a type checker cannot read that name."""

MultiStep = Callable[..., tuple[TrainState, Metrics]]
"""`(state, key, horizon) -> (state, metrics)`; with a table, its rows as well."""


def scan_steps(
    config: AnyRun,
    num_shards: int,
    state: TrainState,
    key: Array,
    horizon: Array,
    rows: Array | None = None,
) -> tuple[TrainState, Metrics]:
    """`config.steps_per_call` steps as the program of one device of the axis."""
    axis = {"axis_name": AXIS, "num_shards": num_shards}

    # Many steps in one compiled call: the host is asked once for all of them.
    def body(state: TrainState, _: None) -> tuple[TrainState, Metrics]:
        return train_step(config, state, key, horizon, rows=rows, **axis)

    return jax.lax.scan(body, state, None, length=config.steps_per_call)


def over_devices(
    program: Callable[..., Any], kind: str, devices: Sequence[Device]
) -> Callable[..., Any]:
    """Run `program(*args)` on every device with replicated arguments and results.

    Args:
        program: the function of one device; may use `jax.lax` collectives over AXIS
            and must return the same value on every device.
        kind: `pmap` or `shard_map`.
        devices: of all hosts.

    Returns:
        A compiled function of the same arguments.

    Source: JAX documentation, "Migrating from pmap".
    """
    place = NamedSharding(Mesh(list(devices), (AXIS,)), PartitionSpec())
    if kind == "shard_map":
        lifted = _sharded(program, devices)
    else:
        mapped, slots = _pmapped(program, devices), _slots(devices)
        lifted = lambda *args: mapped(slots, args)
    # Placed once, a state keeps its sharding: the second call does not recompile.
    return lambda *args: lifted(*replicated(args, place))


def _sharded(program: Callable[..., Any], devices: Sequence[Device]) -> Any:
    """`shard_map` over the devices, everything replicated."""
    mesh, spec = Mesh(list(devices), (AXIS,)), PartitionSpec()
    # check_vma=False: collectives then differentiate as they do under pmap.
    return jax.jit(
        jax.shard_map(
            program, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False
        )
    )


def replicated(tree: Any, place: NamedSharding) -> Any:
    """The same values on every device, of this process and of the others.

    Args:
        tree: of arrays or typed keys, equal on every process.
        place: replicated over all devices of the run.

    Returns:
        The tree, placed; leaves that lie there already are left alone.

    """
    # `jax.device_put` refuses devices of other processes; each then places its own.
    if place.is_fully_addressable:
        return jax.device_put(tree, place)

    def put(leaf: Any) -> Array:
        if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
            return leaf
        leaf = jnp.asarray(leaf)
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            # NumPy has no typed keys: the words of the key travel, not the key.
            data = put(jax.random.key_data(leaf))
            return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
        host = np.asarray(leaf)
        pick = lambda index: host[index]
        return jax.make_array_from_callback(host.shape, place, pick)

    return jax.tree.map(put, tree)


def _pmapped(program: Callable[..., Any], devices: Sequence[Device]) -> Any:
    """`pmap` with nothing mapped but a dummy, as it wants; the axis gives the index."""
    return jax.pmap(
        lambda _, args: program(*args),
        axis_name=AXIS,
        in_axes=(0, None),
        out_axes=None,
        devices=devices,
    )


def _slots(devices: Sequence[Device]) -> Int[Array, " n"]:
    """One dummy entry for each device of this process; arguments are not mapped."""
    local = sum(device.process_index == jax.process_index() for device in devices)
    return jnp.arange(local)


def lowered_steps(
    config: AnyRun, devices: Sequence[Device], args: tuple
) -> jax.stages.Lowered:
    """What `parallel_steps` would compile, for devices that need not be here.

    Args:
        config: the run; `config.parallel` is `pmap` or `shard_map`.
        devices: those of a `jax.experimental.topologies` description, too.
        args: `(state, key, horizon)` or their shapes; nothing is placed.

    Returns:
        The lowered program, to be compiled.
    """
    program = functools.partial(scan_steps, config, len(devices))
    if config.parallel == "shard_map":
        place = NamedSharding(Mesh(list(devices), (AXIS,)), PartitionSpec())
        put = lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place)
        return _sharded(program, devices).lower(*jax.tree.map(put, args))
    return _pmapped(program, devices).lower(_slots(devices), args)


def parallel_steps(
    config: AnyRun, devices: Sequence[Device] | None = None
) -> MultiStep:
    """`config.steps_per_call` training steps over all devices, as one compiled call.

    Args:
        config: the run; `config.parallel` is `pmap` or `shard_map`.
        devices: defaults to all devices of all hosts.

    Returns:
        `(state, key, horizon) -> (state, metrics)`; metrics have a leading axis
        `steps_per_call`. For a run on a table see `on_rows`.

    Raises:
        ConfigError: if the devices do not divide `batch_size`.
    """
    devices = tuple(jax.devices() if devices is None else devices)
    require(
        config.batch_size % len(devices) == 0,
        f"{type(config).__name__}.batch_size={config.batch_size} must be a multiple of "
        f"the {counted(len(devices), 'device')}; change the one or the other.",
    )
    return _parallel_steps(config, devices)


def on_rows(
    steps: MultiStep, rows: np.ndarray, devices: Sequence[Device] | None = None
) -> MultiStep:
    """Steps of a run on a table, whose rows are copied to the devices here, once.

    Args:
        steps: of `parallel_steps`, for a configuration with a table.
        rows: `[R, D]` to train on, equal on every process.
        devices: as for `parallel_steps`.

    Returns:
        `(state, key, horizon) -> (state, metrics)`. The rows are an argument of the
        compiled program: another table of the same size compiles nothing.
    """
    mesh = Mesh(list(jax.devices() if devices is None else devices), (AXIS,))
    # Placed here, so that no step copies the table again.
    placed = replicated(rows, NamedSharding(mesh, PartitionSpec()))
    return lambda *args: steps(*args, placed)


@functools.cache
def _parallel_steps(config: AnyRun, devices: tuple[Device, ...]) -> MultiStep:
    """Cached, so that a second run of the same configuration does not compile."""
    program = functools.partial(scan_steps, config, len(devices))
    return over_devices(program, config.parallel, devices)
