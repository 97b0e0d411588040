"""An entry of the audit log as text."""

from collections.abc import Iterator, Mapping
from typing import Any

from spectral_tf.tables.columns import listed

MOST = 20
"""Alarms, or items of a list, that are printed; the log holds all."""


def entry_lines(entry: Mapping[str, Any]) -> list[str]:
    """An entry, one fact a line.

    Args:
        entry: of the log.

    Returns:
        Lines.
    """
    first = ["time", "command", "seed", "input", "schema", "engine", "certificate"]
    last = ["versions", "device", "previous", "sha256"]
    middle = [name for name in entry if name not in {*first, *last, "n", "id", "kind"}]
    order = [name for name in [*first, *middle, *last] if name in entry]
    facts = [fact for name in order for fact in _facts(name, entry[name])]
    width = max(len(name) for name, _ in facts)
    return [f"{name:<{width}}  {text}" for name, text in facts]


def _facts(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Names with dots, and what they say."""
    if isinstance(value, dict) and value:
        for below, item in value.items():
            yield from _facts(f"{name}.{below}", item)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for place, item in enumerate(value[:MOST], start=1):
            yield f"{name} {place}", _phrase(item)
        if len(value) > MOST:
            yield name, f"and {len(value) - MOST:,} more"
    elif isinstance(value, list):
        yield name, listed([_word(item) for item in value], MOST) or "none"
    else:
        yield name, "none" if value in (None, {}) else _word(value)


def _phrase(item: Any) -> str:
    """A small dictionary in one line: what names it first, lists last."""
    if not isinstance(item, dict):
        return _word(item)
    if len(item) == 2 and isinstance(item.get("share"), float):
        (name,) = item.keys() - {"share"}
        return f"{item[name]} {item['share']:.1%}"
    parts = []
    by_kind = lambda name: (isinstance(item[name], list), name not in ("name", "row"))
    for name in sorted(item, key=by_kind):
        value = item[name]
        is_list = isinstance(value, list)
        said = "; ".join(map(_phrase, value)) if is_list else _word(value)
        parts.append(f"{name} {said}")
    return ", ".join(parts)


def _word(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
