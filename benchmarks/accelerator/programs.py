"""What is compiled: training steps, forward passes in batches, the sampler."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import train_step
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import spectral_tf
from spectral_tf import spectra
from spectral_tf.config import AnyRun, EnsembleConfig, run_config
from spectral_tf.constructive import VARIANTS, subspace_iteration
from spectral_tf.sampling import batch_at
from spectral_tf.settings import random_key
from spectral_tf.training import init_state, lowered_steps
from spectral_tf.training import train_step as one_step
from spectral_tf.weights import load_manifest

STEPS_PER_CALL = 10
SEED = 0
HIGHEST = jax.lax.Precision.HIGHEST


class Lowered(NamedTuple):
    """A program before it is compiled.

    Attributes:
        program: to be compiled.
        instances: that one step takes, of one device.
        flops: of the matrix products of one step on one device.
        calls: steps in a call; what is counted is divided by them.
    """

    program: jax.stages.Lowered
    instances: int
    flops: int
    calls: int = 1


def products(function: Any, *arguments: Any) -> int:
    """FLOPs of the matrix products of a function, as it is traced."""
    return train_step.product_flops(jax.make_jaxpr(function)(*arguments).jaxpr)


# Training steps ---------------------------------------------------------------------

STEPS = ("equivariant", "deflating", "pca-small", "pca-base", "dense", "gmm-small")
"""`deflating`: six blocks of products, steps in the span and deflation by attention,
which is what `pca-small` is in version 0.1.0."""


def step_config(name: str, smoke: bool = False, **changes: Any) -> AnyRun:
    """The run whose step is compiled: d=10, N=50, or for `gmm-small` as it was trained.

    Args:
        name: of `STEPS`.
        smoke: a network of two small blocks.
        **changes: fields of the run.

    Returns:
        The configuration.
    """
    changes = {"steps_per_call": STEPS_PER_CALL, "parallel": "shard_map"} | changes
    if name == "gmm-small":
        run = run_config(load_manifest(name)["record"]["train"])
        if smoke:
            small = run.model.replace(num_blocks=1, mlp_width=4, token_width=4)
            run = run.replace(model=small, shapes=((2, 12),))
        return run.replace(**changes)
    if name == "deflating":
        model = train_step.limited(subspace_iteration(8, 6).config)
        changes["model"] = train_step.tiny(model) if smoke else model
        return train_step.train_config("equivariant", smoke, **changes)
    if name == "pca-base":
        model = train_step.limited(spectral_tf.load_pretrained(name).config)
        changes["model"] = train_step.tiny(model) if smoke else model
    return train_step.train_config(name, smoke, **changes)


def lowered_step(
    name: str, batch: int, devices: Sequence[Any], smoke: bool = False, **changes: Any
) -> Lowered:
    """A call of training steps for devices that need not be here.

    Args:
        name: of `STEPS`.
        batch: instances of one device, of every shape of the run.
        devices: absent or not.
        smoke: a tiny network.
        **changes: fields of the run.

    Returns:
        The lowered program.
    """
    config = step_config(name, smoke, batch_size=batch * len(devices), **changes)
    arguments = jax.eval_shape(
        lambda: (init_state(config), random_key(SEED), jnp.int32(config.num_steps))
    )
    share = config.replace(batch_size=batch)
    flops = products(functools.partial(one_step, share), *arguments)
    program = lowered_steps(config, devices, arguments)
    return Lowered(program, batch * len(config.shapes), flops, config.steps_per_call)


# Forward passes ---------------------------------------------------------------------

ITERATIONS = {"register": 30, "rms": 30, "squaring": 10}
FORWARD_SIZES = ((1024, 64, 32, 4), (256, 128, 64, 4))
"""(tables, rows, columns, components)."""

Solver = Callable[[Any], Any]
"""`x [N, d]` to eigenvectors."""


def cholesky_iteration(k: int, iters: int) -> Solver:
    """Orthogonal iteration by hand, with Cholesky; fused ones are measured against it.

    Source: Golub & Van Loan (2013), section 8.2.4; Yamamoto et al. (2015), ETNA 44, for
    Cholesky QR.
    """

    def solver(x: Any) -> Any:
        dim = x.shape[1]
        product = functools.partial(jnp.matmul, precision=HIGHEST)
        rows = x - jnp.mean(x, axis=0, keepdims=True)
        matrix = product(rows.T, rows)

        def step(basis: Any, _: None) -> tuple[Any, None]:
            image = product(matrix, basis)
            gram = product(image.T, image)
            # A little of the trace on the diagonal keeps it positive definite.
            gram = gram + 1e-6 * jnp.trace(gram) * jnp.eye(k)
            factor = jnp.linalg.cholesky(gram)
            solved = jax.lax.linalg.triangular_solve(
                factor, image, left_side=False, lower=True, transpose_a=True
            )
            return solved, None

        return jax.lax.scan(step, jnp.eye(dim, k), None, length=iters)[0].T

    return solver


def fused(dim: int, k: int, variant: str, iters: int) -> Solver:
    """A fused construction."""
    function = spectral_tf.fuse(spectral_tf.power_method_params(dim, k, iters, variant))
    return lambda x: function(x).eigenvectors


def network(source: Any) -> Solver:
    """The vectors of a network."""
    return lambda x: source(x).eigenvectors


def solvers(dim: int, k: int) -> dict[str, Callable[[], Solver]]:
    """Forward passes by name, each built when it is asked for."""
    makers: dict[str, Callable[[], Solver]] = {
        "deflating, 12 blocks": lambda: network(subspace_iteration(k, 12, registers=8))
    }
    for name in spectral_tf.pretrained_names("eigenpairs"):
        checkpoint = lambda name=name: spectral_tf.load_pretrained(
            name, num_components=k
        )
        makers[name] = lambda checkpoint=checkpoint: network(checkpoint())
    for variant, iters in ITERATIONS.items():
        makers[f"fused {variant} {iters}"] = functools.partial(
            fused, dim, k, variant, iters
        )
    if "krylov" in VARIANTS:
        makers["fused krylov"] = functools.partial(
            fused, dim, k, "krylov", VARIANTS["krylov"].fair_iters
        )
    makers["by hand 30"] = lambda: cholesky_iteration(k, 30)
    makers["eigh"] = lambda: (
        lambda x: spectra.top_eigenpairs(spectra.covariance(x), k)[1]
    )
    return makers


def lowered_forward(
    name: str, sizes: tuple[int, int, int, int], devices: Sequence[Any]
) -> Lowered:
    """A batch of tables through one solver, on the first device.

    Args:
        name: of `solvers`.
        sizes: (tables, rows, columns, components).
        devices: absent or not.

    Returns:
        The lowered program.
    """
    batch, rows, dim, k = sizes
    solver = jax.vmap(solvers(dim, k)[name]())
    return _on_first(solver, (batch, rows, dim), devices)


def _on_first(function: Any, shape: tuple[int, ...], devices: Sequence[Any]) -> Lowered:
    place = NamedSharding(Mesh(np.array(devices[:1]), ("d",)), PartitionSpec())
    argument = jax.ShapeDtypeStruct(shape, jnp.float32, sharding=place)
    program = jax.jit(function).lower(argument)
    return Lowered(program, shape[0], products(function, argument))


# The sampler ------------------------------------------------------------------------

FAMILIES = ("authors", "spiked", "power_law")


def lowered_sampler(
    family: str, batch: int, devices: Sequence[Any], **options: Any
) -> Lowered:
    """A batch of instances with their targets, on the first device.

    Args:
        family: of `spectral_tf.sampling.ENSEMBLES`.
        batch: instances.
        devices: absent or not.
        **options: fields of `EnsembleConfig`.

    Returns:
        The lowered program.
    """
    config = EnsembleConfig.from_flat(spectrum=family, **options)
    key = random_key(SEED)

    def draw(indices: Any) -> Any:
        return batch_at(key, 0, indices.astype(jnp.int32), config)

    return _on_first(draw, (batch,), devices)
