r"""The one transformer: rows of a table in, eigenpairs out.

    x [N, d] -> input scaling -> N data tokens + k register tokens
             -> L blocks under `lax.scan` -> read-out from the registers

Constructed, trained and hot-started weights are parameters of this module. It is
written for ONE instance; lift it with `jax.vmap`. There is no positional code on data
tokens (unless `positions="learned"`), so the answer does not depend on the row order.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from spectral_tf.config import ConfigError, ModelConfig
from spectral_tf.model.attention import contraction
from spectral_tf.model.channels import ChannelBlock, register_codes
from spectral_tf.model.dense import DenseBlock, fan_in
from spectral_tf.model.inputs import (
    ScaledRows,
    check_dim,
    check_fits,
    check_rows,
    embedded_rows,
    in_common_type,
    padded,
    scaled_rows,
)
from spectral_tf.model.module import Module
from spectral_tf.model.moment import Moment, check_reads_moment_only, scaled_moment
from spectral_tf.model.readout import Estimate, cut_columns, rayleigh, read_tokens
from spectral_tf.model.ritz import basis_of, last_mean, ritz
from spectral_tf.settings import random_key, standard_settings
from spectral_tf.spectra import canonical_sign, gram_schmidt, unit


class Intermediates(NamedTuple):
    """What the network holds after every block.

    Attributes:
        eigenvectors: `[L, k, d]` what the read-out would answer after block l.
        state: the residual stream with a leading axis L: dense `(data [L, N, D],
            registers [L, k, D])`, equivariant `(vectors [L, k, C, d], scalars
            [L, k, c])`.

    Source: big_vision, whose models return (output, intermediates).
    """

    eigenvectors: Array
    state: Any


def gaussian_start(
    config: ModelConfig, count: int, dim: int, dtype: Any
) -> Float[Array, "n d"]:
    """Fixed-seed Gaussian vectors in R^dim, of unit length; the first do not change.

    Args:
        config: `start_seed` is read.
        count: how many rows.
        dim: d.
        dtype: of the rows.

    Returns:
        `[count, d]`; a larger count appends rows.
    """
    key = jax.random.fold_in(random_key(config.start_seed), dim)
    # In single precision, so that the numbers are the same in double.
    rows = [
        jax.random.normal(key, (config.register_rows, dim), jnp.float32),
        jax.random.normal(jax.random.fold_in(key, 1), (count, dim), jnp.float32),
    ]
    return unit(jnp.concatenate(rows)[:count].astype(dtype))


def default_start(config: ModelConfig, dim: int, dtype: Any) -> Float[Array, "k d"]:
    """The registers' fixed-seed Gaussian start vectors in R^dim, of unit length."""
    return gaussian_start(config, config.num_components, dim, dtype)


def register_starts(
    config: ModelConfig, dim: int, dtype: Any, start: Float[Array, "r d"] | None = None
) -> Float[Array, "R d"]:
    """What the registers of an equivariant network start from.

    Args:
        config: `register_tokens`, `start_seed` and `orthogonal_start` are read.
        dim: d.
        dtype: of the rows.
        start: vectors of the first registers; the others take the fixed-seed ones.

    Returns:
        `[min(R, d), d]` unit rows, orthonormal with `orthogonal_start`.
    """
    # More than d registers would be linearly dependent.
    count = min(config.num_registers, dim)
    rows = gaussian_start(config, count, dim, dtype)
    if start is not None:
        rows = jnp.concatenate([unit(start), rows[start.shape[0] :]])[:count]
    return gram_schmidt(rows) if config.channels.orthogonal_start else rows


class SpectralTransformer(Module):
    """The one module of this package. _Unbatched_: one instance.

    Attributes:
        config: the model.
        unroll: blocks written out in one turn of the loop over them: more to compile,
            less to launch; the answer is the same.

    Example:
        >>> import jax, spectral_tf
        >>> model = spectral_tf.SpectralTransformer(spectral_tf.ModelConfig())
        >>> x = jax.random.normal(jax.random.key(0), (50, 10))
        >>> init = jax.jit(model.init_with_output)
        >>> (estimate, _), params = init(jax.random.key(1), x)
        >>> estimate.eigenvectors.shape
        (3, 10)

    Source: He et al. (2025), arXiv:2501.01312, section 2.
    """

    config: ModelConfig
    unroll: int = 1

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "N d"] | Moment,
        mask: Bool[Array, " N"] | None = None,
        start: Float[Array, "r d"] | None = None,
        *,
        capture: bool = False,
    ) -> tuple[Estimate, Intermediates | None]:
        """Estimate the top eigenpairs of the covariance of x.

        Args:
            x: `[N, d]` rows, any finite scale; or their `scaled_moment` (equivariant
                with linear cross attention).
            mask: `[N]` True for valid rows; None means all.
            start: `[r, d]` start vectors of the first registers (equivariant only);
                the others, and all with None, take the fixed-seed Gaussian ones.
            capture: static; also return what the network holds after every block.

        Returns:
            `(Estimate, Intermediates or None)`. Vectors have no sign convention here;
            `predict` applies it.

        Raises:
            ConfigError: if x has another d or N than a config that fixes them, or a
                `start` is given to a dense network.

        Source: see the class.
        """
        cfg = self.config
        if start is not None and cfg.is_dense:
            raise ConfigError(
                "start vectors of a dense network are parameters; set them in "
                "params['registers'], or use an equivariant one, layout=Channels()."
            )
        if isinstance(x, Moment):
            check_reads_moment_only(cfg)
            check_dim(cfg, x.dim)
            data, dtype = x, x.matrix.dtype
        else:
            check_fits(cfg, x)
            data, dtype = scaled_rows(cfg, padded(cfg, x), mask), x.dtype
        if isinstance(data, ScaledRows) and cfg.is_dense:
            block, extra = DenseBlock(cfg, parent=None), (data.mask,)
            state = self._embed(data)
        else:
            block, extra = ChannelBlock(cfg, parent=None), (data,)
            state = self._channels(data.dim, dtype, start)

        # Blocks of equal shape share one stacked tree, and one program under `scan`.
        def init_blocks(key: Array) -> Any:
            init = lambda block_key: block.init(block_key, state, *extra)["params"]
            return jax.vmap(init)(jax.random.split(key, cfg.num_unique_blocks))

        params = self.param("blocks", init_blocks)

        def step(state: Any, block_params: Any) -> tuple[Any, Any]:
            state = block.apply({"params": block_params}, state, *extra)
            return state, state if capture else None

        state, history = run_blocks(cfg, step, state, params, self.unroll)
        dim = x.dim if isinstance(x, Moment) else x.shape[1]
        reader = self._reader(data)
        read = lambda state: cut_columns(reader(state), dim)
        estimate = read(state)
        if not capture:
            return estimate, None
        vectors = jax.vmap(lambda state: read(state).eigenvectors)(history)
        return estimate, Intermediates(vectors, history)

    def _embed(self, rows: ScaledRows) -> tuple[Array, Array]:
        """Dense tokens: x W + b (+ positions), and the registers."""
        cfg = self.config
        width, features = cfg.dense.width, embedded_rows(cfg, rows)
        shape = (features.shape[1], width)
        kernel = self.param("embed_kernel", fan_in(shape[0]), shape)
        bias = self.param("embed_bias", nn.initializers.zeros, (width,))
        # h_i = W x_i + b. Without positions the order of the rows does not matter.
        data = contraction(cfg)("nf,fD->nD", features, kernel) + bias[None]
        if cfg.dense.positions == "learned":
            shape = (rows.x.shape[0], width)
            data += self.param("positions", nn.initializers.normal(0.02), shape)
        if cfg.layout.readout == "flatten":
            return data, jnp.zeros((0, width), data.dtype)
        shape = (cfg.num_registers, width)
        return data, self.param("registers", nn.initializers.normal(1.0), shape)

    def _channels(self, dim: int, dtype: Any, start: Array | None) -> tuple:
        """Equivariant registers: channel 0 is the start vector, scalars are codes."""
        cfg = self.config
        first = register_starts(cfg, dim, dtype, start)
        count = first.shape[0]
        # u_0 in channel 0; the images S u and the iterates before it are still zero.
        vectors = jnp.zeros((count, cfg.channels.vectors, dim), dtype)
        return vectors.at[:, 0].set(first), register_codes(cfg)[:count].astype(dtype)

    def _reader(
        self, data: ScaledRows | Moment
    ) -> Callable[[tuple[Array, Array]], Estimate]:
        """The read-out as a function of the state after a block."""
        cfg = self.config
        if cfg.layout.readout == "ritz":
            gains = jnp.zeros(2)
            if cfg.terminator:
                gains = self.param("terminator", last_mean, (2,))
            return lambda state: ritz(cfg, basis_of(cfg, state), gains, data.unscale)
        if isinstance(data, Moment) or not cfg.is_dense:
            k = cfg.num_components
            return lambda state: rayleigh(cfg, state[0][:k, 0], data)
        rows, dim, k = data, data.dim, cfg.num_components
        flatten = cfg.layout.readout == "flatten"
        # One token of everything gives all k pairs, or k tokens give one pair each.
        size = rows.x.shape[0] * cfg.dense.width if flatten else cfg.dense.width
        pairs = k if flatten else 1
        zeros = nn.initializers.zeros
        kernels = {
            "vector_kernel": self.param(
                "vector_kernel", fan_in(size), (size, pairs * dim)
            )
        }
        if cfg.layout.readout != "rayleigh":
            kernels["value_kernel"] = self.param(
                "value_kernel", fan_in(size), (size, pairs)
            )
            kernels["value_bias"] = self.param("value_bias", zeros, (pairs,))

        def tokens_of(state: tuple[Array, Array]) -> Array:
            return state[0].reshape(1, -1) if flatten else state[1][:k]

        return lambda state: read_tokens(cfg, kernels, tokens_of(state), rows)


def run_blocks(
    config: ModelConfig, step: Any, state: Any, params: Any, unroll: int = 1
) -> tuple:
    """Scan `step` over the blocks, in the order that `config` gives.

    Args:
        config: says which block's weights run at each place.
        step: `(state, block_params) -> (state, output)`.
        state: the residual stream.
        params: stacked block parameters, leading axis `num_unique_blocks`.
        unroll: blocks written out in one turn.

    Returns:
        `(state, outputs stacked over all num_blocks blocks)`.

    Source: Dehghani et al. (2019), Universal Transformers, for repeating a block.
    """
    scan = functools.partial(jax.lax.scan, unroll=unroll)
    pick = lambda index: jax.tree.map(lambda leaf: leaf[index], params)
    if config.looped:
        only = pick(0)  # weight tying: L blocks, one set of weights
        turn = lambda state, _: step(state, only)
        return scan(turn, state, None, length=config.num_blocks)
    if config.schedule is None:
        return scan(step, state, params)
    # Place l runs the weights of block `block_order[l]`.
    turn = lambda state, index: step(state, pick(index))
    return scan(turn, state, jnp.array(config.block_order))


@standard_settings()
def predict(
    config: ModelConfig,
    params: Any,
    x: Float[Array, "N d"],
    mask: Bool[Array, " N"] | None = None,
    *,
    start: Float[Array, "k d"] | None = None,
) -> Estimate:
    """Top eigenpairs of one instance by a transformer; `vmap` it for many.

    Args:
        config: the model.
        params: its parameters: constructed, trained, or anything between.
        x: `[N, d]` rows; any finite scale.
        mask: `[N]` True for valid rows; None means all.
        start: `[k, d]` start vectors of the registers (equivariant only); None takes
            the fixed-seed ones.

    Returns:
        `Estimate(eigenvalues [k], eigenvectors [k, d])`, rows with canonical sign.

    Raises:
        ConfigError: if x has another d, or N, than the weights are made for.
        DataError: if x has no (valid) row, or NaN or infinity in one. Under `jit`
            or `vmap` values cannot be looked at: NaN then gives NaN.

    Example:
        >>> import jax, spectral_tf
        >>> config, params = spectral_tf.power_method_params(5, 2, 30)
        >>> x = jax.random.normal(jax.random.key(0), (40, 5))
        >>> spectral_tf.predict(config, params, x).eigenvalues.shape
        (2,)

    Source: He et al. (2025), arXiv:2501.01312.
    """
    check_rows(x, mask)
    model = SpectralTransformer(config)
    x, start = in_common_type(params, x, start)
    estimate, _ = model.apply({"params": params}, x, mask, start)
    return estimate._replace(eigenvectors=canonical_sign(estimate.eigenvectors))


@standard_settings()
def predict_from_covariance(
    config: ModelConfig,
    params: Any,
    covariance: Float[Array, "d d"],
    start: Float[Array, "k d"] | None = None,
) -> Estimate:
    """What `predict` answers for any rows with this covariance.

    Args:
        config: an equivariant model with linear cross attention: it reads the rows only
            through their covariance (`model/moment.py`).
        params: its parameters.
        covariance: `[d, d]` symmetric positive semi-definite; any finite scale.
        start: `[k, d]` start vectors of the registers; None takes the fixed-seed ones.

    Returns:
        `Estimate(eigenvalues [k], eigenvectors [k, d])`, rows with canonical sign.

    Raises:
        ConfigError: if the network reads more of the rows than their covariance, or
            k > d.

    Example:
        >>> import jax.numpy as jnp
        >>> from spectral_tf import equivariant_power_method, model
        >>> config, params = equivariant_power_method(2, 60)
        >>> covariance = jnp.diag(jnp.array([4.0, 2.0, 1.0]))
        >>> estimate = model.predict_from_covariance(config, params, covariance)
        >>> estimate.eigenvalues.round(4).tolist()
        [4.0, 2.0]
    """
    covariance, start = in_common_type(params, covariance, start)
    moment = scaled_moment(config, covariance)
    model = SpectralTransformer(config)
    estimate, _ = model.apply({"params": params}, moment, None, start)
    return estimate._replace(eigenvectors=canonical_sign(estimate.eigenvectors))
