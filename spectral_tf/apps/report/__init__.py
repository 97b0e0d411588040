"""What is shown of results: text tables and figures, from plain numbers."""

from typing import TYPE_CHECKING

from spectral_tf.lazy import lazily

if TYPE_CHECKING:
    from spectral_tf.apps.report.curves import RunCurve, learning_curve_figure
    from spectral_tf.apps.report.figures import (
        COLOURS,
        STYLE,
        Curve,
        depth_figure,
        eigenvalue_figure,
    )
    from spectral_tf.apps.report.stream_figure import (
        check_figure,
        composition_figure,
        save_figure,
    )
    from spectral_tf.apps.report.table_figures import (
        biplot_figure,
        cluster_figure,
        outlier_figure,
        scree_figure,
    )
    from spectral_tf.apps.report.tables import (
        Entry,
        plain_table,
        table_rows,
        wrapped_table,
    )

__all__ = [
    "COLOURS",
    "STYLE",
    "Curve",
    "Entry",
    "RunCurve",
    "biplot_figure",
    "check_figure",
    "cluster_figure",
    "composition_figure",
    "depth_figure",
    "eigenvalue_figure",
    "learning_curve_figure",
    "outlier_figure",
    "plain_table",
    "save_figure",
    "scree_figure",
    "table_rows",
    "wrapped_table",
]

_HOMES = {
    "curves": ("RunCurve", "learning_curve_figure"),
    "figures": ("COLOURS", "Curve", "STYLE", "depth_figure", "eigenvalue_figure"),
    "stream_figure": ("check_figure", "composition_figure", "save_figure"),
    "table_figures": (
        "biplot_figure",
        "cluster_figure",
        "outlier_figure",
        "scree_figure",
    ),
    "tables": ("Entry", "plain_table", "table_rows", "wrapped_table"),
}
"""Module -> the public names that it defines."""

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES)
