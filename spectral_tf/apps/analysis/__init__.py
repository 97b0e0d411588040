"""A file of numbers in, a folder of answers out: components, clusters, outliers."""

from typing import TYPE_CHECKING

from spectral_tf.lazy import lazily

if TYPE_CHECKING:
    from spectral_tf.apps.analysis.audit_commands import Show, Verify
    from spectral_tf.apps.analysis.commands import Cluster, Detect, Pca
    from spectral_tf.apps.analysis.fit import (
        Clusters,
        Components,
        Outliers,
        find_clusters,
        find_components,
        find_outliers,
    )
    from spectral_tf.apps.analysis.prepare import Preparation, Prepared
    from spectral_tf.apps.analysis.results import write_results

__all__ = [
    "Cluster",
    "Clusters",
    "Components",
    "Detect",
    "Outliers",
    "Pca",
    "Preparation",
    "Prepared",
    "Show",
    "Verify",
    "find_clusters",
    "find_components",
    "find_outliers",
    "write_results",
]

_HOMES = {
    "audit_commands": ("Show", "Verify"),
    "commands": ("Cluster", "Detect", "Pca"),
    "fit": (
        "Clusters",
        "Components",
        "Outliers",
        "find_clusters",
        "find_components",
        "find_outliers",
    ),
    "prepare": ("Preparation", "Prepared"),
    "results": ("write_results",),
}
"""Module -> the public names that it defines."""

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES)
