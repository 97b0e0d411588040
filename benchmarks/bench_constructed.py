"""Fused constructed networks against what people use instead.

    python benchmarks/bench_constructed.py [--part NAME] [--smoke] [--out FILE.jsonl]

Parts: `iteration` (fused `register` against a hand-written orthogonal iteration of the
same tau), `pca` (against every solver of scikit-learn's PCA on one large table, at a
largest principal angle of at most 1e-3), `small` (batches of small problems against
`eigh` and matfree's Lanczos; draws `small.png`), `rows` (dense against fused over N).
All starts from the same float32 rows, centring included; accuracy is measured against
a float64 `eigh`. BLAS threads of a baseline: as many as XLA uses, unless the part says
otherwise.
"""

import argparse
import datetime
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.decomposition import PCA
from timing import Timing, record, time_compiled, time_host

import spectral_tf
from spectral_tf import spectra
from spectral_tf.apps.report import plain_table
from spectral_tf.model import default_start

try:
    from matfree import decomp, eig
except ImportError:  # a dependency of this benchmark alone
    decomp = eig = None

SEED = 0
HIGHEST = jax.lax.Precision.HIGHEST
COMMON: dict[str, Any] = {"precision": "float32, Precision.HIGHEST", "seed": SEED}
THREADS = os.cpu_count() or 1
ANGLE = 1e-3


class Row(NamedTuple):
    """One method on one case: its time, and how accurate it was."""

    method: str
    timing: Timing
    accuracy: float


def power_law(N: int, d: int, seed: int = SEED) -> np.ndarray:
    """`[N, d]` float32 rows of covariance with eigenvalues i^-1, randomly turned."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.standard_normal((d, d)))[0]
    rows = rng.standard_normal((N, d)) * np.arange(1, d + 1) ** -0.5
    return (rows @ turn.T).astype(np.float32)


def truth(x: np.ndarray, k: int) -> np.ndarray:
    """`[k, d]` leading eigenvectors in float64."""
    _, columns = np.linalg.eigh(np.cov(x.astype(np.float64), rowvar=False))
    return columns[:, : -k - 1 : -1].T


def angle(vectors: Any, reference: np.ndarray) -> float:
    """Largest principal angle between two row spans, from its sine."""
    rows = np.linalg.qr(np.asarray(vectors, np.float64).T)[0].T
    rest = rows - rows @ reference.T @ reference
    return float(np.arcsin(min(1.0, np.linalg.norm(rest, 2))))


def worst_cosine(vectors: Any, reference: np.ndarray) -> float:
    """Mean |cos| over the batch, of the rank where it is lowest."""
    cosine = np.abs(np.sum(np.asarray(vectors, np.float64) * reference, axis=-1))
    return float(np.min(np.mean(cosine, axis=0)))


def fused(d: int, k: int, iters: int, variant: str) -> Callable[[Any], Any]:
    """`x [N, d] -> eigenvectors [k, d]` of a fused construction."""
    function = spectral_tf.fuse(spectral_tf.power_method_params(d, k, iters, variant))
    return lambda x: function(x).eigenvectors


# Part: iteration ------------------------------------------------------------------

ITERATION = ((64, 1000, 4), (256, 10_000, 8), (1024, 20_000, 8))
TAU = 60


def by_gram_schmidt(start: Any) -> Callable[[Any], Any]:
    """Orthogonal iteration with Gram-Schmidt done twice, as in `spectra.py`."""
    return lambda x: spectra.orthogonal_iteration(
        spectra.covariance(x), start, num_iters=TAU
    )[1]


def by_qr(start: Any) -> Callable[[Any], Any]:
    """Orthogonal iteration with LAPACK's QR in every step."""

    def solver(x: Any) -> Any:
        rows = x - jnp.mean(x, axis=0, keepdims=True)
        matrix = jnp.matmul(rows.T, rows, precision=HIGHEST) / rows.shape[0]
        step = lambda _, v: jnp.linalg.qr(jnp.matmul(matrix, v, precision=HIGHEST))[0]
        return jax.lax.fori_loop(0, TAU, step, start.T).T

    return solver


def iteration_rows(d: int, N: int, k: int) -> list[Row]:
    x = power_law(N, d)
    start = default_start(spectral_tf.ModelConfig(num_components=k), d, x.dtype)
    reference = truth(x, k)
    methods = {
        "fused register": fused(d, k, TAU, "register"),
        "orthogonal iteration, Gram-Schmidt": by_gram_schmidt(start),
        "orthogonal iteration, LAPACK QR": by_qr(start),
        "covariance alone": lambda x: spectra.covariance(x)[:k],
    }
    rows = []
    for name, method in methods.items():
        timing = time_compiled(method, x, repeats=41, budget_s=8)
        rows.append(Row(name, timing, angle(timing.output, reference)))
    return rows


# Part: pca ------------------------------------------------------------------------

OURS = (("rms", 60), ("rms", 90))
PCA_CASES = ((256, 10_000, 8), (1024, 20_000, 8))


def sklearn_solver(k: int, **options: Any) -> Callable[[np.ndarray], Any]:
    return lambda x: PCA(k, random_state=SEED, **options).fit(x).components_


def theirs(d: int, N: int, k: int) -> list[Row]:
    """Every solver of scikit-learn, with one thread and with all."""
    x, rows = power_law(N, d), []
    reference = truth(x, k)
    solvers = [{"svd_solver": name} for name in ("covariance_eigh", "arpack")]
    solvers += [{"svd_solver": "randomized", "iterated_power": n} for n in (7, 10)]
    for options in solvers:
        method = sklearn_solver(k, **options)
        for threads in sorted({1, THREADS}):
            limit: dict[str, Any] = {"budget_s": 4.0, "threads": threads}
            timing = time_host(method, x, repeats=15, **limit)
            name = ", ".join(map(str, options.values()))
            name = f"sklearn {name}, {threads} thread(s)"
            rows.append(Row(name, timing, angle(timing.output, reference)))
    return rows


def ours(d: int, N: int, k: int) -> list[Row]:
    """Fused constructions that reach the angle, each with a number of iterations."""
    x, rows = power_law(N, d), []
    reference = truth(x, k)
    for variant, iters in OURS:
        timing = time_compiled(fused(d, k, iters, variant), x, budget_s=8.0)
        error = angle(timing.output[:k], reference)
        rows.append(Row(f"fused {variant}, {iters} iterations", timing, error))
    return rows


# Part: small ----------------------------------------------------------------------

PEAK_FLOPS, PEAK_BYTES = 60e12, 3e12
"""Float32 and memory of a data-centre GPU of 2023, rounded; for the counts alone."""
SMALL = ((1024, 10), (1024, 32), (256, 64), (64, 128))
K = 4


def lanczos(matvecs: int) -> Callable[[Any], Any]:
    """Matfree's Lanczos with full reorthogonalisation."""
    assert eig is not None
    assert decomp is not None
    solve = eig.eigh_partial(decomp.tridiag_sym(matvecs, materialize=True))

    def solver(x: Any) -> Any:
        matrix = spectra.covariance(x)
        start = jnp.ones(x.shape[1]) / x.shape[1] ** 0.5
        vectors = solve(lambda v: jnp.matmul(matrix, v, precision=HIGHEST), start)[1]
        return vectors[: -K - 1 : -1]

    return solver


def jax_eigh(x: Any) -> Any:
    return jnp.linalg.eigh(spectra.covariance(x))[1].T[: -K - 1 : -1]


def numpy_eigh(x: np.ndarray) -> np.ndarray:
    rows = x - x.mean(axis=1, keepdims=True)
    _, columns = np.linalg.eigh(rows.swapaxes(1, 2) @ rows / x.shape[1])
    return columns.swapaxes(1, 2)[:, : -K - 1 : -1]


def small_rows(B: int, d: int) -> list[Row]:
    """Wishart instances with N = 2 d, as the design's trial."""
    rng = np.random.default_rng(SEED)
    mix = rng.standard_normal((B, d, d)) / d**0.5
    x = (rng.standard_normal((B, 2 * d, d)) @ mix).astype(np.float32)
    reference = np.stack([truth(one, K) for one in x])
    methods = {
        f"{variant} {iters}": fused(d, K, iters, variant)
        for variant, every in (
            ("squaring", (6, 8, 10, 12)),
            ("register", (60, 200, 600)),
            ("rms", (60, 200, 600)),
        )
        for iters in every
    }
    if eig is not None:
        matvecs = sorted({min(d, n) for n in (10, 20, 32, 48, 64)})
        methods |= {f"matfree Lanczos {n}": lanczos(n) for n in matvecs}
    methods["jax eigh"] = jax_eigh
    if B < 10:  # the smoke test: one of each
        first = {name.split(" ")[0]: name for name in reversed(methods)}
        methods = {name: methods[name] for name in first.values()}
    rows = []
    for name, method in methods.items():
        timing = time_compiled(jax.vmap(method), x, repeats=11, budget_s=4)
        accuracy = worst_cosine(timing.output, reference)
        # Lanczos breaks down where its space is invariant: NaN is no accuracy.
        rows.append(Row(name, timing, accuracy if np.isfinite(accuracy) else 0.0))
    for threads in sorted({1, THREADS}):
        timing = time_host(numpy_eigh, x, repeats=11, budget_s=4, threads=threads)
        name = f"numpy eigh, {threads} thread(s)"
        rows.append(Row(name, timing, worst_cosine(timing.output, reference)))
    return rows


def counted(B: int, d: int) -> dict[str, dict[str, float]]:
    """FLOPs and bytes by XLA's count, loops written out; nothing is timed here."""
    x = jax.ShapeDtypeStruct((B, 2 * d, d), jnp.float32)
    methods = {"squaring": 10, "rms": 60}
    found = {}
    # The count takes the body of a loop once.
    place = "spectral_tf.constructive.fusion.plan"
    with mock.patch.multiple(place, UNROLLED=10**6, HEADS_UNROLLED=10**6):
        for variant, iters in methods.items():
            method = jax.jit(jax.vmap(fused(d, K, iters, variant)))
            cost: Any = method.lower(x).compile().cost_analysis() or {}
            flops, moved = cost.get("flops", 0.0), cost.get("bytes accessed", 0.0)
            found[variant] = {"iters": iters, "flops": flops, "bytes": moved}
    return found


def counts_text(counts: dict[str, dict[str, float]], B: int, d: int) -> str:
    """One line per counted network, and what a roofline makes of it."""
    lines = []
    for variant, one in counts.items():
        seconds = max(one["flops"] / PEAK_FLOPS, one["bytes"] / PEAK_BYTES)
        lines.append(
            f"counted, not timed: B={B} d={d} {variant} {one['iters']:.0f}: "
            f"{one['flops'] / 1e9:.2f} GFLOP, {one['bytes'] / 1e9:.2f} GB; "
            f"at {PEAK_FLOPS / 1e12:g} TFLOP/s and {PEAK_BYTES / 1e12:g} TB/s "
            f"at least {1e3 * seconds:.3g} ms"
        )
    return "\n".join(lines)


def draw_small(shown: dict[str, list[Row]], path: Path) -> None:
    """Pareto figure: time against 1 - |cos|."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(shown), figsize=(4 * len(shown), 4))
    for axis, (title, rows) in zip(np.atleast_1d(axes), shown.items(), strict=True):
        for family in dict.fromkeys(row.method.split(" ")[0] for row in rows):
            part = [row for row in rows if row.method.startswith(family)]
            times = [1e3 * row.timing.median_s for row in part]
            error = [max(1 - row.accuracy, 1e-7) for row in part]
            axis.loglog(times, error, "o-", label=family)
        axis.axhline(1e-4, color="grey", linewidth=0.7)
        axis.set(title=title, xlabel="ms per batch", ylabel="1 - |cos|, worst rank")
    np.atleast_1d(axes)[0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)


# Part: rows -----------------------------------------------------------------------

ROWS = (100, 300, 1000, 3000)


def rows_rows(N: int) -> list[Row]:
    x, k, d, tau = power_law(N, 10), 3, 10, 10
    config, params = spectral_tf.power_method_params(d, k, tau)
    reference = truth(x, k)
    dense = lambda x: spectral_tf.predict(config, params, x).eigenvectors
    methods = {"dense register": dense, "fused register": fused(d, k, tau, "register")}
    rows = []
    for name, method in methods.items():
        timing = time_compiled(method, x, repeats=9, budget_s=6)
        rows.append(Row(name, timing, angle(timing.output, reference)))
    return rows


# The table ------------------------------------------------------------------------

# First `pca`: once XLA has threads of its own, those of BLAS wait for them.
PARTS: dict[str, tuple[Any, Callable[..., list[Row]], tuple[str, ...], Any]] = {
    "pca": (PCA_CASES, ours, ("d", "N", "k"), ((24, 200, 8),)),
    "iteration": (ITERATION, iteration_rows, ("d", "N", "k"), ((6, 50, 2),)),
    "small": (SMALL, small_rows, ("B", "d"), ((3, 6),)),
    "rows": (tuple((n,) for n in ROWS), rows_rows, ("N",), ((50,),)),
}


def cells(row: Row, least: float, is_cosine: bool) -> tuple[str, ...]:
    seconds = row.timing.median_s
    compiling = row.timing.compile_s
    shown = f"{row.accuracy:.6f}" if is_cosine else f"{row.accuracy:.2e}"
    return (
        row.method,
        "-" if compiling is None else f"{compiling + (row.timing.lower_s or 0):.2f}",
        f"{1e3 * seconds:.3g}",
        f"{1e3 * row.timing.iqr_s:.2g}",
        f"{seconds / least:.2f}",
        shown,
    )


def bench(part: str, is_smoke: bool, out: Path) -> str:
    """Every case of one part: recorded, and laid out as a table."""
    cases, measure, names, smoke = PARTS[part]
    is_cosine, shown, kept = part == "small", [], {}
    notes: list[str] = []
    cases: Any = smoke if is_smoke else cases
    before = {case: theirs(*case) if part == "pca" else [] for case in cases}
    for case in cases:
        label = " ".join(f"{n}={v}" for n, v in zip(names, case, strict=True))
        print(f"{part}: {label} ...", file=sys.stderr)
        rows = before[case] + measure(*case)
        kept[label] = rows
        enough = [r for r in rows if r.accuracy <= ANGLE] if part == "pca" else rows
        least = rows[0] if part in ("iteration", "rows") else None
        best = least or min(enough or rows, key=lambda row: row.timing.median_s)
        extra = counted(*case) if part == "small" else {}
        if extra:
            notes.append(counts_text(extra, *case))
        for row in rows:
            shown.append(
                (
                    label if row is rows[0] else "",
                    *cells(row, best.timing.median_s, is_cosine),
                )
            )
            record(
                out,
                benchmark=f"constructed-{part}",
                shapes=dict(zip(names, case, strict=True)),
                method=row.method,
                accuracy=row.accuracy,
                counted=extra.get(row.method.split(" ")[0]),
                blas_threads=THREADS,
                **row.timing.to_dict(),
                **COMMON,
            )
    if is_cosine and not is_smoke:
        draw_small(kept, Path(__file__).parent / "small.png")
    accuracy = "worst mean |cos|" if is_cosine else "largest angle"
    header = ("case", "method", "compile s", "steady ms", "IQR ms", "ratio", accuracy)
    return "\n".join([plain_table(header, shown), *notes])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--part", choices=[*PARTS, "all"], default="all")
    parser.add_argument("--smoke", action="store_true", help="one tiny case per part")
    parser.add_argument("--out", type=Path, help="JSON lines are appended to it")
    args = parser.parse_args()
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    folder = Path(__file__).parent / "results"
    out = args.out or folder / f"constructed-{stamp}.jsonl"
    if eig is None:
        print("matfree is not installed: its Lanczos is left out", file=sys.stderr)
    for part in PARTS if args.part == "all" else (args.part,):
        print(bench(part, args.smoke, out))
    print(
        "steady: median. ratio: over the first method (iteration, rows), the fastest "
        f"one (small), or the fastest within {ANGLE} rad (pca)."
    )
    print(f"recorded in {out}")


if __name__ == "__main__":
    main()
