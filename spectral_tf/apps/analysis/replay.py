"""A decision of the audit log made again: the same data, the same arguments."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spectral_tf.apps.analysis.checks import Check
from spectral_tf.apps.analysis.commands import Analysis
from spectral_tf.apps.analysis.document import parameters_of
from spectral_tf.apps.analysis.kinds import KINDS
from spectral_tf.apps.analysis.record import (
    entry_of,
    power_method_digest,
    read_source,
    shipped_with,
)
from spectral_tf.apps.audit import AuditError
from spectral_tf.config import ReadOptions, require
from spectral_tf.config.wording import counted
from spectral_tf.tables.columns import listed


def replay(
    entry: Mapping[str, Any], data: Path | None = None
) -> tuple[list[Check], dict[str, Any]]:
    """Run an analysis of the audit log again, and compare.

    Args:
        entry: of the log.
        data: the table, where it is not at the recorded path.

    Returns:
        The comparisons, and the entry that the second run would have written.

    Raises:
        AuditError: if the entry is of no analysis, or of another version's.
        DataError: if the table cannot be read or analysed.
        ConfigError: if weights are missing.
        CertificateError: with a recorded `fallback="raise"`.
    """
    command = command_of(entry, data)
    command.check()
    read, source = read_source(command.file, command.reading)
    table, answer = command.analysed(read)
    again = entry_of(command, parameters_of(command), source, table, answer)
    return compared(entry, again), again


def compared(entry: Mapping[str, Any], again: Mapping[str, Any]) -> list[Check]:
    """Compare an entry with the one that a second run would have written.

    Args:
        entry: of the log.
        again: of the second run.

    Returns:
        The comparisons: input, setting, decision.

    Raises:
        AuditError: if the entry lacks something.
    """
    try:
        old, new = entry["decision"], again["decision"]
        checks = [_input(entry, again), *_setting(entry, again)]
        # A study decides what several kinds do.
        for kind in (known.load() for known in KINDS.values()):
            checks += kind.compared(old, new) if kind.decides in new else []
        return checks
    except (KeyError, TypeError) as error:
        raise AuditError(
            f"entry {entry.get('id')} lacks what this version compares ({error}); use "
            "the version that it names."
        ) from error


def command_of(entry: Mapping[str, Any], data: Path | None) -> Analysis:
    """The command of an entry, with its arguments.

    Args:
        entry: of the log.
        data: the table, where it is not at the recorded path.

    Returns:
        The command, reading absolute paths.

    Raises:
        AuditError: if the entry has none that this version knows.
    """
    recorded = entry.get("command")
    recorded = recorded if isinstance(recorded, dict) else {}
    known, arguments = KINDS.get(recorded.get("name", "")), recorded.get("arguments")
    if known is None or not isinstance(arguments, dict):
        raise AuditError(
            f"entry {entry.get('id')} is of no command that can be run again; these "
            f"can: {', '.join(KINDS)}."
        )
    kind: type[Analysis] = known.load()
    names = {field.name for field in dataclasses.fields(kind)}
    unknown = sorted(arguments.keys() - names)
    require(
        not unknown,
        f"entry {entry.get('id')} has arguments that this version does not know: "
        f"{', '.join(unknown)}; use the version that it names.",
    )
    arguments = {name: arguments[name] for name in arguments.keys() - {"out"}}
    values = {**kind.meant, **arguments}
    values = {**values, "columns": tuple(arguments.get("columns", ()))}
    path, weights = entry["input"]["path"], entry["engine"]["weights"]
    if weights is None:  # the shipped one, which may have another name by now
        weights = shipped_with(entry["engine"]["sha256"].get("pretrained"))
    values["file"] = str(data) if data is not None else path or arguments["file"]
    # Entries of before there were options have none, and were read with none.
    values["reading"] = ReadOptions.from_dict(arguments.get("reading", {}))
    values["weights"] = None if weights is None else Path(weights)
    return kind(**values)


def _input(old: Mapping[str, Any], new: Mapping[str, Any]) -> Check:
    was, now = old["input"]["sha256"], new["input"]["sha256"]
    where = new["input"]["path"] or new["input"]["source"]
    if was == now:
        return Check("input", True, f"{where} has the sha256 {now}")
    return Check("input", False, f"{where} has the sha256 {now}, the log has {was}")


def _setting(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Check]:
    """What has to be the same, to the letter, before a decision is."""
    engine, was, now = "weights", old["engine"]["sha256"], new["engine"]["sha256"]
    if was.get("constructed", "") != now.get("constructed", ""):
        kept = len(old["certificate"]["status"])
        shape = (old["schema"]["rows"], len(old["schema"]["columns"]))
        if was.get("constructed") == power_method_digest(kept, shape):
            # An earlier construction; the decision is compared all the same.
            now = {**now, "constructed": was["constructed"]}
    parts = [
        ("schema", old["schema"], new["schema"]),
        ("engine", old["engine"]["name"], new["engine"]["name"]),
        (engine, was, now),
        ("certificate", old["certificate"]["status"], new["certificate"]["status"]),
    ]
    return [
        Check(name, was == now, _said(was) if was == now else _both(was, now))
        for name, was, now in parts
    ]


def _said(value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, dict) and "columns" in value:
        columns = counted(len(value["columns"]), "column")
        return f"{counted(value['rows'], 'row')}, {columns}"
    if isinstance(value, dict):
        return listed([f"{k} {v}" for k, v in value.items()]) or "none are read"
    if isinstance(value, list):
        counts = {one: value.count(one) for one in value}
        return listed([f"{count} {one}" for one, count in counts.items()])
    return str(value)


def _both(was: Any, now: Any) -> str:
    return f"now {_said(now)}; the log has {_said(was)}"
