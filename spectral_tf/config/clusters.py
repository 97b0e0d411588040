"""The configuration of random mixtures: which family, how far apart, how dirty."""

import dataclasses
from typing import Literal

from spectral_tf.config.base import Config, require

MOST_CLASSES = 8
"""Largest K of an instance."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClusterConfig(Config):
    """A family of mixtures with known labels, and the size of what is drawn.

    Source: `bi_class` is He et al. (2025), arXiv:2501.01312; `classes` has the means
    and weights of arXiv:2505.11918 (TGMM).
    """

    # `bi_class`: x = y mu + noise with y = +-1; `classes`: K means in a box.
    family: Literal["bi_class", "classes"] = "classes"
    # N, the rows of an instance.
    num_samples: int = 64
    # Smallest number of valid rows, drawn in [min_samples, num_samples]; None = all.
    min_samples: int | None = None
    # d, the features of an instance.
    dim: int = 2
    # K, the classes.
    num_classes: int = 2
    # Smallest number of classes, drawn in [min_classes, num_classes]; None = all. A
    # class that is not there has weight 0.
    min_classes: int | None = None
    # bi_class: |mu|, in the units of the noise where `scale_range` is (1, 1).
    signal: float = 2.0
    # classes: means are uniform in [-box, box]^d, before `separation`.
    box: float = 5.0
    # classes: means are drawn until no two of them have a larger cosine.
    max_cosine: float = 0.8
    # classes: draws of one mean before the best of them is taken as it is.
    proposals: int = 64
    # The overlap dial: all means are multiplied by it, the noise is not.
    separation: float = 1.0
    # Smallest separation, log-uniform from there to `separation`; None = all alike.
    min_separation: float | None = None
    # `isotropic`: one scale for each class; `diagonal`: one for each class and feature.
    covariance: Literal["isotropic", "diagonal"] = "isotropic"
    # Bounds of a scale, uniform.
    scale_range: tuple[float, float] = (1.0, 1.0)
    # Bounds of a weight before the weights are normalised to sum 1, uniform.
    weight_range: tuple[float, float] = (0.2, 0.8)
    # The weights themselves, up to a factor; () = drawn (classes) or equal (bi_class).
    weights: tuple[float, ...] = ()
    # `student_t`: rows of multivariate t noise with the same scales.
    noise: Literal["normal", "student_t"] = "normal"
    # student_t: nu > 2, so that the covariance exists.
    degrees_of_freedom: float = 3.0
    # Share of rows that come from no class: uniform in a box, label -1.
    outlier_share: float = 0.0
    # Outliers are uniform in [-outlier_box, outlier_box]^d.
    outlier_box: float = 15.0

    def validate(self) -> None:
        """Check the bounds."""
        self.at_least(1, "num_samples", "dim", "proposals")
        self.above(0, "signal", "box", "separation", "outlier_box")
        self.above(2, "degrees_of_freedom")
        classes = self.num_classes
        require(
            2 <= classes <= MOST_CLASSES,
            f"ClusterConfig.num_classes={classes} must lie in 2..{MOST_CLASSES}; "
            "choose a number of classes in between.",
        )
        require(
            self.family != "bi_class" or classes == 2,
            f"ClusterConfig.num_classes={classes} must be 2 for family='bi_class'; "
            "use family='classes' for more.",
        )
        fewest = self.min_classes
        require(
            fewest is None or (2 <= fewest <= classes and self.family == "classes"),
            f"ClusterConfig.min_classes={fewest} must lie in 2..num_classes={classes}, "
            "and is for family='classes'; leave it None for exactly num_classes.",
        )
        least = self.num_samples if self.min_samples is None else self.min_samples
        require(
            classes <= least <= self.num_samples,
            f"ClusterConfig.min_samples={self.min_samples} and num_samples="
            f"{self.num_samples} must satisfy num_classes={classes} <= min_samples <= "
            "num_samples; give every instance at least one row for each class.",
        )
        self._validate_shares()
        self._validate_scales()

    def _validate_shares(self) -> None:
        weights = self.weights
        require(
            not weights or (len(weights) == self.num_classes and min(weights) > 0),
            f"ClusterConfig.weights={weights} must be () or num_classes="
            f"{self.num_classes} numbers > 0; leave it () to have them drawn.",
        )
        require(
            0 <= self.outlier_share < 1,
            f"ClusterConfig.outlier_share={self.outlier_share} must lie in [0, 1); "
            "0.05 is one row in twenty.",
        )
        require(
            -1 < self.max_cosine <= 1,
            f"ClusterConfig.max_cosine={self.max_cosine} must lie in (-1, 1]; use 1 "
            "to accept any means.",
        )

    def _validate_scales(self) -> None:
        smallest = self.min_separation
        require(
            smallest is None or 0 < smallest <= self.separation,
            f"ClusterConfig.min_separation={smallest} must lie in (0, separation="
            f"{self.separation}]; leave it None for one separation.",
        )
        for name in ("scale_range", "weight_range"):
            low, high = getattr(self, name)
            require(
                0 < low <= high,
                f"ClusterConfig.{name}={(low, high)} must be (low, high) with 0 < low "
                "<= high; correct the two numbers.",
            )
        low, high = self.scale_range
        require(
            self.covariance == "isotropic" or low < high,
            f"ClusterConfig.scale_range={(low, high)} leaves covariance='diagonal' "
            "isotropic; widen it, e.g. to (0.5, 1.5).",
        )
