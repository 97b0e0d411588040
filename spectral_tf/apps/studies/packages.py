"""Packages that only the proofs of concept need."""

import importlib
import importlib.util
from collections.abc import Iterable
from typing import Any

from spectral_tf.config import DataError

EXTRA = "spectral_tf[poc]"


def imported(module: str) -> Any:
    """A module of an optional package.

    Args:
        module: its dotted name.

    Returns:
        The module.

    Raises:
        DataError: if it is not installed; the message says how.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise _missing([module.partition(".")[0]], f" ({error})") from error


def require_packages(names: Iterable[str]) -> None:
    """Refuse at once what would be refused later; nothing is imported.

    Args:
        names: of top-level modules of optional packages.

    Raises:
        DataError: if one is not installed; the message names all that are missing.
    """
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise _missing(missing)


def _missing(modules: list[str], why: str = "") -> DataError:
    names = ", ".join(module.replace("_", "-") for module in modules)
    kind = "package" if len(modules) == 1 else "packages"
    return DataError(f"this needs the {kind} {names}{why}; pip install '{EXTRA}'.")
