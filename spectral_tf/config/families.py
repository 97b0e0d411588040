"""Families of random tables: one class for each, with the options that it has."""

import dataclasses
import importlib
import math
import typing
from collections.abc import Callable
from typing import Any, ClassVar, Literal

from spectral_tf.config.base import Config, ConfigError, require

Range = tuple[float, float]
OptionValue = float | Range | None


def _tag(name: str) -> Any:
    """The field that tells the files of a family from those of the others."""
    return dataclasses.field(default=name, init=False)


def _require_range(family: Config, name: str, most: int | None = None) -> None:
    """Require 0 < low <= high (<= most) of a pair of bounds."""
    bounds = getattr(family, name)
    if bounds is None:
        return
    low, high = bounds
    require(
        0 < low <= high < math.inf and (most is None or high <= most),
        f"{type(family).__name__}.{name}={bounds} must be (low, high) with 0 < low <= "
        f"high{'' if most is None else f' <= {most}'}; correct the two numbers.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Authors(Config):
    """Gaussian rows times a Gaussian factor: the family of He et al. (2025)."""

    # Tells its files from those of the other families.
    kind: Literal["authors"] = _tag("authors")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PowerLaw(Config):
    """Eigenvalue j is j^-exponent."""

    # Tells its files from those of the other families.
    kind: Literal["power_law"] = _tag("power_law")
    # Eigenvalue j is j^-exponent.
    exponent: float = 1.0
    # Bounds of an exponent drawn for each instance; None = `exponent`.
    exponent_range: Range | None = None

    def validate(self) -> None:
        """Check the bounds."""
        self.above(0, "exponent")
        _require_range(self, "exponent_range")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spiked(Config):
    """A few large eigenvalues over a bulk of 1."""

    # Tells its files from those of the other families.
    kind: Literal["spiked"] = _tag("spiked")
    # How many large eigenvalues.
    rank: int = 3
    # The smallest spike, over the bulk of 1.
    spike: float = 10.0
    # Bounds of random spikes, 1 to `rank` of them; None = by `spike`.
    spike_range: Range | None = None

    def validate(self) -> None:
        """Check the bounds."""
        self.at_least(1, "rank")
        self.above(0, "spike")
        _require_range(self, "spike_range")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Flat(Config):
    """All eigenvalues 1."""

    # Tells its files from those of the other families.
    kind: Literal["flat"] = _tag("flat")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Linear(Config):
    """Eigenvalues d, d - 1, ..., 1, over d."""

    # Tells its files from those of the other families.
    kind: Literal["linear"] = _tag("linear")


@dataclasses.dataclass(frozen=True, kw_only=True)
class LowRank(Config):
    """A few eigenvalues, and white noise."""

    # Tells its files from those of the other families.
    kind: Literal["low_rank"] = _tag("low_rank")
    # How many eigenvalues are not zero.
    rank: int = 3
    # Variance of white noise, added to every eigenvalue.
    noise: float = 0.0

    def validate(self) -> None:
        """Check the bounds."""
        self.at_least(1, "rank")
        self.at_least(0, "noise")


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudentT(Config):
    """`Authors` with heavy tails."""

    # Tells its files from those of the other families.
    kind: Literal["student_t"] = _tag("student_t")
    # nu > 2, so that the covariance exists.
    degrees_of_freedom: float = 3.0

    def validate(self) -> None:
        """Check the bounds."""
        self.above(2, "degrees_of_freedom")  # at 2 the variance is infinite


@dataclasses.dataclass(frozen=True, kw_only=True)
class Semicircle(Config):
    """Quantiles of the semicircle of radius 1 around 1."""

    # Tells its files from those of the other families.
    kind: Literal["semicircle"] = _tag("semicircle")


@dataclasses.dataclass(frozen=True, kw_only=True)
class MarchenkoPastur(Config):
    """Quantiles of the Marchenko-Pastur law."""

    # Tells its files from those of the other families.
    kind: Literal["marchenko_pastur"] = _tag("marchenko_pastur")
    # Features over rows of the table whose spectrum it is.
    aspect: float = 0.5

    def validate(self) -> None:
        """Check the bounds."""
        require(
            0 < self.aspect <= 1,
            f"MarchenkoPastur.aspect={self.aspect} must lie in (0, 1]; lower it to 1 "
            "or less.",
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Uniform(Config):
    """Independent uniform eigenvalues in (0, 1)."""

    # Tells its files from those of the other families.
    kind: Literal["uniform"] = _tag("uniform")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Laplace(Config):
    """The exponentials of independent Laplace variables as eigenvalues."""

    # Tells its files from those of the other families.
    kind: Literal["laplace"] = _tag("laplace")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gapped(Config):
    """Random gaps between the first eigenvalues, then none."""

    # Tells its files from those of the other families.
    kind: Literal["gapped"] = _tag("gapped")
    # How many gaps.
    rank: int = 3
    # Bounds of the ratios lambda_{j+1} / lambda_j, one drawn for each gap.
    gap: Range = (0.5, 0.9)

    def validate(self) -> None:
        """Check the bounds."""
        self.at_least(1, "rank")
        _require_range(self, "gap", 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Correlated(Config):
    """Rows that depend on the row before."""

    # Tells its files from those of the other families.
    kind: Literal["correlated"] = _tag("correlated")
    # Of a row with the next; None = drawn from [0, 0.95].
    autocorrelation: float | None = 0.8

    def validate(self) -> None:
        """Check the bounds."""
        among = self.autocorrelation
        require(
            among is None or -1 < among < 1,
            f"Correlated.autocorrelation={among} must lie in (-1, 1); use None for "
            "a random one.",
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Whitened(Config):
    """Classes of rows, whitened."""

    # Tells its files from those of the other families.
    kind: Literal["whitened"] = _tag("whitened")
    # How many classes the rows come from.
    num_classes: int = 10

    def validate(self) -> None:
        """Check the bounds."""
        self.at_least(2, "num_classes")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scaled(Config):
    """Columns in very different units."""

    # Tells its files from those of the other families.
    kind: Literal["scaled"] = _tag("scaled")
    # The columns' standard deviations spread over so many powers of ten.
    decades: float = 2.0

    def validate(self) -> None:
        """Check the bounds."""
        self.at_least(0, "decades")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Imported(Config):
    """A family of the user: a function `(key, config) -> x [N, d]`."""

    # Tells its files from those of the other families.
    kind: Literal["imported"] = _tag("imported")
    # Where it is: "package.module:function".
    function: str
    # Options for it, by names that other families have, e.g. (("spike", 1000.0),).
    options: tuple[tuple[str, OptionValue], ...] = ()

    FLAT_NAMES: ClassVar[dict[str, str]] = {"function": "spectrum", "options": ""}

    def option(self, name: str, default: OptionValue = None) -> OptionValue:
        """The value of an option, or `default` where it is not set."""
        return dict(self.options).get(name, default)

    def validate(self) -> None:
        """Check that the function is there."""
        imported_family(self.function)
        known = set(OPTION_NAMES)
        for name, _ in self.options:
            require(
                name in known,
                f"Imported.options has {name!r}; it must be one of "
                f"{', '.join(OPTION_NAMES)}.",
            )


Family = (
    Authors
    | PowerLaw
    | Spiked
    | Flat
    | Linear
    | LowRank
    | StudentT
    | Semicircle
    | MarchenkoPastur
    | Uniform
    | Laplace
    | Gapped
    | Correlated
    | Whitened
    | Scaled
    | Imported
)
"""A family of random tables."""

OPTION_NAMES = tuple(
    dict.fromkeys(
        field.name
        for family in typing.get_args(Family)
        if family is not Imported
        for field in dataclasses.fields(family)
        if field.init
    )
)
"""The options of all families that the package brings."""


def imported_family(spectrum: str) -> Callable[..., Any]:
    """The user's function that `"package.module:function"` names.

    Args:
        spectrum: an importable module, a colon, and the name of a function in it.

    Returns:
        The function, `(key, config) -> x [N, d]`; its result is not checked here.

    Raises:
        ConfigError: if the module or the function is missing, or is not callable.
    """
    field = f"Imported.function={spectrum!r}"
    place, _, name = spectrum.partition(":")
    try:
        module = importlib.import_module(place)
    except Exception as error:
        raise ConfigError(
            f"{field}: the module {place!r} cannot be imported "
            f"({type(error).__name__}: {error}); install it, or name its folder in "
            "PYTHONPATH."
        ) from error
    function = getattr(module, name, None)
    require(
        callable(function),
        f"{field}: the module {place!r} has no function {name!r}; write "
        f"`def {name or 'family'}(key, config)` there, or correct the name.",
    )
    return typing.cast(Callable[..., Any], function)
