"""Frozen configurations; every invalid value is refused with the bound and the remedy.

A configuration is plain data: hashable (so it can be static under `jax.jit`),
compared by value, and turned to and from JSON by `to_dict` / `from_dict`. `base.py`
holds what all share, `model.py` the transformer, `ensemble.py` its instances, `runs.py`
a training run; `cluster_model.py`, `clusters.py` and `cluster_runs.py` are the same for
mixtures and the network that clusters.
"""

from typing import TYPE_CHECKING

from spectral_tf.lazy import lazily

if TYPE_CHECKING:
    from spectral_tf.config.base import Config, ConfigError, DataError, require
    from spectral_tf.config.cluster_model import ClusterModelConfig
    from spectral_tf.config.cluster_runs import (
        AnyModel,
        AnyRun,
        ClusterFamily,
        ClusterTrainConfig,
        kind_of,
        model_config,
        run_config,
    )
    from spectral_tf.config.clusters import ClusterConfig
    from spectral_tf.config.ensemble import EnsembleConfig, MixturePart
    from spectral_tf.config.families import (
        Authors,
        Correlated,
        Family,
        Flat,
        Gapped,
        Imported,
        Laplace,
        Linear,
        LowRank,
        MarchenkoPastur,
        PowerLaw,
        Scaled,
        Semicircle,
        Spiked,
        StudentT,
        Uniform,
        Whitened,
    )
    from spectral_tf.config.layouts import (
        Channels,
        Dense,
        Initialisation,
        InputScaling,
        Readout,
    )
    from spectral_tf.config.model import Attention, ModelConfig, Sublayer
    from spectral_tf.config.parts import PartedConfig
    from spectral_tf.config.reading import ReadOptions
    from spectral_tf.config.runs import RunConfig, TrainConfig
    from spectral_tf.config.schedule import parse_schedule
    from spectral_tf.config.table import TableConfig

__all__ = [
    "AnyModel",
    "AnyRun",
    "Attention",
    "Authors",
    "Channels",
    "ClusterConfig",
    "ClusterFamily",
    "ClusterModelConfig",
    "ClusterTrainConfig",
    "Config",
    "ConfigError",
    "Correlated",
    "DataError",
    "Dense",
    "EnsembleConfig",
    "Family",
    "Flat",
    "Gapped",
    "Imported",
    "Initialisation",
    "InputScaling",
    "Laplace",
    "Linear",
    "LowRank",
    "MarchenkoPastur",
    "MixturePart",
    "ModelConfig",
    "PartedConfig",
    "PowerLaw",
    "ReadOptions",
    "Readout",
    "RunConfig",
    "Scaled",
    "Semicircle",
    "Spiked",
    "StudentT",
    "Sublayer",
    "TableConfig",
    "TrainConfig",
    "Uniform",
    "Whitened",
    "kind_of",
    "model_config",
    "parse_schedule",
    "require",
    "run_config",
]

_HOMES = {
    "base": ("Config", "ConfigError", "DataError", "require"),
    "cluster_model": ("ClusterModelConfig",),
    "cluster_runs": (
        "AnyModel",
        "AnyRun",
        "ClusterFamily",
        "ClusterTrainConfig",
        "kind_of",
        "model_config",
        "run_config",
    ),
    "clusters": ("ClusterConfig",),
    "ensemble": ("EnsembleConfig", "MixturePart"),
    "families": (
        "Authors",
        "Correlated",
        "Family",
        "Flat",
        "Gapped",
        "Imported",
        "Laplace",
        "Linear",
        "LowRank",
        "MarchenkoPastur",
        "PowerLaw",
        "Scaled",
        "Semicircle",
        "Spiked",
        "StudentT",
        "Uniform",
        "Whitened",
    ),
    "layouts": ("Channels", "Dense", "Initialisation", "InputScaling", "Readout"),
    "model": ("Attention", "ModelConfig", "Sublayer"),
    "parts": ("PartedConfig",),
    "reading": ("ReadOptions",),
    "runs": ("RunConfig", "TrainConfig"),
    "schedule": ("parse_schedule",),
    "table": ("TableConfig",),
}
"""Module -> the public names that it defines."""

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES)
