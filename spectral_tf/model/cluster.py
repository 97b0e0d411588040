r"""The network that clusters: rows of a table in, K clusters out, K given.

    x [N, d] -> centred, scaled -> N data tokens + K registers
             -> L blocks under `lax.scan` (`cluster_blocks.py`)
             -> for each row its probabilities, for each register centre and weight

The registers are alike but for their start vectors, which two steps of the power
method turn towards the directions in which the clusters differ. One pass from one
start can end in a bad place, as EM can; the network says how sure it is, and
`predict_clusters` takes the start of which it is surest.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.core import Tracer
from jaxtyping import Array, Bool, Float

from spectral_tf.config import ClusterModelConfig, ConfigError, ModelConfig
from spectral_tf.model.attention import contraction
from spectral_tf.model.cluster_blocks import (
    AXES,
    CLOSED,
    ClusterBlock,
    ClusterState,
    Fitted,
    Hidden,
    Tokens,
    TokenScores,
    mean_of,
    normed,
    orthonormal,
)
from spectral_tf.model.inputs import ScaledRows, check_rows, in_common_type, scaled_rows
from spectral_tf.model.module import Module
from spectral_tf.settings import random_key, standard_settings
from spectral_tf.spectra import unit

SCALING = ModelConfig(attention_scale="mean")
"""How rows are scaled: centred, mean squared length 1, safe for any finite x."""
CONTEXT = 5
"""Numbers that describe the sizes of an instance."""
CRITIC_WIDTH = 32
"""Hidden units of what judges an answer."""
FARTHEST = 1e3
"""Largest entry of a new row, in standard deviations; a valid row can be so far out."""
SMALLEST = 1e-3
"""Added to a share of the rows before its logarithm is taken."""


class ClusterTable(NamedTuple):
    """A table with new rows, for `predict_clusters`.

    Attributes:
        x: `[N, d]` rows.
        mask: `[N]` True for valid rows; None means all.
        asked: `[M, d]` new rows, or None.
    """

    x: Array
    mask: Array | None = None
    asked: Array | None = None


class ClusterEstimate(NamedTuple):
    """What the network says of one instance.

    Attributes:
        log_probabilities: `[N, K]` of the clusters, for each row.
        centres: `[K, d]` in the units of x: means of the valid rows, by their
            probabilities.
        log_weights: `[K]` logarithms of the clusters' weights.
        confidence: `[]` share of the rows that the network expects to be right, under
            the best renaming of its clusters.
    """

    log_probabilities: Array
    centres: Array
    log_weights: Array
    confidence: Array


def context(
    num_classes: Array | float, dim: int, count: Array | float
) -> Float[Array, " f"]:
    """What the network is told of K, d and N, not beyond what it was trained on.

    Args:
        num_classes: K.
        dim: d.
        count: valid rows.

    Returns:
        `[5]` numbers near 0.
    """
    classes = jnp.clip(jnp.asarray(num_classes, jnp.float32), 2.0, 5.0)
    rows = jnp.clip(jnp.asarray(count, jnp.float32), 8.0, 256.0)
    log_dim = jnp.log(float(min(dim, 16)))
    return jnp.stack(
        [
            jnp.log(classes) - 1.0,
            log_dim - 1.5,
            jnp.log(rows) - 4.0,
            jnp.ones(()),
            4.0 * classes / rows,
        ]
    )


def cluster_start(
    config: ClusterModelConfig, num_classes: int, dim: int, index: int = 0
) -> Float[Array, "K d"]:
    """Fixed-seed Gaussian start vectors in R^dim.

    Args:
        config: `start_seed` is read.
        num_classes: K.
        dim: d.
        index: of the start; each gives other vectors.

    Returns:
        `[K, d]`; those of a smaller K are the first of a larger.
    """
    key = jax.random.fold_in(random_key(config.start_seed), dim)
    key = jax.random.fold_in(key, index)
    keys_of = jax.vmap(lambda place: jax.random.fold_in(key, place))
    keys = keys_of(jnp.arange(num_classes))
    draw = lambda key: jax.random.normal(key, (dim,), jnp.float32)
    return jax.vmap(draw)(keys)


class ClusterTransformer(Module):
    """The network that clusters. _Unbatched_: one instance, from one start.

    Attributes:
        config: the model.

    Example:
        >>> import jax
        >>> from spectral_tf.config import ClusterModelConfig
        >>> config = ClusterModelConfig(num_blocks=1)
        >>> x = jax.random.normal(jax.random.key(0), (20, 4))
        >>> start = cluster_start(config, 3, 4)
        >>> network = ClusterTransformer(config)
        >>> init = jax.jit(network.init_with_output)
        >>> (estimate, _), params = init(jax.random.key(1), x, start)
        >>> estimate.log_probabilities.shape
        (20, 3)

    Source: as `cluster_blocks.py`.
    """

    config: ClusterModelConfig

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "N d"],
        start: Float[Array, "K d"],
        mask: Bool[Array, " N"] | None = None,
        active: Bool[Array, " K"] | None = None,
        *,
        asked: Float[Array, "M d"] | None = None,
        capture: bool = False,
    ) -> tuple[ClusterEstimate, ClusterEstimate | None]:
        """Cluster the rows of x.

        Args:
            x: `[N, d]` rows, any finite scale.
            start: `[K, d]` start vectors of the registers.
            mask: `[N]` True for valid rows; None means all.
            active: `[K]` True for the registers that take part; None means all. The
                others get probability 0.
            asked: `[M, d]` new rows: they get probabilities, and nothing depends on
                them; a copy of a valid row gets what that row gets.
            capture: static; also return what the read-out says after every block.

        Returns:
            `(estimate, None)`, or with `capture` the estimates after every block with
            a leading axis L. The new rows follow the N rows of x.

        Source: see the class.
        """
        cfg = self.config
        rows = scaled_rows(SCALING, x, mask)
        mean, scale = _mean(x, rows), jnp.sqrt(rows.unscale / x.shape[1])
        data = self._tokens(rows, start, active)
        if asked is not None:
            data = _with_new_rows(data, asked, mean, scale)
        first = self._first_state(data, start)
        block = ClusterBlock(cfg, parent=None)

        def init_blocks(key: Array) -> Any:
            init = lambda block_key: block.init(block_key, first, data)["params"]
            return jax.vmap(init)(jax.random.split(key, cfg.num_blocks))

        def step(state: ClusterState, params: Any) -> tuple[ClusterState, Any]:
            after: Any = block.apply({"params": params}, state, data)
            return after, after if capture else None

        state, history = jax.lax.scan(step, first, self.param("blocks", init_blocks))
        reader = ClusterReader(cfg, parent=None)
        readout = self.param(
            "readout", lambda key: reader.init(key, first, data)["params"]
        )

        def read(state: ClusterState) -> ClusterEstimate:
            estimate: Any = reader.apply({"params": readout}, state, data)
            return estimate._replace(centres=estimate.centres * scale + mean[None])

        return read(state), jax.vmap(read)(history) if capture else None

    def _tokens(self, rows: ScaledRows, start: Array, active: Array | None) -> Tokens:
        is_active = jnp.ones(len(start), bool) if active is None else active
        count = jnp.maximum(jnp.sum(rows.mask), 1).astype(rows.x.dtype)
        sizes = context(jnp.sum(is_active), rows.dim, count).astype(rows.x.dtype)
        # Rows of mean squared length d: unit variance in each column, on average.
        return Tokens(rows.x * rows.dim**0.5, rows.mask, is_active, sizes, count)

    def _first_state(self, data: Tokens, start: Array) -> ClusterState:
        """Registers on the Krylov space of their start vectors; numbers from sizes."""
        cfg, einsum = self.config, contraction(self.config)
        count, dim = start.shape
        seen = jnp.where(data.mask[:, None], data.x, 0.0)
        image = lambda vectors: unit(
            einsum("kn,nd->kd", einsum("nd,kd->kn", seen, vectors), seen)
        )
        # Two steps of the power method, S s / |S s| each: where clusters lie apart.
        first = image(unit(start))
        second = image(first)
        # Registers begin apart: relative to their mean, and 0.7 sqrt(d) long.
        centre = unit(second - mean_of(second, data.active)[None]) * (0.7 * dim**0.5)
        vectors = jnp.zeros((count, cfg.vector_channels, dim), data.x.dtype)
        vectors = vectors.at[:, :2].set(centre[:, None])
        vectors = vectors.at[:, 2].set(first * dim**0.5)
        normal = nn.initializers.normal(0.5)
        known = len(data.context)
        embed = self.param("registers", normal, (known, cfg.scalar_channels))
        scalars = jnp.broadcast_to(
            einsum("f,fc->c", data.context, embed), (count, cfg.scalar_channels)
        )
        length = jnp.log1p(jnp.sum(data.x**2, axis=1, keepdims=True) / dim)
        sizes = jnp.broadcast_to(data.context, (len(length), known))
        embed = self.param("tokens", normal, (known + 1, cfg.token_channels))
        tokens = einsum("nf,fs->ns", jnp.concatenate([length, sizes], axis=1), embed)
        blank = jnp.zeros((count, cfg.num_heads), data.x.dtype)
        axes = orthonormal(jnp.stack([first, start], axis=1), cfg.norm_eps)
        ratio = jnp.zeros((count, AXES), data.x.dtype)
        return ClusterState(vectors, scalars, tokens, Fitted(blank, blank, axes, ratio))


def _mean(x: Float[Array, "N d"], rows: ScaledRows) -> Float[Array, " d"]:
    """Mean of the valid rows, without overflow."""
    count = jnp.maximum(jnp.sum(rows.mask), 1).astype(x.dtype)
    return jnp.sum(jnp.where(rows.mask[:, None], x / count, 0.0), axis=0)


def _with_new_rows(
    data: Tokens, new_rows: Float[Array, "M d"], mean: Array, scale: Array
) -> Tokens:
    """The instance with new rows, which no register reads, in the units of the blocks.

    Rows further out than `FARTHEST` are moved there, so that squares do not overflow.
    """
    half = jnp.maximum(scale / 2, jnp.finfo(new_rows.dtype).tiny)
    scaled = (new_rows / 2 - mean[None] / 2) / half  # halves cannot overflow
    x = jnp.concatenate([data.x, jnp.clip(scaled, -FARTHEST, FARTHEST)])
    mask = jnp.concatenate([data.mask, jnp.zeros(len(new_rows), bool)])
    return data._replace(x=x, mask=mask)


class ClusterReader(Module):
    """What the registers and tokens say.

    Centres, in the units of the blocks, are the means of the rows by their
    probabilities, the M step of a mixture: no vector of the registers is trained to be
    one.
    """

    config: ClusterModelConfig

    @nn.compact
    def __call__(self, state: ClusterState, data: Tokens) -> ClusterEstimate:
        """The estimate of a state."""
        cfg, einsum = self.config, contraction(self.config)
        token_channels, small = cfg.token_channels, cfg.scalar_channels
        normal = nn.initializers.normal(0.02)
        scores, _ = TokenScores(cfg, 1, name="scores")(state, data)
        tokens, scalars = normed(state.tokens), normed(state.scalars)
        pair = self.param("pair", normal, (token_channels, small))
        sharpness = self.param("sharpness", nn.initializers.zeros, (token_channels,))
        scores = scores[0] + 0.2 * einsum("ns,sc,kc->kn", tokens, pair, scalars)
        scores *= jnp.exp(einsum("ns,s->n", tokens, sharpness))[None]
        is_active = data.active[:, None]
        # log p(k | x_n), over the registers that take part; shares sum to 1.
        logs = jax.nn.log_softmax(jnp.where(is_active, scores, CLOSED), axis=0)
        shares = jnp.where(data.mask[None], jnp.exp(logs), 0.0) / data.num_valid
        weights = jnp.log(jnp.sum(shares, axis=1) + SMALLEST)
        weights += einsum("kc,c->k", scalars, self.param("weight", normal, (small,)))
        weights = jnp.where(data.active, weights, CLOSED)
        # What the critic sees: mean entropy, and mean probability of the best cluster.
        entropy = -jnp.sum(jnp.where(is_active & data.mask[None], shares * logs, 0.0))
        surest = jnp.sum(jnp.max(shares, axis=0))
        # M step: centre_k = sum_n p_kn x_n / sum_n p_kn.
        mass = jnp.sum(shares, axis=1, keepdims=True)
        centres = einsum("kn,nd->kd", shares / (mass + cfg.norm_eps), data.x)
        largest = jnp.max(jnp.where(is_active, scalars, CLOSED), axis=0)
        seen = [mean_of(scalars, data.active), largest, jnp.stack([entropy, surest])]
        seen = jnp.concatenate([*seen, data.context])
        return ClusterEstimate(
            log_probabilities=logs.T,
            centres=centres,
            log_weights=jax.nn.log_softmax(weights),
            confidence=jax.nn.sigmoid(self._critic(jax.lax.stop_gradient(seen))),
        )

    def _critic(self, seen: Float[Array, " f"]) -> Float[Array, ""]:
        """Log-odds of the share of rows that are right; moves nothing but itself."""
        einsum = contraction(self.config)
        hidden = Hidden(self.config, CRITIC_WIDTH, name="critic")(seen[None])[0]
        down = self.param("critic_out", nn.initializers.normal(0.2), (CRITIC_WIDTH,))
        bias = self.param("critic_bias", nn.initializers.constant(2.0), ())
        return einsum("m,m->", hidden, down) + bias


@functools.partial(jax.jit, static_argnums=0)
def _surest(
    config: ClusterModelConfig, params: Any, table: ClusterTable, starts: Array
) -> ClusterEstimate:
    """Of the answers from `starts [S, K, d]` the one of the highest confidence."""
    network = ClusterTransformer(config)
    answer_from = lambda start: network.apply(
        {"params": params}, table.x, start, table.mask, asked=table.asked
    )[0]
    answers: ClusterEstimate = jax.vmap(answer_from)(starts)
    best = jnp.argmax(answers.confidence)
    return jax.tree.map(lambda leaf: leaf[best], answers)


@standard_settings()
def predict_clusters(
    config: ClusterModelConfig,
    params: Any,
    x: Float[Array, "N d"] | ClusterTable,
    num_classes: int,
    mask: Bool[Array, " N"] | None = None,
    *,
    num_starts: int = 8,
) -> ClusterEstimate:
    """Cluster one table by a trained network; `vmap` it for many.

    Args:
        config: the model.
        params: its parameters.
        x: `[N, d]` rows; any finite scale. Columns of different units should be
            standardised first: clusters are sought in Euclidean distances. Or a
            `ClusterTable`: probabilities of its new rows, which the clusters do not
            depend on, follow those of its N rows.
        num_classes: K, from 2 to N; trained from 2 to 5.
        mask: `[N]` True for valid rows; None means all.
        num_starts: S starts, run side by side; the answer is that of which the network
            is surest. Static, as `num_classes`.

    Returns:
        `ClusterEstimate`; the clusters are ordered by weight, largest first.

    Raises:
        ConfigError: if K is not in 2..N or S < 1.
        DataError: if x has no (valid) row, or NaN or infinity in one. Under `jit`
            or `vmap` values cannot be looked at: NaN then gives NaN.
    """
    table = x if isinstance(x, ClusterTable) else ClusterTable(x, mask)
    check_rows(table.x, table.mask)
    if table.asked is not None:
        check_rows(table.asked)
    valid, dim = table.x.shape
    if table.mask is not None and not isinstance(table.mask, Tracer):
        valid = int(np.sum(np.asarray(table.mask)))
    if not 2 <= num_classes <= valid:
        raise ConfigError(
            f"num_classes={num_classes} must lie in 2..{valid}, the valid rows of x; "
            "ask for fewer clusters, or give more rows."
        )
    if num_starts < 1:
        raise ConfigError(f"num_starts={num_starts} must be >= 1; 8 is the default.")
    starts = jnp.stack(
        [cluster_start(config, num_classes, dim, index) for index in range(num_starts)]
    )
    rows, new_rows, starts = in_common_type(params, table.x, table.asked, starts)
    table = ClusterTable(rows, table.mask, new_rows)
    answer = _surest(config, params, table, starts)
    # Nothing in the network orders the clusters; the answer does.
    order = jnp.argsort(-answer.log_weights)
    return answer._replace(
        log_probabilities=answer.log_probabilities[:, order],
        centres=answer.centres[order],
        log_weights=answer.log_weights[order],
    )
