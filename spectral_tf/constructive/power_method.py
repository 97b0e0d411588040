"""Weights whose forward pass runs the power method: the compositions by name."""

import dataclasses
import functools
from typing import TypedDict, Unpack

from spectral_tf.config import ModelConfig, require
from spectral_tf.constructive import reference
from spectral_tf.constructive.assemble import assemble, model_config
from spectral_tf.constructive.columns import columns
from spectral_tf.constructive.composition import Composition
from spectral_tf.constructive.lanczos_dense import krylov_dense, krylov_space
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
    "krylov": Variant(
        build=krylov_dense,
        reference=reference.krylov,
        bound=krylov_space,
        fair_iters=6,
    ),
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
    """Keywords of both functions below; None is as if not given."""

    accuracy: float | None
    smallest: float | None
    block: int | None


def with_options(variant: str | Variant, options: Options) -> tuple[Variant, Tolerance]:
    """The variant and the tolerance that keywords ask for.

    Args:
        variant: name, or a variant of yours.
        options: keywords.

    Returns:
        `(variant, tolerance)`; `krylov` with its block.

    Raises:
        ConfigError: for an unknown variant, or a block of another one than `krylov`.
        TypeError: for a keyword that there is not.
    """
    unknown = set(options) - set(Options.__annotations__)
    if unknown:
        raise TypeError(
            f"unexpected keyword {min(unknown)!r}; there are "
            f"{', '.join(Options.__annotations__)}."
        )
    chosen, block = variant_of(variant), options.get("block")
    if block is not None:
        require(
            variant == "krylov",
            f"block={block} is the number of start vectors of 'krylov'; variant "
            f"{variant!r} starts from one for each component: leave it None."
            if isinstance(variant, str)
            else f"block={block} is for 'krylov' alone; leave it None.",
        )
        chosen = dataclasses.replace(
            chosen,
            build=functools.partial(krylov_dense, block=block),
            reference=functools.partial(reference.krylov, block=block),
            bound=functools.partial(krylov_space, block=block),
        )
    return chosen, Tolerance(
        accuracy=options.get("accuracy"), smallest=options.get("smallest")
    )


def power_method_composition(
    dim: int,
    num_components: int,
    num_iters: int,
    variant: str | Variant = "register",
    **options: Unpack[Options],
) -> Composition:
    """The composition in named rows, before it becomes parameters.

    Args:
        dim: d.
        num_components: k, `1 <= k <= d`.
        num_iters: tau, or for `squaring` the squarings per vector.
        variant: name of one of `VARIANTS`, or a `Variant` of yours.
        **options: as for `power_method_params`.

    Returns:
        The composition.

    Raises:
        ConfigError: for k outside `1..d`, tau < 1, an unknown variant, or an option
            that cannot hold.
    """
    chosen, tolerance = with_options(variant, options)
    require(
        1 <= num_components <= dim,
        f"num_components={num_components} must lie in 1..dim={dim}; ask for fewer "
        "components.",
    )
    require(
        num_iters >= 1,
        f"num_iters={num_iters} must be >= 1; {chosen.fair_iters} is a fair start.",
    )
    return chosen.build(dim, num_components, num_iters, tolerance)


@standard_settings()
def power_method_params(
    dim: int,
    num_components: int,
    num_iters: int,
    variant: str | Variant = "register",
    **options: Unpack[Options],
) -> Network[ModelConfig]:
    r"""Weights whose forward pass runs the power method with deflation.

    Args:
        dim: d, the features of an instance; any N will do.
        num_components: k, `1 <= k <= d`.
        num_iters: tau >= 1, iterations. In `register`, `rms` and `accelerated` all k
            vectors iterate at once; in `columns` tau is the total over the k vectors;
            in `squaring` the number of squarings per vector (8 are 257 power steps); in
            `krylov` the products P, of which 6 are many.
        variant: `register` (four blocks per iteration; ReLU and no norm, the theory's
            model), `rms` (two blocks, a norm layer, exact), `accelerated` (Chebyshev),
            `columns` (the paper's attention-only network of 1 + 2 tau + 4 k layers),
            `squaring` (depth O(k log n) for n power steps) or `krylov` (registers that
            keep their past: block Lanczos); or a `Variant` of yours.
        **options: `accuracy`, relative error of the normaliser, in (0, 0.5); None
            chooses it, and with it the number of knots, by the bounds in
            `normaliser.py`, `registers.py` and `columns.py`. `smallest`, smallest
            eigenvalue, over the trace, whose vector is normalised; vectors of smaller
            ones come out as 0 (all but `rms`); None takes min(1e-3, 1 / (4 d)).
            `krylov` has no normaliser and refuses both; it alone takes `block`, the
            start vectors b >= k, of which at most d run; None is max(8, k).

    Returns:
        The network, for any N; `fuse` makes it fast. Equal blocks share their weights;
        `unroll` gives every place its own.

    Raises:
        ConfigError: for k outside `1..d`, tau < 1, an unknown variant, or an option
            that cannot hold.

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
        dim, num_components, num_iters, variant, **options
    )
    config = model_config(composition, dim, num_components)
    return Network(config, assemble(composition, config))
