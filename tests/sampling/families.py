"""Configurations of families by name."""

from typing import Any

from spectral_tf.config import EnsembleConfig


def of_family(name: str, base: EnsembleConfig, **options: Any) -> EnsembleConfig:
    """`base` with the family of a name, and options of it."""
    family = EnsembleConfig.from_flat(spectrum=name, **options).family
    return base.replace(family=family)
