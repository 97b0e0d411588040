"""Writing a checkpoint: two files, both or neither."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spectral_tf.model.network import Network
from spectral_tf.model.params import count_params
from spectral_tf.weights.manifest import (
    MANIFEST,
    TENSORS,
    PretrainedError,
    check_name,
    manifest_bytes,
)
from spectral_tf.weights.tensors import to_bytes


def save_pretrained(
    folder: Path,
    name: str,
    network: Network[Any],
    record: Mapping[str, Any],
    *,
    overwrite: bool = False,
) -> Path:
    """Write `NAME.safetensors` and `NAME.json`, both or neither.

    Args:
        folder: created if need be.
        name: lower-case words joined by `-` or `_`.
        network: of either kind; its parameters are stored as float32.
        record: how it came about; see `RECORD_FIELDS`.
        overwrite: replace a checkpoint of this name.

    Returns:
        Path of the manifest, for `load_pretrained`.

    Raises:
        FileExistsError: if a file exists and `overwrite` is False.
        PretrainedError: for a name, parameters or a record that cannot be used, or if
            the files cannot be written; what was there before is left as it was.
    """
    check_name(name)
    config, params = network
    data = to_bytes(config, params, name)
    count = count_params(params)
    manifest = manifest_bytes(name, config.to_dict(), count, data, record)
    files = {f"{name}{TENSORS}": data, f"{name}{MANIFEST}": manifest}
    existing = [folder / file for file in files if (folder / file).exists()]
    if existing and not overwrite:
        raise FileExistsError(
            f"{existing[0]} exists; choose another name, or pass overwrite=True."
        )
    try:
        _write_all(folder, files)
    except OSError as error:
        raise PretrainedError(
            f"{name!r} cannot be written to {folder} ({error}); nothing there was "
            "changed. Choose a folder that can be written, with "
            f"{(len(data) + len(manifest)) // 1000 + 1} kB left."
        ) from error
    return folder / f"{name}{MANIFEST}"


def _write_all(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files whole, all or none; what they replace comes back on failure."""
    folder.mkdir(parents=True, exist_ok=True)
    with _scratch(folder) as scratch:
        for name, data in files.items():
            with (scratch / name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        undo: list[tuple[Path, Path]] = []
        try:
            for name in files:
                if (folder / name).exists():
                    (folder / name).rename(scratch / f"old-{name}")
                    undo.append((scratch / f"old-{name}", folder / name))
                (scratch / name).rename(folder / name)
                undo.append((folder / name, scratch / name))
        except BaseException:
            for now, before in reversed(undo):
                now.rename(before)
            raise


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A temporary folder within a folder, so that renaming out of it is one step."""
    path = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
