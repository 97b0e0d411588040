"""What a certificate says, and that its parts are the theorems they claim to be."""

import dataclasses
import json

import numpy as np
import pytest

from spectral_tf.certificate import certify, certify_covariance, sources
from spectral_tf.certificate.block import Block, Claim
from spectral_tf.certificate.sources import Matrix
from spectral_tf.config import ConfigError, DataError


def problem(dim: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A covariance with eigenvalues 1/i, and its eigenpairs, descending."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
    covariance = turn @ np.diag(1 / np.arange(1.0, dim + 1)) @ turn.T
    covariance = (covariance + covariance.T) / 2
    values, columns = np.linalg.eigh(covariance)
    return covariance, values[::-1], columns.T[::-1]


def nudged(rows: np.ndarray, size: float, seed: int = 1) -> np.ndarray:
    return rows + size * np.random.default_rng(seed).standard_normal(rows.shape)


@pytest.mark.parametrize("dim", [8, 40, 150])
@pytest.mark.parametrize("noise", [1e-2, 1e-4])
def test_enclosures_hold_the_eigenvalues(dim, noise):
    covariance, values, rows = problem(dim)
    source = Matrix(covariance, 0.0, True)
    claim = Claim.of(source, nudged(rows[:3], noise / dim))
    assert claim is not None
    block = Block.of(source, claim, 3)
    assert np.all(block.lower <= values[:3])
    assert np.all(values[:3] <= block.upper)
    assert values[3] <= block.rest.bound < values[2]
    # The upper bounds are quadratic in the residual where the gap is wide.
    assert np.all(block.upper - block.lower < 10 * noise**2 + 1e-10)


@pytest.mark.parametrize("noise", [1e-3, 1e-6, 1e-9])
def test_the_angle_bound_is_close_to_the_angle(noise):
    covariance, values, rows = problem(12)
    claimed = nudged(rows[:2], noise)
    found = certify_covariance(covariance, values[:2], claimed, tol=0.1)
    unit = claimed / np.linalg.norm(claimed, axis=1, keepdims=True)
    sines = np.linalg.norm(
        unit - np.sum(unit * rows[:2], axis=1)[:, None] * rows[:2], axis=1
    )
    assert np.all(sines <= found.angle_bound)
    assert np.all(found.angle_bound <= 5 * sines)


@pytest.mark.parametrize("size", [30, 200])
def test_scale_changes_nothing_but_the_units(size):
    covariance, values, rows = problem(size)
    one = certify_covariance(covariance, values[:4], rows[:4])
    scale = 2.0**-700
    other = certify_covariance(covariance * scale, values[:4] * scale, rows[:4])
    np.testing.assert_allclose(other.angle_bound, one.angle_bound, rtol=1e-12)
    np.testing.assert_allclose(other.gap, one.gap * scale, rtol=1e-12)


@pytest.mark.parametrize("size", [0.1, 3.0])
def test_a_poor_last_claim_does_not_spoil_the_others(size):
    covariance, values, rows = problem(20)
    claimed = rows[:4].copy()
    claimed[3] = nudged(rows[3:4], size)[0]
    found = certify_covariance(covariance, values[:4], claimed)
    assert found.status == ("certified", "certified", "certified", "loose")
    assert found.num_leading in (3, 4)
    assert found.uncertified == (4,)
    assert not found.is_certified


def test_an_error_of_the_matrix_loosens_the_bounds():
    covariance, values, rows = problem(10)
    exact = certify_covariance(covariance, values[:2], rows[:2])
    rough = certify_covariance(covariance, values[:2], rows[:2], error=1e-5)
    assert np.all(rough.angle_bound >= exact.angle_bound + 1e-5)
    assert certify_covariance(covariance, values[:2], rows[:2], error=0.1).status == (
        "loose",
        "loose",
    )


def test_without_a_factorisation_the_trace_decides(monkeypatch):
    monkeypatch.setattr(sources, "LARGEST_FACTOR", 4)
    values = np.r_[10.0, 5.0, 0.01 * np.ones(6)]
    spiked = certify_covariance(
        np.diag(values), values[:2], np.eye(8)[:2], is_semidefinite=True
    )
    assert spiked.method == "trace"
    assert spiked.is_certified
    assert spiked.next_bound >= 0.01
    flat = certify_covariance(np.diag(np.linspace(2, 1, 8)), [2.0], np.eye(8)[:1])
    assert flat.status == ("loose",)


@pytest.mark.parametrize("shape", [(300, 12), (9, 30)])
@pytest.mark.parametrize("mean", [0.0, 1e6])
def test_a_table_is_certified_from_its_rows(shape, mean):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape) * np.arange(1, shape[1] + 1) ** -1.0 + mean
    centred = x - x.mean(axis=0)
    _, scales, rows = np.linalg.svd(centred, full_matrices=False)
    values = scales**2 / len(x)
    found = certify(x, values[:3], rows[:3])
    assert found.is_certified
    assert np.all(found.angle_bound < 1e-6)
    wrong = certify(x, values[1:4], rows[1:4])
    assert "certified" not in wrong.status


def test_all_of_a_matrix_leaves_nothing_below():
    covariance, values, rows = problem(5)
    found = certify_covariance(covariance, values, rows)
    assert found.is_certified
    assert found.next_bound == -np.inf


def test_it_reads_well_and_travels_as_json():
    matrix = np.diag([3.0, 2.0, 2.0, 1.0])
    found = certify_covariance(matrix, [3.0, 2.0, 2.0], np.eye(4)[:3])
    text = repr(found)
    assert "3 certified" in text
    assert "the span of ranks 2-3" in text
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    counts = {"certified": 3, "probable": 0, "loose": 0, "replaced": 0}
    assert document["status_counts"] == counts
    assert document["entries"][1]["ranks"] == [2, 3]
    nothing = certify_covariance(matrix, [np.nan], np.eye(4)[:1])
    assert json.loads(json.dumps(nothing.to_dict(), allow_nan=False))["entries"]


def test_replaced_components_keep_their_bounds():
    covariance, values, rows = problem(6)
    found = certify_covariance(covariance, values[:3], rows[:3])
    marked = found.with_replaced([2])
    assert marked.status == ("certified", "replaced", "certified")
    np.testing.assert_array_equal(marked.angle_bound, found.angle_bound)
    assert marked.is_certified
    assert dataclasses.is_dataclass(marked)


@pytest.mark.parametrize(
    ("matrix", "rows", "word"),
    [
        (np.ones((2, 3)), np.ones((1, 2)), r"expected \[d, d\]"),
        (np.array([[1.0, 2.0], [0.0, 1.0]]), np.eye(2)[:1], "not symmetric"),
        (np.diag([1.0, np.nan]), np.eye(2)[:1], "NaN or infinity"),
        (np.eye(2), np.ones((1, 3)), "do not fit"),
        (np.eye(2), np.ones((0, 2)), "do not fit"),
    ],
)
def test_what_does_not_fit_is_refused(matrix, rows, word):
    with pytest.raises(DataError, match=word):
        certify_covariance(matrix, np.ones(len(rows)), rows)


@pytest.mark.parametrize("tol", [0.0, -1.0, 2.0, np.nan])
def test_a_tolerance_that_is_no_angle_is_refused(tol):
    with pytest.raises(ConfigError, match="radians"):
        certify_covariance(np.eye(2), [1.0], np.eye(2)[:1], tol=tol)


def test_a_table_must_be_finite():
    with pytest.raises(DataError, match="finite"):
        certify(np.array([[1.0, np.inf]]), np.ones(1), np.ones((1, 2)))
