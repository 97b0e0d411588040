"""Which tables are not here: Dask collections, told by their protocol."""

from typing import Any


def is_lazy(x: Any) -> bool:
    """Whether a table is a Dask collection, whose rows are not here."""
    graph = getattr(x, "__dask_graph__", None)
    return callable(graph) and graph() is not None
