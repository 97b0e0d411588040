"""No program of the package holds something that an accelerator cannot run."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from benchmarks.accelerator import portable

LIBRARY = {
    "cuda": {"cusolver_syevd_ffi", "cusolver_geqrf_ffi", "cusolver_orgqr_ffi"},
    "rocm": {"hipsolver_syevd_ffi", "hipsolver_geqrf_ffi", "hipsolver_orgqr_ffi"},
    "tpu": {"Eigh", "Qr", "ProductOfElementaryHouseholderReflectors"},
}
"""The custom calls that are allowed: a platform's own `eigh` and QR, and no others."""
NUMBERS = {"f32", "bf16", "i1", "i32", "i64", "ui32", "ui64", "index"}
"""Types of numbers; integers of 64 bits are loop counters and generators of bits."""

PROGRAMS = portable.programs()


@functools.cache
def built(name):
    """Made once, so that it is traced once for all platforms."""
    return PROGRAMS[name]()


def faults(program):
    """What an accelerator cannot run, or runs far slower."""
    return sorted(
        (program.calls - LIBRARY[program.platform]) | (program.types - NUMBERS)
    )


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_exported_for_every_accelerator(name):
    for platform in portable.PLATFORMS:
        program = portable.exported(lambda: built(name), platform)
        assert faults(program) == [], platform
        assert program.host == frozenset(), platform
        assert "f32" in program.types


def test_the_oracle_is_the_library_of_each_platform():
    calls = {
        platform: portable.exported(PROGRAMS["oracle eigh"], platform).calls
        for platform in (*portable.PLATFORMS, "cpu")
    }
    assert calls == {
        "cuda": {"cusolver_syevd_ffi"},
        "rocm": {"hipsolver_syevd_ffi"},
        "tpu": {"Eigh"},
        "cpu": {"lapack_ssyevd_ffi"},
    }


def read(function, *arguments, platform):
    """A program of the test's own, exported and read."""
    return portable.exported(lambda: (function, arguments), platform)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("platform", portable.PLATFORMS)
def test_what_an_accelerator_cannot_run_is_seen(platform):
    double = read(lambda x: x + 1, jnp.ones(3, jnp.float64), platform=platform)
    assert faults(double) == ["f64"]
    # LAPACK's call, given another platform's name.
    here = read(jnp.linalg.eigh, np.eye(3, dtype=np.float32), platform="cpu")
    assert faults(here._replace(platform=platform)) == ["lapack_ssyevd_ffi"]


def test_a_question_to_the_host_is_seen():
    def asks(x):
        jax.debug.callback(lambda _: None, x)
        return x + 1

    lowered = jax.jit(asks).trace(jnp.ones(3)).lower(lowering_platforms=("cpu",))
    assert portable.read_module("cpu", lowered.as_text()).host
    waits = 'stablehlo.custom_call @f() : () -> tensor<f32>\n"stablehlo.infeed"(%0)'
    assert portable.read_module("tpu", waits).host == {"infeed"}


@pytest.mark.parametrize("name", ["fused rms", "checkpoint pca-small", "step, dense"])
def test_one_file_of_a_program_serves_all_accelerators(name):
    function, arguments = built(name)
    leaves, tree = jax.tree.flatten(arguments)

    # A file holds no classes of a package: arrays in, arrays out.
    def flat(*leaves):
        return jax.tree.leaves(function(*jax.tree.unflatten(tree, leaves)))

    written = export.export(jax.jit(flat), platforms=portable.PLATFORMS)(*leaves)
    back = export.deserialize(written.serialize())
    assert back.platforms == portable.PLATFORMS
    assert back.in_avals == written.in_avals
    assert back.mlir_module() == written.mlir_module()
