"""`SpectralPCA.fit` against scikit-learn's `PCA.fit`: time, memory, and the angle.

    python benchmarks/bench_estimators.py [--part NAME] [--smoke] [--out FILE.jsonl]

Parts: `fit` (float64 and float32 tables, every solver of scikit-learn that fits),
`stream` (a million rows in memory, and the same rows from a memory-mapped file). Every
method runs in a process of its own, so that neither threads nor memory of one disturb
another: one first call (which compiles, for ours), then repeats. Memory is the largest
resident set during the repeats, less that before them, when the table is in memory and
everything is compiled. Accuracy is the largest principal angle to the float64
`eigh` of numpy's covariance.
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

SEED = 0
THREADS = os.cpu_count() or 1
CASES = ((256, 10_000, 8), (1024, 20_000, 8), (100, 100_000, 4), (2000, 500, 8))
SMOKE = ((12, 60, 2),)
STREAM = (100, 1_000_000, 4)
STREAM_SMOKE = (12, 5_000, 2)
SOLVERS = ("covariance_eigh", "arpack", "randomized")
OURS = "SpectralPCA"


def power_law(N: int, d: int, dtype: str) -> np.ndarray:
    """`[N, d]` rows of covariance with eigenvalues i^-1, randomly turned."""
    rng = np.random.default_rng(SEED)
    turn = np.linalg.qr(rng.standard_normal((d, d)))[0]
    turn *= np.arange(1, d + 1)[:, None] ** -0.5
    parts = [rng.standard_normal((min(4096, N - low), d)) for low in range(0, N, 4096)]
    return np.concatenate([(part @ turn).astype(dtype) for part in parts])


def truth(x: np.ndarray, k: int) -> np.ndarray:
    """`[k, d]` leading eigenvectors in float64."""
    if len(x) < x.shape[1]:
        rows = x.astype(np.float64) - x.mean(axis=0, dtype=np.float64)
        return np.linalg.svd(rows, full_matrices=False)[2][:k]
    covariance = np.cov(x.astype(np.float64), rowvar=False)
    return np.linalg.eigh(covariance)[1][:, : -k - 1 : -1].T


def angle(vectors: Any, reference: np.ndarray) -> float:
    """Largest principal angle between two row spans, from its sine."""
    rows = np.linalg.qr(np.asarray(vectors, np.float64).T)[0].T
    rest = rows - rows @ reference.T @ reference
    return float(np.arcsin(min(1.0, np.linalg.norm(rest, 2))))


def fitter(method: str, k: int) -> Callable[[Any], Any]:
    """What is timed: one fit."""
    if method.startswith(OURS):
        from spectral_tf.estimators import SpectralPCA

        certify = "uncertified" not in method
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
    x = None if path else power_law(N, d, job["dtype"])
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
        solvers = SOLVERS if case[1] >= case[0] else ("full", *SOLVERS[1:])
        for dtype in ("float64",) if is_smoke else ("float64", "float32"):
            for method in (OURS, f"{OURS}, uncertified", *solvers):
                jobs.append({"case": case, "dtype": dtype, "method": method})
    return [job | {"file": None, "repeats": 1 if is_smoke else 9} for job in jobs]


def stream_jobs(is_smoke: bool, folder: Path) -> list[dict[str, Any]]:
    """A long table, in memory and from a file."""
    case = STREAM_SMOKE if is_smoke else STREAM
    path = folder / "long.npy"
    np.save(path, power_law(case[1], case[0], "float64"))
    common = {"case": case, "dtype": "float64", "repeats": 1}
    jobs = [common | {"method": m, "file": None} for m in (OURS, SOLVERS[0])]
    return jobs + [
        common | {"method": m, "file": str(path)} for m in (OURS, "IncrementalPCA")
    ]


def measured(part: str, jobs: list[dict[str, Any]], out: Path) -> str:
    """Every job: recorded, and laid out as a table."""
    shown, last = [], None
    for job in jobs:
        print(f"{part}: {job['case']} {job['dtype']} {job['method']}", file=sys.stderr)
        found = run_worker(**job)
        label = f"{job['case']} {job['dtype']}"
        method = job["method"] + (" from a file" if job["file"] else "")
        shown.append(
            (
                label if label != last else "",
                method,
                f"{found['first_s']:.2f}",
                f"{1e3 * found['median_s']:.4g}",
                f"{1e3 * found['iqr_s']:.2g}",
                f"{found['memory_mb']:.0f}",
                f"{found['accuracy']:.1e}",
                "-" if found["certified"] is None else str(found["certified"]),
            )
        )
        last = label
        job = {name: value for name, value in job.items() if name != "repeats"}
        record(
            out,
            benchmark=f"estimators-{part}",
            precision=job["dtype"],
            shapes=dict(zip(("d", "N", "k"), job["case"], strict=True)),
            seed=SEED,
            blas_threads=THREADS,
            method=method,
            **found,
        )
    header = ("d, N, k", "method", "first s", "steady ms", "IQR ms", "extra MB")
    return plain_table((*header, "angle", "certified"), shown)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--part", choices=["fit", "stream", "all"], default="all")
    parser.add_argument("--smoke", action="store_true", help="one tiny case per part")
    parser.add_argument("--out", type=Path, help="JSON lines are appended to it")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps(worker(json.loads(args.worker))))
        return
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    folder = Path(__file__).parent / "results"
    out = args.out or folder / f"estimators-{stamp}.jsonl"
    if args.part in ("fit", "all"):
        print(measured("fit", fit_jobs(args.smoke), out))
    if args.part in ("stream", "all"):
        with tempfile.TemporaryDirectory() as temporary:
            jobs = stream_jobs(args.smoke, Path(temporary))
            print(measured("stream", jobs, out))
    print(f"recorded in {out}")


if __name__ == "__main__":
    main()
