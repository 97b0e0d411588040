"""Symmetric matrices, and right and wrong answers about their top eigenpairs.

`FAMILIES` maps a name to `family(rng, dim) -> [dim, dim]`, exactly symmetric float64.
`CLAIMS` maps a name to `claim(rng, solved, k)`: eigenvalues [k], eigenvectors [k, d].
"""

import ctypes
import ctypes.util
import functools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy
import scipy.linalg
from numpy.random import Generator

Matrix = np.ndarray
Claim = tuple[np.ndarray, np.ndarray]


# LAPACK's own generators of test matrices, out of the library under SciPy or NumPy.

SYMBOLS = [
    prefix + "{}" + suffix
    for prefix in ("scipy_", "")
    for suffix in ("_", "_64_", "64_", "")
]


def libraries() -> Iterator[str]:
    """Shared libraries that may hold LAPACK: SciPy's, NumPy's, the system's."""
    for package in (scipy, np):
        home = Path(str(package.__file__)).parent
        for folder in (home.parent / f"{home.name}.libs", home / ".dylibs"):
            yield from map(str, sorted(folder.glob("*openblas*")))
    for name in ("openblas", "lapack"):
        for pattern in (f"lib{name}*.so*", f"lib{name}*.dylib", f"Library/bin/{name}*"):
            for folder in (Path(sys.prefix), Path(sys.prefix) / "lib"):
                yield from map(str, sorted(folder.glob(pattern)))
        if found := ctypes.util.find_library(name):
            yield found


class Routine(NamedTuple):
    """A Fortran subroutine, INFO last, and the integer type of its library."""

    function: Callable
    integer: type[np.signedinteger]

    def __call__(self, *arguments) -> int:
        """Call by reference; the lengths of letters follow at the end. Returns INFO."""
        info = np.zeros(1, self.integer)
        kept = [
            np.frombuffer(item.encode(), np.uint8)
            if isinstance(item, str)
            else np.array([item], self.integer if isinstance(item, int) else float)
            if isinstance(item, int | float)
            else item
            for item in (*arguments, info)
        ]
        pointers = [ctypes.c_void_p(item.ctypes.data) for item in kept]
        lengths = [ctypes.c_size_t(1) for item in arguments if isinstance(item, str)]
        self.function(*pointers, *lengths)
        return int(info[0])


@functools.cache
def routine(name: str) -> Routine:
    """The test-matrix generator `name` of LAPACK, by whichever symbol it goes."""
    looked = []
    for path in libraries():
        try:
            library = ctypes.CDLL(path)
        except OSError:
            continue
        looked.append(path)
        for symbol in (pattern.format(name) for pattern in SYMBOLS):
            if function := getattr(library, symbol, None):
                function.restype = None
                return Routine(function, np.int64 if "64" in symbol else np.int32)
    message = (
        f"LAPACK's test-matrix generator {name!r} is in none of the libraries "
        f"{looked}; SciPy's wheels carry it, in scipy.libs/libscipy_openblas*"
    )
    raise LookupError(message)


def seed_of(rng: Generator, integer: type[np.signedinteger]) -> np.ndarray:
    """LAPACK's seed: four integers in 0..4095, the last one odd."""
    seed = rng.integers(0, 4096, 4).astype(integer)
    seed[3] |= 1
    return seed


def mirrored(array: Matrix) -> Matrix:
    """Exactly symmetric: the lower triangle, copied to the upper."""
    lower = np.tril(array)
    return lower + np.tril(array, -1).T


def latms(rng: Generator, dim: int, symmetry: str) -> Matrix:
    """LAPACK's `dlatms`: modes 1 to 6 and their reversals, full or banded."""
    call = routine("dlatms")
    mode = int(rng.integers(1, 7)) * int(rng.choice([-1, 1]))
    condition = 10.0 ** rng.uniform(0, 12)
    band = dim - 1 if rng.random() < 0.7 else int(rng.integers(0, dim))
    array, values = np.zeros((dim, dim), order="F"), np.zeros(dim)
    arguments = (dim, dim, "USN"[rng.integers(3)], seed_of(rng, call.integer))
    spectrum = (symmetry, values, mode, condition, float(rng.uniform(0.1, 10)))
    work = np.zeros(3 * dim)
    info = call(*arguments, *spectrum, band, band, "N", array, dim, work)
    if info:
        raise RuntimeError(f"dlatms reports {info} for {mode=} {condition=} {dim=}")
    return mirrored(array)


def lagsy(rng: Generator, dim: int) -> Matrix:
    """LAPACK's `dlagsy`: chosen eigenvalues turned by random reflections."""
    call = routine("dlagsy")
    values, array = spectrum_values(rng, dim), np.zeros((dim, dim), order="F")
    values = values * rng.choice([-1.0, 1.0], dim) if rng.random() < 0.3 else values
    band = dim - 1 if rng.random() < 0.7 else int(rng.integers(1, dim))
    seed = seed_of(rng, call.integer)
    info = call(dim, band, values, array, dim, seed, np.zeros(2 * dim))
    if info:
        raise RuntimeError(f"dlagsy reports {info} for {band=} {dim=}")
    return mirrored(array)


# Matrices with a name, most of them with exact multiplicities or near-equal pairs.


def tridiagonal(diagonal: np.ndarray, off: np.ndarray) -> Matrix:
    return np.diag(diagonal) + np.diag(off, 1) + np.diag(off, -1)


def wilkinson(half: int) -> Matrix:
    """W_{2m+1}+: its largest eigenvalues come in pairs, equal to 1e-15 from m = 10."""
    return tridiagonal(np.abs(np.arange(-half, half + 1.0)), np.ones(2 * half))


def clement(dim: int) -> Matrix:
    """Eigenvalues dim - 1, dim - 3, ..., 1 - dim, but for rounding."""
    step = np.arange(1.0, dim)
    return tridiagonal(np.zeros(dim), np.sqrt(step * (dim - step)))


def index_pair(dim: int) -> tuple[np.ndarray, np.ndarray]:
    index = np.arange(1.0, dim + 1)
    return index[:, None], index[None, :]


def lehmer(dim: int) -> Matrix:
    row, column = index_pair(dim)
    return np.minimum(row, column) / np.maximum(row, column)


def fiedler(dim: int) -> Matrix:
    row, column = index_pair(dim)
    return np.abs(row - column)


NAMED: dict[str, Callable[[int], Matrix]] = {
    "hilbert": scipy.linalg.hilbert,
    "laplacian": lambda dim: tridiagonal(np.full(dim, 2.0), np.full(dim - 1, -1.0)),
    "circulant": lambda dim: scipy.linalg.toeplitz(
        lehmer(dim)[0] + lehmer(dim)[0, ::-1]
    ),
    "wilkinson": lambda dim: wilkinson(dim // 2),
    "wilkinson 21": lambda _: wilkinson(10),
    "fiedler": fiedler,
    "hadamard": lambda dim: scipy.linalg.hadamard(2 ** (dim.bit_length() - 1)) * 1.0,
    "identity": np.eye,
    "zero": lambda dim: np.zeros((dim, dim)),
    "ones": lambda dim: np.ones((dim, dim)),
    "pascal": lambda dim: scipy.linalg.pascal(min(dim, 15)) * 1.0,
    "lehmer": lehmer,
    "clement": clement,
}


def named(rng: Generator, dim: int) -> Matrix:
    matrix = NAMED[str(rng.choice(list(NAMED)))](dim)
    return matrix * rng.choice([1.0, 1.0, -1.0, 0.1])


# Random matrices.


def orthogonal(rng: Generator, dim: int) -> Matrix:
    return np.linalg.qr(rng.standard_normal((dim, dim)))[0]


def turned(rng: Generator, values: np.ndarray) -> Matrix:
    """These eigenvalues, but for rounding, under random eigenvectors."""
    columns = orthogonal(rng, len(values))
    product = (columns * values) @ columns.T
    return (product + product.T) / 2


def spectrum_values(rng: Generator, dim: int) -> np.ndarray:
    """A power law, a geometric decay, uniform values or a few spikes."""
    index = np.arange(1.0, dim + 1)
    choice = rng.integers(4)
    if choice == 0:
        return index ** -rng.uniform(0.1, 3)
    if choice == 1:
        return rng.uniform(0.1, 0.95) ** index
    if choice == 2:
        return rng.uniform(-1, 1, dim) if rng.random() < 0.5 else rng.uniform(0, 1, dim)
    return np.where(index <= rng.integers(1, dim + 1), 10 * rng.random(dim), 0.1)


def spectrum(rng: Generator, dim: int) -> Matrix:
    return turned(rng, spectrum_values(rng, dim))


def few_samples(rng: Generator, dim: int) -> Matrix:
    """The covariance of 1 to 3 d Gaussian rows: often of low rank."""
    rows = rng.standard_normal((int(rng.integers(1, 3 * dim)), dim))
    rows = rows * spectrum_values(rng, dim) if rng.random() < 0.5 else rows
    return mirrored(rows.T @ rows / len(rows))


def cluster_values(rng: Generator, dim: int) -> np.ndarray:
    """Groups of near-equal eigenvalues: gaps 1e-1 to 1e-15, or exactly none."""
    groups = np.sort(rng.integers(0, max(1, dim // 2), dim))
    gap = 0.0 if rng.random() < 0.15 else 10.0 ** -rng.uniform(1, 15)
    offset = rng.choice([0.0, 0.0, 0.5 * dim])
    return 1 + groups - offset + gap * rng.permutation(dim)


def cluster(rng: Generator, dim: int) -> Matrix:
    return turned(rng, cluster_values(rng, dim))


def sparse(rng: Generator, dim: int) -> Matrix:
    """Integers with many exact multiplicities: graphs, diagonal and block matrices."""
    choice = rng.integers(4)
    if choice == 0:
        return np.diag(rng.integers(-3, 4, dim) * 1.0)
    if choice == 1:
        return mirrored(rng.integers(0, 2, (dim, dim)) * 1.0)
    if choice == 2:
        block = mirrored(rng.integers(-2, 3, (dim // 2, dim // 2)) * 1.0)
        return np.asarray(scipy.linalg.block_diag(block, block, np.eye(dim % 2)))
    column = rng.integers(-3, 4, dim) * 1.0
    return np.outer(column, column)


def graded(rng: Generator, dim: int) -> Matrix:
    """Rows and columns that fall by up to 1e-30, or are coupled that weakly."""
    steps = 10.0 ** -np.linspace(0, rng.uniform(1, 15), dim)
    core = mirrored(rng.standard_normal((dim, dim)))
    if rng.random() < 0.5:
        return core * np.outer(steps, steps)
    return np.diag(rng.integers(0, 3, dim) * 1.0) + core * 10.0 ** -rng.uniform(1, 30)


def scaled(rng: Generator, dim: int) -> Matrix:
    """Another family times 1e-150 to 1e150, or brought close to the subnormals."""
    names = [name for name in FAMILIES if name != "scaled"]
    matrix = FAMILIES[str(rng.choice(names))](rng, dim)
    choice = rng.integers(4)
    exponent = -rng.uniform(290, 322) if choice == 0 else rng.uniform(-150, 150)
    largest = max(np.abs(matrix).max(), 1e-300)
    with np.errstate(under="ignore"):
        return matrix / largest * 10.0**exponent


FAMILIES: dict[str, Callable[[Generator, int], Matrix]] = {
    "latms symmetric": lambda rng, dim: latms(rng, dim, "S"),
    "latms semidefinite": lambda rng, dim: latms(rng, dim, "P"),
    "lagsy": lagsy,
    "named": named,
    "cluster": cluster,
    "spectrum": spectrum,
    "few samples": few_samples,
    "sparse": sparse,
    "graded": graded,
    "scaled": scaled,
}


# Claims.


class Solved(NamedTuple):
    """A matrix with all its eigenpairs in float64: values descend, vectors are rows."""

    matrix: Matrix
    values: np.ndarray
    vectors: np.ndarray


def solve(matrix: Matrix) -> Solved:
    values, columns = np.linalg.eigh(matrix)
    return Solved(matrix, values[::-1].copy(), columns.T[::-1].copy())


def exact(rng: Generator, solved: Solved, k: int) -> Claim:
    signs = rng.choice([-1.0, 1.0], (k, 1))
    return solved.values[:k].copy(), signs * solved.vectors[:k]


def single(rng: Generator, solved: Solved, k: int) -> Claim:
    """A solver in float32; of a power of two times the matrix, to stay in range."""
    del rng
    exponent = np.frexp(np.abs(solved.matrix).max())[1]
    with np.errstate(under="ignore"):
        small = np.ldexp(solved.matrix, -exponent).astype(np.float32)
        values, columns = np.linalg.eigh(small)
        top = values[::-1][:k].astype(float)
        return np.ldexp(top, exponent), columns.T[::-1][:k].astype(float)


def noisy(rng: Generator, solved: Solved, k: int) -> Claim:
    values, vectors = exact(rng, solved, k)
    size = 10.0 ** -rng.uniform(1, 12)
    vectors = (
        vectors + size * rng.standard_normal(vectors.shape) / vectors.shape[1] ** 0.5
    )
    if rng.random() < 0.5:
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    values = values * (1 + size * rng.standard_normal(k) * rng.integers(0, 2))
    return values, vectors


def random_vectors(rng: Generator, solved: Solved, k: int) -> Claim:
    vectors = rng.standard_normal((k, len(solved.values)))
    return solved.values[:k].copy(), vectors / np.linalg.norm(vectors, axis=1)[:, None]


def swapped(rng: Generator, solved: Solved, k: int) -> Claim:
    values, vectors = exact(rng, solved, k)
    pair = rng.integers(0, k, 2)
    if k > 1 and rng.random() < 0.5:
        pair = np.array([0, 1]) + rng.integers(0, k - 1)
    vectors[pair] = vectors[pair[::-1]]
    if rng.random() < 0.5:
        values[pair] = values[pair[::-1]]
    return values, vectors


def rows(rng: Generator, solved: Solved, index: np.ndarray) -> Claim:
    """These eigenvectors, with their own eigenvalues or with the top ones."""
    own = index if rng.random() < 0.5 else np.arange(len(index))
    return solved.values[own].copy(), solved.vectors[index].copy()


def too_low(rng: Generator, solved: Solved, k: int) -> Claim:
    """Ranks 2 to k + 1."""
    return rows(rng, solved, np.arange(1, k + 1) % len(solved.values))


def interior(rng: Generator, solved: Solved, k: int) -> Claim:
    """Eigenvectors all the same, but any k of them, in descending order or not."""
    index = rng.permutation(len(solved.values))[:k]
    return rows(rng, solved, np.sort(index) if rng.random() < 0.8 else index)


def one_missed(rng: Generator, solved: Solved, k: int) -> Claim:
    """Ranks 1 to k + 1 but one."""
    if k == len(solved.values):
        return exact(rng, solved, k)
    return rows(rng, solved, np.delete(np.arange(k + 1), rng.integers(0, k)))


def duplicate(rng: Generator, solved: Solved, k: int) -> Claim:
    values, vectors = exact(rng, solved, k)
    source, target = rng.integers(0, k, 2)
    vectors[target] = vectors[source]
    if rng.random() < 0.3:
        vectors[target] += 10.0 ** -rng.uniform(3, 17) * rng.standard_normal()
    if rng.random() < 0.5:
        values[target] = values[source]
    return values, vectors


def wrong_signs(rng: Generator, solved: Solved, k: int) -> Claim:
    values, vectors = exact(rng, solved, k)
    flips = rng.choice([-1.0, 1.0], (2, k))
    return values * flips[0], vectors * flips[1][:, None]


def wrong_values(rng: Generator, solved: Solved, k: int) -> Claim:
    values, vectors = exact(rng, solved, k)
    choice = rng.integers(4)
    size = max(float(np.abs(values).max()), 1e-300)
    if choice == 0:
        values = values + 10.0 ** -rng.uniform(0, 15) * size * rng.standard_normal(k)
    elif choice == 1:
        values = values[::-1].copy()
    elif choice == 2:
        values = np.zeros(k)
    else:
        values = np.full(k, 1e308)
    return values, vectors


def wrong_lengths(rng: Generator, solved: Solved, k: int) -> Claim:
    values, vectors = exact(rng, solved, k)
    lengths = 10.0 ** rng.uniform(-3, 3, (k, 1))
    choice = rng.integers(4)
    if choice == 0:
        lengths[rng.integers(0, k)] = 0.0
    elif choice == 1:
        lengths *= 10.0 ** rng.uniform(-300, 300)
    with np.errstate(under="ignore"):
        return values, vectors * lengths


def mixed(rng: Generator, solved: Solved, k: int) -> Claim:
    """Mixtures of the true vectors that are not orthogonal: the span stays."""
    values, vectors = exact(rng, solved, k)
    size = 10.0 ** -rng.uniform(0, 8)
    return values, (np.eye(k) + size * rng.standard_normal((k, k))) @ vectors


def turned_within(rng: Generator, solved: Solved, k: int) -> Claim:
    """Vectors turned among a run of ranks, the cluster at hand or any other."""
    values, vectors = exact(rng, solved, k)
    first, last = sorted(map(int, rng.integers(0, k, 2)))
    if k > 1 and rng.random() < 0.7:
        first = int(np.argmin(values[:-1] - values[1:]))
        last = first + 1
    run = slice(first, last + 1)
    vectors[run] = orthogonal(rng, last + 1 - first) @ vectors[run]
    return values, vectors


def not_finite(rng: Generator, solved: Solved, k: int) -> Claim:
    values, vectors = exact(rng, solved, k)
    poison = rng.choice([np.nan, np.inf, -np.inf])
    where = rng.integers(0, 3)
    if where != 1:
        values[rng.integers(0, k)] = poison
    if where != 0:
        vectors[rng.integers(0, k), rng.integers(0, vectors.shape[1])] = poison
    return values, vectors


def stopped_early(rng: Generator, solved: Solved, k: int) -> Claim:
    """Subspace iteration on a positive shift, stopped after 0 to 60 steps."""
    dim, scale = len(solved.values), np.abs(solved.matrix).max()
    matrix = solved.matrix / scale if scale > 1e-300 else np.eye(dim)
    matrix = matrix + dim * rng.choice([0.0, 1.0]) * np.eye(dim)
    columns = orthogonal(rng, dim)[:, :k]
    for _ in range(int(rng.integers(0, 60))):
        columns = np.linalg.qr(matrix @ columns)[0]
    inner = columns.T @ solved.matrix @ columns
    if rng.random() < 0.5:
        return np.diag(inner).copy(), columns.T.copy()
    values, turn = np.linalg.eigh((inner + inner.T) / 2)
    return values[::-1].copy(), (columns @ turn[:, ::-1]).T.copy()


def another_matrix(rng: Generator, solved: Solved, k: int) -> Claim:
    matrix = solved.matrix
    size = 10.0 ** -rng.uniform(1, 15) * np.abs(matrix).max()
    return exact(rng, solve(matrix + size * mirrored(rng.normal(size=matrix.shape))), k)


CLAIMS: dict[str, Callable[[Generator, Solved, int], Claim]] = {
    "exact": exact,
    "single": single,
    "noisy": noisy,
    "random": random_vectors,
    "swapped": swapped,
    "too low": too_low,
    "interior": interior,
    "one missed": one_missed,
    "duplicate": duplicate,
    "wrong signs": wrong_signs,
    "wrong values": wrong_values,
    "wrong lengths": wrong_lengths,
    "mixed": mixed,
    "turned within": turned_within,
    "not finite": not_finite,
    "stopped early": stopped_early,
    "another matrix": another_matrix,
}
