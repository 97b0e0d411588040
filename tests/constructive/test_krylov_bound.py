"""The theorem of `lanczos_bound.py`, in exact arithmetic and for the network."""

import numpy as np
import pytest

from spectral_tf.constructive import block_lanczos
from spectral_tf.constructive.error_bound import error_bound
from spectral_tf.constructive.lanczos_bound import (
    Spectrum,
    chebyshev,
    cluster_sines,
    ritz_losses,
)
from tests.problems import spectrum_table

SPECTRA = {
    "power law": lambda rng, d: np.arange(1, d + 1) ** -rng.uniform(0.2, 3),
    "geometric": lambda rng, d: rng.uniform(0.3, 0.98) ** np.arange(d),
    "uniform": lambda rng, d: np.sort(rng.uniform(size=d))[::-1],
    "clusters": lambda rng, d: np.sort(np.round(rng.uniform(size=d), 1))[::-1],
    "low rank": lambda rng, d: np.r_[
        np.sort(rng.uniform(size=9))[::-1], np.zeros(d - 9)
    ],
}


def instances(name, count):
    rng = np.random.default_rng(sum(map(ord, name)))
    for _ in range(count):
        dim, block = int(rng.integers(10, 40)), int(rng.integers(3, 9))
        values = SPECTRA[name](rng, dim)
        start = np.linalg.qr(rng.standard_normal((dim, block)))[0].T
        yield values, start, int(rng.integers(1, 6))


@pytest.mark.parametrize("name", SPECTRA)
def test_no_ritz_value_is_below_the_bound_and_no_angle_above(name):
    """A hundred spectra, diagonal, so that the eigenvectors are known exactly."""
    said = 0
    for values, start, products in instances(name, 20):
        k, dim = 3, len(values)
        spectrum = Spectrum(values, np.eye(dim))
        losses = ritz_losses(spectrum, start, products, k)
        theta, vectors = block_lanczos(np.diag(values), start, products, k)
        assert np.all(theta <= values[:k] * (1 + 1e-12))
        assert np.all(values[:k] - theta <= losses + 1e-13)
        sines = cluster_sines(values, np.append(0.0, np.cumsum(losses)))
        for j in range(k):
            for low in range(j + 1):
                outside = np.delete(vectors[j] ** 2, slice(low, j + 1)).sum()
                assert np.sqrt(outside) <= sines[j, low, j] + 1e-6
        said += np.sum(losses < 0.1 * (values[:k] - values[-1]))
    assert said >= 5  # it is no empty claim


def test_the_polynomial_is_chebyshevs():
    x = np.linspace(1, 4, 7)
    for degree in range(7):
        want = np.polynomial.Chebyshev.basis(degree)
        got = np.array([chebyshev(degree, point) for point in x])
        np.testing.assert_allclose(got[:, 0], want(x), rtol=1e-9)
        np.testing.assert_allclose(got[:, 1], want.deriv()(x), rtol=1e-9, atol=1e-12)
    assert chebyshev(400, 100.0) == (np.inf, np.inf)


def test_a_bound_that_half_is_missing_from_would_be_seen():
    """The theorem says something: a hundredth of its bound is false."""
    broken = 0
    for values, start, products in instances("uniform", 40):
        losses = ritz_losses(Spectrum(values, np.eye(len(values))), start, products, 3)
        theta, _ = block_lanczos(np.diag(values), start, products, 3)
        broken += np.any(values[:3] - theta > losses / 100 + 1e-13)
    assert broken > 0


@pytest.mark.usefixtures("x64")
def test_more_products_more_start_vectors_and_wider_gaps_say_more():
    x = np.asarray(spectrum_table(0.8 ** np.arange(40), 100))
    bounds = [error_bound(x, 2, products, "krylov") for products in (1, 3, 6)]
    sizes = [bound.iteration for bound in bounds]
    assert np.all(sizes[0] > 5 * sizes[1])
    assert np.all(sizes[1] > 20 * sizes[2])
    last = bounds[-1]
    assert list(last.first) == list(last.last) == [1, 2]
    assert np.all(last.angle < 0.1)
    assert np.all(last.rounding > 0)
    assert np.all(last.eigenvalue >= last.iteration)
