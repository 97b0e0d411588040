"""One job of `bench_train.py` in a process of its own: a training step, timed.

    python benchmarks/train_step.py '{"job": "throughput", "case": "dense", ...}'

Prints one line of JSON. A process for each job keeps memory, threads and the number of
virtual devices apart.
"""

import ctypes
import functools
import gc
import json
import math
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from timing import Timing, time_compiled

from spectral_tf import ModelConfig, TrainConfig, load_pretrained, model_preset
from spectral_tf.settings import random_key
from spectral_tf.training import (
    Draw,
    draw,
    init_state,
    parallel_steps,
    parts_of,
    train_step,
)

SEED = 0
SHAPE = (10, 50)
BATCH = 64
CASES = ("equivariant", "pca-small", "dense")
PEAK_SIZE = 1024
"""Side of the square matrices whose product gives this machine's peak."""

ITEM_BYTES = {"f32": 4, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "pred": 1}


def case_model(name: str) -> ModelConfig:
    """The network of a case."""
    if name == "dense":
        return model_preset("register", num_blocks=12, width=64, mlp_width=256)
    if name == "pca-small":
        return limited(load_pretrained(name).config)
    return model_preset(name)


def limited(model: ModelConfig) -> ModelConfig:
    """An equivariant model as the shipped ones are trained: with short gradients."""
    return model.replace(layout=model.channels.replace(gradient_limit=1.0))


def tiny(model: ModelConfig) -> ModelConfig:
    """A network of the same kind that compiles in a second or two."""
    model = model.replace(num_blocks=2, mlp_width=4)
    if model.is_dense:
        return model.replace(layout=model.dense.replace(width=8))
    layout = model.channels.replace(
        vectors=2,
        raw=0,
        scalars=2 * model.register_rows + 2,
        readout="rayleigh",
    )
    return model.replace(
        layout=layout, block=("cross", "mlp"), num_components=2, terminator=False
    )


def train_config(name: str, smoke: bool, **changes: Any) -> TrainConfig:
    """A run of a case at d=10, N=50; small with `smoke`."""
    model = case_model(name)
    options: dict[str, Any] = {
        "model": tiny(model) if smoke else model,
        "shapes": (SHAPE,),
        "batch_size": 4 if smoke else BATCH,
        "steps_per_call": 2,
        "seed": SEED,
    }
    return TrainConfig(**(options | changes))


def first_arguments(config: TrainConfig) -> tuple:
    """`(state, key, horizon)` of a run that begins."""
    horizon = jnp.asarray(config.num_steps, jnp.int32)
    return init_state(config), random_key(config.seed), horizon


def inner_jaxprs(value: Any) -> Iterator[Any]:
    """Programs among the parameters of an equation."""
    if isinstance(value, tuple | list):
        for one in value:
            yield from inner_jaxprs(one)
    elif hasattr(value, "eqns"):
        yield value
    elif hasattr(value, "jaxpr"):
        yield value.jaxpr


def product_flops(jaxpr: Any) -> int:
    """FLOPs of the matrix products of a traced program, loops unrolled.

    2 for a multiply-add. Element-wise work and LAPACK's `eigh` are not counted.
    """
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            sizes = equation.invars[0].aval.shape
            depth = math.prod(sizes[axis] for axis in contracted)
            total += 2 * depth * math.prod(equation.outvars[0].aval.shape)
        is_scan = equation.primitive.name == "scan"
        times = equation.params["length"] if is_scan else 1
        for value in equation.params.values():
            total += times * sum(map(product_flops, inner_jaxprs(value)))
    return total


def matmul_peak(dtype: str, size: int) -> float:
    """GFLOP/s of one large jitted product: the best of its repeats."""
    matrix = jnp.ones((size, size), dtype)
    timed = time_compiled(lambda a: a @ a, matrix, repeats=20, budget_s=2.0)
    return 2 * size**3 / min(timed.steady_s) / 1e9


def resident(name: str) -> float:
    """`VmRSS`, resident memory in MB, or `VmHWM`, the most so far (Linux)."""
    words = Path("/proc/self/status").read_text().split()
    return int(words[words.index(f"{name}:") + 1]) / 1024


def step_memory(program: Any, arguments: tuple) -> dict[str, float]:
    """High-water marks: of the process so far, compiling included, and of one call."""
    peak = resident("VmHWM")
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # lowers the mark to what is resident
    jax.block_until_ready(program(*arguments))
    plan = program.memory_analysis()
    return {
        "peak_mb": peak,
        "step_mb": resident("VmHWM") - before,
        "planned_mb": plan.temp_size_in_bytes / 2**20,
    }


def speeds(config: TrainConfig, timing: Timing) -> dict[str, Any]:
    """Instances per second, with the quartiles of the repeats, and the last loss."""
    count = config.steps_per_call * config.batch_size * len(config.shapes)
    rates = jnp.array([count / seconds for seconds in timing.steady_s])
    low, high = jnp.percentile(rates, jnp.array([25.0, 75.0])).tolist()
    return {
        **timing.to_dict(),
        "instances_per_s": count / timing.median_s,
        "quartiles": [low, high],
        "loss": float(timing.output[1]["loss"][-1]),
    }


def draw_seconds(config: TrainConfig, repeats: int) -> float:
    """Seconds to draw one batch with its targets, which every step does."""
    part, indices = parts_of(config)[0], jnp.arange(config.batch_size)
    one = lambda key: draw(part, Draw(key, 0, 0.0), indices)
    key = random_key(config.seed)
    return time_compiled(one, key, repeats=repeats, budget_s=2.0).median_s


def throughput(job: dict[str, Any]) -> dict[str, Any]:
    """A case on one device: speed, memory, share of the peak."""
    dtype, smoke = job["dtype"], job["smoke"]
    config = train_config(job["case"], smoke, compute_dtype=dtype)
    arguments = first_arguments(config)
    traced = jax.make_jaxpr(functools.partial(train_step, config))(*arguments)
    size = 64 if smoke else PEAK_SIZE
    peak = matmul_peak(dtype, size)
    repeats = 2 if smoke else 30
    timing = time_compiled(
        parallel_steps(config), *arguments, repeats=repeats, budget_s=job["budget_s"]
    )
    peak = max(peak, matmul_peak(dtype, size))
    seconds = timing.median_s / config.steps_per_call
    flops = product_flops(traced.jaxpr)
    return {
        **speeds(config, timing),
        "flops_per_step": flops,
        "gflops": flops / seconds / 1e9,
        "matmul_gflops": peak,
        "share_of_peak": flops / seconds / 1e9 / peak,
        "draw_share": draw_seconds(config, repeats) / seconds,
        **step_memory(timing.program, arguments),
    }


def collectives(text: str) -> dict[str, list[int]]:
    """Kind -> bytes of each collective of a compiled program, in its loops once."""
    found: dict[str, list[int]] = {}
    name = r"all-\w+|reduce-scatter|collective-\w+"
    for shapes, kind in re.findall(rf"= (\(.*?\)|\S+) ({name})\(", text):
        arrays = re.findall(r"(\w+)\[([\d,]*)\]", shapes)
        sizes = [
            ITEM_BYTES[dtype] * math.prod(int(size) for size in dims.split(",") if size)
            for dtype, dims in arrays
        ]
        found.setdefault(kind, []).append(sum(sizes))
    return found


def over_devices(job: dict[str, Any]) -> dict[str, Any]:
    """A case over virtual devices of this CPU: collectives, and speed."""
    jax.config.update("jax_num_cpu_devices", job["devices"])
    config = train_config(job["case"], job["smoke"], parallel=job["kind"])
    arguments = first_arguments(config)
    repeats = 2 if job["smoke"] else 20
    steps = parallel_steps(config)
    timing = time_compiled(steps, *arguments, repeats=repeats, budget_s=job["budget_s"])
    found = collectives(timing.program.as_text())
    sizes = [leaf.size * 4 for leaf in jax.tree.leaves(arguments[0].params)]
    return {
        **speeds(config, timing),
        "collectives": found,
        "parameter_bytes": sum(sizes),
    }


def depths(job: dict[str, Any]) -> dict[str, Any]:
    """Seconds to trace, lower and compile a step, by the number of blocks."""
    found = {}
    warm = () if job["smoke"] else (1,)  # the first one warms the compiler up
    for blocks in (*warm, *job["blocks"]):
        config = train_config(job["case"], job["smoke"], batch_size=4)
        config = config.replace(model=config.model.replace(num_blocks=blocks))
        arguments = first_arguments(config)
        timing = time_compiled(parallel_steps(config), *arguments, repeats=1)
        found[blocks] = timing.to_dict()
    return {"by_blocks": [[blocks, found[blocks]] for blocks in job["blocks"]]}


JOBS = {"throughput": throughput, "devices": over_devices, "depth": depths}


def main() -> None:
    job = json.loads(sys.argv[1])
    if job.get("threads"):  # before JAX makes its threads
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[-job["threads"] :])
    print(json.dumps(JOBS[job["job"]](job)))


if __name__ == "__main__":
    main()
