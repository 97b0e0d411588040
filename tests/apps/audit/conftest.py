"""A log of several entries, written by the package, and what can be done to it."""

import pytest

from spectral_tf.apps.audit import append_entry

COUNT = 7


@pytest.fixture
def log(tmp_path):
    """A header and `COUNT` entries, with numbers, texts and lists."""
    path = tmp_path / "audit.jsonl"
    for index in range(COUNT):
        alarms = [{"row": 10 * index + i, "score": 1.5 + i / 7} for i in range(index)]
        append_entry(path, {"command": "detect", "threshold": 1.25, "alarms": alarms})
    return path
