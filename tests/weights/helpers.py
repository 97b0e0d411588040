"""A small checkpoint, and folders of them in place of the package's own."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from spectral_tf.model.network import Network
from spectral_tf.weights import save_pretrained, store
from spectral_tf.weights.manifest import digest
from tests import problems
from tests.problems import random_params

SMALL = problems.SMALL.replace(num_components=3)
RECORD = {
    "purpose": "tests",
    "train": {"num_steps": 2, "mixture": [{"weight": 1.0}]},
    "seed": 0,
    "steps": 2,
    "instances": 16,
    "wall_seconds": 0.5,
    "versions": {"jax": "0.10.2"},
    "machine": "two cores",
    "command": "spectral-tf pretrain",
    "evaluation": [{"dim": 10, "cosine": [0.9, 0.8]}],
}


def write_small(folder: Path, name: str = "pca-tiny", config=SMALL, **options) -> Path:
    """A checkpoint of random weights; the path of its manifest."""
    params = random_params(config)
    return save_pretrained(folder, name, Network(config, params), RECORD, **options)


def use_folder(monkeypatch, folder) -> None:
    """Take a folder for the one of the shipped checkpoints."""
    monkeypatch.setattr(store, "shipped_folder", lambda: folder)
    store._shipped.cache_clear()


def shipped_in(folder: Path, monkeypatch) -> Iterator[Path]:
    """A folder with the one checkpoint `pca-tiny`, for as long as a test runs."""
    write_small(folder)
    use_folder(monkeypatch, folder)
    yield folder
    store._shipped.cache_clear()


def tensors_of(manifest: Path) -> Path:
    return manifest.with_suffix(".safetensors")


def edit(manifest: Path, **changes) -> None:
    """Change fields of a manifest; the digest is not made to fit."""
    fields = json.loads(manifest.read_text()) | changes
    manifest.write_text(json.dumps(fields))


def put(manifest: Path, data: bytes) -> None:
    """Other bytes as the weights, with a digest that fits them."""
    tensors_of(manifest).write_bytes(data)
    edit(manifest, sha256=digest(data), bytes=len(data))


def flipped(data: bytes, index: int, mask: int) -> bytes:
    changed = np.frombuffer(data, np.uint8).copy()
    changed[index] ^= mask
    return changed.tobytes()
