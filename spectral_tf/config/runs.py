"""The configuration of a pre-training run."""

import dataclasses
from typing import Literal

from spectral_tf.config.base import Config, require
from spectral_tf.config.ensemble import EnsembleConfig, MixturePart, check_weights
from spectral_tf.config.model import ModelConfig
from spectral_tf.config.table import TableConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig(Config):
    """What every run has, whatever it trains: sizes, optimiser, records."""

    # One gradient step sums over these `(d, N)` shapes, `batch_size` of each.
    shapes: tuple[tuple[int, int], ...] = ((6, 30), (10, 50), (16, 64))
    # Instances in a step, over all devices, of each shape.
    batch_size: int = 64
    # Gradient steps of the run, a multiple of steps_per_call.
    num_steps: int = 2000
    # `adam`, `adamw` (decay apart from the gradient), or `muon` for all matrices.
    optimiser: Literal["adam", "adamw", "muon"] = "adam"
    # adamw and muon: decay of the weights, times the learning rate.
    weight_decay: float = 0.0
    # `cosine` from the warm-up on; `wsd`: constant, then linear at the end; `constant`.
    schedule: Literal["cosine", "wsd", "constant"] = "cosine"
    # wsd: the last part of the run, in which the rate falls.
    decay_fraction: float = 0.2
    # Decay of a running average of the weights, which is what is kept; 0 = none.
    ema_decay: float = 0.0
    # The largest learning rate.
    learning_rate: float = 2e-3
    # Steps in which the learning rate rises to its largest.
    warmup_steps: int = 100
    # The last learning rate over the largest.
    final_fraction: float = 0.02
    # Gradients are clipped to this global norm.
    max_grad_norm: float = 0.3
    # Parts of a batch that run one after the other, for a smaller memory.
    microbatches: int = 1
    # Steps in one call of the compiled function; metrics and saves come between.
    steps_per_call: int = 25
    # Save after this many calls; 0 = only at the end.
    calls_per_save: int = 10
    # Evaluate on fixed held-out instances after this many calls; 0 = never.
    calls_per_eval: int = 0
    # Held-out instances of each shape.
    eval_instances: int = 256
    # Checkpoints that are kept, the newest ones; the best evaluated one besides.
    keep_checkpoints: int = 3
    # What lifts a step over the devices; both give the same numbers.
    parallel: Literal["pmap", "shard_map"] = "pmap"
    # Seed of the first weights and of all instances.
    seed: int = 0

    @property
    def source(self) -> str:
        """Table that the run learns from, beside what is sampled; "" without one."""
        return ""

    def validate(self) -> None:
        """Check the bounds."""
        kind = type(self).__name__
        self.at_least(1, "batch_size", "num_steps", "steps_per_call", "microbatches")
        self.at_least(1, "eval_instances")
        self.at_least(0, "warmup_steps", "calls_per_save", "seed")
        self.at_least(0, "calls_per_eval", "weight_decay", "ema_decay")
        self.at_least(2, "keep_checkpoints")
        self.above(0, "learning_rate", "max_grad_norm")
        require(
            0 < self.final_fraction <= 1,
            f"{kind}.final_fraction={self.final_fraction} must lie in (0, 1]; use 1 "
            "for a constant rate.",
        )
        require(
            self.num_steps % self.steps_per_call == 0,
            f"{kind}.num_steps={self.num_steps} must be a multiple of "
            f"steps_per_call={self.steps_per_call}; change one of them.",
        )
        require(
            self.warmup_steps < self.num_steps,
            f"{kind}.warmup_steps={self.warmup_steps} must be < num_steps="
            f"{self.num_steps}; lower it.",
        )
        require(
            0 < self.decay_fraction <= 1 and self.ema_decay < 1,
            f"{kind}.decay_fraction={self.decay_fraction} must lie in (0, 1] and "
            f"ema_decay={self.ema_decay} in [0, 1); try 0.2 and 0.999.",
        )
        require(
            self.weight_decay == 0 or self.optimiser != "adam",
            f"{kind}.weight_decay={self.weight_decay} is for adamw and muon; set "
            "optimiser='adamw', or leave it 0.",
        )
        require(
            self.batch_size % self.microbatches == 0,
            f"{kind}.batch_size={self.batch_size} must be a multiple of "
            f"microbatches={self.microbatches}; change one of them.",
        )
        require(
            len(self.shapes) > 0,
            f"{kind}.shapes=() must name at least one (d, N); try ((10, 50),).",
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig(RunConfig):
    """A pre-training run: everything that decides its numbers."""

    # The transformer that is trained.
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    # Family of the instances; its d, N and k are overruled by `shapes` and `model`.
    ensemble: EnsembleConfig = dataclasses.field(default_factory=EnsembleConfig)
    # Families to draw from instead of `ensemble`, each with a weight; () = that alone.
    mixture: tuple[MixturePart, ...] = ()
    # Blocks of rows of a table, drawn beside these families.
    table: TableConfig = dataclasses.field(default_factory=TableConfig)
    # Looped networks: the depth at each shape, in turn; () = the model's num_blocks.
    depths: tuple[int, ...] = ()
    # Loss of the eigenvectors; `signed` is for replication only.
    loss: Literal["cosine", "projector", "rayleigh", "signed"] = "cosine"
    # Weight of each rank in the loss, relative to the others; () = all alike.
    rank_weights: tuple[float, ...] = ()
    # Weight of the eigenvalues' relative squared error, added to the loss.
    eigenvalue_weight: float = 0.0
    # Of the network's forward and backward pass; weights and targets stay float32.
    compute_dtype: Literal["float32", "bfloat16"] = "float32"
    # Blocks written out in one turn of the loop over them: on an accelerator fewer
    # launches for longer compiling; the numbers are the same.
    unroll: int = 1
    # Draw the registers' start vectors anew for each instance (equivariant).
    random_starts: bool = True
    # Share of instances whose registers start near the answer, at distances from 1e-4
    # to 1: a loop learns to stay there (equivariant, with random_starts).
    warm_starts: float = 0.0

    @property
    def source(self) -> str:
        """Table that the run learns from; "" without one."""
        return self.table.source

    def validate(self) -> None:
        """Check the bounds."""
        super().validate()
        self.at_least(0, "eigenvalue_weight")
        self.at_least(1, "unroll")
        self._validate_parts()
        self._validate_shapes()

    def _validate_parts(self) -> None:
        """Weights of ranks and families, and depths."""
        weights, k = self.rank_weights, self.model.num_components
        require(
            not weights or (len(weights) == k and min(weights) >= 0 and weights[0] > 0),
            f"TrainConfig.rank_weights={weights} must be () or num_components={k} "
            "numbers >= 0, the first above 0.",
        )
        if self.mixture:
            check_weights(self.mixture)
        require(
            not self.depths or (self.model.looped and min(self.depths) >= 1),
            f"TrainConfig.depths={self.depths} must be >= 1 and need a looped model: "
            "set model.looped=True, or leave depths empty.",
        )
        starts = self.random_starts and not self.model.is_dense
        require(
            self.warm_starts == 0 or (0 < self.warm_starts <= 1 and starts),
            f"TrainConfig.warm_starts={self.warm_starts} must lie in [0, 1] and needs "
            "an equivariant model with random_starts=True; set it to 0.",
        )

    def _validate_shapes(self) -> None:
        model = self.model
        # A table of fewer columns than k trains its own d ranks, if the register codes
        # do not shrink with them.
        rows = None if model.is_dense else model.channels.max_components
        has_codes = (rows or model.register_tokens) is not None
        least_dim = 1 if has_codes else model.num_components
        for dim, samples in self.shapes:
            require(
                dim >= least_dim and samples >= 2,
                f"TrainConfig.shapes has (d={dim}, N={samples}); d must be >= "
                f"model.num_components={least_dim} and N >= 2; raise them (or give the "
                "model max_components, so that smaller tables train fewer ranks).",
            )
            least = self.ensemble.min_samples
            require(
                least is None or least <= samples,
                f"TrainConfig.ensemble.min_samples={least} must be <= N={samples} of "
                f"every shape; shapes has (d={dim}, N={samples}).",
            )
            for name, size in (("dim", dim), ("num_samples", samples)):
                fixed = getattr(self.model, name)
                require(
                    fixed is None or fixed == size,
                    f"TrainConfig.shapes has (d={dim}, N={samples}), but the model is "
                    f"made for {name}={fixed} only; use shapes that agree.",
                )
