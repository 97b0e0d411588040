"""Dates, times and durations in tables of every kind: they are no numbers.

Some frames turn them into counts of their own unit (days, nanoseconds) when they are
converted to an array, some do not; here they are one thing, whatever holds them.
"""

import datetime
from collections.abc import Iterator
from typing import Any

import numpy as np

from spectral_tf.config import DataError
from spectral_tf.tables.columns import listed

_MOMENTS = (
    *(datetime.date, datetime.time, datetime.timedelta),
    *(np.datetime64, np.timedelta64),
)
_INTERCHANGED = 22
"""`DtypeKind.DATETIME` of the dataframe interchange protocol."""


def refuse_times(x: Any) -> None:
    """Refuse dates, times and durations.

    Args:
        x: a frame of pandas, polars, pyarrow, narwhals or of the dataframe interchange
            protocol, an array, or nested lists; anything else passes.

    Raises:
        DataError: naming the columns and their types.
    """
    times = [f"{name} ({kind})" for name, kind in time_columns(x)]
    if times:
        raise DataError(
            f"X has dates, times or durations in {listed(times)}; give numbers, e.g. "
            "the days since a date that matters, or leave these columns out."
        )


def time_columns(x: Any) -> Iterator[tuple[str, Any]]:
    """Name, quoted, and type of each column that holds dates, times or durations.

    Args:
        x: as for `refuse_times`.

    Returns:
        An iterator. A column of Python objects counts if one of them does.
    """
    for place, (name, kind) in enumerate(column_kinds(x)):
        if is_time(kind):
            yield repr(name), kind
        elif str(kind) in ("object", "Object"):  # pandas, polars
            by_name = x[name] if hasattr(x, "schema") else x
            values = x.iloc[:, place] if hasattr(x, "iloc") else by_name
            yield from ((repr(name), type(v).__name__) for v in _first_time(values))
    if not hasattr(x, "columns"):
        yield from _array_times(x)


def column_kinds(x: Any) -> list[tuple[Any, Any]]:
    """Name and type of every column of a frame; empty for what is none."""
    schema: Any = getattr(x, "schema", None)
    kinds: Any = getattr(x, "dtypes", None)
    if hasattr(kinds, "items"):  # pandas and its likes; a column may be called schema
        return list(kinds.items())
    if hasattr(schema, "types"):  # pyarrow
        return list(zip(schema.names, schema.types, strict=True))
    if hasattr(schema, "items"):  # polars, narwhals
        return list(schema.items())
    if hasattr(x, "__dataframe__"):
        frame = x.__dataframe__()
        kinds = [_interchanged_kind(frame, i) for i in range(frame.num_columns())]
        return list(zip(frame.column_names(), kinds, strict=True))
    return []


def _interchanged_kind(frame: Any, place: int) -> Any:
    """The kind of a column; None where its library has none for it."""
    try:
        return frame.get_column(place).dtype[0]
    except (ValueError, TypeError, NotImplementedError):
        return None


def is_time(kind: Any) -> bool:
    """Whether a type, of any library, is one of dates, times or durations."""
    if isinstance(kind, int):
        return kind == _INTERCHANGED
    inner = _inner(kind)
    if inner is not None:
        return is_time(inner)
    if getattr(kind, "kind", "") in ("m", "M"):
        return True
    if type(kind).__module__.startswith("pyarrow"):
        from pyarrow import types

        return bool(types.is_temporal(kind))
    if callable(getattr(kind, "is_temporal", None)):  # polars, narwhals
        return bool(kind.is_temporal())
    return str(kind).startswith("period[")  # pandas


def _inner(kind: Any) -> Any:
    """The type inside of another: of categories, of the ends of intervals."""
    for name in ("pyarrow_dtype", "subtype", "value_type"):
        inner = getattr(kind, name, None)
        if inner is not None and not callable(inner):
            return inner
    categories = getattr(kind, "categories", None)
    return getattr(categories, "dtype", None)


def _first_time(values: Any) -> list[Any]:
    """The first of some objects that is a date, a time or a duration, if any."""
    is_moment = lambda v: isinstance(v, _MOMENTS) or type(v).__name__ == "Period"
    return [v for v in [next(filter(is_moment, values), None)] if v is not None]


def _array_times(x: Any) -> Iterator[tuple[str, Any]]:
    """As `time_columns`, of an array or nested lists; columns are called `x0`, ..."""
    if isinstance(x, list | tuple):
        try:
            x = np.asarray(x)
        except ValueError:  # ragged: refused by scikit-learn's check
            return
    kind = getattr(x, "dtype", None)
    if kind is None:
        return
    if is_time(kind):
        yield "all columns", kind
    elif isinstance(x, np.ndarray) and kind.hasobject and x.ndim == 2:
        for place, column in enumerate(x.T):
            yield from ((f"x{place}", type(v).__name__) for v in _first_time(column))
