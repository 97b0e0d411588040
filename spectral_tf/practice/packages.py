"""Packages that only the proofs of concept need."""

import importlib
from typing import Any

from spectral_tf.config import DataError


def imported(module: str) -> Any:
    """A module of an optional package.

    Args:
        module: its dotted name.

    Returns:
        The module.

    Raises:
        DataError: if it is not installed; the message says how.

    Source: ours.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DataError(
            f"this needs the package {module.partition('.')[0].replace('_', '-')} "
            f"({error}); pip install 'spectral_tf[poc]'."
        ) from error
