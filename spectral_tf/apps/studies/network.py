"""What the networks compute on a table, block by block: angles, stream, attention."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from spectral_tf.apps.studies.methods import NETWORK
from spectral_tf.constructive.power_method import (
    power_method_composition,
    power_method_params,
)
from spectral_tf.constructive.trace import trace
from spectral_tf.estimators.networks import load_network
from spectral_tf.model.network import Network
from spectral_tf.model.transformer import SpectralTransformer
from spectral_tf.weights.components import with_components

ITERATIONS = 10
"""Of the constructed network that is shown, four blocks each."""
COMPONENTS = 2
"""Vectors that are followed, at most d - 1."""
SHOWN_BLOCKS = 22
SHOWN_ROWS = 40
ROWS = ("u", "r")
"""Named rows of the stream that are not 0 between blocks: vector, 1 over its length."""


def computation(x: np.ndarray, columns: Sequence[str]) -> dict[str, Any]:
    """What two networks do with a table.

    Args:
        x: `[N, d]` rows, a few hundred at most.
        columns: names of the d columns.

    Returns:
        JSON-ready: `angles`, degrees from each vector to its eigenvector after every
        block, of the constructed and the trained network; `stream`, the named rows of
        the first register of the constructed one; `attention`, the share of every row
        in what each register reads in the last product, by falling share.

    Source: `spectral_tf.constructive.trace`.
    """
    rows = jnp.asarray(x - x.mean(axis=0), jnp.float32)
    k = min(COMPONENTS, rows.shape[1] - 1)
    constructed = power_method_params(rows.shape[1], k, ITERATIONS)
    known, params = load_network(NETWORK)
    trained = Network(with_components(known, k), params)
    return {
        "rows": len(x),
        "network": NETWORK,
        "angles": {
            "constructed": _angles(constructed, rows, k),
            "trained": _angles(trained, rows, k),
        },
        "products": {"constructed": ITERATIONS, "trained": trained.config.num_products},
        "blocks": {
            "constructed": constructed.config.num_blocks,
            "trained": trained.config.num_blocks,
        },
        "stream": _stream(constructed, rows, k, columns),
        "attention": _attention(constructed, rows),
    }


def _angles(network: Network[Any], rows: Any, k: int) -> list[list[float]]:
    """`[L, k]` degrees."""
    found = np.degrees(np.asarray(trace(network, rows).angles))
    return [[float(block[j, j]) for j in range(k)] for block in found]


def _stream(
    network: Network[Any], rows: Any, k: int, columns: Sequence[str]
) -> dict[str, Any]:
    """Register 1 of the constructed network, named rows over its first blocks."""
    config, params = network
    composition = power_method_composition(rows.shape[1], k, ITERATIONS)
    inside: Any = SpectralTransformer(config).apply(
        {"params": params}, rows, capture=True
    )[1]
    states = np.concatenate(
        [composition.register_rows()[None], np.asarray(inside.state[1])[:SHOWN_BLOCKS]]
    )
    stream = composition.layout.split(states[:, 0])
    names, values = [], []
    for row in ROWS:
        entries = np.asarray(stream[row]).reshape(len(states), -1)
        for index in range(entries.shape[1]):
            named = f"{row} · {columns[index]}" if entries.shape[1] > 1 else row
            names.append(named)
            values.append(entries[:, index].tolist())
    blocks = [
        composition.gadgets[index].name for index in composition.order[:SHOWN_BLOCKS]
    ]
    return {"names": names, "blocks": ["start", *blocks], "values": values}


def _attention(network: Network[Any], rows: Any) -> dict[str, Any]:
    """Share of each row in the product S u that a register reads."""
    config, params = network
    inside: Any = SpectralTransformer(config).apply(
        {"params": params}, rows, capture=True
    )[1]
    vectors = np.asarray(inside.eigenvectors)[-1]
    scores = (np.asarray(rows) @ vectors.T).T
    shares = scores**2 / np.sum(scores**2, axis=1, keepdims=True)
    order = np.argsort(-shares[0], kind="stable")[:SHOWN_ROWS]
    return {"rows": (order + 1).tolist(), "shares": shares[:, order].tolist()}
