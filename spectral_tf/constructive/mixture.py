r"""Spectral clustering of a Gaussian mixture as weights: a power method, then one side.

For two classes :math:`x_i = y_i \mu + e_i` the leading direction of the covariance is
that of :math:`\mu`, and the side on which a row lies is its label. The network is the
power method of `registers.py` with k = 1, and one block more, *side*, in which each
data token attends to the first register and writes :math:`\langle x_i, u\rangle` into a
row of its own, `y`. The label is the sign of `y`.

*Labels are those of the classical method.* The first register spans
:math:`\Sigma^\tau u_0` (see `registers.py`), whatever the normaliser's error, and its
length is positive; so `y` is a positive multiple of :math:`\langle x_i - \bar x,
\Sigma^\tau u_0\rangle`, and the sign is the same in exact arithmetic. Rounding can turn
the sign only of a row that lies within a few rounding units of the border.

Mixtures of K classes are in `em.py`.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from spectral_tf.config import ModelConfig, require
from spectral_tf.constructive.assemble import assemble, model_config
from spectral_tf.constructive.composition import Composition
from spectral_tf.constructive.em import (
    DEFAULT_KNOTS,
    em_composition,
    mixture_trace,
)
from spectral_tf.constructive.gadgets import (
    Gadget,
    Head,
    ReluMLP,
    followed_by_norm,
    linear_pair,
    no_mlp,
)
from spectral_tf.constructive.power_method import power_method_composition
from spectral_tf.constructive.program import series
from spectral_tf.constructive.residual_layout import ResidualLayout, Stream
from spectral_tf.model.inputs import check_rows
from spectral_tf.model.network import Network
from spectral_tf.model.transformer import SpectralTransformer
from spectral_tf.settings import standard_settings
from spectral_tf.spectra import centred, einsum

SPECTRAL = {"spectral": "register", "spectral_rms": "rms"}
"""Variant -> the power method that it ends."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mixture:
    """What is known of the mixture.

    Attributes:
        num_classes: K; 2 for the spectral variants.
        sigma: `em` only: standard deviation of the noise, units of x.
        knots: `em` only: of the interpolated entropy.
    """

    num_classes: int = 2
    sigma: float = 1.0
    knots: int = DEFAULT_KNOTS


class MixtureLabels(NamedTuple):
    """What a constructed network says of the rows of one instance.

    Attributes:
        labels: `[N]` 0 to K - 1; -1 for masked rows.
        scores: spectral: `[N]` <x_i, u>, label 1 where it is negative; `lloyd` and
            `em`: `[N, K]` responsibilities.
    """

    labels: Array
    scores: Array


def side(layout: ResidualLayout) -> Gadget:
    r"""y <- <x, u> on every data token, u that of the first register.

    Heads +,- with Q: x, K: u and as value the first entry of the code `pos`, which is 1
    on the first register and 0 on every other token, give :math:`\langle x_j,
    u_1\rangle` exactly (linear head). Registers receive nothing, since their x is 0.

    Args:
        layout: rows of a register composition, and `y`.

    Returns:
        The gadget.

    Source: He et al. (2025), arXiv:2501.01312, clustering by transformers.
    """
    first = layout.read("pos")[:1]

    def semantics(stream: Stream) -> Stream:
        # <x_j, u_l>, of which the code keeps l = 1
        scores = stream["x"] @ stream["u"].T
        return stream | {"y": stream["y"] + scores @ stream["pos"][:, :1]}

    return Gadget(
        name="side",
        heads=linear_pair(layout.read("x"), layout.read("u"), first, layout.write("y")),
        mlp=no_mlp(layout),
        semantics=semantics,
        explain=(
            "heads 0, 1 (data read the first register): y = <x, u>",
            "mlp: nothing",
        ),
    )


def widened(composition: Composition, **rows: int) -> Composition:
    """The same network in a residual stream with more rows behind the others.

    Args:
        composition: any.
        **rows: name -> size of each new row; nothing reads or writes them.

    Returns:
        The composition, with zeros in the new places of all maps.
    """
    more = sum(rows.values())
    wide = lambda matrix: np.pad(matrix, ((0, 0), (0, more)))

    def semantics(old: Gadget, stream: Stream) -> Stream:
        inner = {name: value for name, value in stream.items() if name not in rows}
        return stream | old.semantics(inner)

    def gadget(old: Gadget) -> Gadget:
        heads = tuple(
            Head(
                query=wide(head.query),
                key=wide(head.key),
                value=wide(head.value),
                out=wide(head.out.T).T,
            )
            for head in old.heads
        )
        mlp = ReluMLP(up=wide(old.mlp.up), down=wide(old.mlp.down.T).T)
        meaning = functools.partial(semantics, old)
        return dataclasses.replace(old, heads=heads, mlp=mlp, semantics=meaning)

    layout = ResidualLayout(sizes=(*composition.layout.sizes, *rows.items()))
    wider = {old: gadget(old) for old in composition.gadgets}
    return dataclasses.replace(
        composition,
        layout=layout,
        program=composition.program.mapped(wider.__getitem__),
        stacked_first=tuple(wider[old] for old in composition.stacked_first),
    )


def spectral_composition(
    dim: int, num_iters: int, mixture: Mixture, variant: str = "spectral"
) -> Composition:
    """The power method with k = 1, and `side` as its last block.

    Args:
        dim: d.
        num_iters: tau >= 1.
        mixture: of two classes.
        variant: `spectral` (the `register` composition) or `spectral_rms` (`rms`).

    Returns:
        The composition.

    Raises:
        ConfigError: for tau < 1 or K other than 2.

    Source: He et al. (2025), arXiv:2501.01312; see the top of this file.
    """
    require(
        mixture.num_classes == 2,
        f"num_classes={mixture.num_classes} must be 2 for variant={variant!r}: one "
        "direction has two sides; use 'lloyd' or 'em' for more.",
    )
    power = power_method_composition(dim, 1, num_iters, SPECTRAL[variant])
    wide = widened(power, y=1)
    last = side(wide.layout)
    if power.config.get("norm") == "rms":
        last = followed_by_norm(last, power.config["norm_eps"])
    return dataclasses.replace(wide, program=series(wide.program, last))


def _lloyd(dim: int, num_iters: int, mixture: Mixture) -> Composition:
    return em_composition(
        dim, mixture.num_classes, num_iters, sigma=None, knots=mixture.knots
    )


def _em(dim: int, num_iters: int, mixture: Mixture) -> Composition:
    return em_composition(
        dim, mixture.num_classes, num_iters, sigma=mixture.sigma, knots=mixture.knots
    )


MIXTURES: dict[str, Callable[[int, int, Mixture], Composition]] = {
    **{
        variant: functools.partial(spectral_composition, variant=variant)
        for variant in SPECTRAL
    },
    "lloyd": _lloyd,
    "em": _em,
}
"""Variant -> what builds it for d, tau and a mixture."""


def mixture_composition(
    dim: int,
    num_iters: int,
    variant: str = "spectral",
    *,
    num_classes: int = 2,
    sigma: float = 1.0,
    knots: int = DEFAULT_KNOTS,
) -> Composition:
    """The composition in named rows, before it becomes parameters.

    Args:
        dim: d.
        num_iters: tau >= 1.
        variant: one of `MIXTURES`.
        num_classes: K; 2 for the spectral variants.
        sigma: `em` only: standard deviation of the noise, units of x.
        knots: `em` only: of the interpolated entropy.

    Returns:
        The composition.

    Raises:
        ConfigError: for an unknown variant or a value out of bounds.

    Source: as `mixture_params`.
    """
    require(
        variant in MIXTURES,
        f"unknown variant {variant!r}; choose one of {', '.join(MIXTURES)}.",
    )
    require(num_iters >= 1, f"num_iters={num_iters} must be >= 1; 20 is a fair start.")
    mixture = Mixture(num_classes=num_classes, sigma=sigma, knots=knots)
    return MIXTURES[variant](dim, num_iters, mixture)


@standard_settings()
def mixture_params(
    dim: int,
    num_iters: int,
    variant: str = "spectral",
    *,
    num_classes: int = 2,
    sigma: float = 1.0,
    knots: int = DEFAULT_KNOTS,
) -> Network[ModelConfig]:
    """Weights whose forward pass clusters the rows of a Gaussian mixture.

    Args:
        dim: d, the features of an instance; any N will do.
        num_iters: tau >= 1: power iterations, or Lloyd or EM steps.
        variant: `spectral` and `spectral_rms` (two classes: the sides of the leading
            direction of the centred rows), `lloyd` (k-means steps) or `em` (EM steps of
            a mixture of K equal spherical classes). The last two start from rows far
            apart, found by the network.
        num_classes: K, 2 to 8; 2 for the spectral variants.
        sigma: `em` only: standard deviation of the noise, units of x; it is not
            estimated.
        knots: `em` only: of the interpolated entropy; the bound is in `em.py`.

    Returns:
        The network, for `mixture_labels`.

    Raises:
        ConfigError: for an unknown variant or a value out of bounds.

    Example:
        >>> import jax
        >>> network = mixture_params(5, 20)
        >>> x = jax.random.normal(jax.random.key(0), (40, 5))
        >>> mixture_labels(network, x).labels.shape
        (40,)

    Source: He et al. (2025), arXiv:2501.01312 (two classes), and arXiv:2502.06007
    (Lloyd and EM steps by softmax attention).
    """
    composition = mixture_composition(
        dim,
        num_iters,
        variant,
        num_classes=num_classes,
        sigma=sigma,
        knots=knots,
    )
    config = model_config(composition, dim, 1)
    return Network(config, assemble(composition, config))


@standard_settings()
def mixture_labels(
    network: Network[ModelConfig],
    x: Float[Array, "N d"],
    mask: Bool[Array, " N"] | None = None,
) -> MixtureLabels:
    """Labels of the rows of one instance by a constructed network; `vmap` for many.

    Args:
        network: of `mixture_params`.
        x: `[N, d]` rows.
        mask: `[N]` True for valid rows; None means all.

    Returns:
        Labels and scores, read off the data tokens after the last block.

    Raises:
        ConfigError: if x has another d than the weights are made for.
        DataError: if x has no (valid) row, or NaN or infinity in one.
    """
    check_rows(x, mask)
    config, params = network
    if config.attention == "softmax":
        scores = mixture_trace(network, x, mask).responsibilities[-1]
        labels = jnp.argmax(scores, axis=1)
    else:
        scores = _sides(config, params, x, mask)
        labels = jnp.where(scores < 0, 1, 0)
    valid = jnp.ones(x.shape[0], bool) if mask is None else mask
    return MixtureLabels(jnp.where(valid, labels, -1), scores)


def subspace_coordinates(
    network: Network[ModelConfig],
    x: Float[Array, "N d"],
    mask: Bool[Array, " N"] | None = None,
) -> Float[Array, "N k"]:
    r"""Rows on the top k eigenvectors that a network finds; `vmap` for many.

    The start of `lloyd` and `em` in many dimensions, where the row farthest away is a
    matter of the noise: the K means span at most K - 1 dimensions about their mean, and
    keep their distances in that subspace, while the noise keeps k / d of its variance.
    A network for k columns then clusters the coordinates.

    Args:
        network: of `power_method_params`, or any other of eigenpairs.
        x: `[N, d]` rows.
        mask: `[N]` True for valid rows; None means all.

    Returns:
        `[N, k]` coordinates about the mean of the valid rows; zero where masked.

    Raises:
        ConfigError: if x has another d than the weights are made for.
        DataError: if x has no (valid) row, or NaN or infinity in one.

    Source: Vempala & Wang (2004), A spectral algorithm for learning mixture models.
    """
    vectors = network(x, mask).eigenvectors
    return einsum("nd,kd->nk", centred(x, mask), vectors)


@functools.partial(jax.jit, static_argnums=0)
def _sides(
    config: ModelConfig, params: Any, x: Array, mask: Array | None
) -> Float[Array, " N"]:
    """The last row of the data tokens after the last block, which is `y`."""
    model = SpectralTransformer(config)
    inside: Any = model.apply({"params": params}, x, mask, capture=True)[1]
    return inside.state[0][-1, :, -1]
