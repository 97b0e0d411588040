"""Constructed networks with float64, float32 and bfloat16 numbers.

Claim: none beforehand. How far is a forward pass with fewer digits from the float64
    pass of the same weights, block by block, and what is left of the answer?
Source: ours; the networks are those of `spectral_tf.constructive.power_method`, after
    He et al. (2025), arXiv:2501.01312.
Command: python experiments/finite_precision/run.py
    python experiments/finite_precision/plot.py
Expected: README.md holds the tables.
Wall time: README.md.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

ITERS = {"register": 50, "rms": 50, "accelerated": 30, "columns": 150, "squaring": 6}
"""With these the float64 passes have converged to angles below 1e-9."""
FEW = {"register": 7, "rms": 7, "accelerated": 8, "columns": 9, "squaring": 2}


@dataclasses.dataclass(frozen=True)
class Study:
    """What is run.

    Attributes:
        dims: d of the tables.
        num_samples: N.
        num_components: k.
        num_instances: tables of each d.
        iters: variant -> iterations.
        exponent: eigenvalue j is `j ** -exponent`, in every table exactly.
        contexts: values of `jax.default_matmul_precision` that are tried.
    """

    dims: tuple[int, ...] = (10, 32)
    num_samples: int = 100
    num_components: int = 3
    num_instances: int = 3
    iters: Mapping[str, int] = dataclasses.field(default_factory=lambda: ITERS)
    exponent: float = 2.0
    contexts: tuple[str, ...] = ("bfloat16", "tensorfloat32", "highest")


def study(*, smoke: bool = False) -> Study:
    """The study, or a small one of seconds."""
    if not smoke:
        return Study()
    sizes: dict[str, Any] = {"dims": (4,), "num_samples": 20, "num_instances": 1}
    return Study(iters=FEW, contexts=("bfloat16",), **sizes)


@dataclasses.dataclass(frozen=True)
class Setting:
    """How a pass is run.

    Attributes:
        name: in tables and figures.
        storage: dtype that x and the weights are rounded to.
        compute: dtype of the pass.
        product_bits: fraction bits that the operands of products are rounded to, which
            emulates accelerators (10: TF32, 7: bfloat16); None rounds nothing.
    """

    name: str
    storage: Any
    compute: Any
    product_bits: int | None = None


REFERENCE = Setting("float64", jnp.float64, jnp.float64)
SETTINGS = (
    REFERENCE,
    Setting("float32", jnp.float32, jnp.float32),
    Setting("TF32 products*", jnp.float32, jnp.float32, 10),
    Setting("bf16 products*", jnp.float32, jnp.float32, 7),
    Setting("bf16 values", jnp.bfloat16, jnp.float64),
    Setting("bfloat16", jnp.bfloat16, jnp.bfloat16),
)
LEGEND = """\
float32, bfloat16: x, weights and every block in that dtype.
* emulated: float32, but operands of products rounded to TF32 or bfloat16.
bf16 values: x and weights rounded to bfloat16, the pass in float64."""
