"""What every part compares with: classical methods of as many products, and networks.

All answer from the covariance of a table, in batches, as NumPy arrays; `S` is `[B, d,
d]`, answers are eigenvalues `[B, k]` and unit rows `[B, k, d]`.
"""

import functools
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from spectral_tf import EnsembleConfig, Network, krylov, load_pretrained
from spectral_tf.constructive import block_lanczos
from spectral_tf.model import predict_from_covariance, register_starts
from spectral_tf.sampling import family
from spectral_tf.settings import random_key

SHIPPED = {"pca-base": 6, "pca-small": 4}
"""Networks for all d, and their products with S."""
AT_ONCE = 50
"""Instances that a device answers at once."""


class Answer(NamedTuple):
    """Eigenpairs of a batch of covariances."""

    values: np.ndarray
    vectors: np.ndarray


Method = Callable[[np.ndarray], Answer]


def key_for(part: str, *numbers: int) -> Any:
    """The generator's key of a part and some numbers, e.g. a seed and a size."""
    key = random_key(zlib.crc32(part.encode()) % 2**31)
    for number in numbers:
        key = jax.random.fold_in(key, number)
    return key


@functools.partial(jax.jit, static_argnums=1)
def _rows(keys: Any, ensemble: EnsembleConfig) -> Any:
    return jax.vmap(lambda key: family(ensemble)(key, ensemble))(keys)


def rows_of(key: Any, ensemble: EnsembleConfig, count: int) -> np.ndarray:
    """`[B, N, d]` rows of a family, in float64."""
    return np.asarray(_rows(jax.random.split(key, count), ensemble), np.float64)


def covariances(x: np.ndarray) -> np.ndarray:
    """`[B, d, d]`: centred, divided by N."""
    x = x - x.mean(axis=1, keepdims=True)
    return np.swapaxes(x, 1, 2) @ x / x.shape[1]


def covariances_of(key: Any, ensemble: EnsembleConfig, count: int) -> np.ndarray:
    """`[B, d, d]` of instances of a family, whose rows are never all in memory."""
    chunk = 1_000
    parts = [
        covariances(
            rows_of(jax.random.fold_in(key, start), ensemble, min(chunk, count - start))
        )
        for start in range(0, count, chunk)
    ]
    return np.concatenate(parts)


def exact(matrix: np.ndarray, k: int) -> Answer:
    """LAPACK's, in float64, with the signs that it gives."""
    values, columns = np.linalg.eigh(matrix)
    order = slice(None, -k - 1, -1)
    return Answer(values[:, order], np.swapaxes(columns, 1, 2)[:, order])


def start_rows(network: Network, dim: int) -> np.ndarray:
    """`[min(R, d), d]` orthonormal start vectors of a network, in float64."""
    rows = np.asarray(register_starts(network.config, dim, jnp.float32), np.float64)
    return np.linalg.qr(rows.T)[0].T


def orthogonal_iteration(network: Network, k: int, products: int) -> Method:
    """k vectors, from the network's first k start vectors; values by Rayleigh."""

    def run(matrix: np.ndarray) -> Answer:
        start = start_rows(network, matrix.shape[1])[:k].T
        basis = np.broadcast_to(start, (len(matrix), *start.shape))
        for _ in range(products):
            basis = np.linalg.qr(matrix @ basis)[0]
        values = np.einsum("bik,bij,bjk->bk", basis, matrix, basis, optimize=True)
        return Answer(values, np.swapaxes(basis, 1, 2))

    return run


def lanczos(network: Network, k: int, products: int) -> Method:
    """Block Lanczos from all of the network's starts: the most P products allow."""

    def run(matrix: np.ndarray) -> Answer:
        start = start_rows(network, matrix.shape[1])
        pairs = [block_lanczos(one, start, products, k) for one in matrix]
        return Answer(*map(np.stack, zip(*pairs, strict=True)))

    return run


@functools.partial(jax.jit, static_argnums=0)
def _answers(config: Any, params: Any, matrix: Any) -> Any:
    answer = lambda one: predict_from_covariance(config, params, one)
    return jax.lax.map(answer, matrix, batch_size=AT_ONCE)


def by_network(network: Network) -> Method:
    """A network that reads the rows through their covariance alone."""

    def run(matrix: np.ndarray) -> Answer:
        config, params = network
        found = _answers(config, params, jnp.asarray(matrix, jnp.float32))
        return Answer(*(np.asarray(leaf, np.float64) for leaf in found))

    return run


def shipped(name: str, k: int) -> Network:
    """A checkpoint of the package, for k components."""
    return load_pretrained(name, num_components=k)


def compared(k: int, names: tuple[str, ...] = tuple(SHIPPED)) -> dict[str, Method]:
    """The shipped networks, each beside what as many products give otherwise.

    Args:
        k: components.
        names: of `SHIPPED`.

    Returns:
        Name -> method: the network, the constructed one of as many blocks, orthogonal
        iteration and block Lanczos.
    """
    methods: dict[str, Method] = {}
    for name in names:
        network, products = shipped(name, k), SHIPPED[name]
        methods[name] = by_network(network)
        methods[f"constructed, P={products}"] = by_network(krylov(k, products))
        for title, make in (
            ("orthogonal iteration", orthogonal_iteration),
            ("block Lanczos", lanczos),
        ):
            methods[f"{title}, P={products}"] = make(network, k, products)
    return methods


def cosines(answer: Answer, truth: np.ndarray) -> np.ndarray:
    """`[B, k]` signed cosines of the answers and `[B, k, d]` true vectors."""
    length = np.linalg.norm(answer.vectors, axis=2)
    return np.sum(answer.vectors * truth, axis=2) / np.maximum(length, 1e-30)


def value_errors(answer: Answer, truth: np.ndarray) -> np.ndarray:
    """`[B, k]` |found - true| / true."""
    return np.abs(answer.values - truth) / np.maximum(np.abs(truth), 1e-30)


def span_sines(answer: Answer, truth: np.ndarray) -> np.ndarray:
    """`[B]` sine of the largest angle between the two k-dimensional spans."""
    rows = np.swapaxes(np.linalg.qr(np.swapaxes(answer.vectors, 1, 2))[0], 1, 2)
    singular = np.linalg.svd(rows @ np.swapaxes(truth, 1, 2), compute_uv=False)
    return np.sqrt(np.clip(1 - np.min(singular, axis=1) ** 2, 0, 1))
