"""Frozen configurations; every invalid value is refused with the bound and the remedy.

A configuration is plain data: hashable (so it can be static under `jax.jit`),
compared by value, and turned to and from JSON by `to_dict` / `from_dict`.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

Parameterisation = Literal["dense", "equivariant"]
Attention = Literal["relu", "linear", "softmax"]
Sublayer = Literal["attention", "cross", "self", "mlp"]
Readout = Literal["linear", "rayleigh", "flatten"]
Initialisation = Literal["random", "power", "orthogonal"]
Spectrum = Literal[
    "authors", "power_law", "spiked", "flat", "linear", "low_rank", "student_t"
]

# Not `typing.Self`: beartype, on in the tests, refuses it in a method.
C = TypeVar("C", bound="Config")


class ConfigError(ValueError):
    """A configuration value is out of bounds; the message says what to do.

    Source: ours.
    """


def require(condition: bool, message: str) -> None:
    """Raise `ConfigError` with `message` unless `condition` holds."""
    if not condition:
        raise ConfigError(message)


def _matches(value: Any, hint: Any) -> bool:
    """True if `value` is an instance of the (simple) type `hint`."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_matches(value, arg) for arg in args)
    if origin is Literal:
        return value in args
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if len(args) == 2 and args[1] is Ellipsis:
            return all(_matches(item, args[0]) for item in value)
        return len(value) == len(args) and all(map(_matches, value, args))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _describe(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return "one of " + ", ".join(map(repr, typing.get_args(hint)))
    return getattr(hint, "__name__", None) or str(hint).replace("typing.", "")


def _tuples(value: Any) -> Any:
    """Lists (from JSON) back to tuples, recursively."""
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Base of all configurations: type checks, `to_dict`, `from_dict`, `replace`."""

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            require(
                _matches(value, hints[field.name]),
                f"{type(self).__name__}.{field.name}={value!r} must be "
                f"{_describe(hints[field.name])}.",
            )
        self.validate()

    def validate(self) -> None:
        """Check bounds; called on construction."""

    def at_least(self, bound: int, *names: str) -> None:
        """Require that each named field is >= `bound`."""
        for name in names:
            value = getattr(self, name)
            require(
                value >= bound,
                f"{type(self).__name__}.{name}={value} must be >= {bound}; "
                f"raise it to at least {bound}.",
            )

    def above(self, bound: int, *names: str) -> None:
        """Require that each named field is > `bound`."""
        for name in names:
            value = getattr(self, name)
            require(
                value > bound,
                f"{type(self).__name__}.{name}={value} must be > {bound}; "
                f"raise it above {bound}.",
            )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready dictionary; `from_dict` inverts it exactly."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls: type[C], values: Mapping[str, Any]) -> C:
        """Rebuild from `to_dict`; an unknown name is refused.

        Args:
            values: names to values; lists become tuples, dictionaries become the
                nested configuration declared for that field.

        Returns:
            The configuration.

        Raises:
            ConfigError: for an unknown name or an invalid value.

        Source: ours.
        """
        hints = typing.get_type_hints(cls)
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(values) - set(known))
        require(
            not unknown,
            f"{cls.__name__} has no field {', '.join(unknown)}; "
            f"known fields: {', '.join(known)}.",
        )
        built = {}
        for name, value in values.items():
            hint = hints[name]
            if isinstance(hint, type) and issubclass(hint, Config):
                require(
                    isinstance(value, Mapping),
                    f"{cls.__name__}.{name}={value!r} must be an object.",
                )
                built[name] = hint.from_dict(value)
            else:
                built[name] = _tuples(value)
        return cls(**built)

    def replace(self: C, **changes: Any) -> C:
        """Copy with some fields changed (and checked again)."""
        return dataclasses.replace(self, **changes)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig(Config):
    r"""Shape and kind of the one transformer.

    A network is `num_blocks` blocks, each the sublayers named in `block`:
    `attention` (all tokens to all tokens), `cross` (registers attend to the data),
    `self` (registers attend to one another), `mlp`. With `norm_position="pre"` a
    sublayer is :math:`h \leftarrow h + f(norm(h))`, with `"post"`
    :math:`h \leftarrow norm(g \circ h + f(h))`.

    Source: He et al. (2025), arXiv:2501.01312, section 2 for `attention`+`mlp`;
    Jaegle et al. (2021), Perceiver, for `cross`+`self`; ours for the equivariant
    parameterisation.
    """

    parameterisation: Parameterisation = "equivariant"
    # d, the features of an instance; None = any (equivariant only).
    dim: int | None = None
    # N, only for learned positions; None = any.
    num_samples: int | None = None
    # k, the eigenpairs asked for = register tokens.
    num_components: int = 3
    # Rows of the register code table; k may be lowered below it after training.
    max_components: int | None = None
    # Sublayers of one block, in order.
    block: tuple[Sublayer, ...] = ("cross", "self", "mlp")
    num_blocks: int = 8
    # Looped: prologue + repeated period + epilogue blocks share `period` weights.
    looped: bool = False
    loop_prologue: int = 0
    loop_period: int = 1
    loop_epilogue: int = 0
    attention: Attention = "relu"
    # Attention of `cross` sublayers; linear makes them exact products with S.
    cross_attention: Attention = "linear"
    # relu and linear scores: `mean` divides by the number of valid senders.
    attention_scale: Literal["mean", "sum"] = "sum"
    causal: bool = False
    norm: Literal["none", "rms", "layer"] = "rms"
    norm_position: Literal["pre", "post"] = "post"
    norm_eps: float = 1e-8
    # Dense only: normalise `groups` runs of `size` features, leave the rest alone.
    norm_groups: tuple[int, int] | None = None
    # Normalise each head's output of `cross` sublayers to unit length.
    cross_norm: bool = True
    # Trainable gain per channel on the skip path.
    skip_gain: bool = True
    activation: Literal["relu", "gelu"] = "relu"
    mlp: Literal["plain", "gated"] = "gated"
    mlp_width: int = 64
    num_heads: int = 4
    cross_heads: int = 1
    # Dense: D, the query/key size and the value size of a head.
    width: int = 64
    head_dim: int = 16
    value_dim: int | None = None
    # Equivariant: vector channels C (each in R^d) and scalar channels c.
    vector_channels: int = 4
    scalar_channels: int = 24
    positions: Literal["none", "learned"] = "none"
    readout: Readout = "rayleigh"
    # Subtract the mean of the rows; scale the rows to unit total variance.
    centre: bool = True
    unit_trace: bool = True
    initialisation: Initialisation = "orthogonal"
    # Seed of the default start vectors of the registers.
    start_seed: int = 0
    precision: Literal["highest", "default"] = "highest"

    def validate(self) -> None:  # noqa: D102
        self.at_least(
            1,
            *("num_components", "num_blocks", "mlp_width", "num_heads"),
            *("cross_heads", "width", "head_dim", "vector_channels"),
        )
        self.at_least(0, "loop_prologue", "loop_epilogue", "scalar_channels")
        self.at_least(1, "loop_period")
        for name in ("dim", "num_samples", "value_dim", "max_components"):
            if getattr(self, name) is not None:
                self.at_least(1, name)
        self.above(0, "norm_eps")
        k, most = self.num_components, self.register_rows
        require(
            k <= most,
            f"ModelConfig.num_components={k} must be <= max_components={most}; "
            "ask for fewer components or train with a larger max_components.",
        )
        if self.dim is not None:
            require(
                k <= self.dim,
                f"ModelConfig.num_components={k} must be <= dim={self.dim}: a "
                "d x d covariance has d eigenpairs; ask for fewer components.",
            )
        self._validate_loop()
        self._validate_block()
        if self.parameterisation == "dense":
            self._validate_dense()
        else:
            self._validate_equivariant()

    @property
    def register_rows(self) -> int:
        """Rows of the register table: `max_components`, or k where that is None."""
        return self.max_components or self.num_components

    @property
    def num_unique_blocks(self) -> int:
        """Blocks that have weights of their own: `num_blocks`, fewer if looped."""
        if not self.looped:
            return self.num_blocks
        return self.loop_prologue + self.loop_period + self.loop_epilogue

    @property
    def num_products(self) -> int:
        """How often the registers read the data: the products with S in a pass."""
        reads = sum(name in ("cross", "attention") for name in self.block)
        return self.num_blocks * reads

    @property
    def head_value_dim(self) -> int:
        """Size of a dense head's value: `value_dim`, or `head_dim` where None."""
        return self.value_dim or self.head_dim

    @property
    def is_joint(self) -> bool:
        """True if all tokens attend to all tokens (`attention` in `block`)."""
        return "attention" in self.block

    def _validate_loop(self) -> None:
        if not self.looped:
            return
        inner = self.num_blocks - self.loop_prologue - self.loop_epilogue
        require(
            inner >= self.loop_period and inner % self.loop_period == 0,
            f"ModelConfig.num_blocks={self.num_blocks} minus loop_prologue="
            f"{self.loop_prologue} minus loop_epilogue={self.loop_epilogue} must be a "
            f"positive multiple of loop_period={self.loop_period}; it is {inner}.",
        )

    def _validate_block(self) -> None:
        require(
            self.is_joint or "cross" in self.block,
            f"ModelConfig.block={self.block} never reads the data; include "
            "'attention' (all tokens) or 'cross' (registers read the data).",
        )
        require(
            not (self.is_joint and ("cross" in self.block or "self" in self.block)),
            f"ModelConfig.block={self.block} mixes 'attention' with 'cross'/'self'; "
            "use ('attention', 'mlp') or ('cross', 'self', 'mlp').",
        )

    def _validate_dense(self) -> None:
        require(
            self.dim is not None,
            "ModelConfig.dim=None is for the equivariant parameterisation; a dense "
            "network needs dim=d, the number of features.",
        )
        require(
            self.initialisation == "random",
            f"ModelConfig.initialisation={self.initialisation!r} is for the "
            "equivariant parameterisation; use 'random', or constructed weights.",
        )
        require(
            self.register_rows == self.num_components,
            f"ModelConfig.max_components={self.max_components} must equal "
            f"num_components={self.num_components} in a dense network; leave it None.",
        )
        if self.norm_groups is not None:
            used = self.norm_groups[0] * self.norm_groups[1]
            require(
                min(self.norm_groups) >= 1 and used <= self.width,
                f"ModelConfig.norm_groups={self.norm_groups} covers {used} features; "
                f"it must be >= 1 each and cover at most width={self.width}; use "
                "smaller groups or a larger width.",
            )
        if self.positions == "learned" or self.readout == "flatten":
            require(
                self.num_samples is not None,
                "ModelConfig.num_samples=None: learned positions and the flatten "
                "read-out fix N; set num_samples=N.",
            )
        require(
            self.readout == "flatten" or not self.causal,
            "ModelConfig.causal=True hides the data from nobody but the data; it is "
            "only for the flatten read-out of preset 'paper_gpt2'; use causal=False.",
        )
        require(
            self.readout != "flatten" or self.is_joint,
            "ModelConfig.readout='flatten' reads every token; it needs 'attention' "
            f"in block, not {self.block}.",
        )

    def _validate_equivariant(self) -> None:
        refused = {
            "norm": (self.norm == "layer", "'none' or 'rms' (layer subtracts a mean)"),
            "mlp": (self.mlp == "plain", "'gated' (relu of a coordinate turns)"),
            "block": (self.is_joint, "'cross', 'self' and 'mlp' sublayers"),
            "positions": (self.positions == "learned", "'none'"),
            "readout": (self.readout != "rayleigh", "'rayleigh'"),
            "norm_position": (self.norm_position == "pre", "'post'"),
            "norm_groups": (self.norm_groups is not None, "None"),
            "skip_gain": (not self.skip_gain, "True"),
            "causal": (self.causal, "False"),
        }
        for name, (is_bad, remedy) in refused.items():
            require(
                not is_bad,
                f"ModelConfig.{name}={getattr(self, name)!r} does not commute with "
                f"rotations or is not part of the equivariant parameterisation; use "
                f"{remedy}, or parameterisation='dense'.",
            )
        rows = self.register_rows
        self.at_least(2, "vector_channels")
        self.at_least(2 * rows + 2, "scalar_channels")
        if self.initialisation == "orthogonal" and "self" in self.block:
            self.at_least(2, "num_heads")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsembleConfig(Config):
    """A family of random instances, and the size of what is drawn.

    Source: `authors` is He et al. (2025), section 4; the others are ours.
    """

    spectrum: Spectrum = "authors"
    num_samples: int = 50
    dim: int = 10
    num_components: int = 3
    # Smallest number of valid rows; N is drawn in [min_samples, num_samples].
    min_samples: int | None = None
    # Decay of power_law: eigenvalue j is j^-exponent.
    exponent: float = 1.0
    # spiked and low_rank: how many large (or non-zero) eigenvalues.
    rank: int = 3
    # spiked: a spike over the bulk of 1.
    spike: float = 10.0
    # student_t: degrees of freedom.
    degrees_of_freedom: float = 3.0

    def validate(self) -> None:  # noqa: D102
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

    model: ModelConfig = ModelConfig()
    # One gradient step sums over these `(d, N)` shapes, `batch_size` of each.
    shapes: tuple[tuple[int, int], ...] = ((6, 30), (10, 50), (16, 64))
    ensemble: EnsembleConfig = EnsembleConfig()
    # Over all devices, of each shape.
    batch_size: int = 64
    num_steps: int = 2000
    # The largest learning rate.
    learning_rate: float = 2e-3
    warmup_steps: int = 100
    # The last learning rate over the largest.
    final_fraction: float = 0.02
    # Gradients are clipped to this global norm.
    max_grad_norm: float = 0.3
    loss: Literal["cosine", "projector", "rayleigh", "signed"] = "cosine"
    eigenvalue_weight: float = 0.0
    # Draw the registers' start vectors anew for each instance (equivariant).
    random_starts: bool = True
    # Steps in one call of the compiled function; metrics and saves come between.
    steps_per_call: int = 25
    # Save after this many calls; 0 = only at the end.
    calls_per_save: int = 10
    keep_checkpoints: int = 3
    parallel: Literal["pmap", "shard_map"] = "pmap"
    seed: int = 0

    def validate(self) -> None:  # noqa: D102
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
            for name, given in (("dim", dim), ("num_samples", samples)):
                fixed = getattr(self.model, name)
                require(
                    fixed is None or fixed == given,
                    f"TrainConfig.shapes has (d={dim}, N={samples}), but the model is "
                    f"made for {name}={fixed} only; use shapes that agree.",
                )
