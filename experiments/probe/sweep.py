r"""How fast the angle of register 1 falls, against the ratio that decides it.

Two sweeps over spectra that are met exactly. `pair`: lambda_2 / lambda_1 goes up, the
others stay; the power method contracts by that ratio with each product. `edge`:
lambda_2 to lambda_8 stay, lambda_9 and the bulk behind it go up; what decides subspace
iteration with eight registers, and does not concern the power method.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from config import SEED, Study
from jaxtyping import Array
from measure import log_tangents
from networks import Trace

from spectral_tf.sampling import uniform_rotation
from spectral_tf.settings import random_key

REGISTERS = 8

FLOOR = np.log(1e-5)
"""Below this log tan float32 decides, and not the method."""


def pair_spectrum(ratio: float, dim: int) -> np.ndarray:
    bulk = np.geomspace(0.3, 0.03, dim - 2)
    return np.concatenate([[1.0, ratio], bulk])


def edge_spectrum(ratio: float, dim: int) -> np.ndarray:
    top = np.linspace(0.9, 0.75, REGISTERS - 1)
    bulk = np.geomspace(ratio, ratio / 10, dim - REGISTERS)
    return np.concatenate([[1.0], top, bulk])


SWEEPS = {"pair": pair_spectrum, "edge": edge_spectrum}


def tables(values: np.ndarray, shape: tuple[int, int]) -> tuple[Array, np.ndarray]:
    """`[B, N, d]` rows with these eigenvalues up to scale, and their vectors as rows.

    Rows come in pairs +- sqrt(d lambda_i) v_i: their mean is 0, and their covariance is
    the sum of lambda_i v_i v_i'. Rows of 0 make them N, and scale it.
    """
    (count, samples), dim = shape, len(values)
    keys = jax.random.split(random_key(SEED), count)
    turns = jax.vmap(lambda key: uniform_rotation(key, dim))(keys)
    half = turns * jnp.sqrt(dim * jnp.asarray(values, jnp.float32))[None, :, None]
    rows = jnp.zeros((count, samples, dim)).at[:, :dim].set(half)
    return rows.at[:, dim : 2 * dim].set(-half), np.asarray(turns, np.float64)


def angles(trace: Trace, what: Study, sweep: str) -> np.ndarray:
    """`[r, L + 1]` median log tan of the angle after every block, start first."""
    logs = []
    for ratio in getattr(what, sweep):
        values = SWEEPS[sweep](ratio, trace.subject.config.dim or what.sweep_dim)
        x, vectors = tables(values, (what.sweep_count, what.sweep_samples))
        logs.append(np.median(log_tangents(trace(x)[0], vectors), axis=0))
    return np.array(logs)


def late(falls: np.ndarray) -> np.ndarray:
    """`[r]` mean over the second half of the blocks, where the start is forgotten."""
    half = falls[:, falls.shape[1] // 2 :]
    count = np.sum(np.isfinite(half), axis=1)
    return np.where(count, np.nansum(half, axis=1) / np.maximum(count, 1), np.nan)


def slope(x: np.ndarray, y: np.ndarray) -> float:
    """Of the least-squares line; NaN with fewer than two points."""
    good = np.isfinite(x) & np.isfinite(y)
    return float(np.polyfit(x[good], y[good], 1)[0]) if good.sum() > 1 else np.nan


def sweep_report(trace: Trace, what: Study) -> dict[str, Any]:
    """Question 2 for one network: falls, slopes, exponents."""
    report: dict[str, Any] = {"network": trace.subject.name}
    for sweep in SWEEPS:
        ratios, logs = np.array(getattr(what, sweep)), angles(trace, what, sweep)
        falls = np.where(logs[:, 1:] > FLOOR, logs[:, :-1] - logs[:, 1:], np.nan)
        mean, log_ratio = late(falls), -np.log(ratios)
        whole = (logs[:, 0] - np.maximum(logs[:, -1], FLOOR)) / falls.shape[1]
        report[sweep] = {
            "ratios": ratios,
            "logs": logs,
            "final": np.exp(logs[:, -1]),
            "whole": whole,
            "whole_slope": slope(log_ratio, whole),
            "late": mean,
            "slope": slope(log_ratio, mean),
            "chebyshev": np.arccosh(2 / ratios - 1),
            "per_block": [slope(log_ratio, fall) for fall in falls.T],
        }
    return report
