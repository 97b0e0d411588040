"""Equal blocks run once: the order of blocks as nested loops."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from spectral_tf.config import ModelConfig
from spectral_tf.model.params import flatten_params

LONGEST_PERIOD = 600


class Leaf(NamedTuple):
    """One block at one place of the text of the program."""

    block: int
    site: int


class Repeat(NamedTuple):
    """A body that runs so many times."""

    times: int
    body: "Nodes"


Nodes = tuple["Leaf | Repeat", ...]


def distinct_blocks(
    config: ModelConfig, params: Any
) -> tuple[list[dict[str, np.ndarray]], list[int]]:
    """Blocks with different weights, and the index of the one at each place.

    Args:
        config: dense model.
        params: its parameters.

    Returns:
        `(blocks, order)`: a block is path below `blocks/` -> array; blocks of equal
        bytes are one block, whether the configuration shares them or not.
    """
    leaves = flatten_params(params["blocks"])
    arrays = {path: np.asarray(leaf, np.float64) for path, leaf in leaves.items()}
    blocks: list[dict[str, np.ndarray]] = []
    known: dict[bytes, int] = {}
    number: dict[int, int] = {}
    for place in config.block_order:
        if place in number:
            continue
        block = {path: leaf[place] for path, leaf in arrays.items()}
        digest = hashlib.sha256()
        for leaf in block.values():
            digest.update(np.ascontiguousarray(leaf).tobytes())
        number[place] = known.setdefault(digest.digest(), len(blocks))
        if number[place] == len(blocks):
            blocks.append(block)
    return blocks, [number[place] for place in config.block_order]


def folded(order: Sequence[int]) -> Nodes:
    """The order as nested loops; every leaf has a site number of its own.

    At each place the loop that covers most is taken, then its body is folded.

    Args:
        order: block index at each place.

    Returns:
        The program; `visits` undoes it.
    """
    counter = iter(range(len(order) + 1))
    return _fold(tuple(order), counter)


def _fold(order: tuple[int, ...], counter: Any) -> Nodes:
    nodes: list[Leaf | Repeat] = []
    place = 0
    while place < len(order):
        period, count = _best_loop(order, place)
        if count == 1:
            nodes.append(Leaf(order[place], next(counter)))
            place += 1
            continue
        body = _fold(order[place : place + period], counter)
        nodes.append(Repeat(count, body))
        place += period * count
    return tuple(nodes)


def _best_loop(order: tuple[int, ...], place: int) -> tuple[int, int]:
    best, covered = (1, 1), 1
    longest = min(LONGEST_PERIOD, (len(order) - place) // 2)
    for period in range(1, longest + 1):
        body, count = order[place : place + period], 1
        while True:
            start = place + count * period
            if order[start : start + period] != body:
                break
            count += 1
        if count > 1 and period * count > covered:
            best, covered = (period, count), period * count
    return best


def visits(nodes: Nodes) -> list[Leaf]:
    """The leaves in the order in which they run."""
    order: list[Leaf] = []
    for node in nodes:
        if isinstance(node, Leaf):
            order.append(node)
        else:
            order.extend(visits(node.body) * node.times)
    return order


def leaves(nodes: Nodes) -> list[Leaf]:
    """Every leaf of the text, once."""
    written: list[Leaf] = []
    for node in nodes:
        written.extend([node] if isinstance(node, Leaf) else leaves(node.body))
    return written
