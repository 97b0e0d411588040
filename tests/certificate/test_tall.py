"""Products with tall, thin matrices are what numpy says, however they are cut."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from spectral_tf.certificate import tall
from spectral_tf.certificate.tall import matrix_product, normal_product, orthonormal

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    "shape", [(3000, 500), (500, 3000), (17, 70_000), (70_000, 17)]
)
@pytest.mark.parametrize("workers", [1, 3])
def test_products(shape, workers, monkeypatch):
    monkeypatch.setattr(tall, "workers", lambda: workers)
    x, columns = RNG.normal(size=shape), RNG.normal(size=(shape[1], 5))
    assert x.size > tall.SMALL
    expected = x.T @ (x @ columns)
    size = np.abs(expected).max()
    assert_allclose(normal_product(x, columns), expected, atol=1e-13 * size)


def test_products_of_a_matrix():
    matrix = RNG.normal(size=(1100, 1100))
    columns = RNG.normal(size=(1100, 3))
    assert_allclose(matrix_product(matrix, columns), matrix @ columns, atol=1e-11)


CASES = {
    "plain": RNG.normal(size=(5000, 8)),
    "of unlike lengths": RNG.normal(size=(5000, 8)) * 10.0 ** np.arange(-100, -60, 5),
    "nearly dependent": np.ones((5000, 8)) + 1e-10 * RNG.normal(size=(5000, 8)),
    "dependent": np.ones((5000, 8)),
    "zero": np.zeros((5000, 3)),
    "few rows": RNG.normal(size=(50, 8)),
    "none": np.zeros((5000, 0)),
}


@pytest.mark.parametrize("name", CASES)
def test_bases(name):
    columns = CASES[name]
    basis, upper = orthonormal(columns)
    size = columns.shape[1]
    assert basis.shape == columns.shape
    assert_allclose(basis.T @ basis, np.eye(size), atol=1e-13)
    assert_allclose(np.tril(upper, -1), 0)
    lengths = np.linalg.norm(columns, axis=0)
    off = np.linalg.norm(basis @ upper - columns, axis=0)
    assert np.all(off <= 1e-12 * lengths)
