"""A kind of analysis that the package does not have: the widest columns of a table."""

import dataclasses
from typing import ClassVar

import numpy as np

from spectral_tf.apps.analysis.answer import Answer, about_components, noted
from spectral_tf.apps.analysis.checks import number, same
from spectral_tf.apps.analysis.commands import Analysis
from spectral_tf.apps.analysis.files import write_csv
from spectral_tf.apps.analysis.text import certified
from spectral_tf.estimators import SpectralPCA


@dataclasses.dataclass(frozen=True, kw_only=True)
class Widths(Answer):
    """`widths` `[d]`: distance of two quantiles of each column."""

    widths: np.ndarray


@dataclasses.dataclass(frozen=True)
class Spread(Analysis):
    """The widest columns of a table."""

    # Share of the rows that lie within a width.
    share: float = 0.5
    # Shift of the quantiles; entries of before there was one had another.
    shift: float = 0.0

    decides: ClassVar = "widest"
    meant: ClassVar = {"shift": 0.1}

    def fitted(self, table, search):
        low = 0.5 - self.share / 2 + self.shift
        with noted() as notes:
            pca = SpectralPCA(1, **search.options()).fit(table.x)
        ends = np.quantile(table.raw, [low, low + self.share], axis=0)
        return Widths(
            **about_components(pca),
            scores=pca.transform(table.x),
            notes=tuple(notes),
            widths=ends[1] - ends[0],
        )

    def results(self, table, answer):
        return {"widths": dict(zip(table.columns, answer.widths.tolist(), strict=True))}

    def decision(self, table, answer):
        widest = int(np.argmax(answer.widths))
        return {"widest": table.columns[widest], "width": float(answer.widths[widest])}

    @staticmethod
    def compared(old, new):
        widest = same("widest", old["widest"], new["widest"])
        return [widest, number("width", old["width"], new["width"])]

    def write(self, folder, table, answer):
        rows = zip(table.columns, answer.widths.tolist(), strict=True)
        write_csv(folder / "widths.csv", ["column", "width"], rows)

    def lines(self, table, answer):
        widest = self.decision(table, answer)["widest"]
        return [f"The widest column is {widest}.", *certified(answer)]
