"""Runs of training, seen afterwards or while they go: read, compare, draw."""

from typing import TYPE_CHECKING

from spectral_tf.lazy import lazily

if TYPE_CHECKING:
    from spectral_tf.apps.watch.commands import Runs, write_curve
    from spectral_tf.apps.watch.compare import compare_runs, run_curve, runs_document
    from spectral_tf.apps.watch.fine_tuning import filled_in, outcome
    from spectral_tf.apps.watch.live import Watch
    from spectral_tf.apps.watch.pretrain import Pretrain
    from spectral_tf.apps.watch.read import Run, find_runs, read_run

__all__ = [
    "Pretrain",
    "Run",
    "Runs",
    "Watch",
    "compare_runs",
    "filled_in",
    "find_runs",
    "outcome",
    "read_run",
    "run_curve",
    "runs_document",
    "write_curve",
]

_HOMES = {
    "commands": ("Runs", "write_curve"),
    "compare": ("compare_runs", "run_curve", "runs_document"),
    "fine_tuning": ("filled_in", "outcome"),
    "live": ("Watch",),
    "pretrain": ("Pretrain",),
    "read": ("Run", "find_runs", "read_run"),
}
"""Module -> the public names that it defines."""

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES)
