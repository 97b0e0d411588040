"""Sentences in two languages, from the files `en.toml` and `ja.toml` beside the code.

Both files of a package have the same keys, and the sentences of a key the same
placeholders. A placeholder is the name of a value, and how it is written:

* `{name}`: a text in the language of the sentence; anything else as `str` writes it;
* `{name:.1%}`, `{name:,}`, `{name!r}`: as in a format string;
* `{name:count row}`, `{name:count entry|entries}`: a count with its noun;
* `{name:is|are}`: the word that goes with a count;
* `{name:capital}`: a text whose first letter is made large.
"""

import functools
import string
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from typing import Any

from spectral_tf.apps.report.page.parts import LANGUAGES, Text, Words
from spectral_tf.config.wording import agreed, counted


class Sentences:
    """The sentences of a package; a key has dots between the names of its tables.

    Attributes:
        package: whose `en.toml` and `ja.toml` are read, when first needed.
    """

    def __init__(self, package: str) -> None:
        self.package = package

    def __call__(self, key: str, /, **values: Any) -> Text:
        """A sentence with its values.

        Args:
            key: of the sentence.
            **values: of its placeholders.

        Returns:
            The sentence in both languages.

        Raises:
            KeyError: if a file lacks the key, or a placeholder has no value.
        """
        return filled(self.template(key), **values)

    def template(self, key: str) -> Text:
        """A sentence as it is written, placeholders and all."""
        return Text(*(self._files[lang][key] for lang in LANGUAGES))

    def table(self, key: str) -> dict[str, Text]:
        """Every sentence below a key, by the rest of its own key, unfilled."""
        start = f"{key}."
        keys = [name for name in self._files["en"] if name.startswith(start)]
        return {name.removeprefix(start): self.template(name) for name in keys}

    def joined(self, separator: str, parts: Sequence[Words]) -> Text:
        """Texts one after the other.

        Args:
            separator: its key.
            parts: texts.

        Returns:
            The texts with the separator between them; an empty text for none.
        """
        between = self.template(separator)
        return Text(
            *(
                between.of(lang).join(_in_language(part, lang) for part in parts)
                for lang in LANGUAGES
            )
        )

    @functools.cached_property
    def _files(self) -> dict[str, dict[str, str]]:
        folder = resources.files(self.package)
        return {
            lang: dict(
                _flat(tomllib.loads(folder.joinpath(f"{lang}.toml").read_text("utf-8")))
            )
            for lang in LANGUAGES
        }


def _flat(tables: Mapping[str, Any], start: str = "") -> Iterator[tuple[str, str]]:
    for name, value in tables.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{start}{name}.")
        else:
            yield f"{start}{name}", value


def filled(text: Text, /, **values: Any) -> Text:
    """A text with values in the places of its placeholders.

    Args:
        text: a template in both languages.
        **values: by the names of the placeholders.

    Returns:
        The text in both languages.

    Raises:
        KeyError: if a placeholder has no value.
    """
    return Text(*(_filled(text.of(lang), lang, values) for lang in LANGUAGES))


def _filled(template: str, lang: str, values: Mapping[str, Any]) -> str:
    parts = []
    for literal, name, spec, conversion in string.Formatter().parse(template):
        parts.append(literal)
        if name is not None:
            value = _in_language(values[name], lang)
            value = repr(value) if conversion == "r" else value
            parts.append(_written(value, spec or ""))
    return "".join(parts)


def _in_language(value: Any, lang: str) -> Any:
    return value.of(lang) if isinstance(value, Text) else value


def _written(value: Any, spec: str) -> str:
    """A value as its placeholder wants it; see the head of this file."""
    if spec.startswith("count "):
        return counted(value, *spec.removeprefix("count ").split("|"))
    if "|" in spec:
        return agreed(value, *spec.split("|"))
    if spec == "capital":
        return value[:1].upper() + value[1:]
    return format(value, spec)


say = Sentences("spectral_tf.apps.report.page")
"""What every page has around its parts."""
