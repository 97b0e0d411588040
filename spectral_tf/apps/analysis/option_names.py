"""Refusals in the words of the command line: `--svd=2`, not `DemoConfig.svd=2`.

Configurations refuse a value under its Python name, which is right in Python. A command
line has options; each is a field of the command's dataclass or of a configuration in
it.
"""

import contextlib
import dataclasses
import io
import re
import sys
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tyro

from spectral_tf.apps.analysis.flat_options import REGISTRY, flat_options
from spectral_tf.config import ConfigError, PartedConfig

NAME = re.compile(
    r"(?<![\w\-'\"/])(?<!\w\.)(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)"
    r"(?:=(?:(?P<flag>True|False)\b|'(?P<word>[^'\s]*)')|(?P<equals>=))?"
)
"""A name, and what is set to it: a truth value, a word in quotes, or anything else."""


def option_names(commands: Any, argv: Sequence[str]) -> dict[str, str]:
    """Python names of what a command line sets, and its options for them.

    Args:
        commands: dataclass of a command, or union of such, as tyro reads it.
        argv: arguments; the first words choose among the commands.

    Returns:
        `DemoConfig.svd`, `svd` and, for what is nested, `model.width` -> `--svd`.
        A bare name that two options share is left out.
    """
    words = [word for word in argv if not word.startswith("-")]
    pairs = list(_options(commands, words, ""))
    bare: dict[str, set[str]] = {}
    names = {}
    for name, option in pairs:
        names.setdefault(name, option)
        names.setdefault(option[2:].replace("-", "_"), option)
        bare.setdefault(name.rpartition(".")[2], set()).add(option)
    for short, options in bare.items():
        if len(options) == 1:
            (names[short],) = options
    return names


def _options(kind: Any, words: list[str], prefix: str) -> Iterator[tuple[str, str]]:
    """`(Class.field, --option)` of a command and of all that is nested in it."""
    kind = _chosen(_plain(kind)[0], words)
    if not dataclasses.is_dataclass(kind):
        return
    if isinstance(kind, type) and issubclass(kind, PartedConfig):
        for flat in flat_options(kind):
            option = f"--{prefix}{flat.name}".replace("_", "-")
            yield from ((field, option) for field in flat.fields)
        return
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        inner, marks = _plain(hints[field.name])
        if tyro.conf.Positional in marks or "Positional" in repr(marks):
            continue
        is_flat = any(getattr(mark, "name", None) == "" for mark in marks)
        below = prefix if is_flat else f"{prefix}{field.name}."
        if dataclasses.is_dataclass(_chosen(inner, words[1:])):
            yield from _options(inner, words[1:], below)
        else:
            option = f"{prefix}{field.name}".replace("_", "-")
            yield f"{getattr(kind, '__name__', '')}.{field.name}", f"--{option}"


def _plain(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without its marks, and the marks."""
    if typing.get_origin(hint) is typing.Annotated:
        inner, *marks = typing.get_args(hint)
        return inner, tuple(marks)
    return hint, ()


def _chosen(kind: Any, words: list[str]) -> Any:
    """The command of a union that the first word names."""
    if typing.get_origin(kind) not in (typing.Union, types.UnionType):
        return kind
    by_name = {getattr(each, "__name__", ""): each for each in typing.get_args(kind)}
    called = {name.lower(): each for name, each in by_name.items()}
    return called.get(words[0].lower()) if words else None


def in_options(message: str, names: Mapping[str, str]) -> str:
    """A refusal with options in place of Python names.

    Args:
        message: of an error.
        names: as from `option_names`.

    Returns:
        The message: `DemoConfig.svd=2` is `--svd=2`, `looped=True` is `--looped`. A
        bare word that may be an ordinary one (`data`, `seed`) is replaced only where a
        value is set to it. One that several options share is of the configuration
        named before it: `EnsembleConfig.num_components=3 must be <= dim=2`.
    """
    owner = ""

    def shown(match: re.Match[str]) -> str:
        nonlocal owner
        name, flag, word = match["name"], match["flag"], match["word"]
        is_set = flag is not None or word is not None or match["equals"] is not None
        option = names.get(name, names.get(f"{owner}.{name}"))
        if name in names:
            owner = name.rpartition(".")[0] or owner
        if option is None or not (is_set or "." in name or "_" in name):
            return match[0]
        if flag is not None:
            place, dot, last = option[2:].rpartition(".")
            return option if flag == "True" else f"--{place}{dot}no-{last}"
        if word is not None:
            return f"{option}={word}" if word else f"{option}=''"
        return f"{option}{match['equals'] or ''}"

    return NAME.sub(shown, message)


class _Held(io.StringIO):
    """What goes to stderr while arguments are read; looks like the real stderr."""

    def isatty(self) -> bool:
        return sys.__stderr__ is not None and sys.__stderr__.isatty()


def parsed(commands: Any, argv: Sequence[str] | None, prog: str) -> Any:
    """Read a command line.

    Args:
        commands: dataclass of a command, or union of such.
        argv: arguments without the program's name; None takes the process's.
        prog: name of the program.

    Returns:
        The command.

    Raises:
        ConfigError: if a configuration refuses a value. tyro would print the refusal in
            a frame that names its own internals.
        SystemExit: for anything else that is wrong, and for `--help`.
    """
    held = _Held()
    try:
        with contextlib.redirect_stderr(held):
            return tyro.cli(commands, args=argv, prog=prog, registry=REGISTRY)
    except SystemExit as stop:
        # The exit was raised while the refusal was handled.
        cause: BaseException | None = stop
        while cause is not None and not isinstance(cause, ConfigError):
            cause = cause.__context__
        if cause is not None:
            raise cause from None
        sys.stderr.write(held.getvalue())
        raise
