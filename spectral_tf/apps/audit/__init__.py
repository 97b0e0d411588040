"""The audit log: which data, weights and settings led to which decision.

A log `NAME.jsonl` is append-only: one entry a line, each with the digest of the one
before. Beside it lie `NAME.head` (how many entries, the digest of the last, the size),
`NAME.lock` (for writers that take turns) and, after a writer was killed in the middle
of a line, `NAME.rejected` (the half lines).

`lines.py` is one line, `head.py` the head, `locking.py` the lock, `log.py` the writer,
`verify.py` the reader. Nothing here imports JAX or NumPy.

What a chain of digests cannot show: whoever can write to the folder can rewrite the log
and its head together, drop the last entries of both, or start a new log in place of the
old one; each digest is without a secret. Keep the digest of the head, which every
command prints, somewhere else, and give it to `verify_log(expect=...)`: an entry with
that digest is then still there, and so is, unchanged, every entry before it. Nor does
a log show what was never written to it, or that the clock was right.
"""

from typing import TYPE_CHECKING

from spectral_tf.lazy import lazily

if TYPE_CHECKING:
    from spectral_tf.apps.audit.lines import AuditError, canonical, new_id
    from spectral_tf.apps.audit.log import Receipt, append_entry, check_log, start_log
    from spectral_tf.apps.audit.verify import Fault, Verdict, find_entry, verify_log

__all__ = [
    "AuditError",
    "Fault",
    "Receipt",
    "Verdict",
    "append_entry",
    "canonical",
    "check_log",
    "find_entry",
    "new_id",
    "start_log",
    "verify_log",
]

_HOMES = {
    "lines": ("AuditError", "canonical", "new_id"),
    "log": ("Receipt", "append_entry", "check_log", "start_log"),
    "verify": ("Fault", "Verdict", "find_entry", "verify_log"),
}
"""Module -> the public names that it defines."""

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES)
