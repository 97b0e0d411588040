"""Tables that are larger than one machine: Dask arrays and dataframes (extra `dask`).

A table is summed up where its parts are: each worker turns its parts into `Moments`,
which are merged two at a time until one is left. What travels are d^2 numbers; rows
never do. The user's own cluster (the current `distributed.Client`, if there is one)
runs it, and takes up what a lost worker leaves. Rows are transformed lazily, part by
part.
"""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from spectral_tf.config import DataError
from spectral_tf.config.wording import counted
from spectral_tf.estimators.solution import Summary
from spectral_tf.exact import LARGE
from spectral_tf.moments import Moments, check_memory, moments_of, shift_and_scale

FIRST = 1024
"""Rows of the first part whose mean is subtracted from all."""


def columns_of(x: Any) -> list[Any] | None:
    """Names of the columns of a dataframe; None for an array."""
    return list(x.columns) if hasattr(x, "columns") else None


def lazy_array(x: Any) -> Any:
    """A Dask collection as a Dask array of numbers, one chunk of columns.

    Args:
        x: a Dask array `[N, d]` or dataframe.

    Returns:
        The array, of float32 or float64; nothing is computed.

    Raises:
        DataError: for another kind or shape, or columns that are no numbers.
    """
    names = columns_of(x)
    if names is not None:
        wrong = [str(name) for name, kind in x.dtypes.items() if not _is_number(kind)]
        if wrong:
            raise DataError(
                f"X has {counted(len(wrong), 'column')} without numbers: "
                f"{', '.join(wrong[:5])}; choose the numeric ones, e.g. "
                "X.select_dtypes('number')."
            )
        x = x.to_dask_array()
    if not hasattr(x, "map_blocks") or getattr(x, "ndim", 0) != 2:
        raise DataError(
            f"X is a Dask {type(x).__name__} of shape {getattr(x, 'shape', '?')}; "
            "expected a dask.array [N, d] or a dask.dataframe."
        )
    if not _is_number(x.dtype):
        raise DataError(f"X holds {x.dtype}; expected numbers.")
    return x.rechunk({1: -1}) if x.numblocks[1] > 1 else x


def _is_number(kind: Any) -> bool:
    return getattr(kind, "kind", "O") in "iufb"


def float_type(x: Any) -> np.dtype:
    """float32 for a table of these, else float64."""
    return np.dtype(np.float32 if x.dtype == np.float32 else np.float64)


def lazy_moments(x: Any) -> Moments:
    """Moments of a Dask array, by a tree of merges on the user's cluster.

    Args:
        x: of `lazy_array`.

    Returns:
        The moments of all rows; the same, to their rounding bound, whatever the chunks
        and the order in which they came.

    Raises:
        DataError: for a part with NaN or infinity, no rows at all, or d^2 numbers that
            do not fit.
    """
    import dask

    dim = int(x.shape[1])
    check_memory(dim, dim, "a covariance")
    blocks = list(x.to_delayed().ravel())
    start, leaf, join = map(dask.delayed, (shift_of, summed, merged))  # pyright: ignore
    shift = start(blocks[0])
    level = [leaf(block, shift, place) for place, block in enumerate(blocks)]
    while len(level) > 1:
        level = [join(level[low : low + 2]) for low in range(0, len(level), 2)]
    (moments,) = dask.compute(level[0])  # pyright: ignore
    if moments is None or moments.count < 2:
        rows = counted(0 if moments is None else moments.count, "row")
        raise DataError(f"X has {rows}; a covariance needs at least 2.")
    return moments


def column_scales(x: Any) -> tuple[np.ndarray, np.ndarray]:
    """Means and deviations of the columns of a Dask collection, by one pass over it.

    Args:
        x: a Dask array `[N, d]` or dataframe.

    Returns:
        `(mean [d], standard deviation [d] with 1/N)`; 1 for a constant column, so that
        it can be divided by.

    Raises:
        DataError: as for `SpectralPCA.fit`.
    """
    moments = lazy_moments(lazy_array(x))
    middle = moments.total / moments.count
    variance = np.diagonal(moments.second) / moments.count - middle**2
    # What rounding can leave of a constant column is none.
    is_constant = variance <= moments.scaled_error
    scale = moments.scale * np.sqrt(np.where(is_constant, 0.0, variance))
    return moments.mean, np.where(is_constant, 1.0, scale)


def shift_of(block: np.ndarray) -> tuple[np.ndarray, float] | None:
    """What is subtracted everywhere: the mean of some rows; None without rows."""
    rows = np.asarray(block)[:FIRST]
    if not len(rows) or not np.all(np.isfinite(rows)):
        return None
    return shift_and_scale(rows)


def summed(
    block: np.ndarray, start: tuple[np.ndarray, float] | None, place: int
) -> Moments | None:
    """The moments of one part, on its worker; None without rows."""
    rows = np.asarray(block)
    if not len(rows):
        return None
    if not np.all(np.isfinite(rows)):
        raise DataError(
            f"part {place + 1} of X has NaN or infinity; fill them in or drop their "
            "rows, e.g. X.dropna() or X.fillna(X.mean())."
        )
    if rows.dtype.kind in "iu" and np.max(np.abs(rows.astype(np.float64))) > LARGE:
        raise DataError(
            f"part {place + 1} of X has whole numbers beyond 2^53, which float64 "
            "rounds; subtract a constant from their columns first."
        )
    if start is None:
        return moments_of([rows])
    (shift, scale), dim = start, rows.shape[1]
    square = np.zeros((dim, dim), order="F")
    return Moments(0, shift, scale, np.zeros(dim), square, 0, 0).updated(rows)


def merged(parts: Sequence[Moments | None]) -> Moments | None:
    """The moments of one or two parts, on a worker."""
    known = [part for part in parts if part is not None]
    if not known:
        return None
    return known[0] if len(known) == 1 else known[0].merged(known[1])


def features_checked(estimator: BaseEstimator, x: Any, *, reset: bool) -> None:
    """scikit-learn's checks of number and names of the columns, on an empty table."""
    meta: Any = x._meta if columns_of(x) is not None else np.empty((0, x.shape[1]))
    validate_data(estimator, meta, reset=reset, ensure_min_samples=0)


def lazy_summary(estimator: BaseEstimator, x: Any) -> tuple[Summary, np.dtype]:
    """What principal components are found of, summed up on the user's cluster.

    Args:
        estimator: remembers number and names of the columns.
        x: a Dask array or dataframe.

    Returns:
        `(summary, type of what is learned)`.

    Raises:
        DataError: as `lazy_array` and `lazy_moments`.
    """
    array = lazy_array(x)
    features_checked(estimator, x, reset=True)
    vars(estimator)["_origin"] = None
    return Summary.of_moments(lazy_moments(array)), float_type(array)


def applied(estimator: Any, x: Any, method: str, width: int | None) -> Any:
    """What a method gives for each row, as a Dask array; nothing is computed.

    Args:
        estimator: fitted.
        x: a Dask array or dataframe.
        method: `transform` or `score_samples`.
        width: columns of the result; None for a vector.

    Returns:
        `[N, width]` or `[N]`.
    """
    array = lazy_array(x)
    features_checked(estimator, x, reset=False)
    model = copy.copy(estimator)
    vars(model).pop("feature_names_in_", None)  # blocks are arrays, without names
    vars(model).pop("_moments", None)
    dtype = np.promote_types(float_type(array), model.components_.dtype)
    shape: dict[str, Any] = {"drop_axis": 1}
    if width is not None:
        shape = {"chunks": (array.chunks[0], (width,))}
    return array.map_blocks(rows_of, model, method, width, dtype=dtype, **shape)


def rows_of(block: np.ndarray, model: Any, method: str, width: int | None) -> Any:
    """The result of one part, on its worker; a part may have no rows."""
    if not len(block):
        return np.zeros((0,) if width is None else (0, width))
    return np.asarray(getattr(model, method)(np.asarray(block)))
