"""Tables on which a Krylov space is exhausted early, or hardly, by kind."""

import numpy as np

ROWS, COLUMNS = 30, 24


def rotated(rng, eigenvalues, rows=ROWS):
    """Rows whose covariance has about these eigenvalues, in a random basis."""
    basis = np.linalg.qr(rng.normal(size=(len(eigenvalues),) * 2))[0]
    left = rng.normal(size=(rows, len(eigenvalues)))
    return left * np.sqrt(eigenvalues) @ basis.T


def repeated(rng, spread):
    """Three eigenvalues, each eight times, apart by `spread`."""
    values = np.repeat([3.0, 2.0, 1.0], 8) * (1 + spread * rng.normal(size=24))
    left = np.linalg.qr(rng.normal(size=(60, 24)))[0]
    basis = np.linalg.qr(rng.normal(size=(24, 24)))[0]
    return left * np.sqrt(np.abs(values)) @ basis.T


def laplacian(rng):
    """Of a random graph."""
    links = np.triu(rng.random((COLUMNS, COLUMNS)) < 0.15, 1).astype(float)
    links = links + links.T
    return np.diag(links.sum(axis=0)) - links


KINDS = {
    "few columns": lambda rng: rng.normal(size=(ROWS, 5)),
    "two rows": lambda rng: rng.normal(size=(2, COLUMNS)),
    "rank 1": lambda rng: rng.normal(size=(ROWS, 1)) * rng.normal(size=(1, COLUMNS)),
    "rank 4": lambda rng: rng.normal(size=(ROWS, 4)) @ rng.normal(size=(4, COLUMNS)),
    "zero": lambda rng: np.full((ROWS, 5), rng.normal()),
    "repeated": lambda rng: repeated(rng, 0.0),
    "nearly repeated": lambda rng: repeated(rng, 1e-6),
    "condition 1e12": lambda rng: rotated(rng, np.geomspace(1, 1e-12, COLUMNS)),
    "condition 1e4": lambda rng: rotated(rng, np.geomspace(1, 1e-4, COLUMNS)),
    "one-hot": lambda rng: np.eye(COLUMNS)[rng.integers(0, COLUMNS, ROWS)],
    "laplacian": laplacian,
    "heavy tails": lambda rng: rng.standard_t(1.5, size=(ROWS, COLUMNS)),
    "power law": lambda rng: rotated(rng, np.arange(1.0, 25) ** -1.5, 20),
}
"""Name -> function of a numpy Generator that gives `[N, d]` rows."""
