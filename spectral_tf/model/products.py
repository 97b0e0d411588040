"""Small products as sums, where a matrix unit would be mostly empty.

The products of an equivariant network have sides of 2 to 50, one for each instance.
On a CPU a matrix product is the fastest way to them. On a GPU each is a library call of
its own, and on a TPU it fills a corner of a 128 x 128 unit after its operands have been
copied into the layout of that unit. Written as elementwise products and a sum, the
instances of a batch lie side by side, neighbours fuse with it, and nothing is copied.
`benchmarks/bench_accelerator.py` counts both.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from spectral_tf.config import AnyModel
from spectral_tf.model.attention import contraction

MOST_TERMS = 2**13
"""Products of more terms than this, for one instance, stay matrix products."""

Operand = Float[Array, "..."]


def small_products(config: AnyModel, *, tpu_only: bool = False) -> Callable[..., Array]:
    """`contraction(config)`, with small products of two operands as sums off the CPU.

    Args:
        config: `precision` is read; sums are of the operands' own precision.
        tpu_only: matrix products on GPUs, too: long chains of sums, as in a fused
            construction, take XLA's compiler for GPUs minutes.

    Returns:
        `(spec, *operands)`, as `jnp.einsum`, for reverse-mode derivatives.
    """
    einsum = contraction(config)

    def product(spec: str, *operands: Array) -> Array:
        if not _is_small(spec, operands):
            return einsum(spec, *operands)
        return _product(spec, einsum, tpu_only, *operands)

    return product


def _is_small(spec: str, operands: tuple[Array, ...]) -> bool:
    """Whether it is a product of two operands, of few terms."""
    if len(operands) != 2:
        return False
    left, right, _ = _letters(spec)
    sizes = dict(zip(left + right, operands[0].shape + operands[1].shape, strict=True))
    return math.prod(sizes.values()) <= MOST_TERMS


def _letters(spec: str) -> tuple[str, str, str]:
    """`"ij,jk->ik"` to `("ij", "jk", "ik")`."""
    operands, result = spec.split("->")
    left, right = operands.split(",")
    return left, right, result


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _product(
    spec: str,
    einsum: Callable[..., Any],
    tpu_only: bool,
    left: Operand,
    right: Operand,
) -> Array:
    """The product, in the way of the platform that it is compiled for."""
    matrix, terms = functools.partial(einsum, spec), functools.partial(summed, spec)
    if tpu_only:
        return jax.lax.platform_dependent(left, right, tpu=terms, default=matrix)
    return jax.lax.platform_dependent(left, right, cpu=matrix, default=terms)


def _forward(
    spec: str,
    einsum: Callable[..., Any],
    tpu_only: bool,
    left: Operand,
    right: Operand,
) -> tuple[Array, tuple[Array, Array]]:
    # What is kept is the operands: derivatives of a broadcast would keep its terms.
    return _product(spec, einsum, tpu_only, left, right), (left, right)


def _backward(
    spec: str,
    einsum: Callable[..., Any],
    tpu_only: bool,
    operands: tuple[Array, Array],
    gradient: Operand,
) -> tuple[Array, Array]:
    (first, second, result), (left, right) = _letters(spec), operands
    return (
        _product(f"{result},{second}->{first}", einsum, tpu_only, gradient, right),
        _product(f"{result},{first}->{second}", einsum, tpu_only, gradient, left),
    )


_product.defvjp(_forward, _backward)


def summed(spec: str, left: Operand, right: Operand) -> Array:
    """`jnp.einsum` of two operands by an elementwise product and a sum.

    Args:
        spec: such as `"kc,cm->km"`; every letter is in two of its three parts.
        left: first operand.
        right: second operand.

    Returns:
        The product, in the type of the operands; terms of half precision are added in
        single precision.
    """
    first, second, result = _letters(spec)
    axes = result + "".join(c for c in dict.fromkeys(first + second) if c not in result)
    dtype = jnp.result_type(left, right)
    wide = jnp.promote_types(dtype, jnp.float32)

    def spread(operand: Array, letters: str) -> Array:
        order = sorted(range(len(letters)), key=lambda i: axes.index(letters[i]))
        present = iter(jnp.transpose(operand, order).shape)
        shape = [next(present) if letter in letters else 1 for letter in axes]
        return jnp.transpose(operand, order).reshape(shape).astype(wide)

    terms = spread(left, first) * spread(right, second)
    summed_axes = tuple(range(len(result), len(axes)))
    return jnp.sum(terms, axis=summed_axes).astype(dtype)
