"""The tutorial's numbers: 178 wines, by this package and by scikit-learn.

python experiments/tables/run.py [--smoke] [--out DIR]
"""

import contextlib
import csv
import io
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import sklearn
from config import COMMANDS, FIGURES, SEED, trials
from measure import clusters, components, planted, top_rows
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

from spectral_tf.apps.cli import main as spectral_tf
from spectral_tf.apps.report import plain_table

sys.path.append(str(Path(__file__).parents[2]))
from experiments import harness


def write_csv(wine: Any, path: Path) -> None:
    """The table as a spreadsheet would have it, with the cultivar as text."""
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([*wine.feature_names, "cultivar"])
        cultivars = wine.target_names[wine.target]
        pairs = zip(wine.data.tolist(), cultivars, strict=True)
        writer.writerows([*row, cultivar] for row, cultivar in pairs)


def run_commands(wine: Any, out: Path) -> None:
    """The three commands of the tutorial; their figures come to `out`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wine.csv"
        write_csv(wine, path)
        for command in COMMANDS:
            name, *flags = command.split()
            where = ["--out", str(Path(folder) / name)]
            with contextlib.redirect_stdout(io.StringIO()):
                code = spectral_tf([name, str(path), *flags, *where])
            assert code == 0, command
        for figure in FIGURES:
            shutil.copy(Path(folder) / f"{figure}.png", out)


def text(summary: dict[str, Any]) -> str:
    """The numbers as README.md shows them."""
    pca, cluster, detect = (summary[name] for name in ("pca", "cluster", "detect"))
    status = ", ".join(f"{count} {name}" for name, count in pca["status"].items())
    best = sorted(cluster["bic"].items(), key=lambda pair: pair[1])[:3]
    near = ", ".join(f"{number}: {value:.1f}" for number, value in best)
    rows = [(name, f"{value:.3f}") for name, value in cluster["index"].items()]
    rows += [
        (
            f"SpectralClusterer('auto'): {cluster['auto']}",
            f"{cluster['index_auto']:.3f}",
        )
    ]
    lines = [
        f"Components for 90%: {pca['count']} (scikit-learn {pca['count_scikit_learn']}"
        f"), {sum(pca['shares']):.1%} of the variance; {status}.",
        f"Largest angle bound {pca['largest_angle_bound']:.2e} rad; largest sine of an "
        f"angle to scikit-learn's {pca['largest_angle']:.2e}.",
        f"Eigenvalues differ by at most {pca['largest_relative_difference']:.1e} of "
        "themselves.",
        "",
        plain_table(("clusters by", "adjusted Rand index"), rows),
        f"Least Bayesian information criteria: {near}.",
        "",
    ]
    found = [
        (name, ", ".join(map(str, detect["top"][name])), f"{share:.0%}")
        for name, share in detect["planted"].items()
    ]
    head = ("outliers by", "the ten strangest rows", "planted error among ten")
    lines += [plain_table(head, found), f"{summary['trials']} planted errors."]
    return "\n".join(lines)


def main() -> int:
    args = harness.options(
        __file__, __doc__, smoke="few planted errors", written=["summary.json"]
    )
    begin, count = time.perf_counter(), trials(smoke=args.smoke)
    wine: Any = load_wine()
    x = StandardScaler().fit_transform(wine.data)
    args.out.mkdir(parents=True, exist_ok=True)
    run_commands(wine, args.out)
    summary = {
        **harness.circumstances(),
        "seed": SEED,
        "trials": count,
        "pca": components(x),
        "cluster": clusters(x, wine.target),
        "detect": {"top": top_rows(x), "planted": planted(wine.data, count)},
        "seconds": time.perf_counter() - begin,
    }
    summary["versions"]["scikit-learn"] = sklearn.__version__
    harness.write(args.out / "summary.json", summary)
    print(f"{text(summary)}\n{summary['seconds']:.0f} s. Written to {args.out}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
