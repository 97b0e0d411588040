"""The settings of the shipping study."""

import dataclasses
from typing import Literal

from spectral_tf.config.base import Config, require

LEAST_ROWS = 100


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShippingConfig(Config):
    """How many groups, how often and of how many rows the study is repeated."""

    # Number of groups; `auto` chooses it by stability.
    n_clusters: int | Literal["auto"] = "auto"
    # Most groups that are tried.
    max_clusters: int = 8
    # Resamples by which the methods are compared.
    resamples: int = 20
    # Rows of such a resample; at most half of the table.
    resample_rows: int = 3000
    # Resamples for each number of groups that is tried.
    sweep_resamples: int = 16
    # Those of them that the slower SpectralClusterer is fitted to.
    sweep_spectral: int = 6
    # Rows of such a resample; at most half of the table.
    sweep_rows: int = 3000
    # Rows that every clustering of a resample labels; figures of quality are of these.
    common_rows: int = 2000
    # Rows of the graph of SpectralClustering; other rows follow their neighbours.
    graph_rows: int = 1000
    # Starts of a mixture; the best is kept. k-means has ten.
    num_starts: int = 3
    # Draws of a bootstrap interval.
    draws: int = 500
    # Rows of a longer table that are used, drawn at random.
    most_rows: int = 50_000
    # Strange deliveries that are listed.
    top: int = 10
    # Deliveries that the map shows.
    points: int = 1500
    # Seed of the resamples, of every method and of the bootstrap.
    seed: int = 0

    def validate(self) -> None:
        """Check the bounds."""
        self.at_least(4, "resamples", "sweep_resamples", "sweep_spectral")
        self.at_least(LEAST_ROWS // 2, "resample_rows", "sweep_rows", "graph_rows")
        self.at_least(LEAST_ROWS, "common_rows", "most_rows")
        self.at_least(1, "num_starts", "top", "points")
        self.at_least(20, "draws")
        self.at_least(0, "seed")
        for name in ("n_clusters", "max_clusters"):
            value = getattr(self, name)
            require(
                value == "auto" or 2 <= value <= 12,
                f"ShippingConfig.{name}={value} must lie in 2..12; more groups are no "
                "summary.",
            )


SMOKE = ShippingConfig(
    max_clusters=5,
    resamples=6,
    resample_rows=500,
    sweep_resamples=6,
    sweep_spectral=4,
    sweep_rows=500,
    common_rows=400,
    graph_rows=300,
    num_starts=1,
    draws=100,
    most_rows=1000,
    points=300,
)
"""A study of a few seconds; its intervals are wide."""
