"""Accelerators that are not here, as their own compilers know them.

libtpu compiles for a TPU without one; the CUDA plug-in of JAX for a GPU that is
described in words. Nothing can be run on them, and nothing is timed.
"""

import contextlib
import importlib.util
import os
from typing import Any, NamedTuple

import jax
from jax.experimental import topologies

H200 = """
gpu_device_info {
  threads_per_block_limit: 1024 threads_per_warp: 32
  shared_memory_per_block: 49152 shared_memory_per_core: 233472
  threads_per_core_limit: 2048 core_count: 132 fpus_per_core: 128
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  memory_bandwidth: 4800000000000 l2_cache_size: 52428800 clock_rate_ghz: 1.98
  device_memory_size: 151397597184 shared_memory_per_block_optin: 232448
  cuda_compute_capability { major: 9 }
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 10 patch: 0 }
device_description_str: "NVIDIA H200 141GB HBM3e"
"""
"""XLA's description of a GPU (`GpuTargetConfigProto`), by NVIDIA's data sheet."""

TARGETS = ("v5e:2x4", "v5e:16x16", "tpu7x:2x2x1", "h200")

OPTIONS: dict[str, Any] = {
    # Both choose by trying on the device, which is not here.
    "xla_gpu_enable_triton_gemm": False,
    "xla_gpu_autotune_level": 0,
}

EXTRAS = {
    "tpu": ("libtpu", "tpu-compiler"),
    "gpu": ("jax_plugins.xla_cuda12", "gpu-compiler"),
}
"""Kind -> the module that has its compiler, and the extra that installs it."""


class Target(NamedTuple):
    """Devices of one kind.

    Attributes:
        name: of `TARGETS`.
        kind: `tpu` or `gpu`.
        devices: absent ones, for a mesh.
        options: of the compiler.
    """

    name: str
    kind: str
    devices: list[Any]
    options: dict[str, Any]


def kind_of(name: str) -> str:
    """`gpu` for the H200, else `tpu`."""
    return "gpu" if name == "h200" else "tpu"


def missing(name: str) -> str | None:
    """One line that says how to get the compiler of a target; None if it is here."""
    module, extra = EXTRAS[kind_of(name)]
    with contextlib.suppress(ModuleNotFoundError):  # of the package around it
        if importlib.util.find_spec(module):
            return None
    return (
        f"{name}: skipped, its compiler is not installed: pip install -e '.[{extra}]'"
    )


def target(name: str) -> Target:
    """Describe devices that are not here.

    Args:
        name: of `TARGETS`, or any other that libtpu knows, such as `v6e:4x4`.

    Returns:
        The target.

    Raises:
        RuntimeError: if the compiler is not installed, or knows no such devices.
    """
    why = missing(name)
    if why:
        raise RuntimeError(why)
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")  # ask no machine what it is
    # No chip is taken, so two may compile at once.
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    jax.devices("cpu")  # registers the plug-ins
    if kind_of(name) == "gpu":
        described = topologies.get_topology_desc(
            platform="cuda", topology_name=name, topology="1x1x1", target_config=H200
        )
        return Target(name, "gpu", list(described.devices[:1]), OPTIONS)
    described = topologies.get_topology_desc(platform="tpu", topology_name=name)
    return Target(name, "tpu", list(described.devices), {})
