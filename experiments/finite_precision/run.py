"""Run the constructed networks with fewer digits; write `results.json`.

python experiments/finite_precision/run.py [--smoke] [--out DIR]
"""

import contextlib
import itertools
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from config import LEGEND, REFERENCE, SETTINGS, Setting, Study, study

from spectral_tf import ModelConfig, SpectralTransformer, power_method_params
from spectral_tf.apps.report import plain_table
from spectral_tf.constructive import (
    Composition,
    deflating_normaliser,
    power_method_composition,
)
from spectral_tf.spectra import covariance, largest_principal_angle, top_eigenpairs

sys.path.append(str(Path(__file__).parents[2]))
from experiments import harness

POINTS = 120
"""Points of a curve, at most; each is the largest error in a stretch of blocks."""
Record = dict[str, Any]
Forward = Callable[[Any, jax.Array], tuple[jax.Array, jax.Array]]


def tables(plan: Study, dim: int) -> np.ndarray:
    """`[B, N, d]` tables, of mean 0, whose covariance has the spectrum of the plan."""
    rng = np.random.default_rng(dim)
    values = np.arange(1, dim + 1) ** -plan.exponent
    found = []
    for _ in range(plan.num_instances):
        draw = rng.standard_normal((plan.num_samples, dim))
        left = np.linalg.qr(draw - draw.mean(axis=0))[0]
        right = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
        found.append(left * np.sqrt(plan.num_samples * values) @ right.T)
    return np.stack(found)


@contextlib.contextmanager
def products_of(bits: int | None) -> Iterator[None]:
    """Round the operands of every product of a network traced here.

    As the matrix units of accelerators do; sums stay in the dtype of the pass.
    `reduce_precision` is never optimised away, as a pair of casts may be.
    """

    def contraction(config: ModelConfig) -> Callable[..., jax.Array]:
        del config
        cut = lambda operand: jax.lax.reduce_precision(operand, 8, bits or 0)
        return lambda text, *operands: jnp.einsum(
            text, *map(cut, operands), precision=jax.lax.Precision.HIGHEST
        )

    with contextlib.ExitStack() as stack:
        for module in ("dense", "readout", "transformer") if bits else ():
            name = f"spectral_tf.model.{module}.contraction"
            stack.enter_context(mock.patch(name, contraction))
        yield


def forward_of(config: ModelConfig) -> Forward:
    """A freshly traced pass: answered vectors `[k, d]`, registers `[L, R, D]`."""

    def forward(params: Any, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        model = SpectralTransformer(config)
        answer: Any = model.apply({"params": params}, x, capture=True)
        return answer[0].eigenvectors, answer[1].state[1]

    return jax.jit(forward)


def vectors_of(composition: Composition, registers: np.ndarray, k: int) -> np.ndarray:
    """`[L, vectors, size]` the vectors that the tokens hold after each block.

    The k registers' u; where a worker iterates, the ring's q and the worker's v and w,
    these two as one vector.
    """
    rows = composition.layout.split(registers)
    if "u" in rows:
        return rows["u"][:, :k]
    ring = np.pad(rows["q"][:, :k], ((0, 0), (0, 0), (0, rows["q"].shape[2])))
    worker = np.concatenate([rows["v"], rows["w"]], axis=2)[:, -1:]
    return np.concatenate([ring, worker], axis=1)


def forward_errors(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """`[L]` largest |found - wanted| / |wanted| of a vector; absolute where that is 0.

    Not finite counts as infinite.
    """
    size = np.linalg.norm(wanted, axis=2)
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.linalg.norm(found - wanted, axis=2) / np.where(size > 0, size, 1.0)
    return np.max(np.where(np.isfinite(gap), gap, np.inf), axis=1)


def angle_of(vectors: np.ndarray, x: np.ndarray) -> float:
    """Largest principal angle to the true top k eigenvectors, in float64."""
    if not np.isfinite(vectors).all():
        return np.inf
    _, true = top_eigenpairs(covariance(jnp.asarray(x)), len(vectors))
    return float(largest_principal_angle(jnp.asarray(vectors), true))


def cast(setting: Setting, tree: Any) -> Any:
    """Every array rounded to the storage, in the dtype of the pass."""
    return jax.tree.map(
        lambda leaf: jnp.asarray(leaf).astype(setting.storage).astype(setting.compute),
        tree,
    )


def pair(values: Sequence[float]) -> dict[str, float | None]:
    """Median and worst over the tables; None where it is not finite."""
    both = {"median": float(np.median(values)), "worst": float(np.max(values))}
    return {
        name: value if math.isfinite(value) else None for name, value in both.items()
    }


def curve_of(errors: np.ndarray) -> dict[str, list[float | None]]:
    """Median over the tables `[B, L]`, as the largest in each stretch of blocks."""
    middle = np.median(errors, axis=0)
    ends = np.unique(np.linspace(0, len(middle), POINTS + 1).astype(int))
    peaks = [float(np.max(middle[a:b])) for a, b in itertools.pairwise(ends)]
    kept = [float(f"{peak:.3g}") if math.isfinite(peak) else None for peak in peaks]
    return {"block": [int(end) for end in ends[1:]], "error": kept}


def run_case(plan: Study, variant: str, dim: int) -> list[Record]:
    """One record for each setting."""
    k = plan.num_components
    sizes = dim, k, plan.iters[variant], variant
    composition = power_method_composition(*sizes)
    config, params = power_method_params(*sizes)
    xs, records = tables(plan, dim), []
    wanted: list[np.ndarray] = []
    passes: dict[Any, Forward] = {}
    for setting in SETTINGS:
        forward = passes.setdefault(
            (setting.compute, setting.product_bits), forward_of(config)
        )
        weights, errors, angles = cast(setting, params), [], []
        with products_of(setting.product_bits):
            for index, x in enumerate(xs):
                answer, registers = forward(weights, cast(setting, x))
                held = np.asarray(registers, np.float64)
                vectors = vectors_of(composition, held, k)
                if setting is REFERENCE:
                    wanted.append(vectors)
                errors.append(forward_errors(vectors, wanted[index]))
                angles.append(angle_of(np.asarray(answer, np.float64), x))
        records.append(
            {
                "variant": variant,
                "dim": dim,
                "blocks": config.num_blocks,
                "setting": setting.name,
                "end": pair([error[-1] for error in errors]),
                "peak": pair([np.max(error) for error in errors]),
                "angle": pair(angles),
                "curve": curve_of(np.stack(errors)),
            }
        )
    return records


def run_contexts(plan: Study) -> list[Record]:
    """`register` in float32 under every setting of the precision of products.

    The difference is that of all registers, all blocks, from the pass that follows the
    package's default.
    """
    dim, k = plan.dims[0], plan.num_components
    config, params = power_method_params(dim, k, plan.iters["register"])
    setting = next(one for one in SETTINGS if one.name == "float32")
    weights, x = cast(setting, params), cast(setting, tables(plan, dim)[0])
    wanted = np.asarray(forward_of(config)(weights, x)[1])
    records = []
    for mode in plan.contexts:
        for precision in ("highest", "default"):
            one = config.replace(precision=precision)
            with jax.default_matmul_precision(mode):
                found = np.asarray(forward_of(one)(weights, x)[1])
            gap = float(np.max(np.abs(found - wanted)))
            records.append({"context": mode, "model": precision, "difference": gap})
    return records


def run_knots(dim: int, k: int) -> list[Record]:
    """What rounding its knots and coefficients does to the normaliser of `register`."""
    exact = deflating_normaliser(dim, k)
    s = np.geomspace(exact.low, exact.high, 10001)
    records = []
    for dtype in (jnp.float64, jnp.float32, jnp.bfloat16):
        rounded = lambda value, to=dtype: np.asarray(
            jnp.asarray(value).astype(to).astype(jnp.float64)
        )
        knots, slopes = rounded(exact.knots), rounded(exact.coefficients)
        hinges = np.maximum(knots[None] - s[:, None], 0.0)
        found = rounded(exact.offset) + hinges @ slopes
        records.append(
            {
                "dtype": jnp.dtype(dtype).name,
                "knots": exact.num_knots,
                "distinct": len(np.unique(knots)),
                "error": float(np.max(np.abs(found * np.sqrt(s) - 1))),
            }
        )
    return records


def show(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.1e}"


def grid(records: Sequence[Record], cell: Callable[[Record], str], first: int) -> str:
    """One line for each variant and d, one column for each setting from `first`."""
    names = [setting.name for setting in SETTINGS[first:]]
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for row in records:
        key = (row["variant"], str(row["dim"]), str(row["blocks"]))
        found.setdefault(key, {})[row["setting"]] = cell(row)
    rows = [(*key, *(cells[name] for name in names)) for key, cells in found.items()]
    return plain_table(("variant", "d", "blocks", *names), rows)


def report(results: dict[str, Any]) -> str:
    """Everything that README.md shows."""
    records = results["records"]
    median = lambda name: lambda row: show(row[name]["median"])
    both = lambda row: (
        f"{show(row['angle']['median'])} {show(row['angle']['worst'])}"
        if row["angle"]["median"] is not None
        else "not finite"
    )
    contexts = [
        (row["context"], row["model"], show(row["difference"]))
        for row in results["contexts"]
    ]
    knots = [
        (row["dtype"], f"{row['distinct']} of {row['knots']}", show(row["error"]))
        for row in results["knots"]
    ]
    head = ("jax.default_matmul_precision", "ModelConfig.precision", "difference")
    parts = [
        f"Forward error after the last block, median of {results['tables']} table(s)",
        grid(records, median("end"), 1),
        "Largest forward error after any block, median",
        grid(records, median("peak"), 1),
        "Largest principal angle to the true subspace, radians: median, worst",
        grid(records, both, 0),
        LEGEND + "\n",
        "Precision of products, float32 on this backend: difference from the default",
        plain_table(head, contexts),
        "The normaliser of `register` with rounded weights: knots, relative error",
        plain_table(("weights", "distinct knots", "error"), knots),
    ]
    return "\n".join(parts)


def main() -> int:
    args = harness.options(
        __file__, __doc__, smoke="small and meaningless", written=["results.json"]
    )
    path, plan = args.out / "results.json", study(smoke=args.smoke)
    jax.config.update("jax_enable_x64", True)
    begin, records = time.perf_counter(), []
    for dim, variant in itertools.product(plan.dims, plan.iters):
        records += run_case(plan, variant, dim)
        seconds = time.perf_counter() - begin
        print(f"{variant}, d={dim}: {seconds:.0f} s so far", file=sys.stderr)
    results = {
        **harness.circumstances(),
        "backend": jax.default_backend(),
        "tables": plan.num_instances,
        "records": records,
        "contexts": run_contexts(plan),
        "knots": run_knots(plan.dims[0], plan.num_components),
    }
    results["seconds"] = time.perf_counter() - begin
    harness.write(path, results, indent=None)
    print(f"{report(results)}Written to {path} after {results['seconds']:.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
