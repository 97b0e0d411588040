"""Rows of a table as the network takes them: checked, centred, scaled, weighted."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float

from spectral_tf.config import ConfigError, DataError, ModelConfig
from spectral_tf.config.wording import agreed, counted
from spectral_tf.spectra import centred, einsum


class ScaledRows(NamedTuple):
    """Input rows after scaling: `x [N, d]`, `mask [N]`, and the factor of lambda."""

    x: Array
    mask: Array
    unscale: Array

    @property
    def dim(self) -> int:
        """d, the number of features."""
        return self.x.shape[1]


def scaled_rows(
    config: ModelConfig,
    x: Float[Array, "N d"],
    mask: Bool[Array, " N"] | None = None,
) -> ScaledRows:
    r"""Centre the rows and scale them so that their covariance has unit trace.

    With `attention_scale="sum"` rows satisfy :math:`\sum_i |x_i|^2 = 1`, with `"mean"`
    :math:`\frac1N \sum_i |x_i|^2 = 1`: either way a linear head over the data is
    exactly S u / tr S, or with `unit_frobenius` S u / |S|_F. With `centre="network"`
    the scale is the same, but the network subtracts the mean.

    Rows are first taken relative to the first valid one (unless `centre="none"`) and
    divided by the largest entry of that, so that any finite x is safe: one entry of the
    differences is then +-1 and one row is 0, so centred rows have an entry of at least
    1/2, and a large mean costs no digits.

    Args:
        config: `centre`, `unit_trace` and `attention_scale` are read.
        x: `[N, d]` rows.
        mask: `[N]` True for valid rows; None means all.

    Returns:
        `ScaledRows`; `unscale` turns eigenvalues of the scaled rows into those of x.
    """
    keep = lambda rows: rows if mask is None else jnp.where(mask[:, None], rows, 0.0)
    valid = jnp.ones(x.shape[0], bool) if mask is None else mask
    count = jnp.maximum(jnp.sum(valid), 1).astype(x.dtype)
    divisor = jnp.ones((), x.dtype) if config.attention_scale == "sum" else count
    x = keep(x)
    if not config.inputs.unit_trace:
        rows = centred(x, mask) if config.inputs.centre == "input" else x
        # A head over these sees X^T X / divisor, and S is X^T X / N.
        return ScaledRows(rows, valid, divisor / count)
    if config.inputs.centre == "none":
        rows = x / 2
    else:
        first = x[0] if mask is None else x[jnp.argmax(mask)]
        rows = keep(x / 2 - first[None] / 2)  # halves cannot overflow
    peak = _positive(jnp.max(jnp.abs(rows)))
    rows = rows / peak
    # tr S = sum_i |x_i - mean|^2 / N, whoever subtracts the mean.
    inner = rows if config.inputs.centre == "none" else centred(rows, mask)
    total = _positive(jnp.sum(inner**2))
    if config.inputs.centre == "input":
        rows = inner
    # lambda of x = unscale * lambda of the rows; 2 peak undoes the halves above.
    unscale = (2 * peak) ** 2 * total / count
    rows = rows * jax.lax.rsqrt(total)
    if config.inputs.unit_frobenius:
        # From S / tr S to S / |S|_F.
        size = _frobenius(inner * jax.lax.rsqrt(total))
        rows, unscale = rows * jax.lax.rsqrt(size), unscale * size
    return ScaledRows(rows * jnp.sqrt(divisor), valid, unscale)


def _frobenius(rows: Float[Array, "N d"]) -> Float[Array, ""]:
    """|X^T X|_F by the smaller of the two Gram matrices; 1 for an all-zero table."""
    # X^T X and X X^T have the same non-zero eigenvalues, so the same norm.
    long = rows.shape[0] > rows.shape[1]
    gram = einsum("ni,nj->ij", rows, rows) if long else einsum("nd,md->nm", rows, rows)
    return _positive(jnp.sqrt(jnp.sum(gram**2)))


def _positive(value: Float[Array, ""]) -> Float[Array, ""]:
    """`value`, or 1 where it is 0: a divisor for an all-zero table."""
    return jnp.where(value > 0, value, 1.0)


def embedded_rows(config: ModelConfig, rows: ScaledRows) -> Float[Array, "N f"]:
    """What the embedding of a dense network reads: x, and where asked for N^-1/2.

    With `centre="network"` every valid row has one more feature, :math:`N^{-1/2}`.
    Two of them multiply to 1/N, so that one linear head averages the rows exactly
    although a `sum` attention does not know N.

    Args:
        config: `centre` is read.
        rows: `scaled_rows` of the instance.

    Returns:
        `[N, d]` or `[N, d + 1]`; zero where masked.
    """
    if config.inputs.centre != "network":
        return rows.x
    count = jnp.maximum(jnp.sum(rows.mask), 1).astype(rows.x.dtype)
    weight = jnp.where(rows.mask, jax.lax.rsqrt(count), 0.0)
    return jnp.concatenate([rows.x, weight[:, None]], axis=1)


def pads_columns(config: ModelConfig) -> bool:
    """True for a dense network that fills up tables of fewer columns than its d."""
    return config.is_dense and config.dense.pad_columns


def padded(config: ModelConfig, x: Float[Array, "N d"]) -> Float[Array, "N D"]:
    """The table with columns of zeros up to `dim`, where `pad_columns` says so.

    Zero columns add zero eigenvalues, whose vectors lie in these columns alone; the
    other eigenpairs stay.

    Args:
        config: `dim` and `pad_columns` are read.
        x: `[N, d]`, d at most `dim`.

    Returns:
        `[N, dim]`, or x as it is.
    """
    if not pads_columns(config):
        return x
    return jnp.pad(x, ((0, 0), (0, (config.dim or 0) - x.shape[1])))


def in_common_type(params: Any, *arrays: Any) -> tuple[Any, ...]:
    """The arrays of a table in the floating type of table and network, the wider one.

    With `jax_enable_x64` one can be in double precision and the other not, and the
    blocks are scanned, which wants the same type before and after.

    Args:
        params: tree of arrays.
        arrays: of numbers, or None.

    Returns:
        The arrays in that type; None stays.
    """
    numbers = [array for array in arrays if array is not None]
    dtype = jnp.result_type(*jax.tree.leaves(params), *numbers, 0.0)
    return tuple(
        None if array is None else jnp.asarray(array, dtype) for array in arrays
    )


def check_rows(x: Any, mask: Any = None) -> None:
    """Refuse rows that no network can use, before anything is compiled.

    Args:
        x: `[N, d]`; tracers pass with their shape alone.
        mask: `[N]` True for valid rows, or None.

    Raises:
        DataError: if x is not a table, has no (valid) row, or NaN or infinity in one.
    """
    shape = np.shape(x)
    if len(shape) != 2 or 0 in shape:
        raise DataError(
            f"x has shape {shape}; expected [N, d] with N >= 1 rows and d >= 1 "
            "columns. Use jax.vmap for a batch of tables."
        )
    if isinstance(x, Tracer) or isinstance(mask, Tracer):
        return
    valid = np.ones(shape[0], bool) if mask is None else np.asarray(mask)
    if not valid.any():
        raise DataError("mask leaves no valid row; expected at least one True.")
    bad = ~np.isfinite(np.asarray(x)) & valid[:, None]
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise DataError(
            f"x[{row}, {column}] is {np.asarray(x)[row, column]}; "
            f"{counted(int(bad.sum()), 'entry', 'entries')} of valid rows "
            f"{agreed(int(bad.sum()), 'is', 'are')} not finite. Drop or impute them, "
            "or mask their rows."
        )


def check_dim(config: ModelConfig, dim: int) -> None:
    """Refuse another number of features than the weights are made for.

    Args:
        config: `dim` and `num_components` are read.
        dim: d.

    Raises:
        ConfigError: if d is another, or k > d.
    """
    fits = config.dim in (None, dim)
    pads = pads_columns(config)
    if not fits and not (pads and dim < (config.dim or 0)):
        raise ConfigError(
            f"x has {counted(dim, 'feature')}, but these weights are for "
            f"dim={config.dim}{' or less' * pads}; reduce x to "
            f"{counted(config.dim or 0, 'column')} or build weights for its d."
        )
    if config.num_components > dim:
        raise ConfigError(
            f"num_components={config.num_components} must be <= d={dim}, the "
            "columns of x; lower num_components."
        )


def check_fits(config: ModelConfig, x: Any) -> None:
    """Refuse a table of another shape than the weights are made for.

    Args:
        config: `dim`, `num_samples` and `num_components` are read.
        x: `[N, d]`.

    Raises:
        ConfigError: if d or N is another, or k > d.
    """
    check_dim(config, x.shape[1])
    if config.num_samples is not None and x.shape[0] != config.num_samples:
        raise ConfigError(
            f"x has {counted(x.shape[0], 'row')}, but these weights are for "
            f"num_samples={config.num_samples} (learned positions); give exactly that "
            "many."
        )
