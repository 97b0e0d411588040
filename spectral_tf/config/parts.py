"""Configurations with parts, and the flat form in which their options are one level.

`ModelConfig` has a layout of one class or another, `EnsembleConfig` a family. Options
of the command line, and files of before there were parts, write all of it in one level:
`{"parameterisation": "dense", "width": 64}` for `{"layout": {"kind": "dense", ...}}`.
"""

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

from spectral_tf.config.base import Config, nested_configs, require, tuples

P = TypeVar("P", bound="PartedConfig")


class FlatField(NamedTuple):
    """A name of the flat form, and where its value is.

    Attributes:
        name: in the flat form.
        owner: class that declares it.
        field: its name there.
        part: field of the parted configuration that holds the owner; "" = itself.
    """

    name: str
    owner: type[Config]
    field: str
    part: str = ""

    @property
    def default(self) -> Any:
        """Of the field; `dataclasses.MISSING` where it must be given."""
        (field,) = (f for f in dataclasses.fields(self.owner) if f.name == self.field)
        return field.default

    @property
    def hint(self) -> Any:
        """The type of the field."""
        return typing.get_type_hints(self.owner)[self.field]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PartedConfig(Config):
    """A configuration with a part of one class among several, which has a `kind`."""

    # Field that holds a part -> the flat name of its kind; None where it is always of
    # one class.
    PARTS: ClassVar[Mapping[str, str | None]] = {}

    @classmethod
    def flat_fields(cls) -> tuple[FlatField, ...]:
        """All names of the flat form; one that two classes share stands there twice."""
        return tuple(cls._flat_fields())

    @classmethod
    def _flat_fields(cls) -> Iterator[FlatField]:
        for field in dataclasses.fields(cls):
            selector = cls.PARTS.get(field.name, "")
            if selector == "":
                yield FlatField(field.name, cls, field.name)
                continue
            for kind in cls._kinds(field.name).values():
                # An empty name is of a field that the flat form does not have.
                names = getattr(kind, "FLAT_NAMES", {})
                for inner in dataclasses.fields(kind):
                    name = names.get(inner.name, inner.name)
                    if inner.init and name:
                        yield FlatField(name, kind, inner.name, field.name)

    @classmethod
    def _kinds(cls, part: str) -> dict[str, type[Config]]:
        """Kind -> class of a part; the kind is "" where there is only one."""
        classes = nested_configs(typing.get_type_hints(cls)[part])
        return {getattr(kind, "kind", ""): kind for kind in classes}

    def flat(self) -> dict[str, Any]:
        """All values in one level; what the parts do not have is at its default.

        The same names and values as before there were parts, and so the same digest.
        """
        values: dict[str, Any] = {}
        for flat in self.flat_fields():
            part = getattr(self, flat.part) if flat.part else self
            if isinstance(part, flat.owner):
                values[flat.name] = getattr(part, flat.field)
            elif flat.default is not dataclasses.MISSING:
                values.setdefault(flat.name, flat.default)
        for name, selector in self.PARTS.items():
            part = getattr(self, name)
            values |= getattr(part, "FLAT_ABSENT", {})
            if selector is not None:
                values[selector] = self._flat_kind(part)
        return values

    @classmethod
    def flattened(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """The dictionary of `to_dict` in one level, names that are unknown included.

        For files of another version, which no configuration can be built from.
        """
        level = dict(values)
        for part, selector in cls.PARTS.items():
            inner = level.pop(part, None)
            if not isinstance(inner, Mapping):
                continue
            tag = inner.get("kind", "")
            names = getattr(cls._kinds(part).get(tag), "FLAT_NAMES", {})
            absent = getattr(cls._kinds(part).get(tag), "FLAT_ABSENT", {})
            for flat in cls.flat_fields():
                if flat.part == part and flat.default is not dataclasses.MISSING:
                    level.setdefault(flat.name, absent.get(flat.name, flat.default))
            moved = {names.get(name, name): value for name, value in inner.items()}
            level |= {name: v for name, v in moved.items() if name not in ("kind", "")}
            if selector is not None:
                level.setdefault(selector, tag)
        return level

    @classmethod
    def from_flat(cls: type[P], **values: Any) -> P:
        """Rebuild from `flat`, or from some of its values.

        Args:
            **values: by their flat names; the rest is at its defaults.

        Returns:
            The configuration.

        Raises:
            ConfigError: for an unknown name, an invalid value, or one that means
                nothing for the kind of part that is asked for.
        """
        return cls.from_dict(cls._parted(values, strict=True))

    @classmethod
    def from_dict(cls: type[P], values: Mapping[str, Any]) -> P:
        """Rebuild from `to_dict` or from `flat`; an unknown name is refused.

        Flat files name all values, those of other kinds of parts, too, which are left
        out.

        Args:
            values: as of `Config.from_dict`.

        Returns:
            The configuration.

        Raises:
            ConfigError: for an unknown name or an invalid value.
        """
        return super().from_dict(cls._parted(values, strict=False))

    @classmethod
    def _parted(cls, values: Mapping[str, Any], *, strict: bool) -> dict[str, Any]:
        """`values` with what has a flat name moved into its part."""
        rest = {name: tuples(value) for name, value in values.items()}
        fields = cls.flat_fields()
        for part, selector in cls.PARTS.items():
            names = {flat.name for flat in fields if flat.part == part} | {selector}
            inside = {name: rest.pop(name) for name in names & set(rest) if name}
            if not inside:
                continue
            require(
                part not in rest,
                f"{cls.__name__}.{part} holds {', '.join(sorted(inside))}, which stand "
                "beside it as well; give them in one of the two ways.",
            )
            rest[part] = cls._part(part, inside, strict=strict)
        return rest

    @classmethod
    def _part(
        cls, part: str, flat_values: Mapping[str, Any], *, strict: bool
    ) -> dict[str, Any]:
        """The dictionary of a part from flat values."""
        selector = cls.PARTS[part]
        if selector is None:
            kind = ""
            values = {}
        else:
            kind = flat_values.get(selector, cls._default_kind(part))
            values = cls._of_kind(part, kind)
        owner = cls._kinds(part)[values.get("kind", "")]
        others = {f.name: f.default for f in cls.flat_fields() if f.part == part}
        absent = getattr(owner, "FLAT_ABSENT", {})
        mine = {flat.name: flat for flat in cls.flat_fields() if flat.owner is owner}
        for name, value in flat_values.items():
            if name in mine:
                values[mine[name].field] = value
            elif name != selector and strict:
                require(
                    value in (others[name], absent.get(name, others[name])),
                    f"{cls.__name__}.{name}={value!r} means nothing for {selector}="
                    f"{kind!r}; leave it out, or choose another {selector}.",
                )
        return values

    @classmethod
    def _default_kind(cls, part: str) -> str:
        """The flat name of the kind of part that is there by default."""
        (field,) = (field for field in dataclasses.fields(cls) if field.name == part)
        assert field.default_factory is not dataclasses.MISSING
        return cls._flat_kind(field.default_factory())

    @classmethod
    def kind_hint(cls, part: str) -> Any:
        """The type of what the flat form says for the kind of a part."""
        return Literal[tuple(cls._kinds(part))]

    @classmethod
    def _flat_kind(cls, part: Any) -> str:
        """What the flat form says for the kind of a part."""
        return part.kind

    @classmethod
    def _of_kind(cls, part: str, kind: Any) -> dict[str, Any]:
        """The start of a part's dictionary: its kind, which is checked."""
        kinds = cls._kinds(part)
        require(
            kind in kinds,
            f"{cls.__name__}.{cls.PARTS[part]}={kind!r} must be one of "
            f"{', '.join(map(repr, kinds))}.",
        )
        return {"kind": kind}
