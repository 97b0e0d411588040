"""Configurations of random instances and of a pre-training run."""

import dataclasses
from typing import Literal

from spectral_tf.config.base import Config, require
from spectral_tf.config.model import ModelConfig

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
class TrainConfig(Config):
    """A pre-training run: everything that decides its numbers.

    Source: ours.
    """

    # The transformer that is trained.
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    # One gradient step sums over these `(d, N)` shapes, `batch_size` of each.
    shapes: tuple[tuple[int, int], ...] = ((6, 30), (10, 50), (16, 64))
    # Family of the instances; its d, N and k are overruled by `shapes` and `model`.
    ensemble: EnsembleConfig = dataclasses.field(default_factory=EnsembleConfig)
    # Instances in a step, over all devices, of each shape.
    batch_size: int = 64
    # Gradient steps of the run, a multiple of steps_per_call.
    num_steps: int = 2000
    # The largest learning rate.
    learning_rate: float = 2e-3
    # Steps in which the learning rate rises to its largest.
    warmup_steps: int = 100
    # The last learning rate over the largest.
    final_fraction: float = 0.02
    # Gradients are clipped to this global norm.
    max_grad_norm: float = 0.3
    # Loss of the eigenvectors; `signed` is for replication only.
    loss: Literal["cosine", "projector", "rayleigh", "signed"] = "cosine"
    # Weight of the eigenvalues' relative squared error, added to the loss.
    eigenvalue_weight: float = 0.0
    # Draw the registers' start vectors anew for each instance (equivariant).
    random_starts: bool = True
    # Steps in one call of the compiled function; metrics and saves come between.
    steps_per_call: int = 25
    # Save after this many calls; 0 = only at the end.
    calls_per_save: int = 10
    # Checkpoints that are kept, the newest ones.
    keep_checkpoints: int = 3
    # What lifts a step over the devices; both give the same numbers.
    parallel: Literal["pmap", "shard_map"] = "pmap"
    # Seed of the first weights and of all instances.
    seed: int = 0

    def validate(self) -> None:
        """Check the bounds."""
        self.at_least(1, "batch_size", "num_steps", "steps_per_call")
        self.at_least(0, "warmup_steps", "calls_per_save", "eigenvalue_weight", "seed")
        self.at_least(2, "keep_checkpoints")
        self.above(0, "learning_rate", "max_grad_norm")
        require(
            0 < self.final_fraction <= 1,
            f"TrainConfig.final_fraction={self.final_fraction} must lie in (0, 1]; "
            "use 1 for a constant rate.",
        )
        require(
            self.num_steps % self.steps_per_call == 0,
            f"TrainConfig.num_steps={self.num_steps} must be a multiple of "
            f"steps_per_call={self.steps_per_call}; change one of them.",
        )
        require(
            self.warmup_steps < self.num_steps,
            f"TrainConfig.warmup_steps={self.warmup_steps} must be < num_steps="
            f"{self.num_steps}; lower it.",
        )
        require(
            len(self.shapes) > 0,
            "TrainConfig.shapes=() must name at least one (d, N); try ((10, 50),).",
        )
        for dim, samples in self.shapes:
            require(
                dim >= self.model.num_components and samples >= 2,
                f"TrainConfig.shapes has (d={dim}, N={samples}); d must be >= "
                f"num_components={self.model.num_components} and N >= 2; raise them.",
            )
            least = self.ensemble.min_samples
            require(
                least is None or least <= samples,
                f"TrainConfig.ensemble.min_samples={least} must be <= N={samples} of "
                f"every shape; shapes has (d={dim}, N={samples}).",
            )
            for name, given in (("dim", dim), ("num_samples", samples)):
                fixed = getattr(self.model, name)
                require(
                    fixed is None or fixed == given,
                    f"TrainConfig.shapes has (d={dim}, N={samples}), but the model is "
                    f"made for {name}={fixed} only; use shapes that agree.",
                )
