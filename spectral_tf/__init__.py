"""Transformers that are spectral methods: constructed and pre-trained, in JAX/Flax.

The names that most programs need; all others are those of a room, such as
`from spectral_tf.training import parallel_steps`. Names and rooms are imported when
they are first used: `import spectral_tf` alone imports neither JAX nor anything else.
"""

from typing import TYPE_CHECKING

from spectral_tf import forks as forks
from spectral_tf.lazy import lazily

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
    from spectral_tf.config.base import ConfigError, DataError
    from spectral_tf.config.ensemble import EnsembleConfig, MixturePart
    from spectral_tf.config.model import ModelConfig
    from spectral_tf.config.runs import TrainConfig
    from spectral_tf.constructive.equivariant import equivariant_power_method
    from spectral_tf.constructive.error_bound import error_bound
    from spectral_tf.constructive.fuse import fuse
    from spectral_tf.constructive.lanczos import krylov
    from spectral_tf.constructive.mixture import mixture_labels, mixture_params
    from spectral_tf.constructive.power_method import power_method_params
    from spectral_tf.constructive.trace import trace
    from spectral_tf.evaluation import evaluate
    from spectral_tf.model.expand import expand
    from spectral_tf.model.network import Network
    from spectral_tf.model.params import unroll
    from spectral_tf.model.presets import model_preset
    from spectral_tf.model.readout import Estimate
    from spectral_tf.model.transformer import SpectralTransformer, predict
    from spectral_tf.sampling.sampler import batch_at, sample_batch
    from spectral_tf.training.loop import pretrain
    from spectral_tf.weights.save import save_pretrained
    from spectral_tf.weights.store import load_pretrained, pretrained_names

__version__ = "0.1.0"

__all__ = [
    "ConfigError",
    "DataError",
    "EnsembleConfig",
    "Estimate",
    "MixturePart",
    "ModelConfig",
    "Network",
    "SpectralTransformer",
    "TrainConfig",
    "batch_at",
    "equivariant_power_method",
    "error_bound",
    "evaluate",
    "expand",
    "fuse",
    "krylov",
    "load_pretrained",
    "mixture_labels",
    "mixture_params",
    "model_preset",
    "power_method_params",
    "predict",
    "pretrain",
    "pretrained_names",
    "sample_batch",
    "save_pretrained",
    "trace",
    "unroll",
]

_HOMES = {
    "config.base": ("ConfigError", "DataError"),
    "config.ensemble": ("EnsembleConfig", "MixturePart"),
    "config.model": ("ModelConfig",),
    "config.runs": ("TrainConfig",),
    "constructive.equivariant": ("equivariant_power_method",),
    "constructive.error_bound": ("error_bound",),
    "constructive.fuse": ("fuse",),
    "constructive.lanczos": ("krylov",),
    "constructive.mixture": ("mixture_labels", "mixture_params"),
    "constructive.power_method": ("power_method_params",),
    "constructive.trace": ("trace",),
    "evaluation": ("evaluate",),
    "model.expand": ("expand",),
    "model.network": ("Network",),
    "model.params": ("unroll",),
    "model.presets": ("model_preset",),
    "model.readout": ("Estimate",),
    "model.transformer": ("SpectralTransformer", "predict"),
    "sampling.sampler": ("batch_at", "sample_batch"),
    "training.loop": ("pretrain",),
    "weights.save": ("save_pretrained",),
    "weights.store": ("load_pretrained", "pretrained_names"),
}
"""Module -> the public names that it defines."""

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

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES, _ROOMS)
