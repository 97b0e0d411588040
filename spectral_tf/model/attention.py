r"""The three attentions behind one interface, for dense and equivariant heads alike.

For receiver r and senders s the weights are

    relu     relu(score_rs) / n        linear   score_rs / n
    softmax  exp(score_rs) / sum_s' exp(score_rs')

with n the number of valid senders (`scale="mean"`) or 1 (`scale="sum"`). Invalid
senders have weight zero. Softmax scores are not divided by the square root of the
head size; the initialisation of the queries carries that factor.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from spectral_tf.config import AnyModel, Attention


def contraction(config: AnyModel) -> Callable[..., Array]:
    """`jnp.einsum` at the precision that `config` asks for."""
    highest = config.precision == "highest"
    return functools.partial(
        jnp.einsum,
        precision=jax.lax.Precision.HIGHEST if highest else jax.lax.Precision.DEFAULT,
    )


def attention_weights(
    scores: Float[Array, "H R S"],
    valid: Bool[Array, "#R S"] | None,
    *,
    kind: Attention,
    scale: str,
) -> Float[Array, "H R S"]:
    """Scores to weights over the senders.

    Args:
        scores: `[H, R, S]` heads, receivers, senders.
        valid: `[1 or R, S]` True where the receiver may read the sender.
        kind: `relu`, `linear` or `softmax`.
        scale: `mean` or `sum`, for relu and linear.

    Returns:
        `[H, R, S]` weights; zero where not valid.

    Source: He et al. (2025), arXiv:2501.01312, definition of attention (relu);
    Vaswani et al. (2017), eq. (1) (softmax).
    """
    if kind == "softmax":
        if valid is not None:
            # The least number and not -inf: no valid sender then gives no NaN.
            scores = jnp.where(valid[None], scores, jnp.finfo(scores.dtype).min)
        weights = jax.nn.softmax(scores, axis=-1)
    else:
        # With phi(z) = z the head is sum_s x_s <x_s, q> = X^T X q, exactly.
        weights = jax.nn.relu(scores) if kind == "relu" else scores
    if valid is not None:
        weights = jnp.where(valid[None], weights, 0.0)
    if kind == "softmax" or scale == "sum":
        return weights
    if valid is None:
        return weights / scores.shape[-1]
    # 1/n, with n the senders that this receiver may read.
    return weights / jnp.maximum(jnp.sum(valid, axis=-1), 1)[None, :, None]


def unit_rows(
    vectors: Float[Array, "*b d"], eps: float, floor: float = 0.0
) -> Float[Array, "*b d"]:
    r""":math:`v / \sqrt{|v|^2 + \epsilon}` along the last axis, or 0.

    Args:
        vectors: `[*b, d]`.
        eps: under the root.
        floor: a vector that is no longer becomes 0.

    Returns:
        `[*b, d]`.
    """
    squared = jnp.sum(vectors**2, axis=-1, keepdims=True)
    # Epsilon stands under the root: the gradient at v = 0 is finite.
    rows = vectors * jax.lax.rsqrt(squared + eps)
    # What is left of a vector that lies in the span of others is rounding.
    return jnp.where(squared > floor**2, rows, 0.0) if floor else rows
