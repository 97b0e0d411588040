"""A file of numbers in, a folder of answers out: components, clusters, outliers."""

from typing import TYPE_CHECKING

from spectral_tf.lazy import lazily

if TYPE_CHECKING:
    from spectral_tf.apps.analysis.audit_commands import Show, Verify
    from spectral_tf.apps.analysis.cluster import Cluster, Clusters, find_clusters
    from spectral_tf.apps.analysis.commands import Analysis
    from spectral_tf.apps.analysis.detect import Detect, Outliers, find_outliers
    from spectral_tf.apps.analysis.kinds import KINDS
    from spectral_tf.apps.analysis.pca import Components, Pca, find_components
    from spectral_tf.apps.analysis.prepare import Preparation, Prepared

__all__ = [
    "KINDS",
    "Analysis",
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
]

_HOMES = {
    "audit_commands": ("Show", "Verify"),
    "cluster": ("Cluster", "Clusters", "find_clusters"),
    "commands": ("Analysis",),
    "detect": ("Detect", "Outliers", "find_outliers"),
    "kinds": ("KINDS",),
    "pca": ("Components", "Pca", "find_components"),
    "prepare": ("Preparation", "Prepared"),
}
"""Module -> the public names that it defines."""

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES)
