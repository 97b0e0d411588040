r"""Does what a block does depend on the instance?

*Shift.* The registers after block l are fitted, per instance, by

.. math:: u_1^l \approx \sum_j a_j S u_j^{l-1} + b_j u_j^{l-1} + c_j u_j^{l-2},

over all registers j, with S of unit Frobenius norm, as the network has it. A block
that applies S + sigma inside the span has b = sigma a. So the shift of a block is
<a, b> / <a, a>, and -sigma is where its factor of the polynomial is zero; `pure` is
the cosine of a and b squared, 1 if a shift is all that it is.

*Scalars.* The gates of the MLPs read scalars. Replaced after every block by their mean
over the batch, or by those of an instance of another family, they cannot tell the
gates anything about the instance. What else may is attention among the registers.
"""

from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from config import COMPONENTS, SEED, Study
from jaxtyping import Array
from measure import Spectrum, cosines
from networks import Subject, Trace

from spectral_tf import sample_batch
from spectral_tf.model import (
    ChannelBlock,
    reads_moment_only,
    register_codes,
    register_starts,
    scaled_moment,
)
from spectral_tf.settings import random_key
from spectral_tf.spectra import unit


def mixed_batch(what: Study) -> Array:
    """`[B, N, d]` tables: the first of every family, the second of every family, ..."""
    dim, samples, count = what.mixed
    sizes = {"dim": dim, "num_samples": samples, "num_components": COMPONENTS}
    each = [
        sample_batch(random_key(SEED + 1), family.replace(**sizes), count).x
        for family in what.families
    ]
    return jnp.stack(each, axis=1).reshape(-1, samples, dim)


class Shifts(NamedTuple):
    """Per instance and block `[B, L]`: shift, share that the fit explains, purity."""

    shift: np.ndarray
    explained: np.ndarray
    pure: np.ndarray


def block_shifts(registers: np.ndarray, found: Spectrum) -> Shifts:
    """Shifts over |S|_F of register 1; see the module."""
    size = np.linalg.norm(found.matrix, axis=(1, 2), keepdims=True)
    image = registers @ (found.matrix / size)[:, None]
    count = registers.shape[2]
    blocks = []
    for place in range(1, registers.shape[1]):
        known = [image[:, place - 1], registers[:, place - 1]]
        known += [registers[:, place - 2]] * (place > 1)
        design = np.concatenate(known, axis=1).transpose(0, 2, 1)
        wanted = registers[:, place, 0]
        weights = np.einsum("bwd,bd->bw", np.linalg.pinv(design, rcond=1e-12), wanted)
        a, b = weights[:, :count], weights[:, count : 2 * count]
        product, square = np.sum(a * b, axis=1), np.sum(a * a, axis=1)
        left = wanted - np.einsum("bdw,bw->bd", design, weights)
        blocks.append(
            (
                product / square,
                1 - np.sum(left**2, axis=1) / np.sum(wanted**2, axis=1),
                product**2 / np.maximum(square * np.sum(b * b, axis=1), 1e-30),
            )
        )
    return Shifts(*np.array(blocks).transpose(1, 2, 0))


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's, of what lies within the 1 % and 99 % quantiles; NaN if constant."""
    inside = (y >= np.quantile(y, 0.01)) & (y <= np.quantile(y, 0.99))
    x, y = x[inside], y[inside]
    if min(np.std(x), np.std(y)) < 1e-4:
        return np.nan
    return float(np.corrcoef(x, y)[0, 1])


def has_gates(subject: Subject) -> bool:
    config = subject.config
    return reads_moment_only(config) and config.block[0] == "mlp"


CHANGES = ("none", "mean", "other")
"""Scalars as they are; their mean; those of the next instance, of another family."""


def scalars_changed(subject: Subject, found: Spectrum) -> dict[str, Any]:
    """`[k]` mean |cos| with the scalars changed after every block, and their spread."""
    config = subject.config
    block = ChannelBlock(config)

    def run(params: Any, matrices: Array, change: Array) -> tuple[Array, Array]:
        data = jax.vmap(lambda one: scaled_moment(config, one))(matrices)
        count, dim = matrices.shape[:2]
        first = register_starts(config, dim, matrices.dtype)
        vectors = jnp.zeros((len(first), config.channels.vectors, dim))
        vectors = vectors.at[:, 0].set(first)
        codes = register_codes(config)[: len(first)]
        state = (jnp.stack([vectors] * count), jnp.stack([codes] * count))

        def step(state: tuple[Array, Array], one: Any) -> tuple[Any, Array]:
            apply = lambda own, moment: cast(
                tuple[Array, Array], block.apply({"params": one}, own, moment)
            )
            vectors, scalars = jax.vmap(apply)(state, data)
            mean = jnp.broadcast_to(scalars.mean(axis=0), scalars.shape)
            every = jnp.stack([scalars, mean, jnp.roll(scalars, 1, axis=0)])
            return (vectors, every[change]), jnp.max(jnp.abs(scalars - mean))

        state, spread = jax.lax.scan(step, state, params["blocks"])
        return state[0][:, : config.num_components, 0], jnp.max(spread)

    compiled, report = jax.jit(run), {}
    matrices = jnp.asarray(found.matrix, jnp.float32)
    for index, change in enumerate(CHANGES):
        vectors, spread = compiled(subject.params, matrices, jnp.int32(index))
        rows = np.asarray(unit(vectors), np.float64)[:, None]
        report[change] = cosines(rows, found.vectors).mean(axis=(0, 1))
        if change == "none":
            report["spread"] = float(spread)
    return report


def zeros(held: np.ndarray, found: Spectrum, places: tuple[int, ...]) -> dict:
    """Zeros of the blocks' factors, `[L]` each, and what they go along with."""
    own = block_shifts(held, found)
    zero = -own.shift
    size = np.linalg.norm(found.matrix, axis=(1, 2))
    known = [found.values[:, place] / size for place in places]
    return {
        "zero": np.median(zero, axis=0),
        "low": np.quantile(zero, 0.1, axis=0),
        "high": np.quantile(zero, 0.9, axis=0),
        "explained": np.median(own.explained, axis=0),
        "pure": np.median(own.pure, axis=0),
        "with": [[correlation(each, one) for each in known] for one in zero.T],
    }


def adaptation_report(
    trace: Trace, alone: Trace, x: Array, found: Spectrum
) -> dict[str, Any]:
    """Question 4 for one network; the registers in float64.

    A register that has nearly converged and its image are nearly parallel; in float32
    the fit could then not tell them apart.
    """
    subject = trace.subject
    report: dict[str, Any] = {"network": subject.name, "gates": None}
    places = 0, subject.config.num_components, subject.config.num_registers
    with jax.enable_x64(True):
        rows = jnp.asarray(np.asarray(x), jnp.float64)
        answers, together = trace(rows)
        report["together"] = zeros(together, found, places)
        report["alone"] = zeros(alone(rows)[1], found, places)
    if has_gates(subject):
        report["gates"] = scalars_changed(subject, found)
        last = cosines(answers[:, -1:], found.vectors).mean(axis=(0, 1))
        report["gates"]["network"] = last
    return report
