#!/usr/bin/env bash
# flax 0.12.8 (jax 0.10.2): Module.apply calls the initialiser of every parameter again,
# in every trace and in every eager call, although the parameter is given. Its docstring
# says of Module.param's init_fn: "will only be called the first time this parameter is
# used in this module". The call is abstract (jax.eval_shape, to compare shapes), so
# nothing is computed, but it is traced: an initialiser of many operations costs that
# much in each trace of a forward pass, and what it does in Python happens again.
# Exits 0 while it is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q flax==0.12.8 jax==0.10.2
JAX_PLATFORMS=cpu "$folder/venv/bin/python" - <<'PY'
import sys

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp

print("flax", flax.__version__, "jax", jax.__version__)
calls = 0


def initialiser(key, shape):
    global calls
    calls += 1
    return jnp.zeros(shape)


class Scale(nn.Module):
    @nn.compact
    def __call__(self, x):
        return x * self.param("gain", initialiser, (3,))


x = jnp.ones(3)
variables = Scale().init(jax.random.key(0), x)
counts = [calls]
apply = jax.jit(Scale().apply)
for run in (apply, apply, Scale().apply, Scale().apply):
    run(variables, x)
    counts.append(calls)
print("calls after init, jit, jit again, eager, eager again:", counts)
sys.exit(0 if counts == [1, 2, 2, 3, 4] else 1)
PY
