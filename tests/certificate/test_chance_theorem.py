"""The theorem behind `probable`, where it is sharp, and a campaign of the statement."""

import math

import numpy as np
import pytest

from spectral_tf.certificate.chance import (
    ETA,
    FACTOR,
    LENGTHS,
    STARTS,
    missed_share,
)


def extremal(products, share, size):
    """Eigenvalues and how often each is repeated: no polynomial does well on them.

    At the extrema s_j of T_{2q-1}, eigenvalues (1 - eps)(1 - s_j^2) have masses in
    proportion to |L_j(1)| / s_j, L_j being Lagrange's polynomials: the dual of the
    Chebyshev problem in the proof.
    """
    s = np.cos(np.pi * np.arange(products) / (2 * products - 1))
    points = (1 - share) * (1 - s**2)
    outside = np.array(
        [
            np.prod((1 - np.delete(points, j)) / (points[j] - np.delete(points, j)))
            for j in range(products)
        ]
    )
    masses = np.abs(outside) / s
    counts = np.maximum(np.round((size - 1) * masses / masses.sum()), 1).astype(int)
    return np.r_[1.0, points], np.r_[1, counts]


def largest_ritz(values, masses, products):
    """`[runs]` largest Ritz value of q steps from starts with these squared masses."""
    basis = np.polynomial.chebyshev.chebvander(2 * values - 1, products - 1)
    rows = np.sqrt(masses)[:, :, None] * basis[None]
    space = np.linalg.qr(rows)[0]
    inner = np.einsum("rij,i,rik->rjk", space, values, space)
    return np.linalg.eigvalsh(inner)[:, -1]


@pytest.mark.parametrize(("products", "root"), [(6, 0.55), (12, 0.26), (20, 0.165)])
def test_the_constant_is_never_exceeded_and_nearly_reached(products, root):
    """One start: what is counted lies between .8 of the exact tail and the bound."""
    share, runs = root**2, 8_000
    values, counts = extremal(products, share, 2000)
    size = int(counts.sum())
    rng = np.random.default_rng(products)
    masses = rng.chisquare(np.broadcast_to(counts, (runs, len(counts))))
    failed = np.mean(largest_ritz(values, masses, products) < 1 - share)
    bound = FACTOR * math.sqrt(size) * math.exp(-root * (2 * products - 1))
    # A miss needs |b_1| <= 1 / cosh(theta), whose chance is about 2 c_n / cosh(theta).
    theta = (2 * products - 1) * math.atanh(root)
    exact = 2 * math.sqrt((size - 1) / (2 * math.pi)) / math.cosh(theta)
    spread = 4 * math.sqrt(exact / runs)
    assert 0.02 < exact < bound < 0.5
    assert failed <= exact + spread
    assert failed >= 0.8 * exact - spread
    assert failed <= bound


@pytest.mark.parametrize("size", [2, 3, 4, 10, 1000])
def test_the_tail_of_one_coordinate_is_below_the_constant(size):
    """P(|b_1| <= t) <= .824 sqrt(n) t for every n, by quadrature of its density."""
    angle = np.linspace(0, np.pi / 2, 200_001)
    # b_1 = sin(angle) has the density cos(angle)^(n - 2), up to its size.
    density = np.cos(angle) ** (size - 2)
    tail = np.cumsum((density[1:] + density[:-1]) / 2)
    tail = tail / tail[-1]
    assert np.all(tail <= FACTOR / 2 * math.sqrt(size) * np.sin(angle[1:]))
    if size > 2:  # and below the constant of the proof
        limit = math.sqrt(2 * (size - 1) / math.pi) * np.sin(angle[1:])
        assert np.all(tail <= limit * (1 + 1e-9))


def misses(values, runs, rng):
    """Statements of `probable` that are false, at its shortest length, in batches."""
    products, size, count = LENGTHS[0], len(values), 0
    share = missed_share(size, products, STARTS, ETA / len(LENGTHS))
    assert share < 1
    basis = np.polynomial.chebyshev.chebvander(2 * values - 1, products - 1)
    for first in range(0, runs, 500):
        starts = rng.standard_normal((min(500, runs - first), size, STARTS))
        rows = np.einsum("iq,ris->riqs", basis, starts)
        space = np.linalg.qr(rows.reshape(len(rows), size, -1))[0]
        inner = np.einsum("rij,i,rik->rjk", space, values, space, optimize=True)
        largest = np.linalg.eigvalsh(inner)[:, -1]
        count += int(np.sum(largest / (1 - share) < 1))
    return count


SPECTRA = {
    "extremal": np.repeat(*extremal(LENGTHS[0], 0.16, 64)),
    "spike": np.r_[1.0, np.zeros(63)],
    "two levels": np.repeat([1.0, 0.8, 0.0], [1, 40, 23]),
    "evenly spaced": np.linspace(1, 0, 64),
}


@pytest.mark.parametrize(
    "runs", [250, pytest.param(25_000, marks=pytest.mark.long)], ids=["few", "many"]
)
@pytest.mark.parametrize("name", SPECTRA)
def test_the_campaign_of_the_statement(name, runs):
    """By `-m long` 100,000 runs over four spectra, failures against eta = 1e-3."""
    count = misses(SPECTRA[name], runs, np.random.default_rng(sum(map(ord, name))))
    assert count <= ETA * runs
