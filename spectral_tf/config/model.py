"""The configuration of the one transformer."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar, Literal

from spectral_tf.config.base import ConfigError, require
from spectral_tf.config.layouts import Channels, Dense, InputScaling
from spectral_tf.config.parts import PartedConfig
from spectral_tf.config.schedule import parse_schedule
from spectral_tf.config.wording import counted

Attention = Literal["relu", "linear", "softmax"]
Sublayer = Literal["attention", "cross", "self", "mlp"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig(PartedConfig):
    r"""Shape and kind of the one transformer.

    A network is `num_blocks` blocks, each the sublayers named in `block`:
    `attention` (all tokens to all tokens), `cross` (registers attend to the data),
    `self` (registers attend to one another), `mlp`. With `norm_position="pre"` a
    sublayer is :math:`h \leftarrow h + f(norm(h))`, with `"post"`
    :math:`h \leftarrow norm(g \circ h + f(h))`.

    What means something for one layout of the weights only is a field of the layout:
    `config.layout.norm`, or, where the layout must be that one, `config.dense.width`
    and `config.channels.scalars`.

    Source: He et al. (2025), arXiv:2501.01312, section 2 for `attention`+`mlp`;
    Jaegle et al. (2021), Perceiver, for `cross`+`self`.
    """

    # What the network answers; tells its files from those of `ClusterModelConfig`.
    kind: Literal["eigenpairs"] = dataclasses.field(default="eigenpairs", init=False)
    # `dense`: ordinary weights for one d; `equivariant`: one set of weights for all d.
    layout: Dense | Channels = dataclasses.field(default_factory=Channels)
    # How a table is centred and scaled.
    inputs: InputScaling = dataclasses.field(default_factory=InputScaling)
    # k, the eigenpairs asked for = register tokens.
    num_components: int = 3
    # R >= k register tokens, of which the first k are read; None = k. Equivariant: at
    # most d of them run.
    register_tokens: int | None = None
    # Sublayers of one block, in order; `attention` is for dense only.
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
    # Added to a squared length before its inverse root is taken.
    norm_eps: float = 1e-8
    # A vector shorter than this after a sublayer becomes 0, not noise of unit length.
    norm_floor: float = 0.0
    # Normalise each head's output of `cross` sublayers to unit length.
    cross_norm: bool = True
    # Activation of `mlp` sublayers.
    activation: Literal["relu", "gelu"] = "relu"
    # Hidden units of `mlp` sublayers.
    mlp_width: int = 64
    # Heads of `attention` and `self` sublayers.
    num_heads: int = 4
    # Heads of `cross` sublayers.
    cross_heads: int = 1
    # `ritz`: how often the matrix of the span is squared for each of its vectors.
    squarings: int = 10
    # `ritz`: basis vectors without an image count with a guess of it (model/ritz.py).
    terminator: bool = False
    # Seed of the default start vectors of the registers.
    start_seed: int = 0
    # Of products; `default` is far below float32 on TPUs and recent GPUs.
    precision: Literal["highest", "default"] = "highest"

    PARTS: ClassVar[Mapping[str, str | None]] = {
        "layout": "parameterisation",
        "inputs": None,
    }

    def validate(self) -> None:
        """Check the bounds, and that the parts go together."""
        self.at_least(
            1,
            *("num_components", "num_blocks", "mlp_width", "num_heads"),
            "cross_heads",
        )
        self.at_least(0, "squarings")
        if self.register_tokens is not None:
            self.at_least(1, "register_tokens")
        self.above(0, "norm_eps")
        require(
            0 <= self.norm_floor < 1,
            f"ModelConfig.norm_floor={self.norm_floor} must lie in [0, 1): vectors are "
            "of unit length; 1e-4 is fair in single precision, 0 leaves all alone.",
        )
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
        self._validate_schedule()
        self._validate_block()
        if isinstance(self.layout, Dense):
            self._validate_dense(self.layout)
        else:
            self._validate_channels(self.layout)

    @property
    def is_dense(self) -> bool:
        """True for ordinary weights, which are for one d."""
        return isinstance(self.layout, Dense)

    @property
    def dense(self) -> Dense:
        """The layout of a dense network; `ConfigError` for an equivariant one."""
        if isinstance(self.layout, Dense):
            return self.layout
        raise ConfigError(
            "ModelConfig.layout=Channels(...) has no width and no heads of its own; "
            "this needs a dense network: layout=Dense(dim=d), or `expand` of this one."
        )

    @property
    def channels(self) -> Channels:
        """The layout of an equivariant network; `ConfigError` for a dense one."""
        if isinstance(self.layout, Channels):
            return self.layout
        raise ConfigError(
            "ModelConfig.layout=Dense(...) has no vector channels; this needs an "
            "equivariant network: layout=Channels()."
        )

    @property
    def dim(self) -> int | None:
        """d, the features of an instance; None = any."""
        return self.layout.dim

    @property
    def num_samples(self) -> int | None:
        """N where the weights fix it; None = any."""
        return self.layout.num_samples if isinstance(self.layout, Dense) else None

    @property
    def register_rows(self) -> int:
        """Rows of the register table: `max_components`, or R where that is None."""
        layout = self.layout
        rows = layout.max_components if isinstance(layout, Channels) else None
        return rows or self.num_registers

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

    def _validate_dense(self, dense: Dense) -> None:
        centre = self.inputs.centre
        require(
            centre != "network" or dense.readout in ("linear", "ritz"),
            f"InputScaling.centre='network' needs readout='linear' or 'ritz', not "
            f"{dense.readout!r}, which reads rows that nobody has centred.",
        )
        require(
            dense.readout != "flatten" or self.is_joint,
            "Dense.readout='flatten' reads every token; it needs 'attention' "
            f"in block, not {self.block}.",
        )

    def _validate_channels(self, channels: Channels) -> None:
        rotates = "does not commute with rotations; use"
        require(
            not self.is_joint,
            f"ModelConfig.block={self.block} {rotates} 'cross', 'self' and 'mlp' "
            "sublayers, or layout=Dense(dim=d).",
        )
        require(
            self.inputs.centre != "network",
            f"InputScaling.centre='network' {rotates} 'input' or 'none', or "
            "layout=Dense(dim=d).",
        )
        rows = self.register_rows
        require(
            self.num_registers <= rows,
            f"ModelConfig.register_tokens={self.num_registers} must be <= "
            f"max_components={rows}, the rows of the register table.",
        )
        least = 2 * rows + 2
        require(
            channels.scalars >= least,
            f"Channels.scalars={channels.scalars} must be >= {least}, the codes of "
            f"{counted(rows, 'register')}; raise it to at least {least}.",
        )
        if channels.initialisation == "orthogonal" and "self" in self.block:
            self.at_least(2, "num_heads")
