"""Estimators are examined as users have them."""

import jaxtyping
import pytest


@pytest.fixture
def no_type_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the package's own checks the only ones, as they are for users.

    Otherwise beartype, on in the tests, speaks before them.
    """
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
