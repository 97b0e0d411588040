"""Parts of a network's configuration: the layout of its weights, and its input."""

import dataclasses
from typing import ClassVar, Literal

from spectral_tf.config.base import Config, require
from spectral_tf.config.wording import counted

Readout = Literal["linear", "rayleigh", "ritz", "flatten"]
Initialisation = Literal["random", "power", "orthogonal"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dense(Config):
    """Ordinary tokens of `width` numbers, and ordinary weights, for one d."""

    # Tells its files from those of `Channels`.
    kind: Literal["dense"] = dataclasses.field(default="dense", init=False)
    # d, the features of an instance.
    dim: int
    # A table of fewer columns than `dim` is filled up with columns of zeros.
    pad_columns: bool = False
    # N, only for learned positions and the flatten read-out; None = any.
    num_samples: int | None = None
    # D, the size of a token.
    width: int = 64
    # Size of a head's queries and keys.
    head_dim: int = 16
    # Size of a head's values; None = head_dim.
    value_dim: int | None = None
    # Tokens attend only to themselves and to earlier ones (flatten read-out only).
    causal: bool = False
    # Norm of each token.
    norm: Literal["none", "rms", "layer"] = "rms"
    # Norm of what a sublayer reads (`pre`), or of what it leaves behind (`post`).
    norm_position: Literal["pre", "post"] = "post"
    # Normalise `groups` runs of `size` features, leave the rest alone.
    norm_groups: tuple[int, int] | None = None
    # Trainable gain per feature on the skip path.
    skip_gain: bool = True
    # `gated` multiplies two maps of its input.
    mlp: Literal["plain", "gated"] = "gated"
    # `learned`: a trained vector for each row, which fixes N.
    positions: Literal["none", "learned"] = "none"
    # How eigenpairs are read off.
    readout: Readout = "rayleigh"

    # What the flat form writes for it: all weights are random, or are given.
    FLAT_ABSENT: ClassVar[dict[str, str]] = {"initialisation": "random"}

    @property
    def head_value_dim(self) -> int:
        """Size of a head's value: `value_dim`, or `head_dim` where None."""
        return self.value_dim or self.head_dim

    def validate(self) -> None:
        """Check the bounds."""
        self.at_least(1, "dim", "width", "head_dim")
        for name in ("num_samples", "value_dim"):
            if getattr(self, name) is not None:
                self.at_least(1, name)
        require(
            not self.pad_columns or self.readout == "rayleigh",
            f"Dense.pad_columns=True needs readout='rayleigh', not "
            f"{self.readout!r}: the vectors are cut to the table's columns.",
        )
        require(
            self.readout != "ritz" or self.norm_groups is not None,
            "Dense.norm_groups=None: readout='ritz' of a dense network reads "
            "groups of d features; use `expand` of an equivariant one.",
        )
        if self.norm_groups is not None:
            used = self.norm_groups[0] * self.norm_groups[1]
            require(
                min(self.norm_groups) >= 1 and used <= self.width,
                f"Dense.norm_groups={self.norm_groups} covers "
                f"{counted(used, 'feature')}; it must be >= 1 each and cover at most "
                f"width={self.width}; use smaller groups or a larger width.",
            )
        if self.positions == "learned" or self.readout == "flatten":
            require(
                self.num_samples is not None,
                "Dense.num_samples=None: learned positions and the flatten "
                "read-out fix N; set num_samples=N.",
            )
        require(
            self.readout == "flatten" or not self.causal,
            "Dense.causal=True hides the data from nobody but the data; it is "
            "only for the flatten read-out of preset 'paper_gpt2'; use causal=False.",
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Channels(Config):
    """Vector channels in R^d and scalar channels: weights w (x) I_d, which fit any d.

    Norm, skip path and MLP are those that commute with rotations: every vector is
    normalised after a sublayer (relu of a coordinate turns, and the norm of a layer
    subtracts a mean), and MLPs are gated.
    """

    # Tells its files from those of `Dense`.
    kind: Literal["equivariant"] = dataclasses.field(default="equivariant", init=False)
    # d, for a network of one d alone; None = any.
    dim: int | None = None
    # Rows of the register code table; k may be lowered below it after training.
    max_components: int | None = None
    # C, the vector channels of a register, each in R^d.
    vectors: int = 4
    # The last so many vector channels keep their length (no norm).
    raw: int = 0
    # c, the scalar channels of a register, its codes among them.
    scalars: int = 24
    # Norm of each vector.
    norm: Literal["none", "rms"] = "rms"
    # How eigenpairs are read off.
    readout: Literal["rayleigh", "ritz"] = "rayleigh"
    # Training: the gradient with respect to a register after a sublayer is shortened
    # to this length, per instance; None = never.
    gradient_limit: float | None = None
    # Registers keep their codes as they are. Where a gain on them is trained, a loop
    # multiplies them by it again and again.
    fixed_codes: bool = False
    # How training starts: noise, the power method, or that with deflation.
    initialisation: Initialisation = "orthogonal"
    # Orthonormalise the start vectors, given or drawn.
    orthogonal_start: bool = False

    FLAT_NAMES: ClassVar[dict[str, str]] = {
        "vectors": "vector_channels",
        "raw": "raw_channels",
        "scalars": "scalar_channels",
    }

    def validate(self) -> None:
        """Check the bounds."""
        for name in ("dim", "max_components"):
            if getattr(self, name) is not None:
                self.at_least(1, name)
        if self.gradient_limit is not None:
            self.above(0, "gradient_limit")
        self.at_least(0, "raw", "scalars")
        self.at_least(2, "vectors")
        require(
            self.raw < self.vectors,
            f"Channels.raw={self.raw} must be < vectors={self.vectors}: the answer "
            "needs a norm.",
        )
        require(
            self.readout != "ritz" or self.vectors == 2 * self.raw,
            f"Channels.vectors={self.vectors} must be twice raw={self.raw} for "
            "readout='ritz': the raw half are the images of the other half.",
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class InputScaling(Config):
    """What is done to the rows of a table before a network reads them."""

    # Who subtracts the mean: the `input`, the `network` (rows get N^-1/2; dense only),
    # or nobody.
    centre: Literal["input", "network", "none"] = "input"
    # Scale the rows to unit total variance.
    unit_trace: bool = True
    # Then scale on to a covariance of unit Frobenius norm: its largest eigenvalue is
    # then at most 1, and mostly above 0.2 whatever d is.
    unit_frobenius: bool = False

    def validate(self) -> None:
        """Check that the two scales go together."""
        require(
            self.unit_trace or not self.unit_frobenius,
            "InputScaling.unit_frobenius=True goes on from unit_trace=True; set both.",
        )
