"""The command `detect`: rows far from their reconstruction, or far out."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from spectral_tf.apps.analysis.answer import Answer, Search, about_components, noted
from spectral_tf.apps.analysis.checks import TOLERANCE, Check, number, numbers
from spectral_tf.apps.analysis.commands import Analysis
from spectral_tf.apps.analysis.document import finite
from spectral_tf.apps.analysis.files import write_json, write_rows
from spectral_tf.apps.analysis.prepare import Prepared
from spectral_tf.config import require
from spectral_tf.config.wording import agreed, counted
from spectral_tf.tables.columns import listed

if TYPE_CHECKING:
    from spectral_tf.estimators import Explanation

REASONS = 3
"""Features that outliers.csv, and features and components that an alarm, name."""
NAMED_TEXT = 2
"""Columns that stand for a row in the text; the files name more."""
WHOLE = 10_000
"""Characters of a sentence, at most."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outliers(Answer):
    """Rows far from their reconstruction.

    Attributes:
        distance: `[N]` what rows are judged by: from the reconstruction, in the units
            that the detector sees, or combined.
        threshold: a row is an outlier if its distance is larger.
        is_outlier: `[N]`.
        order: `[N]` rows by falling distance.
        judge: what rows are judged by, `"residual"` or `"combined"`.
        explanation: of all rows, its residuals in the units of the file.
        is_robust: whether the components are those of rows scaled to unit distance
            from their spatial median.
    """

    distance: np.ndarray
    threshold: float
    is_outlier: np.ndarray
    order: np.ndarray
    judge: str
    explanation: "Explanation"
    is_robust: bool


@dataclasses.dataclass(frozen=True)
class Detect(Analysis):
    """Outliers of a table: rows far from its certified components, or far out."""

    # How many components, or the share of the variance that they shall reach.
    n_components: int | float = 0.9
    # Share of outliers in (0, 0.5]; auto: from the spread of the distances.
    contamination: float | Literal["auto"] = "auto"
    # Find the components so that outliers do not attract them.
    robust: bool = True
    # combined: how far a row is from its reconstruction, and how far out along the
    # components; residual: the former alone.
    judge: Literal["combined", "residual"] = "combined"
    # Rows that are printed and explained, the strangest first.
    top: int = 10

    least_columns: ClassVar[int] = 2
    decides: ClassVar[str] = "alarms"
    # Entries of before there was a choice have no judge.
    meant: ClassVar[Mapping[str, Any]] = MappingProxyType({"judge": "residual"})

    def check(self) -> None:
        """Refuse what is out of bounds before anything is read."""
        super().check()
        require(self.top >= 0, f"top={self.top} must be >= 0.")

    def fitted(self, table: Prepared, search: Search) -> Outliers:
        """The outliers."""
        return find_outliers(
            table,
            self.n_components,
            search,
            contamination=self.contamination,
            robust=self.robust,
            judge=self.judge,
        )

    def results(self, table: Prepared, answer: Outliers) -> dict[str, Any]:
        """The outliers, and the strangest rows with a reason."""
        names = ["row", *(["id"] if table.row_names else [])]
        names += ["score", "is_outlier", "reason"]
        return {
            "n_components": len(answer.shares),
            "threshold": answer.threshold,
            "n_outliers": int(np.sum(answer.is_outlier)),
            "outliers": (np.flatnonzero(answer.is_outlier) + 1).tolist(),
            "strangest": [
                {name: row[name] for name in names}
                for row in _explanations(table, answer, self.top)
            ],
        }

    def decision(self, table: Prepared, answer: Outliers) -> dict[str, Any]:
        """The alarms by falling score; shares are of squares, and sum to 1 over all."""
        alarms = []
        for row in answer.order[answer.is_outlier[answer.order]].tolist():
            squares = answer.explanation.component_score[row] ** 2
            total = float(np.sum(squares))
            alarms.append(
                {
                    "row": row + 1,
                    "score": float(answer.distance[row]),
                    "features": [
                        {"column": table.columns[place], "share": share}
                        for place, share in _top(answer.explanation.feature_share[row])
                    ],
                    "components": [
                        {"component": place + 1, "share": share}
                        for place, share in _top(
                            squares / total if total > 0 else squares
                        )
                    ],
                }
            )
        return {"threshold": answer.threshold, "alarms": alarms}

    @staticmethod
    def compared(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Check]:
        """The threshold, and of the alarms: which, their scores and their reasons."""
        was, now = ({a["row"]: a for a in part["alarms"]} for part in (old, new))
        gone, more = (
            [str(row) for row in a if row not in b] for a, b in ((was, now), (now, was))
        )
        changes = [f"no longer: row {listed(gone)}"] if gone else []
        changes += [f"new: row {listed(more)}"] if more else []
        off = [str(row) for row in was if row in now and not _alike(was[row], now[row])]
        alike = "the features and components of each alarm, with their shares"
        scores = [
            {f"row {row}": alarm["score"] for row, alarm in alarms.items()}
            for alarms in (was, now)
        ]
        same_rows = f"{len(was):,}, the same rows"
        return [
            number("threshold", old["threshold"], new["threshold"]),
            Check("alarms", not changes, "; ".join(changes) or same_rows),
            numbers("scores", *scores),
            Check("reasons", not off, f"row {listed(off)} differ" if off else alike),
        ]

    def write(self, folder: Path, table: Prepared, answer: Outliers) -> None:
        """Write outliers.csv, explanations.json and their figure."""
        from spectral_tf.apps.report.table_figures import outlier_figure

        head = ["row", "score", "is_outlier", "reason"]
        for place in range(1, min(REASONS, len(table.columns)) + 1):
            head += [f"feature_{place}", f"share_{place}"]
        write_rows(folder / "outliers.csv", table, head, _rows(table, answer))
        explained = _explanations(table, answer, self.top)
        write_json(folder / "explanations.json", explained)
        shares = None if answer.is_robust else answer.shares
        path = folder / "outliers.png"
        outlier_figure(answer.scores, answer.distance, answer.threshold, shares, path)

    def lines(self, table: Prepared, answer: Outliers) -> list[str]:
        """The strangest rows with reasons, and the certificate of the components."""
        from spectral_tf.apps.analysis import text
        from spectral_tf.apps.report.table_figures import shown_name

        count, total = int(np.sum(answer.is_outlier)), len(answer.distance)
        lines = [
            f"{count:,} of {counted(total, 'row')} "
            f"{agreed(count, 'is an outlier', 'are outliers')}: "
            f"{_beyond(answer, count)}",
        ]
        width = len(str(total))
        for row in answer.order[: self.top].tolist():
            mark = "outlier" if answer.is_outlier[row] else "normal"
            reason = shown_name(answer.explanation.sentence(row, NAMED_TEXT), WHOLE)
            score = f"{answer.distance[row]:.4g}"
            name = shown_name(table.row_name(row))
            place = f"row {row + 1:>{width}}" + f" ({name})" * bool(name)
            lines.append(f"{place}  {score:>6}  {mark:<7}  {reason}")
        robust = (
            "The components are those of the rows scaled to unit distance from their "
            "spatial median (--no-robust: of the rows as they are)."
        )
        also = [robust] * answer.is_robust
        return ["", *lines, "", *text.certified(answer, also)]


def find_outliers(
    table: Prepared,
    n_components: int | float,
    search: Search,
    *,
    contamination: float | str = "auto",
    robust: bool = True,
    judge: str = "combined",
) -> Outliers:
    """Rows that the leading components cannot reconstruct.

    Args:
        table: N rows, d >= 2 columns.
        n_components: how many, or a share of the variance in (0, 1).
        search: how.
        contamination: share of outliers, or `"auto"`.
        robust: see `SpectralOutlierDetector`.
        judge: see `SpectralOutlierDetector`.

    Returns:
        The distances, with an explanation of each.

    Raises:
        ConfigError: for a parameter that is out of bounds.
        DataError: if the table cannot be used.
        CertificateError: with `fallback="raise"`.

    Source: `SpectralOutlierDetector`.
    """
    from spectral_tf.estimators import SpectralOutlierDetector

    with noted() as notes:
        detector = SpectralOutlierDetector(
            n_components,
            contamination=contamination,
            robust=robust,
            judge=judge,
            **search.options(),
        ).fit(table.x)
        explained = detector.explain(table.x)
        distance = -detector.score_samples(table.x)
        is_outlier = detector.predict(table.x) < 0
    centred = table.x - detector.center_
    return Outliers(
        **about_components(detector.pca_),
        scores=centred @ detector.pca_.components_.T,
        notes=tuple(notes),
        distance=distance,
        threshold=-float(detector.offset_),
        is_outlier=is_outlier,
        order=np.argsort(-distance, kind="stable"),
        judge=judge,
        explanation=dataclasses.replace(
            explained,
            residual=explained.residual * table.scale,
            names=table.columns,
        ),
        is_robust=robust,
    )


def _explanations(table: Prepared, answer: Outliers, top: int) -> list[dict[str, Any]]:
    """All that is known about the strangest rows, the strangest first."""
    rows, why = [], answer.explanation
    for row in answer.order[:top].tolist():
        by_share = np.argsort(-why.feature_share[row], kind="stable").tolist()
        rows.append(
            {
                "row": row + 1,
                **({"id": table.row_name(row)} if table.row_names else {}),
                "score": float(answer.distance[row]),
                "is_outlier": bool(answer.is_outlier[row]),
                "reason": why.sentence(row),
                "features": [
                    {
                        "column": table.columns[i],
                        "value": float(table.raw[row, i]),
                        "reconstruction": float(
                            table.raw[row, i] - why.residual[row, i]
                        ),
                        "share": float(why.feature_share[row, i]),
                    }
                    for i in by_share
                ],
                "component_scores": why.component_score[row].tolist(),
            }
        )
    return finite(rows)


def _rows(table: Prepared, answer: Outliers) -> Iterator[list[Any]]:
    """Of outliers.csv: each row with its reason."""
    why = answer.explanation
    count = min(REASONS, len(table.columns))
    order = np.argsort(-why.feature_share, axis=1, kind="stable")[:, :count].tolist()
    for row, strongest in enumerate(order):
        line = [row + 1, float(answer.distance[row])]
        line += [bool(answer.is_outlier[row]), why.sentence(row)]
        for index in strongest:
            line += [table.columns[index], float(why.feature_share[row, index])]
        yield line


def _top(shares: np.ndarray) -> list[tuple[int, float]]:
    """The largest shares, with their places."""
    order = np.argsort(-shares, kind="stable")[:REASONS].tolist()
    return [(place, float(shares[place])) for place in order]


def _alike(was: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether an alarm has the same contributors, in any order where they tie."""
    for part, key in (("features", "column"), ("components", "component")):
        old, new = ({c[key]: c["share"] for c in a[part]} for a in (was, now))
        if old.keys() != new.keys():
            return False
        if any(abs(old[name] - new[name]) > TOLERANCE for name in old):
            return False
    return True


def _beyond(answer: Outliers, count: int) -> str:
    """What makes a row an outlier, by what rows are judged by."""
    components = counted(len(answer.shares), "component")
    if answer.judge == "residual":
        whose = agreed(count, "its", "their")
        return (
            f"further than {answer.threshold:.4g} from {whose} reconstruction by "
            f"{components} (--judge residual)."
        )
    return (
        f"score above {answer.threshold:.4g}, which combines how far out a row is "
        f"among {components} with how far it is from its reconstruction, both in "
        "standard deviations (--judge combined)."
    )
