"""What people use: scikit-learn estimators with a certificate on every answer."""

from spectral_tf.estimators.clusterer import SpectralClusterer
from spectral_tf.estimators.network_clusterer import NetworkClusterer
from spectral_tf.estimators.outliers import Explanation, SpectralOutlierDetector
from spectral_tf.estimators.pca import SpectralPCA
from spectral_tf.estimators.streams import read_chunks

__all__ = [
    "Explanation",
    "NetworkClusterer",
    "SpectralClusterer",
    "SpectralOutlierDetector",
    "SpectralPCA",
    "read_chunks",
]
