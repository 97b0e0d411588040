r"""Compositions of gadgets that run the power method with deflation.

`register`: one iteration is four blocks, `multiply, squared_norm, scale, deflate`, at
most two heads each, whatever d is. All k vectors iterate at once, so tau iterations
are 4 tau blocks (not 4 tau k), and one period of four blocks is all the weights there
are. In exact arithmetic, and with f the normaliser, register j follows

.. math:: w_j = \Sigma u_j,\quad \hat w_j = f(|w_j|^2)\, w_j,\quad
   u_j \leftarrow \hat w_j - \sum_{l<j} \hat w_l \langle \hat w_l, \hat w_j\rangle .

*Convergence*: register 1 runs the power method. Suppose registers l < j have converged
to :math:`(1+\delta_l) v_l`, :math:`|\delta_l|\le\epsilon`. A component of register j
along v_l is multiplied per iteration by :math:`\lambda_l / \lambda_j` (times the
common normalisation) and by :math:`1 - (1+\delta_l)^2 \approx -2\delta_l`; it decays if
:math:`2\epsilon\lambda_l < \lambda_j`. Components along later vectors decay as in the
power method. So an error of the normaliser does not bias the vectors, it only slows
deflation; that is why a few hundred knots are enough for any accuracy.

`rms`: the norm layer normalises, so an iteration is two blocks, `multiply, deflate`,
and nothing is approximate:

.. math:: \hat w_j = \Sigma u_j / |\Sigma u_j|,\quad
   u_j \leftarrow \hat w_j - \sum_{l<j} \hat w_l \langle \hat w_l, \hat w_j\rangle,
   \text{ over its length.}
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from spectral_tf.config import ModelConfig, require
from spectral_tf.constructive.assemble import assemble, head_sizes
from spectral_tf.constructive.gadgets import (
    Gadget,
    deflate,
    followed_by_norm,
    multiply,
    scale,
    squared_norm,
)
from spectral_tf.constructive.normaliser import Normaliser, knots_for
from spectral_tf.constructive.residual_layout import (
    ResidualLayout,
    register_layout,
    rms_layout,
)
from spectral_tf.model.transformer import default_start

SQUARED_NORMS = (1e-8, 1.0)
"""Range of |Sigma u|^2: Sigma has unit trace, so at most 1; the lower end holds for
eigenvalues down to 1e-4 of the trace (below it a vector is longer before it is 1)."""

VARIANTS = ("register", "rms")

RMS_EPS = 1e-30
"""Under the root of the norm of `rms`: exact to rounding for |u|^2 >= 1e-14."""


def register_normaliser(accuracy: float) -> Normaliser:
    """The normaliser of the `register` composition.

    Args:
        accuracy: relative error on `SQUARED_NORMS`, in (0, 1).

    Returns:
        The interpolant with the fewest knots that keeps the proven bound.

    Raises:
        ConfigError: if accuracy is outside (0, 1).

    Source: ours.
    """
    low, high = SQUARED_NORMS
    return Normaliser(low=low, high=high, num_knots=knots_for(accuracy, low, high))


def register_gadgets(layout: ResidualLayout, normaliser: Normaliser) -> list[Gadget]:
    """The four blocks of one iteration, in order.

    Args:
        layout: rows of the `register` construction.
        normaliser: f.

    Returns:
        `multiply, squared_norm, scale, deflate`.

    Source: DESIGN of the package, section 5 (ours).
    """
    return [
        multiply(layout),
        squared_norm(layout, normaliser),
        scale(layout, normaliser.peak),
        deflate(layout),
    ]


def power_method_gadgets(
    dim: int, num_components: int, variant: str = "register", accuracy: float = 1e-3
) -> tuple[ResidualLayout, list[Gadget]]:
    """Layout and blocks of one iteration of a composition.

    Args:
        dim: d.
        num_components: k, `1 <= k <= d`.
        variant: `register` or `rms`.
        accuracy: of the normaliser of `register`, in (0, 1).

    Returns:
        `(layout, gadgets)`, the gadgets in order.

    Raises:
        ConfigError: for k outside `1..d`, an unknown variant, or accuracy outside
            (0, 1).

    Source: DESIGN of the package, section 5 (ours).
    """
    require(
        variant in VARIANTS,
        f"unknown variant {variant!r}; choose one of {', '.join(VARIANTS)}.",
    )
    require(
        1 <= num_components <= dim,
        f"num_components={num_components} must lie in 1..dim={dim}; ask for fewer "
        "components.",
    )
    normaliser = register_normaliser(accuracy)
    if variant == "register":
        layout = register_layout(dim, num_components)
        return layout, register_gadgets(layout, normaliser)
    layout = rms_layout(dim, num_components)
    blocks = (multiply(layout), deflate(layout))
    return layout, [followed_by_norm(block, RMS_EPS) for block in blocks]


def power_method_params(
    dim: int,
    num_components: int,
    num_iters: int,
    variant: str = "register",
    *,
    accuracy: float = 1e-3,
    looped: bool = True,
) -> tuple[ModelConfig, dict[str, Any]]:
    r"""Weights whose forward pass runs the power method with deflation.

    Args:
        dim: d, the features of an instance; any N will do.
        num_components: k, `1 <= k <= d`.
        num_iters: tau >= 1, iterations; all k vectors iterate at once.
        variant: `register` (four blocks per iteration, the theory's model: ReLU and
            no norm) or `rms` (two blocks per iteration, a norm layer, exact).
        accuracy: relative error of the normaliser of `register`, in (0, 1); sets the
            number of knots by the bound in `normaliser.py`, not the accuracy of the
            vectors.
        looped: the blocks of one iteration, run tau times (True), or tau copies of
            them with weights of their own (False). The same function.

    Returns:
        `(ModelConfig, params)` for `SpectralTransformer` and `predict`.

    Raises:
        ConfigError: for k outside `1..d`, tau < 1, an unknown variant, or accuracy
            outside (0, 1).

    Example:
        >>> import spectral_tf
        >>> config, params = spectral_tf.power_method_params(10, 3, 60)
        >>> config.num_blocks, config.num_heads
        (240, 2)

    Source: DESIGN of the package, section 5 (ours), after He et al. (2025),
    arXiv:2501.01312, theorem on PCA by transformers.
    """
    require(num_iters >= 1, f"num_iters={num_iters} must be >= 1; 60 is a fair start.")
    layout, gadgets = power_method_gadgets(dim, num_components, variant, accuracy)
    config = _model_config(layout, gadgets, num_iters, looped)
    if variant == "rms":
        config = config.replace(
            norm="rms", norm_position="post", norm_groups=(1, dim), norm_eps=RMS_EPS
        )
    outer = _outer_params(layout, config)
    return config, assemble(config, gadgets * (1 if looped else num_iters), outer)


def _model_config(
    layout: ResidualLayout, gadgets: list[Gadget], num_iters: int, looped: bool
) -> ModelConfig:
    return ModelConfig(
        parameterisation="dense",
        dim=layout.size("x"),
        num_components=layout.size("pos"),
        block=("attention", "mlp"),
        num_blocks=len(gadgets) * num_iters,
        looped=looped,
        loop_period=len(gadgets),
        attention="relu",
        attention_scale="sum",
        norm="none",
        norm_position="pre",
        skip_gain=False,
        activation="relu",
        mlp="plain",
        width=layout.width,
        readout="rayleigh",
        initialisation="random",
        **head_sizes(gadgets),
    )


def _outer_params(layout: ResidualLayout, config: ModelConfig) -> dict[str, np.ndarray]:
    """Embedding (x, one), registers (start, one, pos, low) and read-out (u)."""
    dim, k = layout.size("x"), layout.size("pos")
    start = default_start(config, dim, jnp.result_type(float))
    code = {
        "u": np.asarray(start),
        "one": np.ones((k, 1)),
        "pos": np.eye(k),
        "low": np.triu(np.ones((k, k))),
    }
    sizes = dict(layout.sizes)
    empty = {name: np.zeros((k, size)) for name, size in sizes.items()}
    return {
        "embed_kernel": layout.read("x"),
        "embed_bias": layout.read("one")[0],
        "registers": layout.join(empty | code),
        "vector_kernel": layout.write("u"),
    }
