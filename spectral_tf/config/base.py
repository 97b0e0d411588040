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
            nested = _nested(hint)
            if nested is not None and typing.get_origin(hint) is tuple:
                build = functools.partial(_object, cls, name, nested)
                built[name] = tuple(map(build, value))
            elif nested is not None:
                built[name] = _object(cls, name, nested, value)
            else:
                built[name] = _tuples(value)
        return cls(**built)

    def replace(self: C, **changes: Any) -> C:
        """Copy with some fields changed (and checked again)."""
        return dataclasses.replace(self, **changes)


def _nested(hint: Any) -> type[Config] | None:
    """The configuration that a field of this type holds, itself or in a tuple."""
    args = typing.get_args(hint)
    inner = args[0] if typing.get_origin(hint) is tuple and args else hint
    is_config = isinstance(inner, type) and issubclass(inner, Config)
    return inner if is_config else None


def _object(owner: type[Config], name: str, kind: type[C], value: Any) -> C:
    require(
        isinstance(value, Mapping),
        f"{owner.__name__}.{name}={value!r} must be an object.",
    )
    return kind.from_dict(value)
