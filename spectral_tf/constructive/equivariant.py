r"""The power method in the equivariant parameterisation: a few numbers, for every d.

`register` and `rms` are written down for one d; their weights are of the form
:math:`w \otimes I_d`, so the same network is a handful of numbers on channels. A block
is `cross` and one or more `self`, one block an iteration, one vector channel in use:

* *cross*: one linear head with query u; its output, normalised, replaces u, so
  :math:`u_j \leftarrow S u_j / |S u_j|`.
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

Nothing is approximate, so the iterations can be continued: the answer, given as start
vectors, goes on where it stopped.

Source: ours.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from spectral_tf.config import ModelConfig, require
from spectral_tf.config.model import Sublayer
from spectral_tf.model.params import parameter_shapes, unflatten_params

EPS = 1e-30
"""Under the root of a norm: exact to rounding for lengths of 1e-14 and more."""


def equivariant_power_method(
    num_components: int, num_iters: int, *, rounds: int = 2
) -> tuple[ModelConfig, dict[str, Any]]:
    r"""Weights whose forward pass runs the power method with deflation, for every d.

    Args:
        num_components: k >= 1.
        num_iters: tau >= 1, iterations: one product with S each.
        rounds: of deflation after a product, >= 1; k - 1 and more are Gram-Schmidt.

    Returns:
        `(ModelConfig, params)` of an equivariant network of tau blocks, and k / rounds
        that finish, for `predict`, `predict_from_covariance`, `expand`, and as a start
        of training. Any d >= k, any N.

    Raises:
        ConfigError: for k < 1, tau < 1 or rounds < 1.

    Example:
        >>> import jax, spectral_tf
        >>> config, params = spectral_tf.equivariant_power_method(3, 60)
        >>> x = jax.random.normal(jax.random.key(0), (100, 20))
        >>> spectral_tf.predict(config, params, x).eigenvectors.shape
        (3, 20)

    Source: ours; the network is that of DESIGN of the package, section 4.
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
    config = ModelConfig(
        num_components=k,
        block=("cross", *deflations),
        num_blocks=num_iters + last,
        schedule=f"0*{num_iters}" + (f" 1*{last}" if last else ""),
        vector_channels=2,
        scalar_channels=2 * k + 2,
        num_heads=2,
        norm_eps=EPS,
        mlp_width=1,
    )
    blocks = [_block(k, rounds, is_iteration=True)]
    blocks += [_block(k, rounds, is_iteration=False)] if last else []
    flat = {
        path: jnp.asarray(
            np.stack([block.get(path, np.zeros(shape.shape[1:])) for block in blocks]),
            shape.dtype,
        )
        for path, shape in parameter_shapes(config).items()
    }
    return config, unflatten_params(flat)


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
        own = f"blocks/{index}_self"
        block |= {f"{own}/{name}": value for name, value in _deflation(k).items()}
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
