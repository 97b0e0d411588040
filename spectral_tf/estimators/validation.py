"""Tables as the estimators take them: scikit-learn's checks, and what it lets pass."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from spectral_tf.config import DataError


def validated(
    estimator: BaseEstimator,
    x: Any,
    *,
    reset: bool = False,
    rows: int = 1,
    columns: int = 1,
) -> np.ndarray:
    """A finite table of float32 or float64.

    Args:
        estimator: remembers the number and the names of the features if `reset`.
        x: anything like a table.
        reset: whether this is the table that is learned from.
        rows: at least so many.
        columns: at least so many.

    Returns:
        `[N, d]` array; not a copy where x is one already.

    Raises:
        ValueError: naming what is wrong with the table.
        TypeError: for a sparse one.

    Source: scikit-learn's `validate_data`; masked entries are refused by us.
    """
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise DataError(
            f"X has {np.ma.count_masked(x)} masked entries; fill or drop them, e.g. "
            "with X.filled(X.mean(axis=0)), before they are used as numbers."
        )
    table: Any = x
    checked: Any = validate_data(
        estimator,
        table,
        reset=reset,
        dtype=[np.float64, np.float32],
        ensure_min_samples=rows,
        ensure_min_features=columns,
    )
    return checked
