"""Weights written down, not trained: gadgets with proofs, and what they compose.

`fuse`, `trace` and `error_bound`, modules here, are exported as functions by
`spectral_tf` alone.
"""

from typing import TYPE_CHECKING

from spectral_tf.lazy import lazily

if TYPE_CHECKING:
    from spectral_tf.constructive.composition import Composition
    from spectral_tf.constructive.equivariant import (
        chebyshev_shifts,
        equivariant_power_method,
        with_shifts,
    )
    from spectral_tf.constructive.error_bound import ErrorBound
    from spectral_tf.constructive.explain import explained, summary
    from spectral_tf.constructive.fuse import Fused, fusion_plan, is_covered
    from spectral_tf.constructive.lanczos import POLAR, krylov
    from spectral_tf.constructive.lanczos_reference import (
        Krylov,
        block_lanczos,
        krylov_recursion,
    )
    from spectral_tf.constructive.mixture import (
        MixtureLabels,
        mixture_composition,
        mixture_labels,
        mixture_params,
    )
    from spectral_tf.constructive.mixture_reference import em_recursion, spectral_scores
    from spectral_tf.constructive.normaliser import (
        Normaliser,
        knots_for,
        relative_error_bound,
    )
    from spectral_tf.constructive.power_method import (
        VARIANTS,
        Options,
        power_method_composition,
        power_method_params,
    )
    from spectral_tf.constructive.registers import register_start, start_rows
    from spectral_tf.constructive.residual_layout import ResidualLayout, Stream
    from spectral_tf.constructive.subspace import (
        KINDS,
        SHIFTS,
        order,
        subspace_iteration,
    )
    from spectral_tf.constructive.tolerance import Tolerance, deflating_normaliser
    from spectral_tf.constructive.trace import KrylovTrace, Trace
    from spectral_tf.constructive.variant import Variant

__all__ = [
    "KINDS",
    "POLAR",
    "SHIFTS",
    "VARIANTS",
    "Composition",
    "ErrorBound",
    "Fused",
    "Krylov",
    "KrylovTrace",
    "MixtureLabels",
    "Normaliser",
    "Options",
    "ResidualLayout",
    "Stream",
    "Tolerance",
    "Trace",
    "Variant",
    "block_lanczos",
    "chebyshev_shifts",
    "deflating_normaliser",
    "em_recursion",
    "equivariant_power_method",
    "explained",
    "fusion_plan",
    "is_covered",
    "knots_for",
    "krylov",
    "krylov_recursion",
    "mixture_composition",
    "mixture_labels",
    "mixture_params",
    "order",
    "power_method_composition",
    "power_method_params",
    "register_start",
    "relative_error_bound",
    "spectral_scores",
    "start_rows",
    "subspace_iteration",
    "summary",
    "with_shifts",
]

_HOMES = {
    "composition": ("Composition",),
    "equivariant": ("chebyshev_shifts", "equivariant_power_method", "with_shifts"),
    "error_bound": ("ErrorBound",),
    "explain": ("explained", "summary"),
    "fuse": ("Fused", "fusion_plan", "is_covered"),
    "lanczos": ("POLAR", "krylov"),
    "lanczos_reference": ("Krylov", "block_lanczos", "krylov_recursion"),
    "mixture": (
        "MixtureLabels",
        "mixture_composition",
        "mixture_labels",
        "mixture_params",
    ),
    "mixture_reference": ("em_recursion", "spectral_scores"),
    "normaliser": ("Normaliser", "knots_for", "relative_error_bound"),
    "power_method": (
        "Options",
        "VARIANTS",
        "power_method_composition",
        "power_method_params",
    ),
    "registers": ("register_start", "start_rows"),
    "residual_layout": ("ResidualLayout", "Stream"),
    "subspace": ("KINDS", "SHIFTS", "order", "subspace_iteration"),
    "tolerance": ("Tolerance", "deflating_normaliser"),
    "trace": ("KrylovTrace", "Trace"),
    "variant": ("Variant",),
}
"""Module -> the public names that it defines."""

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES)
