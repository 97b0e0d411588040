"""Configurations of random instances: a family, its sizes, and mixtures of families."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeVar

from spectral_tf.config.base import Config, ConfigError, require
from spectral_tf.config.families import (
    Authors,
    Family,
    Gapped,
    Imported,
    LowRank,
    Spiked,
    imported_family,
)
from spectral_tf.config.parts import PartedConfig
from spectral_tf.settings import random_key

F = TypeVar("F", bound=Config)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsembleConfig(PartedConfig):
    """A family of random instances, and the size of what is drawn.

    Source: He et al. (2025), section 4, for `Authors`.
    """

    # Family of random tables; a function of yours as "package.module:function".
    family: Family = dataclasses.field(default_factory=Authors)
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

    PARTS: ClassVar[Mapping[str, str | None]] = {"family": "spectrum"}

    def validate(self) -> None:
        """Check the bounds, and that a user's family gives rows."""
        self.at_least(1, "num_samples", "dim", "num_components")
        require(
            self.num_components <= self.dim,
            f"EnsembleConfig.num_components={self.num_components} must be <= "
            f"dim={self.dim}; ask for fewer components.",
        )
        least = self.min_samples
        require(
            least is None or 1 <= least <= self.num_samples,
            f"EnsembleConfig.min_samples={least} must lie in "
            f"1..num_samples={self.num_samples}; use None for all rows.",
        )
        family = self.family
        if isinstance(family, Spiked | LowRank):
            require(
                family.rank <= self.dim,
                f"EnsembleConfig.rank={family.rank} must be <= dim={self.dim}; "
                "lower it.",
            )
        if isinstance(family, Imported):
            self._require_rows(imported_family(family.function))

    def family_as(self, kind: type[F]) -> F:
        """The family, of which the caller knows the class; `ConfigError` if not."""
        if isinstance(self.family, kind):
            return self.family
        raise ConfigError(
            f"EnsembleConfig.family={self.family} must be {kind.__name__}(...) here; "
            "give the configuration of that family."
        )

    def sized(
        self, dim: int, num_samples: int, num_components: int
    ) -> "EnsembleConfig":
        """The same family for instances of other sizes; a rank beyond d is d."""
        family = self.family
        if isinstance(family, Spiked | LowRank | Gapped):
            family = family.replace(rank=min(family.rank, dim))
        return self.replace(
            family=family,
            dim=dim,
            num_samples=num_samples,
            num_components=num_components,
        )

    def flat(self) -> dict[str, Any]:
        """All values in one level, as options of the command line are."""
        options = self.family.options if isinstance(self.family, Imported) else ()
        return super().flat() | dict(options)

    @classmethod
    def kind_hint(cls, part: str) -> Any:
        """A text: the name of a family, or where a user's function is."""
        del part
        return str

    @classmethod
    def _flat_kind(cls, part: Any) -> str:
        return part.function if isinstance(part, Imported) else part.kind

    @classmethod
    def _of_kind(cls, part: str, kind: Any) -> dict[str, Any]:
        if isinstance(kind, str) and ":" in kind:
            return {"kind": "imported"}
        names = [name for name in cls._kinds(part) if name != "imported"]
        require(
            kind in names,
            f"EnsembleConfig.spectrum={kind!r} must be one of "
            f"{', '.join(map(repr, names))}; name a function of "
            "your own as 'package.module:function'.",
        )
        return {"kind": kind}

    @classmethod
    def _part(
        cls, part: str, flat_values: Mapping[str, Any], *, strict: bool
    ) -> dict[str, Any]:
        is_imported = ":" in str(flat_values.get("spectrum", ""))
        strict = strict and not is_imported
        values = super()._part(part, flat_values, strict=strict)
        if is_imported:
            defaults = {flat.name: flat.default for flat in cls.flat_fields()}
            values["options"] = [
                (name, value)
                for name, value in sorted(flat_values.items())
                if name != "spectrum" and value != defaults[name]
            ]
        return values

    def _require_rows(self, function: Callable[..., Any]) -> None:
        """Require that a user's function gives `[N, d]` floats; it is only traced."""
        import jax  # here alone: configurations are read before JAX is needed
        import jax.numpy as jnp

        field = f"Imported.function={self._flat_kind(self.family)!r}"
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
