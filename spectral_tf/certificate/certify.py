"""Certificates of claims about a matrix, or about the covariance of a table."""

import math

import numpy as np
from numpy.typing import ArrayLike

from spectral_tf.certificate.answer import Certificate
from spectral_tf.certificate.block import certify_source
from spectral_tf.certificate.chance import Chance
from spectral_tf.certificate.sources import CentredRows, Matrix, Source
from spectral_tf.config import DataError
from spectral_tf.exact import WRITTEN, shifted
from spectral_tf.moments import (
    LARGEST_SCALE,
    UNIT_ROUNDOFF,
    Moments,
    moments_of,
    scale_for,
    scaled_part,
    shift_and_scale,
)

CACHED = 1 << 17
"""Numbers of a part of a table that stay in the cache."""


def certify_covariance(
    covariance: ArrayLike,
    eigenvalues: ArrayLike,
    eigenvectors: ArrayLike,
    *,
    tol: float = 1e-3,
    error: float = 0.0,
    is_semidefinite: bool = False,
) -> Certificate:
    """What is proven about claimed top eigenpairs of a symmetric matrix.

    Args:
        covariance: `[d, d]` symmetric, finite; need not be semi-definite.
        eigenvalues: `[k]` claimed, of ranks 1 to k.
        eigenvectors: `[k, d]` rows, any length and sign.
        tol: radians; a component is certified if its angle is proven to be smaller.
        error: bound on the 2-norm of the error of `covariance` itself.
        is_semidefinite: whether S is known to be; helps beyond d = 6144.

    Returns:
        The certificate. A claim that is not finite is loose throughout.

    Raises:
        DataError: if the matrix is not square, finite and symmetric, or the claims do
            not fit it.
        ConfigError: if tol is not in (0, pi/2).

    Example:
        >>> import numpy as np
        >>> from spectral_tf.certificate import certify_covariance
        >>> certificate = certify_covariance(
        ...     np.diag([3.0, 2.0, 1.0]), np.array([3.0]), np.array([[1.0, 1e-5, 0.0]])
        ... )
        >>> certificate.status
        ('certified',)

    Source: Parlett (1998), The Symmetric Eigenvalue Problem; Davis & Kahan (1970);
    Rump (2006).
    """
    matrix = np.asarray(covariance, np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not len(matrix):
        raise DataError(f"covariance has shape {matrix.shape}; expected [d, d].")
    if not np.all(np.isfinite(matrix)):
        raise DataError("covariance has NaN or infinity; expected finite numbers.")
    peak = float(np.max(np.abs(matrix)))
    exponent = min(max(math.frexp(peak)[1], -1000), 1000) if peak > 0 else 0
    # A power of two divides without rounding.
    scale = math.ldexp(1.0, exponent)
    matrix = matrix / scale
    uneven = float(np.linalg.norm(matrix - matrix.T))
    if uneven > 1e-6 * np.linalg.norm(matrix):
        raise DataError(
            "covariance is not symmetric: it differs from its transpose by "
            f"{uneven / np.linalg.norm(matrix):.2g} of its norm. Give (S + S.T) / 2."
        )
    # The symmetric part; what it differs by is an error of the source.
    matrix = (matrix + matrix.T) / 2
    source = Matrix(matrix, error / scale + uneven, is_semidefinite)
    return _in_units(source, (eigenvalues, eigenvectors), tol, scale, None)


def certify(
    x: ArrayLike,
    eigenvalues: ArrayLike,
    eigenvectors: ArrayLike,
    *,
    tol: float = 1e-3,
    chance: Chance | None = None,
) -> Certificate:
    """What is proven about claimed principal components of a table.

    Args:
        x: `[N, d]` finite rows.
        eigenvalues: `[k]` claimed, of the covariance with 1/N.
        eigenvectors: `[k, d]` rows.
        tol: radians.
        chance: asks for the probabilistic statement instead of a proof (`chance.py`).

    Returns:
        The certificate, of the exact covariance of the rows as they were given: whole
        numbers beyond 2^53 and decimals (`Decimal`) lose no digit.

    Raises:
        DataError: if x is not a finite table, or the claims do not fit it.
        ConfigError: if tol is not in (0, pi/2).

    Source: as `certify_covariance`.
    """
    original, x = x, np.asarray(x)
    if x.dtype.kind in WRITTEN:
        try:
            x = x.astype(np.float64)
        except (ValueError, TypeError) as error:
            raise DataError(f"x has entries that are no numbers: {error}.") from error
    if x.ndim != 2 or 0 in x.shape or not np.all(np.isfinite(x)):
        raise DataError(
            f"x has shape {x.shape}; expected a table [N, d] of finite numbers."
        )
    wide = x if x.dtype == np.float32 else x.astype(np.float64, copy=False)
    x, _ = shifted(original, wide, choose=True)
    if len(x) < x.shape[1]:
        source, scale, _ = rows_source(x)
    else:
        moments = moments_of([x])
        source, scale = moments_source(moments), moments.scale
    claims = eigenvalues, eigenvectors
    return _in_units(source, claims, tol, scale * scale, chance)


def _in_units(
    source: Source,
    claims: tuple[ArrayLike, ArrayLike],
    tol: float,
    unit: float,
    chance: Chance | None,
) -> Certificate:
    """The certificate of claims in units of `unit` times those of the source."""
    values, vectors = claims
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        scaled = np.asarray(values, np.float64) / unit
    certificate = certify_source(source, scaled, vectors, tol=tol, chance=chance)
    return certificate.in_units(unit)


def moments_source(moments: Moments) -> Matrix:
    """The covariance of a table as a source, divided by `moments.scale` squared.

    Args:
        moments: of at least one row.

    Returns:
        The source.
    """
    return Matrix(moments.scaled_covariance, moments.scaled_error, True)


def rows_source(x: np.ndarray) -> tuple[CentredRows, float, np.ndarray]:
    """A table with few rows, centred and scaled.

    Args:
        x: `[N, d]` finite.

    Returns:
        `(rows, scale, mean [d])`: eigenvalues of x are scale^2 times those of these
        rows.

    """
    # The mean is taken twice, so that what is left of it is rounding. In parts that
    # stay in the cache: for a long table memory is what takes the time.
    count, dim = x.shape
    bounds = range(0, count, max(1, CACHED // dim))
    parts = [slice(low, low + bounds.step) for low in bounds]
    shift, _ = shift_and_scale(x[parts[0]])
    centre, peak = _sums(x, parts, shift, 1.0)
    scale = scale_for(peak) if math.isfinite(peak) else LARGEST_SCALE
    if scale != 1:
        centre, _ = _sums(x, parts, shift, scale)
    centre /= count
    rows, left, squares = np.empty((count, dim)), np.zeros(dim), np.zeros(dim)
    for part in parts:
        np.subtract(scaled_part(x[part], shift, scale), centre, out=rows[part])
        left += rows[part].sum(axis=0)
        squares += np.einsum("nd,nd->d", rows[part], rows[part])
    left /= count
    # Rows relative to their own mean: y - left; S differs by |left|^2, entries by u.
    trace = float(np.sum(squares)) / count
    error = float(left @ left) * (1 + 1e-12) + 8 * UNIT_ROUNDOFF * trace
    return CentredRows(rows, error, squares), scale, shift + scale * centre


def _sums(
    x: np.ndarray, parts: list[slice], shift: np.ndarray, scale: float
) -> tuple[np.ndarray, float]:
    """Of the shifted, scaled rows: `[d]` their sum, and the largest entry."""
    total, peak = np.zeros(x.shape[1]), 0.0
    for part in parts:
        shifted = scaled_part(x[part], shift, scale)
        peak = max(peak, float(shifted.max()), -float(shifted.min()))
        with np.errstate(over="ignore", invalid="ignore"):
            total += shifted.sum(axis=0)
    return total, peak
