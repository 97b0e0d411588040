"""Forward pass of the power-iteration networks against the classical algorithms.

    python benchmarks/bench_forward.py [--smoke] [--depth | --shipped] [--out FILE]

Everything starts from the same rows `x [B, N, d]` and ends with k eigenpairs of each
instance. A network stands beside `orthogonal_iteration` with as many products with S,
from the same start vectors, and both beside `eigh`. The equivariant network is not
trained: its time does not depend on the values of its weights, its accuracy does.
With `--depth`: the time to compile the equivariant network, by its number of blocks.
With `--shipped`: the shipped equivariant networks, one table at a time.
"""

import argparse
import datetime
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from timing import BLAS_THREADS, Timing, record, time_compiled, time_host

import spectral_tf
from spectral_tf import EnsembleConfig, ModelConfig, spectra
from spectral_tf.apps.report import plain_table
from spectral_tf.model import default_start, total_flops
from spectral_tf.sampling import Instance
from spectral_tf.settings import random_key


class Case(NamedTuple):
    """Instances B, features d, rows N, eigenpairs k, iterations tau."""

    B: int
    d: int
    N: int
    k: int
    tau: int

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self._asdict().items())


class Row(NamedTuple):
    """One method on one case; `flops` of the batch, for networks."""

    method: str
    products: int | None
    timing: Timing
    flops: int | None = None


CASES = (Case(256, 10, 50, 3, 30), Case(64, 32, 100, 4, 30), Case(16, 64, 200, 4, 30))
SMOKE = (Case(4, 6, 20, 2, 10),)
SHIPPED = (Case(1, 64, 1000, 4, 12), Case(1, 1000, 64, 4, 12))
"""Single tables; tau is what the earlier `pca-base-1` takes."""
DEPTHS = (4, 32, 128)
SEED = 0
COMMON: dict[str, Any] = {"precision": "float32, Precision.HIGHEST", "seed": SEED}
BUDGET: dict[str, Any] = {"budget_s": 5.0}
HEADER = "case,method,products,compile s,steady ms,IQR ms,ratio,GFLOP/s,worst |cos|"
DEPTH_HEADER = ("case", "blocks", "lower s", "compile s", "first s", "steady s")
NOTE = f"""
compile: trace, lower and compile. steady: median per batch. ratio: steady over that of
orthogonal iteration with as many products with S (eigh: with tau). |cos|: mean over
the instances, of the rank where it is lowest. numpy: BLAS threads = {BLAS_THREADS}.
"""


def forward(config: ModelConfig) -> Callable[..., tuple]:
    """`(params, x [B, N, d], mask [B, N]) -> eigenpairs` of a network."""
    one = lambda params, x, mask: spectral_tf.predict(config, params, x, mask)
    return jax.vmap(one, in_axes=(None, 0, 0))


def classic(num_iters: int) -> Callable[..., tuple]:
    """`(start [k, d], x, mask) -> eigenpairs` of orthogonal iteration."""
    one = lambda start, x, mask: spectra.orthogonal_iteration(
        spectra.covariance(x, mask), start, num_iters=num_iters
    )
    return jax.vmap(one, in_axes=(None, 0, 0))


def numpy_eigh(x: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Top eigenpairs of each covariance by numpy's batched `eigh`."""
    rows = x - x.mean(axis=1, keepdims=True)
    values, columns = np.linalg.eigh(rows.swapaxes(1, 2) @ rows / x.shape[1])
    return values[:, : -k - 1 : -1], columns.swapaxes(1, 2)[:, : -k - 1 : -1]


def untrained(config: ModelConfig, x: jax.Array) -> Any:
    """Initial parameters, compiled as one program."""
    network = spectral_tf.SpectralTransformer(config)
    return jax.jit(network.init)(random_key(SEED), x)["params"]


def sample(case: Case) -> Instance:
    config = EnsembleConfig(dim=case.d, num_samples=case.N, num_components=case.k)
    return spectral_tf.sample_batch(random_key(SEED), config, case.B)


def measure(case: Case, batch: Instance) -> list[Row]:
    """Every method on the same instances."""
    _, d, N, k, tau = case
    x, mask = batch.x, batch.mask
    free = ModelConfig(num_components=k)
    start = default_start(free, d, x.dtype)

    def network(name: str, products: int, config: ModelConfig, params: Any) -> Row:
        timing = time_compiled(forward(config), params, x, mask, **BUDGET)
        work = case.B * total_flops(config, num_samples=N, dim=d)
        return Row(name, products, timing, work)

    iterate = lambda count: time_compiled(classic(count), start, x, mask, **BUDGET)
    oracle = lambda x, mask: spectra.top_eigenpairs(spectra.covariance(x, mask), k)
    built = spectral_tf.power_method_params(d, k, tau)
    count, params = free.num_products, untrained(free, x[0])
    return [
        network("constructed (register)", tau, *built),
        Row("orthogonal iteration", tau, iterate(tau)),
        network("equivariant, untrained", count, free, params),
        Row("orthogonal iteration", count, iterate(count)),
        Row("jax eigh", None, time_compiled(jax.vmap(oracle), x, mask, **BUDGET)),
        Row("numpy eigh", None, time_host(numpy_eigh, np.asarray(x), k, **BUDGET)),
    ]


def measure_shipped(case: Case, batch: Instance) -> list[Row]:
    """The shipped networks that serve any d, and orthogonal iteration beside each."""
    rows, counts = [], set()
    start = default_start(ModelConfig(num_components=case.k), case.d, batch.x.dtype)
    for name in spectral_tf.pretrained_names("eigenpairs"):
        config, params = spectral_tf.load_pretrained(name, num_components=case.k)
        if config.dim is not None:
            continue
        timing = time_compiled(forward(config), params, batch.x, batch.mask, **BUDGET)
        work = case.B * total_flops(config, num_samples=case.N, dim=case.d)
        rows.append(Row(name, config.num_products, timing, work))
        counts.add(config.num_products)
    for count in sorted(counts):
        timing = time_compiled(classic(count), start, batch.x, batch.mask, **BUDGET)
        rows.append(Row("orthogonal iteration", count, timing))
    return rows


def scores(row: Row, rows: list[Row], case: Case, batch: Instance) -> dict[str, Any]:
    """What is recorded of a row: time, ratio, speed and accuracy."""
    key = ("orthogonal iteration", row.products or case.tau)
    classic_row = next(one for one in rows if one[:2] == key)
    cosine = spectra.abs_cosine(row.timing.output[1], batch.eigenvectors)
    seconds = row.timing.median_s
    return {
        "method": row.method,
        "products": row.products,
        **row.timing.to_dict(),
        "ratio": seconds / classic_row.timing.median_s,
        "gflops": None if row.flops is None else row.flops / seconds / 1e9,
        "cosine": np.mean(cosine, axis=0).tolist(),
        "blas_threads": BLAS_THREADS,
    }


def cells(line: dict[str, Any]) -> tuple[str, ...]:
    """One line of the table; what a method lacks is a dash."""
    show = lambda value, form: "-" if value is None else format(value, form)
    compiling = line["compile_s"] and line["lower_s"] + line["compile_s"]
    brief = lambda value: f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"
    times = (1e3 * line["median_s"], 1e3 * line["iqr_s"], line["ratio"])
    return (
        *(line["method"], show(line["products"], "d"), show(compiling, ".2f")),
        *map(brief, times),
        *(show(line["gflops"], ".3g"), f"{min(line['cosine']):.5f}"),
    )


def bench_forward(
    cases: tuple[Case, ...],
    out: Path,
    measured: Callable[[Case, Instance], list[Row]] = measure,
) -> str:
    """Every case and method: recorded, and laid out as a table."""
    shown = []
    for case in cases:
        print(f"{case} ...", file=sys.stderr)
        batch = sample(case)
        rows = measured(case, batch)
        for row in rows:
            line = scores(row, rows, case, batch) | COMMON
            record(out, benchmark="forward", shapes=case._asdict(), **line)
            shown.append((str(case) if row is rows[0] else "", *cells(line)))
    return plain_table(HEADER.split(","), shown) + NOTE


def bench_depth(depths: tuple[int, ...], case: Case, out: Path) -> str:
    """Compile time of the equivariant network by its number of blocks."""
    shown, batch = [], sample(case)
    for blocks in depths:
        config = ModelConfig(num_components=case.k, num_blocks=blocks)
        params = untrained(config, batch.x[0])
        timed = time_compiled(forward(config), params, batch.x, batch.mask, **BUDGET)
        line = {"shapes": case._asdict(), "blocks": blocks, **timed.to_dict()}
        record(out, benchmark="depth", **line, **COMMON)
        seconds = (timed.lower_s, timed.compile_s, timed.first_s, timed.median_s)
        shown.append((str(case), str(blocks), *(f"{one:.3g}" for one in seconds)))
    return plain_table(DEPTH_HEADER, shown)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="one tiny case")
    parser.add_argument("--depth", action="store_true", help="compile time by depth")
    parser.add_argument("--shipped", action="store_true", help="shipped networks")
    parser.add_argument("--out", type=Path, help="JSON lines are appended to it")
    args = parser.parse_args()
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    part = next((p for p in ("depth", "shipped") if getattr(args, p)), "forward")
    name = f"{part}-{stamp}.jsonl"
    out = args.out or Path(__file__).parent / "results" / name
    cases, depths = (SMOKE, DEPTHS[:2]) if args.smoke else (CASES, DEPTHS)
    if args.depth:
        table = bench_depth(depths, cases[0], out)
    elif args.shipped:
        table = bench_forward(SHIPPED, out, measure_shipped)
    else:
        table = bench_forward(cases, out)
    print(table)
    print(f"recorded in {out}")


if __name__ == "__main__":
    main()
