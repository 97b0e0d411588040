"""The kinds of held-out mixtures on which methods are compared."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp

from spectral_tf.clustering import (
    ClusterInstance,
    CovarianceType,
    Method,
    cluster_batch_at,
    gaussian_mixture,
    k_means,
    leading_direction,
)
from spectral_tf.config import ClusterConfig
from spectral_tf.settings import random_key

SEED = 2_026
"""Of the held-out mixtures; no run is trained with it."""
CHUNK = 500
"""Instances that are answered and kept together."""
ONE_START, BEST_OF_10 = "mixture, one start", "mixture, best of 10"
K_MEANS, SPECTRAL = "k-means, best of 10", "spectral method"


@dataclasses.dataclass(frozen=True)
class Cell:
    """One kind: `group`, its instances, how many, and the covariance of EM's model."""

    group: str
    instances: ClusterConfig
    count: int
    covariance: CovarianceType = "spherical"

    @property
    def name(self) -> str:
        """What is special about it, in words."""
        one = self.instances
        words = [f"K={one.num_classes} d={one.dim} N<={one.num_samples}"]
        if one.family == "bi_class":
            words = [f"d={one.dim} N={one.num_samples} |mu|={one.signal:g}"]
        if one.noise == "student_t":
            words.append(f"t({one.degrees_of_freedom:g}) noise")
        if one.outlier_share:
            words.append(f"{100 * one.outlier_share:g} % outliers")
        if one.covariance == "diagonal":
            words.append("diagonal")
        return " ".join(words)

    def methods(self) -> dict[str, Method]:
        """Classical methods on the same rows."""
        found: dict[str, Method] = {
            ONE_START: gaussian_mixture(1, self.covariance),
            BEST_OF_10: gaussian_mixture(10, self.covariance),
            K_MEANS: k_means,
        }
        if self.group == "bi-class":
            found[SPECTRAL] = leading_direction(centre=True)
        return found

    def chunks(self) -> Iterator[tuple[int, ClusterInstance]]:
        """`(index, instances)`, `CHUNK` at a time; the last may be smaller."""
        for start in range(0, self.count, CHUNK):
            size = min(CHUNK, self.count - start)
            yield start // CHUNK, chunk_of(self, start, size)


def chunk_of(cell: Cell, start: int, size: int) -> ClusterInstance:
    """Instances `start` to `start + size` of a cell."""
    key = random_key(SEED)
    return cluster_batch_at(key, 0, jnp.arange(start, start + size), cell.instances)


def _classes(num_classes: int, dim: int, **changes: Any) -> ClusterConfig:
    base = ClusterConfig(
        num_classes=num_classes,
        dim=dim,
        num_samples=96,
        min_samples=48,
        separation=0.5 if dim == 2 else 0.22,
    )
    return base.replace(**changes)


def cells(most: int = 5_000, *, smoke: bool = False) -> tuple[Cell, ...]:
    """All kinds, in the order of the report, with at most so many instances each."""
    found = [
        Cell("overlapping", _classes(number, dim), 5_000)
        for dim in (2, 8)
        for number in (2, 3, 4, 5)
    ]
    clear = {"separation": 1.0}
    found.append(Cell("well apart", _classes(5, 2, **clear), 1_000))
    clear = {"separation": 0.5}
    found.append(Cell("well apart", _classes(4, 8, **clear), 1_000))
    for number, dim, separation in ((3, 2, 0.8), (4, 8, 0.4)):
        for dirt in ({"noise": "student_t"}, {"outlier_share": 0.05}):
            config = _classes(number, dim, separation=separation, **dirt)
            found.append(Cell("robust", config, 1_000))
    stretched = {"covariance": "diagonal", "scale_range": (0.4, 1.6)}
    for number, dim in ((3, 2), (3, 8)):
        config = _classes(number, dim, separation=0.6 if dim == 2 else 0.3, **stretched)
        found.append(Cell("stretched", config, 1_000, "diag"))
    for dim, separation in ((32, 0.12), (64, 0.12)):
        config = _classes(3, dim, separation=separation, num_samples=200)
        found.append(Cell("never trained on", config, 1_000))
    for dim, rows in ((2, 64), (10, 64), (10, 256)):
        for signal in (1.0, 1.5, 2.0, 3.0):
            config = ClusterConfig(
                family="bi_class", signal=signal, dim=dim, num_samples=rows
            )
            found.append(Cell("bi-class", config, 1_000))
    chosen = (found[0], found[-1]) if smoke else found
    most = 4 if smoke else most
    cut = lambda one: dataclasses.replace(one, count=min(one.count, most))
    return tuple(map(cut, chosen))
