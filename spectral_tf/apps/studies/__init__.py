"""Proofs of concept on tables of a company: stock and shipping, from data to report."""

from typing import TYPE_CHECKING

from spectral_tf.lazy import lazily

if TYPE_CHECKING:
    from spectral_tf.apps.studies.assumptions import BREACHES, broken, checks
    from spectral_tf.apps.studies.commands import Report, Shipping, Stock
    from spectral_tf.apps.studies.cost import Meter
    from spectral_tf.apps.studies.intervals import Estimate, bootstrap
    from spectral_tf.apps.studies.labelled import Labelled, labelled_study
    from spectral_tf.apps.studies.methods import (
        Method,
        forest,
        mahalanobis,
        pca_distance,
        spectral,
    )
    from spectral_tf.apps.studies.packages import imported, require_packages

__all__ = [
    "BREACHES",
    "Estimate",
    "Labelled",
    "Meter",
    "Method",
    "Report",
    "Shipping",
    "Stock",
    "bootstrap",
    "broken",
    "checks",
    "forest",
    "imported",
    "labelled_study",
    "mahalanobis",
    "pca_distance",
    "require_packages",
    "spectral",
]

_HOMES = {
    "assumptions": ("BREACHES", "broken", "checks"),
    "commands": ("Report", "Shipping", "Stock"),
    "cost": ("Meter",),
    "intervals": ("Estimate", "bootstrap"),
    "labelled": ("Labelled", "labelled_study"),
    "methods": ("Method", "forest", "mahalanobis", "pca_distance", "spectral"),
    "packages": ("imported", "require_packages"),
}
"""Module -> the public names that it defines."""

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES)
