"""One forward pass of an equivariant network on a source, in shared programs.

A table reaches a network as its covariance (`model/moment.py`), or where it has fewer
rows than columns as it is. Compiled programs are shared: the number of columns (and of
rows) is rounded up to a bucket and filled with zeros, which changes no answer, because
zero columns stay zero in an equivariant network and rows are masked.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from spectral_tf.certificate.sources import Matrix, Source
from spectral_tf.config import ModelConfig
from spectral_tf.model.transformer import predict, predict_from_covariance
from spectral_tf.settings import compiled_settings


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


@compiled_settings()
def cast(params: Any, dtype: Any) -> Any:
    """Parameters of another type, on the device."""
    with jax.enable_x64(True):
        return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), params)
