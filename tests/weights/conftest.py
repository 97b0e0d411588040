"""Checkpoints of the tests leave nothing in the cache of the shipped ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.weights.helpers import shipped_in


@pytest.fixture
def shipped(tmp_path, monkeypatch) -> Iterator[Path]:
    """A folder with the one checkpoint `pca-tiny`, in place of the package's."""
    yield from shipped_in(tmp_path / "shipped", monkeypatch)
