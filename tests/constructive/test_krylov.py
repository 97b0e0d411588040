"""Krylov registers against block Lanczos, also where it breaks down."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spectral_tf.config import ConfigError
from spectral_tf.constructive import (
    POLAR,
    block_lanczos,
    krylov,
    krylov_recursion,
    subspace_iteration,
)
from spectral_tf.model.expand import expand
from spectral_tf.model.network import Network
from spectral_tf.model.params import unroll
from spectral_tf.model.transformer import predict_from_covariance, register_starts
from tests import problems, tables_of_kinds


def double(network):
    as_double = lambda leaf: leaf.astype(jnp.float64)
    return Network(network.config, jax.tree.map(as_double, network.params))


def scaled_covariance(x):
    """S / |S|_F, which is what the registers read."""
    x = np.asarray(x, np.float64)
    x = x - x.mean(axis=0)
    matrix = x.T @ x / len(x)
    size = np.linalg.norm(matrix)
    return matrix / size, size


def kept(state, half):
    """`(basis [n, R, d], images [n, R, d])` oldest first; the last has no image."""
    blocks = np.swapaxes(np.asarray(state), 0, 1)
    return blocks[:half][::-1], blocks[half:][::-1]


def test_every_block_is_block_lanczos_with_full_reorthogonalisation():
    x = problems.table(60, 31, seed=3)
    with jax.enable_x64(True):
        config, params = double(krylov(3, 3, block=4, floor=1e-10))
        rows = jnp.asarray(x, jnp.float64)
        _, steps = problems.forward(config, params, rows)
        start = np.asarray(register_starts(config, 31, jnp.float64))
        matrix, _ = scaled_covariance(rows)
        want = list(krylov_recursion(matrix, start, 3))
        assert len(want) == len(steps.state[0]) == 3
        for products, (state, step) in enumerate(
            zip(steps.state[0], want, strict=True), start=1
        ):
            basis, images = kept(state, half=4)
            filled = slice(3 - products, None)  # channels still to come are 0
            assert not basis[: 3 - products].any()
            shape = (products + 1, 4, 31)
            np.testing.assert_allclose(
                basis[filled], step.basis.reshape(shape), atol=1e-10
            )
            np.testing.assert_allclose(
                images[filled][:-1], step.images.reshape(products, 4, 31), atol=1e-10
            )


@pytest.mark.parametrize("form", ["shared", "unrolled", "dense"])
def test_the_answer_is_the_ritz_pairs(form):
    x = problems.table(80, 40, seed=1)
    network = krylov(4, 4, block=6)
    start = np.asarray(register_starts(network.config, 40, jnp.float32), np.float64)
    start = np.linalg.qr(start.T)[0].T
    matrix, size = scaled_covariance(x)
    values, vectors = block_lanczos(matrix, start, 4, 4)
    network = {"shared": lambda n: n, "unrolled": unroll}.get(
        form, lambda n: expand(n, 40)
    )(network)
    estimate = jax.jit(network)(x)
    np.testing.assert_allclose(estimate.eigenvalues, values * size, rtol=1e-5)
    cosine = np.abs(np.sum(np.asarray(estimate.eigenvectors) * vectors, axis=1))
    # Squaring ten times parts vectors whose values differ by more than a thousandth.
    np.testing.assert_allclose(cosine, 1, atol=1e-5)


def test_it_reads_rows_and_covariance_alike_and_takes_its_start_vectors():
    x = problems.table(50, 12, seed=2)
    network = krylov(3, 3, block=5)
    covariance = jnp.cov(x.T, bias=True)
    by_rows, by_matrix = (
        jax.jit(network)(x),
        jax.jit(predict_from_covariance, static_argnums=0)(*network, covariance),
    )
    np.testing.assert_allclose(
        by_rows.eigenvalues, by_matrix.eigenvalues, rtol=1e-5, atol=1e-5
    )
    exact = np.linalg.eigh(np.asarray(covariance, np.float64))[1][:, ::-1].T
    started = jax.jit(krylov(3, 1, block=3))(
        x, start=jnp.asarray(exact[:3], jnp.float32)
    )
    cosine = np.abs(np.sum(np.asarray(started.eigenvectors) * exact[:3], axis=1))
    np.testing.assert_allclose(cosine, 1, atol=1e-6)


@pytest.mark.parametrize("polar", [None, POLAR])
def test_with_fewer_products_than_subspace_iteration_it_is_more_accurate(polar):
    x = problems.table(200, 64, seed=5)
    exact = np.linalg.eigh(scaled_covariance(x)[0])[1][:, ::-1].T[:3]
    score = lambda network: np.abs(
        np.sum(np.asarray(jax.jit(network)(x).eigenvectors) * exact, axis=1)
    )
    assert (score(krylov(3, 6, polar=polar)) > score(subspace_iteration(3, 12))).all()
    np.testing.assert_allclose(score(krylov(3, 8, polar=polar)), 1, atol=1e-4)


def test_the_terminator_answers_from_one_block_more():
    x = problems.table(300, 128, seed=7)
    matrix, _ = scaled_covariance(x)
    exact = np.linalg.eigh(matrix)[1][:, ::-1].T[:4]
    score = lambda network: np.abs(
        np.sum(np.asarray(jax.jit(network)(x).eigenvectors) * exact, axis=1)
    )
    plain, ended = krylov(4, 3), krylov(4, 3, terminator=True)
    assert (score(ended) > score(plain)).all()
    # With every product it needs there is nothing left to guess.
    for network in (krylov(4, 16, block=8, terminator=True), krylov(4, 16)):
        np.testing.assert_allclose(score(network), 1, atol=2e-4)


@jax.jit
def answers(network, x, mask):
    """Of a batch; compiled once for the shapes of a network and of tables."""
    return jax.vmap(network)(x, mask)


def padded(tables, rows):
    """`(x [B, rows, d], mask [B, rows])` of tables of fewer rows."""
    count = len(tables[0])
    x = np.pad(np.stack(tables), ((0, 0), (0, max(rows - count, 0)), (0, 0)))
    mask = np.broadcast_to(np.arange(x.shape[1]) < count, x.shape[:2])
    return jnp.asarray(x, jnp.float32), jnp.asarray(mask)


def check_broken_down(network, tables, rows=60):
    """No Ritz value above the largest eigenvalue, no NaN, orthonormal answers."""
    x, mask = padded(tables, rows)
    estimate = answers(network, x, mask)
    values = np.asarray(estimate.eigenvalues, np.float64)
    vectors = np.asarray(estimate.eigenvectors, np.float64)
    assert np.isfinite(values).all()
    assert np.isfinite(vectors).all()
    largest = np.array([np.linalg.eigvalsh(covariance(t))[-1] for t in tables])
    assert (values <= largest[:, None] * (1 + 1e-5) + 1e-30).all()
    assert (values >= -1e-5 * largest[:, None] - 1e-30).all()
    overlap = np.einsum("bid,bjd->bij", vectors, vectors)
    eye = np.broadcast_to(np.eye(values.shape[1]), overlap.shape)
    np.testing.assert_allclose(overlap, eye, atol=1e-5)


def covariance(x):
    x = np.asarray(x, np.float64)
    x = x - x.mean(axis=0)
    return x.T @ x / len(x)


@pytest.mark.parametrize("polar", [None, POLAR])
def test_breakdown_is_the_normal_case(polar):
    """All kinds in a test: two programs serve them."""
    network = krylov(3, 4, polar=polar)
    for kind, draw in tables_of_kinds.KINDS.items():
        rng = np.random.default_rng(0)
        try:
            check_broken_down(network, [draw(rng) for _ in range(40)])
        except AssertionError as error:
            error.add_note(f"tables of kind {kind!r}")
            raise


@pytest.mark.long
@pytest.mark.parametrize("kind", sorted(tables_of_kinds.KINDS))
def test_breakdown_on_ten_thousand_tables(kind):
    rng = np.random.default_rng(1)
    count = 10_000 // len(tables_of_kinds.KINDS) + 1
    tables = [tables_of_kinds.KINDS[kind](rng) for _ in range(count)]
    for products in (2, 6):
        check_broken_down(krylov(3, products), tables)
        check_broken_down(krylov(3, products, polar=POLAR), tables)


def test_a_library_oracle_agrees_where_nothing_breaks_down():
    matrix, _ = scaled_covariance(problems.table(50, 20, seed=9))
    start = np.linalg.qr(np.random.default_rng(0).normal(size=(20, 4)))[0].T
    values, vectors = block_lanczos(matrix, start, 5, 3)
    exact, columns = np.linalg.eigh(matrix)
    np.testing.assert_allclose(values, exact[::-1][:3], rtol=1e-10)
    np.testing.assert_allclose(
        np.abs(np.sum(vectors * columns[:, ::-1].T[:3], axis=1)), 1, atol=1e-10
    )
    # A space of two dimensions has two Ritz pairs.
    values, _ = block_lanczos(np.diag([3.0, 2.0]), np.eye(2)[:1], 1, 2)
    assert values.tolist() == [3.0, 0.0]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"num_components": 9}, "block=8"),
        ({"num_components": 0}, "num_components=0"),
        ({"num_products": 0}, "num_products=0"),
        ({"polar": ()}, "polar"),
        ({"floor": 1.0}, "norm_floor"),
    ],
)
def test_what_cannot_be_written_down_is_refused(options, word):
    with pytest.raises(ConfigError, match=word):
        krylov(**{"num_components": 2, "num_products": 3} | options)
