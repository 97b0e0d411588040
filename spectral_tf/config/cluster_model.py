"""The configuration of the network that clusters."""

import dataclasses
from typing import Literal

from spectral_tf.config.base import Config


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClusterModelConfig(Config):
    """Shape of the transformer that clusters; K, d and N are those of its input."""

    # What the network answers; tells its files from those of `ModelConfig`.
    kind: Literal["clusters"] = dataclasses.field(default="clusters", init=False)
    # L, the blocks of a forward pass, each with its own weights.
    num_blocks: int = 8
    # Heads by which data tokens and registers read one another.
    num_heads: int = 4
    # C, the vectors of a register, each in R^d; the first is its centre.
    vector_channels: int = 4
    # Numbers that a register carries.
    scalar_channels: int = 32
    # Numbers that a data token carries.
    token_channels: int = 16
    # Hidden units of the registers' MLPs.
    mlp_width: int = 64
    # Hidden units of the data tokens' MLPs.
    token_width: int = 32
    # Added to a squared length before its root is taken, and to a mass.
    norm_eps: float = 1e-6
    # Training: the gradient with respect to a register or a data token after a block is
    # shortened to this length, per instance; None = never.
    gradient_limit: float | None = None
    # Seed of the registers' default start vectors.
    start_seed: int = 0
    # Of products; `default` is far below float32 on TPUs and recent GPUs.
    precision: Literal["highest", "default"] = "highest"

    def validate(self) -> None:
        """Check the bounds."""
        self.at_least(1, "num_blocks", "num_heads", "scalar_channels", "mlp_width")
        self.at_least(1, "token_channels", "token_width")
        self.at_least(3, "vector_channels")
        self.above(0, "norm_eps")
        if self.gradient_limit is not None:
            self.above(0, "gradient_limit")
