"""What stands beside the weights: digest, licence, model, and how they came about.

{"format": 1, "name": "pca-small", "sha256": "...", "bytes": 145000,
 "licence": "Apache-2.0", "parameters": 36000, "config": {...}, "record": {...}}
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from spectral_tf.config.wording import counted

FORMAT = 1
"""Raised when an older version of the package could misread a manifest."""
LICENCE = "Apache-2.0"
MANIFEST, TENSORS = ".json", ".safetensors"
"""How the names of the two files end."""
FIELDS: dict[str, type] = {
    "format": int,
    "name": str,
    "sha256": str,
    "bytes": int,
    "licence": str,
    "parameters": int,
    "config": dict,
    "record": dict,
}
RECORD_FIELDS: dict[str, tuple[type, ...]] = {
    # What the checkpoint is for, one sentence.
    "purpose": (str,),
    # The training configuration, the mixture of ensembles included.
    "train": (Mapping,),
    "seed": (int,),
    "steps": (int,),
    # Problems seen in training: steps times the batch.
    "instances": (int,),
    "wall_seconds": (int, float),
    # Of the libraries, by name.
    "versions": (Mapping,),
    # In words: processor, cores, accelerator.
    "machine": (str,),
    # What reproduces the checkpoint from nothing.
    "command": (str,),
    # Held-out scores.
    "evaluation": (Mapping, list, tuple),
}
"""What a record must say, and as which types; it may say more."""
NAME = re.compile(r"[a-z0-9]+([-_][a-z0-9]+)*")


class PretrainedError(ValueError):
    """A checkpoint cannot be read or written; the message says which and what to do."""


def digest(data: bytes) -> str:
    """sha256 in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def check_name(name: str) -> None:
    """Refuse what is no name of a checkpoint.

    Args:
        name: e.g. `pca-small`.

    Raises:
        PretrainedError: saying what a name looks like.
    """
    if not NAME.fullmatch(name):
        raise PretrainedError(
            f"name={name!r} must be lower-case letters and digits joined by '-' or "
            "'_', such as 'pca-small'."
        )


def record_faults(record: Mapping[str, Any]) -> list[str]:
    """What a record leaves out, or says as a wrong type.

    Args:
        record: how a checkpoint came about.

    Returns:
        One phrase for each fault; none if it is complete.
    """
    faults = []
    for name, kinds in RECORD_FIELDS.items():
        value = record.get(name)
        words = " or ".join(kind.__name__ for kind in kinds)
        if name not in record:
            faults.append(f"{name} is missing (expected {words})")
        elif not isinstance(value, kinds) or isinstance(value, bool):
            faults.append(f"{name} is {type(value).__name__}, expected {words}")
        elif isinstance(value, str | Mapping | list | tuple) and not value:
            faults.append(f"{name} is empty")
    return faults


def manifest_bytes(
    name: str, config: Mapping[str, Any], count: int, data: bytes, record: Mapping
) -> bytes:
    """A manifest as it is written.

    Args:
        name: of the checkpoint.
        config: of the model, as a dictionary.
        count: how many parameters.
        data: content of the safetensors file.
        record: how it came about, see `RECORD_FIELDS`.

    Returns:
        JSON, UTF-8.

    Raises:
        PretrainedError: for a record that is incomplete or not JSON.
    """
    faults = record_faults(record)
    if faults:
        raise PretrainedError(
            f"the record of {name!r} is incomplete: {'; '.join(faults)}. Give all of "
            f"{', '.join(RECORD_FIELDS)}."
        )
    manifest = {
        "format": FORMAT,
        "name": name,
        "sha256": digest(data),
        "bytes": len(data),
        "licence": LICENCE,
        "parameters": count,
        "config": config,
        "record": dict(record),
    }
    try:
        text = json.dumps(manifest, indent=1, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise PretrainedError(
            f"the record of {name!r} is not JSON ({error}); give text, finite Python "
            "numbers, lists and dictionaries only."
        ) from error
    return f"{text}\n".encode()


def read_manifest(data: bytes, where: str) -> dict[str, Any]:
    """The manifest in a file's content, its fields checked for presence and type.

    Args:
        data: content of a `.json`.
        where: what messages call the file.

    Returns:
        The dictionary.

    Raises:
        PretrainedError: for anything else than a manifest of a known version.
    """
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise PretrainedError(
            f"{where} is no manifest of a checkpoint ({error}); take the file that "
            "`save_pretrained` wrote, or install the package again."
        ) from error
    if not isinstance(manifest, dict) or type(manifest.get("format")) is not int:
        raise PretrainedError(
            f"{where} is no manifest of a checkpoint (it has no number 'format'); take "
            "the .json that `save_pretrained` wrote."
        )
    if manifest["format"] != FORMAT:
        raise PretrainedError(
            f"{where} has format {manifest['format']}, and this version of spectral_tf "
            f"reads format {FORMAT}; install the version that wrote it, or a newer one."
        )
    for name, kind in FIELDS.items():
        if type(manifest.get(name)) is not kind:
            raise PretrainedError(
                f"{where}: field {name!r} is missing or is no {kind.__name__}; the "
                "manifest is damaged: fetch it again, or install the package again."
            )
    return manifest


def check_digest(manifest: Mapping[str, Any], data: bytes, where: str) -> None:
    """Refuse weights that are not those of the manifest.

    Args:
        manifest: of `read_manifest`.
        data: content of the safetensors file.
        where: what messages call that file.

    Raises:
        PretrainedError: saying whether bytes are missing or altered.
    """
    remedy = "Nothing is loaded; fetch the file again, or install the package again."
    size, wanted = len(data), manifest["bytes"]
    if size != wanted:
        what = "truncated" if size < wanted else "too long"
        raise PretrainedError(
            f"{where} is {what}: {counted(size, 'byte')}, expected {wanted:,}. {remedy}"
        )
    if digest(data) != manifest["sha256"]:
        raise PretrainedError(
            f"{where} does not match its sha256: expected {manifest['sha256']}, found "
            f"{digest(data)}. {remedy}"
        )
