"""The register tokens that the read-out reads, put together from spans."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from spectral_tf.constructive.fusion.plan import tokens_read
from spectral_tf.constructive.fusion.records import Place, Plan


def answer_tokens(plan: Plan, state: dict[Place, Any], dtype: Any) -> Any:
    """`[n, D]` the register tokens that are read; rows that nobody reads are zero.

    Args:
        plan: of the network.
        state: after the last block.
        dtype: of the data.

    Returns:
        The tokens.
    """
    count_read, parts = tokens_read(plan.config), []
    for group, tokens in enumerate(plan.groups):
        if tokens.start >= count_read:
            break
        count = tokens.stop - tokens.start
        columns = jnp.zeros((count, plan.config.dense.width), dtype)
        fixed = np.flatnonzero(plan.partition.fixed)
        columns = columns.at[:, fixed].set(plan.partition.values[tokens].astype(dtype))
        for span, part in enumerate(plan.partition.spans):
            if (group, span) in state:
                columns = columns.at[:, part].set(state[group, span])
        parts.append(columns)
    return jnp.concatenate(parts, axis=0)[:count_read]
