"""Does the trained network run a power method? Measure it, beside what does.

python experiments/probe/run.py [--smoke] [--out DIR]
"""

import functools
import json
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ablation import ablation_report
from adaptation import adaptation_report, mixed_batch
from checks import check_table
from config import COMPONENTS, SEED, Study, study
from figures import (
    ablation_figure,
    order_figure,
    polynomial_figure,
    sweep_figure,
)
from measure import (
    Spectrum,
    chebyshev,
    krylov_bases,
    orthogonal_iteration,
    polynomial,
    response,
    shares,
    spectrum,
    trace_report,
)
from networks import POWER, START, Subject, Trace, subjects
from sweep import sweep_report
from tables import text

from spectral_tf import EnsembleConfig, sample_batch
from spectral_tf.sampling import Instance
from spectral_tf.settings import random_key

sys.path.append(str(Path(__file__).parents[2]))
from experiments import harness

GRID = np.linspace(0, 1, 101)
BINS = np.linspace(0, 1.0001, 13)
Report = dict[str, Any]


@functools.cache
def batch_of(case: tuple[int, int, int]) -> tuple[Instance, Spectrum]:
    dim, samples, count = case
    ensemble = EnsembleConfig(dim=dim, num_samples=samples, num_components=COMPONENTS)
    batch = sample_batch(random_key(SEED), ensemble, count)
    return batch, spectrum(batch.x)


def cases_of(what: Study, subject: Subject) -> list[tuple[Instance, Spectrum]]:
    """The study's; a network for one other d gets instances of that."""
    served = [case for case in what.cases if subject.serves(case[0])]
    _, samples, count = what.cases[-1]
    own = [(subject.config.dim or what.sweep_dim, samples, count)]
    return [batch_of(case) for case in served or own]


def polynomial_report(
    trace: Trace, one: Trace, batch: Instance, found: Spectrum
) -> Report:
    """What one register alone computes, and what register 1 of all of them keeps."""
    _, together = trace(batch.x)
    with jax.enable_x64(True):
        _, alone = one(jnp.asarray(np.asarray(batch.x), jnp.float64))
    blocks = alone.shape[1] - 1
    degrees = sorted({max(1, blocks // 4), blocks // 2, blocks})
    bases = krylov_bases(found.matrix, alone[0, 0], blocks)
    classic = orthogonal_iteration(found.matrix, together[0, 0, :1], blocks)
    edge = float(np.median(found.values[:, 1] / found.values[:, 0]))
    curves, fits = {}, {}
    for degree in degrees:
        if degree >= len(bases):
            continue
        fits[degree] = polynomial(found, bases[degree], alone[:, degree, 0], GRID)
        curves[degree] = np.quantile(np.abs(fits[degree]), (0.25, 0.5, 0.75), axis=0)
    seen = response(together, found, BINS), response(classic, found, BINS)
    return {
        "network": trace.subject.name,
        "grid": GRID,
        "degrees": list(curves),
        "polynomial": curves,
        "fits": fits,
        "chebyshev": {n: np.abs(chebyshev(GRID, n, edge)) for n in curves},
        "edge": edge,
        "share": shares(bases, alone[:, :, 0]),
        "centres": (BINS[1:] + BINS[:-1]) / 2,
        "response": {n: seen[0][n] for n in curves},
        "classic": {n: seen[1][n] for n in curves},
    }


def measure(what: Study, networks: list[Subject]) -> Report:
    """All four questions."""
    mixed = mixed_batch(what)
    mixed_spectrum = spectrum(mixed)
    report: Report = {
        name: [] for name in ("traces", "polynomials", "sweeps", "ablations", "shifts")
    }
    for subject in networks:
        begin, trace = time.perf_counter(), Trace(subject)
        cases = cases_of(what, subject)
        for batch, found in cases:
            made = trace_report(trace, batch, found, what.most_orders)
            report["traces"].append(made)
        report["sweeps"].append(sweep_report(trace, what))
        few = cases[-1][0].x[: what.ablation_count]
        if subject.name != START:
            made = ablation_report(trace, few, spectrum(few))
            report["ablations"].append(made)
        if subject.is_equivariant:
            alone = Trace(subject.alone())
            made = polynomial_report(trace, alone, *cases[-1])
            report["polynomials"].append(made)
            report["shifts"].append(
                adaptation_report(trace, alone, mixed, mixed_spectrum)
            )
        print(f"{subject.name}: {time.perf_counter() - begin:.0f} s", file=sys.stderr)
    return report


def draw(report: Report, out: Path) -> None:
    """Four figures; the ablation is that of the first checkpoint."""
    # Of every network the last set of instances that it serves.
    traces = {one["network"]: one for one in report["traces"]}
    order_figure(list(traces.values()), out / "orders.png")
    polynomial_figure(report["polynomials"], out / "polynomials.png")
    sweep_figure(report["sweeps"], out / "contraction.png")
    trained = [one for one in report["ablations"] if one["network"] != POWER]
    if trained:
        ablation_figure(trained[0], out / "ablation.png")


def plain(value: Any) -> Any:
    """Arrays to lists and NaN to None, for JSON."""
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items() if name != "fits"}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return float(f"{value:.4g}") if np.isfinite(value) else None
    return value


def main() -> int:
    args = harness.options(__file__, __doc__, smoke="small, in seconds")
    out = args.out
    begin, what = time.perf_counter(), study(smoke=args.smoke)
    networks = subjects(what.products, smoke=args.smoke)
    report = measure(what, networks)
    checked, is_right = check_table(report)
    out.mkdir(parents=True, exist_ok=True)
    draw(report, out)
    (out / "summary.json").write_text(json.dumps(plain(report), allow_nan=False))
    tables = f"{checked}\n{text(report, what)}"
    (out / "tables.txt").write_text(tables)
    print(tables)
    seconds = time.perf_counter() - begin
    print(f"{seconds:.0f} s. Written to {out}.")
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
