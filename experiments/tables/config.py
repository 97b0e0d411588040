"""A table of 178 wines: components, clusters, outliers.

Claim: none beforehand. What do the three commands say of a table that is known well,
    and what do scikit-learn's estimators say of it?
Source: the wines are scikit-learn's `load_wine`, after Aeberhard & Forina (1992), UCI
    Machine Learning Repository; the estimators' sources stand in `estimators/`.
Command: python experiments/tables/run.py
Expected: README.md holds the numbers.
Wall time: README.md.
"""

SEED = 0
TOP = 10
"""Rows that count as found."""
COMMANDS = ("pca", "cluster --n-clusters 3", "detect --judge residual")
"""What README.md shows, with `wine.csv` after the name."""
FIGURES = ("pca/scree", "pca/biplot", "cluster/clusters", "detect/outliers")


def trials(*, smoke: bool = False) -> int:
    """How many errors are planted, one at a time."""
    return 3 if smoke else 300
