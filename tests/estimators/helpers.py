"""What scikit-learn leaves untyped, with types."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_iris

E = TypeVar("E")


def fresh(estimator: E) -> E:
    """The same parameters, nothing learnt."""
    copied: Any = clone(estimator)
    return copied


def loaded(load: Callable[..., Any]) -> np.ndarray:
    """The rows of one of scikit-learn's tables."""
    return np.asarray(load(return_X_y=True)[0])


IRIS = loaded(load_iris)
