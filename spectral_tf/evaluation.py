"""Scores a predict function: trained, constructed and classical by one code path.

The oracle is `eigh` of each instance's own covariance. Everything is reported per
rank, with the mean and a 95 % interval over instances; never one pooled number.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from spectral_tf.config import ModelConfig, require
from spectral_tf.model.network import Network
from spectral_tf.model.transformer import Estimate, default_start, gaussian_start
from spectral_tf.sampling.instance import Instance
from spectral_tf.settings import standard_settings
from spectral_tf.spectra import (
    abs_cosine,
    covariance,
    einsum,
    largest_principal_angle,
    orthogonal_iteration,
    symmetric_eigh,
    top_eigenpairs,
)

PredictFn = Callable[[Array, Array], Estimate]
"""`(x [N, d], mask [N]) -> Estimate` of one instance, traceable by JAX: a `Network`,
what `fuse` returns, a classical method."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Statistic:
    """A mean over instances, with its 95 % interval.

    Attributes:
        mean: of the finite and non-finite alike (NaN stays NaN).
        half_width: 1.96 standard errors; the interval is mean +- half_width.
    """

    mean: float
    half_width: float

    @classmethod
    def of(cls, values: np.ndarray) -> "Statistic":
        """Statistic of `[B]` values; half_width is infinite for one value."""
        spread = np.std(values, ddof=1) if len(values) > 1 else np.inf
        width = 1.96 * spread / np.sqrt(len(values))
        return cls(mean=float(np.mean(values)), half_width=float(width))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """How good one predict function is on one set of instances.

    Attributes:
        num_instances: B.
        cosine: per rank, |cos| to the eigenvector of the oracle.
        eigenvalue_error: per rank, |lambda_hat - lambda| / lambda.
        angle: largest principal angle between the k-spans, radians.
    """

    num_instances: int
    cosine: tuple[Statistic, ...]
    eigenvalue_error: tuple[Statistic, ...]
    angle: Statistic

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready dictionary."""
        return dataclasses.asdict(self)


class Scores(NamedTuple):
    """Of instance after instance, so that two methods can be compared in pairs.

    Attributes:
        cosine: `[B, k]` |cos| to the eigenvector of the oracle.
        eigenvalue_error: `[B, k]` |lambda_hat - lambda| / lambda.
        angle: `[B]` largest principal angle between the k-spans, radians.
    """

    cosine: Any
    eigenvalue_error: Any
    angle: Any

    def report(self) -> Report:
        """Means over the instances, with their intervals."""
        return Report(
            num_instances=len(self.angle),
            cosine=tuple(map(Statistic.of, self.cosine.T)),
            eigenvalue_error=tuple(map(Statistic.of, self.eigenvalue_error.T)),
            angle=Statistic.of(self.angle),
        )


def score(estimate: Estimate, instance: Instance) -> Scores:
    """Scores of one instance: |cos| `[k]`, relative error `[k]`, angle `[]`."""
    true = instance.eigenvalues
    tiny = jnp.finfo(true.dtype).tiny
    floor = jnp.maximum(jnp.finfo(true.dtype).eps * true[0], tiny)
    error = jnp.abs(estimate.eigenvalues - true) / jnp.maximum(true, floor)
    cosine = abs_cosine(estimate.eigenvectors, instance.eigenvectors)
    angle = largest_principal_angle(estimate.eigenvectors, instance.eigenvectors)
    return Scores(cosine, error, angle)


@standard_settings()
def evaluate(
    predict_fn: PredictFn, instances: Instance, *, chunk_size: int = 64
) -> Report:
    """Score a predict function on a batch of instances.

    Args:
        predict_fn: a `Network`, or any `(x [N, d], mask [N]) -> Estimate`, with the
            instances' k.
        instances: batched, leading axis B >= 1.
        chunk_size: instances predicted at once (memory), >= 1.

    Returns:
        `Report`.

    Raises:
        ConfigError: if there are no instances, or chunk_size < 1.

    Example:
        >>> import jax, spectral_tf
        >>> from spectral_tf.evaluation import eigh_predict
        >>> config = spectral_tf.EnsembleConfig(dim=4, num_samples=20)
        >>> batch = spectral_tf.sample_batch(jax.random.key(0), config, 8)
        >>> report = spectral_tf.evaluate(eigh_predict(3), batch)
        >>> report.cosine[0].mean > 0.9999
        True
    """
    return instance_scores(predict_fn, instances, chunk_size=chunk_size).report()


@standard_settings()
def instance_scores(
    predict_fn: PredictFn, instances: Instance, *, chunk_size: int = 64
) -> Scores:
    """The scores of every instance, of which `evaluate` reports the means.

    Args:
        predict_fn: as for `evaluate`. Networks of one configuration are compiled once
            for each shape of the instances.
        instances: batched, leading axis B >= 1.
        chunk_size: instances predicted at once (memory), >= 1.

    Returns:
        `Scores` of NumPy arrays.

    Raises:
        ConfigError: if there are no instances, or chunk_size < 1.
    """
    count = instances.x.shape[0]
    require(count >= 1, "evaluate needs at least one instance; it was given none.")
    require(chunk_size >= 1, f"chunk_size={chunk_size} must be >= 1.")
    if isinstance(predict_fn, Network):
        scores = _network_scores(predict_fn, instances, chunk_size)
    else:
        scorer = _scorer(predict_fn)
        run = jax.jit(lambda batch: jax.lax.map(scorer, batch, batch_size=chunk_size))
        scores = run(instances)
    return jax.tree.map(np.asarray, scores)


def _scorer(predict_fn: PredictFn) -> Callable[[Instance], Scores]:
    return lambda instance: score(predict_fn(instance.x, instance.mask), instance)


@partial(jax.jit, static_argnums=2)
def _network_scores(
    network: Network[ModelConfig], batch: Instance, chunk_size: int
) -> Scores:
    """The parameters are an argument: what differs in them alone is compiled once."""
    return jax.lax.map(_scorer(network), batch, batch_size=chunk_size)


def orthogonal_iteration_predict(config: ModelConfig, num_iters: int) -> PredictFn:
    """Orthogonal iteration from the very start vectors that `config` gives.

    Args:
        config: `num_components` and `start_seed` are read.
        num_iters: tau >= 0.

    Returns:
        The predict function: what a network is measured against.

    Source: Golub & Van Loan (2013), section 8.2.4.
    """

    def run(x: Array, mask: Array) -> Estimate:
        start = default_start(config, x.shape[1], x.dtype)
        matrix = covariance(x, mask)
        return Estimate(*orthogonal_iteration(matrix, start, num_iters=num_iters))

    return run


def eigh_predict(num_components: int) -> PredictFn:
    """The oracle itself, as a predict function.

    Args:
        num_components: k.

    Returns:
        The predict function.

    Source: LAPACK through `jnp.linalg.eigh`.
    """
    return lambda x, mask: Estimate(
        *top_eigenpairs(covariance(x, mask), num_components)
    )


def rayleigh_ritz_predict(
    config: ModelConfig, num_vectors: int, num_products: int
) -> PredictFn:
    """The best that the span of more vectors has, after so many products with S.

    Orthogonal iteration of `num_vectors` vectors, the last product of which also gives
    S on their span; `eigh` of that small matrix. The first k of these vectors are, up
    to there, those that `orthogonal_iteration_predict` iterates alone.

    Args:
        config: `num_components` and `start_seed` are read.
        num_vectors: m >= num_components; at most d of them are used.
        num_products: >= 1.

    Returns:
        The predict function.

    Source: Rutishauser (1969), Numer. Math. 13 (ritzit); Golub & Van Loan (2013),
    section 8.2.
    """

    def run(x: Array, mask: Array) -> Estimate:
        count, k = min(num_vectors, x.shape[1]), config.num_components
        matrix = covariance(x, mask)
        start = gaussian_start(config, count, x.shape[1], x.dtype)
        steps = num_products - 1
        basis = orthogonal_iteration(matrix, start, num_iters=steps)[1]
        image = einsum("ij,kj->ki", matrix, basis)
        values, inside = symmetric_eigh(einsum("ki,li->kl", basis, image))
        top = jnp.argsort(-values)[:k]
        return Estimate(values[top], einsum("km,kd->md", inside[:, top], basis))

    return run
