"""The commands `audit verify` and `audit show`."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple

import tyro

from spectral_tf.apps.audit import Verdict, find_entry, verify_log
from spectral_tf.config.wording import agreed, counted

Log = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="LOG")]


Rerun = Callable[[Mapping[str, Any], Path | None], dict[str, Any]]
"""Of an entry, and the data if they are no longer at their place: the entry that the
same command would write now."""


class Judged(NamedTuple):
    """What a command shows, and whether all is well."""

    document: dict[str, Any]
    text: str
    is_good: bool


@dataclasses.dataclass(frozen=True)
class Verify:
    """Check every entry of an audit log, and its head; exit code 1 if one is wrong."""

    # The log, audit.jsonl; its head lies beside it.
    log: Log
    # Digest of the head at some earlier time, as a command printed it.
    expect: str | None = None
    # Print the verdict as JSON on stdout and nothing else.
    json: bool = False

    def run(self) -> Judged:
        """Read the log.

        Returns:
            The verdict.

        Raises:
            AuditError: if there is no log.
            ConfigError: for a path or a digest that is none.
        """
        verdict = verify_log(self.log, self.expect)
        lines = [verdict_line(verdict)]
        if verdict.since is not None:
            lines.append(
                f"The expected digest is that of an entry; {verdict.since:,} "
                f"{agreed(verdict.since, 'was', 'were')} added since."
            )
        return Judged(verdict_document(verdict), "\n".join(lines), verdict.is_intact)


@dataclasses.dataclass(frozen=True)
class Show:
    """Print an entry of an audit log, and make its decision again; 1 if it differs."""

    # The log, audit.jsonl; its head lies beside it.
    log: Log
    # Its number from 1, its id or the beginning of it, or: last.
    id: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="ENTRY")]
    # The table, if it is no longer at the recorded path.
    data: Path | None = None
    # Print everything as JSON on stdout and nothing else.
    json: bool = False

    def run(self, reruns: Mapping[str, Rerun] = MappingProxyType({})) -> Judged:
        """Read the log and the table, fit, compare.

        Args:
            reruns: how commands are run again that are not of this folder, by name.

        Returns:
            The entry, the verdict on the log, and the comparisons.

        Raises:
            AuditError: if there is no such entry, or it cannot be run again.
            DataError: if the table cannot be read.
            ConfigError: for a path that is none, or weights that are missing.
        """
        from spectral_tf.apps.analysis.audit_text import entry_lines
        from spectral_tf.apps.analysis.replay import compared, replay

        verdict = verify_log(self.log)
        entry = find_entry(self.log, self.id)
        command = entry.get("command")
        name = str(command.get("name")) if isinstance(command, dict) else ""
        if name in reruns:
            again = reruns[name](entry, self.data)
            checks = compared(entry, again)
        else:
            checks, again = replay(entry, self.data)
        is_good = verdict.is_intact and all(check.is_same for check in checks)
        marks = {True: "same", False: "DIFFERS"}
        number = entry["n"]
        place = f"number {number:,}, line {number + 1:,} of {self.log}"
        lines = [f"Entry {entry['id']}, {place}", ""]
        lines += [*entry_lines(entry), "", "Run again:"]
        lines += [f"{marks[c.is_same]:<7}  {c.name}: {c.what}" for c in checks]
        others = other_machine(entry, again)
        lines += [f"note     {name}: {text}" for name, text in others.items()]
        lines += ["", verdict_line(verdict)]
        lines.append(
            "The decision is confirmed."
            if is_good
            else "The decision is NOT confirmed: see above."
        )
        document = {
            "entry": entry,
            "log": verdict_document(verdict),
            "checks": [check._asdict() for check in checks],
            "notes": others,
            "decision": again["decision"],
            "is_confirmed": is_good,
        }
        return Judged(document, "\n".join(lines), is_good)


def verdict_line(verdict: Verdict) -> str:
    """What is known about a log, in a sentence."""
    if verdict.fault is not None:
        return f"{verdict.log} is NOT intact: {verdict.fault.sentence()}."
    count = counted(verdict.entries, "entry", "entries")
    return f"{verdict.log} is intact: {count}, head {verdict.last}"


def verdict_document(verdict: Verdict) -> dict[str, Any]:
    """A verdict as plain data."""
    fault = None if verdict.fault is None else verdict.fault._asdict()
    return {
        "log": str(verdict.log),
        "log_id": verdict.log_id,
        "is_intact": verdict.is_intact,
        "entries": verdict.entries,
        "head": verdict.last,
        "fault": fault,
        "since": verdict.since,
    }


def other_machine(entry: dict[str, Any], again: dict[str, Any]) -> dict[str, str]:
    """Versions and device where they are others; numbers may differ by them."""
    found = {}
    for part in ("versions", "device"):
        was, now = entry.get(part, {}), again.get(part, {})
        for name in sorted(was.keys() | now.keys()):
            if was.get(name) != now.get(name):
                text = f"now {now.get(name)}; the log has {was.get(name)}"
                found[f"{part}.{name}"] = text
    return found
