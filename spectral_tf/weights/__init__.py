"""Shipped checkpoints: `NAME.safetensors` and its manifest `NAME.json`, both here.

`manifest.py` is what is written beside the weights, `tensors.py` the weights as bytes;
`save.py` writes the pair, `store.py` reads it. Nothing is unpickled, and nothing is
loaded that does not match its digest.
"""

from typing import TYPE_CHECKING

from spectral_tf.lazy import lazily

if TYPE_CHECKING:
    from spectral_tf.weights.components import most_components, with_components
    from spectral_tf.weights.manifest import RECORD_FIELDS, PretrainedError
    from spectral_tf.weights.save import save_pretrained
    from spectral_tf.weights.store import (
        ModelRow,
        load_manifest,
        load_pretrained,
        models_table,
        pretrained_names,
    )

__all__ = [
    "RECORD_FIELDS",
    "ModelRow",
    "PretrainedError",
    "load_manifest",
    "load_pretrained",
    "models_table",
    "most_components",
    "pretrained_names",
    "save_pretrained",
    "with_components",
]

_HOMES = {
    "components": ("most_components", "with_components"),
    "manifest": ("PretrainedError", "RECORD_FIELDS"),
    "save": ("save_pretrained",),
    "store": (
        "ModelRow",
        "load_manifest",
        "load_pretrained",
        "models_table",
        "pretrained_names",
    ),
}
"""Module -> the public names that it defines."""

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES)
