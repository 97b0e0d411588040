"""The configuration of a run that trains the network that clusters."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from spectral_tf.config.base import Config, require
from spectral_tf.config.cluster_model import ClusterModelConfig
from spectral_tf.config.clusters import ClusterConfig
from spectral_tf.config.model import ModelConfig
from spectral_tf.config.runs import RunConfig, TrainConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClusterFamily(Config):
    """A family of mixtures and its share of the instances."""

    # The family; its d and N are overruled by the shapes of the run.
    instances: ClusterConfig = dataclasses.field(default_factory=ClusterConfig)
    # Relative to the other families.
    weight: float = 1.0
    # Smallest and largest d of the shapes that it is drawn at.
    dims: tuple[int, int] = (1, 1024)

    def validate(self) -> None:
        """Check the bounds."""
        self.above(0, "weight")
        low, high = self.dims
        require(
            1 <= low <= high,
            f"ClusterFamily.dims={self.dims} must be (low, high) with 1 <= low <= "
            "high; correct the two numbers.",
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClusterTrainConfig(RunConfig):
    """A run that trains the network that clusters: all that decides its numbers."""

    # The network that is trained.
    model: ClusterModelConfig = dataclasses.field(default_factory=ClusterModelConfig)
    # Families to draw from.
    families: tuple[ClusterFamily, ...] = (ClusterFamily(),)
    # Fewest valid rows of an instance, as a share of the N of its shape.
    least_rows: float = 0.5
    # The read-out after a block counts this times as much as that after the next.
    depth_decay: float = 0.5
    # Weight of the cross-entropy of the clusters' weights.
    share_weight: float = 0.05
    # Weight of the cross-entropy of the confidence.
    confidence_weight: float = 0.05

    def validate(self) -> None:
        """Check the bounds."""
        super().validate()
        self.at_least(0, "share_weight", "confidence_weight")
        for name in ("least_rows", "depth_decay"):
            value = getattr(self, name)
            require(
                0 < value <= 1,
                f"ClusterTrainConfig.{name}={value} must lie in (0, 1]; try 0.5.",
            )
        for dim, samples in self.shapes:
            families = self.families_at(dim)
            require(
                bool(families),
                f"ClusterTrainConfig.shapes has d={dim}, for which no family is; widen "
                "the dims of one.",
            )
            most = max(family.instances.num_classes for family in families)
            require(
                int(self.least_rows * samples) >= most,
                f"ClusterTrainConfig.shapes has N={samples}, of which least_rows="
                f"{self.least_rows} leaves fewer rows than {most} classes; raise N.",
            )

    def families_at(self, dim: int) -> tuple[ClusterFamily, ...]:
        """The families that are drawn at this d."""
        fits = lambda family: family.dims[0] <= dim <= family.dims[1]
        return tuple(filter(fits, self.families))


AnyRun = TrainConfig | ClusterTrainConfig
"""A configuration of a run, whatever it trains."""
AnyModel = ModelConfig | ClusterModelConfig
"""A configuration of a network, whatever it answers."""


KINDS: dict[str, tuple[type[AnyModel], type[AnyRun]]] = {
    "eigenpairs": (ModelConfig, TrainConfig),
    "clusters": (ClusterModelConfig, ClusterTrainConfig),
}
"""What a network answers -> configuration of the network, and of a run that trains it.
"""


def kind_of(values: Mapping[str, Any]) -> str:
    """What a network answers, from the dictionary of its configuration.

    Files of version 0.1.0 do not say it; only a network that clusters has numbers on
    its data tokens.

    Args:
        values: of `to_dict`.

    Returns:
        A key of `KINDS`.

    Raises:
        ConfigError: for an unknown kind.
    """
    implied = "clusters" if "token_channels" in values else "eigenpairs"
    kind = values.get("kind", implied)
    require(
        kind in KINDS,
        f"kind={kind!r} of a network is unknown; known: {', '.join(KINDS)}. Install "
        "the version that wrote it, or a newer one.",
    )
    return kind


def model_config(values: Mapping[str, Any]) -> AnyModel:
    """The configuration of a network from its dictionary, whatever it answers.

    Args:
        values: of `to_dict`.

    Returns:
        The configuration.

    Raises:
        ConfigError: for an unknown name or an invalid value.
    """
    model, _ = KINDS[kind_of(values)]
    return model.from_dict(values)


def run_config(values: Mapping[str, Any]) -> AnyRun:
    """The configuration of a run from its dictionary, whichever it trains.

    Args:
        values: of `to_dict`.

    Returns:
        The configuration.

    Raises:
        ConfigError: for an unknown name or an invalid value.
    """
    _, run = KINDS[kind_of(values.get("model", {}))]
    return run.from_dict(values)
