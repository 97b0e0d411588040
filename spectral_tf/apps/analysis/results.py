"""The folder of results: written beside its place, moved there when it is complete."""

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from spectral_tf.apps.analysis.answer import Answer
from spectral_tf.apps.analysis.files import write_json
from spectral_tf.config import DataError, require


def check_folder(folder: Path, inputs: Sequence[Path], *, force: bool) -> Path:
    """Refuse a folder that must not be written.

    Args:
        folder: where results shall go.
        inputs: files and folders that are read; never replaced.
        force: whether an existing folder may be replaced.

    Returns:
        The folder, absolute and without links.

    Raises:
        ConfigError: if it is a file, holds an input or the current folder, or lies
            where nothing may be written.
        FileExistsError: if it exists, is not empty, and `force` is not given.
    """
    real = folder.expanduser().resolve()
    for path in inputs:
        given = path.expanduser()
        named = given.parent.resolve() / given.name  # a link inside the folder counts
        for one in (named, named.resolve()):
            require(
                real != one and real not in one.parents,
                f"--out {folder} is or holds the input {path}; choose another folder.",
            )
    here = Path.cwd()
    require(
        real != here and real not in here.parents and real != Path.home(),
        f"--out {folder} is or holds the current folder or your home; name a folder of "
        "its own.",
    )
    require(not real.is_file(), f"--out {folder} is a file; name a folder.")
    if real.exists() and any(real.iterdir()) and not force:
        raise FileExistsError(
            f"{folder} exists and is not empty; choose another folder, or replace it "
            "with --force."
        )
    above = next(one for one in real.parents if one.exists())
    require(
        above.is_dir() and os.access(above, os.W_OK),
        f"--out {folder} cannot be written: {above} is not a folder that you may write "
        "to; choose another folder.",
    )
    return real


@contextlib.contextmanager
def new_folder(
    folder: Path, inputs: Sequence[Path], *, force: bool = False
) -> Iterator[Path]:
    """A temporary folder that becomes `folder` in one step, if all goes well.

    What was in `folder` is lost only then. If anything fails, nothing is left behind.

    Args:
        folder: where results shall go.
        inputs: see `check_folder`.
        force: see `check_folder`.

    Yields:
        The folder to write into.

    Raises:
        ConfigError: see `check_folder`.
        FileExistsError: see `check_folder`.
        DataError: if the folder cannot be written.
    """
    place = check_folder(folder, inputs, force=force)
    missing = [one for one in place.parents if not one.exists()]
    draft = place.parent / f".{place.name}.{uuid.uuid4().hex[:8]}.tmp"
    try:
        draft.mkdir(parents=True)
        yield draft
        check_folder(folder, inputs, force=force)
        _put(draft, place)
    except BaseException as error:
        shutil.rmtree(draft, ignore_errors=True)
        for parent in missing:
            with contextlib.suppress(OSError):
                parent.rmdir()
        if isinstance(error, OSError) and not isinstance(error, FileExistsError):
            raise DataError(
                f"cannot write {folder}: {error.strerror or error}; nothing was left "
                "there. Free some space, or choose another folder."
            ) from error
        raise


def _put(draft: Path, place: Path) -> None:
    """Move a folder to its place; what is there goes away last."""
    if not place.exists() or not any(place.iterdir()):
        os.replace(draft, place)  # an empty folder is replaced, too
        return
    old = draft.with_suffix(".old")
    os.replace(place, old)
    try:
        os.replace(draft, place)
    except BaseException:
        os.replace(old, place)
        raise
    shutil.rmtree(old, ignore_errors=True)


def write_certificate(folder: Path, answer: Answer) -> None:
    """Write certificate.json.

    Args:
        folder: exists.
        answer: what was found.

    Raises:
        OSError: if it cannot be written.
    """
    about = {"engine": answer.engine, "reason": answer.reason}
    write_json(folder / "certificate.json", answer.certificate.to_dict() | about)


def write_summary(folder: Path, document: dict[str, Any]) -> list[str]:
    """Write summary.json, the last file of an analysis.

    Args:
        folder: holds all others.
        document: the names of the files are added.

    Returns:
        The names of the files.

    Raises:
        OSError: if it cannot be written.
    """
    names = sorted([*(path.name for path in folder.iterdir()), "summary.json"])
    document["files"] = names
    write_json(folder / "summary.json", document)
    return names
