"""What every analysis has: how components are sought, and what is known of them."""

import contextlib
import dataclasses
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spectral_tf.config import ConfigError, DataError

if TYPE_CHECKING:
    from spectral_tf.certificate import Certificate
    from spectral_tf.estimators import SpectralPCA


@dataclasses.dataclass(frozen=True, kw_only=True)
class Search:
    """How components are found and checked; see `SpectralPCA`."""

    engine: str = "auto"
    weights: Path | None = None
    tol: float = 1e-3
    fallback: str = "eigh"
    seed: int = 0

    def options(self) -> dict[str, Any]:
        """Keywords of the estimators."""
        found = dataclasses.asdict(self)
        return found | {"random_state": found.pop("seed")}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """What every analysis has.

    Attributes:
        certificate: of the components.
        engine: who found them.
        reason: why that engine.
        shares: `[k]` of the variance of the rows that the components are of.
        scores: `[N, k]` coordinates in the components.
        notes: warnings of the fit, one sentence each.
    """

    certificate: "Certificate"
    engine: str
    reason: str
    shares: np.ndarray
    scores: np.ndarray
    notes: tuple[str, ...]

    @property
    def networks(self) -> tuple[str, ...]:
        """Shipped networks that had a part beside the engine; their names."""
        return ()


def about_components(pca: "SpectralPCA") -> dict[str, Any]:
    """What `Answer` says of the components.

    Args:
        pca: fitted.

    Returns:
        Keywords of `Answer`, but for scores and notes.
    """
    assert pca.certificate_ is not None
    return {
        "certificate": pca.certificate_,
        "engine": pca.engine_,
        "reason": pca.engine_reason_,
        "shares": pca.explained_variance_ratio_,
    }


@contextlib.contextmanager
def noted() -> Iterator[list[str]]:
    """Warnings for users become notes; scikit-learn's refusals become `DataError`.

    What a `CertificateWarning` says stands in the certificate.

    Yields:
        The notes; complete afterwards.
    """
    from spectral_tf.certificate import CertificateError, CertificateWarning

    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            yield notes
        except (ConfigError, DataError, CertificateError):
            raise
        except ValueError as error:
            raise DataError(f"the table cannot be used: {error}") from error
    for warning in caught:
        if not issubclass(warning.category, UserWarning):
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
        elif not issubclass(warning.category, CertificateWarning):
            text = " ".join(str(warning.message).split())
            notes += [f"Warning: {text}"] * (f"Warning: {text}" not in notes)
