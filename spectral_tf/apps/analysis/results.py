"""The folder of results: written beside its place, moved there when it is complete."""

import contextlib
import csv
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spectral_tf.apps.analysis.document import explanations
from spectral_tf.apps.analysis.fit import Answer, Clusters, Components, Outliers
from spectral_tf.apps.analysis.prepare import Prepared
from spectral_tf.apps.report.table_figures import (
    biplot_figure,
    cluster_figure,
    outlier_figure,
    scree_figure,
)
from spectral_tf.config import DataError, require
from spectral_tf.config.wording import json_text

REASONS = 3
"""Features that outliers.csv names for each row."""


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


def write_results(folder: Path, table: Prepared, answer: Answer, top: int) -> None:
    """Write every file of an analysis but the summary and the audit log.

    Args:
        folder: exists and is empty.
        table: as it was analysed.
        answer: what was found.
        top: rows that explanations.json explains.

    Raises:
        OSError: if a file cannot be written.
    """
    match answer:
        case Components():
            _write_components(folder, table, answer)
        case Clusters():
            _write_clusters(folder, table, answer)
        case Outliers():
            _write_outliers(folder, table, answer, top)
        case _:
            raise TypeError(f"no files are known for {type(answer).__name__}")
    _write_certificate(folder, answer)


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
    _write_json(folder / "summary.json", document)
    return names


def write_component_table(folder: Path, table: Prepared, answer: Components) -> None:
    """Write what is known of components without their rows.

    Args:
        folder: exists.
        table: as it was analysed; its rows are not read.
        answer: the components.

    Raises:
        OSError: if a file cannot be written.
    """
    _write_loadings(folder, table, answer)
    _write_certificate(folder, answer)


def _write_certificate(folder: Path, answer: Answer) -> None:
    about = {"engine": answer.engine, "reason": answer.reason}
    _write_json(folder / "certificate.json", answer.certificate.to_dict() | about)


def _write_loadings(folder: Path, table: Prepared, answer: Components) -> None:
    names = [f"pc{rank}" for rank in range(1, len(answer.eigenvalues) + 1)]
    parts = answer.eigenvalues, answer.shares, answer.loadings
    _write_csv(
        folder / "components.csv",
        ["name", "eigenvalue", "share", *table.columns],
        (
            [name, value, share, *loadings]
            for name, value, share, loadings in zip(
                names, *(part.tolist() for part in parts), strict=True
            )
        ),
    )
    scree_figure(answer.shares, answer.certificate, folder / "scree.png")


def _write_components(folder: Path, table: Prepared, answer: Components) -> None:
    _write_loadings(folder, table, answer)
    names = [f"pc{rank}" for rank in range(1, len(answer.eigenvalues) + 1)]
    rows = enumerate(answer.scores.tolist(), start=1)
    _write_rows(
        folder / "scores.csv",
        table,
        ["row", *names],
        ([row, *each] for row, each in rows),
    )
    biplot_figure(
        answer.scores,
        answer.loadings,
        table.columns,
        answer.shares,
        folder / "biplot.png",
    )


def _write_clusters(folder: Path, table: Prepared, answer: Clusters) -> None:
    found = zip(answer.labels.tolist(), answer.probability.tolist(), strict=True)
    _write_rows(
        folder / "labels.csv",
        table,
        ["row", "cluster", "probability"],
        ([row, *each] for row, each in enumerate(found, start=1)),
    )
    centres = [f"centre of {name}" for name in table.columns]
    deviations = [f"deviation of {name}" for name in table.columns]
    _write_csv(
        folder / "clusters.csv",
        ["cluster", "size", *centres, *deviations],
        (
            [cluster, size, *_cells(np.r_[answer.centres[cluster], deviation])]
            for cluster, (size, deviation) in enumerate(
                zip(answer.sizes.tolist(), answer.deviations, strict=True)
            )
        ),
    )
    path = folder / "clusters.png"
    cluster_figure(answer.scores, answer.labels, answer.shares, path)


def _write_outliers(folder: Path, table: Prepared, answer: Outliers, top: int) -> None:
    told = answer.explanation
    head = ["row", "score", "is_outlier", "reason"]
    count = min(REASONS, len(table.columns))
    for place in range(1, count + 1):
        head += [f"feature_{place}", f"share_{place}"]
    order = np.argsort(-told.feature_share, axis=1, kind="stable")[:, :count].tolist()

    def rows() -> Iterator[list[Any]]:
        for row, strongest in enumerate(order):
            cells = [row + 1, float(answer.distance[row])]
            cells += [bool(answer.is_outlier[row]), told.sentence(row)]
            for index in strongest:
                cells += [table.columns[index], float(told.feature_share[row, index])]
            yield cells

    _write_rows(folder / "outliers.csv", table, head, rows())
    _write_json(folder / "explanations.json", explanations(table, answer, top))
    shares = None if answer.is_robust else answer.shares
    path = folder / "outliers.png"
    outlier_figure(answer.scores, answer.distance, answer.threshold, shares, path)


def _write_rows(
    path: Path, table: Prepared, head: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Write a line for each row of the table, with its name behind its number."""
    if table.row_names:
        head = [head[0], "id", *head[1:]]
        named = zip(rows, table.row_names, strict=True)
        rows = ([cells[0], name, *cells[1:]] for cells, name in named)
    _write_csv(path, head, rows)


def _cells(values: np.ndarray) -> list[float | str]:
    """Numbers; an empty cell for one that is missing."""
    return ["" if np.isnan(value) else value for value in values.tolist()]


def _write_csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(rows)


def _write_json(path: Path, document: Any) -> None:
    text = json_text(document, indent=1, allow_nan=False)
    path.write_text(text + "\n", "utf-8")
