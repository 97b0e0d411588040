"""What all configurations share: type checks, bounds, JSON.

Bounds are refused with the value, the bound and the remedy in the message.
"""

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

# Not `typing.Self`: beartype, on in the tests, refuses it in a method.
C = TypeVar("C", bound="Config")


class ConfigError(ValueError):
    """A configuration value is out of bounds; the message says what to do."""


class DataError(ValueError):
    """Data cannot be used as given; the message says what to do."""


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


def _flat(value: Any) -> Any:
    """A value of `Config.flat`."""
    if isinstance(value, Config):
        return value.flat()
    return tuple(map(_flat, value)) if isinstance(value, tuple) else value


def _describe(hint: Any) -> str:
    kinds = nested_configs(hint)
    if len(kinds) > 1:
        return "one of " + ", ".join(kind.__name__ for kind in kinds)
    if typing.get_origin(hint) is Literal:
        return "one of " + ", ".join(map(repr, typing.get_args(hint)))
    return getattr(hint, "__name__", None) or str(hint).replace("typing.", "")


def tuples(value: Any) -> Any:
    """Lists (from JSON) back to tuples, recursively."""
    return tuple(map(tuples, value)) if isinstance(value, list | tuple) else value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Base of all configurations: type checks, `to_dict`, `from_dict`, `replace`."""

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not _matches(value, hints[field.name]):
                raise ConfigError(
                    f"{type(self).__name__}.{field.name}={value!r} must be "
                    f"{_describe(hints[field.name])}."
                )
            require(
                not isinstance(value, float) or math.isfinite(value),
                f"{type(self).__name__}.{field.name}={value} must be finite; "
                "give an ordinary number.",
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

    def flat(self) -> dict[str, Any]:
        """The same with the parts of a network and of an ensemble in one level.

        As options of the command line are; `from_dict` inverts it exactly, too.
        """
        names = [field.name for field in dataclasses.fields(self)]
        return {name: _flat(getattr(self, name)) for name in names}

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
        """
        hints = typing.get_type_hints(cls)
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(values) - set(known))
        require(
            not unknown,
            f"{cls.__name__} has no field {', '.join(unknown)}; "
            f"known fields: {', '.join(known)}.",
        )
        fields = dataclasses.fields(cls)
        missing = [
            field.name
            for field in fields
            if field.name not in values
            and field.default is field.default_factory is dataclasses.MISSING
        ]
        require(not missing, f"{cls.__name__} needs {', '.join(missing)}; set it.")
        fixed = {field.name: field.default for field in fields if not field.init}
        built = {}
        for name, value in values.items():
            if name in fixed:
                require(
                    value == fixed[name],
                    f"{cls.__name__}.{name}={value!r} must be {fixed[name]!r}: this is "
                    "the configuration of something else.",
                )
                continue
            hint = hints[name]
            nested = nested_configs(hint)
            if nested and typing.get_origin(hint) is tuple:
                build = functools.partial(_object, cls, name, nested)
                built[name] = tuple(map(build, value))
            elif nested:
                built[name] = _object(cls, name, nested, value)
            else:
                built[name] = tuples(value)
        return cls(**built)

    def replace(self: C, **changes: Any) -> C:
        """Copy with some fields changed (and checked again)."""
        return dataclasses.replace(self, **changes)


def nested_configs(hint: Any) -> tuple[type[Config], ...]:
    """The configurations that a field of this type may hold, itself or in a tuple."""
    args = typing.get_args(hint)
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        args = args[:1] if typing.get_origin(hint) is tuple else (hint,)
    is_config = lambda kind: isinstance(kind, type) and issubclass(kind, Config)
    return tuple(filter(is_config, args))


def _object(
    owner: type[Config], name: str, kinds: tuple[type[Config], ...], value: Any
) -> Config:
    """The configuration in a field; where it may be of several, its `kind` says which.

    A configuration that is built already stays.
    """
    if isinstance(value, kinds):
        return value
    require(
        isinstance(value, Mapping),
        f"{owner.__name__}.{name}={value!r} must be an object.",
    )
    (kind, *others) = kinds
    if others:
        by_name = {getattr(kind, "kind", ""): kind for kind in kinds}
        require(
            value.get("kind") in by_name,
            f"{owner.__name__}.{name} has kind={value.get('kind')!r}; it must be one "
            f"of {', '.join(map(repr, by_name))}.",
        )
        kind = by_name[value["kind"]]
    return kind.from_dict(value)
