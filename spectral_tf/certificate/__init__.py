"""A-posteriori bounds for eigenpairs: from the data, not from who claims them."""

from spectral_tf.certificate.answer import (
    STATUSES,
    Certificate,
    CertificateError,
    CertificateWarning,
    Entry,
)
from spectral_tf.certificate.certify import certify, certify_covariance
from spectral_tf.certificate.chance import Chance

__all__ = [
    "STATUSES",
    "Certificate",
    "CertificateError",
    "CertificateWarning",
    "Chance",
    "Entry",
    "certify",
    "certify_covariance",
]
