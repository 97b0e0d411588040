"""scikit-learn's own checks are the examiner: every one passes, none is excused."""

import unittest
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import has_fit_parameter

from spectral_tf.estimators import (
    SpectralClusterer,
    SpectralOutlierDetector,
    SpectralPCA,
)

pytestmark = pytest.mark.usefixtures("no_type_checks")
ESTIMATORS = [
    SpectralPCA(),
    SpectralPCA(n_components=1, engine="constructed"),
    SpectralClusterer(),
    SpectralClusterer(n_clusters="auto", max_clusters=3),
    SpectralOutlierDetector(),
    SpectralOutlierDetector(robust=False),
]


@parametrize_with_checks(ESTIMATORS)
def test_every_check_passes(estimator: Any, check: Callable[[Any], None]):
    with warnings.catch_warnings():
        # The mixture's, on tables of ten rows of noise: told, not hidden.
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            check(estimator)
        except unittest.SkipTest as error:
            pytest.fail(f"skipped: {error}")


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_weights_of_rows_are_not_taken(estimator):
    # Not in silence: a weight that is ignored is a wrong answer.
    assert not has_fit_parameter(estimator, "sample_weight")
    with pytest.raises(TypeError, match="sample_weight"):
        estimator.fit(np.eye(4), sample_weight=np.ones(4))
