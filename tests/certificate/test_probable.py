"""The probabilistic statement: false no more often than its eta, and never a proof."""

import json
import math

import numpy as np
import pytest

from spectral_tf.certificate import Chance, certify
from spectral_tf.certificate import chance as chances
from spectral_tf.certificate.block import certify_source
from spectral_tf.certificate.chance import ETA, LENGTHS, missed_share, probable
from spectral_tf.certificate.sources import Matrix
from spectral_tf.config import ConfigError

DIM = 96
"""Large enough that the shortest space is a part of it: what chance is about."""
SPECTRA = {
    "one above a cluster": np.r_[1.0, np.full(DIM - 1, 0.9)],
    "power law": 1.0 / np.arange(1, DIM + 1),
    "evenly spaced": np.linspace(1, 0, DIM),
    # Where a polynomial is as large as it can be: the worst for a Krylov space.
    "chebyshev": np.r_[1.0, 0.4 * (1 + np.cos(np.pi * np.arange(DIM - 1) / (DIM - 2)))],
    "spike": np.r_[1.0, np.zeros(DIM - 1)],
    "pairs": np.repeat(np.linspace(1, 0.2, DIM // 2), 2),
}
QUICK, FULL = 100, 100_000


def source_of(values: np.ndarray) -> Matrix:
    """Diagonal: a random start does not see the basis."""
    return Matrix(np.diag(values), 0.0, True)


def misses(values: np.ndarray, seeds: range, *, missed: int = 0) -> int:
    """How often the bound beyond the first `missed` eigenvectors is false."""
    source, basis = source_of(values), np.eye(DIM, missed)
    bounds = [
        probable(source, basis, math.inf, Chance(seed=seed)).bound for seed in seeds
    ]
    assert np.all(np.isfinite(bounds))
    return int(np.sum(np.array(bounds) < values[missed]))


@pytest.mark.parametrize("name", SPECTRA)
def test_the_bound_is_false_no_more_often_than_eta(name):
    for missed in (0, 3):
        assert misses(SPECTRA[name], range(QUICK), missed=missed) <= ETA * QUICK


@pytest.mark.long
@pytest.mark.parametrize("name", SPECTRA)
def test_the_bound_is_false_no_more_often_than_eta_over_a_hundred_thousand(name):
    runs = -(-FULL // len(SPECTRA))
    assert misses(SPECTRA[name], range(runs)) <= ETA * runs


def lanczos_share(values: np.ndarray, products: int, seed: int) -> float:
    """The share that the space of one start misses."""
    source = source_of(values)
    space = np.zeros((len(values), 0))
    following = np.random.default_rng(seed).standard_normal((len(values), 1))
    images = []
    for _ in range(products):
        space = chances.widened(space, following)
        images.append(following := source.product(space[:, -1:]))
    inner = space.T @ np.concatenate(images, axis=1)
    return 1 - float(np.linalg.eigvalsh((inner + inner.T) / 2)[-1]) / values[0]


def test_the_theorem_holds_and_a_quarter_of_it_does_not():
    """One start and an eta that can be counted; the count must see what is false."""
    worst = 0.0
    for name in ("evenly spaced", "chebyshev", "one above a cluster"):
        for products in (6, 10):
            shares = [lanczos_share(SPECTRA[name], products, s) for s in range(200)]
            for eta in (0.3, 0.1):
                bound = missed_share(DIM, products, 1, eta)
                assert np.mean(np.array(shares) > bound) <= eta
                worst = max(worst, float(np.mean(np.array(shares) > bound / 4)) / eta)
    assert worst > 1


def test_more_products_and_more_starts_miss_less_and_a_smaller_chance_more():
    shares = [missed_share(4096, q, 8, ETA) for q in LENGTHS]
    assert shares == sorted(shares, reverse=True)
    assert missed_share(4096, 10, 8, ETA) < missed_share(4096, 10, 1, ETA)
    assert missed_share(4096, 10, 8, 1e-6) > missed_share(4096, 10, 8, ETA)
    # ln(1.648 * 64) + ln(1000) = 11.566, over 2 * 10 - 1, squared.
    assert missed_share(4096, 10, 1, 1e-3) == pytest.approx(0.37056, abs=1e-4)
    for eta in (0.0, 1.0, -1.0):
        with pytest.raises(ConfigError, match="eta="):
            Chance(eta)


def test_a_space_that_fills_the_complement_leaves_nothing_to_chance():
    values = np.array([3.0, 2, 1, 0.5, 0.25])
    for missed in range(5):
        bound = probable(source_of(values), np.eye(5, missed), math.inf, Chance()).bound
        assert values[missed] <= bound <= values[missed] * (1 + 1e-12)


def claims(values: np.ndarray, ranks: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Exact eigenpairs of a diagonal matrix."""
    return values[ranks], np.eye(len(values))[ranks]


def test_true_claims_are_probable_and_counted_apart():
    values = 1.3 ** -np.arange(DIM)
    found = certify_source(
        source_of(values), *claims(values, [0, 1, 2]), tol=1e-3, chance=Chance()
    )
    assert found.status == ("probable",) * 3
    assert found.method == "chance"
    assert found.eta == ETA
    assert not found.is_certified
    assert found.uncertified == (1, 2, 3)
    counts = {"certified": 0, "probable": 3, "loose": 0, "replaced": 0}
    assert found.counts() == counts
    assert "false by a chance of 0.001" in repr(found)
    assert json.loads(json.dumps(found.to_dict()))["eta"] == ETA
    assert values[3] <= found.next_bound < values[2]


def test_guards_make_the_bound_useful_and_are_not_claimed():
    values = 1.0 / np.arange(1, DIM + 1)
    guards = np.eye(DIM)[4:12]
    wrong = np.random.default_rng(0).standard_normal((8, DIM))
    ranks = [0, 1, 2, 3]
    given = source_of(values), *claims(values, ranks)
    for vectors, is_right in ((guards, True), (wrong, False)):
        found = certify_source(*given, tol=1e-3, guards=vectors, chance=Chance())
        assert len(found.entries) == 4
        assert values[4] <= found.next_bound
        assert found.next_bound <= 2 * values[4]
        assert (found.num_leading > 4) == is_right
    # Ranks 4 and 5 are equal: the span has a vector in it that nobody claims.
    values[4] = values[3]
    given = source_of(values), *claims(values, ranks)
    found = certify_source(*given, tol=1e-3, guards=guards, chance=Chance())
    assert found.status[3] == "loose"


def test_a_missed_eigenvector_is_seen():
    """Claims that leave out the largest, the second, or the last of the top ones."""
    rng = np.random.default_rng(1)
    for seed in range(150):
        values = np.sort(rng.random(DIM) ** rng.integers(1, 5))[::-1].copy()
        ranks = sorted(rng.choice(6, size=4, replace=False).tolist())
        given = source_of(values), *claims(values, ranks)
        found = certify_source(*given, tol=1e-3, chance=Chance(seed=seed))
        for place, entry in enumerate(found.entries):
            if entry.status == "probable":
                first, last = entry.ranks
                assert ranks[first - 1 : last] == [*range(first - 1, last)], ranks
            assert entry.status != "certified"
            error = abs(values[ranks[place]] - values[place])
            assert entry.eigenvalue_error >= error


@pytest.mark.parametrize("shape", [(300, 40), (40, 300)])
def test_of_a_table(shape):
    rng = np.random.default_rng(2)
    x = rng.normal(size=shape) * 1.5 ** -np.arange(shape[1])
    covariance = np.cov(x, rowvar=False, bias=True)
    values, columns = np.linalg.eigh(covariance)
    top = values[:-4:-1], columns.T[:-4:-1]
    assert certify(x, *top).status == ("certified",) * 3
    found = certify(x, *top, chance=Chance())
    assert set(found.status) == {"probable"}
    assert found.in_units(4.0).eta == ETA
