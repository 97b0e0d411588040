r"""Block Lanczos with full reorthogonalisation, in the equivariant parameterisation.

P products with S from b start vectors span the Krylov space of
:math:`u, S u, \dots, S^{P-1} u`. A network whose registers **keep their past** holds a
basis of all of it, and answers with the best that the space has to offer. A register
has P + 1 vector channels for basis vectors and as many, raw, for their images; channel
0 is the newest. There are b registers, so bP basis vectors with an image. A block is

* *cross*: one linear head with query :math:`q_0` writes the image :math:`c_0 = S q_0`;
* *mlp*: the constant mixing ages every channel by one,
  :math:`q_{i+1} \leftarrow q_i,\ c_{i+1} \leftarrow c_i`, and the newest image is the
  candidate for the next basis vector, :math:`q_0 \leftarrow unit(c_0)`;
* *self*, several rounds: a head for each older channel i, scores :math:`\langle q_0,
  q_i\rangle` and values :math:`q_i`, deflates the candidate against all that is kept,
  and one more makes the b candidates orthogonal to one another.

Every block has the same weights (`looped`): channels not filled yet are 0, and a head
that reads zeros adds nothing. The answer is the read-out `ritz` of `model/ritz.py`.

*Gram-Schmidt rounds* (`polar=None`): heads + and - with scores :math:`\pm z - 1[l \ge
j]` deflate candidate j by candidates l < j, as in `equivariant.py`. In round 0 the
gates are shut and only what is older is read; in round t < b they leave candidate t - 1
alone as sender, in the last two rounds all of them.

*Proof that this is block Lanczos.* Let Q be the older vectors, orthonormal. After round
0 all candidates are orthogonal to Q. Round t maps :math:`w_j \leftarrow unit(w_j -
Q^\top Q w_j - w_{t-1} \langle w_{t-1}, w_j\rangle)` for :math:`j \ge t`. If before it
the candidates 0 to t - 1 are orthonormal and those behind them orthogonal to 0 to t -
2, then after it those behind are orthogonal to t - 1 as well, and so t is done: that is
modified Gram-Schmidt of the images against everything kept, in b rounds, which is full
reorthogonalisation. No round changes the spaces spanned by Q and the first j
candidates. The last two rounds, :math:`w_j \leftarrow unit(w_j - Q^\top Q w_j -
\sum_{l<j} w_l \langle w_l, w_j\rangle)`, change nothing in exact arithmetic; in any
other they make orthogonal to rounding what the division by a small remainder has left
(Giraud et al., 2005: twice is enough). With Q orthonormal, T = Q S Q^T, and its leading
eigenpairs are the Ritz pairs of the Krylov space: block Lanczos.

*Where it stops.* If the space is exhausted (d or the rank of S is reached, or
candidates depend on one another) what is left of a candidate is rounding. In the round
that takes away the last of it, or in the last two, its length is a few roundings, below
`floor`, and the norm sets it to 0, from where it never returns: heads that read it add
nothing, and its row of T is 0. A direction that holds less than `floor` of its image,
though exact, is lost as well: what a Ritz vector could have won from it is of that
size.

*Polar rounds* (`polar=(b_1, None, b_2, ...)`): gates stay open. A round is :math:`w_j
\leftarrow unit(w_j - Q^\top Q w_j - b \sum_{l \ne j} w_l \langle w_l, w_j\rangle)`.
For b = 1/2 and nearly orthonormal rows that is a Newton-Schulz step to the nearest
orthonormal ones; smaller b at first, when the rows are nearly parallel and the sum is
up to b times too long. None is round 1 of Gram-Schmidt: all are deflated against the
first candidate. It matters where fewer dimensions are left than there are candidates:
polar rounds, alike for all, may take such a dimension away from all of them at once.
Four rounds in place of b + 2 leave the rows well conditioned, not orthonormal, and the
read-out orthonormalises what is left. The span is the same in exact arithmetic; that is
the network that is trained. In any other it is not: where an eigenvalue is far above
the rest the images are nearly parallel, and four rounds take them less apart than b + 2
(raw Fashion-MNIST in `experiments/checkpoints`).

Source: Golub & Underwood (1977), in Mathematical Software III, for block Lanczos;
Giraud, Langou, Rozloznik & van den Eshof (2005), Numer. Math. 101, for twice is enough;
Schulz (1933), ZAMM 13, for the iteration.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from spectral_tf.config import Channels, InputScaling, ModelConfig, require
from spectral_tf.config.model import Sublayer
from spectral_tf.model.network import Network
from spectral_tf.model.params import parameter_shapes, unflatten_params
from spectral_tf.settings import standard_settings

EPS = 1e-30
"""Under the root of a norm: exact to rounding for lengths of 1e-14 and more."""
FLOOR = 1e-4
"""Of a candidate's length after deflation, in single precision."""
POLAR = (0.05, None, 0.2, 0.4)
"""Four rounds that condition the images of all but the steepest spectra."""

Entry = tuple[Any, Any]
"""Where in a stacked leaf `[1, ...]`, and what stands there."""


@standard_settings()
def krylov(
    num_components: int,
    num_products: int,
    *,
    block: int = 8,
    polar: Sequence[float | None] | None = None,
    terminator: bool = False,
    floor: float = FLOOR,
) -> Network[ModelConfig]:
    """Weights that run block Lanczos with Rayleigh-Ritz, for every d and N.

    Args:
        num_components: k, 1 <= k <= block.
        num_products: P >= 1, with S.
        block: b, start vectors = registers; at most d of them run.
        polar: factors of the polar rounds after a product, None for a deflation against
            the first candidate, e.g. `POLAR`; without it Gram-Schmidt, b + 2 rounds.
        terminator: answer from P + 1 blocks, of which the last has no image
            (`model/ritz.py`): more accurate, but its values are no lower bounds.
        floor: candidates that deflation leaves shorter than this become 0; 1e-4 is for
            float32, 1e-10 for float64.

    Returns:
        The equivariant network of P blocks with shared weights; `unroll` before
        training.

    Raises:
        ConfigError: for a count below its bound, k > block, no rounds, or a floor
            outside [0, 1).

    Example:
        >>> import jax, spectral_tf
        >>> network = spectral_tf.krylov(3, 4)
        >>> x = jax.random.normal(jax.random.key(0), (100, 20))
        >>> network(x).eigenvectors.shape
        (3, 20)
    """
    _check(num_components, num_products, block, polar)
    factors = None if polar is None else tuple(polar)
    rounds = block + 2 if factors is None else len(factors)
    deflations: tuple[Sublayer, ...] = ("self",) * rounds
    half = num_products + 1
    config = ModelConfig(
        num_components=num_components,
        register_tokens=block,
        block=("cross", "mlp", *deflations),
        num_blocks=num_products,
        looped=True,
        attention="relu",
        cross_norm=False,
        num_heads=2 * half,
        norm_eps=EPS,
        norm_floor=floor,
        mlp_width=1,
        terminator=terminator,
        layout=Channels(
            max_components=block,
            vectors=2 * half,
            raw=half,
            scalars=2 * block + 2,
            orthogonal_start=True,
            fixed_codes=True,
            readout="ritz",
        ),
        inputs=InputScaling(unit_frobenius=True),
    )
    flat = {}
    for path, shape in parameter_shapes(config).items():
        leaf = np.zeros(shape.shape)
        for where, what in _entries(path, half, block, factors):
            leaf[where] = what
        flat[path] = jnp.asarray(leaf, shape.dtype)
    return Network(config, unflatten_params(flat))


def _check(
    num_components: int,
    num_products: int,
    block: int,
    polar: Sequence[float | None] | None,
) -> None:
    """Refuse sizes that cannot be written down."""
    require(
        num_products >= 1,
        f"num_products={num_products} must be >= 1; 6 is a fair start.",
    )
    require(
        1 <= num_components <= block,
        f"num_components={num_components} must lie in 1..block={block}; ask for fewer "
        "components or give more start vectors.",
    )
    require(
        polar is None or len(polar) > 0,
        "polar=() has no rounds; give a factor for each, e.g. (0.05, None, 0.2, 0.4), "
        "or None for Gram-Schmidt.",
    )


def _entries(
    path: str, half: int, block: int, factors: tuple[float | None, ...] | None
) -> list[Entry]:
    """The non-zero entries of the parameter at `path`."""
    if path == "terminator":
        return [(0, 1.0)]
    _, sublayer, *_, role = path.split("/")
    index, kind = sublayer.split("_")
    if role == "skip_scalars":
        return [(..., 1.0)]
    if kind == "cross":
        table = _product(half)
    elif kind == "mlp":
        table = _ageing(half)
    else:
        step = int(index) - 2
        factor = None if factors is None else factors[step]
        if factor is None:
            table = _gram_schmidt(half, block, 1 if factors else step)
        else:
            table = _polar(half, factor)
    return table.get(role, [])


def _product(half: int) -> dict[str, list[Entry]]:
    """The newest image is written anew; the rest stays. Image i is channel half + i."""
    return {
        "query": [((0, 0, 0), 1.0)],
        "out": [((0, 0, half), 1.0)],
        "skip": [(..., 1.0), ((0, half), 0.0)],
    }


def _ageing(half: int) -> dict[str, list[Entry]]:
    """The skip path drops everything; `move` puts it one channel on."""
    older = np.arange(half - 1)
    return {
        "move": [
            ((0, half, 0), 1.0),
            ((0, older, older + 1), 1.0),
            ((0, half + older, half + older + 1), 1.0),
        ]
    }


def _gram_schmidt(half: int, block: int, step: int) -> dict[str, list[Entry]]:
    """Heads 2 i and 2 i + 1 are + and - of channel i; those of channel 0 are gated."""
    channel, slot = np.arange(half), np.arange(block)
    plus, minus = 2 * channel, 2 * channel + 1
    pair = np.arange(2)[:, None]
    constant = 2 * block  # the scalar that is 1 in every register
    # blocked[j, l] = 1[l >= j] lets candidate j read those before it; where the step
    # is of modified Gram-Schmidt, all senders but one are shut by the constant.
    reads = np.where((slot == step - 1) | (step >= block), block + slot, constant)
    return {
        "skip": [(..., 1.0)],
        "query": [((0, 0, plus), 1.0), ((0, 0, minus), -1.0)],
        "key": [((0, channel, plus), 1.0), ((0, channel, minus), 1.0)],
        "value": [((0, channel, plus), 1.0), ((0, channel, minus), 1.0)],
        "out": [((0, plus, 0), -1.0), ((0, minus, 0), 1.0)],
        "gate_query": [((0, reads, pair, slot), -1.0)],
        "gate_key": [((0, slot, pair, slot), 1.0)],
    }


def _polar(half: int, factor: float) -> dict[str, list[Entry]]:
    """Heads as before, no gates; channel 0 reads l = j too; the skip path repays it."""
    channel = np.arange(half)
    plus, minus = 2 * channel, 2 * channel + 1
    size = np.where(channel == 0, factor, 1.0)
    return {
        "skip": [(..., 1.0), ((0, 0), 1.0 + factor)],
        "query": [((0, 0, plus), 1.0), ((0, 0, minus), -1.0)],
        "key": [((0, channel, plus), 1.0), ((0, channel, minus), 1.0)],
        "value": [((0, channel, plus), 1.0), ((0, channel, minus), 1.0)],
        "out": [((0, plus, 0), -size), ((0, minus, 0), size)],
    }
