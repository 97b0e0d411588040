"""Checkpoints by name or by file: read, listed.

Shipped ones lie beside this file and are found as resources of the package, so an
editable install, a wheel and a zip serve alike.
"""

import copy
import functools
import importlib.resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, NamedTuple

import jax

from spectral_tf.config import ModelConfig
from spectral_tf.model.params import count_params, unflatten_params
from spectral_tf.weights.components import with_components
from spectral_tf.weights.manifest import (
    MANIFEST,
    TENSORS,
    PretrainedError,
    check_digest,
    read_manifest,
)
from spectral_tf.weights.tensors import from_bytes


class Pretrained(NamedTuple):
    """A trained network.

    Attributes:
        name: of the checkpoint.
        config: the model.
        params: its parameters, float32.
        manifest: digest, licence, and the record of how it was trained.

    Source: ours.
    """

    name: str
    config: ModelConfig
    params: dict[str, Any]
    manifest: dict[str, Any]


class ModelRow(NamedTuple):
    """One line of the table of shipped checkpoints.

    Attributes:
        name: for `load_pretrained`.
        parameters: how many.
        kilobytes: of the weights; 1 kB is 1,000 bytes.
        purpose: what it is for.

    Source: ours.
    """

    name: str
    parameters: int
    kilobytes: float
    purpose: str


def shipped_folder() -> Traversable:
    """Where the checkpoints of the package lie."""
    return importlib.resources.files("spectral_tf.weights")


def pretrained_names() -> tuple[str, ...]:
    """Names of the shipped checkpoints.

    Returns:
        Sorted; what `load_pretrained` takes.

    Source: ours.
    """
    files = [item.name for item in shipped_folder().iterdir()]
    return tuple(
        sorted(name[: -len(MANIFEST)] for name in files if name.endswith(MANIFEST))
    )


def models_table() -> tuple[ModelRow, ...]:
    """The shipped checkpoints at a glance, read from their manifests alone.

    Returns:
        One row for each name.

    Raises:
        PretrainedError: for a damaged manifest.

    Source: ours.
    """
    rows = []
    for name in pretrained_names():
        manifest, _ = _manifest(shipped_folder(), name)
        purpose = str(manifest["record"].get("purpose", ""))
        size = manifest["bytes"] / 1000
        rows.append(ModelRow(name, manifest["parameters"], size, purpose))
    return tuple(rows)


def load_pretrained(
    source: str | Path, *, num_components: int | None = None
) -> Pretrained:
    """A shipped checkpoint, or one that `save_pretrained` wrote.

    Args:
        source: a shipped name such as `"pca-small"`, or the path of a manifest, which
            ends in `.json`.
        num_components: k, if not that of the checkpoint; at most `most_components`.

    Returns:
        The network; a shipped one is read and verified once per process.

    Raises:
        PretrainedError: for an unknown name, a file that is missing or damaged (digest,
            length, tensors, version), or too large a k.

    Source: ours.
    """
    if not isinstance(source, str | Path):
        raise PretrainedError(
            f"a checkpoint is given as {type(source).__name__}; give a shipped name, "
            f"or the path of a manifest, which ends in {MANIFEST}."
        )
    if isinstance(source, Path) or source.endswith(MANIFEST):
        path = Path(source).expanduser()
        if path.suffix != MANIFEST:
            raise PretrainedError(
                f"{path} is no manifest: its name does not end in {MANIFEST}; give "
                "the .json that `save_pretrained` wrote, or a shipped name as text."
            )
        found = _read(path.parent, path.stem)
    elif source in pretrained_names():
        found = _shipped(source)
    else:
        names = ", ".join(pretrained_names()) or "none in this version"
        raise PretrainedError(
            f"there is no shipped checkpoint {source!r}; shipped: {names}. Or give "
            f"the path of a manifest, which ends in {MANIFEST}."
        )
    config, flat, manifest = found
    if num_components is not None:
        config = with_components(config, num_components)
    # Copies, so that a caller who changes them changes no later answer.
    params = unflatten_params(flat)
    return Pretrained(manifest["name"], config, params, copy.deepcopy(manifest))


_Found = tuple[ModelConfig, dict[str, jax.Array], dict[str, Any]]


@functools.cache
def _shipped(name: str) -> _Found:
    return _read(shipped_folder(), name)


def _manifest(folder: Traversable, name: str) -> tuple[dict[str, Any], str]:
    """`(manifest, what messages call it)` of one checkpoint in a folder."""
    file = folder / f"{name}{MANIFEST}"
    manifest = read_manifest(_content(file), str(file))
    if manifest["name"] != name:
        raise PretrainedError(
            f"{file} is the manifest of {manifest['name']!r}; give both files of a "
            "checkpoint back the name that they were written with."
        )
    return manifest, str(file)


def _read(folder: Traversable, name: str) -> _Found:
    manifest, where = _manifest(folder, name)
    file = folder / f"{name}{TENSORS}"
    data = _content(file)
    check_digest(manifest, data, str(file))
    config, flat = from_bytes(data, manifest["config"], str(file))
    if count_params(flat) != manifest["parameters"]:
        raise PretrainedError(
            f"{where}: parameters={manifest['parameters']}, but the weights are "
            f"{count_params(flat)}; take the manifest as `save_pretrained` wrote it."
        )
    return config, flat, manifest


def _content(file: Traversable) -> bytes:
    try:
        return file.read_bytes()
    except (OSError, KeyError) as error:  # KeyError: not in the zip
        raise PretrainedError(
            f"{file} cannot be read ({error}); a checkpoint is two files, "
            f"NAME{MANIFEST} and NAME{TENSORS}, in one folder."
        ) from error
