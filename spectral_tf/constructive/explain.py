"""A construction in words: its size beside the paper's, and what each block does."""

from typing import Any

from spectral_tf.config import ModelConfig
from spectral_tf.config.wording import counted
from spectral_tf.constructive.composition import Composition


def explained(composition: Composition) -> list[dict[str, Any]]:
    """What each block with weights of its own does.

    Args:
        composition: the network.

    Returns:
        JSON-ready: `block` (its index in the schedule), `name`, `runs` (how often) and
        `explain` (one line per head, one for the MLP).
    """
    return [
        {
            "block": index,
            "name": gadget.name,
            "runs": composition.order.count(index),
            "explain": list(gadget.explain),
        }
        for index, gadget in enumerate(composition.gadgets)
    ]


def summary(config: ModelConfig) -> list[str]:
    """Layers, heads and width, and for `columns` the numbers of the paper's theorem.

    Args:
        config: of a dense network; attention alone is taken for `columns`.

    Returns:
        Lines of text.

    Source: He et al. (2025), arXiv:2501.01312, theorem on PCA, for its bound.
    """
    k, blocks = config.num_components, config.num_blocks
    lines = [
        f"L = {counted(blocks, 'block')} ({config.num_unique_blocks} with weights of "
        f"their own), H = {counted(config.num_heads, 'head')}, width D = "
        f"{config.dense.width}, {counted(config.num_registers, 'register token')}",
        f"schedule: {config.schedule}",
    ]
    iterations, odd = divmod(blocks - 1 - 4 * k, 2)
    if config.block == ("attention",) and iterations >= 1 and not odd:
        lines.append(
            f"the paper's theorem: L = 1 + 2 tau + 4 k = {blocks} for tau = "
            f"{iterations}, k = {k}, layers of attention alone, and up to "
            "lambda_1^d C / eps^2 heads, which "
            f"grows with d; here the heads are {config.num_heads}, one for each knot "
            "of the normaliser, whatever d is"
        )
    return lines
