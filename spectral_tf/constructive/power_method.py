"""Weights whose forward pass runs the power method: the compositions by name."""

from typing import TypedDict

from spectral_tf.config import ModelConfig, require
from spectral_tf.constructive import reference
from spectral_tf.constructive.assemble import assemble, model_config
from spectral_tf.constructive.columns import columns
from spectral_tf.constructive.composition import Composition
from spectral_tf.constructive.registers import (
    accelerated,
    register,
    register_rounds,
    rms,
    rms_rounds,
)
from spectral_tf.constructive.squaring import squaring
from spectral_tf.constructive.tolerance import Tolerance
from spectral_tf.constructive.variant import Variant
from spectral_tf.model.network import Network
from spectral_tf.settings import standard_settings

VARIANTS: dict[str, Variant] = {
    "register": Variant(
        build=register, reference=reference.register, bound=register_rounds
    ),
    "columns": Variant(build=columns, reference=reference.columns),
    "rms": Variant(build=rms, reference=reference.rms, bound=rms_rounds),
    "squaring": Variant(build=squaring, reference=reference.squaring, fair_iters=8),
    "accelerated": Variant(build=accelerated, reference=reference.accelerated),
}
"""The power methods that are written down, by name."""


def variant_of(variant: str | Variant) -> Variant:
    """The row of `VARIANTS` with this name; a `Variant` is its own.

    Args:
        variant: name, or a variant of yours.

    Returns:
        The variant.

    Raises:
        ConfigError: for an unknown name.
    """
    if isinstance(variant, Variant):
        return variant
    require(
        variant in VARIANTS,
        f"unknown variant {variant!r}; choose one of {', '.join(VARIANTS)}.",
    )
    return VARIANTS[variant]


class Options(TypedDict, total=False):
    """Keywords of both functions below."""

    accuracy: float | None
    smallest: float | None


def power_method_composition(
    dim: int,
    num_components: int,
    num_iters: int,
    variant: str | Variant = "register",
    *,
    accuracy: float | None = None,
    smallest: float | None = None,
) -> Composition:
    """The composition in named rows, before it becomes parameters.

    Args:
        dim: d.
        num_components: k, `1 <= k <= d`.
        num_iters: tau, or for `squaring` the squarings per vector.
        variant: name of one of `VARIANTS`, or a `Variant` of yours.
        accuracy: relative error of the normaliser, in (0, 0.5); None chooses it so that
            deflation holds for eigenvalues down to `smallest`.
        smallest: smallest eigenvalue, over the trace, whose vector is normalised; None
            takes min(1e-3, 1 / (4 d)).

    Returns:
        The composition.

    Raises:
        ConfigError: for k outside `1..d`, tau < 1, an unknown variant, or an accuracy
            or range that cannot hold.
    """
    chosen = variant_of(variant)
    require(
        1 <= num_components <= dim,
        f"num_components={num_components} must lie in 1..dim={dim}; ask for fewer "
        "components.",
    )
    require(
        num_iters >= 1,
        f"num_iters={num_iters} must be >= 1; {chosen.fair_iters} is a fair start.",
    )
    tolerance = Tolerance(accuracy=accuracy, smallest=smallest)
    return chosen.build(dim, num_components, num_iters, tolerance)


@standard_settings()
def power_method_params(
    dim: int,
    num_components: int,
    num_iters: int,
    variant: str | Variant = "register",
    *,
    accuracy: float | None = None,
    smallest: float | None = None,
) -> Network[ModelConfig]:
    r"""Weights whose forward pass runs the power method with deflation.

    Args:
        dim: d, the features of an instance; any N will do.
        num_components: k, `1 <= k <= d`.
        num_iters: tau >= 1, iterations. In `register`, `rms` and `accelerated` all k
            vectors iterate at once; in `columns` tau is the total over the k vectors;
            in `squaring` the number of squarings per vector (8 are 257 power steps).
        variant: `register` (four blocks per iteration; ReLU and no norm, the theory's
            model), `rms` (two blocks, a norm layer, exact), `accelerated` (Chebyshev),
            `columns` (the paper's attention-only network of 1 + 2 tau + 4 k layers) or
            `squaring` (depth O(k log n) for n power steps); or a `Variant` of yours.
        accuracy: relative error of the normaliser, in (0, 0.5); None chooses it, and
            with it the number of knots, by the bounds in `normaliser.py`,
            `registers.py` and `columns.py`.
        smallest: smallest eigenvalue, over the trace, whose vector is normalised;
            vectors of smaller ones come out as 0 (all but `rms`). None takes
            min(1e-3, 1 / (4 d)).

    Returns:
        The network, for any N; `fuse` makes it fast. Equal blocks share their weights;
        `unroll` gives every place its own.

    Raises:
        ConfigError: for k outside `1..d`, tau < 1, an unknown variant, or an accuracy
            or range that cannot hold.

    Example:
        >>> import spectral_tf
        >>> network = spectral_tf.power_method_params(10, 3, 60)
        >>> config = network.config
        >>> config.num_blocks, config.num_unique_blocks, config.num_heads
        (291, 8, 2)

    Source: after He et al. (2025),
    arXiv:2501.01312, theorem on PCA by transformers.
    """
    composition = power_method_composition(
        dim,
        num_components,
        num_iters,
        variant,
        accuracy=accuracy,
        smallest=smallest,
    )
    config = model_config(composition, dim, num_components)
    return Network(config, assemble(composition, config))
