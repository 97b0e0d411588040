"""What people use: scikit-learn estimators with a certificate on every answer."""

from typing import TYPE_CHECKING

from spectral_tf.lazy import lazily

if TYPE_CHECKING:
    from spectral_tf.estimators.clusterer import SpectralClusterer
    from spectral_tf.estimators.lapack import top_pairs
    from spectral_tf.estimators.lazy_tables import column_scales
    from spectral_tf.estimators.network_clusterer import NetworkClusterer
    from spectral_tf.estimators.networks import load_network, trained_on
    from spectral_tf.estimators.outliers import Explanation, SpectralOutlierDetector
    from spectral_tf.estimators.pca import SpectralPCA
    from spectral_tf.estimators.streams import read_chunks

__all__ = [
    "Explanation",
    "NetworkClusterer",
    "SpectralClusterer",
    "SpectralOutlierDetector",
    "SpectralPCA",
    "column_scales",
    "load_network",
    "read_chunks",
    "top_pairs",
    "trained_on",
]

_HOMES = {
    "clusterer": ("SpectralClusterer",),
    "lapack": ("top_pairs",),
    "lazy_tables": ("column_scales",),
    "network_clusterer": ("NetworkClusterer",),
    "networks": ("load_network", "trained_on"),
    "outliers": ("Explanation", "SpectralOutlierDetector"),
    "pca": ("SpectralPCA",),
    "streams": ("read_chunks",),
}
"""Module -> the public names that it defines."""

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES)
