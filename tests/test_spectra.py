"""The conventions, and the classical algorithms against independent oracles."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.linalg

from spectral_tf import spectra

# Prescribed spectra: separated, slowly decaying, repeated at the end, rank 3.
SPECTRA = {
    "separated": [8.0, 4.0, 2.0, 1.0, 0.5, 0.25],
    "power_law": [1 / j for j in range(1, 7)],
    "flat_tail": [9.0, 5.0, 3.0, 1.0, 1.0, 1.0],
    "low_rank": [3.0, 2.0, 1.0, 0.0, 0.0, 0.0],
}


# Compiled once for all parameters of a test.
iterate = jax.jit(spectra.orthogonal_iteration, static_argnames="num_iters")
iterate_trace = jax.jit(spectra.orthogonal_iteration_trace, static_argnames="num_iters")
gram_schmidt = jax.jit(spectra.gram_schmidt)
principal_angle = jax.jit(spectra.largest_principal_angle)


def with_spectrum(key: jax.Array, values: list[float], scale: float = 1.0):
    """A symmetric matrix with these eigenvalues, and its eigenvectors as rows."""
    rows = jax.random.orthogonal(key, len(values))
    matrix = spectra.einsum("k,ki,kj->ij", jnp.asarray(values) * scale, rows, rows)
    return matrix, spectra.canonical_sign(rows)


def close(actual, expected, atol: float) -> None:
    np.testing.assert_allclose(actual, expected, atol=atol, rtol=0)


def test_canonical_sign_makes_the_largest_entry_positive():
    vectors = jnp.array([[[1.0, -3.0, 2.0], [0.0, 0.0, 0.0]], [[-1.0, 0.5, 4.0]] * 2])
    signed = spectra.canonical_sign(vectors)
    close(signed[0], [[-1.0, 3.0, -2.0], [0.0, 0.0, 0.0]], 0)
    close(signed[1], vectors[1], 0)
    close(spectra.canonical_sign(-vectors), signed, 0)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", SPECTRA)
def test_top_eigenpairs_descend_as_unit_rows_of_canonical_sign(key, name):
    matrix, rows = with_spectrum(key, SPECTRA[name])
    values, vectors = spectra.top_eigenpairs(matrix, 3)
    close(values, SPECTRA[name][:3], 1e-12)
    close(vectors, rows[:3], 1e-12)
    close(jnp.linalg.norm(vectors, axis=1), np.ones(3), 1e-12)
    assert (np.take_along_axis(*pivots(vectors), axis=1) > 0).all()


def pivots(vectors) -> tuple[np.ndarray, np.ndarray]:
    array = np.asarray(vectors)
    return array, np.abs(array).argmax(axis=1)[:, None]


def test_lifted_symmetric_eigh_is_numpy(key):
    factors = jax.random.normal(key, (2, 3, 5, 5))
    matrices = factors + jnp.swapaxes(factors, 2, 3)
    values, columns = jax.vmap(jax.vmap(spectra.symmetric_eigh))(matrices)
    close(values, np.linalg.eigvalsh(matrices), 1e-4)
    close(matrices @ columns, columns * values[:, :, None], 1e-4)


@pytest.mark.parametrize("k", [-1, 0, 7])
def test_top_eigenpairs_refuses_k_out_of_range(k):
    with pytest.raises(ValueError, match=rf"num_components={k} must lie in 1\.\.6"):
        spectra.top_eigenpairs(jnp.eye(6), k)


def test_covariance_is_numpy_with_bias(key):
    x = 3 + 2 * jax.random.normal(key, (40, 5))
    close(spectra.covariance(x), np.cov(x, rowvar=False, bias=True), 1e-5)


def test_mask_equals_dropping_rows_and_nan_does_not_leak(key):
    x = 3 + jax.random.normal(key, (12, 4))
    mask = jnp.arange(12) % 3 != 1
    dirty = jnp.where(mask[:, None], x, jnp.nan)
    kept = np.asarray(x)[np.asarray(mask)]
    close(spectra.covariance(dirty, mask), np.cov(kept, rowvar=False, bias=True), 1e-5)
    close(spectra.centred(dirty, mask)[mask], kept - kept.mean(0), 1e-6)
    close(spectra.centred(dirty, mask)[~mask], np.zeros((4, 4)), 0)
    gradient = jax.grad(lambda x: jnp.sum(spectra.covariance(x, mask) ** 2))(dirty)
    assert jnp.isfinite(gradient).all()
    close(gradient[~mask], np.zeros((4, 4)), 0)


def test_no_valid_row_gives_zeros():
    none = jnp.zeros(3, bool)
    close(spectra.covariance(jnp.full((3, 2), jnp.nan), none), np.zeros((2, 2)), 0)


def test_unit_has_length_one_and_a_finite_gradient_at_zero():
    close(spectra.unit(jnp.array([[3.0, 4.0], [0.0, 0.0]])), [[0.6, 0.8], [0, 0]], 1e-6)
    close(spectra.unit(jnp.array([3e-15, 4e15])), [0, 1], 1e-6)
    jacobian = jax.jacobian(spectra.unit)
    assert jnp.isfinite(jacobian(jnp.zeros(3))).all()
    close(jacobian(jnp.array([0.0, 2.0])), [[0.5, 0], [0, 0]], 1e-6)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("nearness", [1.0, 1e-3, 1e-6])
def test_gram_schmidt_is_orthonormal_and_preserves_spans(key, nearness):
    base, noise = jax.random.normal(key, (2, 4, 7))
    vectors = 100 * (base[:1] + nearness * noise)
    basis = gram_schmidt(vectors)
    # Rounding, at any nearness: one pass alone leaves about 1e-16 / nearness.
    close(basis @ basis.T, np.eye(4), 1e-14)
    triangle = np.asarray(vectors @ basis.T)
    close(triangle @ basis, vectors, 1e-11)
    close(np.triu(triangle, 1), np.zeros((4, 4)), 1e-11)
    assert (np.diagonal(triangle) > 0).all()


@pytest.mark.parametrize("scale", [1.0, 1e25, 1e-25])
@pytest.mark.parametrize("name", SPECTRA)
def test_orthogonal_iteration_agrees_with_eigh(key, name, scale):
    matrix, _ = with_spectrum(key, SPECTRA[name], scale)
    start = jax.random.normal(jax.random.fold_in(key, 1), (3, 6))
    # The slowest ratio, 3/4 of power_law, is 3e-10 after 75 steps: rounding remains.
    values, vectors = iterate(matrix, start, num_iters=75)
    exact_values, columns = np.linalg.eigh(np.asarray(matrix, np.float64))
    close(values / scale, exact_values[::-1][:3] / scale, 1e-5)
    close(spectra.abs_cosine(vectors, jnp.asarray(columns.T[::-1][:3])), 1, 1e-6)
    array, index = pivots(vectors)
    assert (np.take_along_axis(array, index, axis=1) > 0).all()


@pytest.mark.parametrize("name", SPECTRA)
def test_orthogonal_iteration_of_one_vector_is_optax_power_iteration(key, name):
    matrix, _ = with_spectrum(key, SPECTRA[name])
    start = jax.random.normal(jax.random.fold_in(key, 1), (6,))
    pair = optax.power_iteration(matrix, v0=start, num_iters=4, error_tolerance=0.0)
    value, vector = map(jnp.asarray, pair)
    # Far from converged, so that the iterates agree and not just the limits. optax
    # multiplies once more than num_iters, after its Rayleigh quotient.
    values, vectors = iterate(matrix, start[None], num_iters=4)
    assert spectra.residuals(matrix, values, vectors)[0] > 1e-3
    close(values, value[None], 1e-5)
    _, vectors = iterate(matrix, start[None], num_iters=5)
    close(vectors, spectra.canonical_sign(vector)[None], 1e-6)


def test_trace_holds_every_step_and_ends_where_the_iteration_does(key):
    matrix, _ = with_spectrum(key, SPECTRA["power_law"])
    start = jax.random.normal(jax.random.fold_in(key, 1), (3, 6))
    trace = iterate_trace(matrix, start, num_iters=5)
    assert trace.shape == (5, 3, 6)
    for tau in (1, 5):
        values, vectors = iterate(matrix, start, num_iters=tau)
        close(spectra.canonical_sign(trace[tau - 1]), vectors, 1e-6)
        close(spectra.rayleigh_quotients(matrix, trace[tau - 1]), values, 1e-6)
    # No sign is fixed on the way: a step of S >= 0 turns by less than a right angle.
    assert (jnp.sum(trace[1:, 0] * trace[:-1, 0], axis=-1) > 0).all()
    assert start[0] @ trace[0, 0] > 0


def test_no_iterations_return_the_start(key):
    matrix, _ = with_spectrum(key, SPECTRA["separated"])
    start = 7 * jax.random.normal(key, (2, 6))
    values, vectors = iterate(matrix, start, num_iters=0)
    close(vectors, spectra.canonical_sign(spectra.unit(start)), 1e-6)
    close(values, np.diagonal(start @ matrix @ start.T) / (start**2).sum(1), 1e-5)
    assert iterate_trace(matrix, start, num_iters=0).shape == (0, 2, 6)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("size", [1e-7, 1e-3, 1.0, 100.0])
def test_largest_principal_angle_agrees_with_scipy(key, size):
    reference, noise = jax.random.normal(key, (2, 3, 8))
    reference = gram_schmidt(reference)
    vectors = jnp.diag(jnp.array([1.0, -9.0, 4.0])) @ (reference + size * noise)
    angle = float(principal_angle(vectors, reference))
    columns = np.asarray(vectors).T, np.asarray(reference).T
    exact = scipy.linalg.subspace_angles(*columns)[0]
    np.testing.assert_allclose(angle, exact, rtol=1e-7)


def test_largest_principal_angle_at_its_ends():
    axes = jnp.eye(4)
    close(principal_angle(axes[:2], axes[1::-1]), 0, 1e-6)
    close(principal_angle(axes[:2], axes[1:3]), np.pi / 2, 1e-6)
    collapsed = jnp.stack([axes[0], axes[0]])
    close(principal_angle(collapsed, axes[:2]), np.pi / 2, 1e-6)
    # Rounding takes the sine of some orthogonal pairs beyond 1.
    frames = jax.random.orthogonal(jax.random.key(0), 4, (200,))
    angles = jax.vmap(principal_angle)(frames[:, :2], frames[:, 2:])
    close(angles, np.full(200, np.pi / 2), 1e-2)


def test_abs_cosine_ignores_sign_and_scale_and_is_zero_at_zero():
    vectors = jnp.array([[1.0, 1.0], [-2.0, 0.0], [0.0, 0.0], [0.1, 0.3]])
    reference = jnp.array([[5.0, 0.0], [3.0, 0.0], [1.0, 1.0], [0.1, 0.3]])
    cosine = spectra.abs_cosine(vectors, reference)
    close(cosine, [np.sqrt(0.5), 1, 0, 1], 1e-6)
    many = jax.random.normal(jax.random.key(0), (200, 5))
    assert spectra.abs_cosine(many, -many).max() == 1  # without rounding beyond it


@pytest.mark.usefixtures("x64")
def test_residuals_satisfy_the_identity_and_bound_the_nearest_eigenvalue(key):
    exact = jnp.asarray(SPECTRA["separated"])
    matrix, rows = with_spectrum(key, SPECTRA["separated"])
    close(spectra.residuals(matrix, exact[:3], rows[:3]), np.zeros(3), 1e-12)
    vectors = spectra.unit(jax.random.normal(jax.random.fold_in(key, 1), (3, 6)))
    claimed = jnp.array([7.0, 2.5, 1.0])
    found = spectra.residuals(matrix, claimed, vectors)
    quotients = spectra.rayleigh_quotients(matrix, vectors)
    squares = jnp.linalg.norm(vectors @ matrix, axis=1) ** 2
    # |S v - l v|^2 = |S v|^2 - 2 l v'Sv + l^2
    close(found**2, squares - 2 * claimed * quotients + claimed**2, 1e-12)
    assert (jnp.min(jnp.abs(exact[None] - claimed[:, None]), axis=1) <= found).all()


@pytest.mark.usefixtures("x64")
def test_rayleigh_quotients_of_scaled_eigenvectors_are_the_eigenvalues(key):
    matrix, rows = with_spectrum(key, SPECTRA["power_law"])
    scaled = rows * jnp.arange(-3.0, 3.0)[:, None]
    expected = np.where(np.arange(6) == 3, 0.0, SPECTRA["power_law"])
    close(spectra.rayleigh_quotients(matrix, scaled), expected, 1e-12)
