"""A decision of the audit log made again: the same data, the same arguments."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from spectral_tf.apps.analysis.commands import Analysis, Cluster, Detect, Pca
from spectral_tf.apps.analysis.document import parameters_of
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

COMMANDS: dict[str, type[Analysis]] = {"pca": Pca, "cluster": Cluster, "detect": Detect}
MEANT: Mapping[str, Mapping[str, Any]] = {"detect": {"judge": "residual"}}
"""What an entry without the argument meant: older than a choice or its default."""
TOLERANCE = 1e-6
"""Numbers are the same if they differ by less than this, relative to the larger."""


class Check(NamedTuple):
    """One comparison of the log with the second run.

    Attributes:
        name: of what was compared.
        is_same: whether it is.
        what: in words.
    """

    name: str
    is_same: bool
    what: str


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
    name = entry["command"]["name"]
    again = entry_of(name, parameters_of(command), source, table, answer)
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
        for mark, compare in _DECISIONS.items():
            if mark in new:
                checks += compare(old, new)
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
    kind, arguments = COMMANDS.get(recorded.get("name", "")), recorded.get("arguments")
    if kind is None or not isinstance(arguments, dict):
        raise AuditError(
            f"entry {entry.get('id')} is of no command that can be run again; these "
            f"can: {', '.join(COMMANDS)}."
        )
    known = {field.name for field in dataclasses.fields(kind)}
    unknown = sorted(arguments.keys() - known)
    require(
        not unknown,
        f"entry {entry.get('id')} has arguments that this version does not know: "
        f"{', '.join(unknown)}; use the version that it names.",
    )
    arguments = {name: arguments[name] for name in arguments.keys() - {"out"}}
    values = {**MEANT.get(recorded.get("name", ""), {}), **arguments}
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


def _near(one: Any, other: Any) -> bool:
    return math.isclose(one, other, rel_tol=TOLERANCE)


def _number(name: str, was: float, now: float) -> Check:
    if _near(was, now):
        return Check(name, True, f"{now:.6g}")
    return Check(name, False, f"now {now!r}; the log has {was!r}")


def _numbers(name: str, was: Mapping[Any, float], now: Mapping[Any, float]) -> Check:
    """Numbers by name; those in one of them only are another check's."""
    both = [key for key in was if key in now]
    off = [key for key in both if not _near(was[key], now[key])]
    if not off:
        return Check(name, True, f"{len(both):,} to {TOLERANCE:g} relative")
    told = listed([f"{k}: now {now[k]!r}, the log has {was[k]!r}" for k in off], 5)
    return Check(name, False, f"{len(off):,} of {len(both):,} differ: {told}")


def _detect(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Check]:
    was, now = ({a["row"]: a for a in one["alarms"]} for one in (old, new))
    gone, more = (
        [str(r) for r in a if r not in b] for a, b in ((was, now), (now, was))
    )
    said = [f"no longer: row {listed(gone)}"] if gone else []
    said += [f"new: row {listed(more)}"] if more else []
    off = [str(row) for row in was if row in now and not _alike(was[row], now[row])]
    same = "the features and components of each alarm, with their shares"
    scores = [
        {f"row {row}": a["score"] for row, a in one.items()} for one in (was, now)
    ]
    return [
        _number("threshold", old["threshold"], new["threshold"]),
        Check("alarms", not said, "; ".join(said) or f"{len(was):,}, the same rows"),
        _numbers("scores", *scores),
        Check("reasons", not off, f"row {listed(off)} differ" if off else same),
    ]


def _alike(was: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether an alarm has the same contributors, in any order where they tie."""
    for part, key in (("features", "column"), ("components", "component")):
        one, other = ({c[key]: c["share"] for c in a[part]} for a in (was, now))
        if one.keys() != other.keys():
            return False
        if any(abs(one[name] - other[name]) > TOLERANCE for name in one):
            return False
    return True


def _cluster(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Check]:
    sizes, labels = (
        [one[name] for one in (old, new)] for name in ("sizes", "labels_sha256")
    )
    checks = []
    for name, (was, now) in (("sizes", sizes), ("labels", labels)):
        what = str(now) if was == now else f"now {now}; the log has {was}"
        checks.append(Check(name, was == now, what))
    return checks


def _pca(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Check]:
    was, now = old["eigenvalues"], new["eigenvalues"]
    if len(was) != len(now):
        what = f"now {len(now)}; the log has {len(was)}"
        return [Check("eigenvalues", False, what)]
    named = [{f"pc{i}": v for i, v in enumerate(one, 1)} for one in (was, now)]
    return [_numbers("eigenvalues", *named)]


_DECISIONS = {"eigenvalues": _pca, "sizes": _cluster, "alarms": _detect}
"""What a decision has -> its comparisons."""
