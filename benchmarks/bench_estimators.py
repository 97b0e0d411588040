"""`SpectralPCA.fit` against scikit-learn's `PCA.fit`: time, memory, and the angle.

    python benchmarks/bench_estimators.py [--part NAME] [--smoke] [--out FILE.jsonl]

Parts: `fit` (float64 and float32 tables, every solver of scikit-learn that fits),
`flat` (what scikit-learn's `auto` takes for a wide table without structure: its
`randomized` solver, whose angle stands beside its time), `stream` (a million rows in
memory, and the same rows from a memory-mapped file). `ratio` is our median over that of
scikit-learn's fastest solver of the same table whose angle is at most 1e-6. Every
method runs in a process of its own, so that neither threads nor memory of one disturb
another: one first call (which compiles, for ours), then repeats. Memory is the largest
resident set during the repeats, less that before them, when the table is in memory and
everything is compiled. Accuracy is the largest principal angle to the float64 `eigh` of
the covariance, or of the Gram matrix of fewer rows than columns.
"""

import argparse
import ctypes
import datetime
import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from timing import record, time_host

from spectral_tf.apps.report import plain_table
from spectral_tf.estimators import top_pairs

SEED = 0
THREADS = os.cpu_count() or 1
CASES = (
    (256, 10_000, 8),
    (1024, 20_000, 8),
    (100, 100_000, 4),
    (2000, 500, 8),
    (5000, 100, 8),
    (50_000, 100, 8),
    (4096, 2000, 8),
    (4096, 10_000, 8),
)
FLAT = (5000, 300, 8)
FLAT_SMOKE = (200, 30, 2)
LARGE = 4_000_000
"""Numbers of a table from which a proof and a probable statement are both timed."""
TURNED = 2048
"""Columns up to which a table is turned by a full rotation; beyond, by reflections."""
EQUAL = 1e-6
"""Radians: solvers that are no further off are compared by their time."""
SMOKE = ((12, 60, 2),)
STREAM = (100, 1_000_000, 4)
STREAM_SMOKE = (12, 5_000, 2)
SOLVERS = ("covariance_eigh", "arpack", "randomized")
OURS = "SpectralPCA"


def power_law(N: int, d: int, dtype: str) -> np.ndarray:
    """`[N, d]` rows of covariance with eigenvalues i^-1, randomly turned."""
    rng = np.random.default_rng(SEED)
    if d > TURNED:
        return reflected(rng, N, d).astype(dtype)
    turn = np.linalg.qr(rng.standard_normal((d, d)))[0]
    turn *= np.arange(1, d + 1)[:, None] ** -0.5
    parts = [rng.standard_normal((min(4096, N - low), d)) for low in range(0, N, 4096)]
    return np.concatenate([(part @ turn).astype(dtype) for part in parts])


def reflected(rng: np.random.Generator, N: int, d: int) -> np.ndarray:
    """The same, turned by three random reflections: a rotation of d^2 is too large."""
    x = rng.standard_normal((N, d)) * np.arange(1, d + 1) ** -0.5
    for _ in range(3):
        axis = rng.standard_normal(d)
        axis /= np.linalg.norm(axis)
        for low in range(0, N, 1024):
            x[low : low + 1024] -= 2 * np.outer(x[low : low + 1024] @ axis, axis)
    return x


def flat(N: int, d: int, dtype: str) -> np.ndarray:
    """`[N, d]` rows without structure: every direction varies alike."""
    return np.random.default_rng(SEED).standard_normal((N, d)).astype(dtype)


TABLES = {"power law": power_law, "flat": flat}


def truth(x: np.ndarray, k: int) -> np.ndarray:
    """`[k, d]` leading eigenvectors in float64, by the smaller side."""
    rows = x.astype(np.float64) - x.mean(axis=0, dtype=np.float64)
    is_wide = len(x) < x.shape[1]
    square = rows @ rows.T if is_wide else rows.T @ rows
    top = top_pairs(square, k)[1]
    return np.linalg.qr((top @ rows).T)[0].T if is_wide else top


def angle(vectors: Any, reference: np.ndarray) -> float:
    """Largest principal angle between two row spans, from its sine."""
    rows = np.linalg.qr(np.asarray(vectors, np.float64).T)[0].T
    rest = rows - rows @ reference.T @ reference
    return float(np.arcsin(min(1.0, np.linalg.norm(rest, 2))))


def fitter(method: str, k: int) -> Callable[[Any], Any]:
    """What is timed: one fit."""
    if method.startswith(OURS):
        from spectral_tf.estimators import SpectralPCA

        modes = {"uncertified": False, "proof": "proof", "probable": "probable"}
        certify = modes.get(method.partition(", ")[2], True)
        return lambda x: SpectralPCA(k, engine="constructed", certify=certify).fit(x)
    from sklearn.decomposition import PCA

    return lambda x: PCA(k, svd_solver=method, random_state=SEED).fit(x)


def streamer(method: str, k: int, path: Path) -> Callable[[Any], Any]:
    """One pass over a file that is never in memory as a whole."""
    if method == OURS:
        from spectral_tf.estimators import SpectralPCA, read_chunks

        make = lambda: SpectralPCA(k, engine="constructed")
        return lambda _: make().partial_fit(read_chunks(path))
    from sklearn.decomposition import IncrementalPCA

    def incremental(_: Any) -> Any:
        model, x = IncrementalPCA(k), np.load(path, mmap_mode="r")
        for low in range(0, len(x), 65_536):
            model.partial_fit(x[low : low + 65_536])
        return model

    return incremental


def megabytes(peak: bool) -> float:
    """Resident memory of this process: the largest so far, or now."""
    name = "VmHWM:" if peak else "VmRSS:"  # Linux
    words = Path("/proc/self/status").read_text().split()
    return int(words[words.index(name) + 1]) / 1024


def worker(job: dict[str, Any]) -> dict[str, Any]:
    """One method on one case, in this process."""
    d, N, k = job["case"]
    path = Path(job["file"]) if job["file"] else None
    fit = streamer(job["method"], k, path) if path else fitter(job["method"], k)
    x = None if path else TABLES[job["table"]](N, d, job["dtype"])
    first = time_host(fit, x, repeats=1, threads=THREADS).first_s  # compiles
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    before = megabytes(peak=False)
    # Lower the high-water mark to what is resident now (Linux).
    Path("/proc/self/clear_refs").write_text("5")
    timing = time_host(fit, x, repeats=job["repeats"], budget_s=5, threads=THREADS)
    memory = megabytes(peak=True) - before
    model = timing.output
    certificate = getattr(model, "certificate_", None)
    x = np.load(path) if path else x
    assert x is not None
    return timing.to_dict() | {
        "first_s": first,
        "accuracy": angle(model.components_, truth(x, k)),
        "memory_mb": memory,
        "certified": certificate and certificate.counts()["certified"],
        "probable": certificate and certificate.counts()["probable"],
        "iterations": getattr(model, "n_iter_", None),
    }


def run_worker(**job: Any) -> dict[str, Any]:
    """Run `worker` in a new process."""
    done = subprocess.run(
        [sys.executable, __file__, "--worker", json.dumps(job)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{job} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def fit_jobs(is_smoke: bool) -> list[dict[str, Any]]:
    """Every method on every case, in memory."""
    jobs = []
    for case in SMOKE if is_smoke else CASES:
        d, N, _ = case
        solvers = SOLVERS if d <= N else ("full", *SOLVERS[1:])
        if d > TURNED and N > TURNED // 2:  # a minute and more for all eigenpairs
            solvers = SOLVERS[1:]
        both = not is_smoke and d <= TURNED
        for dtype in ("float64", "float32") if both else ("float64",):
            for method in (OURS, f"{OURS}, uncertified", *extra_of(case), *solvers):
                jobs.append({"case": case, "dtype": dtype, "method": method})
    common = {"file": None, "repeats": 1 if is_smoke else 9, "table": "power law"}
    return [job | common for job in jobs]


def is_asked(job: dict[str, Any], words: list[str]) -> bool:
    """Whether case, type and method have all these words."""
    text = f"{job['case']} {job['dtype']} {job['method']}"
    return all(word in text for word in words)


def extra_of(case: tuple[int, int, int]) -> tuple[str, ...]:
    """A proof and a probable statement, where a table is large on both sides."""
    d, N, _ = case
    return (
        (f"{OURS}, proof", f"{OURS}, probable") if d * N > LARGE and d > N // 3 else ()
    )


def flat_jobs(is_smoke: bool) -> list[dict[str, Any]]:
    """A wide table without structure, beside scikit-learn's own choice."""
    common = {"case": FLAT_SMOKE if is_smoke else FLAT, "dtype": "float64"}
    common |= {"file": None, "repeats": 1 if is_smoke else 5, "table": "flat"}
    return [common | {"method": m} for m in (OURS, "auto", "arpack", "full")]


def stream_jobs(is_smoke: bool, folder: Path) -> list[dict[str, Any]]:
    """A long table, in memory and from a file."""
    case = STREAM_SMOKE if is_smoke else STREAM
    path = folder / "long.npy"
    np.save(path, power_law(case[1], case[0], "float64"))
    common = {"case": case, "dtype": "float64", "repeats": 1, "table": "power law"}
    jobs = [common | {"method": m, "file": None} for m in (OURS, SOLVERS[0])]
    return jobs + [
        common | {"method": m, "file": str(path)} for m in (OURS, "IncrementalPCA")
    ]


def measured(part: str, jobs: list[dict[str, Any]], out: Path) -> str:
    """Every job: recorded, and laid out as a table."""
    results = []
    for job in jobs:
        print(f"{part}: {job['case']} {job['dtype']} {job['method']}", file=sys.stderr)
        results.append(run_worker(**job))
        job = {name: value for name, value in job.items() if name != "repeats"}
        record(
            out,
            benchmark=f"estimators-{part}",
            precision=job["dtype"],
            shapes=dict(zip(("d", "N", "k"), job["case"], strict=True)),
            seed=SEED,
            blas_threads=THREADS,
            **{name: job[name] for name in ("method", "table", "file", "case")},
            **results[-1],
        )
    labels = [f"{job['case']} {job['dtype']}" for job in jobs]
    shown = [
        row(job, result, best_of(label, labels, jobs, results))
        for job, label, result in zip(jobs, labels, results, strict=True)
    ]
    firsts = [labels.index(label) == place for place, label in enumerate(labels)]
    named = zip(labels, firsts, shown, strict=True)
    lines = [(label if is_first else "", *cells) for label, is_first, cells in named]
    header = ("d, N, k", "method", "first s", "steady ms", "IQR ms", "ratio")
    return plain_table((*header, "extra MB", "angle", "certified"), lines)


def best_of(
    label: str,
    labels: list[str],
    jobs: list[dict[str, Any]],
    results: list[dict[str, Any]],
) -> float | None:
    """Seconds of scikit-learn's fastest solver of one case that is right, if any."""
    times = [
        result["median_s"]
        for other, job, result in zip(labels, jobs, results, strict=True)
        if other == label
        and not job["method"].startswith(OURS)
        and result["accuracy"] <= EQUAL
    ]
    return min(times, default=None)


def row(job: dict[str, Any], result: dict[str, Any], best: float | None) -> tuple:
    """What the table shows of one method."""
    counts = "-"
    if result["certified"] is not None:
        counts = str(result["certified"])
        if result["probable"]:
            counts = f"{result['probable']} probable"
    is_ours = job["method"].startswith(OURS) and best is not None
    return (
        job["method"] + (" from a file" if job["file"] else ""),
        f"{result['first_s']:.2f}",
        f"{1e3 * result['median_s']:.4g}",
        f"{1e3 * result['iqr_s']:.2g}",
        f"{result['median_s'] / best:.2f}" if is_ours and best else "",
        f"{result['memory_mb']:.0f}",
        f"{result['accuracy']:.1e}",
        counts,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--part", choices=["fit", "flat", "stream", "all"], default="all"
    )
    parser.add_argument("--smoke", action="store_true", help="one tiny case per part")
    parser.add_argument("--out", type=Path, help="JSON lines are appended to it")
    parser.add_argument(
        "--only", nargs="*", default=[], help="e.g. '(256,' float64: jobs that say both"
    )
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps(worker(json.loads(args.worker))))
        return
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    folder = Path(__file__).parent / "results"
    out = args.out or folder / f"estimators-{stamp}.jsonl"
    if args.part in ("fit", "all"):
        jobs = [job for job in fit_jobs(args.smoke) if is_asked(job, args.only)]
        print(measured("fit", jobs, out))
    if args.part in ("flat", "all"):
        print(measured("flat", flat_jobs(args.smoke), out))
    if args.part in ("stream", "all"):
        with tempfile.TemporaryDirectory() as temporary:
            jobs = stream_jobs(args.smoke, Path(temporary))
            print(measured("stream", jobs, out))
    print(f"recorded in {out}")


if __name__ == "__main__":
    main()
