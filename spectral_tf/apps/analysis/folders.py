"""Folders of results that no other command has, even one of the same second."""

import contextlib
import datetime
import itertools
from collections.abc import Iterator
from pathlib import Path

from spectral_tf.config import DataError

RUNS = Path("runs")


@contextlib.contextmanager
def results_folder(out: Path | None, kind: str) -> Iterator[Path]:
    """The folder that is asked for, or a new one, `runs/<time>-<kind>`.

    The new one is made at once, empty, so that no other command can take its name; a
    second one of the same second is `runs/<time>-<kind>-2`. If the command fails and
    the folder is still empty, it goes away again.

    Args:
        out: as the user gave it; None for a new one.
        kind: of the results.

    Yields:
        The folder.

    Raises:
        DataError: if no folder can be made in the current one.
    """
    if out is not None:
        yield out
        return
    is_first = not RUNS.exists()
    folder = _reserved(kind)
    try:
        yield folder
    except BaseException:
        # Neither goes away if anything is in it.
        for path in (folder, RUNS) if is_first else (folder,):
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


def _reserved(kind: str) -> Path:
    """A folder that this call has made."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    name = f"{stamp}-{kind}"
    for suffix in itertools.chain([""], (f"-{n}" for n in itertools.count(2))):
        folder = RUNS / f"{name}{suffix}"
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            if isinstance(error, FileExistsError) and RUNS.is_dir():
                continue
            raise DataError(
                f"cannot make the folder {folder}: {error.strerror or error}; give "
                "one that can be written with --out."
            ) from error
        return folder
    raise AssertionError("there is always another number")
