"""Configurations with parts as options of one level: `--model.width`, not more words.

A part of one class or another would be a command of its own to tyro. Here every field
of every class that a part can have is an option, and a value for a class that was not
chosen is refused.
"""

import dataclasses
import functools
import inspect
import itertools
import typing
from typing import Any, Literal, NamedTuple

from tyro.constructors import (
    ConstructorRegistry,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

from spectral_tf.config import PartedConfig

REGISTRY = ConstructorRegistry()
"""What `tyro.cli` needs to read a configuration with parts."""


class FlatOption(NamedTuple):
    """An option of a configuration with parts.

    Attributes:
        name: in the flat form.
        hint: its type, of all classes that have it.
        comment: beside the field, with the kinds of part that it is of.
        fields: `Class.field` of all that it sets.
    """

    name: str
    hint: Any
    comment: str
    fields: tuple[str, ...]


@functools.cache
def flat_options(kind: type[PartedConfig]) -> tuple[FlatOption, ...]:
    """The options of a configuration with parts.

    Args:
        kind: class of the configuration.

    Returns:
        One for each name of the flat form that can be set.
    """
    options = []
    by_name: dict[str, list[Any]] = {}
    for flat in kind.flat_fields():
        by_name.setdefault(flat.name, []).append(flat)
    for part, selector in kind.PARTS.items():
        if selector is not None:
            fields = [f"{kind.__name__}.{selector}", f"{kind.__name__}.{part}"]
            for flat in by_name.pop(selector, []):
                fields.append(f"{flat.owner.__name__}.{flat.field}")
            hint, comment = kind.kind_hint(part), comments(kind)[part]
            options.append(FlatOption(selector, hint, comment, tuple(fields)))
    for name, flats in by_name.items():
        remarks: dict[str, list[str]] = {}
        for flat in flats:
            tag = getattr(flat.owner, "kind", "") if flat.part else ""
            remarks.setdefault(comments(flat.owner)[flat.field], []).append(tag)
        comment = " ".join(
            f"{', '.join(tags)}: {text}" if any(tags) else text
            for text, tags in remarks.items()
        )
        fields = [f"{flat.owner.__name__}.{flat.field}" for flat in flats]
        hint = functools.reduce(_either, [flat.hint for flat in flats])
        mine = f"{kind.__name__}.{name}"
        options.append(FlatOption(name, hint, comment, (mine, *fields)))
    return tuple(options)


def _either(one: Any, other: Any) -> Any:
    """The type of an option that is of one type in a class and of another elsewhere."""
    if typing.get_origin(one) is typing.get_origin(other) is Literal:
        values = dict.fromkeys((*typing.get_args(one), *typing.get_args(other)))
        return Literal[tuple(values)]
    return one if one == other else one | other


@functools.cache
def comments(kind: type[Any]) -> dict[str, str]:
    """Field -> the comment above it, which is its help text.

    Args:
        kind: a dataclass.

    Returns:
        Empty where the source cannot be read.
    """
    try:
        lines = [line.strip() for line in inspect.getsource(kind).splitlines()]
    except OSError:
        return dict.fromkeys((f.name for f in dataclasses.fields(kind)), "")
    texts = {}
    for name in (field.name for field in dataclasses.fields(kind)):
        place = next(i for i, line in enumerate(lines) if line.startswith(f"{name}: "))
        above = itertools.takewhile(lambda s: s.startswith("# "), lines[:place][::-1])
        texts[name] = " ".join(line[2:] for line in [*above][::-1])
    return texts


@REGISTRY.struct_rule
def parted(info: StructTypeInfo) -> StructConstructorSpec | None:
    """How tyro reads a configuration with parts: by `from_flat`."""
    kind = info.type
    if not (isinstance(kind, type) and issubclass(kind, PartedConfig)):
        return None
    default = info.default if isinstance(info.default, kind) else kind()
    values = default.flat()
    fields = [
        StructFieldSpec(one.name, one.hint, values[one.name], one.comment)
        for one in flat_options(kind)
    ]
    return StructConstructorSpec(instantiate=kind.from_flat, fields=tuple(fields))
