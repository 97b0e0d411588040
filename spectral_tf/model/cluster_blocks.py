r"""The sublayers of the network that clusters: data tokens and registers in turns.

A register stands for one cluster and holds C vectors in R^d, the first of them its
centre, and c numbers; a data token holds its row, which stays, and s numbers. A block
has the shape of a step of EM, with every constant trained:

* `TokenScores` (E): data token i scores register k by
  :math:`-\frac{\tau_k}{2}\bigl(|x_i - q_k|^2 + \sum_a (e^{\rho_{ka}} - 1) \langle x_i -
  q_k, a\rangle^2\bigr) + b_k`, per head, and a softmax over the registers gives the
  responsibilities. It is attention by distance: the squared lengths are the keys of
  ordinary attention, written out;
* `TokenUpdate`: a data token reads the registers by them and updates its numbers, by
  which it can close itself to the next sublayer (an outlier);
* `Fit` (M): a register reads the data by the responsibilities: mean, mass and spread
  for each head, and one step of orthogonal iteration on the covariance of its rows;
* `RegisterAttention` and `RegisterMLP`: registers read one another.

Everything is a function of inner products, so centres turn with the data and the rest
stays; sums over the rows do not see their order; registers differ by their start
vectors alone, so that the clusters have no order either, and K is free. Rows have unit
variance in each column, on average: :math:`|x|^2` grows as d, and is divided by it.

Source: Dempster, Laird & Rubin (1977) for EM; arXiv:2502.06007 for softmax attention
as its E step.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from spectral_tf.config import ClusterModelConfig
from spectral_tf.model.attention import contraction, unit_rows
from spectral_tf.model.channels import limited_gradient
from spectral_tf.model.module import Module

AXES = 2
"""Directions of a register in which its spread is measured by itself."""
READ = 4
"""Numbers that a head reads off a register."""
LEAST = 1e-2
"""Added to a share or a variance before its logarithm is taken: a cluster of one row
has no variance, and a softmax of scores without bound no useful gradient."""
CLOSED = -1e9
"""Score of a register that is not there."""
LONGEST = 8.0
"""Longest vector of a register, over the root of d."""


class Tokens(NamedTuple):
    """The instance as the blocks see it.

    Attributes:
        x: `[N, d]` centred rows of unit variance in each column, on average.
        mask: `[N]` True for valid rows.
        active: `[K]` True for the registers that take part.
        context: `[f]` what is known of the sizes, see `cluster.context`.
        num_valid: `[]` valid rows.
    """

    x: Array
    mask: Array
    active: Array
    context: Array
    num_valid: Array


class Fitted(NamedTuple):
    """What the registers last read off the data.

    Attributes:
        log_mass: `[K, H]` logarithm of the share of the rows.
        log_spread: `[K, H]` logarithm of the mean squared distance over d.
        axes: `[K, 2, d]` orthonormal.
        log_ratio: `[K, 2]` logarithm of the variance along an axis, less log spread.
    """

    log_mass: Array
    log_spread: Array
    axes: Array
    log_ratio: Array


class ClusterState(NamedTuple):
    """The residual stream: `vectors [K, C, d]`, `scalars [K, c]`, `tokens [N, s]`."""

    vectors: Array
    scalars: Array
    tokens: Array
    fitted: Fitted


def normed(values: Float[Array, "*b c"], eps: float = 1e-6) -> Float[Array, "*b c"]:
    """RMS norm along the last axis, without a gain."""
    return values * jax.lax.rsqrt(jnp.mean(values**2, axis=-1, keepdims=True) + eps)


def mean_of(values: Float[Array, "K *b"], active: Array) -> Float[Array, "*b"]:
    """Mean over the registers that take part."""
    weights = active.astype(values.dtype)
    return jnp.tensordot(
        weights, values, 1, precision=jax.lax.Precision.HIGHEST
    ) / jnp.sum(weights)


def squared_distances(
    x: Float[Array, "N d"], points: Float[Array, "K H d"], einsum: Any
) -> Float[Array, "H K N"]:
    """Squared distances of all rows from all points."""
    # |x - q|^2 = |x|^2 + |q|^2 - 2 <x, q>, which rounding can leave below 0.
    of_rows = jnp.sum(x**2, axis=-1)[None, None]
    of_points = jnp.sum(points**2, axis=-1).T[:, :, None]
    return jnp.maximum(of_rows + of_points - 2 * einsum("nd,khd->hkn", x, points), 0.0)


def along_axes(
    x: Float[Array, "N d"],
    points: Float[Array, "K H d"],
    axes: Float[Array, "K A d"],
    factors: Float[Array, "H K A"],
    einsum: Any,
) -> Float[Array, "H K N"]:
    """Sum over the axes a of factor times <x - q, a>^2, multiplied out."""
    # f <x - q, a>^2 = f <x, a>^2 - 2 f <x, a> <q, a> + f <q, a>^2.
    of_x = einsum("nd,kad->kan", x, axes)
    of_points = einsum("khd,kad->hka", points, axes)
    squares = einsum("kan,hka->hkn", of_x**2, factors)
    mixed = einsum("kan,hka->hkn", of_x, factors * of_points)
    point_squares = jnp.sum(factors * of_points**2, axis=-1)
    return squares - 2 * mixed + point_squares[..., None]


def orthonormal(pair: Float[Array, "K 2 d"], eps: float) -> Float[Array, "K 2 d"]:
    """Gram-Schmidt of two vectors; the second is 0 where there is no second."""
    first = unit_rows(pair[:, 0], eps)
    along = jnp.sum(pair[:, 1] * first, axis=-1, keepdims=True)
    return jnp.stack([first, unit_rows(pair[:, 1] - along * first, eps)], axis=1)


def constant(value: float) -> nn.initializers.Initializer:
    """All entries alike."""
    return nn.initializers.constant(value)


def chosen(noise: float, *places: tuple[int, ...]) -> nn.initializers.Initializer:
    """Small noise, and 1 at the given index prefixes."""

    def init(key: Array, shape: Any, dtype: Any = jnp.float32) -> Array:
        weights = noise * jax.random.normal(key, shape, dtype)
        for place in places:
            weights = weights.at[tuple(map(min, place, (n - 1 for n in shape)))].add(
                1.0
            )
        return weights

    return init


def spaced(low: float, high: float) -> nn.initializers.Initializer:
    """Evenly from `low` to `high`: heads that differ."""

    def init(key: Array, shape: Any, dtype: Any = jnp.float32) -> Array:
        del key
        return jnp.linspace(low, high, shape[0] + 2, dtype=dtype)[1:-1].reshape(shape)

    return init


class TokenScores(Module):
    """How much each data token belongs to each register, and its distance from it."""

    config: ClusterModelConfig
    heads: int

    @nn.compact
    def __call__(
        self, state: ClusterState, data: Tokens
    ) -> tuple[Float[Array, "H K N"], Float[Array, "H K N"]]:
        """`(scores, distances in units of the register's spread)`."""
        cfg, heads, einsum = self.config, self.heads, contraction(self.config)
        small, dim = cfg.scalar_channels, data.x.shape[1]
        normal, fitted = nn.initializers.normal(0.02), state.fitted
        query = self.param("query", chosen(0.05, (0,)), (cfg.vector_channels, heads))
        points = einsum("kcd,ch->khd", state.vectors, query)
        scalars = normed(state.scalars)
        linear = lambda name, *size: einsum(
            "kc,cg->kg", scalars, self.param(name, normal, (small, *size))
        )
        gain = lambda name, value: self.param(name, constant(value), (heads,))[None]
        # Precision: from the spread of the register, and of all, and from its numbers.
        log_spread, mix = fitted.log_spread[:, :heads], gain("mix", 0.3)
        log_precision = -(
            mix * log_spread + (1 - mix) * mean_of(log_spread, data.active)[None]
        )
        log_precision += self.param("offset", spaced(-1.0, 1.0), (heads,))[None]
        log_precision = jnp.clip(log_precision + linear("sharp", heads), -5.0, 6.0)
        # Along the axes it differs by a factor.
        rho = -gain("stretch", 0.3).T[..., None] * fitted.log_ratio[None]
        rho += (
            linear("stretch_scalars", heads * AXES)
            .reshape(-1, heads, AXES)
            .swapaxes(0, 1)
        )
        rho = jnp.clip(rho, -3.0, 3.0)
        # b = log mass + log det of the precision / 2, by trained shares.
        bias = gain("mass", 0.5) * fitted.log_mass[:, :heads] + linear("bias", heads)
        bias += 0.5 * dim * gain("volume", 0.5) * log_precision
        bias += 0.5 * gain("stretch_volume", 0.5) * jnp.sum(rho, axis=-1).T
        # tau (|x - q|^2 + sum_a (e^rho_a - 1) <x - q, a>^2): a Mahalanobis distance.
        apart = squared_distances(data.x, points, einsum)
        apart += along_axes(data.x, points, fitted.axes, jnp.expm1(rho), einsum)
        apart = jnp.exp(log_precision).T[:, :, None] * jnp.maximum(apart, 0.0)
        scores = bias.T[:, :, None] - 0.5 * apart
        return jnp.where(data.active[None, :, None], scores, CLOSED), apart


class TokenUpdate(Module):
    """Data tokens read the registers; the numbers of a token after it."""

    config: ClusterModelConfig

    @nn.compact
    def __call__(
        self,
        state: ClusterState,
        data: Tokens,
        shares: Float[Array, "H K N"],
        apart: Float[Array, "H K N"],
    ) -> Float[Array, "N s"]:
        """`[N, s]` from responsibilities and distances."""
        cfg, einsum = self.config, contraction(self.config)
        small, token_channels = cfg.scalar_channels, cfg.token_channels
        shape = (small, cfg.num_heads, READ)
        value = self.param("value", nn.initializers.normal(small**-0.5), shape)
        offered = einsum("kc,chr->khr", normed(state.scalars), value)
        # Shares sum to 1 over the registers: a mean of what these offer.
        read = einsum("hkn,khr->nhr", shares, offered)
        # Mean squared distance of a row from the registers, by its shares, over d.
        near = einsum("hkn,hkn->nh", shares, apart) / data.x.shape[1]
        features = [
            normed(state.tokens),
            jnp.log1p(near),
            jnp.max(shares, axis=1).T,
            read.reshape(len(read), -1),
            jnp.broadcast_to(data.context, (len(read), len(data.context))),
        ]
        hidden = Hidden(cfg, cfg.token_width, name="hidden")(
            jnp.concatenate(features, axis=1)
        )
        scale = 0.3 * cfg.token_width**-0.5
        shape = (cfg.token_width, token_channels)
        down = self.param("down", nn.initializers.normal(scale), shape)
        return state.tokens + einsum("nw,ws->ns", hidden, down)


class Hidden(Module):
    """One layer of an MLP: gelu of an affine map."""

    config: ClusterModelConfig
    size: int

    @nn.compact
    def __call__(self, features: Float[Array, "n f"]) -> Float[Array, "n m"]:
        """`[n, f]` to `[n, size]`."""
        count = features.shape[-1]
        up = self.param("up", nn.initializers.normal(count**-0.5), (count, self.size))
        bias = self.param("bias", nn.initializers.zeros, (self.size,))
        mapped = contraction(self.config)("nf,fm->nm", features, up)
        return jax.nn.gelu(mapped + bias[None])


class Fit(Module):
    """Registers read the data by the responsibilities: the M step."""

    config: ClusterModelConfig

    @nn.compact
    def __call__(
        self, state: ClusterState, data: Tokens, shares: Float[Array, "H K N"]
    ) -> ClusterState:
        """The state with new vectors, numbers and fit."""
        cfg, einsum = self.config, contraction(self.config)
        heads, big, small = cfg.num_heads, cfg.vector_channels, cfg.scalar_channels
        shape = (cfg.token_channels, heads)
        opening = self.param("open", nn.initializers.normal(0.02), shape)
        # A token can close itself to the M step; it begins open, sigmoid(2) = 0.88.
        opened = einsum("ns,sh->nh", normed(state.tokens), opening)
        opened += self.param("open_bias", constant(2.0), (heads,))[None]
        opened = jax.nn.sigmoid(opened)
        weights = shares * jnp.where(data.mask[:, None], opened, 0.0).T[:, None]
        # mean_k = sum_n w_kn x_n / sum_n w_kn, with w the responsibilities.
        mass = jnp.sum(weights, axis=-1)
        weights = weights / (mass[..., None] + cfg.norm_eps)
        means = einsum("hkn,nd->khd", weights, data.x)
        fitted = self._fitted(state, data, weights, means, mass)
        out = self.param("out", chosen(0.02, (0, 0), (1, 1)), (heads, big))
        keep = self.param("keep", fit_skip_init, (big,))
        vectors = keep[None, :, None] * state.vectors + einsum(
            "khd,hc->kcd", means, out
        )
        vectors += self._images(state, data)
        features = [fitted.log_mass, fitted.log_spread, fitted.log_ratio]
        shape = (2 * heads + AXES, small)
        into = self.param("told", nn.initializers.normal(0.2), shape)
        update = einsum("kf,fc->kc", jnp.concatenate(features, axis=1), into)
        scalars = state.scalars + update
        return state._replace(vectors=vectors, scalars=scalars, fitted=fitted)

    def _fitted(
        self,
        state: ClusterState,
        data: Tokens,
        weights: Array,
        means: Array,
        mass: Array,
    ) -> Fitted:
        """Mass and spread per head; of head 0 the axes, one step of iteration on."""
        einsum, eps = contraction(self.config), self.config.norm_eps
        # sum_n w |x_n - m|^2 / d: the variance of one coordinate.
        spread = jnp.sum(weights * squared_distances(data.x, means, einsum), axis=-1)
        log_spread = jnp.log(spread / data.x.shape[1] + LEAST).T
        first, centre = weights[0], means[:, 0]
        # sum_n w (x - m) <x - m, a> with sum_n w x = m, and sum_n w a little below 1.
        left = (2.0 - jnp.sum(first, axis=1))[:, None]
        along = einsum("nd,kad->kan", data.x, state.fitted.axes) * first[:, None]
        of_mean = left * einsum("kd,kad->ka", centre, state.fitted.axes)
        images = einsum("kan,nd->kad", along, data.x)
        axes = orthonormal(images - of_mean[..., None] * centre[:, None], eps)
        # sum_n w <x - m, a>^2 = sum_n w <x, a>^2 - (2 - sum_n w) <m, a>^2.
        variance = einsum("kan,kn->ka", einsum("nd,kad->kan", data.x, axes) ** 2, first)
        variance -= left * einsum("kd,kad->ka", centre, axes) ** 2
        share = mass / (jnp.sum(mass, axis=1, keepdims=True) + eps)
        return Fitted(
            log_mass=jnp.log(share + LEAST).T,
            log_spread=log_spread,
            axes=axes,
            log_ratio=jnp.log(jnp.maximum(variance, 0.0) + LEAST) - log_spread[:, :1],
        )

    def _images(self, state: ClusterState, data: Tokens) -> Float[Array, "K C d"]:
        """S q / d of one mixture of the vectors: linear attention over the data."""
        einsum, shape = contraction(self.config), (self.config.vector_channels,)
        query = self.param("image_query", nn.initializers.normal(0.1), shape)
        out = self.param("image_out", nn.initializers.normal(0.02), shape)
        scores = einsum("nd,kcd,c->kn", data.x, state.vectors, query)
        scores = jnp.where(data.mask[None], scores, 0.0)
        images = einsum("kn,nd->kd", scores, data.x) / (
            data.num_valid * data.x.shape[1]
        )
        return images[:, None] * out[None, :, None]


def fit_skip_init(key: Array, shape: Any, dtype: Any = jnp.float32) -> Array:
    """The two vectors that a fit writes are forgotten, the others kept."""
    del key
    return jnp.ones(shape, dtype).at[:2].set(0.0)


class RegisterAttention(Module):
    """Registers read one another, by distance and by their numbers."""

    config: ClusterModelConfig

    @nn.compact
    def __call__(self, state: ClusterState, data: Tokens) -> ClusterState:
        """The state with new vectors and numbers."""
        cfg, einsum = self.config, contraction(self.config)
        heads, big, small = cfg.num_heads, cfg.vector_channels, cfg.scalar_channels
        vectors, scalars = state.vectors, normed(state.scalars)
        normal = nn.initializers.normal
        points = [
            einsum(
                "kcd,ch->khd",
                vectors,
                self.param(name, chosen(0.05, (0,)), (big, heads)),
            )
            for name in ("query", "key")
        ]
        gates = [
            einsum(
                "kc,chg->khg",
                scalars,
                self.param(name, normal(small**-0.5), (small, heads, READ)),
            )
            for name in ("gate_query", "gate_key")
        ]
        # Scores fall or rise with log(1 + distance): near and far heads.
        apart = jnp.sum((points[0][:, None] - points[1][None]) ** 2, axis=-1)
        apart = apart / data.x.shape[1]
        spread = mean_of(state.fitted.log_spread, data.active)
        apart = jnp.log1p(apart * jnp.exp(-spread)[None, None])
        slope = self.param("slope", spaced(-6.0, 6.0), (heads,))
        scores = einsum("jhg,lhg->jlh", *gates) / 2 - slope[None, None] * apart
        scores = jnp.where(data.active[None, :, None], scores, CLOSED)
        weights = jax.nn.softmax(scores, axis=1)
        value = self.param("value", normal(0.3), (big, heads))
        out = self.param("out", normal(0.02), (heads, big))
        others = einsum("jlh,lhd->jhd", weights, einsum("kcd,ch->khd", vectors, value))
        vectors = vectors + einsum("jhd,hc->jcd", others, out)
        shape = (small, heads, 2 * READ)
        offer = self.param("scalar_value", normal(small**-0.5), shape)
        heard = einsum("jlh,lhs->jhs", weights, einsum("kc,chs->khs", scalars, offer))
        felt = einsum("jlh,jlh->jh", weights, apart)
        features = jnp.concatenate([felt, heard.reshape(len(felt), -1)], axis=1)
        count = features.shape[1]
        into = self.param("scalar_out", normal(0.2 * count**-0.5), (count, small))
        scalars = state.scalars + einsum("kf,fc->kc", features, into)
        return state._replace(vectors=vectors, scalars=scalars)


class RegisterMLP(Module):
    """Each register by itself: numbers and inner products, gated mixing of vectors."""

    config: ClusterModelConfig

    @nn.compact
    def __call__(self, state: ClusterState, data: Tokens) -> ClusterState:
        """The state with new vectors and numbers."""
        cfg, einsum = self.config, contraction(self.config)
        big, small, hidden = cfg.vector_channels, cfg.scalar_channels, cfg.mlp_width
        dim, normal = data.x.shape[1], nn.initializers.normal
        # Inner products are all that a rotation of the table leaves alone.
        inner = einsum("kcd,ked->kce", state.vectors, state.vectors) / dim
        upper = jnp.triu_indices(big)
        inner = inner[:, upper[0], upper[1]]
        features = [
            normed(state.scalars),
            jnp.sign(inner) * jnp.log1p(jnp.abs(inner)),
            jnp.broadcast_to(data.context, (len(inner), len(data.context))),
        ]
        act = Hidden(cfg, hidden, name="hidden")(jnp.concatenate(features, axis=1))
        down = self.param("down", normal(0.3 * hidden**-0.5), (hidden, small))
        gate = self.param("gate", normal(0.02 * hidden**-0.5), (hidden, big, big))
        mixing = einsum("km,mce->kce", act, gate)
        # v_e <- v_e + sum_c mixing_ce v_c, at most LONGEST sqrt(d) long.
        vectors = state.vectors + einsum("kcd,kce->ked", state.vectors, mixing)
        length = jnp.sqrt(jnp.sum(vectors**2, axis=-1, keepdims=True) + cfg.norm_eps)
        vectors = vectors * jnp.minimum(1.0, LONGEST * dim**0.5 / length)
        scalars = state.scalars + einsum("km,mc->kc", act, down)
        return state._replace(vectors=vectors, scalars=scalars)


class ClusterBlock(Module):
    """One block. _Unbatched_: one instance."""

    config: ClusterModelConfig

    @nn.compact
    def __call__(self, state: ClusterState, data: Tokens) -> ClusterState:
        """The state after the block."""
        cfg = self.config
        scores, apart = TokenScores(cfg, cfg.num_heads, name="scores")(state, data)
        # E step: the responsibilities p(k | x_n), for each head.
        shares = jax.nn.softmax(scores, axis=1)
        tokens = TokenUpdate(cfg, name="tokens")(state, data, shares, apart)
        state = Fit(cfg, name="fit")(state._replace(tokens=tokens), data, shares)
        state = RegisterAttention(cfg, name="registers")(state, data)
        state = RegisterMLP(cfg, name="mlp")(state, data)
        limit = cfg.gradient_limit
        if limit is None:
            return state
        return jax.tree.map(lambda leaf: limited(leaf, limit), state)


def limited(leaf: Float[Array, "n *b"], limit: float) -> Float[Array, "n *b"]:
    """The identity; backwards, the gradient of each register or token is limited."""
    cut: Array = limited_gradient(leaf.reshape(len(leaf), 1, -1), limit)
    return cut.reshape(leaf.shape)
