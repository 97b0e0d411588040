"""Frozen configurations; every invalid value is refused with the bound and the remedy.

A configuration is plain data: hashable (so it can be static under `jax.jit`),
compared by value, and turned to and from JSON by `to_dict` / `from_dict`. `base.py`
holds what all share, `model.py` the transformer, `runs.py` instances and training.
"""

from spectral_tf.config.base import Config, ConfigError, DataError, require
from spectral_tf.config.ensemble import EnsembleConfig, MixturePart, Spectrum
from spectral_tf.config.model import (
    Attention,
    Initialisation,
    ModelConfig,
    Parameterisation,
    Readout,
    Sublayer,
)
from spectral_tf.config.runs import TrainConfig
from spectral_tf.config.schedule import parse_schedule, repeated
from spectral_tf.config.table import TableConfig

__all__ = [
    "Attention",
    "Config",
    "ConfigError",
    "DataError",
    "EnsembleConfig",
    "Initialisation",
    "MixturePart",
    "ModelConfig",
    "Parameterisation",
    "Readout",
    "Spectrum",
    "Sublayer",
    "TableConfig",
    "TrainConfig",
    "parse_schedule",
    "repeated",
    "require",
]
