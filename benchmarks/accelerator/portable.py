"""What each kind of accelerator would be given, read from exports on a CPU.

`jax.export` lowers for a platform without a device or a plug-in of it. What is left to
a library of the platform is then a custom call in the text; all else is XLA's own.
"""

import functools
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

import spectral_tf
from spectral_tf.clustering import cluster_batch_at
from spectral_tf.config import (
    AnyRun,
    Channels,
    ClusterConfig,
    ClusterModelConfig,
    ClusterTrainConfig,
    EnsembleConfig,
    MixturePart,
    ModelConfig,
    TableConfig,
    TrainConfig,
)
from spectral_tf.constructive import VARIANTS, subspace_iteration
from spectral_tf.evaluation import eigh_predict, rayleigh_ritz_predict
from spectral_tf.model import (
    PRESETS,
    parameter_shapes,
    predict_from_covariance,
    unflatten_params,
)
from spectral_tf.objective import LOSSES
from spectral_tf.sampling import ENSEMBLES, batch_at, block_batch, mixture_batch_at
from spectral_tf.settings import random_key
from spectral_tf.training import init_state, parallel_steps, train_step

PLATFORMS = ("cuda", "rocm", "tpu")
SEED = 0
DIM, ROWS, K, BATCH = 6, 20, 2, 4

Build = Callable[[], tuple[Callable[..., Any], tuple]]
"""Makes a function and arguments of it, or their shapes."""


class Portable(NamedTuple):
    """What an export for one platform holds.

    Attributes:
        platform: `cuda`, `rocm`, `tpu` or `cpu`.
        calls: names of the library calls.
        types: of the numbers, as `f32`.
        host: operations that ask the host while the program runs.
    """

    platform: str
    calls: frozenset[str]
    types: frozenset[str]
    host: frozenset[str]


def read_module(platform: str, text: str) -> Portable:
    """Read an exported program.

    Args:
        platform: that it is lowered for.
        text: StableHLO, as `Exported.mlir_module()` prints it.

    Returns:
        What is in it.
    """
    calls = set(re.findall(r"stablehlo\.custom_call @([\w.$]+)", text))
    types = re.findall(r"tensor<(?:[\d?]+x)*([a-z]+\d*)\b", text)
    host = set(re.findall(r"stablehlo\.(send|recv|infeed|outfeed)\b", text))
    host |= {call for call in calls if "callback" in call}
    return Portable(platform, frozenset(calls), frozenset(types), frozenset(host))


def exported(build: Build, platform: str) -> Portable:
    """One program, exported for one platform and read.

    Args:
        build: makes it.
        platform: `cuda`, `rocm`, `tpu` or `cpu`.

    Returns:
        What is in it.
    """
    function, arguments = build()
    program = export.export(jax.jit(function), platforms=(platform,))(*arguments)
    return read_module(platform, program.mlir_module())


def once(build: Build) -> Build:
    """The same build, run a single time, so that its function is traced once."""
    return functools.cache(build)


# The programs -----------------------------------------------------------------------


def shape(*sizes: int) -> jax.ShapeDtypeStruct:
    """Of a float32 array."""
    return jax.ShapeDtypeStruct(sizes, jnp.float32)


TABLES = shape(BATCH, ROWS, DIM)


def forward(network: Any) -> tuple[Callable[..., Any], tuple]:
    """A batch of tables through something that takes one."""
    return jax.vmap(network), (TABLES,)


def preset(name: str, **changes: Any) -> tuple[Callable[..., Any], tuple]:
    """`predict` of a preset, its parameters an argument."""
    config = spectral_tf.model_preset(name, **changes)
    params = unflatten_params(parameter_shapes(config))
    single = functools.partial(spectral_tf.predict, config)
    rows, dim = config.num_samples or ROWS, config.dim or DIM
    return jax.vmap(single, (None, 0)), (params, shape(BATCH, rows, dim))


def constructed(variant: str) -> Any:
    """A small network of a composition."""
    return spectral_tf.power_method_params(DIM, K, 3, variant)


def moment() -> tuple[Callable[..., Any], tuple]:
    config, params = spectral_tf.equivariant_power_method(K, 3)
    single = functools.partial(predict_from_covariance, config, params)
    return jax.vmap(single), (shape(BATCH, DIM, DIM),)


def clusters(name: str) -> tuple[Callable[..., Any], tuple]:
    network = spectral_tf.load_pretrained(name)
    return jax.vmap(lambda x: network(x, 3, num_starts=2)), (TABLES,)


def mixture(variant: str) -> tuple[Callable[..., Any], tuple]:
    network = spectral_tf.mixture_params(DIM, 2, variant)
    return forward(lambda x: spectral_tf.mixture_labels(network, x))


def of_oracle(predict: Any) -> tuple[Callable[..., Any], tuple]:
    mask = jnp.ones(ROWS, bool)
    return forward(lambda x: predict(x, mask))


def sampled(draw: Callable[..., Any], *rest: Any) -> tuple[Callable[..., Any], tuple]:
    """A sampler of `(key, step, indices, ...)`."""
    return draw, (random_key(SEED), jnp.int32(0), jnp.arange(BATCH), *rest)


def family(**options: Any) -> tuple[Callable[..., Any], tuple]:
    config = EnsembleConfig.from_flat(
        dim=DIM, num_samples=ROWS, num_components=K, **options
    )
    return sampled(lambda *args: batch_at(*args, config))


def mixture_of_families() -> tuple[Callable[..., Any], tuple]:
    sizes: dict[str, Any] = {"dim": DIM, "num_samples": ROWS, "num_components": K}
    parts = tuple(
        MixturePart(ensemble=EnsembleConfig.from_flat(spectrum=name, **sizes))
        for name in ("authors", "spiked")
    )
    draw = lambda *args: mixture_batch_at(*args[:3], parts, args[3])
    return sampled(draw, jnp.float32(0.5))


def blocks_of_a_table() -> tuple[Callable[..., Any], tuple]:
    sizes: dict[str, Any] = {"dim": DIM, "num_samples": ROWS, "num_components": K}
    parts = (MixturePart(ensemble=EnsembleConfig(**sizes)),)
    table = TableConfig(source="digits", narrow="projection", rescale=0.1, rotate=True)

    def draw(keys: Any, rows: Any) -> Any:
        indices = jnp.arange(BATCH)
        return block_batch(keys, indices, parts, 0.5, table=table, rows=rows)

    keys = jax.random.split(random_key(SEED), BATCH)
    return draw, (keys, shape(50, DIM + 2))


def mixtures() -> tuple[Callable[..., Any], tuple]:
    config = ClusterConfig(dim=DIM, num_samples=ROWS, num_classes=3)
    return sampled(lambda *args: cluster_batch_at(*args, config))


SMALL = ModelConfig(
    num_components=K,
    num_blocks=2,
    block=("cross", "self", "mlp"),
    mlp_width=4,
    layout=Channels(vectors=2, scalars=8, gradient_limit=1.0),
)
"""An equivariant network to train."""

DENSE = {"num_blocks": 2, "width": 8, "mlp_width": 4, "dim": DIM}


def run(**options: Any) -> TrainConfig:
    """A small run of pre-training."""
    small: dict[str, Any] = {
        "model": SMALL,
        "shapes": ((DIM, ROWS),),
        "batch_size": BATCH,
        "steps_per_call": 2,
        "seed": SEED,
        "parallel": "shard_map",
    }
    return TrainConfig(**(small | options))


def run_of_clusters() -> ClusterTrainConfig:
    """The same of the network that clusters."""
    model = ClusterModelConfig(
        num_blocks=1, num_heads=1, scalar_channels=4, token_channels=2, mlp_width=4
    )
    return ClusterTrainConfig(
        model=model, shapes=((2, 12),), batch_size=BATCH, seed=SEED
    )


def step_of(
    config: AnyRun, rows: Any | None = None
) -> tuple[Callable[..., Any], tuple]:
    """One training step of a run."""
    state = jax.eval_shape(lambda: init_state(config))
    step = lambda *args: train_step(
        config, *args[:3], rows=args[3] if args[3:] else None
    )
    more = () if rows is None else (rows,)
    return step, (state, random_key(SEED), jnp.int32(10), *more)


def steps_over_devices() -> tuple[Callable[..., Any], tuple]:
    """A call of several steps over all devices, with its collective."""
    config = run(batch_size=max(BATCH, jax.device_count()))
    state = jax.eval_shape(lambda: init_state(config))
    return parallel_steps(config), (state, random_key(SEED), jnp.int32(10))


def networks() -> Iterator[tuple[str, Build]]:
    """Every public forward pass."""
    for name in VARIANTS:
        yield f"predict {name}", lambda name=name: forward(constructed(name))
        yield (
            f"fused {name}",
            lambda name=name: forward(spectral_tf.fuse(constructed(name))),
        )
    for name in PRESETS:
        small = {"num_blocks": 2} | (DENSE if name in ("theory", "register") else {})
        yield f"preset {name}", lambda name=name, small=small: preset(name, **small)
    yield (
        "equivariant power method",
        lambda: forward(spectral_tf.equivariant_power_method(K, 3)),
    )
    yield (
        "subspace iteration",
        lambda: forward(subspace_iteration(K, 3, registers=4)),
    )
    yield "predict from a covariance", moment
    yield (
        "expanded",
        lambda: forward(
            spectral_tf.expand(spectral_tf.equivariant_power_method(K, 2), DIM)
        ),
    )
    for name in spectral_tf.pretrained_names("eigenpairs"):
        yield (
            f"checkpoint {name}",
            lambda name=name: forward(
                spectral_tf.load_pretrained(name, num_components=K)
            ),
        )
    for name in spectral_tf.pretrained_names("clusters"):
        yield f"checkpoint {name}", lambda name=name: clusters(name)
    for name in ("spectral", "spectral_rms", "lloyd", "em"):
        yield f"labels {name}", lambda name=name: mixture(name)


def samplers() -> Iterator[tuple[str, Build]]:
    """Every sampler, and the oracles that answers are compared with."""
    for name in ENSEMBLES:
        yield f"family {name}", lambda name=name: family(spectrum=name)
    yield (
        "family by reflections",
        lambda: family(spectrum="spiked", orientation="reflections"),
    )
    yield "mixture of families", mixture_of_families
    yield "blocks of a table", blocks_of_a_table
    yield "mixtures to cluster", mixtures
    yield "oracle eigh", lambda: of_oracle(eigh_predict(K))
    yield "oracle Rayleigh-Ritz", lambda: of_oracle(rayleigh_ritz_predict(SMALL, 4, 3))


def steps() -> Iterator[tuple[str, Build]]:
    """Training steps."""
    for loss in LOSSES:
        yield f"step, loss {loss}", lambda loss=loss: step_of(run(loss=loss))
    yield (
        "step, dense",
        lambda: step_of(
            run(
                model=spectral_tf.model_preset("register", **DENSE),
            )
        ),
    )
    yield (
        "step, bfloat16, muon, microbatches",
        lambda: step_of(
            run(compute_dtype="bfloat16", optimiser="muon", microbatches=2)
        ),
    )
    yield (
        "step, table",
        lambda: step_of(
            run(table=TableConfig(source="digits")), np.zeros((40, 8), np.float32)
        ),
    )
    yield "step, clusters", lambda: step_of(run_of_clusters())
    yield "steps over devices", steps_over_devices


def programs() -> dict[str, Build]:
    """All that the package would run on an accelerator, by name."""
    return dict([*networks(), *samplers(), *steps()])
