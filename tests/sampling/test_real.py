"""Real data: how features are reduced and how rows become blocks."""

import jax
import numpy as np
import pytest

from spectral_tf.sampling.real import CHUNK_SIZE, row_blocks, svd_reduce
from spectral_tf.tables.load import DataError

# Reduction.


def test_svd_reduce_keeps_inner_products_at_full_rank():
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(40, 5)) @ rng.normal(size=(5, 12)) + 3).astype(np.float32)
    reduced = svd_reduce(x, 5)
    assert (reduced.shape, reduced.dtype) == ((40, 5), np.float32)
    rows = x - x.mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(reduced @ reduced.T, rows @ rows.T, atol=1e-3)


@pytest.mark.parametrize("shape", [(40, 6), (6, 40)])
def test_svd_reduce_agrees_with_eigh_and_does_not_whiten(shape):
    x = np.random.default_rng(1).normal(size=shape) + 7
    reduced = svd_reduce(x, 4)
    covariance = np.cov(x, rowvar=False, bias=True)
    expected = np.linalg.eigvalsh(covariance)[::-1][:4]
    gram = reduced.T @ reduced / shape[0]
    np.testing.assert_allclose(gram, np.diag(expected), atol=1e-5)
    np.testing.assert_allclose(reduced.mean(axis=0), 0, atol=1e-6)
    directions = (x - x.mean(axis=0)).T @ reduced  # proportional to the vectors
    assert (directions.max(axis=0) > -directions.min(axis=0)).all()  # canonical sign


def test_svd_reduce_refuses_dimensions_out_of_bounds():
    x = np.random.default_rng(2).normal(size=(4, 7))
    for dim in (0, 5):
        with pytest.raises(DataError, match=rf"dim={dim} must lie in 1\.\.4.*larger"):
            svd_reduce(x, dim)


# Blocks.


@pytest.fixture
def table():
    return np.random.default_rng(3).normal(size=(47, 6)).astype(np.float32) + 2


def test_blocks_are_rows_of_the_table_without_repetition(key, table):
    batch = row_blocks(key, table, block_size=10, num_components=2)
    assert (batch.x.shape, batch.mask.shape) == ((4, 10, 6), (4, 10))
    assert batch.mask.all()
    position = {row.tobytes(): index for index, row in enumerate(table)}
    used = [position[row.tobytes()] for row in np.asarray(batch.x).reshape(-1, 6)]
    assert len(set(used)) == 40
    assert used != sorted(used)


def test_targets_are_the_eigenpairs_of_each_block(key, table):
    batch = row_blocks(key, table, block_size=23, num_components=3)
    assert batch.eigenvectors.shape == (2, 3, 6)
    for x, values, vectors in zip(
        *map(np.asarray, (batch.x, batch.eigenvalues, batch.eigenvectors)), strict=True
    ):
        covariance = np.cov(x.astype(float), rowvar=False, bias=True)
        expected_values, columns = np.linalg.eigh(covariance)
        np.testing.assert_allclose(values, expected_values[::-1][:3], rtol=1e-5)
        expected = columns.T[::-1][:3]
        cosines = np.abs(np.sum(vectors * expected, axis=-1))
        np.testing.assert_allclose(cosines, 1, atol=1e-5)
        pivots = np.take_along_axis(vectors, np.abs(vectors).argmax(1)[:, None], 1)
        assert (pivots > 0).all()


def test_blocks_beyond_a_chunk_have_targets_of_their_own(key):
    count = CHUNK_SIZE + 2
    x = np.random.default_rng(4).normal(size=(3 * count, 2)).astype(np.float32)
    batch = row_blocks(key, x, block_size=3, num_components=1)
    blocks = np.asarray(batch.x, np.float64)
    expected = [np.linalg.eigvalsh(np.cov(one.T, bias=True))[-1:] for one in blocks]
    np.testing.assert_allclose(batch.eigenvalues, expected, rtol=1e-5)
    assert len(expected) == count


def test_blocks_depend_on_the_key_alone(key, table):
    first = row_blocks(key, table, block_size=10, num_components=1)
    again = row_blocks(key, table.astype(float), block_size=10, num_components=1)
    other = row_blocks(jax.random.key(1), table, block_size=10, num_components=1)
    np.testing.assert_array_equal(first.x, again.x)
    assert again.x.dtype == np.float32
    assert not np.array_equal(first.x, other.x)


@pytest.mark.parametrize(("most", "count"), [(1, 1), (3, 3), (9, 4), (None, 4)])
def test_max_blocks_takes_the_first(key, table, most, count):
    whole = row_blocks(key, table, block_size=10, num_components=1)
    batch = row_blocks(key, table, block_size=10, num_components=1, max_blocks=most)
    assert batch.x.shape[0] == count
    np.testing.assert_array_equal(batch.x, whole.x[:count])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"block_size": 48}, r"block_size=48 must lie in 2\.\.47.*rows.*; lower it"),
        ({"block_size": 1}, r"block_size=1 must lie in 2\.\.47.*; raise it"),
        (
            {"num_components": 7},
            r"num_components=7 must lie in 1\.\.6.*features.*; lower it",
        ),
        ({"num_components": 0}, r"num_components=0 must lie in 1\.\.6"),
        ({"max_blocks": 0}, r"max_blocks=0 must be >= 1; None takes all"),
    ],
)
def test_sizes_out_of_bounds_are_refused(key, table, changes, message):
    sizes = {"block_size": 10, "num_components": 2} | changes
    with pytest.raises(DataError, match=message):
        row_blocks(key, table, **sizes)
