"""Named rows of the residual stream.

A construction thinks in names (`u`, `w`, `one`), the module in indices `0..D-1`. This
file is the only place where the two meet. The paper stores a token as a column of H;
here, as in the module, tokens are rows `[T, D]`, so a "row of the residual stream" in
the paper is a slice of the last axis.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

Stream = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResidualLayout:
    """Sizes of the named rows, in order.

    Attributes:
        sizes: `(name, size)` pairs; their sum is the residual width D.
    """

    sizes: tuple[tuple[str, int], ...]

    @property
    def width(self) -> int:
        """D, the sum of all sizes."""
        return sum(size for _, size in self.sizes)

    def __getitem__(self, name: str) -> slice:
        """Slice of the last axis that `name` occupies."""
        start = 0
        for other, size in self.sizes:
            if other == name:
                return slice(start, start + size)
            start += size
        known = ", ".join(other for other, _ in self.sizes)
        raise KeyError(f"no row named {name!r} in the residual stream; it has {known}")

    def size(self, name: str) -> int:
        """How many rows `name` occupies."""
        rows = self[name]
        return rows.stop - rows.start

    def read(self, name: str, coefficient: float = 1.0) -> np.ndarray:
        """`[size, D]` map that reads `name` off a token, times `coefficient`."""
        matrix = np.zeros((self.size(name), self.width))
        matrix[:, self[name]] = coefficient * np.eye(self.size(name))
        return matrix

    def write(self, name: str, coefficient: float = 1.0) -> np.ndarray:
        """`[D, size]` map that adds to `name`, times `coefficient`."""
        return self.read(name, coefficient).T

    def split(self, tokens: np.ndarray) -> Stream:
        """`[T, D]` tokens to named rows `{name: [T, size]}` (copies)."""
        return {name: np.array(tokens[..., self[name]]) for name, _ in self.sizes}

    def join(self, stream: Mapping[str, np.ndarray]) -> np.ndarray:
        """Inverse of `split`."""
        return np.concatenate([stream[name] for name, _ in self.sizes], axis=-1)


def _layout(vectors: str, scalars: str, codes: str, dim: int, k: int) -> ResidualLayout:
    sizes = [(name, dim) for name in vectors.split()]
    sizes += [(name, 1) for name in scalars.split()]
    sizes += [(name, k) for name in codes.split()]
    return ResidualLayout(sizes=tuple(sizes))


def register_layout(dim: int, num_components: int) -> ResidualLayout:
    """Rows of the `register` construction.

    `x` data row, `u` iterate, `w` scratch vector, `s` squared norm, `r` its inverse
    square root, `one` = 1 on every token, `c` = N^-1/2 on data tokens, `lam`
    eigenvalue, `pos` = e_j on register j, and `low[m] = 1[m >= j]` on register j, which
    closes a gate for senders m >= j.

    Args:
        dim: d.
        num_components: k.

    Returns:
        The layout, of width 3 d + 5 + 2 k.
    """
    return _layout("x u w", "s r one c lam", "pos low", dim, num_components)


def rms_layout(dim: int, num_components: int) -> ResidualLayout:
    """Rows of the `rms` construction: `u` first, since the norm covers leading rows.

    As `register_layout` without `s` and `r`: the norm layer normalises.

    Args:
        dim: d.
        num_components: k.

    Returns:
        The layout, of width 3 d + 3 + 2 k.
    """
    return _layout("u x w", "one c lam", "pos low", dim, num_components)


def accelerated_layout(dim: int, num_registers: int) -> ResidualLayout:
    """Rows of the `accelerated` construction.

    As `register_layout`, and `p` the iterate before u, `y` its scratch vector, `b` the
    end of the interval that the Chebyshev recursion damps.

    Args:
        dim: d.
        num_registers: R, guard registers included.

    Returns:
        The layout, of width 5 d + 6 + 2 R.
    """
    return _layout("x u w p y", "s r b one c lam", "pos low", dim, num_registers)


def columns_layout(dim: int, num_components: int) -> ResidualLayout:
    """Rows of the paper's attention-only construction, `columns`.

    `x` data row; on the d column tokens `a` = a column of the (deflated) covariance and
    `id` = e_i; on the one worker token the two buffers `v` and `w` of the iterate; on
    the k ring tokens `q`, first a start vector, in the end an eigenvector. `work` and
    `entry` are 1 on the worker and on the last ring token; `pos` = e_j on ring token j,
    `next` = e_{j+1} there.

    Args:
        dim: d.
        num_components: k.

    Returns:
        The layout, of width 6 d + 3 + 2 k.

    Source: after He et al. (2025), proof of the theorem on PCA.
    """
    return _layout("x a v w id q", "work entry lam", "pos next", dim, num_components)


def squaring_layout(dim: int, num_components: int) -> ResidualLayout:
    """Rows of the `squaring` construction.

    As `columns_layout`, and on column tokens `base` = a column of the deflated
    covariance (`a` holds its powers), `off` = 1 - id, `col` = 1; `s` a diagonal entry
    of `a` (on the worker, a squared norm), `t` the trace, `r` its reciprocal, `one`,
    `c`.

    Args:
        dim: d.
        num_components: k.

    Returns:
        The layout, of width 8 d + 10 + 2 k.
    """
    vectors, codes = "x base a v w id off q", "pos next"
    scalars = "s t r one c lam col work entry"
    return _layout(vectors, scalars, codes, dim, num_components)


def krylov_layout(dim: int, block: int, num_products: int) -> ResidualLayout:
    """Rows of the `krylov` construction: what the norm covers first, then the images.

    `u` newest vector and `q1` to `qP` those before it, `w` image of u and `c1` to `cP`
    images of the others, `x` data row, `one`, `c`, `pos` and `low` as in
    `register_layout`, `turn` one-hot: which candidate deflates those behind it.

    Args:
        dim: d.
        block: b, the register tokens.
        num_products: P.

    Returns:
        The layout, of width (2 P + 3) d + 2 + 2 b + (b + 2).
    """
    past = range(1, num_products + 1)
    vectors = ["u", *(f"q{i}" for i in past), "w", *(f"c{i}" for i in past), "x"]
    plain = _layout(" ".join(vectors), "one c", "pos low", dim, block)
    return ResidualLayout(sizes=(*plain.sizes, ("turn", block + 2)))
