"""Tables as people hand them in, good and bad, each from a seed."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

Rng = np.random.Generator


class Given(NamedTuple):
    """What is handed in, and what must become of it.

    `verdict`: `good` must be accepted, `bad` refused; `any`: right or refused.
    """

    name: str
    table: Any
    verdict: str


def plain(rng: Rng) -> np.ndarray:
    """A table of few shapes, so that few programs are compiled."""
    rows, columns = rng.choice([4, 6, 7, 25, 40]), rng.choice([2, 3, 5, 8, 11])
    x = rng.normal(size=(rows, columns)) @ rng.normal(size=(columns, columns))
    return x + rng.normal(size=columns)


def integers(dtype: Any) -> Callable[[Rng], np.ndarray]:
    def make(rng: Rng) -> np.ndarray:
        low, high = (0, 2) if dtype is bool else (0, min(np.iinfo(dtype).max, 2**62))
        return rng.integers(low, high, plain(rng).shape).astype(dtype)

    return make


def strided(rng: Rng) -> np.ndarray:
    x = plain(rng)
    wide = np.full((3 * len(x), 2 * x.shape[1]), np.nan)
    wide[1::3, ::2] = x
    return wide[1::3, ::2]


def read_only(rng: Rng) -> np.ndarray:
    x = plain(rng)
    x.setflags(write=False)
    return x


def constant_columns(rng: Rng) -> np.ndarray:
    x = plain(rng)
    x[:, rng.integers(x.shape[1])] = rng.choice([0.0, 1.0, -1e8, 0.1])
    return x


def duplicated_columns(rng: Rng) -> np.ndarray:
    x = plain(rng)
    return x[:, rng.integers(0, x.shape[1], x.shape[1])]


def low_rank(rng: Rng) -> np.ndarray:
    x = plain(rng)
    return np.outer(rng.normal(size=len(x)), rng.normal(size=x.shape[1]))


def mixed_scales(rng: Rng) -> np.ndarray:
    x = plain(rng)
    return x * 10.0 ** rng.uniform(-8, 8, x.shape[1])


def flat(rng: Rng) -> np.ndarray:
    """Columns that are orthogonal and of equal variance: no component is unique."""
    x = plain(rng)
    columns = min(x.shape)
    rows = np.concatenate([np.eye(columns), -np.eye(columns)])
    return rows[rng.permutation(len(rows))] * 3.0


def extreme(rng: Rng) -> np.ndarray:
    x = plain(rng)
    return np.sign(x) * 10.0 ** rng.uniform(-300, 300, x.shape)


def masked(rng: Rng) -> Any:
    x = plain(rng)
    mask = np.zeros(x.shape, bool)
    mask[0, -1] = True
    return np.ma.masked_array(x, mask)


def frame(rng: Rng) -> pd.DataFrame:
    x = plain(rng)
    return pd.DataFrame(x, columns=[f"c{i}" for i in range(x.shape[1])])


def with_first(column: Callable[[int], Any]) -> Callable[[Rng], pd.DataFrame]:
    """A frame whose first column is made of the number of rows."""

    def make(rng: Rng) -> pd.DataFrame:
        found = frame(rng)
        found["c0"] = column(len(found))
        return found

    return make


def with_entry(value: Any, dtype: Any = None) -> Callable[[Rng], Any]:
    """A table with one entry that is something else."""

    def make(rng: Rng) -> Any:
        x = plain(rng)
        x = x if dtype is None else x.astype(dtype)
        x[rng.integers(len(x)), rng.integers(x.shape[1])] = value
        return x

    return make


def times(scale: float, dtype: Any = np.float64) -> Callable[[Rng], np.ndarray]:
    return lambda rng: (scale * plain(rng)).astype(dtype)


def just(value: Any) -> Callable[[Rng], Any]:
    return lambda _: value


def dates(rows: int) -> Any:
    return pd.date_range("2020-01-01", periods=rows)


def days(rng: Rng) -> np.ndarray:
    return rng.integers(0, 1000, plain(rng).shape).astype("M8[D]")


GOOD: dict[str, Callable[[Rng], Any]] = {
    "plain": plain,
    "float32": lambda rng: plain(rng).astype(np.float32),
    "float16": lambda rng: plain(rng).astype(np.float16),
    "longdouble": lambda rng: plain(rng).astype(np.longdouble),
    "bool": integers(bool),
    **{f"int {one}": integers(one) for one in (np.int8, np.int32, np.int64)},
    **{f"uint {one}": integers(one) for one in (np.uint8, np.uint16, np.uint64)},
    "Fortran": lambda rng: np.asfortranarray(plain(rng)),
    "strided": strided,
    "reversed": lambda rng: plain(rng)[::-1, ::-1],
    "transposed": lambda rng: np.ascontiguousarray(plain(rng).T).T,
    "read-only": read_only,
    "byte order": lambda rng: plain(rng).astype(">f8"),
    "list": lambda rng: plain(rng).tolist(),
    "tuples": lambda rng: tuple(map(tuple, plain(rng).tolist())),
    "objects": lambda rng: plain(rng).astype(object),
    "nothing masked": lambda rng: np.ma.masked_array(plain(rng)),
    "frame": frame,
    "nullable": with_first(lambda n: pd.array(range(n), "Int64")),
    "float32 column": with_first(lambda n: np.arange(n, dtype=np.float32)),
    "flags": with_first(lambda n: np.arange(n) % 2 == 0),
    "numeric categories": with_first(lambda n: pd.Categorical(np.arange(n) % 3)),
    "constant columns": constant_columns,
    "constant": lambda rng: np.full(plain(rng).shape, rng.choice([0.0, 0.1, -1e8])),
    "duplicated columns": duplicated_columns,
    "duplicated rows": lambda rng: np.repeat(plain(rng), 2, axis=0),
    "two rows": lambda rng: plain(rng)[:2],
    "low rank": low_rank,
    "flat": flat,
    "mixed scales": mixed_scales,
    "mean 1e8": lambda rng: plain(rng) + 1e8,
    "1e-30": times(1e-30),
    "1e30": times(1e30),
    "1e-10, float32": times(1e-10, np.float32),
    "1e10, float32": times(1e10, np.float32),
}
ANY: dict[str, Callable[[Rng], Any]] = {
    "1e-200": times(1e-200),
    "1e-310": times(1e-310),
    "1e-320": times(1e-320),
    "1e-40, float32": times(1e-40, np.float32),
    "1e150": times(1e150),
    "1e153": times(1e153),
    "1e160": times(1e160),
    "1e300": times(1e300),
    "1e30, float32": times(1e30, np.float32),
    "extreme": extreme,
    "outlier 1e200": with_entry(1e200),
    "outlier 1e307": with_entry(1e307),
    "largest": lambda rng: np.sign(plain(rng)) * np.finfo(float).max,
    "numeric strings": lambda rng: plain(rng).astype(str),
    "one column": lambda rng: plain(rng)[:, :1],
}
BAD: dict[str, Callable[[Rng], Any]] = {
    "NaN": with_entry(np.nan),
    "inf": with_entry(np.inf),
    "-inf, float32": with_entry(-np.inf, np.float32),
    "string": with_entry("a", object),
    "None": with_entry(None, object),
    "complex object": with_entry(1j, object),
    "huge int": with_entry(10**400, object),
    "huge longdouble": with_entry(np.longdouble("1e4000"), np.longdouble),
    "list in a cell": lambda rng: [[[1], 2], [3, 4]] * len(plain(rng)),
    "strings": lambda rng: np.full(plain(rng).shape, "a"),
    "complex": lambda rng: plain(rng) + 0j,
    "no rows": lambda rng: plain(rng)[:0],
    "no columns": lambda rng: plain(rng)[:, :0],
    "nothing": just([]),
    "one row": lambda rng: plain(rng)[:1],
    "a row": lambda rng: plain(rng)[0],
    "a number": just(5.0),
    "three axes": lambda rng: plain(rng)[None],
    "ragged": just([[1.0, 2.0], [3.0]]),
    "csr": lambda rng: sparse.csr_array(plain(rng)),
    "coo": lambda rng: sparse.coo_matrix(plain(rng)),
    "masked": masked,
    "dates": days,
    "times": lambda rng: days(rng) - np.datetime64("2020-01-01"),
    "no date": lambda _: np.array([["NaT", "2020-01-01"]] * 5, "M8[D]"),
    "void": lambda rng: np.zeros(plain(rng).shape, "V8"),
    "records": lambda rng: np.zeros(len(plain(rng)), [("a", float), ("b", float)]),
    "no table": just(None),
    "text": just("table"),
    "dictionary": just({"a": [1, 2], "b": [3, 4]}),
    "set": just({1, 2}),
    "object": just(object()),
    "generator": lambda rng: iter(plain(rng)),
    "missing": with_first(lambda n: pd.array([None, *range(n - 1)], "Int64")),
    "words": with_first(lambda n: ["word"] * n),
    "categories": with_first(lambda n: pd.Categorical(["a"] * n)),
    "date column": with_first(dates),
    "only dates": lambda _: pd.DataFrame({c: dates(9) for c in "ab"}),
    "equal names": lambda rng: frame(rng).rename(columns={"c0": "c1"}),
    "mixed names": lambda rng: frame(rng).rename(columns={"c0": 0}),
}


def given(rng: Rng, share_good: float = 0.6) -> Given:
    """A table, good ones oftener."""
    chance = rng.uniform()
    for limit, verdict, makers in (
        (share_good, "good", GOOD),
        (share_good + 0.15, "any", ANY),
        (1.0, "bad", BAD),
    ):
        if chance < limit:
            name = str(rng.choice([*makers]))
            return Given(name, makers[name](rng), verdict)
    raise AssertionError("a chance is below 1")


def numbers(table: Any) -> np.ndarray:
    """The table in float64; what is judged is the answer about these numbers."""
    return np.asarray(np.asarray(table), dtype=np.float64)


def kept_type(table: Any) -> type:
    """Float32 where everything is, else float64."""
    if isinstance(table, pd.DataFrame):
        return np.float32 if set(table.dtypes) == {np.dtype("float32")} else np.float64
    return np.float32 if np.asarray(table).dtype == np.float32 else np.float64
