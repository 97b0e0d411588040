"""The configuration of the one transformer."""

import dataclasses
from typing import Literal

from spectral_tf.config.base import Config, require
from spectral_tf.config.schedule import parse_schedule
from spectral_tf.config.wording import counted

Parameterisation = Literal["dense", "equivariant"]
Attention = Literal["relu", "linear", "softmax"]
Sublayer = Literal["attention", "cross", "self", "mlp"]
Readout = Literal["linear", "rayleigh", "ritz", "flatten"]
Initialisation = Literal["random", "power", "orthogonal"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig(Config):
    r"""Shape and kind of the one transformer.

    A network is `num_blocks` blocks, each the sublayers named in `block`:
    `attention` (all tokens to all tokens), `cross` (registers attend to the data),
    `self` (registers attend to one another), `mlp`. With `norm_position="pre"` a
    sublayer is :math:`h \leftarrow h + f(norm(h))`, with `"post"`
    :math:`h \leftarrow norm(g \circ h + f(h))`.

    Source: He et al. (2025), arXiv:2501.01312, section 2 for `attention`+`mlp`;
    Jaegle et al. (2021), Perceiver, for `cross`+`self`.
    """

    # What the network answers; tells its files from those of `ClusterModelConfig`.
    kind: Literal["eigenpairs"] = dataclasses.field(default="eigenpairs", init=False)
    # `dense`: ordinary weights for one d; `equivariant`: one set of weights for all d.
    parameterisation: Parameterisation = "equivariant"
    # d, the features of an instance; None = any (equivariant only).
    dim: int | None = None
    # Dense: a table of fewer columns than `dim` is filled up with columns of zeros.
    pad_columns: bool = False
    # N, only for learned positions and the flatten read-out; None = any.
    num_samples: int | None = None
    # k, the eigenpairs asked for = register tokens.
    num_components: int = 3
    # Rows of the register code table; k may be lowered below it after training.
    max_components: int | None = None
    # R >= k register tokens, of which the first k are read; None = k. Equivariant: at
    # most d of them run.
    register_tokens: int | None = None
    # Sublayers of one block, in order.
    block: tuple[Sublayer, ...] = ("cross", "self", "mlp")
    # L, the blocks of a forward pass, repeats of a looped period included.
    num_blocks: int = 8
    # One block's weights, num_blocks times.
    looped: bool = False
    # Which block's weights run at each place, e.g. "0 (1 2)*3 3"; None = all in order.
    schedule: str | None = None
    # Attention of `attention` and `self` sublayers.
    attention: Attention = "relu"
    # Attention of `cross` sublayers; linear makes them exact products with S.
    cross_attention: Attention = "linear"
    # relu and linear scores: `mean` divides by the number of valid senders.
    attention_scale: Literal["mean", "sum"] = "sum"
    # Tokens attend only to themselves and to earlier ones (flatten read-out only).
    causal: bool = False
    # Norm of each token (dense) or vector (equivariant); `layer` is for dense only.
    norm: Literal["none", "rms", "layer"] = "rms"
    # Norm of what a sublayer reads (`pre`), or of what it leaves behind (`post`).
    norm_position: Literal["pre", "post"] = "post"
    # Added to a squared length before its inverse root is taken.
    norm_eps: float = 1e-8
    # A vector shorter than this after a sublayer becomes 0, not noise of unit length.
    norm_floor: float = 0.0
    # Dense only: normalise `groups` runs of `size` features, leave the rest alone.
    norm_groups: tuple[int, int] | None = None
    # Normalise each head's output of `cross` sublayers to unit length.
    cross_norm: bool = True
    # Training: the gradient with respect to a register after a sublayer is shortened
    # to this length, per instance; None = never. Equivariant only.
    gradient_limit: float | None = None
    # Trainable gain per channel on the skip path.
    skip_gain: bool = True
    # Activation of `mlp` sublayers.
    activation: Literal["relu", "gelu"] = "relu"
    # `gated` multiplies two maps of its input; `plain` is for dense only.
    mlp: Literal["plain", "gated"] = "gated"
    # Hidden units of `mlp` sublayers.
    mlp_width: int = 64
    # Heads of `attention` and `self` sublayers.
    num_heads: int = 4
    # Heads of `cross` sublayers.
    cross_heads: int = 1
    # Equivariant: registers keep their codes as they are. Where a gain on them is
    # trained, a loop multiplies them by it again and again.
    fixed_codes: bool = False
    # Dense: D, the size of a token.
    width: int = 64
    # Dense: size of a head's queries and keys.
    head_dim: int = 16
    # Dense: size of a head's values; None = head_dim.
    value_dim: int | None = None
    # Equivariant: C, the vector channels of a register, each in R^d.
    vector_channels: int = 4
    # Equivariant: the last so many vector channels keep their length (no norm).
    raw_channels: int = 0
    # Equivariant: c, the scalar channels of a register, its codes among them.
    scalar_channels: int = 24
    # `learned`: a trained vector for each row, which fixes N (dense only).
    positions: Literal["none", "learned"] = "none"
    # How eigenpairs are read off; equivariant networks have `rayleigh` and `ritz`.
    readout: Readout = "rayleigh"
    # `ritz`: how often the matrix of the span is squared for each of its vectors.
    squarings: int = 10
    # `ritz`: basis vectors without an image count with a guess of it (model/ritz.py).
    terminator: bool = False
    # Who subtracts the mean: the `input`, the `network` (rows get N^-1/2), or nobody.
    centre: Literal["input", "network", "none"] = "input"
    # Scale the rows to unit total variance.
    unit_trace: bool = True
    # Then scale on to a covariance of unit Frobenius norm: its largest eigenvalue is
    # then at most 1, and mostly above 0.2 whatever d is.
    unit_frobenius: bool = False
    # How training starts: noise, the power method, or that with deflation.
    initialisation: Initialisation = "orthogonal"
    # Equivariant: orthonormalise the start vectors, given or drawn.
    orthogonal_start: bool = False
    # Seed of the default start vectors of the registers.
    start_seed: int = 0
    # Of products; `default` is far below float32 on TPUs and recent GPUs.
    precision: Literal["highest", "default"] = "highest"

    def validate(self) -> None:
        """Check the bounds."""
        self.at_least(
            1,
            *("num_components", "num_blocks", "mlp_width", "num_heads"),
            *("cross_heads", "width", "head_dim", "vector_channels"),
        )
        self.at_least(0, "scalar_channels", "raw_channels", "squarings")
        sizes = ("dim", "num_samples", "value_dim", "max_components", "register_tokens")
        for name in sizes:
            if getattr(self, name) is not None:
                self.at_least(1, name)
        self.above(0, "norm_eps")
        require(
            0 <= self.norm_floor < 1,
            f"ModelConfig.norm_floor={self.norm_floor} must lie in [0, 1): vectors are "
            "of unit length; 1e-4 is fair in single precision, 0 leaves all alone.",
        )
        if self.gradient_limit is not None:
            self.above(0, "gradient_limit")
        k, most = self.num_components, self.register_rows
        registers = self.num_registers
        require(
            registers >= k,
            f"ModelConfig.register_tokens={registers} must be >= num_components={k}: "
            "the first k register tokens are read; raise register_tokens.",
        )
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
        require(
            self.unit_trace or not self.unit_frobenius,
            "ModelConfig.unit_frobenius=True goes on from unit_trace=True; set both.",
        )
        self._validate_schedule()
        self._validate_block()
        if self.parameterisation == "dense":
            self._validate_dense()
        else:
            self._validate_equivariant()

    @property
    def register_rows(self) -> int:
        """Rows of the register table: `max_components`, or R where that is None."""
        return self.max_components or self.num_registers

    @property
    def num_registers(self) -> int:
        """R, the register tokens of a pass: `register_tokens`, or k where None."""
        return self.register_tokens or self.num_components

    @property
    def block_order(self) -> tuple[int, ...]:
        """Index of the weights that run at each of the `num_blocks` places."""
        if self.schedule is not None:
            return parse_schedule(self.schedule)
        return (0,) * self.num_blocks if self.looped else tuple(range(self.num_blocks))

    @property
    def num_unique_blocks(self) -> int:
        """Blocks that have weights of their own: `num_blocks`, fewer if repeated."""
        return max(self.block_order) + 1

    @property
    def num_products(self) -> int:
        """How often the registers read the data: the products with S in a pass.

        At most so often in a joint network, where any attention sublayer may read the
        data and constructed weights use some of them for other things.
        """
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

    def _validate_schedule(self) -> None:
        if self.schedule is None:
            return
        count = len(parse_schedule(self.schedule))
        require(
            count == self.num_blocks,
            f"ModelConfig.schedule={self.schedule!r} runs {counted(count, 'block')}, "
            f"but num_blocks={self.num_blocks}; set num_blocks={count}.",
        )
        require(
            not self.looped,
            "ModelConfig.looped=True is a schedule of one block; leave it False when "
            f"schedule={self.schedule!r} is given.",
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
            self.max_components in (None, self.num_components),
            f"ModelConfig.max_components={self.max_components} must equal "
            f"num_components={self.num_components} in a dense network; leave it None.",
        )
        require(
            self.raw_channels == 0
            and not self.orthogonal_start
            and not self.fixed_codes
            and self.gradient_limit is None,
            f"ModelConfig.raw_channels={self.raw_channels}, orthogonal_start="
            f"{self.orthogonal_start}, fixed_codes={self.fixed_codes} and "
            f"gradient_limit={self.gradient_limit} are for equivariant networks; leave "
            "them at 0, False, False and None. norm_groups leaves features behind the "
            "groups alone, and start vectors are parameters.",
        )
        require(
            self.centre != "network" or self.readout in ("linear", "ritz"),
            f"ModelConfig.centre='network' needs readout='linear' or 'ritz', not "
            f"{self.readout!r}, which reads rows that nobody has centred.",
        )
        require(
            not self.pad_columns or self.readout == "rayleigh",
            f"ModelConfig.pad_columns=True needs readout='rayleigh', not "
            f"{self.readout!r}: the vectors are cut to the table's columns.",
        )
        require(
            self.readout != "ritz" or self.norm_groups is not None,
            "ModelConfig.norm_groups=None: readout='ritz' of a dense network reads "
            "groups of d features; use `expand` of an equivariant one.",
        )
        if self.norm_groups is not None:
            used = self.norm_groups[0] * self.norm_groups[1]
            require(
                min(self.norm_groups) >= 1 and used <= self.width,
                f"ModelConfig.norm_groups={self.norm_groups} covers "
                f"{counted(used, 'feature')}; it must be >= 1 each and cover at most "
                f"width={self.width}; use smaller groups or a larger width.",
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
            "readout": (
                self.readout not in ("rayleigh", "ritz"),
                "'rayleigh' or 'ritz'",
            ),
            "norm_position": (self.norm_position == "pre", "'post'"),
            "norm_groups": (self.norm_groups is not None, "None"),
            "skip_gain": (not self.skip_gain, "True"),
            "causal": (self.causal, "False"),
            "centre": (self.centre == "network", "'input' or 'none'"),
            "pad_columns": (self.pad_columns, "False: it takes any d as it is"),
        }
        for name, (is_bad, remedy) in refused.items():
            require(
                not is_bad,
                f"ModelConfig.{name}={getattr(self, name)!r} does not commute with "
                f"rotations or is not part of the equivariant parameterisation; use "
                f"{remedy}, or parameterisation='dense'.",
            )
        rows, raw = self.register_rows, self.raw_channels
        require(
            self.num_registers <= rows,
            f"ModelConfig.register_tokens={self.num_registers} must be <= "
            f"max_components={rows}, the rows of the register table.",
        )
        require(
            raw < self.vector_channels,
            f"ModelConfig.raw_channels={raw} must be < vector_channels="
            f"{self.vector_channels}: the answer needs a norm.",
        )
        require(
            self.readout != "ritz" or self.vector_channels == 2 * raw,
            f"ModelConfig.vector_channels={self.vector_channels} must be twice "
            f"raw_channels={raw} for readout='ritz': the raw half are the images of "
            "the other half.",
        )
        self.at_least(2, "vector_channels")
        self.at_least(2 * rows + 2, "scalar_channels")
        if self.initialisation == "orthogonal" and "self" in self.block:
            self.at_least(2, "num_heads")
