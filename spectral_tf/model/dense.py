r"""The dense parameterisation: ordinary tokens `[T, D]`, ordinary weights.

The paper stores tokens as the columns of :math:`H \in R^{D \times T}`; we store the
transpose. Its head :math:`V_m H \phi((Q_m H)^\top K_m H)` is, for receiver j,
:math:`\sum_i V_m h_i\, \phi(\langle Q_m h_i, K_m h_j \rangle)`: its Q acts on the
sender and its K on the receiver. Here, as is usual in code, `query` acts on the
**receiver** (the paper's K), `key` on the **sender** (its Q), and its :math:`V_m` is
`value` followed by `out`, of rank at most the size of the head's value.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from spectral_tf.config import ModelConfig
from spectral_tf.model.attention import attention_weights, contraction, unit_rows
from spectral_tf.model.module import Module

Tokens = Float[Array, "T D"]
ACTIVATIONS = {"relu": jax.nn.relu, "gelu": jax.nn.gelu}


def fan_in(size: int) -> nn.initializers.Initializer:
    """Normal entries of standard deviation `size ** -0.5`."""
    return nn.initializers.normal(size**-0.5)


class Norm(Module):
    r"""Normalise each token: `none`, `rms` or `layer`, whole or in groups.

    rms: :math:`\gamma \circ \sqrt{n}\, v / \sqrt{|v|^2 + \epsilon}` for each group v
    of n features. Features outside the groups of `norm_groups` pass unchanged.

    Source: Zhang & Sennrich (2019), eq. (4), with epsilon on the sum; Ba et al.
    (2016) for layer.
    """

    config: ModelConfig

    @nn.compact
    def __call__(self, tokens: Tokens) -> Tokens:
        """Tokens `[T, D]`, each normalised."""
        cfg = self.config
        if cfg.dense.norm == "none":
            return tokens
        groups, size = cfg.dense.norm_groups or (1, cfg.dense.width)
        covered = groups * size
        # One group stays a matrix, whose gradient is faster on a CPU.
        shape = (-1, groups, size) if groups > 1 else (-1, size)
        parts = tokens[:, :covered].reshape(shape)
        if cfg.dense.norm == "layer":
            parts = parts - jnp.mean(parts, axis=-1, keepdims=True)
        # gamma sqrt(n) v / sqrt(|v|^2 + epsilon), n features in a group.
        parts = size**0.5 * unit_rows(parts, cfg.norm_eps, cfg.norm_floor)
        gain = self.param("gain", nn.initializers.ones, (covered,))
        parts = parts.reshape(-1, covered) * gain[None]
        if cfg.dense.norm == "layer":
            parts += self.param("bias", nn.initializers.zeros, (covered,))[None]
        return jnp.concatenate([parts, tokens[:, covered:]], axis=1)


class Attention(Module):
    """Multi-head attention of receivers over senders; returns the update alone.

    Source: He et al. (2025), arXiv:2501.01312, attention layer (transposed).
    """

    config: ModelConfig
    is_cross: bool = False

    @nn.compact
    def __call__(
        self,
        receivers: Float[Array, "R D"],
        senders: Float[Array, "S D"],
        valid: Bool[Array, "#R S"] | None,
    ) -> Float[Array, "R D"]:
        """Update `[R, D]` of the receivers; `valid` `[1 or R, S]`, None means all."""
        cfg, einsum = self.config, contraction(self.config)
        heads = cfg.cross_heads if self.is_cross else cfg.num_heads
        size, width = cfg.dense.head_dim, cfg.dense.width
        softmax = cfg.attention == "softmax" and not self.is_cross
        query = self.param(
            "query", fan_in(width * size if softmax else width), (width, heads, size)
        )
        key = self.param("key", fan_in(width), (width, heads, size))
        value = self.param(
            "value", fan_in(width), (width, heads, cfg.dense.head_value_dim)
        )
        out = self.param(
            "out",
            fan_in(heads * cfg.dense.head_value_dim),
            (heads, cfg.dense.head_value_dim, width),
        )
        # score_rs = <W_q h_r, W_k h_s>: the receiver asks, the sender answers.
        scores = einsum(
            "rhc,shc->hrs",
            einsum("rD,Dhc->rhc", receivers, query),
            einsum("sD,Dhc->shc", senders, key),
        )
        weights = attention_weights(
            scores,
            valid,
            kind=cfg.cross_attention if self.is_cross else cfg.attention,
            scale=cfg.attention_scale,
        )
        # sum_h W_out,h sum_s w_rs W_value,h h_s; V_m of the paper is the product.
        mixed = einsum("hrs,shv->rhv", weights, einsum("sD,Dhv->shv", senders, value))
        if self.is_cross and cfg.cross_norm:
            mixed = unit_rows(mixed, cfg.norm_eps)
        return einsum("rhv,hvD->rD", mixed, out)


class MLP(Module):
    """`plain`: W2 act(W1 h + b1) + b2. `gated`: W2 (act(Wa h + ba) * (Wb h + bb)) + b2.

    Source: He et al. (2025), MLP layer; Shazeer (2020), arXiv:2002.05202 (GLU).
    """

    config: ModelConfig

    @nn.compact
    def __call__(self, tokens: Tokens) -> Tokens:
        """Update `[T, D]`, each token by itself."""
        cfg, einsum = self.config, contraction(self.config)

        def linear(name: str, source: Array, fan_out: int) -> Array:
            shape = (source.shape[1], fan_out)
            kernel = self.param(f"{name}_kernel", fan_in(shape[0]), shape)
            bias = self.param(f"{name}_bias", nn.initializers.zeros, (fan_out,))
            return einsum("ti,io->to", source, kernel) + bias[None]

        hidden = ACTIVATIONS[cfg.activation](linear("up", tokens, cfg.mlp_width))
        if cfg.dense.mlp == "gated":  # act(W_a h + b_a) * (W_b h + b_b)
            hidden = hidden * linear("gate", tokens, cfg.mlp_width)
        return linear("down", hidden, cfg.dense.width)


class Residual(Module):
    """One sublayer with its skip path, norm and gain, on (data, registers).

    Source: Xiong et al. (2020) for pre and post.
    """

    config: ModelConfig
    kind: str

    @nn.compact
    def __call__(
        self,
        data: Float[Array, "N D"],
        registers: Float[Array, "k D"],
        mask: Bool[Array, " N"],
    ) -> tuple[Float[Array, "N D"], Float[Array, "k D"]]:
        """Data `[N, D]` and registers `[k, D]` after the sublayer."""
        cfg, num = self.config, data.shape[0]
        norm = Norm(cfg, name="norm")
        # pre: g h + f(norm(h)); post: norm(g h + f(h)).
        # Only a joint network changes its data tokens.
        stream = jnp.concatenate([data, registers]) if cfg.is_joint else registers
        read = norm(stream) if cfg.dense.norm_position == "pre" else stream
        if self.kind == "mlp":
            update = MLP(cfg, name="mlp")(read)
        elif self.kind == "cross":
            update = Attention(cfg, is_cross=True, name="attention")(
                read, data, mask[None]
            )
        else:
            valid = joint_mask(mask, read.shape[0], cfg) if cfg.is_joint else None
            update = Attention(cfg, name="attention")(read, read, valid)
        if cfg.dense.skip_gain:
            gain = self.param("skip", nn.initializers.ones, (cfg.dense.width,))
            stream = stream * gain[None]
        stream = stream + update
        if cfg.dense.norm_position == "post":
            stream = norm(stream)
        return (stream[:num], stream[num:]) if cfg.is_joint else (data, stream)


def joint_mask(
    mask: Bool[Array, " N"], num_tokens: int, config: ModelConfig
) -> Bool[Array, "R S"]:
    """Which of all tokens may read which: registers are always valid."""
    registers = jnp.ones(num_tokens - mask.shape[0], bool)
    valid = jnp.concatenate([mask, registers])[None]
    if not config.dense.causal:
        return valid
    # Receiver r reads senders s <= r; the registers stand last and read all rows.
    return valid & jnp.tril(jnp.ones((num_tokens, num_tokens), bool))


class DenseBlock(Module):
    """The sublayers of `config.block`, in order. _Unbatched_: one instance.

    Training keeps a block's input alone and runs the block again on the way back, which
    saves memory; `benchmarks/bench_train.py` times it.

    Source: Chen et al. (2016), arXiv:1604.06174, for running blocks again.
    """

    config: ModelConfig

    @functools.partial(nn.remat, prevent_cse=False)  # a loop shares nothing anyway
    @nn.compact
    def __call__(
        self,
        state: tuple[Float[Array, "N D"], Float[Array, "k D"]],
        mask: Bool[Array, " N"],
    ) -> tuple[Float[Array, "N D"], Float[Array, "k D"]]:
        """Data `[N, D]` and registers `[k, D]` after the block."""
        for index, kind in enumerate(self.config.block):
            name = f"{index}_{kind}"
            state = Residual(self.config, kind, name=name)(*state, mask)
        return state
