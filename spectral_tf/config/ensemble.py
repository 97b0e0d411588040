"""Configurations of random instances: a family, its sizes, and mixtures of families."""

import dataclasses
from typing import Literal

from spectral_tf.config.base import Config, require

Spectrum = Literal[
    "authors", "power_law", "spiked", "flat", "linear", "low_rank", "student_t"
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsembleConfig(Config):
    """A family of random instances, and the size of what is drawn.

    Source: `authors` is He et al. (2025), section 4; the others are ours.
    """

    # Family of random tables.
    spectrum: Spectrum = "authors"
    # N, the rows of an instance.
    num_samples: int = 50
    # d, the features of an instance.
    dim: int = 10
    # k, the eigenpairs of the right answer.
    num_components: int = 3
    # Smallest number of valid rows; N is drawn in [min_samples, num_samples].
    min_samples: int | None = None
    # power_law: eigenvalue j is j^-exponent.
    exponent: float = 1.0
    # spiked and low_rank: how many large (or non-zero) eigenvalues.
    rank: int = 3
    # spiked: the smallest spike, over the bulk of 1.
    spike: float = 10.0
    # student_t: degrees of freedom.
    degrees_of_freedom: float = 3.0

    def validate(self) -> None:
        """Check the bounds."""
        self.at_least(1, "num_samples", "dim", "num_components", "rank")
        require(
            self.num_components <= self.dim,
            f"EnsembleConfig.num_components={self.num_components} must be <= "
            f"dim={self.dim}; ask for fewer components.",
        )
        require(
            self.rank <= self.dim or self.spectrum not in ("spiked", "low_rank"),
            f"EnsembleConfig.rank={self.rank} must be <= dim={self.dim}; lower it.",
        )
        least = self.min_samples
        require(
            least is None or 1 <= least <= self.num_samples,
            f"EnsembleConfig.min_samples={least} must lie in "
            f"1..num_samples={self.num_samples}; use None for all rows.",
        )
        self.above(0, "exponent", "spike")
        self.above(2, "degrees_of_freedom")  # at 2 the variance is infinite


@dataclasses.dataclass(frozen=True, kw_only=True)
class MixturePart(Config):
    """One family of a mixture, and how often it is drawn.

    Source: ours.
    """

    # The family; its d, N and k are overruled by the run's shapes and model.
    ensemble: EnsembleConfig = dataclasses.field(default_factory=EnsembleConfig)
    # How often it is drawn at the first step, relative to the other parts.
    weight: float = 1.0
    # The same at the last step, linear between (a curriculum); None = `weight`.
    final_weight: float | None = None

    def validate(self) -> None:
        """Check the bounds."""
        self.at_least(0, "weight")
        if self.final_weight is not None:
            self.at_least(0, "final_weight")
