r"""The power method in the equivariant parameterisation: a few numbers, for every d.

`register` and `rms` are written down for one d; their weights are of the form
:math:`w \otimes I_d`, so the same network is a handful of numbers on channels. A block
is `cross` and one or more `self`, one block an iteration, one vector channel in use:

* *cross*: one linear head with query u gives S u (S of unit trace); the skip path keeps
  u with gain -s; the norm follows: :math:`u_j \leftarrow unit((S - s I) u_j)`. The gain
  is a **shift** of the spectrum, 0 for the plain power method.
* *self*: relu heads +- with scores :math:`\pm\langle u_j, u_l\rangle - 1[l \ge j]` and
  outputs :math:`\mp u_l`. Vectors are of unit length, so a head is closed for
  :math:`l \ge j`, and :math:`relu(z) - relu(-z) = z` for the others:
  :math:`u_j \leftarrow unit(u_j - \sum_{l<j} u_l \langle u_l, u_j\rangle)`.

*Proof that this is orthogonal iteration.* A block multiplies the vectors by S and then
mixes them by a triangular matrix with a non-zero diagonal; so the first j registers
span :math:`S^\tau` times what their start vectors spanned, for every j. If registers
l < j are orthonormal, *self* makes register j orthogonal to them; so k - 1 rounds of it
make the rows orthonormal to rounding: those of Gram-Schmidt. There are that many at the
end, in blocks of a second kind whose *cross* keeps u and adds nothing.

*Conditioning.* Between two products the rows are orthogonal only as far as the `rounds`
of a block make them: exactly, with `rounds=k - 1`. With fewer, rounding decides in the
first iterations what is left of a late register where the spectrum is steep, so that it
starts anew from a random direction and converges later than in orthogonal iteration,
never to something else.

*Shifts.* With the roots of a Chebyshev polynomial on [0, b] as the shifts of n
iterations, together they are a polynomial of S that is at most 1 on [0, b] and grows as
:math:`\cosh(n \operatorname{arccosh}(2 \lambda / b - 1))` above, for b just below the
wanted eigenvalues far faster than :math:`(\lambda / b)^n`. The argument about spans
holds for any product of polynomials in S. The roots come in Leja order, so that no
partial product grows or falls by many orders of magnitude.

Nothing is approximate, so the iterations can be continued: the answer, given as start
vectors, goes on where it stopped.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from spectral_tf.config import Channels, ModelConfig, require
from spectral_tf.config.model import Sublayer
from spectral_tf.constructive.program import series
from spectral_tf.model.network import Network
from spectral_tf.model.params import parameter_shapes, unflatten_params
from spectral_tf.settings import standard_settings

EPS = 1e-30
"""Under the root of a norm: exact to rounding for lengths of 1e-14 and more."""


@standard_settings()
def equivariant_power_method(
    num_components: int,
    num_iters: int,
    *,
    rounds: int = 2,
    shifts: ArrayLike | None = None,
) -> Network[ModelConfig]:
    r"""Weights whose forward pass runs the power method with deflation, for every d.

    Args:
        num_components: k >= 1.
        num_iters: tau >= 1, iterations: one product with S each.
        rounds: of deflation after a product, >= 1; k - 1 and more are Gram-Schmidt.
        shifts: `[tau]` of each iteration, over the trace of S, e.g. `chebyshev_shifts`;
            then every iteration has weights of its own. None: no shifts, shared
            weights.

    Returns:
        The equivariant network of tau blocks, and k / rounds
        that finish, for `predict`, `predict_from_covariance`, `expand`, and as a start
        of training. Any d >= k, any N.

    Raises:
        ConfigError: for k < 1, tau < 1 or rounds < 1, or not tau shifts.

    Example:
        >>> import jax, spectral_tf
        >>> network = spectral_tf.equivariant_power_method(3, 60)
        >>> x = jax.random.normal(jax.random.key(0), (100, 20))
        >>> network(x).eigenvectors.shape
        (3, 20)
    """
    require(
        num_components >= 1,
        f"num_components={num_components} must be >= 1; it counts eigenpairs.",
    )
    require(num_iters >= 1, f"num_iters={num_iters} must be >= 1; 60 is a fair start.")
    require(rounds >= 1, f"rounds={rounds} must be >= 1; 2 is a fair start.")
    k = num_components
    rounds = min(rounds, k - 1)
    last = -(-k // rounds) if rounds else 0
    deflations: tuple[Sublayer, ...] = ("self",) * rounds
    program = series(series("iteration") * num_iters, series("finish") * last)
    # Shifts are weights of their own, at every place.
    stack = program.steps() if shifts is None else tuple(program.visits())
    config = ModelConfig(
        num_components=k,
        block=("cross", *deflations),
        num_blocks=num_iters + last,
        schedule=program.schedule(stack) if shifts is None else None,
        cross_norm=False,
        layout=Channels(vectors=2, scalars=2 * k + 2),
        num_heads=2,
        norm_eps=EPS,
        mlp_width=1,
    )
    weights = {
        "iteration": _block(k, rounds, is_iteration=True),
        "finish": _block(k, rounds, is_iteration=False),
    }
    blocks = [weights[step] for step in stack]
    flat = {
        path: jnp.asarray(
            np.stack([block.get(path, np.zeros(shape.shape[1:])) for block in blocks]),
            shape.dtype,
        )
        for path, shape in parameter_shapes(config).items()
    }
    params = unflatten_params(flat)
    if shifts is not None:
        params = with_shifts(params, shifts)
    return Network(config, params)


def with_shifts(params: Any, shifts: ArrayLike) -> dict[str, Any]:
    """The parameters of an `equivariant_power_method` with other shifts.

    Args:
        params: made with shifts.
        shifts: `[tau]`, over the trace of S.

    Returns:
        New parameters.

    Raises:
        ConfigError: if there are more shifts than blocks.
    """
    shifts = np.asarray(shifts, np.float64)
    skip = np.array(params["blocks"]["0_cross"]["skip"])
    require(
        shifts.ndim == 1 and len(shifts) <= len(skip),
        f"shifts {shifts.shape} must be a vector with one entry for each iteration.",
    )
    skip[: len(shifts), 0] = -shifts
    cross = {**params["blocks"]["0_cross"], "skip": jnp.asarray(skip)}
    return {**params, "blocks": {**params["blocks"], "0_cross": cross}}


def chebyshev_shifts(num_iters: int, upper: float) -> np.ndarray:
    """Roots of the Chebyshev polynomial on [0, upper], in Leja order.

    Args:
        num_iters: n >= 1, its degree.
        upper: b: eigenvalues over the trace up to b are damped, larger ones grow.

    Returns:
        `[n]`.

    Source: Saad (2011), Numerical Methods for Large Eigenvalue Problems, section 7.4;
    the order: Reichel (1990), Newton interpolation at Leja points.
    """
    # b (1 + cos((2 i + 1) pi / 2 n)) / 2
    odd = 2 * np.arange(num_iters) + 1
    roots = (1 + np.cos(np.pi * odd / (2 * num_iters))) / 2
    order, far = [0], np.zeros(num_iters)
    for _ in range(num_iters - 1):
        with np.errstate(divide="ignore"):
            far += np.log(np.abs(roots - roots[order[-1]]))
        order.append(int(np.argmax(far)))
    return upper * roots[order]


def _block(k: int, rounds: int, *, is_iteration: bool) -> dict[str, np.ndarray]:
    """The non-zero parameters of one block, by path."""
    first, cross = np.array([1.0, 0.0]), "blocks/0_cross"  # channel 0 holds u
    read = float(is_iteration)
    block = {
        f"{cross}/attention/query": read * first[:, None],
        f"{cross}/attention/out": read * first[None],
        f"{cross}/skip": (1.0 - read) * first,
        f"{cross}/skip_scalars": np.ones(2 * k + 2),
    }
    for index in range(1, rounds + 1):
        sublayer = f"blocks/{index}_self"
        block |= {f"{sublayer}/{name}": value for name, value in _deflation(k).items()}
    return block


def _deflation(k: int) -> dict[str, np.ndarray]:
    """One round of it: heads + and - on channel 0."""
    scalars, slot = 2 * k + 2, np.arange(k)
    first, signs = np.array([1.0, 0.0]), np.array([1.0, -1.0])
    gate_query, gate_key = np.zeros((2, scalars, 2, k))
    for head in range(2):
        gate_query[k + slot, head, slot] = -1.0  # blocked[j, l] = 1[l >= j]
        gate_key[slot, head, slot] = 1.0  # position
    return {
        "attention/query": first[:, None] * signs[None],
        "attention/key": first[:, None] * np.ones((1, 2)),
        "attention/value": first[:, None] * np.ones((1, 2)),
        "attention/out": -signs[:, None] * first[None],
        "attention/gate_query": gate_query,
        "attention/gate_key": gate_key,
        "skip": first,
        "skip_scalars": np.ones(scalars),
    }
