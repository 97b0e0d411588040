"""The commands of the program that no other room has, one class each."""

from typing import TYPE_CHECKING

from spectral_tf.lazy import lazily

if TYPE_CHECKING:
    from spectral_tf.apps.commands.demo import Demo
    from spectral_tf.apps.commands.groups import Audit, Poc
    from spectral_tf.apps.commands.networks import Construct, Describe, Evaluate, Models

__all__ = ["Audit", "Construct", "Demo", "Describe", "Evaluate", "Models", "Poc"]

_HOMES = {
    "demo": ("Demo",),
    "groups": ("Audit", "Poc"),
    "networks": ("Construct", "Describe", "Evaluate", "Models"),
}
"""Module -> the public names that it defines."""

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES)
