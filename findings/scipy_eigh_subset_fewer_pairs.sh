#!/usr/bin/env bash
# scipy 1.17.1 (numpy 2.4.6, OpenBLAS of the wheel): scipy.linalg.eigh(S,
# subset_by_index=(low, high)) can return FEWER pairs than asked for, without an error or
# a warning: empty arrays for the largest eigenvalue of the covariance of np.eye(8), a
# valid symmetric matrix that has one eigenvalue 7 times; so with both drivers that take
# a subset ("evr", the default, and "evx"). On such matrices with d = 32 and 50 it raises
# LinAlgError("Internal Error.") for some k. Without a subset all pairs come back.
# Exits 0 while it is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q scipy==1.17.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
import scipy
from scipy.linalg import eigh

print("scipy", scipy.__version__, "numpy", np.__version__)


def answer(matrix, low, **options):
    last = len(matrix) - 1
    try:
        return len(eigh(matrix, subset_by_index=(low, last), **options)[0])
    except np.linalg.LinAlgError as error:
        return str(error)


short, errors = [], []
for size in (8, 12, 32, 50):
    matrix = np.cov(np.eye(size), bias=True)
    for asked in range(1, size + 1):
        got = answer(matrix, size - asked)
        if isinstance(got, str):
            errors.append((size, asked))
        elif got != asked:
            evx = answer(matrix, size - asked, driver="evx")
            print(f"cov(eye({size})): asked for {asked}, got {got} (evx: {evx})")
            short.append((size, asked))
    print(f"cov(eye({size})): without a subset {len(eigh(matrix)[0])} pairs")
print(f"LinAlgError 'Internal Error.' for {len(errors)} (d, k), first {errors[:2]}")
sys.exit(0 if short else 1)
PY
