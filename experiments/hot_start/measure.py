"""What a trained construction does: its answers block by block, and its shifts."""

from collections.abc import Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from config import Arm

from spectral_tf import Estimate, ModelConfig, SpectralTransformer
from spectral_tf.constructive import Composition, power_method_composition
from spectral_tf.evaluation import PredictFn
from spectral_tf.model import Intermediates, default_start
from spectral_tf.sampling import Instance
from spectral_tf.spectra import (
    abs_cosine,
    covariance,
    einsum,
    gram_schmidt,
    rayleigh_quotients,
)


def answers_by_block(model: ModelConfig, params: Any, batch: Instance) -> np.ndarray:
    """`[B, L, k]` |cos| of what the read-out would answer after every block."""
    module = SpectralTransformer(model)

    def one(instance: Instance) -> jax.Array:
        x, mask = instance.x, instance.mask
        _, kept = module.apply({"params": params}, x, mask, capture=True)
        vectors = cast(Intermediates, kept).eigenvectors
        along = jax.vmap(lambda rows: abs_cosine(rows, instance.eigenvectors))
        return along(vectors)

    run = jax.jit(lambda data: jax.lax.map(one, data, batch_size=16))
    return np.asarray(run(batch))


def composition_of(arm: Arm, dim: int, k: int) -> Composition:
    """The construction of an arm, in named rows."""
    options = cast(Any, dict(arm.options))
    return power_method_composition(dim, k, arm.num_iters, arm.variant, **options)


def multiply_shifts(arm: Arm, model: ModelConfig, params: Any) -> list[float]:
    r"""Of each block that multiplies by S, the shift that its weights amount to.

    Attention computes :math:`w = \beta S u`, then the MLP :math:`u \leftarrow \alpha u
    + \gamma w`; as constructed :math:`\alpha = 0`. So :math:`u \leftarrow \beta\gamma
    (S - \sigma) u` with :math:`\sigma = -\alpha / (\beta\gamma)`. What differs between
    features, or between the halves of a relu pair, is averaged.

    Args:
        arm: says which construction.
        model: of `trainable`, one set of weights for each place.
        params: trained.

    Returns:
        Shifts over the trace of S, one for each product.
    """
    k, dim = model.num_components, cast(int, model.dim)
    composition = composition_of(arm, dim, k)
    layout = composition.layout
    u, w, x = layout["u"], layout["w"], layout["x"]
    diagonal = lambda matrix: float(np.mean(np.diag(matrix)))
    shifts = []
    for place in composition.places("multiply"):
        pick = lambda leaf, at=place: np.asarray(leaf[at])
        own = jax.tree.map(pick, params["blocks"])
        heads, mlp = own["0_attention"]["attention"], own["1_mlp"]["mlp"]
        # A relu pair passes each sign by one of two units: half their sum is the map.
        through = 0.5 * mlp["up_kernel"] @ mlp["down_kernel"]
        alpha, gamma = 1 + diagonal(through[u, u]), diagonal(through[w, u])
        if "norm" in own["0_attention"]:  # it scales u before the MLP, w not
            alpha *= float(np.mean(own["0_attention"]["norm"]["gain"])) * dim**0.5
        score = np.einsum("ahc,bhc->hab", heads["query"][u], heads["key"][x])
        value = np.einsum("ahv,hvb->hab", heads["value"][x], heads["out"][:, :, w])
        beta = np.mean([diagonal(score[h]) * diagonal(value[h]) for h in (0, 1)])
        shifts.append(-alpha / (float(beta) * gamma))
    return shifts


def shifted_predict(model: ModelConfig, shifts: Sequence[float]) -> PredictFn:
    """Orthogonal iteration with `S / tr S - shift` in place of S."""

    def run(x: jax.Array, mask: jax.Array) -> Estimate:
        rows = default_start(model, x.shape[1], x.dtype)
        matrix = covariance(x, mask)
        scaled = matrix / jnp.trace(matrix)
        for shift in shifts:
            moved = scaled - shift * jnp.eye(x.shape[1], dtype=x.dtype)
            rows = gram_schmidt(einsum("ij,kj->ki", moved, rows))
        return Estimate(rayleigh_quotients(matrix, rows), rows)

    return run
