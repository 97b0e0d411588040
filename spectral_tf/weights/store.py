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

from spectral_tf.config import AnyModel, ModelConfig, kind_of
from spectral_tf.model.network import Network
from spectral_tf.model.params import count_params, unflatten_params
from spectral_tf.settings import standard_settings
from spectral_tf.weights.components import with_components
from spectral_tf.weights.manifest import (
    MANIFEST,
    TENSORS,
    PretrainedError,
    check_digest,
    read_manifest,
)
from spectral_tf.weights.tensors import from_bytes


class ModelRow(NamedTuple):
    """One line of the table of shipped checkpoints.

    Attributes:
        name: for `load_pretrained`.
        parameters: how many.
        kilobytes: of the weights; 1 kB is 1,000 bytes.
        purpose: what it is for.
    """

    name: str
    parameters: int
    kilobytes: float
    purpose: str


def shipped_folder() -> Traversable:
    """Where the checkpoints of the package lie."""
    return importlib.resources.files("spectral_tf.weights")


def _names() -> list[str]:
    """All shipped ones, sorted."""
    files = [item.name for item in shipped_folder().iterdir()]
    return sorted(name[: -len(MANIFEST)] for name in files if name.endswith(MANIFEST))


def pretrained_names(kind: str | None = None) -> tuple[str, ...]:
    """Names of the shipped checkpoints.

    Args:
        kind: `"eigenpairs"` or `"clusters"`, those of networks that answer it; None
            means all.

    Returns:
        Sorted; what `load_pretrained` takes.
    """
    if kind is None:
        return tuple(_names())
    answers = lambda name: kind_of(_manifest(shipped_folder(), name)[0]["config"])
    return tuple(name for name in _names() if answers(name) == kind)


def models_table() -> tuple[ModelRow, ...]:
    """The shipped checkpoints at a glance, read from their manifests alone.

    Returns:
        One row for each name.

    Raises:
        PretrainedError: for a damaged manifest.
    """
    rows = []
    for name in _names():
        manifest, _ = _manifest(shipped_folder(), name)
        purpose = str(manifest["record"].get("purpose", ""))
        size = manifest["bytes"] / 1000
        rows.append(ModelRow(name, manifest["parameters"], size, purpose))
    return tuple(rows)


@standard_settings()
def load_pretrained(
    source: str | Path, *, num_components: int | None = None
) -> Network[Any]:
    """A shipped checkpoint, or one that `save_pretrained` wrote.

    Args:
        source: a shipped name such as `"pca-small"` or `"gmm-small"`, or the path of a
            manifest, which ends in `.json`.
        num_components: k, if not that of the checkpoint; at most `most_components`.
            For networks that find eigenpairs.

    Returns:
        The network, of the kind that its configuration says, with float32 parameters; a
        shipped one is read and verified once per process.

    Raises:
        PretrainedError: for an unknown name, a file that is missing or damaged (digest,
            length, tensors, version), or too large a k.

    Example:
        >>> import jax
        >>> x = jax.random.normal(jax.random.key(0), (30, 3)).at[:15].add(4.0)
        >>> load_pretrained("pca-small", num_components=3)(x).eigenvectors.shape
        (3, 3)
        >>> load_pretrained("gmm-small")(x, num_classes=2).centres.shape
        (2, 3)
    """
    config, flat, manifest = _checkpoint(source)
    if num_components is not None:
        if not isinstance(config, ModelConfig):
            raise PretrainedError(
                f"num_components={num_components}: {manifest['name']!r} is a network "
                "that clusters and finds no eigenpairs; leave num_components out, and "
                "give num_classes where the network is called."
            )
        config = with_components(config, num_components)
    # Copies, so that a caller who changes them changes no later answer.
    return Network(config, unflatten_params(flat))


@standard_settings()
def load_manifest(source: str | Path) -> dict[str, Any]:
    """What stands beside a checkpoint: digest, licence, and the record of its training.

    Args:
        source: as for `load_pretrained`.

    Returns:
        The manifest of a checkpoint that is verified as `load_pretrained` does.

    Raises:
        PretrainedError: as there.
    """
    return copy.deepcopy(_checkpoint(source)[2])


def _checkpoint(source: str | Path) -> "_Checkpoint":
    """Configuration, flat parameters and manifest of a checkpoint of either kind."""
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
        return _read(path.parent, path.stem)
    if source in _names():
        return _shipped(source)
    shipped = ", ".join(_names()) or "none in this version"
    raise PretrainedError(
        f"there is no shipped checkpoint {source!r}; shipped: {shipped}. Or give "
        f"the path of a manifest, which ends in {MANIFEST}."
    )


_Checkpoint = tuple[AnyModel, dict[str, jax.Array], dict[str, Any]]


@functools.cache
def _shipped(name: str) -> _Checkpoint:
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


def _read(folder: Traversable, name: str) -> _Checkpoint:
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
