"""The analyses that there are: a kind is one file of this folder and its entry here.

Its class says what is fitted, what the documents, the audit log, the files and the
text hold, and how a decision of the log is compared; see `commands.Analysis`. The entry
makes it a command of the program and lets `audit show` run it again.
"""

import importlib
from typing import Any, NamedTuple


class Entry(NamedTuple):
    """A command: its module below `spectral_tf.apps`, its class there, its docstring.

    The name by which it is called is that of the class in lower case.
    """

    home: str
    kind: str
    summary: str

    def load(self) -> Any:
        """The class, imported."""
        module = importlib.import_module(f"spectral_tf.apps.{self.home}")
        return getattr(module, self.kind)


KINDS = {
    "pca": Entry(
        "analysis.pca",
        "Pca",
        "Principal components of a table, each with a certificate.",
    ),
    "cluster": Entry(
        "analysis.cluster",
        "Cluster",
        "Clusters of the rows of a table, in its certified components or by a network.",
    ),
    "detect": Entry(
        "analysis.detect",
        "Detect",
        "Outliers of a table: rows far from its certified components, or far out.",
    ),
}
"""Name -> analysis, in the order of the overview."""
