"""Rooms whose names are imported when they are first asked for (PEP 562).

Importing one module of a room runs the room's `__init__`; were that to import all that
the room exports, `spectral_tf.apps.report.tables`, plain text, would cost matplotlib.
"""

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any


def lazily(
    package: str, homes: Mapping[str, Iterable[str]], modules: Iterable[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package that imports what it exports late.

    Type checkers read the same names under `if TYPE_CHECKING:`; tests/test_imports.py
    holds the two equal. No name may be that of a module of the package: importing
    that module would put it in the place of what is exported.

    Args:
        package: its `__name__`.
        homes: module below the package -> the names that it defines.
        modules: those that are attributes without an import of their own.

    Returns:
        The two functions; what was found once is a plain attribute from then on.
    """
    paths = {name: home for home, names in homes.items() for name in names}
    modules = frozenset(modules)

    def attribute(name: str) -> Any:
        """An exported name or a module, imported now."""
        if name in paths:
            value = getattr(importlib.import_module(f"{package}.{paths[name]}"), name)
        elif name in modules:
            value = importlib.import_module(f"{package}.{name}")
        else:
            this = sys.modules[package]
            # With name and obj, Python adds "Did you mean".
            raise AttributeError(
                f"module {package!r} has no attribute {name!r}", name=name, obj=this
            )
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        """What is there, and what is there when it is asked for."""
        return sorted({*vars(sys.modules[package]), *paths, *modules})

    return attribute, names
