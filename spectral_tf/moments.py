r"""Mean and covariance of a table in one pass, in parts, with a bound on the rounding.

Everything is in float64 and relative to a shift a (the mean of the first rows), in
units of a power of two s (1 for ordinary tables), so that neither a large mean nor an
extreme scale costs digits:

.. math:: M = \sum_i y_i y_i^\top,\quad t = \sum_i y_i,\quad y_i = (x_i - a)/s,\qquad
   S = \frac{s^2}{N}\Bigl(M - \frac{t t^\top}{N}\Bigr).

*Rounding.* y has a relative error of at most u = 2^-53 in each entry; a product of c
rows, summed in any order, is off by at most :math:`\gamma_c |Y|^\top |Y|`, whose 2-norm
is at most :math:`\gamma_c \operatorname{tr} M`; each further part adds u tr M. So with
parts of at most c rows and p parts the 2-norm of the error of S is at most
:math:`(c + p + 12)\,u\,s^2 \operatorname{tr} M / N` (first order, the constant is
generous), at most as much again comes from the error of t, and what underflows in a sum
is less than d times the smallest number. Where later rows need another scale, the sums
are converted, exactly but for underflow. Sums about two shifts are merged about one of
them; what that adds is bounded by the squares about it (`Moments.merged`).
Source: Higham (2002), Accuracy and Stability, section 3.5.
"""

import contextlib
import dataclasses
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from scipy.linalg import blas, get_blas_funcs

from spectral_tf.config import DataError
from spectral_tf.config.wording import counted
from spectral_tf.exact import LARGE, differences, exact_number

PART_BYTES = 1 << 22
"""Rows are taken in parts of about so many bytes, or of d rows if that is more."""
MOST_ROWS = 8192
"""And of at most so many rows: the bound on the rounding grows with them."""
MIRRORED = 64
"""Columns of a triangle that are copied to the other one at a time."""
ORDINARY = 100
"""Deviations between 2^-100 and 2^100 are not scaled."""
COPIES = 2
"""Covariances that are in memory at a time, at least: one, and another while rows are
added to it or it is turned into a source."""
UNIT_ROUNDOFF = 2.0**-53
SMALLEST = 5e-324
LARGEST_SCALE = 2.0**1000


@dataclasses.dataclass(frozen=True)
class Moments:
    """Sums over the rows of a table. Immutable: `updated` returns another one.

    Attributes:
        count: N, rows so far.
        shift: `[d]` what was subtracted from every row.
        scale: power of two by which every row was divided.
        total: `[d]` sum of the shifted, scaled rows.
        second: `[d, d]` sum of their outer products; the upper triangle.
        parts: in how many parts the rows came.
        part_rows: rows of the longest part.
        moved: bound on the 2-norm of what merging adds to the error of `second`.
    """

    count: int
    shift: np.ndarray
    scale: float
    total: np.ndarray
    second: np.ndarray
    parts: int
    part_rows: int
    moved: float = 0.0

    @property
    def dim(self) -> int:
        """d, the number of features."""
        return len(self.shift)

    @property
    def mean(self) -> np.ndarray:
        """`[d]` mean of the rows."""
        # x_i = shift + scale y_i, and `total` is sum_i y_i.
        return self.shift + self.scale * (self.total / self.count)

    @property
    def scaled_covariance(self) -> np.ndarray:
        """`[d, d]` covariance (1/N) of the rows divided by `scale`; symmetric."""
        # (1/N) sum_i y_i y_i^T - m m^T with m the mean of the y_i.
        mean = self.total / self.count
        values = self.second / self.count
        (syr,) = get_blas_funcs(("syr",), (values,))
        return mirrored(syr(-1.0, mean, a=values, overwrite_a=1))

    @property
    def scaled_error(self) -> float:
        """Bound on the 2-norm of the rounding error of `scaled_covariance`."""
        # |error|_2 <= gamma_n sum_i |y_i|^2 / N, for sums of n terms, taken in parts.
        steps = 2.1 * (self.part_rows + self.parts) + 12
        trace = float(np.trace(self.second))
        rounding = 1.01 * steps * UNIT_ROUNDOFF * trace / self.count
        rounding += 1.01 * self.moved / self.count
        return rounding + 8 * (self.dim + 1) * SMALLEST

    def updated(self, rows: np.ndarray) -> "Moments":
        """The sums with more rows.

        Args:
            rows: `[n, d]` finite numbers, any real type; taken in parts.

        Returns:
            New moments.
        """
        count, total = self.count, self.total
        second = np.array(self.second, order="F")
        parts, longest, moved = self.parts, self.part_rows, self.moved
        (syrk,) = get_blas_funcs(("syrk",), (second,))
        scale = self.scale
        for part in split(rows):
            is_first = not second.any() if count else True
            shifted, needed = fitted_part(part, self.shift, scale, is_first)
            if needed != scale:
                # Powers of two, so nothing is rounded; twice for y y^T, as the square
                # of the ratio could overflow.
                total = total * (scale / needed)
                second *= scale / needed
                second *= scale / needed
                moved *= scale / needed
                moved *= scale / needed
                scale = needed
            total = total + shifted.sum(axis=0)
            # second += sum_i y_i y_i^T over the rows of this part.
            second = syrk(1.0, shifted.T, 1.0, second, overwrite_c=1)
            count, parts = count + len(part), parts + 1
            longest = max(longest, len(part))
        return dataclasses.replace(
            self,
            count=count,
            scale=scale,
            total=total,
            second=second,
            parts=parts,
            part_rows=longest,
            moved=moved,
        )

    def merged(self, other: "Moments") -> "Moments":
        """The sums over the rows of both, in any order and grouping.

        Args:
            other: of other rows with as many columns; its shift and scale may differ.

        Returns:
            New moments, with the shift of these. Their `scaled_error` bounds the
            rounding of both and of the merge; two orders differ by no more than the
            sum of their bounds.

        Raises:
            DataError: if the columns are not as many.
        """
        if other.dim != self.dim:
            raise DataError(
                f"moments of {counted(self.dim, 'column')} and of {other.dim} cannot "
                "be merged; give parts of one table."
            )
        # Halves cannot overflow, and no scale is small enough to make them.
        half = other.shift / 2 - self.shift / 2
        peak = 2 * float(np.max(np.abs(half), initial=0.0))
        apart = scale_for(peak) if math.isfinite(peak) else LARGEST_SCALE
        # Of rows that are all equal the scale says nothing.
        scales = [part.scale for part in (self, other) if part.second.any()]
        scales += [apart] if peak else []
        scale = max(scales, default=max(self.scale, other.scale))
        left, right = self._in_scale(scale), other._in_scale(scale)
        delta = half / scale * 2
        second, total = left.second, left.total + right.total + right.count * delta
        moved = left.moved + right.moved
        second += right.second
        if peak:
            # sum (z + delta)(z + delta)^T = sum z z^T + t delta^T + delta t^T
            # + n delta delta^T.
            (syr2,) = get_blas_funcs(("syr2",), (second,))
            middle = right.total + right.count / 2 * delta
            second = syr2(1.0, middle, delta, a=second, overwrite_a=1)
            moved += right._moved_by(float(delta @ delta))
        return dataclasses.replace(
            left,
            count=left.count + right.count,
            total=total,
            second=second,
            parts=left.parts + right.parts,
            part_rows=max(left.part_rows, right.part_rows),
            moved=moved,
        )

    def _in_scale(self, scale: float) -> "Moments":
        """The same sums of rows divided by another power of two; a new array."""
        ratio = self.scale / scale
        return dataclasses.replace(
            self,
            scale=scale,
            total=self.total * ratio,
            second=np.array(self.second * ratio, order="F") * ratio,
            moved=self.moved * ratio * ratio,
        )

    def _moved_by(self, squared: float) -> float:
        """Bound on the error of these sums about a point so far (squared) away.

        With g roundings in them, m the trace and n rows: g u m in the squares, g u
        sqrt(n m) in the sum, which is multiplied by 2 |delta|, and a few u of every
        term; 2 sqrt(n m) |delta| <= m + n |delta|^2.
        """
        steps = 2.1 * (self.part_rows + self.parts) + 12
        size = float(np.trace(self.second)) + self.count * squared
        return 4 * (steps + 8) * UNIT_ROUNDOFF * size


def mirrored(values: np.ndarray) -> np.ndarray:
    """A square matrix with its upper triangle copied to the lower one, in place.

    Args:
        values: `[d, d]` of which BLAS has written the upper triangle only.

    Returns:
        The same array, exactly symmetric.
    """
    for low in range(0, len(values), MIRRORED):
        part = slice(low, low + MIRRORED)
        lower = np.tril(values[part, low:].T)
        lower[: lower.shape[1]] += np.triu(values[part, part], 1)
        values[low:, part] = lower
    return values


def moments_of(chunks: Iterable[np.ndarray]) -> Moments:
    """Moments of a table that comes in chunks of rows.

    Args:
        chunks: arrays `[n, d]` with the same d, n >= 1; only one is held at a time.

    Returns:
        The moments.

    Raises:
        DataError: if there is no chunk.
    """
    moments: Moments | None = None
    for chunk in chunks:
        moments = (moments or empty_moments(chunk)).updated(chunk)
    if moments is None:
        raise DataError("there are no rows; expected at least one chunk of rows.")
    return moments


def empty_moments(rows: np.ndarray) -> Moments:
    """Sums over no rows, with shift and scale chosen for tables like this one.

    Args:
        rows: `[n, d]` the first rows, n >= 1.

    Returns:
        Moments of count 0.

    Raises:
        DataError: if there is not memory enough.
    """
    first = next(iter(split(rows)))
    shift, scale = shift_and_scale(first)
    dim = rows.shape[1]
    check_memory(dim, dim, "a covariance")
    second = np.zeros((dim, dim), order="F")
    return Moments(0, shift, scale, np.zeros(dim), second, 0, 0)


def check_memory(count: int, dim: int, what: str) -> None:
    """Refuse an array that does not fit, before it is allocated.

    Args:
        count: rows of float64, of which `COPIES` are needed at a time.
        dim: columns.
        what: they are, in words.

    Raises:
        DataError: naming the memory that is needed and the ways out.
    """
    needed, free = 8 * COPIES * count * dim, free_memory()
    if free is not None and needed > free:
        raise DataError(
            f"{what} of {counted(dim, 'column')} needs {needed / 2**30:,.1f} GiB of "
            f"memory ({COPIES} arrays of {count:,} x {dim:,}), and "
            f"{free / 2**30:,.1f} GiB can be had; give fewer columns (choose them, or "
            "project the table with sklearn.random_projection), or fewer rows than "
            "columns: then the rows are kept, and no covariance is formed."
        )


def free_memory() -> int | None:
    """Bytes that can be allocated: what the system has, or the container may take.

    Returns:
        The least that a file of Linux says; None where there is none.

    Source: proc(5), MemAvailable; the kernel's cgroup-v2.rst and cgroup-v1/memory.rst.
    """
    limits = []
    with contextlib.suppress(OSError, KeyError, ValueError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        limits.append(1024 * int(fields["MemAvailable"].split()[0]))
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):  # "max": there is no limit
            limits.append(int((Path("/sys/fs/cgroup") / name).read_text()))
    return min(limits, default=None)


def shift_and_scale(rows: np.ndarray) -> tuple[np.ndarray, float]:
    """The mean of some rows, and a power of two near their largest deviation.

    Args:
        rows: `[n, d]` finite numbers.

    Returns:
        `(shift [d], scale)`; scale is 1 where all rows are equal.
    """
    halves = np.asarray(rows, np.float64) / 2  # halves cannot overflow
    shift = halves.mean(axis=0) * 2 if _is_moderate(halves) else 2 * halves[0]
    if is_beyond_float(rows):
        shift = np.rint(shift)
        peak = float(np.max(np.abs(less(rows, shift))))
        return shift, scale_for(peak)
    peak = float(np.max(np.abs(halves - shift / 2)))
    return shift, scale_for(2 * peak)


def scale_for(peak: float) -> float:
    """1 for ordinary deviations and for none, else a power of two near the largest."""
    exponent = math.frexp(peak)[1] if peak > 0 else 0
    # Beyond 2^1000 or below its inverse the scale itself would over- or underflow.
    exponent = min(max(exponent, -1000), 1000)
    return math.ldexp(1.0, exponent) if abs(exponent) > ORDINARY else 1.0


def _is_moderate(halves: np.ndarray) -> bool:
    """Whether a sum of these cannot overflow."""
    return float(np.max(np.abs(halves))) < 1e300 / len(halves)


def fitted_part(
    rows: np.ndarray, shift: np.ndarray, scale: float, is_first: bool
) -> tuple[np.ndarray, float]:
    """Shifted and scaled rows whose squares neither overflow nor, at first, vanish.

    Args:
        rows: `[n, d]`.
        shift: `[d]`.
        scale: of the rows so far.
        is_first: whether all rows so far are equal, so that the scale may shrink.

    Returns:
        `(rows, scale)`; another scale where these need it.
    """
    shifted = scaled_part(rows, shift, scale)
    flat = shifted.reshape(-1)
    largest = blas.idamax(flat)  # pyright: ignore[reportAttributeAccessIssue]
    peak = abs(float(flat[largest]))
    bound = 2.0**ORDINARY
    if peak == 0 or (peak <= bound and (peak >= 1 / bound or not is_first)):
        return shifted, scale
    needed = scale_for(peak * scale) if math.isfinite(peak) else LARGEST_SCALE
    return scaled_part(rows, shift, needed), needed


def scaled_part(rows: np.ndarray, shift: np.ndarray, scale: float) -> np.ndarray:
    """`(rows - shift) / scale` in float64.

    Args:
        rows: `[n, d]`.
        shift: `[d]`.
        scale: power of two.

    Returns:
        `[n, d]`, a new array, row after row in memory; infinite where that overflows.
    """
    with np.errstate(over="ignore"):
        if is_beyond_float(rows):
            return less(rows, shift) / scale
        if scale <= 1.0:
            shifted = np.subtract(rows, shift[None], dtype=np.float64, order="C")
            return shifted if scale == 1.0 else np.divide(shifted, scale, out=shifted)
        half = np.multiply(rows, 0.5, dtype=np.float64, order="C")  # cannot overflow
        half -= shift[None] / 2
        half /= scale / 2
        return half


def is_beyond_float(rows: np.ndarray) -> bool:
    """Whether these are whole numbers that float64 may round."""
    if rows.dtype.kind not in "iu" or rows.dtype.itemsize < 8 or not rows.size:
        return False
    return max(abs(int(rows.min())), abs(int(rows.max()))) > LARGE


def less(rows: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """`rows - shift` of whole numbers, without rounding where the shift is whole."""
    # Whole numbers beyond 2^53 are subtracted as such, and then rounded once.
    centres = [exact_number(value) or 0 for value in shift.tolist()]
    pairs = zip(rows.T, centres, strict=True)
    return np.stack([differences(column, centre) for column, centre in pairs], axis=1)


def split(rows: np.ndarray) -> Iterator[np.ndarray]:
    """Parts of `PART_BYTES` in float64, at least d and at most `MOST_ROWS` rows.

    Args:
        rows: `[n, d]`.

    Returns:
        Views of the rows, in order.
    """
    dim = max(1, rows.shape[1])
    most = min(MOST_ROWS, max(dim, PART_BYTES // (8 * dim)))
    for low in range(0, len(rows), most):
        yield rows[low : low + most]
