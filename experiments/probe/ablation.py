"""What |cos| is lost when one head or one sublayer of one block writes nothing."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from measure import Spectrum, cosines
from networks import Subject, Trace

from spectral_tf.constructive import KINDS, order
from spectral_tf.model import flatten_params, unflatten_params

Flat = dict[str, Array]

MLP_PARTS: Mapping[str, tuple[str, ...]] = {
    "gates to vectors": ("gate",),
    "scalars": ("products", "down"),
    "all": ("gate", "move", "products", "down", "down_kernel", "down_bias"),
}
"""Parameters through which an MLP writes; a network has those that it has."""


def parts(subject: Subject) -> list[tuple[str, list[tuple[str, Any]]]]:
    """`(label, [(path, index behind the block)])` of everything that can be silenced.

    A head writes through `out[head]` and `scalar_out[head]`.
    """
    flat, found, names = flatten_params(subject.params), [], roles_of(subject)
    for place, kind in enumerate(subject.config.block):
        prefix, name = f"blocks/{place}_{kind}", f"{place} {names[place]}"
        if kind == "mlp":
            for part, roles in MLP_PARTS.items():
                paths = [f"{prefix}/mlp/{role}" for role in roles]
                chosen = [(path, ...) for path in paths if path in flat]
                if chosen:
                    found.append((f"{name}: {part}", chosen))
            continue
        roles = ("out", "scalar_out")
        paths = [f"{prefix}/attention/{role}" for role in roles]
        paths = [path for path in paths if path in flat]
        heads = flat[paths[0]].shape[1]
        if heads > 1:
            for head in range(heads):
                label = f"{name}: head {head}"
                found.append((label, [(path, head) for path in paths]))
        found.append((f"{name}: all", [(path, ...) for path in paths]))
    return found


def roles_of(subject: Subject) -> tuple[str, ...]:
    """What the sublayers of a block began as; their kinds, if nothing is known."""
    written = order(inner=2, rounds=2)
    kinds = tuple(KINDS.get(one, "self") for one in written)
    block = subject.config.block
    named = {"move": "mlp"}
    return tuple(named.get(one, one) for one in written) if block == kinds else block


def groups(subject: Subject) -> list[tuple[str, list[tuple[str, Any]]]]:
    """The same, of all sublayers of a block that have one role."""
    whole = [(label, chosen) for label, chosen in parts(subject) if ": all" in label]
    roles = [label.split()[1].rstrip(":") for label, _ in whole]
    found = []
    for role in dict.fromkeys(roles):
        own = [each[1] for each, name in zip(whole, roles, strict=True) if name == role]
        if len(own) > 1:
            found.append((f"every {role}", [one for each in own for one in each]))
    return found


EVERY = slice(None)


def silenced(flat: Flat, block: int | slice, chosen: list[tuple[str, Any]]) -> Any:
    """The parameters with these entries of one block, or of all, at zero."""
    changed = dict(flat)
    for path, index in chosen:
        leaf = np.array(flat[path])
        leaf[block, index] = 0.0
        changed[path] = jnp.asarray(leaf)
    return unflatten_params(changed)


def ablation_report(trace: Trace, x: Array, found: Spectrum) -> dict[str, Any]:
    """Question 3: `loss [parts, blocks, k]` of mean |cos| of the final answer."""
    subject = trace.subject
    blocks = range(subject.config.num_blocks)
    flat = flatten_params(subject.params)
    score = lambda params: cosines(trace(x, params)[0][:, -1:], found.vectors).mean(
        axis=(0, 1)
    )
    whole, chosen = score(subject.params), parts(subject) + groups(subject)
    loss = [
        [whole - score(silenced(flat, block, where)) for block in blocks]
        for _, where in chosen
    ]
    return {
        "network": subject.name,
        "labels": [label for label, _ in chosen],
        "blocks": list(blocks),
        "whole": whole,
        "loss": np.array(loss),
        "everywhere": np.array(
            [whole - score(silenced(flat, EVERY, where)) for _, where in chosen]
        ),
    }
