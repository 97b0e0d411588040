"""A check for whoever has a GPU or a TPU: are the answers right, and how fast is it.

Answers are compared with those of the same machine's CPU; times are medians by the
protocol of `timing.py`. What does not fit into the time that is left is said to be
skipped. It runs on a CPU, too, which is then compared with itself.
"""

import functools
import importlib
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import train_step
from timing import time_compiled, time_host

import spectral_tf
from spectral_tf import spectra
from spectral_tf.config import EnsembleConfig, Spiked
from spectral_tf.constructive import VARIANTS
from spectral_tf.sampling import batch_at
from spectral_tf.settings import random_key
from spectral_tf.training import parallel_steps

Row = dict[str, Any]
SEED = 0
MINUTES = 7.5
K = 4
SIZES = ((1024, 32), (256, 64), (64, 128), (4096, 16))
"""(tables, columns); rows are twice the columns."""
LARGEST_ANGLE = 1e-3
"""Radians between the answer of the accelerator and that of the CPU."""
LARGEST_DIFFERENCE = 1e-4
"""Of losses and gradient norms of training steps, relative. Parameters are no measure:
Adam makes a step of full size of a gradient that is rounding alone."""


class Plan(NamedTuple):
    """How much is done.

    Attributes:
        sizes: of the batches.
        variants: compositions, with their iterations.
        cases: training runs that are timed.
        smoke: tiny networks, few repeats.
        deadline: of `time.perf_counter`, when no further job is begun.
    """

    sizes: tuple[tuple[int, int], ...]
    variants: dict[str, int]
    cases: tuple[str, ...]
    smoke: bool
    deadline: float

    def is_late(self) -> bool:
        return time.perf_counter() > self.deadline

    def timed(self, function: Any, *arguments: Any) -> Any:
        repeats = 2 if self.smoke else 30
        return time_compiled(function, *arguments, repeats=repeats, budget_s=2.0)


def plan(smoke: bool) -> Plan:
    """What `--here` does, or its smoke test."""
    iterations = dict.fromkeys(VARIANTS, 12) | {"squaring": 4}
    deadline = time.perf_counter() + 60 * MINUTES
    if smoke:
        return Plan(((8, 6),), {"rms": 4}, ("equivariant",), smoke, deadline)
    return Plan(SIZES, iterations, train_step.CASES, smoke, deadline)


def cpu() -> Any:
    """The device that answers are compared with.

    Raises:
        SystemExit: if JAX is told to use the accelerator alone.
    """
    try:
        return jax.devices("cpu")[0]
    except RuntimeError as error:
        raise SystemExit(
            f"JAX has no CPU to compare with ({error}); unset JAX_PLATFORMS, or add "
            "cpu to it: JAX_PLATFORMS=cuda,cpu."
        ) from error


def on(device: Any, function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function answers on one device, as numpy."""
    with jax.default_device(device):
        placed = jax.device_put(arguments, device)
        return jax.tree.map(np.asarray, jax.jit(function)(*placed))


def power_law(batch: int, rows: int, dim: int) -> np.ndarray:
    """`[B, N, d]` rows with eigenvalues 1/i in the population, randomly turned."""
    rng = np.random.default_rng(SEED)
    scales = np.arange(1, dim + 1) ** -0.5
    turn = np.linalg.qr(rng.standard_normal((batch, dim, dim)))[0]
    draws = rng.standard_normal((batch, rows, dim)) * scales
    return (draws @ turn).astype(np.float32)


def angles(vectors: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Angles between paired unit vectors, of either sign, from their chord."""
    a, b = np.asarray(vectors, np.float64), np.asarray(reference, np.float64)
    chord = np.minimum(np.linalg.norm(a - b, axis=-1), np.linalg.norm(a + b, axis=-1))
    return 2 * np.arcsin(np.minimum(chord / 2, 1.0))


# Answers ----------------------------------------------------------------------------


def compositions(work: Plan) -> Iterator[tuple[str, str, Any]]:
    """(name, precision, function of one table), as network and fused."""
    for variant, iters in work.variants.items():
        network = spectral_tf.power_method_params(6, 2, iters, variant)
        for precision in ("highest", "default"):
            config = network.config.replace(precision=precision)
            same = spectral_tf.Network(config, network.params)
            yield f"predict {variant}", precision, same
            yield f"fused {variant}", precision, spectral_tf.fuse(same)
    for name in () if work.smoke else spectral_tf.pretrained_names("eigenpairs"):
        checkpoint = spectral_tf.load_pretrained(name, num_components=2)
        yield f"checkpoint {name}", "highest", checkpoint


def answers(work: Plan) -> Iterator[Row]:
    """Every composition against the CPU, at both precisions."""
    x = power_law(4, 20, 6)
    for name, precision, function in compositions(work):
        if work.is_late():
            yield {"name": f"{name}, {precision}", "skipped": True}
            continue
        lifted = jax.vmap(function)
        here, there = on(jax.devices()[0], lifted, x), on(cpu(), lifted, x)
        angle = float(np.max(angles(here.eigenvectors, there.eigenvectors)))
        values = np.abs(here.eigenvalues / there.eigenvalues - 1)
        is_right = angle <= LARGEST_ANGLE if precision == "highest" else None
        yield {
            "name": f"{name}, {precision}",
            "angle": angle,
            "eigenvalue_difference": float(np.max(values)),
            "right": is_right,
        }


def steps_agree(work: Plan) -> Iterator[Row]:
    """One call of steps against the CPU: on one device, and on all."""
    config = train_step.train_config("equivariant", work.smoke, batch_size=64)
    state, *rest = train_step.first_arguments(config)

    def after(devices: Any) -> np.ndarray:
        metrics = parallel_steps(config, devices)(state, *rest)[1]
        return np.stack([metrics[name] for name in ("loss", "grad_norm")])

    reference = after([cpu()])
    everywhere = jax.devices()
    # As many as divide the batch.
    count = max(n for n in range(1, len(everywhere) + 1) if 64 % n == 0)
    for devices in (everywhere[:1], everywhere[:count]):
        difference = float(np.max(np.abs(after(devices) / reference - 1)))
        yield {
            "name": f"training steps on {len(devices)} of {len(everywhere)}",
            "difference": difference,
            "right": difference <= LARGEST_DIFFERENCE,
        }


# Speed ------------------------------------------------------------------------------


def sampling(work: Plan) -> Iterator[Row]:
    """Instances per second of the sampler, targets included."""
    batch = 8 if work.smoke else 4096
    for orientation in ("uniform", "reflections"):
        config = EnsembleConfig(family=Spiked(), orientation=orientation)
        drawn = functools.partial(batch_at, config=config)
        arguments = (random_key(SEED), 0, jnp.arange(batch))
        timing = work.timed(drawn, *arguments)
        yield speed(f"sampling, {orientation}, {batch}", batch, timing)


def training(work: Plan) -> Iterator[Row]:
    """Instances per second of pre-training over all devices."""
    count = len(jax.devices())
    for name in work.cases:
        for batch in (4,) if work.smoke else (64, 1024):
            if work.is_late():
                yield {"name": f"training {name}, {batch} a device", "skipped": True}
                continue
            config = train_step.train_config(
                name, work.smoke, batch_size=batch * count, steps_per_call=10
            )
            arguments = train_step.first_arguments(config)
            timing = work.timed(parallel_steps(config), *arguments)
            instances = config.batch_size * config.steps_per_call
            yield speed(f"training {name}, {batch} a device", instances, timing)


def speed(name: str, instances: int, timing: Any) -> Row:
    return {
        "name": name,
        "instances_per_s": instances / timing.median_s,
        **timing.to_dict(),
    }


def eigh_of(x: Any) -> Any:
    """The top vectors by JAX's batched `eigh` of this platform."""
    return jnp.linalg.eigh(spectra.covariance(x))[1].T[: -K - 1 : -1]


def torch_eigh(x: np.ndarray) -> tuple[Callable[..., Any], Any] | None:
    """The same by PyTorch, on its GPU if it sees one; None without PyTorch."""
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return None
    has_gpu = torch.cuda.is_available()
    rows = torch.tensor(x, device="cuda" if has_gpu else "cpu")

    def solve(rows: Any) -> Any:
        rows = rows - rows.mean(dim=1, keepdim=True)
        matrix = rows.transpose(1, 2) @ rows / rows.shape[1]
        vectors = torch.linalg.eigh(matrix)[1]
        if has_gpu:
            torch.cuda.synchronize()
        return vectors.transpose(1, 2).flip(1)[:, :K]

    return solve, rows


def solvers(dim: int, smoke: bool) -> dict[str, Callable[[], Callable[..., Any]]]:
    """Forward passes of one table, each built when its turn comes."""
    k = min(K, dim)
    fused = lambda variant, iters: spectral_tf.fuse(
        spectral_tf.power_method_params(dim, k, iters, variant)
    )
    vectors = lambda function: lambda x: function(x).eigenvectors
    makers: dict[str, Callable[[], Callable[..., Any]]] = {
        "jnp.linalg.eigh": lambda: eigh_of,
        "fused rms 60": lambda: vectors(fused("rms", 60)),
        "fused squaring 10": lambda: vectors(fused("squaring", 10)),
    }
    if "krylov" in VARIANTS:
        iters = VARIANTS["krylov"].fair_iters
        makers[f"fused krylov {iters}"] = lambda: vectors(fused("krylov", iters))
    for name in () if smoke else spectral_tf.pretrained_names("eigenpairs"):
        network = spectral_tf.load_pretrained(name, num_components=k)
        if not network.config.is_dense:
            makers[f"predict {name}"] = lambda network=network: vectors(network)
    return makers


def forward(work: Plan) -> Iterator[Row]:
    """Batches of tables: time and accuracy beside batched `eigh`."""
    for batch, dim in work.sizes:
        x = power_law(batch, 2 * dim, dim)
        exact = np.linalg.eigh(covariances(x))[1].swapaxes(1, 2)[:, : -K - 1 : -1]
        label = f"{batch} of {2 * dim} x {dim}"
        for name, build in solvers(dim, work.smoke).items():
            if work.is_late():
                yield {"name": f"{label}: {name}", "skipped": True}
                continue
            timing = work.timed(jax.vmap(build()), x)
            yield scored(f"{label}: {name}", timing, exact)
        other = torch_eigh(x)
        if other is not None and not work.is_late():
            timing = time_host(*other, repeats=10, budget_s=2.0, threads=None)
            output = timing.output.cpu().numpy()
            yield scored(f"{label}: torch.linalg.eigh", timing, exact, output)


def covariances(x: np.ndarray) -> np.ndarray:
    rows = x.astype(np.float64) - x.astype(np.float64).mean(axis=1, keepdims=True)
    return rows.swapaxes(1, 2) @ rows / x.shape[1]


def scored(name: str, timing: Any, exact: np.ndarray, output: Any = None) -> Row:
    vectors = np.asarray(timing.output if output is None else output, np.float64)
    cosine = np.abs(np.sum(vectors * exact, axis=-1))
    return {
        "name": name,
        "milliseconds": 1e3 * timing.median_s,
        "worst_mean_cosine": float(np.min(np.mean(cosine, axis=0))),
        **timing.to_dict(),
    }


SECTIONS: dict[str, Callable[[Plan], Iterator[Row]]] = {
    "answers": answers,
    "steps": steps_agree,
    "sampling": sampling,
    "training": training,
    "forward": forward,
}


def cells(row: Row) -> tuple[str, str, str]:
    """(what, result, verdict) of a line of the table."""
    if row.get("skipped"):
        return row["name"], "skipped: time is up", "-"
    verdict = {True: "right", False: "WRONG", None: "-"}[row.get("right")]
    if "angle" in row:
        values = f"{row['eigenvalue_difference']:.1e}"
        return row["name"], f"angle {row['angle']:.1e}, values {values}", verdict
    if "difference" in row:
        difference = f"loss, gradient norm {row['difference']:.1e}"
        return row["name"], difference, verdict
    if "milliseconds" in row:
        cosine = f"|cos| {row['worst_mean_cosine']:.6f}"
        return row["name"], f"{row['milliseconds']:.3g} ms, {cosine}", verdict
    return row["name"], f"{row['instances_per_s']:,.0f} instances/s", verdict
