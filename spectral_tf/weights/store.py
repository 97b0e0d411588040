"""Checkpoints by name or by file: read, listed.

Shipped ones lie beside this file and are found as resources of the package, so an
editable install, a wheel and a zip serve alike.
"""

import copy
import functools
import importlib.resources
from collections.abc import Callable
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, NamedTuple

import jax

from spectral_tf.config import AnyModel, ClusterModelConfig, ModelConfig, is_clusterer
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


class PretrainedClusterer(NamedTuple):
    """A trained network that clusters, for `predict_clusters`.

    Attributes:
        name: of the checkpoint.
        config: the model.
        params: its parameters, float32.
        manifest: digest, licence, and the record of how it was trained.

    Source: ours.
    """

    name: str
    config: ClusterModelConfig
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


def _names() -> list[str]:
    """All shipped ones, sorted."""
    files = [item.name for item in shipped_folder().iterdir()]
    return sorted(name[: -len(MANIFEST)] for name in files if name.endswith(MANIFEST))


def _clusters(name: str) -> bool:
    """True if a shipped checkpoint is a network that clusters."""
    return is_clusterer(_manifest(shipped_folder(), name)[0]["config"])


def pretrained_names() -> tuple[str, ...]:
    """Names of the shipped checkpoints that find eigenpairs.

    Returns:
        Sorted; what `load_pretrained` takes.

    Source: ours.
    """
    return tuple(name for name in _names() if not _clusters(name))


def clusterer_names() -> tuple[str, ...]:
    """Names of the shipped checkpoints that cluster.

    Returns:
        Sorted; what `load_clusterer` takes.

    Source: ours.
    """
    return tuple(filter(_clusters, _names()))


def models_table() -> tuple[ModelRow, ...]:
    """The shipped checkpoints at a glance, read from their manifests alone.

    Returns:
        One row for each name.

    Raises:
        PretrainedError: for a damaged manifest.

    Source: ours.
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
            length, tensors, version), a network that clusters, or too large a k.

    Source: ours.
    """
    config, flat, manifest = _found(source, pretrained_names)
    name = manifest["name"]
    if not isinstance(config, ModelConfig):
        raise PretrainedError(
            f"{name!r} is a network that clusters and finds no eigenpairs; load it "
            "with `load_clusterer`."
        )
    if num_components is not None:
        config = with_components(config, num_components)
    # Copies, so that a caller who changes them changes no later answer.
    return Pretrained(name, config, unflatten_params(flat), copy.deepcopy(manifest))


@standard_settings()
def load_clusterer(source: str | Path = "gmm-small") -> PretrainedClusterer:
    """A network that clusters: a shipped one, or one that `save_pretrained` wrote.

    Args:
        source: a shipped name, or the path of a manifest, which ends in `.json`.

    Returns:
        The network; a shipped one is read and verified once per process.

    Raises:
        PretrainedError: for an unknown name, a file that is missing or damaged, or a
            network that finds eigenpairs.

    Example:
        >>> import jax
        >>> network = load_clusterer()
        >>> x = jax.random.normal(jax.random.key(0), (30, 3))
        >>> x = x.at[:15].add(4.0)
        >>> from spectral_tf.model.cluster import predict_clusters
        >>> found = predict_clusters(network.config, network.params, x, 2)
        >>> found.centres.shape
        (2, 3)

    Source: ours.
    """
    config, flat, manifest = _found(source, clusterer_names)
    name = manifest["name"]
    if not isinstance(config, ClusterModelConfig):
        raise PretrainedError(
            f"{name!r} is a network that finds eigenpairs and does not cluster; load "
            "it with `load_pretrained`."
        )
    params = unflatten_params(flat)
    return PretrainedClusterer(name, config, params, copy.deepcopy(manifest))


def _found(source: str | Path, names: Callable[[], tuple[str, ...]]) -> "_Found":
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
    shipped = ", ".join(names()) or "none in this version"
    raise PretrainedError(
        f"there is no shipped checkpoint {source!r}; shipped: {shipped}. Or give "
        f"the path of a manifest, which ends in {MANIFEST}."
    )


_Found = tuple[AnyModel, dict[str, jax.Array], dict[str, Any]]


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
