#!/usr/bin/env bash
# scikit-learn 1.9.1 with polars 2.1.0 and pyarrow 26.0.1
# A column of dates in a frame of polars or a table of pyarrow is fitted without a word,
# as days since 1970 (date), microseconds since 1970 (datetime) or nanoseconds since
# midnight (polars time): it is the first component of PCA. The same columns in a frame
# of pandas are refused. The rule is not scikit-learn's: it is what each library's
# conversion to an array does with mixed types.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scikit-learn==1.9.1 polars==2.1.0 \
    pandas==3.1.1 pyarrow==26.0.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import datetime
import sys

import numpy as np
import pandas
import polars
import pyarrow
import sklearn
from sklearn.decomposition import PCA

print("scikit-learn", sklearn.__version__, "polars", polars.__version__)
print("pyarrow", pyarrow.__version__, "pandas", pandas.__version__)
days = [datetime.datetime(2020, 1, day) for day in range(1, 9)]
table = {"a": np.random.default_rng(0).normal(size=8), "when": days}
outcome = {}
for make in (polars.DataFrame, pyarrow.table, pandas.DataFrame):
    name = make.__module__.split(".")[0]
    try:
        first = PCA(1).fit(make(table)).components_[0]
        outcome[name] = f"fitted, first component {np.abs(first).round(3).tolist()}"
    except (TypeError, ValueError) as error:
        outcome[name] = f"refused: {type(error).__name__}"
    print(name, "->", outcome[name])
is_stated = (
    outcome["polars"].endswith("[0.0, 1.0]")
    and outcome["pyarrow"].endswith("[0.0, 1.0]")
    and outcome["pandas"].startswith("refused")
)
sys.exit(not is_stated)
PYTHON
