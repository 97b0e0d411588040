"""Every product of a forward pass says its precision; on a CPU no number would show it.

On TPUs and recent GPUs the default is far below float32, too little for linear algebra.
"""

import functools

import jax
import jax.numpy as jnp
import pytest
from jax.extend.core import jaxprs_in_params

from spectral_tf.constructive import (
    POLAR,
    VARIANTS,
    equivariant_power_method,
    krylov,
    mixture_labels,
    mixture_params,
    power_method_params,
    subspace_iteration,
)
from spectral_tf.evaluation import eigh_predict, orthogonal_iteration_predict
from spectral_tf.model.expand import expand
from spectral_tf.weights import load_pretrained, pretrained_names

X = jnp.linspace(-1.0, 1.0, 42).reshape(7, 6) ** 2
FORWARDS = {
    **{name: lambda name=name: power_method_params(6, 2, 3, name) for name in VARIANTS},
    "equivariant": lambda: equivariant_power_method(2, 3),
    "subspace iteration": lambda: subspace_iteration(2, 3, registers=4),
    "krylov": lambda: krylov(2, 3, block=4),
    "krylov, polar": lambda: krylov(2, 3, block=4, polar=POLAR, terminator=True),
    "krylov, dense": lambda: expand(krylov(2, 2, block=3), 6),
    **{
        name: lambda name=name: load_pretrained(name, num_components=2)
        for name in pretrained_names("eigenpairs")
        if name != "pca-dense"  # its k is fixed
    },
    "pca-dense": lambda: load_pretrained("pca-dense"),
    "clusters": lambda: lambda x: load_pretrained("gmm-small")(x, 2),
    "mixture": lambda: functools.partial(mixture_labels, mixture_params(6, 3)),
    "eigh": lambda: lambda x: eigh_predict(2)(x, x[:, 0] == x[:, 0]),
    "orthogonal iteration": lambda: (
        lambda x: orthogonal_iteration_predict(krylov(2, 1).config, 3)(
            x, x[:, 0] == x[:, 0]
        )
    ),
}


def products(jaxpr):
    """The precision of every `dot_general`, inner programs included."""
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "dot_general":
            yield eqn.params["precision"]
        for inner in jaxprs_in_params(eqn.params):
            yield from products(inner)


@pytest.mark.parametrize("name", FORWARDS)
def test_every_product_is_at_full_precision(name):
    network = FORWARDS[name]()
    found = set(products(jax.make_jaxpr(lambda x: network(x))(X).jaxpr))
    highest = jax.lax.Precision.HIGHEST
    assert found == {(highest, highest)}


def test_a_product_that_does_not_say_so_is_seen():
    assert set(products(jax.make_jaxpr(lambda x: x @ x.T)(X).jaxpr)) == {None}
