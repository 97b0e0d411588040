"""Transformers that are spectral methods: constructed and pre-trained, in JAX/Flax.

Names and rooms are imported when they are first used: `import spectral_tf` alone
imports neither JAX nor anything else.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spectral_tf import apps as apps
    from spectral_tf import certificate as certificate
    from spectral_tf import clustering as clustering
    from spectral_tf import config as config
    from spectral_tf import constructive as constructive
    from spectral_tf import estimators as estimators
    from spectral_tf import evaluation as evaluation
    from spectral_tf import model as model
    from spectral_tf import moments as moments
    from spectral_tf import objective as objective
    from spectral_tf import sampling as sampling
    from spectral_tf import settings as settings
    from spectral_tf import spectra as spectra
    from spectral_tf import tables as tables
    from spectral_tf import training as training
    from spectral_tf import weights as weights
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

_HOMES = {
    "ClusterConfig": "config",
    "ClusterEstimate": "model.cluster",
    "ClusterModelConfig": "config",
    "ClusterTrainConfig": "config",
    "ConfigError": "config",
    "DataError": "config",
    "EnsembleConfig": "config",
    "ErrorBound": "constructive.error_bound",
    "Estimate": "model.transformer",
    "Instance": "sampling.instance",
    "Intermediates": "model.transformer",
    "MixturePart": "config",
    "ModelConfig": "config",
    "Network": "model.network",
    "PretrainedError": "weights",
    "Report": "evaluation",
    "SpectralTransformer": "model.transformer",
    "Trace": "constructive.trace",
    "TrainConfig": "config",
    "TrainState": "training.state",
    "Trained": "training.state",
    "batch_at": "sampling.sampler",
    "equivariant_power_method": "constructive.equivariant",
    "error_bound": "constructive.error_bound",
    "evaluate": "evaluation",
    "expand": "model.expand",
    "fuse": "constructive.fuse",
    "load_manifest": "weights",
    "load_pretrained": "weights",
    "mixture_labels": "constructive.mixture",
    "mixture_params": "constructive.mixture",
    "model_preset": "model.presets",
    "models_table": "weights",
    "power_method_params": "constructive.power_method",
    "predict": "model.transformer",
    "predict_clusters": "model.cluster",
    "predict_from_covariance": "model.transformer",
    "pretrain": "training.loop",
    "pretrained_names": "weights",
    "sample_batch": "sampling.sampler",
    "save_pretrained": "weights",
    "subspace_iteration": "constructive.subspace",
    "trace": "constructive.trace",
    "unroll": "model.params",
}
"""Public name -> the module, below this one, that defines it."""

_ROOMS = (
    "apps",
    "certificate",
    "clustering",
    "config",
    "constructive",
    "estimators",
    "evaluation",
    "model",
    "moments",
    "objective",
    "sampling",
    "settings",
    "spectra",
    "tables",
    "training",
    "weights",
)
"""Modules that are attributes without an import of their own."""


def __getattr__(name: str) -> Any:
    """A public name or a room, imported when it is first asked for (PEP 562)."""
    if name in _HOMES:
        value = getattr(importlib.import_module(f"spectral_tf.{_HOMES[name]}"), name)
    elif name in _ROOMS:
        value = importlib.import_module(f"spectral_tf.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """What is there, and what is there when it is asked for."""
    return sorted({*globals(), *_HOMES, *_ROOMS})
