r"""Lloyd and EM steps for K classes, by softmax attention alone.

*Why softmax alone.* A dense network has one kind of attention; linear heads for sums
beside softmax heads for responsibilities are not to be had. They are not needed: a
softmax over the rows normalises by itself, which is what the M step divides by.

K register tokens hold centres :math:`c_k` and :math:`b_k = |c_k|^2/2`. One head each:

* **E step**, data read registers. With score :math:`a_{ik} = (\langle x_i, c_k\rangle -
  b_k)/\sigma^2` and one-hot codes as values each data token receives

  .. math:: r_{ik} = \frac{e^{a_{ik}}}{\sum_l e^{a_{il}}}
     = \frac{e^{-|x_i-c_k|^2/2\sigma^2}}{\sum_l e^{-|x_i-c_l|^2/2\sigma^2}},

  since :math:`-|x-c|^2/2 = \langle x,c\rangle - b - |x|^2/2`, and the last term is the
  same for all k. These are the responsibilities of K spherical classes of equal weight.

* **M step**, registers read data. With score :math:`\langle x_i, c_k\rangle/\sigma^2 -
  L_i`, :math:`L_i = \log\sum_l e^{a_{il}}`, and values :math:`x_i` register k receives
  :math:`\sum_i p_{ik} x_i` with

  .. math:: p_{ik} = \frac{e^{a_{ik} + b_k/\sigma^2 - L_i}}
     {\sum_j e^{a_{jk} + b_k/\sigma^2 - L_j}} = \frac{r_{ik}}{\sum_j r_{jk}},

  since :math:`e^{a_{ik} - L_i} = r_{ik}`, and :math:`e^{b_k/\sigma^2}` is the same for
  all i. **The attention map of the M step is the responsibilities, normalised**: the
  new centre is exactly that of EM. No division, no count.

* *What the data tokens need for it*, :math:`L_i`, follows from what the E step wrote.
  As :math:`\log r_{ik} = a_{ik} - L_i` and :math:`\sum_k r_{ik} = 1`,

  .. math:: L_i = \sum_k r_{ik} a_{ik} - \sum_k r_{ik}\log r_{ik}
     = \frac{\langle x_i, m_i\rangle - s_i}{\sigma^2} + \sum_k g(r_{ik}),

  with :math:`m_i = \sum_k r_{ik} c_k` and :math:`s_i = \sum_k r_{ik} b_k` (two more
  values of the same head) and :math:`g(r) = -r\log r`. The gated MLP multiplies
  exactly; g is replaced by its linear interpolant f on the knots
  :math:`t_j = (j/m)^2`.

*The only error.* On :math:`[t_j, t_{j+1}]`, :math:`j \ge 1`, :math:`0 \le g - f \le
(t_{j+1}-t_j)^2/8t_j = (2 + 1/j)^2/8m^2 \le 9/8m^2`; on :math:`[0, t_1]` the maximum of
:math:`-r\log(r/t_1)` is :math:`t_1/e < 1/m^2`. So each :math:`L_i` is too small by at
most :math:`\epsilon = 9K/8m^2`. What all rows have in common cancels in p, so each
weight is off by a factor between :math:`e^{-\epsilon}` and :math:`e^\epsilon`, and a
centre by at most :math:`(e^\epsilon - 1)\max_i|x_i - c_k|` in a step.

**Lloyd** is the limit :math:`\sigma \to 0`: scores times `HARD`. Responsibilities are
then exactly 0 or 1 unless two scores of a row agree to rounding, and the M step reads
them as its scores, `HARD` times r: exactly the mean of the members, and nothing is
approximate. A cluster without members takes the mean of all rows.

**Start**, inside the network: the row farthest from the mean, then K - 1 times the row
farthest from its nearest centre. The centre nearest to a row is a Lloyd E step over
the registers that are `on`; `near` :math:`= |x - m|^2` is exact in the gated MLP; the
next register attends to the data with scores `HARD` times `near`, which picks one row
exactly. (Rows whose `near` agrees to the last bit are averaged.)

*Gates.* Softmax weights sum to 1, so a token that shall receive nothing must read
tokens whose values are 0: registers read data where registers hold the values, and
data read registers where data do. To the score of a closed pair -B is added, to that of
an open one exactly 0, with B = `CLOSED` far above every score; so closed weights are
exactly 0, and open scores lose no digit.

Centres are relative to the mean of the rows, which the input has subtracted. x is not
scaled, since sigma is in its units; so its rows may not be longer than `LONGEST`, and
rows nearer than 1e-6 to one another may be averaged where one of them is to be chosen.

*In float32* a score keeps the digits of its largest term, so a responsibility is right
to a few rounding units times :math:`|x|^2/\sigma^2`, for rows x relative to the mean.

*In many dimensions* the row farthest away is a matter of the noise. Then run a power
method first (`power_method_params` with k = K - 1) and this network, made for d = K -
1, on `mixture.subspace_coordinates`, where the means keep their distances.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float

from spectral_tf.config import DataError, ModelConfig, require
from spectral_tf.constructive.composition import Composition
from spectral_tf.constructive.em_gadgets import (
    LONGEST,
    Entropy,
    begin,
    choose,
    em_layout,
    expect,
    maximise,
    nearest,
)
from spectral_tf.constructive.program import series
from spectral_tf.model.inputs import check_rows
from spectral_tf.model.network import Network
from spectral_tf.model.transformer import SpectralTransformer

DEFAULT_KNOTS = 1024
"""m: the bound on L is then 4e-6 for K = 4."""
MOST_CLASSES = 8


class MixtureTrace(NamedTuple):
    """What the tokens hold after each of the L blocks.

    Attributes:
        responsibilities: `[L, N, K]` of the last E step; 0 before it and after the M
            step that used it.
        centres: `[L, K, d]` units of x; the mean of the rows before they are chosen.
    """

    responsibilities: Array
    centres: Array


def em_composition(
    dim: int,
    num_classes: int,
    num_iters: int,
    *,
    sigma: float | None = 1.0,
    knots: int = DEFAULT_KNOTS,
) -> Composition:
    """Farthest-point start, tau times E and M, and one more E.

    Args:
        dim: d.
        num_classes: K, 2 to 8; it may exceed d.
        num_iters: tau >= 1.
        sigma: standard deviation of the noise, units of x; None for Lloyd.
        knots: m >= 2, of the interpolated entropy; not used by Lloyd.

    Returns:
        2 K + 2 tau + 1 blocks; K + 4 of them have weights of their own. Softmax
        attention, gated MLPs, no norm. The one component that its read-out knows is
        the first centre; `mixture_trace` reads all.

    Raises:
        ConfigError: for a value out of bounds.

    Source: He et al. (2025), arXiv:2502.06007, for EM by softmax attention;
    Gonzalez (1985) for the start.
    """
    require(
        2 <= num_classes <= MOST_CLASSES,
        f"num_classes={num_classes} must lie in 2..{MOST_CLASSES}; choose a number of "
        "classes in between.",
    )
    require(
        sigma is None or sigma > 0,
        f"sigma={sigma} must be > 0; use variant='lloyd' for the limit 0.",
    )
    require(knots >= 2, f"knots={knots} must be >= 2; {DEFAULT_KNOTS} is fair.")
    layout = em_layout(dim, num_classes)
    entropy = None if sigma is None else Entropy(num_knots=knots)
    first = begin(layout)
    picks = [choose(layout, index) for index in range(num_classes)]
    near, e_step = nearest(layout), expect(layout, sigma, entropy)
    # The farthest row from the mean, then K - 1 times from the nearest centre.
    start = series(picks[0], *(series(near, pick) for pick in picks[1:]))
    return Composition(
        layout=layout,
        program=series(
            first,
            start,
            series(e_step, maximise(layout, sigma)) * num_iters,
            e_step,
        ),
        registers={
            "register": np.ones((num_classes, 1)),
            "pos": np.eye(num_classes),
        },
        embed=("x", "data"),
        vector_row="c",
        config={"attention": "softmax", "mlp": "gated", "unit_trace": False},
        stacked_first=(first, *picks),
    )


def mixture_trace(
    network: Network[ModelConfig],
    x: Float[Array, "N d"],
    mask: Bool[Array, " N"] | None = None,
) -> MixtureTrace:
    """Responsibilities and centres after every block of a `lloyd` or `em` network.

    Args:
        network: of `mixture_params`.
        x: `[N, d]` rows.
        mask: `[N]` True for valid rows; None means all. Masked rows have
            responsibilities too, which nothing reads.

    Returns:
        `MixtureTrace`.

    Raises:
        ConfigError: if the network is another one, or x has another d.
        DataError: if x has no (valid) row, NaN or infinity in one, or one that is
            longer than `LONGEST`.
    """
    config, params = network
    require(
        config.attention == "softmax" and config.register_tokens is not None,
        "mixture_trace reads networks of variant 'lloyd' or 'em'; use "
        "spectral_tf.trace for the others.",
    )
    check_rows(x, mask)
    _check_lengths(x, mask)
    return _mixture_trace(config, params, x, mask)


def _check_lengths(x: Any, mask: Any) -> None:
    """Refuse rows beyond which gates do not close; tracers pass."""
    if isinstance(x, Tracer) or isinstance(mask, Tracer):
        return
    rows = np.asarray(x, np.float64)
    rows = rows if mask is None else rows[np.asarray(mask)]
    longest = np.max(np.linalg.norm(rows - rows.mean(axis=0), axis=1))
    if longest > LONGEST:
        raise DataError(
            f"a row lies {longest:.3g} from the mean of the rows; it may be at most "
            f"{LONGEST:.0e}. Divide x, and sigma, by their scale."
        )


@functools.partial(jax.jit, static_argnums=0)
def _mixture_trace(
    config: ModelConfig, params: Any, x: Array, mask: Array | None
) -> MixtureTrace:
    model = SpectralTransformer(config)
    inside: Any = model.apply({"params": params}, x, mask, capture=True)[1]
    data, registers = inside.state
    layout = em_layout(x.shape[1], config.num_registers)
    shown = x if mask is None else jnp.where(mask[:, None], x, 0.0)
    count = x.shape[0] if mask is None else jnp.sum(mask)
    mean = jnp.sum(shown, axis=0) / count
    return MixtureTrace(
        responsibilities=data[:, :, layout["r"]],
        centres=registers[:, :, layout["c"]] + mean[None, None],
    )
