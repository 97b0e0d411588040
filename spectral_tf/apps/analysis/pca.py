"""The command `pca`: principal components, each with a certificate."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from spectral_tf.apps.analysis.answer import Answer, Search, about_components, noted
from spectral_tf.apps.analysis.checks import Check, numbers
from spectral_tf.apps.analysis.commands import Analysis, Shown
from spectral_tf.apps.analysis.document import largest
from spectral_tf.apps.analysis.files import write_csv, write_rows
from spectral_tf.apps.analysis.prepare import Prepared
from spectral_tf.config import require
from spectral_tf.config.wording import percent

if TYPE_CHECKING:
    from spectral_tf.estimators import SpectralPCA


@dataclasses.dataclass(frozen=True, kw_only=True)
class Components(Answer):
    """Principal components: `eigenvalues` `[k]` (1/(N-1)), `loadings` `[k, d]`."""

    eigenvalues: np.ndarray
    loadings: np.ndarray


@dataclasses.dataclass(frozen=True)
class Pca(Analysis):
    """Principal components of a table, each with a certificate."""

    # How many components, or the share of the variance that they shall reach.
    n_components: int | float = 0.9
    # Address of a Dask scheduler, e.g. tcp://HOST:8786: FILE, a Parquet file or a
    # folder of parts that its workers can read, is summed up there, never gathered.
    cluster: str | None = None

    decides: ClassVar[str] = "eigenvalues"

    def run(self) -> Shown:
        """Read, fit, write; or have it summed up on a cluster."""
        if self.cluster is None:
            return super().run()
        from spectral_tf.apps.analysis.on_cluster import run_on_cluster

        self.check()
        return run_on_cluster(self)

    def fitted(self, table: Prepared, search: Search) -> Components:
        """The components."""
        return find_components(table, self.n_components, search)

    def results(self, table: Prepared, answer: Components) -> dict[str, Any]:
        """The components, with the columns that weigh most in each."""
        from spectral_tf.apps.report.table_figures import biplot_lettering

        return {
            "n_components": len(answer.eigenvalues),
            "share": float(np.sum(answer.shares)),
            "drawn_as": dict(biplot_lettering(answer.loadings, table.columns).legend),
            "components": [
                {
                    "name": f"pc{entry.rank}",
                    "eigenvalue": float(answer.eigenvalues[index]),
                    "share": float(answer.shares[index]),
                    "status": entry.status,
                    "ranks": list(entry.ranks),
                    "angle_bound": entry.angle_bound,
                    "largest_loadings": dict(largest(answer.loadings[index], table)),
                }
                for index, entry in enumerate(answer.certificate.entries)
            ],
        }

    def decision(self, table: Prepared, answer: Components) -> dict[str, Any]:
        """Eigenvalues and shares."""
        del table
        return {
            "eigenvalues": answer.eigenvalues.tolist(),
            "shares": answer.shares.tolist(),
        }

    @staticmethod
    def compared(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Check]:
        """The eigenvalues."""
        was, now = old["eigenvalues"], new["eigenvalues"]
        if len(was) != len(now):
            what = f"now {len(now)}; the log has {len(was)}"
            return [Check("eigenvalues", False, what)]
        named = [
            {f"pc{rank}": value for rank, value in enumerate(values, 1)}
            for values in (was, now)
        ]
        return [numbers("eigenvalues", *named)]

    def write(self, folder: Path, table: Prepared, answer: Components) -> None:
        """Write components.csv, scores.csv and their figures."""
        from spectral_tf.apps.report.table_figures import biplot_figure

        write_components(folder, table, answer)
        rows = enumerate(answer.scores.tolist(), start=1)
        write_rows(
            folder / "scores.csv",
            table,
            ["row", *_names(answer)],
            ([row, *scores] for row, scores in rows),
        )
        biplot_figure(
            answer.scores,
            answer.loadings,
            table.columns,
            answer.shares,
            folder / "biplot.png",
        )

    def lines(self, table: Prepared, answer: Components) -> list[str]:
        """The components as a table, and their certificate."""
        return component_lines(table, answer)


def find_components(
    table: Prepared, n_components: int | float, search: Search
) -> Components:
    """Principal components of a table.

    Args:
        table: N rows, d columns.
        n_components: how many, or a share of the variance in (0, 1).
        search: how.

    Returns:
        The components.

    Raises:
        ConfigError: if so many cannot be had.
        DataError: if the table cannot be used.
        CertificateError: with `fallback="raise"`.

    Source: `SpectralPCA`.
    """
    require(
        n_components != 0,
        "n_components=0 leaves nothing to report; ask for at least 1.",
    )
    return components_of(table.x, n_components, search)[0]


def components_of(
    x: Any, n_components: int | float, search: Search
) -> tuple[Components, "SpectralPCA"]:
    """The components of rows, and their estimator.

    Args:
        x: `[N, d]`; rows of a Dask array stay where they are, and get no scores.
        n_components: how many, or a share of the variance in (0, 1).
        search: how.

    Returns:
        Both.

    Raises:
        DataError: if the table cannot be used.
        CertificateError: with `fallback="raise"`.
    """
    from spectral_tf.estimators import SpectralPCA

    with noted() as notes:
        pca = SpectralPCA(n_components, **search.options()).fit(x)
        is_here = isinstance(x, np.ndarray)
        scores = pca.transform(x) if is_here else np.zeros((0, pca.n_components_))
    answer = Components(
        **about_components(pca),
        scores=scores,
        notes=tuple(notes),
        eigenvalues=pca.explained_variance_,
        loadings=pca.components_,
    )
    return answer, pca


def write_components(folder: Path, table: Prepared, answer: Components) -> None:
    """Write what is known of components without their rows.

    Args:
        folder: exists.
        table: as it was analysed; its rows are not read.
        answer: the components.

    Raises:
        OSError: if a file cannot be written.
    """
    from spectral_tf.apps.report.table_figures import scree_figure

    parts = answer.eigenvalues, answer.shares, answer.loadings
    write_csv(
        folder / "components.csv",
        ["name", "eigenvalue", "share", *table.columns],
        (
            [name, value, share, *loadings]
            for name, value, share, loadings in zip(
                _names(answer), *(part.tolist() for part in parts), strict=True
            )
        ),
    )
    scree_figure(answer.shares, answer.certificate, folder / "scree.png")


def _names(answer: Components) -> list[str]:
    return [f"pc{rank}" for rank in range(1, len(answer.eigenvalues) + 1)]


def component_lines(table: Prepared, answer: Components) -> list[str]:
    """The components as a table, and their certificate.

    Args:
        table: as it was analysed; its rows are not read.
        answer: the components.

    Returns:
        Lines.
    """
    from spectral_tf.apps.analysis import text
    from spectral_tf.apps.report.table_figures import biplot_lettering

    total = np.cumsum(answer.shares)
    rows = []
    for index, entry in enumerate(answer.certificate.entries[: text.MOST_LINES]):
        span = "{}-{} ".format(*entry.ranks) if entry.is_joint else ""
        rows.append(
            (
                f"pc{entry.rank}",
                f"{answer.eigenvalues[index]:.4g}",
                percent(answer.shares[index], 1),
                percent(total[index], 1),
                f"{span}{entry.status}",
                f"{entry.angle_bound:.1g}" if entry.angle_bound < 1.57 else "-",
                text.phrase(largest(answer.loadings[index], table)),
            )
        )
    head = "", "eigenvalue", "share", "sum", "status", "angle <=", "largest loadings"
    lines = text.table_lines(head, rows, len(answer.shares), "components.csv")
    letters = biplot_lettering(answer.loadings, table.columns)
    legend = [letters.sentence("biplot.png")] * bool(letters.legend)
    return [*lines, "", *text.certified(answer), *legend]
