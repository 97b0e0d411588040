"""Who proposes the eigenpairs: a constructed network, a trained one, or LAPACK.

A table reaches a network as its covariance (`model/moment.py`), or where it has fewer
rows than columns as it is. Compiled programs are shared: the number of columns (and of
rows) is rounded up to a bucket and filled with zeros, which changes no answer, because
zero columns stay zero in an equivariant network and rows are masked.

The constructed network runs in passes of `PASS` iterations, each starting from the
vectors that the last one left, until the residuals are small beside the gaps, or will
not become so within `max_iter`; then `polish.py` makes the answer exact to rounding.
The first pass is the plain power method; from then on the weights have Chebyshev
shifts, up to the eigenvalue of a guard vector beyond the ones asked for.
"""

import dataclasses
import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from spectral_tf.certificate.sources import CentredRows, Matrix, Source
from spectral_tf.config import ModelConfig, require
from spectral_tf.config.wording import counted
from spectral_tf.constructive.equivariant import (
    chebyshev_shifts,
    equivariant_power_method,
    with_shifts,
)
from spectral_tf.estimators.lapack import top_pairs
from spectral_tf.estimators.networks import (
    Weights,
    default_weights,
    for_table,
    load_network,
    misfit,
    register_starts,
)
from spectral_tf.estimators.polish import polished
from spectral_tf.model.network import Network
from spectral_tf.model.transformer import predict, predict_from_covariance
from spectral_tf.settings import compiled_settings

PASS = 20
"""Iterations of one forward pass of the constructed network."""
MARGIN = 1e-3
"""Iterate until angles look smaller than this times the tolerance."""
EXACT = 1e-12
"""And polish those until they look smaller than this."""
MOST_COMPONENTS = 32
"""Beyond, an exact solver costs less than iterating so many vectors."""
ENGINES = ("auto", "constructed", "pretrained", "exact")


class Proposal(NamedTuple):
    """Eigenpairs of a source, in its units, and where they come from.

    Attributes:
        eigenvalues: `[k]` descending.
        eigenvectors: `[k, d]` rows.
        engine: `constructed`, `pretrained`, `pretrained, constructed` or `exact`.
        products: with S, that the network took.
    """

    eigenvalues: np.ndarray
    eigenvectors: np.ndarray
    engine: str
    products: int


@dataclasses.dataclass(frozen=True)
class Choice:
    """Which engine runs, and why.

    Attributes:
        engine: one of `ENGINES` but `auto`.
        reason: one sentence.
        network: of the pre-trained engine.
        is_refined: whether the constructed network goes on from the trained answer.
    """

    engine: str
    reason: str
    network: Network[ModelConfig] | None = None
    is_refined: bool = False


def choose_engine(
    engine: str, weights: Weights | None, k: int, source: Source
) -> Choice:
    """Decide which engine proposes k eigenpairs of a source.

    Args:
        engine: one of `ENGINES`.
        weights: of a trained network, see `Weights`; None with `pretrained` takes the
            checkpoint `DEFAULT`, if it is shipped.
        k: how many.
        source: S.

    Returns:
        The choice.

    Raises:
        ConfigError: for an unknown engine, or `pretrained` without weights that fit.
        PretrainedError: for an unknown or damaged checkpoint.
    """
    require(
        engine in ENGINES,
        f"engine={engine!r} is unknown; choose one of {', '.join(ENGINES)}.",
    )
    require(
        engine == "pretrained" or engine == "auto" or weights is None,
        f"engine={engine!r} does not read weights; leave weights None, or use "
        "engine='pretrained' or 'auto'.",
    )
    most = rank_limit(source)
    if engine == "pretrained" and weights is None:
        weights = default_weights()
    network = None if weights is None else load_network(weights)
    problem = None if network is None else misfit(network.config, k)
    if engine == "pretrained":
        require(problem is None, f"engine='pretrained': {problem}")
        return Choice(engine, "as asked", network)
    if engine != "auto":
        return Choice(engine, "as asked")
    if k > MOST_COMPONENTS or k >= most:
        reason = (
            f"{k} of at most {counted(most, 'component')} are asked for; networks "
            f"propose up to {MOST_COMPONENTS}, and fewer than all"
        )
        return Choice("exact", reason)
    if network is None:
        return Choice("constructed", "it needs no trained weights")
    if problem is not None:
        return Choice("constructed", f"the trained weights do not fit: {problem}")
    reason = "the trained network proposes, the constructed one refines"
    return Choice("pretrained", reason, network, is_refined=True)


def rank_limit(source: Source) -> int:
    """How many eigenvalues can differ from zero."""
    return min(source.x.shape) if isinstance(source, CentredRows) else source.dim


def propose(
    choice: Choice,
    source: Source,
    k: int,
    *,
    tol: float,
    max_iter: int,
    start: np.ndarray,
) -> Proposal:
    """Run the chosen engine.

    Args:
        choice: of `choose_engine`.
        source: S.
        k: how many pairs.
        tol: radians that the answer should reach.
        max_iter: most iterations of the constructed network.
        start: `[n, d]` start vectors, n >= k; those beyond k guard the last gap.

    Returns:
        The proposal.
    """
    if choice.engine == "exact":
        return exact(source, k)
    if choice.network is None:
        return constructed(source, k, tol, max_iter, start)
    first = pretrained(choice.network, source, k, start)
    if not choice.is_refined:
        return first
    start = np.concatenate([first.eigenvectors, start[k:]])
    refined = constructed(source, k, tol, max_iter, start)
    products = first.products + refined.products
    return refined._replace(engine="pretrained, constructed", products=products)


def exact(source: Source, k: int) -> Proposal:
    """LAPACK: `eigh` of the covariance, `svd` of a table with few rows."""
    if isinstance(source, Matrix):
        return Proposal(*top_pairs(source.values, k), "exact", 0)
    _, scales, rows = np.linalg.svd(source.x, full_matrices=False)
    return Proposal(scales[:k] ** 2 / len(source.x), rows[:k], "exact", 0)


@compiled_settings()
def pretrained(
    network: Network[ModelConfig], source: Source, k: int, start: np.ndarray
) -> Proposal:
    """One forward pass of a trained network."""
    config, params = network
    config = for_table(config, k, source.dim)
    first = register_starts(config, start[:k])
    run = Forward.of(source)
    values, vectors = run(config, cast(params, run.dtype), first)
    return in_order(values, vectors, "pretrained", config.num_products)


@compiled_settings()
def constructed(
    source: Source, k: int, tol: float, max_iter: int, start: np.ndarray
) -> Proposal:
    """The power method in passes, until it is accurate or will not become so."""
    run, count = Forward.of(source), len(start)
    config, params = constructed_network(count, run.dtype)
    goal, vectors, last = MARGIN * tol, start, math.inf
    products, values, angle = 0, np.zeros(count), math.inf
    while products < max_iter:
        values, vectors = run(config, params, vectors)
        products += PASS
        angle = apparent_angle(source, values, vectors, k)
        if angle <= goal:
            break
        passes_left = (max_iter - products) / PASS
        if angle > tol and math.isfinite(last):
            speed = math.log(max(last / angle, 1.0))
            if speed * passes_left < math.log(angle / tol):
                break
        last = angle if products > PASS else math.inf
        if count > k:
            upper = max(values[k], 0.0) / source.trace
            with jax.enable_x64(True):  # else the shifts are float32: another program
                params = with_shifts(params, chebyshev_shifts(PASS, upper))
    if angle <= tol:  # also where the passes ended before the goal
        return Proposal(*polished(source, vectors, k, EXACT), "constructed", products)
    return in_order(values[:k], vectors[:k], "constructed", products)


@functools.cache
def constructed_network(count: int, dtype: Any) -> Network[ModelConfig]:
    """The network of one pass, with `count` registers, on the device."""
    config, params = equivariant_power_method(count, PASS, shifts=np.zeros(PASS))
    return Network(config, cast(params, dtype))


@compiled_settings()
def cast(params: Any, dtype: Any) -> Any:
    """Parameters of another type, on the device."""
    with jax.enable_x64(True):
        return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), params)


def apparent_angle(
    source: Source, values: np.ndarray, vectors: np.ndarray, k: int
) -> float:
    """Largest residual over its gap among the first k; not a proof."""
    images = source.product(vectors.T).T
    left = np.linalg.norm(images - values[:, None] * vectors, axis=1)
    gaps = np.abs(np.diff(values))
    if len(values) == k:  # all of them: nothing below the last
        gaps = np.append(gaps, math.inf)
    nearest = np.minimum(np.r_[math.inf, gaps[: k - 1]], gaps[:k])
    with np.errstate(divide="ignore", invalid="ignore"):
        angles = left[:k] / nearest
    return float(np.max(np.where(left[:k] == 0, 0.0, angles)))


def in_order(
    values: np.ndarray, vectors: np.ndarray, engine: str, products: int
) -> Proposal:
    """The proposal with eigenvalues descending."""
    order = np.argsort(-values, kind="stable")
    return Proposal(values[order], vectors[order], engine, products)


@dataclasses.dataclass(frozen=True)
class Forward:
    """Runs an equivariant network on one source, padded to a bucket.

    Attributes:
        data: the covariance `[d', d']`, or the rows `[N', d']`.
        mask: `[N']` of the rows, None for a covariance.
        dim: d.
        dtype: float64 where the backend has it at full speed or nearly so.
    """

    data: jax.Array
    mask: jax.Array | None
    dim: int
    dtype: Any

    @classmethod
    def of(cls, source: Source) -> "Forward":
        """Move the source to the device."""
        dtype = np.float32 if jax.default_backend() == "tpu" else np.float64
        dim = source.dim
        with jax.enable_x64(True):
            if isinstance(source, Matrix):
                data = padded(source.values, (bucket(dim), bucket(dim)), dtype)
                return cls(jnp.asarray(data), None, dim, dtype)
            count = len(source.x)
            data = padded(source.x, (bucket(count), bucket(dim)), dtype)
            mask = jnp.arange(bucket(count)) < count
            return cls(jnp.asarray(data), mask, dim, dtype)

    def __call__(
        self, config: ModelConfig, params: Any, start: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """`(eigenvalues [k], eigenvectors [k, d])` in float64; params of `dtype`."""
        with jax.enable_x64(True):
            wide = (len(start), self.data.shape[1])
            vectors = jnp.asarray(padded(start, wide, self.dtype))
            estimate = _forward(config, params, self.data, self.mask, vectors)
            values, rows = (np.asarray(leaf, np.float64) for leaf in estimate)
        return values, rows[:, : self.dim]


@functools.partial(jax.jit, static_argnums=0)
def _forward(
    config: ModelConfig, params: Any, data: Any, mask: Any, start: Any
) -> tuple[Any, Any]:
    if mask is None:
        estimate = predict_from_covariance(config, params, data, start)
    else:
        estimate = predict(config, params, data, mask, start=start)
    return estimate.eigenvalues, estimate.eigenvectors


def bucket(size: int) -> int:
    """The next of 8, 12, 16, 24, 32, 48, 64, ...: at most half as large again."""
    power = 8
    while power < size:
        if power * 3 // 2 >= size:
            return power * 3 // 2
        power *= 2
    return power


def padded(array: np.ndarray, shape: tuple[int, int], dtype: Any) -> np.ndarray:
    """The array in the corner of a zero array; itself where it fits exactly."""
    if array.shape == shape:
        return np.asarray(array, dtype)
    out = np.zeros(shape, dtype)
    out[: array.shape[0], : array.shape[1]] = array
    return out
