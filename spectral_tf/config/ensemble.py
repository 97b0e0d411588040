"""Configurations of random instances: a family, its sizes, and mixtures of families."""

import dataclasses
import importlib
import math
import typing
from collections.abc import Callable, Sequence
from typing import Any, Literal

from spectral_tf.config.base import Config, ConfigError, require
from spectral_tf.settings import random_key

Spectrum = Literal[
    "authors",
    "power_law",
    "spiked",
    "flat",
    "linear",
    "low_rank",
    "student_t",
    "semicircle",
    "marchenko_pastur",
    "uniform",
    "laplace",
    "gapped",
    "correlated",
    "whitened",
    "scaled",
]
"""The families that the package brings; `EnsembleConfig.spectrum` takes more."""


def imported_family(spectrum: str) -> Callable[..., Any]:
    """The user's function that `"package.module:function"` names.

    Args:
        spectrum: an importable module, a colon, and the name of a function in it.

    Returns:
        The function, `(key, config) -> x [N, d]`; its result is not checked here.

    Raises:
        ConfigError: if the module or the function is missing, or is not callable.
    """
    field = f"EnsembleConfig.spectrum={spectrum!r}"
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsembleConfig(Config):
    """A family of random instances, and the size of what is drawn.

    Source: He et al. (2025), section 4, for `authors`.
    """

    # Family of random tables; a function of yours as "package.module:function".
    spectrum: str = "authors"
    # N, the rows of an instance.
    num_samples: int = 50
    # d, the features of an instance.
    dim: int = 10
    # k, the eigenpairs of the right answer.
    num_components: int = 3
    # Smallest number of valid rows; N is drawn in [min_samples, num_samples].
    min_samples: int | None = None
    # Random directions: by QR (`uniform`, slow on GPUs), or mixed (`reflections`).
    orientation: Literal["uniform", "reflections"] = "uniform"
    # power_law: eigenvalue j is j^-exponent.
    exponent: float = 1.0
    # power_law: bounds of an exponent drawn for each instance; None = `exponent`.
    exponent_range: tuple[float, float] | None = None
    # spiked, low_rank: how many large (non-zero) eigenvalues; gapped: how many gaps.
    rank: int = 3
    # spiked: the smallest spike, over the bulk of 1.
    spike: float = 10.0
    # spiked: bounds of random spikes, 1 to `rank` of them; None = by `spike`.
    spike_range: tuple[float, float] | None = None
    # low_rank: variance of white noise, added to every eigenvalue.
    noise: float = 0.0
    # gapped: bounds of the ratios lambda_{j+1} / lambda_j, one drawn for each gap.
    gap: tuple[float, float] = (0.5, 0.9)
    # marchenko_pastur: features over rows of the table whose spectrum it is.
    aspect: float = 0.5
    # student_t: degrees of freedom.
    degrees_of_freedom: float = 3.0
    # correlated: of a row with the next; None = drawn from [0, 0.95].
    autocorrelation: float | None = 0.8
    # whitened: how many classes the rows come from.
    num_classes: int = 10
    # scaled: the columns' standard deviations spread over so many powers of ten.
    decades: float = 2.0

    def validate(self) -> None:
        """Check the bounds, and that the family exists and gives rows."""
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
        self._validate_family_options()
        self._validate_family()

    def _validate_family_options(self) -> None:
        self.above(0, "exponent", "spike")
        self.above(2, "degrees_of_freedom")  # at 2 the variance is infinite
        self.at_least(0, "noise", "decades")
        self.at_least(2, "num_classes")
        require(
            0 < self.aspect <= 1,
            f"EnsembleConfig.aspect={self.aspect} must lie in (0, 1]; lower it to 1 "
            "or less.",
        )
        among = self.autocorrelation
        require(
            among is None or -1 < among < 1,
            f"EnsembleConfig.autocorrelation={among} must lie in (-1, 1); use None for "
            "a random one.",
        )
        for name, most in (("exponent_range", None), ("spike_range", None), ("gap", 1)):
            self._require_range(name, most)

    def _require_range(self, name: str, most: int | None) -> None:
        """Require 0 < low <= high (<= most) of a pair of bounds."""
        bounds = getattr(self, name)
        if bounds is None:
            return
        low, high = bounds
        require(
            0 < low <= high < math.inf and (most is None or high <= most),
            f"EnsembleConfig.{name}={bounds} must be (low, high) with 0 < low <= high"
            f"{'' if most is None else f' <= {most}'}; correct the two numbers.",
        )

    def _validate_family(self) -> None:
        if self.spectrum in typing.get_args(Spectrum):
            return
        require(
            ":" in self.spectrum,
            f"EnsembleConfig.spectrum={self.spectrum!r} must be one of "
            f"{', '.join(map(repr, typing.get_args(Spectrum)))}; name a function of "
            "your own as 'package.module:function'.",
        )
        self._require_rows(imported_family(self.spectrum))

    def _require_rows(self, function: Callable[..., Any]) -> None:
        """Require that a user's function gives `[N, d]` floats; it is only traced."""
        import jax  # here alone: configurations are read before JAX is needed
        import jax.numpy as jnp

        field = f"EnsembleConfig.spectrum={self.spectrum!r}"
        # The shape of a key, not a key: that would start the devices, and a run of
        # several processes has to join them first.
        key = jax.eval_shape(lambda: random_key(0))
        try:
            result = jax.eval_shape(lambda key: function(key, self), key)
        except Exception as error:
            raise ConfigError(
                f"{field} cannot be traced as f(key, config) "
                f"({type(error).__name__}: {error}); it must be a pure JAX function."
            ) from error
        wanted = (self.num_samples, self.dim)
        shape, dtype = getattr(result, "shape", None), getattr(result, "dtype", None)
        is_float = dtype is not None and jnp.issubdtype(dtype, jnp.floating)
        got = type(result).__name__ if shape is None else f"{dtype}{list(shape)}"
        require(
            shape == wanted and is_float,
            f"{field} returns {got} for num_samples={wanted[0]} and dim={wanted[1]}; "
            f"it must return one array of floats [N, d] = {list(wanted)}.",
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class MixturePart(Config):
    """One family of a mixture, and how often it is drawn."""

    # The family; its d, N and k are overruled by the run's shapes and model.
    ensemble: EnsembleConfig = dataclasses.field(default_factory=EnsembleConfig)
    # How often it is drawn at the first step, relative to the other parts.
    weight: float = 1.0
    # The same at the last step, linear between (a curriculum); None = `weight`.
    final_weight: float | None = None

    def validate(self) -> None:
        """Check the bounds."""
        self.at_least(0, "weight")
        if self.final_weight is not None:
            self.at_least(0, "final_weight")


def check_weights(parts: Sequence[MixturePart]) -> None:
    """Refuse a mixture of which nothing is drawn, at the start or at the end.

    Args:
        parts: of the mixture.

    Raises:
        ConfigError: if all weights are zero.
    """
    first = [part.weight for part in parts]
    last = [p.weight if p.final_weight is None else p.final_weight for p in parts]
    for name, weights in (("weight", first), ("final_weight", last)):
        require(
            sum(weights) > 0,
            f"MixturePart.{name} is 0 in every part of the mixture; at least one must "
            "be > 0, raise it.",
        )
