"""Tables as the estimators take them: scikit-learn's checks, and what it lets pass."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from spectral_tf.config import ConfigError, DataError, require
from spectral_tf.config.wording import counted
from spectral_tf.estimators.frames import refuse_times
from spectral_tf.estimators.laziness import is_lazy
from spectral_tf.exact import Origin, shifted


def validated(
    estimator: BaseEstimator,
    x: Any,
    *,
    reset: bool = False,
    rows: int = 1,
    columns: int = 1,
) -> np.ndarray:
    """A finite table of float32 or float64, relative to the estimator's exact origin.

    Columns with more digits than float64 holds (`exact.py`) lose none: of the table
    that is learned from, an origin is chosen and remembered as `_origin` `[d]`, None
    for most tables; it is subtracted exactly, then and from later tables.

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
    if is_lazy(x):
        raise DataError(
            "X is a Dask collection, which would be gathered here; SpectralPCA's fit, "
            "transform and score_samples take one. Give anything else one part at a "
            "time, or X.compute()."
        )
    with clear_errors(x):
        table: Any = x
        checked: Any = validate_data(
            estimator,
            table,
            reset=reset,
            dtype=[np.float64, np.float32],
            ensure_min_samples=rows,
            ensure_min_features=columns,
        )
    if not isinstance(checked, np.ndarray):
        return checked
    relative, origin = shifted(x, checked, origin_of(estimator), choose=reset)
    if reset:
        vars(estimator)["_origin"] = origin
    return relative


def origin_of(estimator: BaseEstimator) -> Origin | None:
    """What is subtracted from the columns; None for nothing."""
    return getattr(estimator, "_origin", None)


@contextmanager
def clear_errors(x: Any) -> Iterator[None]:
    """Refuse masked entries, dates, and numbers that overflow as they are converted."""
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise DataError(
            "X has "
            f"{counted(int(np.ma.count_masked(x)), 'masked entry', 'masked entries')}; "
            "fill or drop them, e.g. with X.filled(X.mean(axis=0)), before they are "
            "used as numbers."
        )
    refuse_times(x)
    try:
        # What overflows becomes infinite, and that is refused.
        with np.errstate(over="ignore"):
            yield
    except OverflowError as error:
        raise DataError(
            f"X has a number beyond the largest float64 ({error}); divide the table by "
            "a constant."
        ) from error


def check_flags(estimator: Any, *names: str) -> None:
    """Require that parameters are True or False.

    Raises:
        ConfigError: naming the parameter and its value.
    """
    for name in names:
        value = getattr(estimator, name)
        require(
            isinstance(value, bool | np.bool_),
            f"{name}={value!r} must be True or False.",
        )


def check_count(estimator: Any, name: str, least: int = 1) -> None:
    """Require that a parameter is a whole number, not below `least`.

    Raises:
        ConfigError: naming the parameter and its value.
    """
    value = getattr(estimator, name)
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    require(
        bool(is_whole and value >= least),
        f"{name}={value!r} must be a whole number >= {least}.",
    )


def check_choice(estimator: Any, name: str, choices: tuple[str, ...]) -> None:
    """Require that a parameter is one of some words.

    Raises:
        ConfigError: naming the parameter, its value and the words.
    """
    value = getattr(estimator, name)
    require(
        isinstance(value, str) and value in choices,
        f"{name}={value!r} must be {' or '.join(map(repr, choices))}.",
    )


def seed_of(random_state: Any) -> int:
    """One seed: 0 for None, drawn if it is a generator.

    Args:
        random_state: None, an int, a numpy Generator or RandomState.

    Returns:
        The seed.

    Raises:
        ConfigError: for anything else.
    """
    if random_state is None:
        return 0
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31 - 1))
    is_whole = isinstance(random_state, int | np.integer)
    if not (is_whole and 0 <= int(random_state) < 2**32):
        raise ConfigError(
            f"random_state={random_state!r} must be None, a whole number in "
            "0..2^32 - 1, or a numpy Generator or RandomState."
        )
    return int(random_state)


@contextmanager
def unchanged_on_error(estimator: BaseEstimator) -> Iterator[None]:
    """Restore all attributes if what is inside fails."""
    saved = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(saved)
        raise
