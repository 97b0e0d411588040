"""Transformers that are spectral methods: constructed and pre-trained, in JAX/Flax."""

from spectral_tf.config import (
    ClusterConfig,
    ClusterModelConfig,
    ClusterTrainConfig,
    ConfigError,
    DataError,
    EnsembleConfig,
    MixturePart,
    ModelConfig,
    TrainConfig,
)
from spectral_tf.constructive.equivariant import equivariant_power_method
from spectral_tf.constructive.error_bound import ErrorBound, error_bound
from spectral_tf.constructive.fuse import fuse
from spectral_tf.constructive.mixture import mixture_labels, mixture_params
from spectral_tf.constructive.power_method import power_method_params
from spectral_tf.constructive.subspace import subspace_iteration
from spectral_tf.constructive.trace import Trace, trace
from spectral_tf.evaluation import Report, evaluate
from spectral_tf.model.cluster import ClusterEstimate, predict_clusters
from spectral_tf.model.expand import expand
from spectral_tf.model.network import Network
from spectral_tf.model.params import unroll
from spectral_tf.model.presets import model_preset
from spectral_tf.model.transformer import (
    Estimate,
    Intermediates,
    SpectralTransformer,
    predict,
    predict_from_covariance,
)
from spectral_tf.sampling.instance import Instance
from spectral_tf.sampling.sampler import batch_at, sample_batch
from spectral_tf.training.loop import pretrain
from spectral_tf.training.state import Trained, TrainState
from spectral_tf.weights import (
    PretrainedError,
    load_manifest,
    load_pretrained,
    models_table,
    pretrained_names,
    save_pretrained,
)

__version__ = "0.1.0"

__all__ = [
    "ClusterConfig",
    "ClusterEstimate",
    "ClusterModelConfig",
    "ClusterTrainConfig",
    "ConfigError",
    "DataError",
    "EnsembleConfig",
    "ErrorBound",
    "Estimate",
    "Instance",
    "Intermediates",
    "MixturePart",
    "ModelConfig",
    "Network",
    "PretrainedError",
    "Report",
    "SpectralTransformer",
    "Trace",
    "TrainConfig",
    "TrainState",
    "Trained",
    "batch_at",
    "equivariant_power_method",
    "error_bound",
    "evaluate",
    "expand",
    "fuse",
    "load_manifest",
    "load_pretrained",
    "mixture_labels",
    "mixture_params",
    "model_preset",
    "models_table",
    "power_method_params",
    "predict",
    "predict_clusters",
    "predict_from_covariance",
    "pretrain",
    "pretrained_names",
    "sample_batch",
    "save_pretrained",
    "subspace_iteration",
    "trace",
    "unroll",
]
