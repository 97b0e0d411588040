"""A-posteriori bounds for eigenpairs: from the data, not from who claims them."""

from spectral_tf.certificate.answer import (
    Certificate,
    CertificateError,
    CertificateWarning,
    Entry,
)
from spectral_tf.certificate.certify import certify, certify_covariance

__all__ = [
    "Certificate",
    "CertificateError",
    "CertificateWarning",
    "Entry",
    "certify",
    "certify_covariance",
]
