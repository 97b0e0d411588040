r"""Subspace iteration with Rayleigh-Ritz inside the span, by attention alone.

A power step needs a product with S for every step. Registers that hold a basis b of a
subspace **and its image** c = S b need none to go on inside their span: with P the
projection on it, `sum_i b_i <c_i, u>` = P S u for orthonormal b. So after one product
(`cross`) the registers run orthogonal iteration of P S P among themselves (`self`),
which turns the basis towards the Ritz vectors, the best the span has to offer; more
registers than wanted vectors make the span better. A block is

* *mlp*: the constant mixing moves :math:`b_j \leftarrow u_j` and keeps the basis before
  in a third channel, which nothing reads (training may);
* *cross*: :math:`c_j = S u_j`, raw: a channel without norm, since sums over registers
  need the lengths;
* `inner` times: *apply* :math:`u_j \leftarrow unit(\sigma u_j + \sum_i b_i \langle c_i,
  u_j\rangle)` and `rounds` of *deflation*,
  :math:`u_j \leftarrow unit(u_j - \sum_{l<j} u_l \langle u_l, u_j\rangle)`;
* once: *leave* :math:`u_j \leftarrow unit(\sigma u_j + \sum_i c_i \langle b_i,
  u_j\rangle)`, which is (S + sigma) u for u in the span, and the deflation.

*Proof for orthonormal b.* :math:`\sum_i b_i \langle c_i, u\rangle = \sum_i b_i \langle
b_i, S u\rangle = P S u` as S is symmetric, and :math:`\sum_i c_i \langle b_i, u\rangle
= S P u = S u` in the span. Heads + and - with scores :math:`\pm z` are exact, since
relu(z) - relu(-z) = z; deflation is that of `equivariant.py`, whose gates close because
vectors there are of unit length.

*Where it is approximate.* `rounds` < R - 1 leave the basis orthonormal only as far as
they get; errors are of second order in what is left. They are large while one direction
swallows all registers, so the first blocks shift the spectrum by sigma: the quotient of
the largest and smallest growth is then at most 1 + 1 / sigma. Scaled to unit Frobenius
norm (`unit_frobenius`) S has its largest eigenvalue in (0, 1], mostly above 0.2, so one
sequence of shifts serves all. `experiments/checkpoints` has what it reaches untrained.

Source: Rutishauser (1969), Numer. Math. 13, for the iteration (ritzit).
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from spectral_tf.config import Channels, InputScaling, ModelConfig, require
from spectral_tf.config.model import Sublayer
from spectral_tf.model.network import Network
from spectral_tf.model.params import parameter_shapes, unflatten_params
from spectral_tf.settings import standard_settings

EPS = 1e-16
"""Under the root of a norm; small beside a raw image and still trainable."""

SHIFTS = (0.6, 0.6, 0.3, 0.3, 0.12, 0.12, 0.06, 0.06, 0.03, 0.012)
"""Sigma of the first blocks, over |S|_F; the last one stays."""

KINDS: dict[str, Sublayer] = {"cross": "cross", "move": "mlp"}


@standard_settings()
def subspace_iteration(  # noqa: PLR0913 - all but two are keywords with a default
    num_components: int,
    num_iters: int,
    *,
    registers: int = 8,
    inner: int = 2,
    rounds: int = 2,
    looped: bool = False,
    mlp_width: int = 16,
    scratch: int = 8,
) -> Network[ModelConfig]:
    """Weights that run subspace iteration with Rayleigh-Ritz, for every d and N.

    Args:
        num_components: k, 1 <= k <= registers.
        num_iters: L >= 1 blocks, one product with S each.
        registers: R, vectors that iterate; at most d of them run.
        inner: steps inside the span after each product, >= 1.
        rounds: of deflation after every step, >= 1.
        looped: one block's weights, with the largest shift, L times.
        mlp_width: hidden units of the MLP, idle until they are trained.
        scratch: scalar channels beside the codes, idle until they are trained.

    Returns:
        The equivariant network.

    Raises:
        ConfigError: for a count below its bound, or k > registers.

    Example:
        >>> import jax
        >>> network = subspace_iteration(3, 12)
        >>> x = jax.random.normal(jax.random.key(0), (100, 20))
        >>> network(x).eigenvectors.shape
        (3, 20)
    """
    counts = {"num_iters": num_iters, "inner": inner, "rounds": rounds}
    for name, value in counts.items():
        require(value >= 1, f"{name}={value} must be >= 1; try the default.")
    require(
        1 <= num_components <= registers,
        f"num_components={num_components} must lie in 1..registers={registers}; ask "
        "for fewer components or give more registers.",
    )
    steps = order(inner, rounds)
    block: tuple[Sublayer, ...] = tuple(KINDS.get(step, "self") for step in steps)
    config = ModelConfig(
        num_components=num_components,
        register_tokens=registers,
        block=block,
        num_blocks=num_iters,
        looped=looped,
        cross_norm=False,
        num_heads=2,
        norm_eps=EPS,
        mlp_width=mlp_width,
        layout=Channels(
            max_components=registers,
            vectors=4,
            raw=1,
            scalars=2 * registers + 1 + scratch,
            orthogonal_start=True,
            fixed_codes=looped,
        ),
        inputs=InputScaling(unit_frobenius=True),
    )
    flat = {}
    for path, shape in parameter_shapes(config).items():
        _, sublayer, *rest = path.split("/")
        weights = np.zeros(shape.shape)
        kind = steps[int(sublayer.split("_")[0])]
        entries = _entries(kind, registers, len(weights)).get(rest[-1], [])
        for where, what in entries:
            weights[where] = what
        flat[path] = jnp.asarray(weights, shape.dtype)
    return Network(config, unflatten_params(flat))


def order(inner: int, rounds: int) -> tuple[str, ...]:
    """What the sublayers of a block do, in order."""
    deflate = ("deflate",) * rounds
    return ("move", "cross", *("apply", *deflate) * inner, "leave", *deflate)


Entry = tuple[Any, Any]
"""Where in a stacked leaf `[L, ...]`, and what stands there."""


def _entries(kind: str, registers: int, count: int) -> dict[str, list[Entry]]:
    """Role -> its non-zero entries. Channels: 0 u, 1 b, 2 the basis before, -1 c."""
    every, signs = slice(None), np.array([1.0, -1.0])
    slot = np.arange(registers)
    keep = {"skip": [(..., 1.0)], "skip_scalars": [(..., 1.0)]}
    if kind == "move":
        moves = [((every, 0, 1), 1.0), ((every, 1, 2), 1.0)]
        return keep | {
            "skip": [(..., 1.0), ((every, slice(1, 3)), 0.0)],
            "move": moves,
        }
    if kind == "cross":
        scratch = slice(2 * registers + 1, None)
        return {
            "query": [((every, 0, 0), 1.0)],
            "out": [((every, 0, -1), 1.0)],
            "skip": [(..., 1.0), ((every, -1), 0.0)],
            "skip_scalars": [(..., 1.0), ((every, scratch), 0.0)],
        }
    if kind == "deflate":
        return keep | {
            "query": [((every, 0), signs)],
            "key": [((every, 0), 1.0)],
            "value": [((every, 0), 1.0)],
            "out": [((every, every, 0), -signs)],
            # blocked[j, l] = 1[l >= j], and the position
            "gate_query": [((every, registers + slot, every, slot), -1.0)],
            "gate_key": [((every, slot, every, slot), 1.0)],
        }
    key, value = (-1, 1) if kind == "apply" else (1, -1)
    places = np.minimum(np.arange(count), len(SHIFTS) - 1)
    return keep | {
        "skip": [(..., 1.0), ((every, 0), np.array(SHIFTS)[places])],
        "query": [((every, 0), signs)],
        "key": [((every, key), 1.0)],
        "value": [((every, value), 1.0)],
        "out": [((every, every, 0), signs)],
    }
