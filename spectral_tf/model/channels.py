r"""The equivariant parameterisation: weights of the form `w (x) I_d`.

PCA commutes with rotations of the features, so a network for it may have weights
:math:`w \otimes I_d`. A register's residual stream is then `C` **vector channels** in
R^d and `c` **scalar channels**; every weight below is a small array on channels:

* `cross`: queries are mixtures of vector channels; the score with data token x is
  :math:`\langle q, x\rangle` and the value is x. Linear attention over rows of unit
  trace gives exactly :math:`S q / tr S`. The output is normalised, which keeps the
  network free of the scale of S (a raw S q beside unit vectors learns the size of
  the eigenvalues at the training d, and fails at other d).
* `self`: a score is an inner product of one mixture of vector channels on each side
  plus an inner product of scalars (which can gate: relu(z - 1) closes a head, since
  vectors are of unit length).
* `mlp` (gated): :math:`a = act(s W + b)`; vectors are mixed by a matrix linear in a,
  inner products of vectors go to scalars, and a goes to scalars.

Every vector is normalised after a sublayer; scalars pass. If data and start vectors
are rotated by R, each vector channel is rotated by R and no scalar changes, by
induction over sublayers: inner products are invariant, and mixtures of rotated
vectors are rotated. The same holds for N (a sum over rows) and d (no array has the
size d): one set of weights serves all. `expand.py` writes the same network densely.

Source: arXiv:2606.00605, theorem 4.1, that gradient descent on a dense transformer
finds this form.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from spectral_tf.config import ModelConfig
from spectral_tf.model.attention import attention_weights, contraction, unit_rows
from spectral_tf.model.dense import ACTIVATIONS
from spectral_tf.model.inputs import ScaledRows
from spectral_tf.model.module import Module
from spectral_tf.model.moment import Moment
from spectral_tf.model.products import small_products

Vectors = Float[Array, "k C d"]
Scalars = Float[Array, "k c"]

NOISE = 0.3
"""Size of the random part of a structured initialisation."""


def first_scratch_scalar(config: ModelConfig) -> int:
    """Scalars before this index are the register's codes: position, blocked, one."""
    return 2 * config.register_rows + 1


def register_codes(config: ModelConfig) -> Float[Array, "k c"]:
    """Initial scalars: one-hot position, `blocked[j, m] = 1[m >= j]`, one, zeros."""
    rows = config.register_rows
    constant = jnp.ones((rows, 1))
    codes = jnp.concatenate(
        [jnp.eye(rows), jnp.triu(jnp.ones((rows, rows))), constant], axis=1
    )
    return jnp.pad(codes, ((0, 0), (0, config.channels.scalars - codes.shape[1])))


class CrossAttention(Module):
    """Registers read the data. Returns `(vector update, scalar update)`."""

    config: ModelConfig

    @nn.compact
    def __call__(
        self,
        vectors: Vectors,
        scalars: Scalars,
        data: ScaledRows | Moment,
    ) -> tuple[Vectors, Scalars]:
        """Updates `[k, C, d]` and `[k, c]` from the data; scalars get zero."""
        cfg, einsum = self.config, small_products(self.config)
        shape = (cfg.channels.vectors, cfg.cross_heads)
        query = self.param("query", cross_query_init(cfg), shape)
        out = self.param("out", cross_out_init(cfg), shape[::-1])
        # q_h = sum_c w_ch v_c: the weight is w (x) I_d, which mixes no coordinates.
        queries = einsum("kcd,ch->khd", vectors, query)
        if isinstance(data, Moment):
            # sum_i x_i <x_i, q> = (sum_i x_i x_i^T) q.
            image = einsum("khd,de->khe", queries, data.matrix)
        else:
            weights = attention_weights(
                einsum("nd,khd->hkn", data.x, queries),
                data.mask[None],
                kind=cfg.cross_attention,
                scale=cfg.attention_scale,
            )
            image = einsum("hkn,nd->khd", weights, data.x)
        if cfg.cross_norm:
            # S q / |S q|: a step of the power method, whatever the scale of S.
            image = unit_rows(image, cfg.norm_eps)
        return einsum("khd,hc->kcd", image, out), jnp.zeros_like(scalars)


class SelfAttention(Module):
    """Registers read one another. Returns `(vector update, scalar update)`."""

    config: ModelConfig

    @nn.compact
    def __call__(self, vectors: Vectors, scalars: Scalars) -> tuple[Vectors, Scalars]:
        """Updates `[k, C, d]` and `[k, c]` from the k registers themselves."""
        cfg, einsum = self.config, small_products(self.config)
        matrix = contraction(self.config)
        heads, gates = cfg.num_heads, cfg.register_rows
        big, small = cfg.channels.vectors, cfg.channels.scalars
        parameter = self_attention_init(cfg)
        query = self.param("query", parameter("query"), (big, heads))
        key = self.param("key", parameter("key"), (big, heads))
        gate_query = self.param(
            "gate_query", parameter("gate_query"), (small, heads, gates)
        )
        gate_key = self.param("gate_key", parameter("gate_key"), (small, heads, gates))
        value = self.param("value", parameter("value"), (big, heads))
        out = self.param("out", parameter("out"), (heads, big))
        scalar_value = self.param(
            "scalar_value", parameter("scalar_value"), (small, heads)
        )
        scalar_out = self.param("scalar_out", parameter("scalar_out"), (heads, small))

        # score_jl = <W_q v_j, W_k v_l> + <G_q s_j, G_k s_l>; the second one gates.
        scores = einsum(
            "jhd,lhd->hjl",
            einsum("jcd,ch->jhd", vectors, query),
            einsum("lcd,ch->lhd", vectors, key),
        ) + einsum(
            "jhg,lhg->hjl",
            matrix("jc,chg->jhg", scalars, gate_query),
            matrix("lc,chg->lhg", scalars, gate_key),
        )
        # No mask: every register reads every register, and itself.
        weights = attention_weights(
            scores, None, kind=cfg.attention, scale=cfg.attention_scale
        )
        mixed = einsum("hjl,lhd->jhd", weights, einsum("lcd,ch->lhd", vectors, value))
        mixed_scalars = einsum(
            "hjl,lh->jh", weights, einsum("lc,ch->lh", scalars, scalar_value)
        )
        return (
            einsum("jhd,hc->jcd", mixed, out),
            einsum("jh,hc->jc", mixed_scalars, scalar_out),
        )


class ChannelMLP(Module):
    """Gated MLP on channels. Returns `(vector update, scalar update)`."""

    config: ModelConfig
    moves_image: bool = False

    @nn.compact
    def __call__(self, vectors: Vectors, scalars: Scalars) -> tuple[Vectors, Scalars]:
        """Updates `[k, C, d]` and `[k, c]`, each register by itself."""
        cfg, einsum = self.config, small_products(self.config)
        # With weights of this size a batch is one large matrix product.
        matrix = contraction(self.config)
        big, small, hidden = cfg.channels.vectors, cfg.channels.scalars, cfg.mlp_width
        noise = NOISE if cfg.channels.initialisation != "random" else 1.0
        normal = nn.initializers.normal
        up = self.param("up", normal(noise * small**-0.5), (small, hidden))
        bias = self.param("bias", nn.initializers.zeros, (hidden,))
        gate = self.param("gate", normal(0.01 * noise), (hidden, big, big))
        move = self.param("move", move_init(cfg, self.moves_image), (big, big))
        products = self.param(
            "products", on_scratch(cfg, normal(0.25 * noise)), (big, big, small)
        )
        down = self.param("down", on_scratch(cfg, normal(0.1 * noise)), (hidden, small))

        # a = act(W s + b). Then v_e <- sum_c (gate(a) + move)_ce v_c, and the scalars
        # read the inner products <v_c, v_e>, which no rotation changes.
        act = ACTIVATIONS[cfg.activation](matrix("kc,cm->km", scalars, up) + bias[None])
        mixing = matrix("km,mce->kce", act, gate) + move[None]
        inner = einsum("kcd,ked->kce", vectors, vectors)
        return (
            einsum("kcd,kce->ked", vectors, mixing),
            matrix("kce,ces->ks", inner, products) + matrix("km,ms->ks", act, down),
        )


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def limited_gradient(vectors: Vectors, limit: float) -> Vectors:
    """The identity; backwards, each register's gradient is at most `limit` long.

    Where a register is nearly a combination of those before it, deflation divides by
    what is left of it, and gradients through many blocks overflow. A gradient that is
    not finite becomes 0.

    Args:
        vectors: `[k, C, d]`.
        limit: longest gradient of a register; that of the loss of one instance.

    Returns:
        `vectors`.

    Source: Graves (2013), section 4, clips inside a recurrence.
    """
    del limit
    return vectors


def _limited_forward(vectors: Vectors, limit: float) -> tuple[Vectors, None]:
    del limit
    return vectors, None


def _limited_backward(limit: float, _: None, gradient: Vectors) -> tuple[Vectors]:
    # g min(1, limit / |g|), without a division by a small |g|.
    length = jnp.sqrt(jnp.sum(gradient**2, axis=(1, 2), keepdims=True))
    short = gradient * jnp.minimum(1.0, limit / jnp.maximum(length, limit))
    return (jnp.where(jnp.isfinite(length), short, 0.0),)


limited_gradient.defvjp(_limited_forward, _limited_backward)


class ChannelResidual(Module):
    """One sublayer: `v <- unit(g v + update)`, `s <- g s + update`."""

    config: ModelConfig
    kind: str
    is_last: bool = False

    @nn.compact
    def __call__(
        self,
        state: tuple[Vectors, Scalars],
        data: ScaledRows | Moment,
    ) -> tuple[Vectors, Scalars]:
        """The state `[k, C, d]`, `[k, c]` after the sublayer."""
        cfg, (vectors, scalars) = self.config, state
        if self.kind == "cross":
            more, extra = CrossAttention(cfg, name="attention")(*state, data)
        elif self.kind == "self":
            more, extra = SelfAttention(cfg, name="attention")(*state)
        else:
            more, extra = ChannelMLP(cfg, self.is_last, name="mlp")(*state)
        keep, keep_scalars = skip_inits(cfg, self.kind, self.is_last)
        gain = self.param("skip", keep, (cfg.channels.vectors,))
        gain_scalars = self.param("skip_scalars", keep_scalars, (cfg.channels.scalars,))
        vectors = gain[None, :, None] * vectors + more
        if cfg.layout.norm == "rms":
            # The last `raw_channels` keep their length, as a product S q must.
            normed = cfg.channels.vectors - cfg.channels.raw
            unit = unit_rows(vectors[:, :normed], cfg.norm_eps, cfg.norm_floor)
            vectors = jnp.concatenate([unit, vectors[:, normed:]], axis=1)
        if cfg.channels.gradient_limit is not None:
            limited: Vectors = limited_gradient(vectors, cfg.channels.gradient_limit)
            vectors = limited
        after = gain_scalars[None] * scalars + extra
        if cfg.channels.fixed_codes:
            # Positions and gates are what they were, whatever training does.
            codes = first_scratch_scalar(cfg)
            after = jnp.concatenate([scalars[:, :codes], after[:, codes:]], axis=1)
        return vectors, after


class ChannelBlock(Module):
    """The sublayers of `config.block`, in order. _Unbatched_: one instance."""

    config: ModelConfig

    @nn.compact
    def __call__(
        self,
        state: tuple[Vectors, Scalars],
        data: ScaledRows | Moment,
    ) -> tuple[Vectors, Scalars]:
        """The state `[k, C, d]`, `[k, c]` after the block."""
        last = len(self.config.block) - 1
        for index, kind in enumerate(self.config.block):
            state = ChannelResidual(
                self.config, kind, index == last, name=f"{index}_{kind}"
            )(state, data)
        return state


# Initialisation. Channel 0 holds the iterate u, channel C - 1 the image S u, the
# channels between them the iterates before. `power` starts every register as the
# normalised power method (the last MLP moves image -> 0 -> 1 -> ...), `orthogonal`
# adds deflation by heads 0 and 1, `random` has no structure. Training then changes
# everything.


def cross_query_init(config: ModelConfig) -> nn.initializers.Initializer:
    """Query channel 0 with head 0, plus noise."""
    return _patched(config, 0.05, lambda w: w.at[0, 0].add(1.0))


def cross_out_init(config: ModelConfig) -> nn.initializers.Initializer:
    """Write head 0 to the image channel, plus noise."""
    return _patched(config, 0.02, lambda w: w.at[0, -1].add(1.0))


def self_attention_init(
    config: ModelConfig,
) -> Callable[[str], nn.initializers.Initializer]:
    r"""Initialisers by name; `orthogonal` installs deflation in heads 0 and 1.

    With w_j the image of register j, heads +,- compute
    :math:`relu(\pm\langle w_j, w_l\rangle - 1[l \ge j])`. Images have unit length, so
    the gate closes the head exactly for l >= j, and for l < j the two heads with
    opposite outputs add to :math:`-\sum_{l<j} w_l \langle w_l, w_j\rangle`, because
    relu(z) - relu(-z) = z.
    """
    deflates = config.channels.initialisation == "orthogonal"

    def patch(name: str, w: Array) -> Array:
        return _with_deflation(name, config.register_rows, w) if deflates else w

    def parameter(name: str) -> nn.initializers.Initializer:
        size = 0.05 if name == "out" else 0.3
        base = _patched(config, size, lambda w: patch(name, w))
        return on_scratch(config, base) if name == "scalar_out" else base

    return parameter


def _with_deflation(name: str, rows: int, w: Array) -> Array:
    """The parameter `name` with its heads 0 and 1 overwritten: deflation, no noise."""
    slot = jnp.arange(rows)
    for head, sign in ((0, 1.0), (1, -1.0)):
        is_output = name in ("out", "scalar_out")
        w = w.at[head].set(0.0) if is_output else w.at[:, head].set(0.0)
        entries = {
            "query": ((-1, head), sign),
            "key": ((-1, head), 1.0),
            "value": ((-1, head), 1.0),
            "out": ((head, -1), -sign),
            "gate_query": ((rows + slot, head, slot), -1.0),
            "gate_key": ((slot, head, slot), 1.0),
        }
        if name in entries:
            place, entry = entries[name]
            w = w.at[place].set(entry)
    return w


def move_init(config: ModelConfig, moves: bool) -> nn.initializers.Initializer:
    """The constant part of the mixing matrix: image -> 0 -> 1 -> ... -> C - 2."""

    def init(key: Array, shape: tuple[int, ...], dtype: type = float) -> Array:
        del key
        move = jnp.zeros(shape, dtype)
        if not moves or config.channels.initialisation == "random":
            return move
        move = move.at[-1, 0].set(1.0)
        to = jnp.arange(1, shape[0] - 1)
        return move.at[to - 1, to].set(1.0)

    return init


def skip_inits(
    config: ModelConfig, kind: str, is_last: bool
) -> tuple[nn.initializers.Initializer, nn.initializers.Initializer]:
    """What a sublayer keeps: `cross` drops the image and the scratch scalars."""

    def vectors(key: Array, shape: tuple[int, ...], dtype: type = float) -> Array:
        del key
        gain = jnp.ones(shape, dtype)
        if config.channels.initialisation == "random":
            return gain
        if kind == "cross":
            return gain.at[-1].set(0.0)  # S u is written anew
        if is_last and kind == "mlp":
            # `move` writes image -> 0 -> 1 -> ...: of the old only the image stays.
            return jnp.zeros(shape, dtype).at[-1].set(1.0)
        return gain

    def scalars(key: Array, shape: tuple[int, ...], dtype: type = float) -> Array:
        del key
        gain = jnp.ones(shape, dtype)
        if kind == "cross":
            return gain.at[first_scratch_scalar(config) :].set(0.0)
        return gain

    return vectors, scalars


def on_scratch(
    config: ModelConfig, init: nn.initializers.Initializer
) -> nn.initializers.Initializer:
    """`init`, but zero on the code scalars (last axis): codes start constant."""

    def masked(key: Array, shape: tuple[int, ...], dtype: type = float) -> Array:
        first = first_scratch_scalar(config)
        return jnp.asarray(init(key, shape, dtype)).at[..., :first].set(0.0)

    return masked


def _patched(
    config: ModelConfig, scale: float, patch: Callable[[Array], Array]
) -> nn.initializers.Initializer:
    """Normal noise, then `patch` unless the initialisation is random."""
    is_random = config.channels.initialisation == "random"
    noise = nn.initializers.normal(scale if is_random else NOISE * scale)

    def init(key: jax.Array, shape: tuple[int, ...], dtype: type = float) -> Array:
        weights = jnp.asarray(noise(key, shape, dtype))
        return weights if is_random else patch(weights)

    return init
