"""The networks that are looked at, and what they hold after every block."""

import dataclasses
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from config import COMPONENTS
from jaxtyping import Array

from spectral_tf import (
    ModelConfig,
    SpectralTransformer,
    equivariant_power_method,
    load_pretrained,
    pretrained_names,
    unroll,
)
from spectral_tf.constructive import subspace_iteration
from spectral_tf.model import Intermediates, register_starts
from spectral_tf.spectra import unit

POWER, START = "power method", "subspace iteration"

CHUNK = 64
"""Instances that run at once, so that few shapes are compiled."""


@dataclasses.dataclass(frozen=True)
class Subject:
    """A network with weights of its own for every block."""

    name: str
    config: ModelConfig
    params: Any

    @property
    def is_trained(self) -> bool:
        return self.name not in (POWER, START)

    @property
    def is_equivariant(self) -> bool:
        return not self.config.is_dense

    def serves(self, dim: int) -> bool:
        return self.config.dim in (None, dim)

    def alone(self) -> "Subject":
        """The same weights with one register: it has no one to deflate against."""
        rows = self.config.register_rows
        layout = self.config.channels.replace(max_components=rows)
        sizes = {"num_components": 1, "layout": layout, "register_tokens": 1}
        return dataclasses.replace(self, config=self.config.replace(**sizes))


def power_method(products: int) -> Subject:
    """Orthogonal iteration, one product a block, without the blocks that finish."""
    written = equivariant_power_method(COMPONENTS, products, rounds=COMPONENTS - 1)
    config, params = unroll(written)
    blocks = jax.tree.map(lambda leaf: leaf[:products], params["blocks"])
    return Subject(POWER, config.replace(num_blocks=products), {"blocks": blocks})


def subjects(products: int, *, smoke: bool) -> list[Subject]:
    """Two references, then every checkpoint that is shipped."""
    found = [
        power_method(products),
        Subject(START, *subspace_iteration(COMPONENTS, products)),
    ]
    names = pretrained_names("eigenpairs")
    for name in names[-1:] if smoke else names:
        loaded = load_pretrained(name)
        k = min(COMPONENTS, loaded.config.num_components)
        loaded = load_pretrained(name, num_components=k)
        found.append(Subject(name, *unroll(loaded)))
    return found


def start_vectors(subject: Subject, dim: int) -> np.ndarray:
    """`[R, d]` what the registers hold before the first block."""
    config, params = subject.config, subject.params
    if subject.is_equivariant:
        return np.asarray(register_starts(config, dim, jnp.float32), np.float64)
    rows = np.asarray(params["registers"] @ params["vector_kernel"], np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Trace:
    """Runs one network on batches of tables; compiled once for each shape."""

    def __init__(self, subject: Subject) -> None:
        module = SpectralTransformer(subject.config)

        def one(params: Any, x: Array, start: Array | None) -> tuple[Array, Any]:
            given = {"start": start, "capture": True}
            _, kept = module.apply({"params": params}, x, **given)
            kept = cast(Intermediates, kept)
            if subject.is_equivariant:
                return kept.eigenvectors, kept.state[0][:, :, 0]
            written = kept.state[1] @ params["vector_kernel"]
            return kept.eigenvectors, unit(written)

        self.subject = subject
        self.starts: dict[int, np.ndarray] = {}
        self.run = jax.jit(jax.vmap(one, in_axes=(None, 0, None)))

    def __call__(self, x: Array, params: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """`[B, L + 1, k, d]` answers and `[B, L + 1, R, d]` registers, start first."""
        used = self.subject.params if params is None else params
        dim = x.shape[2]
        if dim not in self.starts:
            self.starts[dim] = start_vectors(self.subject, dim)
        first = self.starts[dim]
        given = jnp.asarray(first, x.dtype) if self.subject.is_equivariant else None
        size = CHUNK if len(x) % CHUNK == 0 else len(x)
        found = [
            jax.device_get(self.run(used, x[at : at + size], given))
            for at in range(0, len(x), size)
        ]
        answers, registers = (np.concatenate(each) for each in zip(*found, strict=True))
        return (
            _with_start(first[: answers.shape[2]], answers),
            _with_start(first[: registers.shape[2]], registers),
        )


def _with_start(first: np.ndarray, later: np.ndarray) -> np.ndarray:
    rows = np.asarray(later, np.float64)
    begin = np.broadcast_to(first[None, None], (len(rows), 1, *first.shape))
    return np.concatenate([begin, rows], axis=1)
